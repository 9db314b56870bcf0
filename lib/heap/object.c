#include "heap/object.h"
#include "heap/heap.h"
#include "heap/object_impl.h"
#include "os/counters.h"
#include "os/meta.h"
#include "os/options.h"
#include "os/report.h"
#include "compaction/pin.h"
#include "sampling/samples.h"
#include "sampling/stack.h"
#include "threads/compactor.h"
#include "threads/pacer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

uint32_t tmi_object_tables;

bool tmi_object_ready(void) { return tmi_load_acquire(&tmi_object_tables) != 0; } // pairs: make_tables

/* The caller holds the lock of handles, the outermost of the locks that are taken here. */
static void make_tables(void)
{
    if (tmi_object_tables || !tmi_meta_permanent_ready() || tmi_space_init_movable() != 0 || tmi_handle_init() != 0)
        return;
    tmi_movable_init();
    tmi_store_relaxed(&tmi_compact_figures.mode, tmi_option(compaction)); // a statistic
    bool fence = tmi_options.fence != TMI_FENCES_NONE && tmi_os_fence_register() == 0;
    tmi_pin_set_asymmetric(fence);
    tmi_store_release(&tmi_object_tables, 1); // pairs: tmi_object_ready
}

bool tmi_object_init(void)
{
    if (TMI_LIKELY(tmi_object_ready()))
        return true;
    tmi_heap_init();
    tmi_lock(&tmi_handle_lock);
    make_tables();
    tmi_unlock(&tmi_handle_lock);
    return tmi_object_ready();
}

/* A signal handler may call this, and may have interrupted the holder of a lock. */
void tmi_object_try_init(void)
{
    if (TMI_LIKELY(tmi_object_ready()))
        return;
    tmi_heap_init();
    if (!tmi_trylock(&tmi_handle_lock))
        return;
    if (tmi_trylock(&tmi_space_lock)) { // the only lock that make_tables takes
        tmi_unlock(&tmi_space_lock);
        make_tables();
    }
    tmi_unlock(&tmi_handle_lock);
}

/* ---- complaints -------------------------------------------------------------------------------------------------- */

static const char *what_is_wrong(tm_handle_t h)
{
    if (!tmi_handle_formed(h))
        return "not a handle";
    uint64_t w = tmi_object_ready() ? tmi_load_relaxed(tm_word_of_(h)) : 0; // relaxed: for the message
    if (w & TMI_WORD_LIVE)
        return "stale handle: its object was freed, and its index has another one now";
    return w == 0 ? "foreign handle, or its object was freed long ago" : "stale handle: its object was freed";
}

void tmi_object_stale(const char *function, tm_handle_t h)
{
    if (tmi_option(stale) == TMI_STALE_ABORT)
        tmi_fatal(function, (void *)(uintptr_t)h, what_is_wrong(h));
    if (tmi_option(stale) == TMI_STALE_REPORT)
        tmi_report_misuse(function, (void *)(uintptr_t)h, what_is_wrong(h));
}

void tmi_object_require_unpinned(tm_handle_t h, const char *function)
{
    const tm_pins_t_ *r = &tmi_self()->pins;
    if (tmi_pin_held(r, h))
        tmi_fatal(function, (void *)(uintptr_t)h, "the object is pinned by this thread");
    if (tmi_options.check == TMI_CHECK_FULL && tmi_pin_held_by_others(r, h))
        tmi_fatal(function, (void *)(uintptr_t)h, "the object is pinned by another thread");
}

/* ---- allocation -------------------------------------------------------------------------------------------------- */

size_t tmi_object_align(const void *p)
{
    if (tmi_pagemap_movable(p) == TMI_MCLASS_LARGE)
        tmi_extent_require_held(p);
    const uint32_t *a =
        tmi_pagemap_movable(p) == TMI_MCLASS_LARGE ? &tmi_span_of(p)->attributes : tmi_movable_attributes(p, false);
    return a == NULL ? 1 : tmi_attributes_align(tmi_load_relaxed(a)); // relaxed: came with the word
}

/* With check:full there are no caches, so that each free is checked. */
static tmi_hcache_t *cache_of(tmi_thread_t *t)
{
    return t == NULL || tmi_options.check == TMI_CHECK_FULL ? NULL : &t->handles;
}

static bool in_scope(void) { return (tmi_self_->scope & 0xffff) != 0; }

/* Give the kernel all free address space and empty pages, also those that compaction gains, so that the allocation can
 * be tried again. */
static TMI_COLD void make_room(tmi_thread_t *t)
{
    if (t != NULL)
        (void)tmi_hcache_flush(&t->handles);
    if (!in_scope()) // each batch would wait for the scope's end
        tmi_compactor_try_all(t ? &t->pins : NULL);
    (void)tmi_heap_trim(0);
}

/* The address of the slot or extent of a handle that this thread has reserved. */
static char *address_of(tm_handle_t h) { return tmi_word_address(tmi_load_relaxed(tmi_word(tmi_handle_index(h)))); }

static tm_handle_t small(tmi_thread_t *t, size_t size, size_t align)
{
    unsigned cls = tmi_object_class(size, align);
    tm_handle_t h = tmi_hcache_alloc(cache_of(t), cls);
    if (h == TM_NULL || align <= 16)
        return h;
    uint32_t *a = tmi_movable_attributes(address_of(h), true);
    if (a == NULL) {
        tmi_hcache_free(cache_of(t), cls, h);
        return TM_NULL;
    }
    tmi_store_relaxed(a, (uint32_t)tmi_log2(align) << TMI_ALIGN_SHIFT); // published with the word
    tmi_movable_watch(address_of(h));
    return h;
}

static tm_handle_t large(size_t size, size_t align, bool zero)
{
    tm_handle_t h;
    if (tmi_handle_take(&h, 1) == 0)
        return TM_NULL;
    uint32_t index = tmi_handle_index(h);
    void *p = tmi_movable_large_alloc(size, align, zero, index);
    if (p == NULL) {
        tmi_handle_return(&index, 1);
        return TM_NULL;
    }
    tmi_store_relaxed(tmi_word(index), (h & TMI_WORD_GENERATION) | tmi_word_at(p)); // reserved: ours
    return h;
}

static tm_handle_t from_stores(tmi_thread_t *t, size_t size, size_t align, bool zero)
{
    return tmi_object_is_large(size, align) ? large(size, align, zero) : small(t, size, align);
}

size_t tmi_object_asked, tmi_object_given;

static void note_rounding(size_t size, size_t usable)
{
    (void)tmi_add_relaxed(&tmi_object_asked, size);
    (void)tmi_add_relaxed(&tmi_object_given, usable);
}

double tmi_object_rounding(void)
{
    double a = (double)tmi_load_relaxed(&tmi_object_asked), g = (double)tmi_load_relaxed(&tmi_object_given);
    return g > a ? (g - a) / g : 0;
}

static tm_handle_t reserve_new(size_t size, size_t align, bool zero)
{
    tmi_thread_t *t = NULL;
    tm_handle_t h = TM_NULL;
    if (TMI_LIKELY(size <= PTRDIFF_MAX && tmi_object_init())) {
        t = tmi_thread_with_handles();
        h = from_stores(t, size, align, zero);
        if (TMI_UNLIKELY(h == TM_NULL) && !tmi_os_impossible(size)) {
            make_room(t);
            h = from_stores(t, size, align, zero);
        }
    }
    if (TMI_UNLIKELY(h == TM_NULL)) {
        tmi_count(failures, 1);
        errno = ENOMEM;
        return TM_NULL;
    }
    note_rounding(size, tmi_object_usable(address_of(h)));
    tmi_compactor_poll();
    tmi_pacer_allocated();
    return h;
}

tm_handle_t tmi_object_reserve(size_t size, size_t align) { return reserve_new(size, align, false); }

void tmi_object_sampled(tm_handle_t h, size_t size, void *frame)
{
    tmi_thread_t *t = tmi_thread_with_pins();
    if (t != NULL && tmi_samples_count(&t->sampler, size))
        tmi_heap_sampled(&t->sampler, tmi_samples_key_of_index(tmi_handle_index(h)), size, frame);
}

void tmi_object_watch(bool on)
{
    tmi_lock(&tmi_compact_lock);
    tmi_hcache_watch_all(on);
    for (tmi_thread_t *t = tmi_thread_list(); t != NULL; t = t->next)
        tmi_hcache_unclaim(&t->handles);
    tmi_unlock(&tmi_compact_lock);
}

/* Make the reserved object live, after its first nzeroes bytes are zero. */
static void give_life(tm_handle_t h, size_t nzeroes)
{
    uint64_t *word = tmi_word(tmi_handle_index(h)), w = tmi_load_relaxed(word); // reserved: ours
    if (nzeroes > 0)
        memset(tmi_word_address(w), 0, nzeroes);
    tmi_store_release(word, w | TMI_WORD_LIVE); // as in tm_alloc; the zeroes before it
}

/* tm_alloc while allocations are sampled: take an object from the magazine, and count its bytes. TM_NULL: the magazine
 * is empty. */
static tm_handle_t alloc_watched(size_t size, bool zero, void *frame)
{
    tmi_thread_t *t = tmi_self();
    if (t->handles.own == NULL || size - 1 >= TMI_MOVABLE_MAX)
        return TM_NULL;
    tm_handle_t h = tmi_hcache_pop_watched(&t->handles, tmi_mclass_of(size));
    if (h == TM_NULL)
        return TM_NULL;
    give_life(h, zero ? size : 0);
    if (tmi_samples_count(&t->sampler, size))
        tmi_heap_sampled(&t->sampler, tmi_samples_key_of_index(tmi_handle_index(h)), size, frame);
    return h;
}

tm_handle_t tmi_object_alloc_for(size_t size, size_t align, bool zero, void *frame)
{
    bool sampling = tmi_load_acquire(&tmi_sampling); // pairs: tmi_samples_start
    tm_handle_t h = TMI_UNLIKELY(sampling) && align == 1 ? alloc_watched(size, zero, frame) : TM_NULL;
    if (h != TM_NULL)
        return h;
    h = reserve_new(size, align, zero);
    if (h == TM_NULL)
        return TM_NULL;
    give_life(h, zero && !tmi_object_is_large(size, align) ? size : 0);
    if (TMI_UNLIKELY(sampling))
        tmi_object_sampled(h, size, frame);
    return h;
}

tm_handle_t tmi_object_alloc(size_t size, size_t align, bool zero)
{
    return tmi_stack_kept(tmi_object_alloc_for(size, align, zero, __builtin_frame_address(0)));
}

/* ---- free -------------------------------------------------------------------------------------------------------- */

/* The check that the fast path leaves out. */
static void require_loose_at_put(const uint32_t *attributes, tm_handle_t next)
{
    tm_handle_t before = (next & ~TMI_WORD_GENERATION) | tmi_generation_bits(tmi_generation_of(next) + 1);
    if (attributes != NULL && (tmi_load_acquire(attributes) & TMI_LOCKS_MASK) != 0)
        tmi_fatal("tm_free", (void *)(uintptr_t)before, "the object is locked");
    if (tmi_options.check == TMI_CHECK_FULL && tmi_pin_held_by_others(&tmi_self()->pins, before))
        tmi_fatal("tm_free", (void *)(uintptr_t)before, "the object is pinned by another thread");
}

/* In a slab that has attributes, clear the slot's: the next object in it has not requested an alignment. */
static void put_attributes(const char *p, tm_handle_t next)
{
    uint32_t *a = tmi_movable_attributes(p, false);
    require_loose_at_put(a, next);
    if (a == NULL || tmi_load_relaxed(a) == 0)
        return;
    tmi_store_relaxed(a, 0); // ours, O1
    tmi_movable_unwatch(p);
}

static void put_extent(char *p, uint32_t index, uint64_t generation, bool last)
{
    tmi_store_relaxed(tmi_word(index), generation); // the index has no address any more; ours, O1
    tmi_movable_large_free(p);
    if (last)
        tmi_handle_retire(index);
    else
        tmi_handle_return(&index, 1);
}

void tmi_object_put(char *p, tm_handle_t next, bool last)
{
    unsigned cls = tmi_pagemap_movable(p);
    uint32_t index = tmi_handle_index(next);
    size_t extent = 0;
    (void)tmi_samples_freed(tmi_samples_key_of_index(index));
    if (!last && tmi_load_relaxed(&tmi_sampling) && // relaxed: seen late, the way is longer
        tmi_hcache_push_watched(&tmi_self()->handles, cls, next))
        return;
    if (cls == TMI_MCLASS_LARGE) {
        extent = tmi_object_usable(p);
        require_loose_at_put(&tmi_span_of(p)->attributes, next);
        put_extent(p, index, next & TMI_WORD_GENERATION, last);
    } else {
        if (tmi_movable_watched(cls) || tmi_options.check == TMI_CHECK_FULL)
            put_attributes(p, next);
        cls = tmi_movable_class(p);
        if (last) {
            tmi_movable_return(cls, &p, 1);
            tmi_handle_retire(index);
        } else {
            tmi_hcache_free(cache_of(tmi_thread_with_handles()), cls, next);
        }
    }
    tmi_compactor_poll();
    tmi_pacer_freed(NULL, extent);
}

void tmi_object_free(tm_handle_t h)
{
    uint64_t w;
    if (h == TM_NULL)
        return;
    if (!tmi_object_live(h, &w)) {
        tmi_object_stale("tm_free", h);
        return;
    }
    tmi_object_require_unpinned(h, "tm_free"); // locks are checked when the slot belongs to this thread
    uint32_t rounds = 0;
    do {
        bool last;
        TMI_COUNT_ROUNDS(++rounds);
        uint64_t next = tmi_word_freed(w, &last);
        if (tmi_cas_acq_rel(tm_word_of_(h), &w, next)) { // as free_cas in tm_free
            tmi_object_put(tmi_word_address(w), tmi_handle_of_word(tmi_handle_index(h), next), last);
            return;
        }
    } while (tmi_object_live(h, &w)); // it was marked or moved, or a mark was cleared
    tmi_object_stale("tm_free", h); // another thread was first
}

/* ---- compaction by request --------------------------------------------------------------------------------------- */

static size_t committed(void)
{
    size_t n = tmi_counter(extent_bytes) + tmi_counter(dirty_bytes) + tmi_handle_bytes();
    for (unsigned c = TMI_MCLASS_FIRST; c <= TMI_MCLASS_LAST; c++)
        n += tmi_load_relaxed(&tmi_movable_classes[c].touched_bytes); // a statistic
    return n;
}

size_t tmi_object_compact(void)
{
    if (!tmi_object_ready() || in_scope() || tmi_option(compaction) == TMI_COMPACTION_OFF)
        return 0;
    size_t before = committed();
    tmi_thread_t *t = tmi_thread_with_handles();
    if (t != NULL)
        (void)tmi_hcache_flush(&t->handles);
    tmi_compactor_all(t ? &t->pins : NULL);
    (void)tmi_pacer_purge_all();
    tmi_compactor_notify();
    size_t after = committed();
    return before > after ? before - after : 0;
}

bool tmi_object_compact_step(unsigned budget_us)
{
    if (!tmi_object_ready() || in_scope() || tmi_option(compaction) == TMI_COMPACTION_OFF)
        return false;
    tmi_thread_t *t = tmi_thread_with_handles();
    bool more = t != NULL && tmi_compactor_step(&t->pins, budget_us);
    tmi_compactor_notify();
    return more;
}
