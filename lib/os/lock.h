/* lock.h - a mutex of one word on a futex, and what fork needs of it.
 *
 * K1  word is 0: free; 1: held; 2: held, and a thread may be sleeping on it.
 * K2  A thread takes locks in the order of their ranks (below), and within one rank in the order of class numbers.
 *
 * Between the fork handlers the forking thread holds every lock. Other libraries' fork handlers may call malloc on that
 * thread in the meantime. tmi_lock_fork_owner therefore names the thread, and for it lock and unlock do nothing. No
 * other thread holds a lock then, and the guarded state was consistent when the locks were taken.
 *
 * Ranks, outermost first: those of tmi_rank_t. Check builds verify K2 at every lock and unlock of a lock that has a
 * rank (lock_ranks.c). They report the first acquisition in the wrong order, even if no second thread is there to
 * deadlock with. A trylock may come in any order, since it does not wait. */
#ifndef TMI_OS_LOCK_H
#define TMI_OS_LOCK_H

#include "base/atomic.h"
#include "base/base.h"

typedef enum tmi_rank {
    TMI_RANK_NONE, // a leaf: its holder takes no other lock
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
/* Hooks of check builds: tmi_lock_ask before a wait, which aborts if the order is wrong; tmi_lock_taken after the lock
 * was taken; tmi_lock_leaving before its release; tmi_lock_none_held in the child of a fork, when no lock is held. */
void tmi_lock_ask(const tmi_lock_t *lock);
void tmi_lock_taken(tmi_lock_t *lock);
void tmi_lock_leaving(tmi_lock_t *lock);
void tmi_lock_none_held(void);
/* Whether the calling thread holds the lock. Between its fork handlers the forking thread holds every lock. */
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

/* Whether the calling thread is between its fork handlers. */
bool tmi_lock_forking_here(void);

/* Whether a signal handler may take a lock, whatever code it has interrupted on its thread. Always true, except in
 * check builds, where the interrupted code may be changing the list of held locks. compact_apart.c has the rest of the
 * argument. */
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

/* For a reader that may be a signal handler. It does not wait, and makes no entry in the list of held locks, since the
 * handler may have interrupted an update of that list. The caller takes no other lock until the release. */
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

/* After fork, in the child: make the lock free, whatever its state. The child does so with every lock that has a
 * rank. */
static inline void tmi_lock_reset(tmi_lock_t *lock)
{
    tmi_lock_none_held();
    tmi_store_relaxed(&lock->word, 0);
}

#endif
