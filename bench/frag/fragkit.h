/* fragkit.h - how a fragmentation workload talks to the driver, and bookkeeping that does not disturb the heap.
 *
 * Idea: the driver samples the PSS of this process from outside. The workload says what is live and waits until the
 * sample has been taken; meanwhile it is asleep, or ticks. Its own tables are mapped and resident from the start and
 * their size is reported, so that the driver can subtract them.
 *
 * K1  Between a report and its acknowledgement the heap does not change, except for the ticks.
 * K2  Every block is written as a whole when it is made: live bytes are resident.
 * Blocks come from one of two heaps, chosen when compiling: malloc (heap-malloc.h), or handles with BENCH_HANDLES
 * (heap-handles.h). Sizes, seeds and order are the same.
 * Run by hand (no BENCH_REPORT): reports go to stdout, nothing waits, and there are no ticks. */
#ifndef BENCH_FRAGKIT_H
#define BENCH_FRAGKIT_H

#include "../programs/kit.h"
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MIB = 1 << 20, PAGE = 4096 };

static size_t own_bytes; /* bookkeeping, mapped and resident */
static size_t live_bytes, live_blocks, peak_blocks;

static inline void note_made(size_t size)
{
    live_bytes += size;
    if (++live_blocks > peak_blocks)
        peak_blocks = live_blocks;
}

static inline void note_dropped(size_t size)
{
    live_bytes -= size;
    live_blocks--;
}

/* A zeroed, resident table outside the heap; never unmapped. */
static inline void *table_make(size_t nbytes)
{
    nbytes = (nbytes + PAGE - 1) & ~(size_t)(PAGE - 1);
    void *p = mmap(NULL, nbytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    own_bytes += nbytes;
    return must(p == MAP_FAILED ? NULL : p);
}

#if BENCH_HANDLES
#include "heap-handles.h"
#else
#include "heap-malloc.h"
#endif

static inline int descriptor(const char *variable, int otherwise)
{
    const char *s = getenv(variable);
    return s ? atoi(s) : otherwise;
}

static inline void report_line(const char *line, int n)
{
    if (write(descriptor("BENCH_REPORT", 1), line, (size_t)n) != n)
        exit(2);
}

static inline void report(const char *word, const char *phase, size_t live)
{
    char line[200];
    report_line(line, snprintf(line, sizeof line, "%s %s %zu %zu\n", word, phase, live, own_bytes));
}

static inline void take_acknowledgement(int fd)
{
    char byte;
    if (fd >= 0 && read(fd, &byte, 1) != 1)
        exit(2); /* the driver is gone */
}

/* One small block made and freed a millisecond until the driver has seen enough. */
static inline void tick(int fd)
{
    struct pollfd wait = { .fd = fd, .events = POLLIN };
    while (fd >= 0 && poll(&wait, 1, 1) == 0)
        touch_heap();
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

/* Free blocks at random, in random order, until at most `keep` of `n` are left; returns how many. Reorders the
 * table. */
static inline size_t thin(block_t *block, size_t n, size_t keep, rng_t *r)
{
    while (n > keep) {
        size_t i = (size_t)(rng_next(r) % n);
        drop_block(block[i]);
        block[i] = block[--n];
    }
    return n;
}

#endif
