/* handlekit.h - what the programs about handles share: objects, a clock, a histogram, statistics, figures on stdout.
 *
 * A figure is a line "NAME = VALUE"; the driver collects them. */
#ifndef BENCH_HANDLEKIT_H
#define BENCH_HANDLEKIT_H

#include "../programs/kit.h"
#include <time.h>
#include <tinymem/tinymem.h>

enum { MIB = 1 << 20 };

static inline uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline void figure(const char *name, double value)
{
    printf("%s = %.6g\n", name, value);
}

static inline tm_handle_t make_object(size_t size)
{
    tm_handle_t h = tm_alloc(size);
    if (h == TM_NULL)
        must(NULL);
    TM_PINNED(char, p, h) {
        memset(p, (int)(size | 1), size);
    }
    return h;
}

static inline tm_stats_t statistics(void)
{
    tm_stats_t s = { .struct_size = sizeof s };
    tm_stats(&s);
    return s;
}

/* Free objects at random until `keep` are left; returns how many. Reorders. */
static inline size_t thin_out(tm_handle_t *h, size_t n, size_t keep, rng_t *r)
{
    while (n > keep) {
        size_t i = (size_t)(rng_next(r) % n);
        tm_free(h[i]);
        h[i] = h[--n];
    }
    return n;
}

/* Times in eighths of an octave: a quantile is at most 9 % too high. */
typedef struct {
    uint64_t count[64 * 8], n, max;
} histogram_t;

static inline unsigned histogram_bin(uint64_t ns)
{
    if (ns < 16)
        return (unsigned)ns;
    unsigned octave = 63 - (unsigned)__builtin_clzll(ns);
    return octave * 8 + (unsigned)(ns >> (octave - 3) & 7);
}

static inline void histogram_add(histogram_t *h, uint64_t ns)
{
    h->count[histogram_bin(ns)]++;
    h->n++;
    if (ns > h->max)
        h->max = ns;
}

/* An upper bound of the time that a share q of the samples does not exceed. */
static inline double histogram_quantile(const histogram_t *h, double q)
{
    uint64_t below = 0;
    for (unsigned bin = 0; bin < 64 * 8; bin++) {
        below += h->count[bin];
        if ((double)below >= q * (double)h->n) {
            double top = bin < 16 ? bin : (double)((uint64_t)(8 + bin % 8 + 1) << (bin / 8 - 3));
            return top < (double)h->max ? top : (double)h->max;
        }
    }
    return (double)h->max;
}

#endif
