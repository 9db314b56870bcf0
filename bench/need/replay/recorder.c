/* recorder.c - preloaded: writes a trace (trace.h) of the program while it runs, to the file $BENCH_TRACE.PID.
 *
 * Idea: glibc allocates; two counters a call are the cost. A line is written when a class has changed by 64 KiB, or by
 * a 256th of all that is live when that is more, and each 10 ms or so while calls are made. Bytes are usable ones. A
 * child of fork is not recorded, unless it starts another program. A signal handler or a thread that comes while a
 * line is being written writes none: the next change does. */
#define _GNU_SOURCE
#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t), *__libc_valloc(size_t), *__libc_pvalloc(size_t);
extern void __libc_free(void *);

enum { CALLS_A_LOOK = 256, TICK_MS = 10 };

static int out = -1;
static int writing;                          // lock, only tried
static uint64_t start;                       // ms
static long live[CLASSES];                   // any thread, atomic
static long written[CLASSES], far = GRANULE; // of the last line. Relaxed: a line more or less
static uint32_t written_ms;
static unsigned calls;

static uint64_t clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static char *put_number(char *at, uint64_t n, char end)
{
    char digits[20];
    int i = 0;
    do
        digits[i++] = (char)('0' + n % 10);
    while ((n /= 10) != 0);
    while (i > 0)
        *at++ = digits[--i];
    *at++ = end;
    return at;
}

/* At once, and not buffered: a program may be ended at any moment. */
static void write_line(bool tick)
{
    char line[CLASSES * 21 + 21], *at = line;
    int saved = errno;
    if (out < 0 || __atomic_exchange_n(&writing, 1, __ATOMIC_ACQUIRE))
        return;
    uint32_t now = (uint32_t)(clock_ms() - start);
    if (!tick || now - written_ms >= TICK_MS) {
        long all = 0;
        at = put_number(at, now, ' ');
        for (int c = 0; c < CLASSES; c++) {
            long n = __atomic_load_n(&live[c], __ATOMIC_RELAXED);
            all += n;
            __atomic_store_n(&written[c], n, __ATOMIC_RELAXED);
            at = put_number(at, n < 0 ? 0 : (uint64_t)n, c + 1 < CLASSES ? ' ' : '\n');
        }
        __atomic_store_n(&far, all / 256 > GRANULE ? all / 256 : GRANULE, __ATOMIC_RELAXED);
        written_ms = now;
        if (write(out, line, (size_t)(at - line)) < 0)
            out = -1;
    }
    __atomic_store_n(&writing, 0, __ATOMIC_RELEASE);
    errno = saved;
}

static int class_of(size_t n)
{
    int log = n <= 64 ? 4 : 63 - __builtin_clzl(n - 1);
    return (log - 4) / 2 < SPANS ? (log - 4) / 2 : SPANS;
}

static long add(size_t usable, long sign)
{
    return __atomic_add_fetch(&live[class_of(usable)], sign * (long)usable, __ATOMIC_RELAXED);
}

static void *count(void *p, long sign)
{
    if (p == NULL)
        return p;
    size_t n = malloc_usable_size(p);
    int c = class_of(n);
    long now = add(n, sign);
    if (labs(now - __atomic_load_n(&written[c], __ATOMIC_RELAXED)) >= __atomic_load_n(&far, __ATOMIC_RELAXED))
        write_line(false);
    else if (__atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED) % CALLS_A_LOOK == 0)
        write_line(true);
    return p;
}

void *malloc(size_t n) { return count(__libc_malloc(n), 1); }
void *calloc(size_t n, size_t size) { return count(__libc_calloc(n, size), 1); }
void *memalign(size_t align, size_t n) { return count(__libc_memalign(align, n), 1); }
void *aligned_alloc(size_t align, size_t n) { return memalign(align, n); }
void *valloc(size_t n) { return count(__libc_valloc(n), 1); }
void *pvalloc(size_t n) { return count(__libc_pvalloc(n), 1); }
void free(void *p) { __libc_free(count(p, -1)); }

int posix_memalign(void **p, size_t align, size_t n)
{
    if (align < sizeof(void *) || (align & (align - 1)) != 0)
        return EINVAL;
    int saved = errno;
    void *got = memalign(align, n);
    errno = saved;
    if (got == NULL)
        return ENOMEM;
    *p = got;
    return 0;
}

void *realloc(void *p, size_t n)
{
    size_t old = p != NULL ? malloc_usable_size(p) : 0;
    void *q = __libc_realloc(p, n);
    if (old > 0 && (q != NULL || n == 0)) // a failure leaves the old block
        add(old, -1);                     // no line yet: there is no moment at which neither is live
    return count(q, 1);
}

void *reallocarray(void *p, size_t n, size_t size)
{
    size_t bytes;
    if (!__builtin_mul_overflow(n, size, &bytes))
        return realloc(p, bytes);
    errno = ENOMEM;
    return NULL;
}

static void stop(void) { out = -1; }

__attribute__((constructor)) static void begin(void)
{
    char path[4096];
    const char *prefix = getenv("BENCH_TRACE");
    if (prefix == NULL || snprintf(path, sizeof path, "%s.%d", prefix, (int)getpid()) >= (int)sizeof path)
        return;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    start = clock_ms();
    pthread_atfork(NULL, NULL, stop);
    out = fcntl(fd, F_DUPFD_CLOEXEC, 400); // not among those that programs expect to be free
    if (out >= 0)
        close(fd);
    else
        out = fd;
}

__attribute__((destructor)) static void end(void) { write_line(false); }
