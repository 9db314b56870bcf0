/* Pins, scopes and locks: the slow paths of pin.h, and questions about handles. */
#include "heap/object_impl.h"
#include "compaction/compact.h"
#include "os/options.h"
#include "os/report.h"
#include "threads/compactor.h"

#include <errno.h>

void *tmi_object_pin(tm_handle_t h, const char *function)
{
    void *p = NULL;
    if (h != TM_NULL)
        tmi_object_try_init();
    tmi_thread_t *t = tmi_thread_with_pins();
    if (t == NULL) {
        tmi_report("%s(%p): no memory for this thread's pins", function, (void *)(uintptr_t)h);
        return NULL;
    }
    if (tmi_pin_slowly(&t->pins, h, &p))
        return p;
    if (p != NULL) // not stale: the stack is full, and there is no memory for one more pin
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

void *tmi_object_try_pin(tm_handle_t h)
{
    void *p = NULL;
    if (h == TM_NULL)
        return NULL;
    tmi_object_try_init();
    tmi_thread_t *t = tmi_thread_with_pins();
    if (t != NULL && tmi_pin_slowly(&t->pins, h, &p))
        return p;
    if (t != NULL && p == NULL) // stale, but pinned nevertheless
        (void)tmi_pin_remove(&t->pins, h);
    else
        errno = ENOMEM;
    return NULL;
}

void *tmi_object_try_touch(tm_handle_t h)
{
    void *p;
    if (h != TM_NULL && tmi_pin_touch(h, &p))
        return p;
    (void)tmi_pin_remove(&tmi_self()->pins, h);
    return NULL;
}

void *tmi_object_touch_ref(tm_ref_t r, const char *function)
{
    tm_handle_t h = tmi_object_of_ref(r, function);
    return h == TM_NULL ? NULL : tmi_object_touch(h, function);
}

tm_handle_t tmi_object_of_ref(tm_ref_t r, const char *function)
{
    if (r == 0)
        return TM_NULL;
    tm_handle_t h = tmi_object_ready() ? tmi_object_of_index(r) : TM_NULL;
    if (h == TM_NULL)
        tmi_object_stale(function, (tm_handle_t)r << 32);
    return h;
}

void tmi_object_unpin(tm_handle_t h)
{
    if (!tmi_pin_remove(&tmi_self()->pins, h) && h != TM_NULL)
        tmi_fatal("tm_unpin", (void *)(uintptr_t)h, "this thread has not pinned it");
}

void tmi_object_scope_enter(void)
{
    tmi_object_try_init();
    tmi_thread_t *t = tmi_thread_with_pins();
    if (t == NULL)
        tmi_fatal("tm_scope_enter", NULL, "no memory for this thread's scopes");
    if ((uint16_t)t->pins.scope == UINT16_MAX)
        tmi_fatal("tm_scope_enter", NULL, "65,535 scopes of this thread are open");
    tmi_pin_scope_enter(&t->pins);
}

void tmi_object_scope_misused(void) { tmi_fatal("tm_scope_exit", NULL, "this thread is in no scope"); }

void tmi_object_pin_reset(uint32_t mark)
{
    if (!tmi_pin_reset(&tmi_self()->pins, mark))
        tmi_fatal("tm_pin_reset", NULL, "fewer pins are held than at the mark");
}

void tmi_object_scope_reset(uint32_t mark)
{
    if (!tmi_pin_scope_reset(&tmi_self()->pins, mark))
        tmi_fatal("tm_scope_reset", NULL, "fewer scopes are open than at the mark");
}

/* Best effort: a locked object may never move again, and would keep the pages that it shares with other objects. */
static void set_apart(tm_handle_t h)
{
    uint64_t w;
    tmi_thread_t *t = tmi_object_live(h, &w) && tmi_load_relaxed(&tmi_options.compaction) != TMI_COMPACTION_OFF
                          ? tmi_thread_with_pins()
                          : NULL;
    unsigned code = t == NULL ? TMI_MCLASS_NONE : tmi_pagemap_movable(tmi_word_address(w));
    if (code == TMI_MCLASS_NONE || code == TMI_MCLASS_LARGE || tmi_pin_held(&t->pins, h) || t->pins.scope & 0xffff)
        return;
    tmi_compact_set_apart(&t->pins, h);
}

void *tmi_object_lock(tm_handle_t h)
{
    if (h == TM_NULL)
        return NULL;
    set_apart(h);
    void *p = tmi_object_pin(h, "tm_lock");
    if (p == NULL) { // stale, and the option says not to abort
        (void)tmi_pin_remove(&tmi_self()->pins, h);
        return NULL;
    }
    int err = tmi_pin_lock(p);
    (void)tmi_pin_remove(&tmi_self()->pins, h);
    if (err == EOVERFLOW)
        tmi_fatal("tm_lock", (void *)(uintptr_t)h, "the object has 16,777,215 locks");
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
    tmi_thread_t *t = tmi_thread_with_pins();
    bool pinned = t != NULL && tmi_pin_slowly(&t->pins, h, &p);
    if (!pinned)
        p = tmi_word_address(w); // no memory for a pin; but the object is locked, so it does not move
    if (!tmi_pin_unlock(p, pinned))
        tmi_fatal("tm_unlock", (void *)(uintptr_t)h, "the object is not locked");
    if (pinned)
        (void)tmi_pin_remove(&t->pins, h);
    tmi_compactor_unlocked();
}

size_t tmi_object_sizeof(tm_handle_t h)
{
    void *p;
    if (h == TM_NULL)
        return 0;
    tmi_object_try_init();
    tmi_thread_t *t = tmi_thread_with_pins();
    if (t == NULL)
        tmi_fatal("tm_sizeof", (void *)(uintptr_t)h, "no memory for this thread's pins");
    bool live = tmi_pin_slowly(&t->pins, h, &p);
    size_t usable = live ? tmi_object_usable(p) : 0;
    if (live || p == NULL)
        (void)tmi_pin_remove(&t->pins, h);
    if (!live)
        tmi_object_stale("tm_sizeof", h);
    return usable;
}

/* ---- questions about objects that other threads may free meanwhile ----------------------------------------------- */

/* The lock that keeps slabs of the class, or extents, from being released. */
static tmi_lock_t *lock_of(unsigned cls)
{
    return cls == TMI_MCLASS_LARGE ? &tmi_space_lock : &tmi_movable_classes[cls].lock;
}

static bool lives_at(tm_handle_t h, const char *p)
{
    uint64_t w;
    return tmi_object_live(h, &w) && tmi_word_address(w) == p;
}

/* Size and alignment of h, which this thread has pinned, so that it stays at p. Another thread may free it at any time.
 * What is read under the lock is right if the object is live under that lock. What the page map says is right if the
 * object is live afterwards. */
static bool measure(tm_handle_t h, char *p, size_t *usable, size_t *align)
{
    unsigned code = tmi_pagemap_movable(p), cls = tmi_movable_class(p);
    *align = 1;
    if (cls == TMI_MCLASS_NONE)
        return false;
    if (cls == TMI_MCLASS_LARGE || tmi_movable_watched(code)) {
        tmi_lock(lock_of(cls));
        bool alive = lives_at(h, p);
        // A free may already have taken the extent out of the page map, but it cannot release the span while the lock
        // is held.
        if (alive && cls == TMI_MCLASS_LARGE) {
            *usable = tmi_load_relaxed(&tmi_span_of(p)->bytes);
            *align = tmi_attributes_align(tmi_load_relaxed(&tmi_span_of(p)->attributes));
        } else if (alive) {
            *usable = tmi_mclasses[cls].size;
            *align = tmi_object_align(p);
        }
        tmi_unlock(lock_of(cls));
        return alive;
    }
    *usable = tmi_mclasses[cls].size;
    tmi_fence_full(); // the page map before the word
    return lives_at(h, p);
}

bool tmi_object_check(tm_handle_t h, size_t size)
{
    uint64_t w;
    void *p;
    size_t usable = 0, align = 1;
    tmi_thread_t *t = size <= PTRDIFF_MAX && tmi_object_live(h, &w) ? tmi_thread_with_pins() : NULL;
    if (t == NULL)
        return false;
    bool live = tmi_pin_slowly(&t->pins, h, &p) && measure(h, p, &usable, &align);
    (void)tmi_pin_remove(&t->pins, h);
    return live && usable == (tmi_object_is_large(size, align) ? tmi_movable_large_usable(size)
                                                               : tmi_mclasses[tmi_object_class(size, align)].size);
}

/* The index that the slab or extent keeps for p. It is read under a lock, since the caller may not have pinned the
 * object there. */
static uint32_t index_at(const void *p)
{
    unsigned cls = tmi_movable_class(p);
    uint32_t index = 0;
    if (cls == TMI_MCLASS_NONE)
        return 0;
    tmi_lock(lock_of(cls));
    if (tmi_movable_class(p) == cls && cls == TMI_MCLASS_LARGE) {
        index = tmi_load_relaxed(&tmi_span_of(p)->index);
    } else if (tmi_movable_class(p) == cls && (const char *)p >= tmi_movable_slab_of(p)->base) {
        size_t i = tmi_mslot_index(tmi_movable_slab_of(p), p);
        // relaxed: the word decides
        index = i < tmi_mclasses[cls].slots ? tmi_load_relaxed(&tmi_movable_slab_of(p)->refs[i]) : 0;
    }
    tmi_unlock(lock_of(cls));
    return index;
}

tm_handle_t tmi_object_of(const void *p)
{
    if (!tmi_object_ready() || tmi_pagemap_segment(p) == NULL)
        return TM_NULL;
    uint32_t index = index_at(p);
    uint64_t w = tmi_handle_readable(index) ? tmi_load_acquire(tmi_word(index)) : 0;
    return (w & TMI_WORD_LIVE) != 0 && tmi_word_address(w) == p ? tmi_handle_of_word(index, w) : TM_NULL;
}

tm_handle_t tmi_object_of_index(uint32_t index)
{
    if (!tmi_handle_readable(index))
        return TM_NULL;
    uint64_t w = tmi_load_relaxed(tmi_word(index)); // relaxed: the handle is only a value
    return w & TMI_WORD_LIVE ? tmi_handle_of_word(index, w) : TM_NULL;
}
