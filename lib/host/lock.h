/* lock.h - a mutex of one word on a futex, and what fork needs of it.
 *
 * K1  word is 0 free, 1 held, 2 held and somebody may sleep on it.
 * K2  A thread takes locks in the order of their ranks (below), and within one rank in the order of class numbers.
 *
 * Between the fork handlers the forking thread holds every lock, and other libraries' handlers may call malloc on it in
 * that time: tmi_lock_fork_owner names that thread, for which lock and unlock then do nothing. Nobody else runs under
 * the locks meanwhile, and the state they protect was consistent when they were taken.
 *
 * Ranks, outermost first:  mover < registry < pacer < depot < slabs (raw, then movable) < handles < space < meta. */
#ifndef TMI_HOST_LOCK_H
#define TMI_HOST_LOCK_H

#include "base/atomic.h"
#include "base/base.h"

typedef struct tmi_lock {
    uint32_t word; // K1
} tmi_lock_t;

/* pthread_self() of a thread between its fork handlers, or 0. */
extern uintptr_t tmi_lock_fork_owner;

void tmi_lock_slow(tmi_lock_t *lock);
void tmi_unlock_forking(tmi_lock_t *lock);
void tmi_unlock_wake(tmi_lock_t *lock);

static inline void tmi_lock(tmi_lock_t *lock)
{
    uint32_t expected = 0;
    if (TM_UNLIKELY(!tmi_cas_acquire(&lock->word, &expected, 1))) // pairs: tmi_unlock
        tmi_lock_slow(lock);
}

static inline bool tmi_trylock(tmi_lock_t *lock)
{
    uint32_t expected = 0;
    return tmi_cas_acquire(&lock->word, &expected, 1); // pairs: tmi_unlock
}

static inline void tmi_unlock(tmi_lock_t *lock)
{
    // relaxed: only the thread that set it needs to see it
    if (TM_UNLIKELY(tmi_load_relaxed(&tmi_lock_fork_owner) != 0))
        tmi_unlock_forking(lock);
    else if (TM_UNLIKELY(tmi_exchange_release(&lock->word, 0) == 2)) // pairs: tmi_lock, tmi_lock_slow
        tmi_unlock_wake(lock);
}

/* After fork, in the child: the lock is free whatever it was. */
static inline void tmi_lock_reset(tmi_lock_t *lock) { tmi_store_relaxed(&lock->word, 0); }

#endif
