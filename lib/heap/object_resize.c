/* tm_realloc pins the object, so that the object does not move meanwhile. From class to class it exchanges slots with
 * the thread's magazines and takes no lock. Extents, and locked, aligned or sampled objects, take another path. */
#include "heap/object_impl.h"
#include "os/options.h"
#include "os/report.h"
#include "compaction/pin.h"
#include "sampling/samples.h"

#include <errno.h>
#include <string.h>

/* Store another address in the word of h, and clear a mark that the mover has set meanwhile. */
static void publish(tm_handle_t h, char *to)
{
    uint64_t *word = tm_word_of_(h), w = tmi_load_relaxed(word); // relaxed: the compare-and-swap decides
    uint32_t rounds = 1;
    // [model: realloc_publish]
    while (!tmi_cas_acq_rel(word, &w, (w & ~(TMI_WORD_ADDRESS | TMI_WORD_MOVING)) | tmi_word_at(to)))
        TMI_COUNT_ROUNDS(++rounds);
}

/* Move the contents to the slot or extent of the reserved handle g, whose index gets the old place in exchange (O2). */
static void change_places(tm_handle_t h, char *from, tm_handle_t g, size_t nbytes)
{
    uint32_t index = tmi_handle_index(h), other = tmi_handle_index(g);
    char *to = tmi_word_address(tmi_load_relaxed(tmi_word(other))); // reserved: ours
    memcpy(to, from, nbytes); // [model: realloc_copy]
    if (tmi_movable_class(to) == TMI_MCLASS_LARGE)
        tmi_store_relaxed(&tmi_span_of(to)->index, index); // published with the word
    else
        tmi_movable_set_ref(to, index); // V4: before the word
    publish(h, to);
    tmi_store_relaxed(tmi_word(other), (g & TMI_WORD_GENERATION) | tmi_word_at(from)); // it gets the old place
    if (tmi_movable_class(from) != TMI_MCLASS_LARGE)
        tmi_movable_set_ref(from, other);
}

static void publish_extent(void *h, char *to) { publish(*(tm_handle_t *)h, to); }

static bool resize(tm_handle_t h, char *from, size_t size)
{
    size_t align = tmi_object_align(from), usable = tmi_object_usable(from);
    bool is_large = tmi_movable_class(from) == TMI_MCLASS_LARGE, to_large = tmi_object_is_large(size, align);
    if (!is_large && !to_large && tmi_mclasses[tmi_object_class(size, align)].size == usable)
        return true;
    if (is_large && to_large && tmi_movable_large_resize(from, size, align, publish_extent, &h))
        return true;
    tm_handle_t g = tmi_object_reserve(size, align);
    if (g == TM_NULL)
        return false;
    change_places(h, from, g, tmi_min(size, usable));
    tmi_object_put(from, g, false);
    return true;
}

/* Resize from slot to slot, with no lock but that of a refill or a flush. False: it takes another path. */
static bool resize_in_magazines(tmi_thread_t *t, tm_handle_t h, size_t size)
{
    tm_pins_t_ *r = &t->pins;
    // the search is quick if all pins are on the first stack
    if (t->handles.own == NULL || r->top >= r->limit || tmi_options.check == TMI_CHECK_FULL || tmi_pin_held(r, h))
        return false;
    bool done = false;
    char *from = tm_try_pin(h);
    if (from == NULL)
        return false;
    unsigned code = tmi_pagemap_movable(from), cls = tmi_mclass_of(size);
    if (code < TMI_MCLASS_LARGE) {
        tm_handle_t g = code == cls ? TM_NULL : tmi_hcache_pop(&t->handles, (size_t)(cls - 1) * 16);
        done = code == cls || g != TM_NULL;
        if (g != TM_NULL) {
            change_places(h, from, g, tmi_min(size, tmi_mclasses[code].size));
            if (!tmi_hcache_push(&t->handles, (size_t)code * 2, g))
                tmi_hcache_free(&t->handles, code, g);
        }
    }
    tm_unpin(h);
    return done;
}

/* Sampling counts a resize as a free and an allocation. */
static TMI_COLD void resample(tm_handle_t h, size_t size, void *frame)
{
    (void)tmi_samples_freed(tmi_samples_key_of_index(tmi_handle_index(h)));
    tmi_object_sampled(h, size, frame);
}

tm_handle_t tmi_object_realloc(tm_handle_t h, size_t size)
{
    uint64_t w;
    void *from;
    if (h == TM_NULL)
        return tmi_object_alloc(size, 1, false);
    if (size - 1 < TMI_MOVABLE_MAX && resize_in_magazines(tmi_self(), h, size))
        return h;
    if (!tmi_object_live(h, &w)) {
        tmi_object_stale("tm_realloc", h);
        return TM_NULL;
    }
    tmi_object_require_unpinned(h, "tm_realloc");
    if (size == 0) {
        tmi_object_free(h);
        return TM_NULL;
    }
    tmi_thread_t *t = size > PTRDIFF_MAX ? NULL : tmi_thread_with_handles();
    if (t == NULL) {
        errno = ENOMEM;
        return TM_NULL;
    }
    bool ok = false;
    if (!tmi_pin_slowly(&t->pins, h, &from)) {
        if (from != NULL) {
            errno = ENOMEM;
            return TM_NULL;
        }
        tmi_object_stale("tm_realloc", h); // freed meanwhile by another thread
    } else if (tmi_pin_locks(from) > 0) {
        tmi_fatal("tm_realloc", (void *)(uintptr_t)h, "the object is locked");
    } else {
        ok = resize(h, from, size);
    }
    if (!tmi_pin_remove(&t->pins, h))
        tmi_fatal("tm_realloc", (void *)(uintptr_t)h, "its pin is gone");
    if (TMI_UNLIKELY(tmi_load_acquire(&tmi_sampling)) && ok) // pairs: tmi_samples_start
        resample(h, size, __builtin_frame_address(0));
    return ok ? h : TM_NULL;
}
