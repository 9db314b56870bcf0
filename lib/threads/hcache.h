/* hcache.h - a thread's magazines of handles: free slots of the movable arena, each with a reserved index.
 *
 * Idea: tm_alloc pops a handle and sets *live* in its word. tm_free clears *live* and pushes the next handle of the
 * same index. Neither takes a lock; free's compare-and-swap is the only atomic read-modify-write. An empty magazine
 * takes slots and indices, a full one returns the older half.
 *
 *   buffer   0 | handle | handle |        |
 *             bottom            top      limit
 *
 * N1  buffer[0] is 0 and ends the magazine; bottom = buffer + 1 <= top <= limit = bottom + capacity, or both are those
 *     of an empty one.
 * N2  The word of a handle in a magazine is reserved: not live, with the handle's generation and the address of a slot
 *     of the magazine's class.
 * N3  The owner sets `busy` before it reads `current`, and clears it when it has finished with the magazines.
 *
 * N4  `hand` moves on by one class at each refill or flush of any class. A class that has had none in a whole round
 *     gives its slots back: sizes that a program no longer uses would otherwise keep theirs.
 *
 * Slots in the magazines of a sleeping thread would prevent the release of emptied slabs. So the mover may *claim* a
 * cache, by the asymmetry that pins have: it makes `current` point to magazines that serve nothing, has all threads
 * fence, and then reads `busy`. If the owner is inside, the mover leaves the cache alone. If not, the owner finds the
 * empty magazines at its next call and uses the slabs, without waiting (hcache.md, tests/model/claim.pml).
 *
 * Owner: the cache's thread; while the cache is claimed and not busy, the mover. Fails: as the slabs do. */
#ifndef TMI_THREADS_HCACHE_H
#define TMI_THREADS_HCACHE_H

#include "slabs/handle.h"
#include "slabs/movable.h"

typedef struct tmi_hmagazine {
    tm_handle_t *top, *limit;
} tmi_hmagazine_t;

typedef struct tmi_hmagazines {
    // those of extents and of watched slabs are always full: frees there take the slow path
    tmi_hmagazine_t magazine[TMI_MCODE_COUNT];
    uint8_t batch[TMI_MCLASS_COUNT];       // slots to take at the next refill
    bool active[TMI_MCLASS_COUNT];         // N4: refilled or flushed since `hand` was at this class
    uint8_t hand;
    tm_handle_t *buffers[TMI_MCLASS_COUNT];
    // room for buffers, in the pages after this record; all zeroes while all magazines are empty
    tm_handle_t *room;
} tmi_hmagazines_t;

typedef struct tmi_hcache {
    tmi_hmagazines_t *current; // own, or tmi_hcache_none: claimed, or not made yet
    tmi_hmagazines_t *own;     // NULL until the thread's first use of handles
    uint32_t busy;             // N3
} tmi_hcache_t;

/* Magazines that are always empty, and full. */
extern tmi_hmagazines_t tmi_hcache_none;
/* The same, while allocations are sampled, in the place of a cache's own magazines: fast paths fail, and slow paths use
 * `own`. */
extern tmi_hmagazines_t tmi_hcache_watched;

/* Make all new caches watched ones, or end that. The caller holds the mover's lock. Existing caches change when each is
 * unclaimed. */
void tmi_hcache_watch_all(bool on);

/* Make the magazines. False: no memory; the cache then serves nothing. */
bool tmi_hcache_make(tmi_hcache_t *cache);

/* Take a reserved handle of a class, from the magazine or the slabs. TM_NULL: out of memory. `cache` NULL: from the
 * slabs. */
tm_handle_t tmi_hcache_alloc(tmi_hcache_t *cache, unsigned cls);
/* The same, but in the slab of the object at `at`, which the caller has pinned, and near it: in its OS page if the
 * magazine has a slot there, or else the slab's nearest free slot. TM_NULL: there is none. */
tm_handle_t tmi_hcache_alloc_near(tmi_hcache_t *cache, unsigned cls, const char *at);
/* Return a reserved handle. */
void tmi_hcache_free(tmi_hcache_t *cache, unsigned cls, tm_handle_t h);

/* Called by the owner: give all slots and indices back to the slabs. Leaves a claimed cache to the mover. Returns the
 * number of slots. */
size_t tmi_hcache_flush(tmi_hcache_t *cache);

/* Claiming, see above. One caller at a time claims, makes all threads fence, and then flushes. */
void tmi_hcache_claim(tmi_hcache_t *cache);
size_t tmi_hcache_flush_claimed(tmi_hcache_t *cache);
void tmi_hcache_unclaim(tmi_hcache_t *cache);

/* The number of handles of a class in this cache. Any thread. */
size_t tmi_hcache_count(const tmi_hcache_t *cache, unsigned cls);

/* Called by the owner: the magazines, which it may use until tmi_hcache_end. */
static inline tmi_hmagazines_t *tmi_hcache_begin(tmi_hcache_t *cache)
{
    tmi_store_relaxed(&cache->busy, 1);       // [model: claim_busy] before `current` is looked at; pairs: claim_fence
    tmi_fence_signal();
    return tmi_load_acquire(&cache->current); // [model: claim_current] pairs: claim_undo
}

// [model: claim_end] pairs: claim_look
static inline void tmi_hcache_end(tmi_hcache_t *cache) { tmi_store_release(&cache->busy, 0); }

/* What tm_alloc tries: TM_NULL for an empty magazine or a claimed cache. `offset` is the class less one, times 16. */
static inline tm_handle_t tmi_hcache_pop(tmi_hcache_t *cache, size_t offset)
{
    char *first = (char *)&tmi_hcache_begin(cache)->magazine[1];
    tm_handle_t h = ((tmi_hmagazine_t *)(void *)(first + tmi_anew(offset)))->top[-1];
    if (TMI_LIKELY(h != TM_NULL))
        // other threads' statistics read it
        tmi_step_foldable(&((tmi_hmagazine_t *)(void *)(first + tmi_anew(offset)))->top, -1);
    tmi_hcache_end(cache);
    return h;
}

/* What tm_free tries: false for a full magazine or a claimed cache. `code` is the class times two. */
static inline bool tmi_hcache_push(tmi_hcache_t *cache, size_t code, tm_handle_t h)
{
    char *none = (char *)&tmi_hcache_begin(cache)->magazine[0];
    tm_handle_t *top = tmi_load_relaxed(&((tmi_hmagazine_t *)(void *)(none + tmi_anew(code) * 8))->top);
    bool ok = top < ((tmi_hmagazine_t *)(void *)(none + tmi_anew(code) * 8))->limit;
    if (TMI_LIKELY(ok)) {
        *top = h;
        tmi_step_foldable(&((tmi_hmagazine_t *)(void *)(none + tmi_anew(code) * 8))->top, 1);
    }
    tmi_hcache_end(cache);
    return ok;
}

/* The same two while allocations are sampled: what the slow paths of tm_alloc and tm_free try first. They fail, too,
 * when the cache is not watched, as its owner finds when it is claimed. */
tm_handle_t tmi_hcache_pop_watched(tmi_hcache_t *cache, unsigned cls);
bool tmi_hcache_push_watched(tmi_hcache_t *cache, size_t code, tm_handle_t h);

_Static_assert(sizeof(tmi_hmagazine_t) == 16, "a class times 16 is the offset of its magazine");

#endif
