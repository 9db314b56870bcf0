/* bench.c - the pool beside a first-fit list, a best-fit list and glibc, on the same trace.
 *
 * The trace is that of a small server: messages of sizes that change with the time of day come and go at random, and
 * the buffer is filled to four fifths. Each allocator replays it from memory; an allocation that fails is skipped
 * there, with its free. Prints one line an allocator: name, ns for an operation, failed allocations, bytes that can be
 * allocated in one piece after the churn. With a file name writes the strips of first fit and pool to it, at the first
 * allocation that first fit fails. */
#define _POSIX_C_SOURCE 199309L
#include "lists.h"
#include "tinymem/tinymem_pool.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BUFFER = 262144, SLOTS = 2000, OPERATIONS = 400000 };

typedef struct operation {
    unsigned slot, size; /* size 0: free */
} operation_t;

static operation_t trace[OPERATIONS];
static unsigned char buffer[BUFFER] TM_POOL_BUFFER;
static tm_pool_t *const pool = (tm_pool_t *)buffer;
static void *pointers[SLOTS];
static tm_pool_handle_t handles[SLOTS];
static unsigned long failed;
static unsigned state = 7;

static unsigned draw(unsigned below)
{
    state = state * 1664525u + 1013904223u;
    return (unsigned)(((uint64_t)state * below) >> 32);
}

static void make_trace(void)
{
    static unsigned sizes[SLOTS];
    size_t live = 0, count = 0, i;
    for (i = 0; i < OPERATIONS; i++) {
        unsigned slot = draw(SLOTS), centre = 160 + (unsigned)(i / 2000 * 48 % 480);
        operation_t *o = &trace[i];
        bool shrink = live > BUFFER * 4 / 5 - 1024 || count > SLOTS * 3 / 4;
        while ((sizes[slot] == 0) == shrink)
            slot = (slot + 1) % SLOTS;
        o->slot = slot;
        o->size = sizes[slot] ? 0 : centre / 2 + draw(centre);
        live += o->size;
        live -= sizes[slot];
        sizes[slot] = o->size;
        count += o->size ? 1 : (size_t)-1;
    }
}

/* ---- allocators: replay operation o, false if it fails ----------------------------------------------------------- */

static bool with_pool(const operation_t *o)
{
    tm_pool_handle_t *h = &handles[o->slot];
    if (o->size == 0) {
        if (*h != 0)
            tm_pool_free(pool, *h);
        *h = 0;
        return true;
    }
    *h = tm_pool_alloc(pool, o->size);
    if (*h != 0)
        *(char *)tm_pool_at16(pool, *h) = 1;
    return *h != 0;
}

static bool with_steps(const operation_t *o)
{
    tm_pool_compact_step(pool, 1024, 0);
    return with_pool(o);
}

static bool with_list(const operation_t *o)
{
    void **p = &pointers[o->slot];
    if (o->size == 0) {
        list_free(*p);
        *p = NULL;
        return true;
    }
    *p = list_alloc(o->size);
    if (*p)
        *(char *)*p = 1;
    return *p != NULL;
}

static bool with_glibc(const operation_t *o)
{
    void **p = &pointers[o->slot];
    if (o->size == 0) {
        free(*p);
        *p = NULL;
        return true;
    }
    *p = malloc(o->size);
    *(char *)*p = 1;
    return true;
}

static void make_pool(unsigned options)
{
    tm_pool_config_t c = {0};
    c.handles = SLOTS;
    c.block_size = 8;
    c.options = options;
    if (tm_pool_init(buffer, sizeof buffer, &c) != TM_POOL_OK)
        exit(2);
    memset(handles, 0, sizeof handles);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double replay(bool (*with)(const operation_t *))
{
    double since = seconds();
    failed = 0;
    for (size_t i = 0; i < OPERATIONS; i++)
        failed += !with(&trace[i]);
    return (seconds() - since) * 1e9 / OPERATIONS;
}

static void report(const char *name, double ns, long largest)
{
    printf("%s\t%.0f\t%lu\t", name, ns, failed);
    if (largest < 0)
        printf("-\n");
    else
        printf("%ld\n", largest);
}

static long pool_largest(void)
{
    tm_pool_stats_t s;
    tm_pool_stats(pool, &s);
    return (long)(s.largest * s.block_size);
}

static void write_text(void *context, const char *text, size_t length) { fwrite(text, 1, length, context); }

/* The strips at the first allocation that a first-fit list fails. */
static void draw_strips(const char *name)
{
    FILE *f = fopen(name, "w");
    size_t i, at;
    if (f == NULL)
        exit(2);
    memset(pointers, 0, sizeof pointers);
    list_init(buffer, sizeof buffer, false);
    for (at = 0; at < OPERATIONS && with_list(&trace[at]); at++) {
    }
    fprintf(f, "first fit: operation %zu asks for %u bytes; the longest of its free pieces has %zu\n", at,
            trace[at].size, list_largest());
    list_dump(256, write_text, f);
    make_pool(0);
    for (i = 0; i < at; i++)
        with_pool(&trace[i]);
    fprintf(f, "pool, before the same operation\n");
    tm_pool_dump(pool, 256, write_text, f);
    tm_pool_compact(pool);
    with_pool(&trace[at]);
    fprintf(f, "pool, compacted: %u bytes allocated; the longest free piece has %ld\n", trace[at].size, pool_largest());
    tm_pool_dump(pool, 256, write_text, f);
    fclose(f);
}

int main(int argc, char **argv)
{
    double ns;
    make_trace();
    make_pool(TM_POOL_COMPACT);
    ns = replay(with_pool);
    tm_pool_compact(pool);
    report("pool, compacts when it must", ns, pool_largest());
    make_pool(TM_POOL_COMPACT);
    ns = replay(with_steps);
    report("pool, a step of 1 KiB each time", ns, pool_largest());
    make_pool(0);
    ns = replay(with_pool);
    report("pool, never compacted", ns, pool_largest());
    memset(pointers, 0, sizeof pointers);
    list_init(buffer, sizeof buffer, false);
    ns = replay(with_list);
    report("first-fit list", ns, (long)list_largest());
    memset(pointers, 0, sizeof pointers);
    list_init(buffer, sizeof buffer, true);
    ns = replay(with_list);
    report("best-fit list", ns, (long)list_largest());
    memset(pointers, 0, sizeof pointers);
    report("glibc malloc, memory without bound", replay(with_glibc), -1);
    if (argc > 1)
        draw_strips(argv[1]);
    return 0;
}
