/* fragkit.h - how a fragmentation workload talks to the driver, and bookkeeping that does not disturb the heap.
 *
 * Idea: the driver samples the PSS of this process from outside. The workload says what is live and waits until the
 * sample has been taken; meanwhile it is asleep, or ticks. Its own tables are mapped and resident from the start and
 * their size is reported, so that the driver can subtract them.
 *
 * K1  Between a report and its acknowledgement the heap does not change, except for the ticks.
 * K2  Every block is written as a whole when it is made: live bytes are resident.
 * Run by hand (no BENCH_REPORT): reports go to stdout, nothing waits, and there are no ticks. */
#ifndef BENCH_FRAGKIT_H
#define BENCH_FRAGKIT_H

#include "../programs/kit.h"
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MIB = 1 << 20, PAGE = 4096 };

static size_t own_bytes; /* bookkeeping, mapped and resident */
static size_t live_bytes;

/* A zeroed, resident table outside the heap; never unmapped. */
static inline void *table_make(size_t nbytes)
{
    nbytes = (nbytes + PAGE - 1) & ~(size_t)(PAGE - 1);
    void *p = mmap(NULL, nbytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    own_bytes += nbytes;
    return must(p == MAP_FAILED ? NULL : p);
}

static inline int descriptor(const char *variable, int otherwise)
{
    const char *s = getenv(variable);
    return s ? atoi(s) : otherwise;
}

static inline void report(const char *word, const char *phase, size_t live)
{
    char line[200];
    int n = snprintf(line, sizeof line, "%s %s %zu %zu\n", word, phase, live, own_bytes);
    if (write(descriptor("BENCH_REPORT", 1), line, (size_t)n) != n)
        exit(2);
}

static inline void take_acknowledgement(int fd)
{
    char byte;
    if (fd >= 0 && read(fd, &byte, 1) != 1)
        exit(2); /* the driver is gone */
}

/* One small malloc and free a millisecond until the driver has seen enough. */
static inline void tick(int fd)
{
    struct pollfd wait = { .fd = fd, .events = POLLIN };
    while (fd >= 0 && poll(&wait, 1, 1) == 0) {
        char *p = get(32);
        *(volatile char *)p = 1;
        free(p);
    }
    take_acknowledgement(fd);
}

static inline void announce(const char *word, const char *phase, size_t live)
{
    report(word, phase, live);
    take_acknowledgement(descriptor("BENCH_ACK", -1));
}

/* `hold` or `kept`: asleep until the first acknowledgement, ticking until the second. */
static inline void announce_hold(const char *word, const char *phase, size_t live)
{
    announce(word, phase, live);
    tick(descriptor("BENCH_ACK", -1));
}

/* A block with its size in the upper 16 bits of the word: sizes up to 64 KiB - 1 and 48-bit addresses. */
typedef uint64_t packed_t;

static inline void *packed_block(packed_t b)
{
    return (void *)(uintptr_t)(b & (((uint64_t)1 << 48) - 1));
}

static inline size_t packed_size(packed_t b)
{
    return (size_t)(b >> 48);
}

static inline packed_t make_block(size_t size)
{
    char *p = get(size);
    memset(p, (int)(size | 1), size);
    live_bytes += size;
    return (uint64_t)(uintptr_t)p | (uint64_t)size << 48;
}

static inline void drop_block(packed_t b)
{
    live_bytes -= packed_size(b);
    free(packed_block(b));
}

/* Free blocks at random, in random order, until at most `keep` of `n` are left; returns how many. Reorders the table. */
static inline size_t thin(packed_t *block, size_t n, size_t keep, rng_t *r)
{
    while (n > keep) {
        size_t i = (size_t)(rng_next(r) % n);
        drop_block(block[i]);
        block[i] = block[--n];
    }
    return n;
}

#endif
