/* atomic.h - atomics named by their order, and the fences.
 *
 * Every use says which accesses it orders and with which function it pairs. Relaxed needs a reason, too. There is no
 * sequentially consistent access. Where each of two sides must see the other, the code says how. */
#ifndef TMI_BASE_ATOMIC_H
#define TMI_BASE_ATOMIC_H

#include "base/config.h"

/* Builds for tests call this function, if it is set, before every access below. A test can therefore run other code
 * between any two accesses that another thread or a signal handler can tell apart. */
#if TMI_TEST_HOOKS
extern void (*tmi_atomic_point)(void);
#define TMI_POINT() (__builtin_expect(tmi_atomic_point != 0, 0) ? tmi_atomic_point() : (void)0)
#else
#define TMI_POINT() ((void)0)
#endif

#define tmi_load_relaxed(p) (TMI_POINT(), __atomic_load_n((p), __ATOMIC_RELAXED))
#define tmi_load_acquire(p) (TMI_POINT(), __atomic_load_n((p), __ATOMIC_ACQUIRE))
#define tmi_store_relaxed(p, v) (TMI_POINT(), __atomic_store_n((p), (v), __ATOMIC_RELAXED))
#define tmi_store_release(p, v) (TMI_POINT(), __atomic_store_n((p), (v), __ATOMIC_RELEASE))

/* Read-modify-write; each returns the old value. */
#define tmi_add_relaxed(p, v) (TMI_POINT(), __atomic_fetch_add((p), (v), __ATOMIC_RELAXED))
#define tmi_sub_relaxed(p, v) (TMI_POINT(), __atomic_fetch_sub((p), (v), __ATOMIC_RELAXED))
#define tmi_or_relaxed(p, v) (TMI_POINT(), __atomic_fetch_or((p), (v), __ATOMIC_RELAXED))
#define tmi_exchange_acquire(p, v) (TMI_POINT(), __atomic_exchange_n((p), (v), __ATOMIC_ACQUIRE))
#define tmi_exchange_release(p, v) (TMI_POINT(), __atomic_exchange_n((p), (v), __ATOMIC_RELEASE))
#define tmi_exchange_acq_rel(p, v) (TMI_POINT(), __atomic_exchange_n((p), (v), __ATOMIC_ACQ_REL))
#define tmi_exchange_relaxed(p, v) (TMI_POINT(), __atomic_exchange_n((p), (v), __ATOMIC_RELAXED))

/* Compare and swap. True on success. Otherwise `*expected` holds the value that was found. */
#define tmi_cas_acquire(p, expected, v) \
    (TMI_POINT(), __atomic_compare_exchange_n((p), (expected), (v), 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
#define tmi_cas_release(p, expected, v) \
    (TMI_POINT(), __atomic_compare_exchange_n((p), (expected), (v), 0, __ATOMIC_RELEASE, __ATOMIC_RELAXED))

#define tmi_cas_relaxed(p, expected, v) \
    (TMI_POINT(), __atomic_compare_exchange_n((p), (expected), (v), 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
#define tmi_cas_acq_rel(p, expected, v) \
    (TMI_POINT(), __atomic_compare_exchange_n((p), (expected), (v), 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
#define tmi_add_acq_rel(p, v) (TMI_POINT(), __atomic_fetch_add((p), (v), __ATOMIC_ACQ_REL))
#define tmi_sub_release(p, v) (TMI_POINT(), __atomic_fetch_sub((p), (v), __ATOMIC_RELEASE))

/* An addition without an atomic read-modify-write, for a location with one writer. Only that writer calls it. */
#define tmi_own_add(p, v) tmi_store_relaxed((p), tmi_load_relaxed(p) + (v))

/* For two places in the hottest code. Compilers do not fold a relaxed atomic access into an arithmetic instruction, so
 * these are plain accesses of a word. Other threads may access the word at the same time; each use says why that race
 * is harmless. */
#ifdef __SANITIZE_THREAD__
#define TMI_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TMI_TSAN 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define TMI_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TMI_SANITIZED 1
#endif
#endif
#if defined(TMI_TSAN) && !defined(TMI_SANITIZED)
#define TMI_SANITIZED 1
#endif
#ifdef TMI_TSAN
#define tmi_load_foldable(p) tmi_load_relaxed(p)
#define tmi_step_foldable(p, n) tmi_own_add(p, n)
#else
#define tmi_load_foldable(p) (*(p))
#define tmi_step_foldable(p, n) ((void)(*(p) += (n)))
#endif

/* The compiler moves no access across it. Orders accesses for a signal handler on the same thread. */
#define tmi_fence_signal() __atomic_signal_fence(__ATOMIC_SEQ_CST)

/* The full fence, for the few places where a store must precede a later load of another location and no other thread
 * fences instead. ThreadSanitizer does not know fences. Under it, a read-modify-write of a static word takes the
 * fence's place. */
#ifdef TMI_TSAN
static inline void tmi_fence_full(void)
{
    int place = 0;
    (void)__atomic_fetch_add(&place, 1, __ATOMIC_SEQ_CST);
}
#else
#define tmi_fence_full() (TMI_POINT(), __atomic_thread_fence(__ATOMIC_SEQ_CST))
#endif

static inline void tmi_cpu_relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#endif
