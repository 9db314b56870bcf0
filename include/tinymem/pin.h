/** pin.h - keep an object still while a thread uses it: the inlined paths. tinymem.h includes it; programs do not.
 *
 *  Idea: the thread publishes a handle in a slot of its own, then reads the handle's word. The mover marks the word,
 *  then reads the slots of all threads. With a fence on both sides at least one sees the other and backs off. The fence
 *  is asymmetric: the mover pays for both with membarrier(2), so a pin has no fence instruction and no
 *  read-modify-write.
 *
 *    handle  index 63-32   | 0 (31-16) | generation 15-2 | 1    | 0
 *    word    address 47-0 in 63-16     | generation 15-2 | live | M: being moved
 *
 *  One comparison of the low halves of a handle and its word says "right generation, live, not being moved"; the index
 *  and the address are a shift each. Indices have their highest bit set, which makes a handle that is dereferenced by
 *  mistake fault. Word 0 is never used and reads 0. So pinning TM_NULL yields NULL without a branch.
 *
 *  P1  slot[i], 0 < i <= top, holds h, stored before an unmarked read of h's word => h stays where it is. The same
 *      holds for the second stack.
 *  P2  A handle in the stack moves only to a lower slot. So the mover reads slots from the top down.
 *  P3  Every store here that the mover reads is a release: what the thread did to an object precedes the end of its
 *      pin.
 *  P4  limit is 0 until the thread's first use, and stays 0 without membarrier. While it is 0, every pin calls a
 *      function that has a real fence.
 *  Owner: each record's thread writes it, and the mover reads it. Locks: none. Signals: pins and scopes nest in
 *  handlers.
 *
 *  Names with a trailing underscore, and the layout of the record, are ABI under the library's SONAME but not API. */
#ifndef TINYMEM_PIN_H
#define TINYMEM_PIN_H

#ifndef TINYMEM_TINYMEM_H
#error "include <tinymem/tinymem.h>"
#endif

#include <stddef.h>
#include <stdint.h>

/* These functions are written in C. A C++ program that warns about old-style casts gets no warnings from them. */
#ifdef __cplusplus
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wold-style-cast"
#endif

/* These functions are inlined wherever they are called. The library also exports each under the same name, for other
 * languages and for function pointers. */
#ifndef TM_INLINE_
#define TM_INLINE_ extern __inline__ __attribute__((__gnu_inline__, __always_inline__))
#endif
#define TM_RARELY_(x) __builtin_expect(!!(x), 0)
#define TM_COMPILER_FENCE_() __atomic_signal_fence(__ATOMIC_SEQ_CST)

/* On every processor an address dependency orders the word before the object's bytes. The acquire is there for the
 * language, and costs nothing on x86. On other processors an acquire load after the release of the slot would be a
 * fence. */
#if defined(__x86_64__) || defined(__SANITIZE_THREAD__)
#define TM_CONSUME_ __ATOMIC_ACQUIRE
#else
#define TM_CONSUME_ __ATOMIC_RELAXED
#endif

enum { TM_PIN_SLOTS_ = 1024 };

/* A thread's pins and scopes. */
typedef struct tm_pins_ {
    struct tm_pins_ *next_; /* the record registered before this one; never changes */
    uint64_t seen_scope_;   /* the mover's */
    uint64_t scope;         /* sequence << 16 | depth */
    uint32_t capacity_;     /* how many slots there are; 0 before the thread's first use */
    uint32_t overflow_;     /* pins beyond the stack, in more_ */
    uint64_t seen_since_;   /* the mover's: when it first saw the lowest pin, and which pin that is */
    tm_handle_t seen_pin_;
    uint32_t top, limit;    /* P4 */
    /* slot[1] is the first. slot[0] equals no handle, and neither does the top slot while more_ has pins. */
    tm_handle_t slot[TM_PIN_SLOTS_ + 1];
    struct tm_more_pins_ *more_; /* a second stack, made when the first is full */
} tm_pins_t_;

/* Set in the word of a live object, and in each of its handles. */
#define TM_WORD_LIVE_ ((uint64_t)2)
#define TM_WORD_MOVING_ ((uint64_t)1)

#define TM_PIN_GUARD_ ((tm_handle_t)1)

extern __thread tm_pins_t_ *tm_self_ __attribute__((__tls_model__("initial-exec")));
extern uint64_t *tm_words_;

/* What TM_PINNED keeps on the stack. */
typedef struct tm_pinned_ {
    void *address_;
    tm_handle_t handle_;
    int once_;
} tm_pinned_t_;

uint64_t *tm_word_of_index_(uint32_t i);
uint64_t *tm_word_of_(tm_handle_t h);
int tm_word_differs_(uint64_t w, tm_handle_t h);
void *tm_word_address_(uint64_t w);
tm_pinned_t_ tm_pinned_begin_(tm_handle_t h);
void tm_pinned_end_(tm_pinned_t_ *g);
void *tm_pin(tm_handle_t h);
void *tm_try_pin(tm_handle_t h);
void *tm_pin_ref(tm_ref_t r);
void tm_unpin_ref(tm_ref_t r);
void *tm_deref_ref(tm_ref_t r);
tm_handle_t tm_handle_of_ref_(tm_ref_t r);
void tm_unpin(tm_handle_t h);
void tm_scope_enter(void);
void tm_scope_exit(void);
void *tm_deref(tm_handle_t h);
void *tm_pin_slow_(tm_handle_t h);
void *tm_pin_marked_(tm_handle_t h);
void *tm_try_pin_slow_(tm_handle_t h);
void *tm_try_pin_marked_(tm_handle_t h);
void *tm_pin_ref_slow_(tm_ref_t r);
void *tm_deref_ref_slow_(tm_ref_t r);
void tm_unpin_slow_(tm_handle_t h);
void *tm_deref_slow_(tm_handle_t h);
void tm_scope_enter_slow_(void);
void tm_scope_exit_slow_(void);

/* The table is made before the first handle, so a thread that has a handle also sees the table. A thread without a
 * handle may look up TM_NULL meanwhile: word 0 reads 0, in the table and before there is one. Pairs:
 * tmi_handle_init. */
TM_INLINE_ uint64_t *tm_word_of_index_(uint32_t i) { return __atomic_load_n(&tm_words_, TM_CONSUME_) + i; }

TM_INLINE_ uint64_t *tm_word_of_(tm_handle_t h) { return tm_word_of_index_((uint32_t)(h >> 32)); }

/* Zero when generation and liveness agree and the object is not being moved. */
TM_INLINE_ int tm_word_differs_(uint64_t w, tm_handle_t h) { return (uint16_t)w != (uint16_t)h; }

TM_INLINE_ void *tm_word_address_(uint64_t w) { return (void *)(uintptr_t)(w >> 16); }

/** Pin an object: its address holds until the matching tm_unpin.
 *  @param h  live handle or TM_NULL. Pins nest, also in signal handlers.
 *  @return   address, aligned to 16 bytes or as asked at allocation; NULL for TM_NULL (still one pin: unpin it).
 *  @errors   a stale handle: one line on stderr naming it, then abort (option `stale`).
 *  @thread   any; unpin on the same thread. Never waits, never allocates but at a thread's first use. */
TM_INLINE_ void *tm_pin(tm_handle_t h)
{
    tm_pins_t_ *r = tm_self_;
    uint32_t t = r->top;
    if (TM_RARELY_(t >= r->limit)) /* first use, stack full, or no membarrier */
        return tm_pin_slow_(h);
    /* [model: pin_top] own record; before slot: a handler's pins land above, P2 */
    __atomic_store_n(&r->top, t + 1, __ATOMIC_RELAXED);
    TM_COMPILER_FENCE_();
    /* [model: pin_slot] P3; pairs: scan_slot in tmi_pin_scan */
    __atomic_store_n(&r->slot[t + 1], h, __ATOMIC_RELEASE);
    TM_COMPILER_FENCE_(); /* slot before word; pairs: the membarrier of mover_fence */
    /* [model: pin_read] the moved bytes are visible; pairs: mover_publish */
    uint64_t w = __atomic_load_n(tm_word_of_(h), TM_CONSUME_);
    if (TM_RARELY_(tm_word_differs_(w, h)))
        return tm_pin_marked_(h); /* being moved, or stale */
    return tm_word_address_(w);
}

/** Pin an object if it is still live. For a cache, for example, that keeps handles of objects which other threads free.
 *  @param h  TM_NULL, or a handle that has been live. Pins nest, also in signal handlers.
 *  @return   as tm_pin. NULL for TM_NULL and for a stale handle: then nothing is pinned, so do not unpin. Also NULL,
 *            with errno ENOMEM, if there is no memory for one more pin. Otherwise errno does not change.
 *  @errors   none; never reports, for any value of the option `stale`.
 *  @thread   any; unpin on the same thread. As with tm_pin, the program must not free the object while it is pinned. */
TM_INLINE_ void *tm_try_pin(tm_handle_t h)
{
    tm_pins_t_ *r = tm_self_;
    uint32_t t = r->top;
    if (TM_RARELY_(t >= r->limit))
        return tm_try_pin_slow_(h);
    __atomic_store_n(&r->top, t + 1, __ATOMIC_RELAXED); /* as in tm_pin, to the comparison */
    TM_COMPILER_FENCE_();
    __atomic_store_n(&r->slot[t + 1], h, __ATOMIC_RELEASE);
    TM_COMPILER_FENCE_();
    uint64_t w = __atomic_load_n(tm_word_of_(h), TM_CONSUME_);
    if (TM_RARELY_(tm_word_differs_(w, h | TM_WORD_LIVE_))) /* TM_NULL differs too: its word is 0 */
        return tm_try_pin_marked_(h);
    return tm_word_address_(w);
}

/** End a pin of h that this thread holds. Pins may end in any order. The newest pin ends in constant time. For others
 *  the thread's pins are searched, from the newest on. So lock objects that stay in place for long, or by the thousand,
 *  instead of pinning them.
 *  @errors  the thread holds no pin of h: reported, then abort (TM_NULL without a pin: does nothing). */
TM_INLINE_ void tm_unpin(tm_handle_t h)
{
    tm_pins_t_ *r = tm_self_;
    uint32_t t = r->top;
    if (TM_RARELY_(r->slot[t] != h))
        tm_unpin_slow_(h);
    else
        __atomic_store_n(&r->top, t - 1, __ATOMIC_RELEASE); /* [model: unpin_top] P3; pairs: scan_top */
}

/** Enter a scope. Until its end no object moves that this thread looks up with tm_deref. Scopes nest and should be
 *  short: a thread that sleeps in a scope delays compaction, but never another thread. Signal handlers may enter
 *  scopes.
 *
 *  Inside a scope every function may be called. An object that is allocated there can be looked up at once, and stays
 *  in place like the others. tm_free and tm_realloc end the address of their own object only. So do not free or resize
 *  an object that this scope, or another thread, still uses. Pins and locks may begin in a scope and outlive it.
 *  tm_compact and tm_compact_step do nothing there, and an allocation that finds no memory does not compact before it
 *  fails. For longjmp and exceptions see tm_scope_mark.
 *  @errors  65,535 scopes of the thread are open: reported, then abort. */
TM_INLINE_ void tm_scope_enter(void)
{
    tm_pins_t_ *r = tm_self_;
    uint64_t s = r->scope;
    if (TM_RARELY_(r->limit == 0 || (uint16_t)s == UINT16_MAX)) {
        tm_scope_enter_slow_();
        return;
    }
    __atomic_store_n(&r->scope, s + 1, __ATOMIC_RELEASE); /* [model: scope_enter] pairs: scan_scope */
    TM_COMPILER_FENCE_();                                 /* scope before words; pairs: mover_fence */
}

/** Leave the innermost scope. @errors  outside any scope: reported, then abort. */
TM_INLINE_ void tm_scope_exit(void)
{
    tm_pins_t_ *r = tm_self_;
    uint64_t s = r->scope;
    if (TM_RARELY_((s & 0xffff) == 0)) {
        tm_scope_exit_slow_();
        return;
    }
    /* [model: scope_exit] P3; pairs: scan_scope */
    __atomic_store_n(&r->scope, (s & 0xffff) == 1 ? s + 0xffff : s - 1, __ATOMIC_RELEASE);
}

/** The address of an object, inside a scope of the calling thread. The object does not move until the end of the scope.
 *  @param h  live handle or TM_NULL (NULL).
 *  @errors   a stale handle: as tm_pin. Outside a scope the address may become stale at any time. With TM_DEREF_CHECKED
 *            defined this function is not inlined, and check builds of the library report calls outside a scope. */
#ifndef TM_DEREF_CHECKED
TM_INLINE_ void *tm_deref(tm_handle_t h)
{
    uint64_t w = __atomic_load_n(tm_word_of_(h), TM_CONSUME_); /* [model: scope_read] pairs: mover_publish */
    if (TM_RARELY_(tm_word_differs_(w, h)))
        return tm_deref_slow_(h);
    return tm_word_address_(w);
}
#endif

/* ---- references: handles without their generation ---------------------------------------------------------------- */

/* The handle that the index has if its object is live. Otherwise a handle without the bit for live. */
TM_INLINE_ tm_handle_t tm_handle_of_ref_(tm_ref_t r)
{
    /* relaxed: only a value; a pin reads the word again */
    uint64_t w = __atomic_load_n(tm_word_of_index_(r), __ATOMIC_RELAXED);
    return (tm_handle_t)r << 32 | (uint16_t)(w & ~TM_WORD_MOVING_);
}

/** As tm_pin, by reference. A reference has no generation, so a freed object's reference is reported only until its
 *  index is used again. @errors no object there: as for a stale handle; it then counts as a pin of TM_NULL. */
TM_INLINE_ void *tm_pin_ref(tm_ref_t r)
{
    tm_handle_t h = tm_handle_of_ref_(r);
    if (TM_RARELY_((h & TM_WORD_LIVE_) == 0))
        return tm_pin_ref_slow_(r);
    return tm_pin(h);
}

/** End a pin of the reference's object that this thread holds. As tm_unpin. */
TM_INLINE_ void tm_unpin_ref(tm_ref_t r)
{
    tm_handle_t h = tm_handle_of_ref_(r);
    tm_unpin(h & TM_WORD_LIVE_ ? h : TM_NULL);
}

/** As tm_deref, by reference: a load, a comparison of constants, a shift. 0: NULL. @errors  as tm_pin_ref. */
#ifndef TM_DEREF_CHECKED
TM_INLINE_ void *tm_deref_ref(tm_ref_t r)
{
    uint64_t w = __atomic_load_n(tm_word_of_index_(r), TM_CONSUME_); /* as in tm_deref */
    if (TM_RARELY_((w & (TM_WORD_LIVE_ | TM_WORD_MOVING_)) != TM_WORD_LIVE_))
        return tm_deref_ref_slow_(r);
    return tm_word_address_(w);
}
#endif

TM_INLINE_ tm_pinned_t_ tm_pinned_begin_(tm_handle_t h)
{
    tm_pinned_t_ g;
    g.address_ = tm_pin(h);
    g.handle_ = h;
    g.once_ = 1;
    return g;
}

TM_INLINE_ void tm_pinned_end_(tm_pinned_t_ *g) { tm_unpin(g->handle_); }

#define TM_PASTE2_(a, b) a##b
#define TM_PASTE_(a, b) TM_PASTE2_(a, b)

/** TM_PINNED(T, p, h) { ... }: the block runs once, with `T *p` the address of h. h is pinned until the block ends: at
 *  its end, by break or continue (both leave the block), return, goto, or a C++ exception (in C with -fexceptions).
 *  longjmp does not end the pin (see tm_scope_mark). With TM_NULL the block runs with p == NULL. */
#define TM_PINNED(T, p, h) TM_PINNED_AS_(T, p, h, TM_PASTE_(tm_guard_, __LINE__))
#define TM_PINNED_AS_(T, p, h, g)                                                                                    \
    for (tm_pinned_t_ g __attribute__((__cleanup__(tm_pinned_end_))) = tm_pinned_begin_(h); g.once_; g.once_ = 0)     \
        for (T *p = TM_POINTER_(T, g.address_); g.once_; g.once_ = 0)
#ifdef __cplusplus
#define TM_POINTER_(T, p) static_cast<T *>(p)
#pragma GCC diagnostic pop
#else
#define TM_POINTER_(T, p) ((T *)(p))
#endif

#endif
