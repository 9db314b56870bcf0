/* lock.h - a mutex of one word on a futex, and what fork needs of it.
 *
 * K1  word is 0 free, 1 held, 2 held and somebody may sleep on it.
 * K2  A thread takes locks in the order of their ranks (below), and within one rank in the order of class numbers.
 *
 * Between the fork handlers the forking thread holds every lock, and other libraries' handlers may call malloc on it in
 * that time: tmi_lock_fork_owner names that thread, for which lock and unlock then do nothing. Nobody else runs under
 * the locks meanwhile, and the state they protect was consistent when they were taken.
 *
 * Ranks, outermost first: those of tmi_rank_t. Check builds verify K2 at every lock and unlock of a lock that has a
 * rank (lock_ranks.c), and report a breach at the first time that the order is wrong, not at the one time in a million
 * when two threads meet. A trylock may come in any order, for it does not wait. */
#ifndef TMI_OS_LOCK_H
#define TMI_OS_LOCK_H

#include "base/atomic.h"
#include "base/base.h"

typedef enum tmi_rank {
    TMI_RANK_NONE, // a leaf: nothing else is locked under it
    TMI_RANK_MOVER,
    TMI_RANK_GUARD,
    TMI_RANK_EXTENT,
    TMI_RANK_PACER,
    TMI_RANK_DEPOT,
    TMI_RANK_SLABS,
    TMI_RANK_MIXED,
    TMI_RANK_MEDIUM,
    TMI_RANK_MOVABLE,
    TMI_RANK_HANDLES,
    TMI_RANK_SPACE,
    TMI_RANK_META,
    TMI_RANK_SAMPLES,
    TMI_RANK_SENTRY,
    TMI_RANK_HISTORY,
} tmi_rank_t;

typedef struct tmi_lock {
    uint32_t word; // K1
#if TMI_CHECK
    uint32_t place;             // rank * 256 + number within the rank; 0 has no rank
    uintptr_t owner;            // while it is held
    struct tmi_lock *next_held; // in lock_ranks.c
#endif
} tmi_lock_t;

#if TMI_CHECK
#define TMI_LOCK_OF(rank) {.place = (rank) * 256}
/* Before a wait: aborts if the order is wrong. After the lock was taken, before it is released, and when none is held
 * any more. */
void tmi_lock_ask(const tmi_lock_t *lock);
void tmi_lock_taken(tmi_lock_t *lock);
void tmi_lock_leaving(tmi_lock_t *lock);
void tmi_lock_none_held(void);
/* Whether the calling thread holds the lock, or every lock between its fork handlers. */
bool tmi_lock_held_here(const tmi_lock_t *lock);
static inline void tmi_lock_set_place(tmi_lock_t *lock, tmi_rank_t rank, unsigned number)
{
    lock->place = rank * 256 + number;
}
#else
#define TMI_LOCK_OF(rank) {0}
#define tmi_lock_ask(lock) ((void)(lock))
#define tmi_lock_taken(lock) ((void)(lock))
#define tmi_lock_leaving(lock) ((void)(lock))
#define tmi_lock_none_held() ((void)0)
#define tmi_lock_set_place(lock, rank, number) ((void)(lock), (void)(number))
#endif

/* pthread_self() of a thread between its fork handlers, or 0. */
extern uintptr_t tmi_lock_fork_owner;

/* Whether the calling thread is that one. */
bool tmi_lock_forking_here(void);

/* Whether this code may lock in the middle of what its thread was doing, which may be anything when a signal handler
 * asks: always, but for the books of check builds. See tmi_compact_set_apart for the rest of the argument. */
#if TMI_CHECK
bool tmi_lock_none_here(void);
#else
static inline bool tmi_lock_none_here(void) { return true; }
#endif

void tmi_lock_slow(tmi_lock_t *lock);
void tmi_unlock_forking(tmi_lock_t *lock);
void tmi_unlock_wake(tmi_lock_t *lock);

static inline void tmi_lock(tmi_lock_t *lock)
{
    uint32_t expected = 0;
    tmi_lock_ask(lock);
    if (TMI_UNLIKELY(!tmi_cas_acquire(&lock->word, &expected, 1))) // pairs: tmi_unlock
        tmi_lock_slow(lock);
    else
        tmi_lock_taken(lock);
}

static inline bool tmi_trylock(tmi_lock_t *lock)
{
    uint32_t expected = 0;
    bool got = tmi_cas_acquire(&lock->word, &expected, 1); // pairs: tmi_unlock
    if (got)
        tmi_lock_taken(lock);
    return got;
}

static inline void tmi_unlock(tmi_lock_t *lock)
{
    // relaxed: only the thread that set it needs to see it
    if (TMI_UNLIKELY(tmi_load_relaxed(&tmi_lock_fork_owner) != 0)) {
        tmi_unlock_forking(lock);
        return;
    }
    tmi_lock_leaving(lock);
    if (TMI_UNLIKELY(tmi_exchange_release(&lock->word, 0) == 2)) // pairs: tmi_lock, tmi_lock_slow
        tmi_unlock_wake(lock);
}

/* For a reader that may be a signal handler: no waiting, and no entry in the list of held locks, whose update the
 * handler may have interrupted. Nothing else is locked meanwhile. */
static inline bool tmi_trylock_untraced(tmi_lock_t *lock)
{
    uint32_t expected = 0;
    return tmi_cas_acquire(&lock->word, &expected, 1); // pairs: tmi_unlock
}

static inline void tmi_unlock_untraced(tmi_lock_t *lock)
{
    if (TMI_UNLIKELY(tmi_exchange_release(&lock->word, 0) == 2)) // pairs: tmi_lock, tmi_lock_slow
        tmi_unlock_wake(lock);
}

/* After fork, in the child: the lock is free whatever it was, and so are all others with a rank, one after the
 * other. */
static inline void tmi_lock_reset(tmi_lock_t *lock)
{
    tmi_lock_none_held();
    tmi_store_relaxed(&lock->word, 0);
}

#endif
