#include "heap/heap_impl.h"
#include "heap/guard.h"
#include "heap/tally.h"
#include "os/counters.h"
#include "os/options.h"
#include "os/os.h"
#include "os/report.h"
#include "sampling/samples.h"
#include "sampling/sentry.h"
#include "sampling/stack.h"
#include "segments/segment.h"
#include "slabs/large.h"
#include "slabs/medium.h"
#include "slabs/mixed.h"
#include "slabs/raw.h"
#include "threads/pacer.h"

#include <errno.h>
#include <string.h>

static void *from_medium(tmi_thread_t *t, size_t size, size_t align, bool zero)
{
    bool dirty = true;
    unsigned cls = tmi_medium_class(size, align);
    void *p = t != NULL ? tmi_shelf_take(&t->shelf, cls) : NULL;
    if (p == NULL)
        p = tmi_medium_take(cls, align > tmi_os_page_size, &dirty);
    return p != NULL && zero && dirty ? memset(p, 0, size) : p;
}

/* How a block is requested. GROWING: by realloc, for a block that has outgrown its place. It is likely to grow again,
 * and an extent can grow in place. */
enum { PLAIN = 0, ZEROED = 1, GROWING = 2 };

/* If there is no address space for a medium slab, the block may still fit as an extent of its own. */
static void *from_medium_or_large(tmi_thread_t *t, size_t size, size_t align, unsigned how)
{
    void *p = NULL;
    if (tmi_medium_serves(size, align) && !(how & GROWING))
        p = from_medium(t, size, align, how & ZEROED);
    return p != NULL ? p : tmi_large_alloc(size, align, how & ZEROED);
}

/* A zeroed slot of at least a page: from the magazine or the depot, if they have one; otherwise from a slab, where the
 * untouched part of the slot is known and need not be cleared. */
static void *zeroed_slot(tmi_thread_t *t, unsigned cls, size_t size)
{
    if (t != NULL && (t->cache.magazines[cls].top[-1] != NULL || tmi_depot_count(cls) > 0)) {
        void *p = tmi_cache_alloc(&t->cache, cls);
        return p != NULL ? memset(p, 0, size) : NULL;
    }
    size_t zero_from = 0;
    void *p = tmi_raw_take_zeroed(cls, &zero_from);
    return p ? memset(p, 0, tmi_min(size, zero_from)) : NULL;
}

static void *from_stores(tmi_thread_t *t, size_t size, size_t align, unsigned how)
{
    if (TMI_UNLIKELY(tmi_heap_full_check))
        return tmi_guard_alloc(size, align, how & ZEROED);
    if (size > TMI_SMALL_MAX || align > TMI_SMALL_MAX)
        return from_medium_or_large(t, size, align, how);
    unsigned cls = align <= 16 && (align <= 8 || size > 8) ? tmi_class_of(size) : tmi_class_of_aligned(size, align);
    void *p = NULL;
    if ((how & ZEROED) && size >= tmi_os_page_size)
        return zeroed_slot(t, cls, size);
    if (t != NULL)
        p = tmi_cache_alloc(&t->cache, cls);
    else
        (void)tmi_raw_take(cls, &p, 1);
    return p && (how & ZEROED) ? memset(p, 0, size) : p;
}

/* Out of memory: flush the thread's caches, purge all empty pages, unmap clean segments, and try once more. */
static TMI_COLD void *retry(tmi_thread_t *t, size_t size, size_t align, unsigned how)
{
    if (tmi_os_impossible(size) || tmi_os_impossible(align))
        return NULL; // no memory can serve such a size, so caches are not flushed
    if (t != NULL)
        tmi_thread_flush(t);
    (void)tmi_pacer_purge_all();
    (void)tmi_space_unmap();
    return from_stores(t, size, align, how);
}

static void serve_summons(tmi_thread_t *t)
{
    tmi_store_relaxed(&t->cache.summoned, 0); // before the flush: a summons that comes during it must not be lost
    tmi_thread_flush(t);
    tmi_cache_ration(&t->cache, tmi_load_acquire(&tmi_sampling)); // pairs: tmi_samples_start
    tmi_cache_disarm(&t->cache);
}

/* The slow path. On success errno is unchanged: the system calls and libc functions used here preserve it. */
static TMI_NOINLINE void *allocate_now(size_t size, size_t align, unsigned how)
{
    tmi_heap_init();
    tmi_thread_t *t = tmi_thread_or_null();
    void *p = NULL;
    if (TMI_LIKELY(size <= PTRDIFF_MAX && align <= PTRDIFF_MAX)) {
        p = from_stores(t, size, align, how);
        if (TMI_UNLIKELY(p == NULL))
            p = retry(t, size, align, how);
    }
    if (TMI_UNLIKELY(p == NULL)) {
        tmi_count(failures, 1);
        errno = ENOMEM;
        return NULL;
    }
    if (TMI_UNLIKELY(tmi_options.stats == TMI_STATS_ON))
        tmi_tally_alloc(t, tmi_heap_usable(p, "malloc"));
    tmi_pacer_allocated();
    return p;
}

/* A slot from the thread's magazine, or a block from its shelf. NULL: none, or the record serves nothing. */
static inline void *from_record(tmi_thread_t *t, size_t size)
{
    if (size > TMI_MEDIUM_MAX || TMI_UNLIKELY(t->cache.codes[TMI_TINY_MAX] == 0))
        return NULL;
    if (size <= TMI_SMALL_MAX)
        return tmi_cache_pop_at(&t->cache.magazines->top, tmi_class_of(size) * 2);
    return tmi_shelf_take(&t->shelf, tmi_medium_class(size, 1));
}

/* Whether the heap is not ready yet, or allocations are counted. */
static inline bool is_watched(void) { return TMI_UNLIKELY(tmi_load_relaxed(&tmi_heap_tiny) < TMI_HEAP_TINY); }

/* A slot from the thread's ration. NULL: take the rest of the slow path. */
static inline void *from_ration(tmi_thread_t *t, size_t size, unsigned how, void *frame)
{
    bool hit = false;
    unsigned cls = tmi_class_of(size);
    void *p = tmi_cache_alloc_rationed(&t->cache, cls, &t->sampler, &hit);
    if (p == NULL)
        return NULL;
    tmi_pacer_allocated();
    if (TMI_UNLIKELY(hit) && tmi_samples_keep(&t->sampler, size, tmi_classes[cls].size))
        tmi_heap_enter_sample(t, p, size, frame);
    return how & ZEROED ? memset(p, 0, size) : p;
}

/* A guarded block, if this allocation is due to be guarded. */
static TMI_NOINLINE void *allocate_guarded(size_t size, size_t align, void *frame)
{
    tmi_thread_t *t = tmi_thread_or_null();
    if (t == NULL || !tmi_sentry_count(&t->guard_left))
        return NULL;
    void *p = tmi_sentry_alloc(&t->guard_left, size, align, frame);
    if (p != NULL && TMI_UNLIKELY(tmi_options.stats == TMI_STATS_ON))
        tmi_tally_alloc(t, size);
    return p;
}

/* The slow path before the heap is ready, and while allocations are counted for samples or guarded blocks. */
static TMI_NOINLINE void *allocate_watched(size_t size, size_t align, unsigned how, void *frame)
{
    if (tmi_load_relaxed(&tmi_heap_tiny) == 0 && !tmi_early_is_over())
        return tmi_early_alloc(size, align);
    tmi_thread_t *t = tmi_self();
    bool sampling = tmi_load_acquire(&tmi_sampling); // pairs: tmi_samples_start
    void *p = tmi_sentry_on() ? allocate_guarded(size, align, frame) : NULL;
    if (p == NULL && TMI_LIKELY(t->cache.rationed) && align == 1 && size < TMI_HEAP_TINY_WATCHED) {
        p = from_ration(t, size, how, frame);
        if (TMI_LIKELY(p != NULL))
            return p;
    }
    if (p == NULL && how == PLAIN && align == 1)
        p = from_record(t, size);
    if (p == NULL)
        p = allocate_now(size, align, how);
    t = tmi_self();
    if (!t->ready)
        return p;
    if (TMI_UNLIKELY(t->cache.rationed != sampling))
        tmi_cache_ration(&t->cache, sampling);
    if (p != NULL && sampling && tmi_samples_count(&t->sampler, size))
        tmi_heap_enter_sample(t, p, size, frame);
    return p;
}

/* Entered by jumps only, so that the frame pointer is that of the program's function. */
static TMI_NOINLINE void *allocate_framed(size_t size, size_t align, unsigned how)
{
    return (void *)tmi_stack_kept((size_t)allocate_watched(size, align, how, __builtin_frame_address(0)));
}

/* While allocations are counted for guarded blocks: count this one, and take the slot that the fast path would take.
 * NULL: there is none, or this allocation is due to be guarded. */
static inline void *count_and_take(size_t size)
{
    tmi_thread_t *t = tmi_self();
    uint32_t left = t->guard_left;
    if (left <= 1)
        return NULL;
    void *p = TMI_LIKELY(size <= TMI_TINY_MAX)
                  ? tmi_cache_pop((char *)t, offsetof(tmi_thread_t, cache), t->cache.codes[size])
                  : from_record(t, size);
    if (TMI_LIKELY(p != NULL)) // otherwise the slow path counts it
        t->guard_left = left - 1;
    return p;
}

/* Relaxed: a thread that sees the change late begins to count late. */
static inline bool is_counting(void) { return tmi_load_relaxed(&tmi_heap_counting); }

/* malloc of a tiny size while allocations are counted for guarded blocks. Must make no frame: see allocate_framed. */
static TMI_NOINLINE void *alloc_counted(size_t size)
{
    void *p = size <= TMI_TINY_MAX ? count_and_take(size) : NULL;
    return TMI_LIKELY(p != NULL) ? p : allocate_framed(size, 1, PLAIN);
}

static inline void *allocate(size_t size, size_t align, unsigned how)
{
    return is_watched() ? allocate_framed(size, align, how) : allocate_now(size, align, how);
}

void *tmi_heap_alloc_for(size_t size, size_t align, void *frame)
{
    void *p = align == 1 ? tmi_heap_pop(size) : NULL;
    if (p == NULL && align == 1 && TMI_UNLIKELY(is_counting()))
        p = count_and_take(size);
    if (p != NULL)
        return p;
    if (is_watched())
        return allocate_watched(size, align, PLAIN, frame);
    return align == 1 ? tmi_heap_alloc(size) : allocate_now(size, align, PLAIN);
}

/* As from_thread, while allocations are counted. NULL also if the block is due to be a sample or guarded. */
static TMI_NOINLINE void *from_thread_counted(size_t size)
{
    if (tmi_load_relaxed(&tmi_heap_tiny) == 0) // an IFUNC resolver may call, before thread-local storage exists
        return is_counting() ? count_and_take(size) : NULL;
    tmi_thread_t *t = tmi_self();
    void *p = t->sampler.left > (int64_t)size ? from_record(t, size) : NULL;
    if (p != NULL) // otherwise t may be the static record that several threads share
        t->sampler.left -= (int64_t)size;
    return p;
}

/* For sizes above the tiny ones: a slot from the thread's magazine, or a block from its shelf. NULL also if the codes
 * of tiny sizes are 0: the record serves nothing, its magazines are not made yet, or calls are observed. */
static inline void *from_thread(size_t size)
{
    if (is_watched())
        return from_thread_counted(size);
    return from_record(tmi_self(), size);
}

void *tmi_heap_alloc(size_t size)
{
    if (size <= TMI_TINY_MAX && TMI_UNLIKELY(is_counting()))
        return alloc_counted(size);
    void *p = size >= TMI_TINY_MAX ? from_thread(size) : NULL; // smaller: the fast path has tried
    return TMI_LIKELY(p != NULL) ? p : allocate(size, 1, PLAIN);
}

void *tmi_heap_alloc_aligned(size_t align, size_t size) { return allocate(size, align, PLAIN); }

void *tmi_heap_alloc_zeroed(size_t size)
{
    void *p = size <= TMI_TINY_MAX ? tmi_heap_pop(size) : from_thread(size);
    if (TMI_UNLIKELY(p == NULL) && size <= TMI_TINY_MAX && is_counting())
        p = count_and_take(size);
    return p != NULL ? memset(p, 0, size) : allocate(size, 1, ZEROED);
}

static TMI_NOINLINE unsigned class_in_mixed(const void *p, const char *function)
{
    unsigned cls = tmi_mixed_class_at(p);
    if (TMI_UNLIKELY(cls == TMI_CLASS_NONE))
        tmi_fatal(function, p, tmi_mixed_complaint(p));
    return cls;
}

/* The class of the slab or extent that contains p; in a mixed slab, the class of the block itself. */
static inline unsigned class_of_block(const void *p, const char *function)
{
    unsigned cls = tmi_pagemap_class(p);
    return TMI_LIKELY(cls != TMI_CLASS_MIXED) ? cls : class_in_mixed(p, function);
}

static void require_large(const void *p, unsigned cls, const char *function)
{
    if (cls != TMI_CLASS_LARGE || !tmi_large_valid(p))
        tmi_fatal(function, p, "not the start of a block");
}

static void require_medium(const tmi_thread_t *t, const void *p, const char *function)
{
    unsigned medium;
    if (TMI_UNLIKELY(tmi_medium_complaint(p, &medium) != NULL || (t != NULL && tmi_shelf_holds(&t->shelf, p))))
        tmi_fatal(function, p, tmi_medium_is_slot(p) ? "a block that has been freed" : "not the start of a block");
}

static void require_slot(const void *p, unsigned cls, const char *function)
{
    const char *wrong = tmi_raw_complaint(cls, p);
    if (wrong != NULL)
        tmi_fatal(function, p, wrong);
}

static void require_block(const void *p, unsigned cls, const char *function)
{
    if (cls >= TMI_CLASS_FIRST && cls <= TMI_CLASS_LAST)
        require_slot(p, cls, function);
    else
        require_large(p, cls, function);
}

static void free_small(tmi_thread_t *t, unsigned cls, void *p, const char *function)
{
    if (t == NULL) {
        tmi_raw_return(cls, &p, 1, function);
        tmi_pacer_freed(t ? &t->cache : NULL, 0);
        return;
    }
    uint32_t exchanges = t->cache.exchanges;
    tmi_cache_free(&t->cache, cls, p, function);
    if (t->cache.exchanges != exchanges)
        tmi_pacer_freed(&t->cache, 0);
    else if (t->cache.armed)
        tmi_pacer_armed_free(&t->cache);
}

/* Returns true, so that tmi_heap_free can end with a jump to it. */
static TMI_NOINLINE bool free_medium(tmi_thread_t *t, void *p, const char *function)
{
    unsigned cls;
    bool returned = true;
    const char *wrong = tmi_medium_complaint(p, &cls);
    if (TMI_UNLIKELY(wrong != NULL))
        tmi_fatal(function, p, wrong);
    if (t != NULL)
        returned = tmi_shelf_put(&t->shelf, p, cls, function);
    else
        tmi_medium_return(p, function);
    if (returned || t->cache.armed)
        tmi_pacer_freed(t ? &t->cache : NULL, 0);
    return true;
}

/* Free p, which lies in no slab or extent: NULL, a block whose memory has become a free span, or a foreign pointer. */
static bool free_outside(const void *p, const char *function)
{
    if (tmi_pagemap_segment(p) != NULL)
        tmi_fatal(function, p, "double free, or a block that was never allocated");
    if (TMI_UNLIKELY(tmi_sentry_on())) // a guarded block lies outside, too, and may be a sample
        tmi_heap_forget_sample(p);
    return p == NULL;
}

/* The slow path behind tmi_cache_push_detour. A separate function, so that the detour makes no frame. */
static TMI_NOINLINE bool free_slowly(void *p, unsigned cls, const char *function)
{
    if (cls == TMI_CLASS_NONE)
        return free_outside(p, function);
    if (TMI_UNLIKELY((uintptr_t)p % 8 != 0))
        tmi_fatal(function, p, "not the start of a block");
    tmi_thread_t *t = tmi_thread_or_null();
    if (TMI_UNLIKELY(tmi_options.stats == TMI_STATS_ON)) {
        if (cls <= TMI_CLASS_LAST)
            require_slot(p, cls, function);
        tmi_tally_free(t, tmi_heap_usable(p, function));
    }
    if (TMI_UNLIKELY(t != NULL && tmi_load_relaxed(&t->cache.summoned)))
        serve_summons(t);
    if (TMI_UNLIKELY(tmi_heap_full_check)) {
        require_block(p, cls, function);
        tmi_guard_free(p, cls, function);
        tmi_pacer_freed(t ? &t->cache : NULL, 0);
        return true;
    }
    if (TMI_LIKELY(cls <= TMI_CLASS_LAST)) {
        free_small(t, cls, p, function);
        return true;
    }
    if (TMI_LIKELY(cls == TMI_CLASS_MEDIUM))
        return free_medium(t, p, function);
    require_large(p, cls, function);
    size_t bytes = tmi_large_usable(p);
    tmi_large_free(p);
    tmi_pacer_freed(t ? &t->cache : NULL, bytes);
    return true;
}

/* Find the class of a block in a mixed slab, then free it as a block of that class. */
static TMI_NOINLINE bool free_mixed(tmi_thread_t *t, void *p, const char *function)
{
    unsigned cls = class_in_mixed(p, function);
    return tmi_cache_push(&t->cache, cls * 2, p) || tmi_cache_push_detour(&t->cache, cls, p) ||
           free_slowly(p, cls, function);
}

/* Free p, whose class was found in the page map. */
static inline bool free_routed(void *p, unsigned cls, const char *function)
{
    bool aligned = (uintptr_t)p % 8 == 0; // finds most pointers into the middle of a block
    tmi_thread_t *t = tmi_self();
    bool served = t->cache.codes[TMI_TINY_MAX] != 0; // the record is ready, and calls are not observed
    if (cls == TMI_CLASS_MEDIUM && served && !tmi_load_relaxed(&t->cache.summoned))
        return free_medium(t, p, function);
    if (TMI_UNLIKELY(cls == TMI_CLASS_MIXED))
        return free_mixed(t, p, function);
    return (TMI_LIKELY(aligned) && tmi_cache_push_detour(&tmi_self()->cache, cls, p)) || free_slowly(p, cls, function);
}

/* Free p in a unit where a sampled block begins. If p is that block, its sample is forgotten first, since another block
 * may then have its address. */
static TMI_NOINLINE bool free_watched(void *p, const char *function)
{
    tmi_heap_forget_sample(p);
    unsigned cls = tmi_pagemap_class(p);
    bool aligned = (uintptr_t)p % 8 == 0;
    return (aligned && tmi_cache_push(&tmi_self()->cache, cls * 2, p)) || free_routed(p, cls, function);
}

/* The same for a block of the first window that is certainly not sampled. False: use free_watched. */
static inline bool free_beside_sample(void *p, uintptr_t spot)
{
    if (tmi_samples_may_have((uintptr_t)p))
        return false;
    enum { SHIFT = TMI_SPOTS_SHIFT };
    if (tmi_load_acquire(&tmi_pagemap.codes[spot >> SHIFT]) != TMI_CLASS_WATCHED * 2) // pairs: tmi_space_watch
        return false;
    // acquire, below: pairs with tmi_space_set_class
    const tmi_segment_t *segment = tmi_load_relaxed(&tmi_windows[0].segments[(spot >> SHIFT) / TMI_SEGMENT_UNITS]);
    unsigned cls = tmi_load_acquire(&segment->spans[(spot >> SHIFT) % TMI_SEGMENT_UNITS].watched);
    return tmi_cache_push(&tmi_self()->cache, cls * 2, p);
}

/* Free p that is misaligned or not in the first window. Before the first window exists, p may be an early block, whose
 * memory is not reused. */
static TMI_NOINLINE bool free_elsewhere(void *p, const char *function)
{
    unsigned cls = tmi_pagemap_code(p) / 2;
    if (cls == TMI_CLASS_WATCHED)
        return free_watched(p, function);
    if (tmi_load_relaxed(&tmi_nwindows) == 0 && !tmi_early_is_over()) // relaxed: a thread with a block of ours sees 1
        return true;
    return free_routed(p, cls, function);
}

bool tmi_heap_free(void *p, const char *function)
{
    uintptr_t spot = tmi_pagemap_spot(p);
    if (TMI_UNLIKELY(spot >= tmi_pagemap.limit)) // as in tmi_heap_free_fast
        return free_elsewhere(p, function);
    unsigned cls = tmi_load_relaxed(&tmi_pagemap.codes[spot >> TMI_SPOTS_SHIFT]) / 2; // relaxed: see pagemap.h
    if (TMI_UNLIKELY(cls == TMI_CLASS_WATCHED))
        return free_beside_sample(p, spot) || free_watched(p, function);
    return free_routed(p, cls, function);
}

/* Report p if it is no block that may be resized. For a class on trial the thread's magazine is searched, too. */
static void require_usable(const void *p, unsigned cls, const char *function)
{
    tmi_thread_t *t = tmi_thread_or_null();
    if ((t != NULL ? tmi_cache_complaint(&t->cache, cls, p) : tmi_raw_complaint(cls, p)) != NULL)
        tmi_fatal(function, p, tmi_raw_is_slot(cls, p) ? "a block that has been freed" : "not the start of a block");
}

size_t tmi_heap_usable(const void *p, const char *function)
{
    unsigned cls = class_of_block(p, function);
    if (TMI_UNLIKELY(tmi_heap_full_check)) {
        require_block(p, cls, function);
        return tmi_guard_size(p, cls, function);
    }
    if (cls >= TMI_CLASS_FIRST && cls <= TMI_CLASS_LAST) {
        if (TMI_UNLIKELY(tmi_cache_on_trial(cls)))
            require_usable(p, cls, function);
        return tmi_classes[cls].size;
    }
    if (cls == TMI_CLASS_MEDIUM) {
        require_medium(tmi_thread_or_null(), p, function);
        return tmi_medium_size(tmi_medium_class_at(p));
    }
    require_large(p, cls, function);
    return tmi_large_usable(p);
}

/* A resize in place counts as a free and an allocation. */
static void tally_resize(size_t from, size_t to)
{
    tmi_thread_t *t = tmi_thread_or_null();
    tmi_tally_free(t, from);
    tmi_tally_alloc(t, to);
}

/* Whether realloc leaves the block unchanged. A small block stays if it fits and at most half of it is unused; a medium
 * or large one stays if it fits and a smaller place would save less than an eighth and less than 64 KiB. */
static bool fits(unsigned cls, size_t usable, size_t size)
{
    if (size > usable)
        return false;
    if (cls <= TMI_CLASS_LAST)
        return usable - size < usable / 2 || usable <= 64;
    bool medium = cls == TMI_CLASS_MEDIUM && size > TMI_SMALL_MAX;
    size_t least = medium ? tmi_medium_size(tmi_medium_class(size, 1)) : size;
    return usable - least < tmi_min(usable / 8, TMI_UNIT_SIZE);
}

/* Allocate the new place of a block. `frame`: realloc's frame while allocations are counted, else NULL. */
static inline void *new_place(size_t size, unsigned how, void *frame)
{
    void *p = how == PLAIN ? size < TMI_TINY_MAX ? tmi_heap_pop(size) : from_thread(size) : NULL;
    if (p != NULL)
        return p;
    if (TMI_UNLIKELY(frame != NULL))
        return allocate_watched(size, 1, how, frame);
    return allocate(size, 1, how);
}

static inline void *resize(void *p, size_t size, const char *function, void *frame)
{
    int before = errno;
    unsigned cls = class_of_block(p, function);
    size_t usable = tmi_heap_usable(p, function);
    if (cls <= TMI_CLASS_LAST && TMI_UNLIKELY(!tmi_raw_is_slot(cls, p)))
        tmi_fatal(function, p, "not the start of a block");
    if (!tmi_heap_full_check && fits(cls, usable, size))
        return p;
    if (!tmi_heap_full_check && cls == TMI_CLASS_LARGE && size > TMI_SMALL_MAX && size <= PTRDIFF_MAX) {
        void *resized = tmi_large_resize(p, size);
        if (resized != NULL) {
            if (TMI_UNLIKELY(tmi_options.stats == TMI_STATS_ON))
                tally_resize(usable, tmi_large_usable(resized));
            return resized;
        }
    }
    void *q = new_place(size, size > usable && size > TMI_SMALL_MAX ? GROWING : PLAIN, frame);
    if (q == NULL) {
        if (size > usable)
            return NULL;
        errno = before; // the block stays where it is: programs do not expect that shrinking a block fails
        return p;
    }
    memcpy(q, p, tmi_min(size, usable));
    if (!tmi_heap_free_fast(p))
        (void)tmi_heap_free(p, function);
    return q;
}

/* Count a block that realloc left in place as a new allocation. */
static TMI_NOINLINE void *count_in_place(void *p, size_t size, void *frame)
{
    tmi_thread_t *t = tmi_self();
    // acquire: pairs with tmi_samples_start
    if (tmi_load_acquire(&tmi_sampling) && t->ready && tmi_samples_count(&t->sampler, size))
        tmi_heap_enter_sample(t, p, size, frame);
    return p;
}

static TMI_NOINLINE void *resize_sample(void *p, size_t size, const char *function, void *frame)
{
    tmi_sample_t was;
    bool had = tmi_samples_take((uintptr_t)p, &was);
    if (had)
        tmi_space_unwatch(p); // before another thread can get a block there
    void *q = resize(p, size, function, frame);
    if (q == NULL && had) {
        tmi_space_watch(p);
        tmi_samples_put_back(&was);
    }
    return q == p ? count_in_place(q, size, frame) : q;
}

/* realloc while allocations are counted: it counts as a free and an allocation, even if the block stays in place. */
static TMI_NOINLINE void *resize_watched(void *p, size_t size, const char *function)
{
    void *frame = __builtin_frame_address(0);
    if (tmi_samples_may_have((uintptr_t)p))
        return (void *)tmi_stack_kept((size_t)resize_sample(p, size, function, frame));
    void *q = resize(p, size, function, frame);
    if (TMI_LIKELY(q != p))
        return q;
    return (void *)tmi_stack_kept((size_t)count_in_place(q, size, frame));
}

void *tmi_heap_realloc(void *p, size_t size, const char *function)
{
    // relaxed: a thread that sees it late has no sampled block
    if (TMI_UNLIKELY(tmi_load_relaxed(&tmi_sample_hints) != NULL))
        return resize_watched(p, size, function);
    return resize(p, size, function, NULL);
}
