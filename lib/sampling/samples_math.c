/* The exponential distribution. A malloc must not link libm, so exp and log are computed here. */
#include "os/os.h"
#include "sampling/samples.h"

#include <string.h>

/* f(x) = 1 - exp(-x) for x >= 0. Taylor series for a small x, then f(2y) = f(y) * (2 - f(y)) to double it. */
static double one_less_exp(double x)
{
    int doublings = 0;
    if (x > 40)
        return 1;
    for (; x > 0.125; x /= 2)
        doublings++;
    double term = x, sum = x;
    for (int k = 2; k <= 10; k++) {
        term *= -x / k;
        sum += term;
    }
    for (; doublings > 0; doublings--)
        sum *= 2 - sum;
    return sum;
}

/* The natural logarithm of 0 < u <= 1: exponent times ln 2, plus ln m = 2 artanh((m - 1) / (m + 1)) of the mantissa. */
static double logarithm(double u)
{
    uint64_t bits;
    double m;
    memcpy(&bits, &u, sizeof bits);
    int exponent = (int)(bits >> 52 & 0x7ff) - 1023;
    bits = (bits & tmi_low_bits(52)) | (uint64_t)1023 << 52;
    memcpy(&m, &bits, sizeof m);
    double z = (m - 1) / (m + 1), square = z * z, sum = 0, power = z;
    for (int k = 1; k <= 31; k += 2) {
        sum += power / k;
        power *= square;
    }
    return 2 * sum + exponent * 0.69314718055994530942;
}

/* xorshift64* (Vigna 2016). */
static uint64_t next_random(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return x * 0x2545f4914f6cdd1d;
}

static uint64_t seed(const void *where)
{
    uint64_t x = tmi_os_now_ns() ^ (uint64_t)tmi_os_gettid() << 40 ^ (uint64_t)(uintptr_t)where;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9; // splitmix64's finisher (Steele, Lea & Flood 2014)
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return (x ^ x >> 31) | 1;
}

double tmi_samples_uniform(uint64_t *random)
{
    if (*random == 0)
        *random = seed(random);
    return (double)((next_random(random) >> 11) + 1) * 0x1p-53;
}

int64_t tmi_samples_distance(uint64_t *random, uint64_t interval)
{
    double u = tmi_samples_uniform(random);
    if (interval <= 1)
        return 0;
    return (int64_t)(-logarithm(u) * (double)interval) + 1; // rounded up to include the byte that is hit
}

double tmi_samples_chance(uint64_t size, uint64_t interval)
{
    double s = size > 0 ? (double)size : 1;
    return interval <= 1 ? 1 : one_less_exp(s / (double)interval);
}

void tmi_samples_weigh(uint64_t size, uint64_t interval, uint64_t *blocks, uint64_t *bytes)
{
    double weight = 1 / tmi_samples_chance(size, interval);
    *blocks = (uint64_t)(weight * TMI_SAMPLES_BLOCK + 0.5);
    *bytes = (uint64_t)(weight * (double)size + 0.5);
}
