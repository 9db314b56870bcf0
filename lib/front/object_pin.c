/* Pins, scopes and locks: what pin.h leaves to functions, and questions about handles. */
#include "front/object_impl.h"
#include "host/report.h"

#include <errno.h>

void *tmi_object_pin(tm_handle_t h, const char *function)
{
    void *p = NULL;
    tmi_thread_t *t = tmi_object_init() ? tmi_thread_with_handles() : NULL;
    if (t == NULL) {
        tmi_report("%s(%p): no memory for this thread's pins", function, (void *)(uintptr_t)h);
        return NULL;
    }
    if (tmi_pin_slowly(&t->pins, h, &p))
        return p;
    if (p != NULL) // not stale: the stack is full, and there is no memory to count the pin at the object
        tmi_report("%s(%p): no memory for one more pin", function, (void *)(uintptr_t)h);
    else
        tmi_object_stale(function, h);
    return NULL;
}

void *tmi_object_touch(tm_handle_t h, const char *function)
{
    void *p;
    if (!tmi_pin_touch(h, &p))
        tmi_object_stale(function, h);
    return p;
}

void tmi_object_unpin(tm_handle_t h)
{
    if (!tmi_pin_remove(&tmi_self()->pins, h) && h != TM_NULL)
        tmi_fatal("tm_unpin", (void *)(uintptr_t)h, "this thread has not pinned it");
}

void tmi_object_scope_enter(void)
{
    tmi_thread_t *t = tmi_object_init() ? tmi_thread_with_handles() : NULL;
    if (t == NULL)
        tmi_fatal("tm_scope_enter", NULL, "no memory for this thread's scopes");
    tmi_pin_scope_enter(&t->pins);
}

void tmi_object_scope_misused(void) { tmi_fatal("tm_scope_exit", NULL, "this thread is in no scope"); }

void tmi_object_pin_reset(uint32_t mark)
{
    tm_pins_t_ *r = &tmi_self()->pins;
    if (mark > r->top || r->overflow_ > 0)
        tmi_fatal("tm_pin_reset", NULL, mark > r->top ? "fewer pins are held than at the mark" : "pins beyond 1,008 cannot be ended so");
    tmi_store_release(&r->top, mark); // as unpin_top
}

void *tmi_object_lock(tm_handle_t h)
{
    if (h == TM_NULL)
        return NULL;
    void *p = tmi_object_pin(h, "tm_lock");
    if (p == NULL) { // stale, and the option says that this is no reason to stop
        (void)tmi_pin_remove(&tmi_self()->pins, h);
        return NULL;
    }
    int err = tmi_pin_lock(p);
    (void)tmi_pin_remove(&tmi_self()->pins, h);
    if (err != 0) {
        errno = err;
        return NULL;
    }
    return p;
}

void tmi_object_unlock(tm_handle_t h)
{
    uint64_t w;
    void *p;
    if (h == TM_NULL)
        return;
    if (!tmi_object_live(h, &w)) {
        tmi_object_stale("tm_unlock", h);
        return;
    }
    tmi_thread_t *t = tmi_thread_with_handles();
    bool pinned = t != NULL && tmi_pin_slowly(&t->pins, h, &p);
    if (!tmi_pin_unlock(tmi_word_address(w), pinned)) // locked, so it has been there and stays
        tmi_fatal("tm_unlock", (void *)(uintptr_t)h, "the object is not locked");
    if (pinned)
        (void)tmi_pin_remove(&t->pins, h);
}

/* The size does not change with the address, but the slot may be another object's when a move comes in between: ask until the word stays. */
static bool usable_now(tm_handle_t h, size_t *usable, size_t *align)
{
    uint64_t w, again;
    do {
        if (!tmi_object_live(h, &w))
            return false;
        *usable = tmi_object_usable(tmi_word_address(w));
        *align = tmi_object_align(tmi_word_address(w));
        tmi_fence_full(); // what was read of the place before the word again
        if (!tmi_object_live(h, &again))
            return false;
    } while (tmi_word_address(w) != tmi_word_address(again));
    return true;
}

size_t tmi_object_sizeof(tm_handle_t h)
{
    size_t usable, align;
    if (h == TM_NULL)
        return 0;
    if (usable_now(h, &usable, &align))
        return usable;
    tmi_object_stale("tm_sizeof", h);
    return 0;
}

bool tmi_object_check(tm_handle_t h, size_t size)
{
    size_t usable, align;
    if (size > PTRDIFF_MAX || !usable_now(h, &usable, &align))
        return false;
    return usable == (tmi_object_is_large(size, align) ? tmi_movable_large_usable(size) : tmi_mclasses[tmi_object_class(size, align)].size);
}

tm_handle_t tmi_object_of(const void *p)
{
    if (!tmi_object_ready() || tmi_pagemap_segment(p) == NULL)
        return TM_NULL;
    unsigned cls = tmi_movable_class(p);
    uint32_t index = 0;
    if (cls == TMI_MCLASS_LARGE) {
        index = tmi_span_of(p)->index;
    } else if (cls != TMI_MCLASS_NONE) {
        const tmi_mslab_t *slab = tmi_mslab_of(p);
        size_t i = tmi_mslot_index(slab, p);
        index = i < tmi_mclasses[cls].slots ? tmi_load_relaxed(&slab->refs[i]) : 0; // relaxed: the word has the say
    }
    uint64_t w = tmi_load_acquire(tmi_word(index));
    return (w & TMI_WORD_LIVE) != 0 && tmi_word_address(w) == p ? tmi_handle_of_word(index, w) : TM_NULL;
}

tm_handle_t tmi_object_of_index(uint32_t index)
{
    if (index > tmi_handle_limit())
        return TM_NULL;
    uint64_t w = tmi_load_relaxed(tmi_word(index)); // relaxed: a value, which the handle is
    return w & TMI_WORD_LIVE ? tmi_handle_of_word(index, w) : TM_NULL;
}
