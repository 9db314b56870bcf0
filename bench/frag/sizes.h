/* sizes.h - sizes that are equally likely on a logarithmic scale. */
#ifndef BENCH_SIZES_H
#define BENCH_SIZES_H

#include "fragkit.h"
#include <math.h>

enum { SIZES = 1 << 16 };

static uint16_t size_table[SIZES];

/* From low up to, not including, high; high is at most 64 KiB. */
static inline void fill_size_table(double low, double high)
{
    rng_t r = { 29 };
    for (int i = 0; i < SIZES; i++) {
        double u = (double)(rng_next(&r) >> 11) / (double)((uint64_t)1 << 53);
        size_table[i] = (uint16_t)(low * pow(high / low, u));
    }
}

static inline size_t any_size(rng_t *r)
{
    return size_table[rng_below(r, SIZES)];
}

#endif
