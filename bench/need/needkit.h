/* needkit.h - what the programs about need share: what is resident, page faults, a clock, and lines "NAME = VALUE".
 *
 * Their own tables lie in static memory or in mappings of their own, and are subtracted where they matter. */
#ifndef BENCH_NEEDKIT_H
#define BENCH_NEEDKIT_H

#include "../programs/kit.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define MIB ((double)(1 << 20))

static inline void figure(const char *name, double value) { printf("%s = %.6g\n", name, value); }

static inline double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static inline long faults(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return used.ru_minflt;
}

static inline void pause_ms(unsigned ms)
{
    struct timespec t = {ms / 1000, (long)(ms % 1000) * 1000000};
    nanosleep(&t, NULL);
}

/* A field of smaps_rollup, MiB; read without stdio, which allocates. */
static inline double mib_of(const char *field)
{
    static char text[8192];
    size_t n = 0;
    ssize_t got;
    int fd = open("/proc/self/smaps_rollup", O_RDONLY);
    while (fd >= 0 && (got = read(fd, text + n, sizeof text - 1 - n)) > 0)
        n += (size_t)got;
    if (fd >= 0)
        close(fd);
    text[n] = '\0';
    const char *at = strstr(text, field);
    return at == NULL ? 0 : (double)strtol(at + strlen(field), NULL, 10) / 1024;
}

/* Anonymous memory: code is left out. */
static inline double resident(void) { return mib_of("Anonymous:"); }

/* A table that no allocator sees. */
static inline void *table(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? must(NULL) : p;
}

static inline char *filled(size_t size)
{
    char *p = get(size);
    memset(p, 1, size);
    return p;
}

#endif
