/* hcache.h - a thread's magazines of handles: free slots of the movable arena, each bound to an index.
 *
 * Idea: tm_alloc pops a handle and sets *live* in its word, tm_free clears it and pushes the handle that the next life will have. No lock, and no
 * read-modify-write but the compare-and-swap of free. An empty magazine takes slots and indices, a full one gives the older half back.
 *
 *   buffer   0 | handle | handle |        |
 *             bottom            top      limit
 *
 * N1  buffer[0] is 0 and ends the magazine; bottom = buffer + 1 <= top <= limit = bottom + capacity, or both are those of an empty one.
 * N2  The word of a handle in a magazine is bound: not live, its generation, and the address of a slot of the magazine's class.
 * N3  The owner sets busy before it looks at `claimed` or a magazine, and clears it when the magazines are at rest.
 *
 * Slots in the magazines of a thread that sleeps would keep emptied slabs from the kernel. So the mover may *claim* a cache, by the
 * asymmetry that pins have: it sets `claimed`, has everybody fence, and then looks at `busy`. Either the owner was seen inside, and the
 * cache is left alone, or it will see `claimed` when it comes, and takes the slow path, to the slabs, without waiting.
 *
 * Owner: its thread; while claimed and not busy, who claimed it. Fails: as the stores do. */
#ifndef TMI_THREADS_HCACHE_H
#define TMI_THREADS_HCACHE_H

#include "stores/handle.h"
#include "stores/movable.h"

typedef struct tmi_hmagazine {
    tm_handle_t *top, *limit;
} tmi_hmagazine_t;

typedef struct tmi_hcache {
    tmi_hmagazine_t magazines[TMI_MCLASS_COUNT];
    uint32_t busy, claimed;                // N3
    uint32_t exchanges;                    // with the stores, so far
    uint8_t batch[TMI_MCLASS_COUNT];       // slots to take at the next refill
    tm_handle_t *buffers[TMI_MCLASS_COUNT];
} tmi_hcache_t;

/* Serves nothing, for threads that have not used handles. */
extern tmi_hcache_t tmi_hcache_none;

/* NULL: no memory. */
tmi_hcache_t *tmi_hcache_make(void);

/* A bound handle of a class, from the magazine or the stores. TM_NULL: out of memory. `cache` NULL: from the stores. */
tm_handle_t tmi_hcache_alloc(tmi_hcache_t *cache, unsigned cls);
/* Take a bound handle back. */
void tmi_hcache_free(tmi_hcache_t *cache, unsigned cls, tm_handle_t h);

/* The owner gives all slots and indices back to the stores; a claimed cache is left to who claimed it. */
size_t tmi_hcache_flush(tmi_hcache_t *cache);

void tmi_hcache_claim(tmi_hcache_t *cache);
size_t tmi_hcache_flush_claimed(tmi_hcache_t *cache);
void tmi_hcache_unclaim(tmi_hcache_t *cache);

/* Handles of a class in this cache; any thread may ask. */
size_t tmi_hcache_count(const tmi_hcache_t *cache, unsigned cls);

/* Owner: between these the magazines may be used, if begin says so. */
static inline bool tmi_hcache_begin(tmi_hcache_t *cache)
{
    tmi_store_relaxed(&cache->busy, 1);           // before `claimed` is looked at; pairs: the fence in tmi_thread_claim_caches
    tmi_fence_signal();
    return !tmi_load_acquire(&cache->claimed);    // pairs: tmi_hcache_unclaim
}

static inline void tmi_hcache_end(tmi_hcache_t *cache) { tmi_store_release(&cache->busy, 0); } // pairs: tmi_hcache_flush_claimed

/* What tm_alloc tries: TM_NULL for an empty magazine or a claimed cache. */
static inline tm_handle_t tmi_hcache_pop(tmi_hcache_t *cache, unsigned cls)
{
    tm_handle_t h = TM_NULL;
    if (TM_LIKELY(tmi_hcache_begin(cache))) {
        tmi_hmagazine_t *m = &cache->magazines[cls];
        h = m->top[-1];
        if (TM_LIKELY(h != TM_NULL))
            tmi_store_relaxed(&m->top, m->top - 1); // statistics of others read it
    }
    tmi_hcache_end(cache);
    return h;
}

/* What tm_free tries: false for a full magazine or a claimed cache. */
static inline bool tmi_hcache_push(tmi_hcache_t *cache, unsigned cls, tm_handle_t h)
{
    bool ok = false;
    if (TM_LIKELY(tmi_hcache_begin(cache))) {
        tmi_hmagazine_t *m = &cache->magazines[cls];
        ok = m->top < m->limit;
        if (TM_LIKELY(ok)) {
            *m->top = h;
            tmi_store_relaxed(&m->top, m->top + 1);
        }
    }
    tmi_hcache_end(cache);
    return ok;
}

#endif
