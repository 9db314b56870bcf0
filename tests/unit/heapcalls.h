/* heapcalls.h - the heap as malloc's callers see it, without being malloc: what preload/ does with these functions. */
#ifndef TESTS_UNIT_HEAPCALLS_H
#define TESTS_UNIT_HEAPCALLS_H

#include "heap/heap.h"

#include <stdlib.h>

static inline void *h_malloc(size_t size) { return tmi_heap_malloc(size); }
static inline void *h_calloc(size_t size) { return tmi_heap_alloc_zeroed(size); }
static inline void *h_aligned(size_t align, size_t size)
{
    return tmi_heap_alloc_aligned(align < 16 ? 16 : align, size);
}

static inline void h_free(void *p)
{
    if (!tmi_heap_free_fast(p) && !tmi_heap_free(p, "free"))
        abort(); // all blocks in these tests are the heap's
}

/* size > 0 */
static inline void *h_realloc(void *p, size_t size)
{
    return p ? tmi_heap_realloc(p, size, "realloc") : tmi_heap_malloc(size);
}

static inline size_t h_usable(const void *p) { return tmi_heap_usable(p, "malloc_usable_size"); }

#endif
