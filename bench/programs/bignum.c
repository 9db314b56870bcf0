/* bignum.c - schoolbook arithmetic on naturals; see bignum.h for the invariants. */
#include "bignum.h"
#include "kit.h"

static big_t *big_make(uint32_t n)
{
    big_t *a = get(sizeof *a + n * sizeof a->limb[0]);
    a->n = n;
    return a;
}

static big_t *trim(big_t *a)
{
    while (a->n && !a->limb[a->n - 1])
        a->n--;
    return a;
}

big_t *big_small(uint64_t value)
{
    big_t *a = big_make(2);
    a->limb[0] = (uint32_t)value;
    a->limb[1] = (uint32_t)(value >> 32);
    return trim(a);
}

big_t *big_parse(const char *decimal)
{
    big_t *a = big_small(0), *ten = big_small(10);
    for (; *decimal; decimal++) {
        big_t *digit = big_small((uint64_t)(*decimal - '0')), *scaled = big_mul(a, ten);
        big_set(&a, big_add(scaled, digit));
        free(scaled);
        free(digit);
    }
    free(ten);
    return a;
}

big_t *big_add(const big_t *a, const big_t *b)
{
    if (a->n < b->n) {
        const big_t *t = a;
        a = b;
        b = t;
    }
    big_t *c = big_make(a->n + 1);
    uint64_t carry = 0;
    for (uint32_t i = 0; i < a->n; i++) {
        carry += (uint64_t)a->limb[i] + (i < b->n ? b->limb[i] : 0);
        c->limb[i] = (uint32_t)carry;
        carry >>= 32;
    }
    c->limb[a->n] = (uint32_t)carry;
    return trim(c);
}

big_t *big_sub(const big_t *a, const big_t *b)
{
    big_t *c = big_make(a->n);
    int64_t borrow = 0;
    for (uint32_t i = 0; i < a->n; i++) {
        borrow += (int64_t)a->limb[i] - (i < b->n ? b->limb[i] : 0);
        c->limb[i] = (uint32_t)borrow;
        borrow >>= 32;
    }
    return trim(c);
}

big_t *big_mul(const big_t *a, const big_t *b)
{
    big_t *c = big_make(a->n + b->n);
    memset(c->limb, 0, c->n * sizeof c->limb[0]);
    for (uint32_t i = 0; i < a->n; i++) {
        uint64_t carry = 0;
        for (uint32_t j = 0; j < b->n; j++) {
            carry += (uint64_t)a->limb[i] * b->limb[j] + c->limb[i + j];
            c->limb[i + j] = (uint32_t)carry;
            carry >>= 32;
        }
        c->limb[i + b->n] = (uint32_t)carry;
    }
    return trim(c);
}

int big_compare(const big_t *a, const big_t *b)
{
    if (a->n != b->n)
        return a->n < b->n ? -1 : 1;
    for (uint32_t i = a->n; i-- > 0;)
        if (a->limb[i] != b->limb[i])
            return a->limb[i] < b->limb[i] ? -1 : 1;
    return 0;
}

uint32_t big_mod_small(const big_t *a, uint32_t m)
{
    uint64_t r = 0;
    for (uint32_t i = a->n; i-- > 0;)
        r = (r << 32 | a->limb[i]) % m;
    return (uint32_t)r;
}

static big_t *shifted_left(const big_t *a, unsigned bits)
{
    big_t *c = big_make(a->n + 1);
    uint64_t carry = 0;
    for (uint32_t i = 0; i < a->n; i++) {
        carry |= (uint64_t)a->limb[i] << bits;
        c->limb[i] = (uint32_t)carry;
        carry >>= 32;
    }
    c->limb[a->n] = (uint32_t)carry;
    return c; /* not trimmed: the division counts on the extra limb */
}

static void shift_right(big_t *a, unsigned bits)
{
    for (uint32_t i = 0; i < a->n; i++) {
        uint64_t two = a->limb[i] | (i + 1 < a->n ? (uint64_t)a->limb[i + 1] << 32 : 0);
        a->limb[i] = (uint32_t)(two >> bits);
    }
    trim(a);
}

static big_t *divide_by_limb(const big_t *a, uint32_t d)
{
    big_t *q = big_make(a->n);
    uint64_t r = 0;
    for (uint32_t i = a->n; i-- > 0;) {
        r = r << 32 | a->limb[i];
        q->limb[i] = (uint32_t)(r / d);
        r %= d;
    }
    return trim(q);
}

/* One quotient limb of Knuth's algorithm D: u[0…n] -= q * v[0…n-1], q returned. */
static uint32_t divide_step(uint32_t *u, const uint32_t *v, uint32_t n)
{
    uint64_t top = (uint64_t)u[n] << 32 | u[n - 1];
    uint64_t q = top / v[n - 1], r = top % v[n - 1];
    while (q >> 32 || q * v[n - 2] > (r << 32 | u[n - 2])) {
        q--;
        r += v[n - 1];
        if (r >> 32)
            break;
    }
    int64_t borrow = 0;
    uint64_t carry = 0;
    for (uint32_t i = 0; i < n; i++) {
        carry += q * v[i];
        borrow += (int64_t)u[i] - (uint32_t)carry;
        u[i] = (uint32_t)borrow;
        borrow >>= 32;
        carry >>= 32;
    }
    borrow += (int64_t)u[n] - (int64_t)carry;
    u[n] = (uint32_t)borrow;
    if (borrow >= 0)
        return (uint32_t)q;
    for (uint32_t i = carry = 0; i < n; i++) {
        carry += (uint64_t)u[i] + v[i];
        u[i] = (uint32_t)carry;
        carry >>= 32;
    }
    u[n] += (uint32_t)carry;
    return (uint32_t)q - 1;
}

static void divide_long(const big_t *a, const big_t *b, big_t **quotient, big_t **remainder)
{
    unsigned bits = (unsigned)__builtin_clz(b->limb[b->n - 1]);
    big_t *u = shifted_left(a, bits), *v = shifted_left(b, bits), *q = big_make(a->n - b->n + 1);
    for (uint32_t i = q->n; i-- > 0;)
        q->limb[i] = divide_step(u->limb + i, v->limb, b->n);
    free(v);
    u->n = b->n;
    shift_right(u, bits);
    *quotient = trim(q);
    *remainder = u;
}

void big_divide(const big_t *a, const big_t *b, big_t **quotient, big_t **remainder)
{
    big_t *q, *r;
    if (big_compare(a, b) < 0) {
        q = big_small(0);
        r = big_make(a->n);
        memcpy(r->limb, a->limb, a->n * sizeof a->limb[0]);
    } else if (b->n == 1) {
        q = divide_by_limb(a, b->limb[0]);
        r = big_small(big_mod_small(a, b->limb[0]));
    } else {
        divide_long(a, b, &q, &r);
    }
    if (quotient)
        *quotient = q;
    else
        free(q);
    if (remainder)
        *remainder = r;
    else
        free(r);
}

big_t *big_mod(const big_t *a, const big_t *b)
{
    big_t *r;
    big_divide(a, b, NULL, &r);
    return r;
}

/* Newton from above: x' = (x + a / x) / 2 until it no longer falls. */
big_t *big_sqrt(const big_t *a)
{
    big_t *x = big_make(a->n / 2 + 2);
    memset(x->limb, 0, x->n * sizeof x->limb[0]);
    x->limb[x->n - 1] = 1;
    for (;;) {
        big_t *q;
        big_divide(a, x, &q, NULL);
        big_set(&q, big_add(q, x));
        shift_right(q, 1);
        if (big_compare(q, x) >= 0) {
            free(q);
            return x;
        }
        big_set(&x, q);
    }
}

big_t *big_gcd(const big_t *a, const big_t *b)
{
    big_t *zero = big_small(0), *x = big_add(a, zero), *y = big_add(b, zero);
    while (y->n) {
        big_t *r = big_mod(x, y);
        big_set(&x, y);
        y = r;
    }
    free(y);
    free(zero);
    return x;
}

void big_set(big_t **a, big_t *value)
{
    free(*a);
    *a = value;
}

void big_print(const big_t *a)
{
    char digits[512], *p = digits + sizeof digits - 1;
    big_t *zero = big_small(0), *left = big_add(a, zero);
    *p = 0;
    do {
        *--p = (char)('0' + big_mod_small(left, 10));
        big_set(&left, divide_by_limb(left, 10));
    } while (left->n && p > digits);
    fputs(p, stdout);
    free(left);
    free(zero);
}
