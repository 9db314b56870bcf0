#include "os/lock.h"
#include "os/os.h"

#include <pthread.h>

enum { SPINS = 100 }; // about the length of a critical section here

uintptr_t tmi_lock_fork_owner;

bool tmi_lock_forking_here(void)
{
    uintptr_t owner = tmi_load_relaxed(&tmi_lock_fork_owner); // relaxed: see tmi_unlock
    return owner != 0 && owner == (uintptr_t)pthread_self();
}

void tmi_lock_slow(tmi_lock_t *lock)
{
    if (tmi_lock_forking_here())
        return;
    for (int i = 0; i < SPINS; i++) {
        tmi_cpu_relax();
        uint32_t expected = 0;
        if (tmi_load_relaxed(&lock->word) == 0 && tmi_cas_acquire(&lock->word, &expected, 1)) {
            tmi_lock_taken(lock);
            return;
        }
    }
    while (tmi_exchange_acquire(&lock->word, 2) != 0) // pairs: tmi_unlock
        tmi_os_futex_wait(&lock->word, 2);
    tmi_lock_taken(lock);
}

void tmi_unlock_wake(tmi_lock_t *lock) { tmi_os_futex_wake_one(&lock->word); }

/* Unlock while a fork is under way. Does nothing on the forking thread; on others, what tmi_unlock does. */
void tmi_unlock_forking(tmi_lock_t *lock)
{
    if (tmi_lock_forking_here())
        return;
    tmi_lock_leaving(lock);
    if (tmi_exchange_release(&lock->word, 0) == 2)
        tmi_unlock_wake(lock);
}
