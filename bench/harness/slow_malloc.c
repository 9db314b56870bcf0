/* slow_malloc.c - an allocator that is slow on purpose: the control of the measurements.
 *
 * Idea: every function spins for a fixed number of steps, then calls the next definition of the same function. If a
 * harness does not measure this allocator as slow, it does not measure the allocator.
 *
 * S1  All functions call the same next allocator, so each block is freed by the allocator that made it.
 * S2  Requests made by dlsym itself are served from a small static buffer, and are never freed. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { SPIN_STEPS = 1200, EARLY_BYTES = 65536 };

static struct {
    void *(*malloc)(size_t);
    void *(*calloc)(size_t, size_t);
    void *(*realloc)(void *, size_t);
    void (*free)(void *);
    void *(*memalign)(size_t, size_t);
    size_t (*usable)(void *);
} next;

static _Alignas(16) char early[EARLY_BYTES];
static size_t early_used;

static void spin(void)
{
    for (volatile int i = 0; i < SPIN_STEPS; i++)
        ;
}

static void *early_alloc(size_t size)
{
    size_t at = early_used;
    size = (size + 15) & ~(size_t)15;
    if (size > EARLY_BYTES - at)
        return NULL;
    early_used = at + size;
    return early + at;
}

static int is_early(const void *p)
{
    return (uintptr_t)p - (uintptr_t)early < EARLY_BYTES;
}

#define FIND(field, name) *(void **)&next.field = dlsym(RTLD_NEXT, name)

__attribute__((constructor)) static void find_next(void)
{
    if (next.malloc)
        return;
    FIND(calloc, "calloc");
    FIND(realloc, "realloc");
    FIND(free, "free");
    FIND(memalign, "memalign");
    FIND(usable, "malloc_usable_size");
    FIND(malloc, "malloc"); /* last: once it is found, all others are, too */
}

static int ready(void)
{
    static __thread int busy __attribute__((tls_model("initial-exec")));
    if (!next.malloc && !busy) {
        busy = 1;
        find_next();
        busy = 0;
    }
    return next.malloc != NULL;
}

void *malloc(size_t size)
{
    spin();
    return ready() ? next.malloc(size) : early_alloc(size);
}

void *calloc(size_t n, size_t size)
{
    spin();
    return ready() ? next.calloc(n, size) : early_alloc(n * size);
}

void free(void *p)
{
    spin();
    if (!is_early(p) && ready())
        next.free(p);
}

void *realloc(void *p, size_t size)
{
    spin();
    if (!ready() || !is_early(p))
        return ready() ? next.realloc(p, size) : early_alloc(size);
    void *q = next.malloc(size);
    size_t left = (size_t)(early + EARLY_BYTES - (char *)p);
    return q ? memcpy(q, p, size < left ? size : left) : NULL;
}

void *memalign(size_t alignment, size_t size)
{
    spin();
    return ready() ? next.memalign(alignment, size) : NULL;
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
    if (alignment % sizeof(void *) || !alignment || (alignment & (alignment - 1)))
        return EINVAL;
    void *p = memalign(alignment, size);
    if (!p)
        return ENOMEM;
    *out = p;
    return 0;
}

size_t malloc_usable_size(void *p)
{
    return !p || is_early(p) ? 0 : next.usable(p);
}
