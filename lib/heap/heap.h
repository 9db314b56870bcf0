/* heap.h - the raw heap as a whole: routes a request to a thread's magazines, the slabs or the extents, and tries again
 * when memory runs out.
 *
 *   tmi_heap_malloc ── fast ─→ magazine of this thread
 *        └─ slow ─→ tmi_heap_alloc ─→ magazine ─→ depot ─→ slabs ─→ space ─→ kernel
 *                        ├─ over 32 KiB ─→ shelf of this thread ─→ medium ─→ space ─→ kernel
 *                        └─ over 256 KiB → large ──────────────────────────→ space ─→ kernel
 *   tmi_heap_free_fast ─ fast ─→ magazine
 *        └─ slow ─→ tmi_heap_free ─→ magazine ─→ depot ─→ slabs ...        and the pacer, which purges
 *
 * Works before constructors (early.h) and after destructors, in any thread, except inside a signal handler that
 * interrupted it. Failure is NULL with errno ENOMEM, after all caches have been flushed and the request has been tried
 * again; success and free leave errno unchanged. Misuse is reported with the name of the called function, then the
 * process aborts. */
#ifndef TMI_HEAP_HEAP_H
#define TMI_HEAP_HEAP_H

#include "heap/early.h"
#include "threads/thread.h"

/* Make the heap ready. Idempotent; every slow path calls it. */
void tmi_heap_init(void);

/* The slow path of malloc: any size, any state. */
void *tmi_heap_alloc(size_t size) TMI_NOINLINE;

/* Allocate a block aligned to `align`. The caller has verified that it is a power of two. */
void *tmi_heap_alloc_aligned(size_t align, size_t size);

/* malloc for a function that does more after the call: `frame` is its __builtin_frame_address(0). `align` 1: the
 * alignment of malloc. */
void *tmi_heap_alloc_for(size_t size, size_t align, void *frame) TMI_NOINLINE;

/* Record a block that is about to be handed out as a sample. At a new peak this may write a profile. */
void tmi_heap_sampled(tmi_sampler_t *sampler, uint64_t key, size_t size, void *frame);

/* Begin or end to count allocations for the samples: see heap_watched.c. */
void tmi_heap_watch(bool on) TMI_COLD;

/* Start guarding one in `interval` allocations, see sentry.h. Returns 0 or ENOMEM. Guarded blocks do not belong to the
 * heap: tmi_heap_free returns false for them. */
int tmi_heap_guard(uint32_t interval) TMI_COLD;

/* Allocate a zeroed block. Does not touch pages that are fresh from the kernel. */
void *tmi_heap_alloc_zeroed(size_t size);

/* The slow path of free. False: p is not of this heap. Does nothing and returns true for NULL. */
bool tmi_heap_free(void *p, const char *function) TMI_NOINLINE;

/* Whether p lies in a slab or extent of this heap. */
static inline bool tmi_heap_owns(const void *p) { return tmi_pagemap_code(p) != 0; }

/* realloc, for p of this heap and size > 0. */
void *tmi_heap_realloc(void *p, size_t size, const char *function);

/* Usable bytes of a block of this heap. A pointer that is no block is reported. */
size_t tmi_heap_usable(const void *p, const char *function);

/* Flush caches and purge all empty pages except `pad` bytes. True if memory was returned to the kernel. Other threads
 * flush their caches at their next free. */
bool tmi_heap_trim(size_t pad);

/* The fast path of malloc. NULL: take the slow path. */
TMI_INLINE void *tmi_heap_pop(size_t size)
{
    if (TMI_UNLIKELY(size >= tmi_load_foldable(&tmi_heap_tiny)))
        return NULL;
    char *self = (char *)tmi_self_;
    ptrdiff_t cache = (ptrdiff_t)offsetof(tmi_thread_t, cache) - (ptrdiff_t)offsetof(tmi_thread_t, pins);
    return tmi_cache_pop(self, cache, *(const uint8_t *)(self + cache + offsetof(tmi_cache_t, codes) + size));
}

TMI_INLINE void *tmi_heap_malloc(size_t size)
{
    void *p = tmi_heap_pop(size);
    return TMI_LIKELY(p != NULL) ? p : tmi_heap_alloc(size);
}

/* False: call tmi_heap_free. */
TMI_INLINE bool tmi_heap_free_fast(void *p)
{
    uintptr_t spot = tmi_pagemap_spot(p);
    if (TMI_UNLIKELY(spot >= tmi_pagemap.limit)) // foreign, misaligned, in another window, or before the first malloc
        return false;
    // relaxed: see pagemap.h
    return tmi_cache_push(&tmi_self()->cache, tmi_load_relaxed(&tmi_pagemap.codes[spot >> TMI_SPOTS_SHIFT]), p);
}

#endif
