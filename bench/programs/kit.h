/* kit.h - what the synthetic programs share: a generator, arguments, threads, a checksum.
 *
 * Rules of every program here: its first argument is the amount of work (never a time), the work is the same under
 * every allocator, and the last thing it prints is a checksum over what the blocks held. The driver compares the
 * output with that under glibc: an allocator that hands out overlapping blocks gives another sum.
 * Out of memory ends the program with status 3. */
#ifndef BENCH_KIT_H
#define BENCH_KIT_H

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    uint64_t s;
} rng_t;

/* splitmix64 (Steele, Lea, Flood 2014): one multiply-shift chain per number, any seed is good. */
static inline uint64_t rng_next(rng_t *r)
{
    uint64_t z = (r->s += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Uniform in 0 … n-1; the bias is below n / 2^32. */
static inline uint32_t rng_below(rng_t *r, uint32_t n)
{
    return (uint32_t)(((rng_next(r) >> 32) * n) >> 32);
}

static inline uint32_t rng_between(rng_t *r, uint32_t low, uint32_t high)
{
    return low + rng_below(r, high - low + 1);
}

/* A size between 1 << low and 1 << high, about equally likely in each power of two. */
static inline size_t rng_log_size(rng_t *r, unsigned low, unsigned high)
{
    unsigned e = rng_between(r, low, high - 1);
    return ((size_t)1 << e) + rng_below(r, (uint32_t)1 << e);
}

static inline void *must(void *p)
{
    if (!p) {
        fputs("out of memory\n", stderr);
        exit(3);
    }
    return p;
}

static inline void *get(size_t size)
{
    return must(malloc(size));
}

/* The argument number i as a number, or its default. */
static inline long argument(int argc, char **argv, int i, long otherwise)
{
    long n = argc > i ? atol(argv[i]) : otherwise;
    return n > 0 ? n : 1;
}

static inline pthread_t start_thread(void *(*body)(void *), void *arg)
{
    pthread_t t;
    if (pthread_create(&t, NULL, body, arg)) {
        fputs("cannot start a thread\n", stderr);
        exit(3);
    }
    return t;
}

/* Stamp a block at both ends; blocks of 8 bytes and more. */
static inline void stamp(void *block, size_t size, uint64_t value)
{
    memcpy(block, &value, sizeof value);
    memcpy((char *)block + size - sizeof value, &value, sizeof value);
}

/* The stamp, or 0 if the two ends disagree. */
static inline uint64_t stamp_of(const void *block, size_t size)
{
    uint64_t first, last;
    memcpy(&first, block, sizeof first);
    memcpy(&last, (const char *)block + size - sizeof last, sizeof last);
    return first == last ? first : 0;
}

static inline int finish(uint64_t sum)
{
    printf("checksum %016llx\n", (unsigned long long)sum);
    return 0;
}

#endif
