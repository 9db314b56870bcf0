/* malloc.c - the four hot entry points, and their __libc names. */
#include "preload.h"

#include <errno.h>
#include <stdlib.h>

void *__libc_malloc(size_t size);
void __libc_free(void *p);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);

__attribute__((used)) static void (*const keep_start)(void) = tmi_start_anchor;

TMI_EXPORT void *malloc(size_t size) { return tmi_heap_malloc(size); }

/* Out of line, so that free's fast path saves no registers. */
static TMI_NOINLINE void free_slow(void *p)
{
    if (!tmi_heap_free(p, "free"))
        tmi_foreign_free(p, "free");
}

TMI_EXPORT void free(void *p)
{
    if (TMI_UNLIKELY(!tmi_heap_free_fast(p)))
        free_slow(p);
}

TMI_EXPORT void *calloc(size_t n, size_t size)
{
    size_t total;
    if (TMI_UNLIKELY(__builtin_mul_overflow(n, size, &total))) {
        errno = ENOMEM;
        return NULL;
    }
    return tmi_heap_alloc_zeroed(total);
}

TMI_EXPORT void *realloc(void *p, size_t size)
{
    if (TMI_UNLIKELY(p == NULL))
        return tmi_heap_malloc(size);
    if (TMI_UNLIKELY(size == 0)) {
        tmi_preload_free(p, "realloc");
        return NULL;
    }
    return TMI_LIKELY(tmi_heap_owns(p)) ? tmi_heap_realloc(p, size, "realloc") : tmi_foreign_realloc(p, size);
}

void *__libc_malloc(size_t size) TMI_ALIAS(malloc);
void __libc_free(void *p) TMI_ALIAS(free);
void *__libc_calloc(size_t n, size_t size) TMI_ALIAS(calloc);
void *__libc_realloc(void *p, size_t size) TMI_ALIAS(realloc);
