/* api.c - the exported functions of <tinymem/tinymem.h>, with symbols for those that it inlines. */
#define TM_INLINE_ /* a plain definition here */
#if defined(TMI_CHECK) && TMI_CHECK
#define TM_DEREF_CHECKED
#endif
#pragma GCC visibility push(default)
#include "base/public.h"
#pragma GCC visibility pop

#include "heap/introspect.h"
#include "heap/object.h"
#include "os/report.h"
#include "threads/pacer.h"

#include <errno.h>
#include <string.h>

const char *tm_version(void) { return TMI_VERSION; }

/* A reserved handle from the thread's magazine of a class. `offset` is the class less one, times 16. */
static inline tm_handle_t from_magazine(size_t offset) { return tmi_hcache_pop(&tmi_self()->handles, offset); }

static inline size_t offset_of(size_t size) { return (size_t)(tmi_mclass_of(size) - 1) * 16; }

static inline tm_handle_t made_live(tm_handle_t h)
{
    size_t i = tmi_handle_index(h);
    // [model: alloc_live] relaxed: the index is reserved, so the word is this thread's until the program passes the
    // handle on. tmi_words relaxed: this thread has a handle, so it has seen the table
    tmi_step_foldable(&tmi_load_relaxed(&tmi_words)[tmi_anew(i)], TMI_WORD_LIVE);
    return h;
}

tm_handle_t tm_alloc(size_t size)
{
    if (TMI_LIKELY(size - 1 < 512)) {
        tm_handle_t h = from_magazine((size - 1) & ~(size_t)15); // the class is (size - 1) / 16 + 1
        if (TMI_LIKELY(h != TM_NULL))
            return made_live(h);
    } else if (TMI_LIKELY(size - 1 < TMI_MOVABLE_MAX)) {
        tm_handle_t h = from_magazine(offset_of(size));
        if (TMI_LIKELY(h != TM_NULL))
            return made_live(h);
    }
    return tmi_object_alloc(size, 1, false);
}

tm_handle_t tm_calloc(size_t n, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(n, size, &total))
        total = SIZE_MAX; // ENOMEM
    if (TMI_LIKELY(total - 1 < TMI_MOVABLE_MAX)) {
        tm_handle_t h = from_magazine(offset_of(total));
        if (TMI_LIKELY(h != TM_NULL)) {
            uint64_t *word = tmi_word(tmi_handle_index(h)), w = tmi_load_relaxed(word); // reserved: ours
            memset(tmi_word_address(w), 0, total);
            tmi_store_release(word, w | TMI_WORD_LIVE); // as made_live; the zeroes before it
            return h;
        }
    }
    return tmi_object_alloc(total, 1, true);
}

tm_handle_t tm_alloc_aligned(size_t align, size_t size)
{
    if (!tmi_is_pow2(align) || align > TMI_MOVABLE_ALIGN_MAX) {
        errno = EINVAL;
        return TM_NULL;
    }
    return tmi_object_alloc(size, align, false);
}

tm_handle_t tm_calloc_aligned(size_t align, size_t n, size_t size)
{
    size_t total;
    if (!tmi_is_pow2(align) || align > TMI_MOVABLE_ALIGN_MAX) {
        errno = EINVAL;
        return TM_NULL;
    }
    if (__builtin_mul_overflow(n, size, &total))
        total = SIZE_MAX; // ENOMEM
    return tmi_object_alloc(total, align, true);
}

static TMI_NOINLINE tm_handle_t alloc_near_counted(tm_handle_t near, size_t size)
{
    void *frame = __builtin_frame_address(0);
    tm_handle_t h = tmi_object_alloc_near(near, size, frame);
    return h != TM_NULL ? h : tmi_object_alloc_for(size, 1, false, frame);
}

tm_handle_t tm_alloc_near(tm_handle_t near, size_t size)
{
    if (TMI_UNLIKELY(tmi_load_relaxed(&tmi_sampling))) // relaxed: a late change only delays sampling
        return alloc_near_counted(near, size);
    tm_handle_t h = tmi_object_alloc_near(near, size, NULL);
    return h != TM_NULL ? h : tm_alloc(size);
}

size_t tm_each(bool (*visit)(tm_handle_t h, void *context), void *context) { return tmi_object_each(visit, context); }

/* Whether h may stay as it is with `size` bytes: its object is of their class, is not locked, and has no requested
 * alignment. The object is pinned while the page map is read. Without a pin the entry might belong to a later slab.
 * False also if the answer takes more work: the thread holds other pins, or the handle is marked or wrong. The code of
 * tm_try_pin and tm_unpin is repeated here, since the stack is empty, and two calls would take 40 instructions more. */
static inline bool stays(tm_handle_t h, size_t size)
{
    tmi_thread_t *t = tmi_self();
    tm_pins_t_ *r = &t->pins;
    if (t->handles.own == NULL || r->limit == 0 || r->top != 0 || !tmi_handle_formed(h))
        return false;
    tmi_store_relaxed(&r->top, 1); // as in tm_pin, and as in tm_unpin below
    tmi_fence_signal();
    tmi_store_release(&r->slot[1], h);
    tmi_fence_signal();
    uint64_t w = tmi_load_acquire(tm_word_of_(h)); // pairs: mover_publish
    bool same = tm_word_differs_(w, h) == 0 &&
                // relaxed: see pagemap.h
                tmi_load_relaxed(&tmi_pagemap.movable[w >> (16 + TMI_UNIT_SHIFT)]) == tmi_mclass_of(size) * 2;
    tmi_store_release(&r->top, 0);
    return same;
}

tm_handle_t tm_realloc(tm_handle_t h, size_t size)
{
    return TMI_LIKELY(size - 1 < TMI_MOVABLE_MAX && stays(h, size)) ? h : tmi_object_realloc(h, size);
}

/* For a handle that only the mover's mark makes differ from its word: clear the mark, and continue. */
static TMI_NOINLINE void free_slowly(tm_handle_t h, uint64_t w)
{
    if ((uint16_t)(w ^ h) != TMI_WORD_MOVING || tmi_self_->top != 0)
        tmi_object_free(h);
    else if (tmi_object_touch(h, "tm_free") != NULL)
        tm_free(h);
}

/* Four questions before the swap: does this thread use handles (then there is a table), is h what its word says, has
 * it the form of a handle and another life before it, and has this thread no pins. The page map decides the rest:
 * large, locked and aligned objects have classes whose magazine is always full. */
void tm_free(tm_handle_t h)
{
    tmi_thread_t *t = tmi_self();
    size_t i = tmi_handle_index(h);
    if (TMI_UNLIKELY(t->handles.own == NULL)) {
        tmi_object_free(h);
        return;
    }
    uint64_t *words = tmi_load_relaxed(&tmi_words), w = tmi_load_acquire(&words[tmi_anew(i)]); // pairs: mover_publish
    if (TMI_UNLIKELY((uint32_t)h != (uint16_t)w || !tmi_word_may_end(w) || tmi_load_foldable(&t->pins.top) != 0)) {
        free_slowly(h, w);
        return;
    }
    // [model: free_cas] our accesses precede the next owner's; a mark, or a second free, makes it fail
    if (TMI_UNLIKELY(!tmi_cas_acq_rel(&words[tmi_anew(i)], &w, w - TMI_GENERATION_STEP - TMI_WORD_LIVE))) {
        tmi_object_free(h);
        return;
    }
    size_t code = tmi_load_relaxed(&tmi_pagemap.movable[w >> (16 + TMI_UNIT_SHIFT)]); // relaxed: see pagemap.h
    if (TMI_UNLIKELY(!tmi_hcache_push(&t->handles, code, h - TMI_GENERATION_STEP)))
        tmi_object_put(tmi_word_address(w), h - TMI_GENERATION_STEP, false);
}

void *tm_lock(tm_handle_t h) { return tmi_object_lock(h); }
void tm_unlock(tm_handle_t h) { tmi_object_unlock(h); }

size_t tm_sizeof(tm_handle_t h) { return tmi_object_sizeof(h); }

bool tm_valid(tm_handle_t h) { return tm_from_ref(tm_ref(h)) == h && h != TM_NULL; }

bool tm_check(tm_handle_t h, size_t size) { return tmi_object_check(h, size); }

tm_handle_t tm_handle_of(const void *pinned) { return tmi_object_of(pinned); }

tm_ref_t tm_ref(tm_handle_t h) { return tmi_handle_index(h); }

tm_handle_t tm_from_ref(tm_ref_t r) { return tmi_object_ready() ? tmi_object_of_index(r) : TM_NULL; }

static TMI_NOINLINE tm_ref_t alloc_ref_slowly(size_t size)
{
    return tm_ref(tmi_object_alloc_for(size, 1, false, __builtin_frame_address(0)));
}

tm_ref_t tm_alloc_ref(size_t size)
{
    if (TMI_UNLIKELY(tmi_load_relaxed(&tmi_sampling))) // relaxed: a late change only delays sampling
        return alloc_ref_slowly(size);
    return tm_ref(tm_alloc(size));
}

void tm_free_ref(tm_ref_t r) { tm_free(tmi_object_of_ref(r, "tm_free_ref")); }

unsigned tm_pin_mark(void) { return tmi_pin_depth(tmi_self_); }
void tm_pin_reset(unsigned mark) { tmi_object_pin_reset(mark); }
unsigned tm_scope_mark(void) { return (uint16_t)tmi_self_->scope; }
void tm_scope_reset(unsigned mark) { tmi_object_scope_reset(mark); }

size_t tm_compact(void) { return tmi_object_compact(); }
bool tm_compact_step(unsigned budget_us) { return tmi_object_compact_step(budget_us); }

void tm_idle(void) { tmi_pacer_idle(); }

void tm_stats(tm_stats_t *out) { tmi_introspect_handles(out); }

#ifdef TM_DEREF_CHECKED
void *tm_deref(tm_handle_t h)
{
    if ((tmi_self_->scope & 0xffff) == 0)
        tmi_fatal("tm_deref", (void *)(uintptr_t)h, "this thread is in no scope");
    return tmi_object_touch(h, "tm_deref");
}
#endif

#ifdef TM_DEREF_CHECKED
void *tm_deref_ref(tm_ref_t r)
{
    if ((tmi_self_->scope & 0xffff) == 0)
        tmi_fatal("tm_deref_ref", (void *)(uintptr_t)r, "this thread is in no scope");
    return tmi_object_touch_ref(r, "tm_deref_ref");
}
#endif

/* ---- slow paths of pin.h ----------------------------------------------------------------------------------------- */

void *tm_pin_slow_(tm_handle_t h) { return tmi_object_pin(h, "tm_pin"); }
void *tm_pin_marked_(tm_handle_t h) { return tmi_object_touch(h, "tm_pin"); }
void *tm_try_pin_slow_(tm_handle_t h) { return tmi_object_try_pin(h); }
void *tm_try_pin_marked_(tm_handle_t h) { return tmi_object_try_touch(h); }
void *tm_deref_ref_slow_(tm_ref_t r) { return tmi_object_touch_ref(r, "tm_deref_ref"); }

/* The index has no live object, or has got one just now. */
void *tm_pin_ref_slow_(tm_ref_t r) { return tmi_object_pin(tmi_object_of_ref(r, "tm_pin_ref"), "tm_pin_ref"); }

void tm_unpin_slow_(tm_handle_t h) { tmi_object_unpin(h); }
void *tm_deref_slow_(tm_handle_t h) { return tmi_object_touch(h, "tm_deref"); }
void tm_scope_enter_slow_(void) { tmi_object_scope_enter(); }
void tm_scope_exit_slow_(void) { tmi_object_scope_misused(); }
