/* Check builds verify K2 for every thread. One list has all ranked locks that are held, with their owners. The list is
 * short, except during a fork, which takes all locks. A spin lock, `word`, guards it. A lock enters the list after it
 * was taken and leaves the list before it is released. So while fork's thread holds every lock, no other thread changes
 * the list. Another thread may be reading it, and the child therefore frees `word`, too. */
#include "os/lock.h"

#if TMI_CHECK
#include "os/os.h"
#include "os/report.h"

#include <pthread.h>

static uint32_t word;
static tmi_lock_t *held;

static void begin(void)
{
    uint32_t expected = 0;
    while (!tmi_cas_acquire(&word, &expected, 1)) { // pairs: end
        expected = 0;
        tmi_os_yield(); // let the holder run: it may have been preempted
    }
}

static void end(void) { tmi_store_release(&word, 0); }

/* The innermost lock that this thread holds, or NULL. */
static const tmi_lock_t *innermost(void)
{
    const tmi_lock_t *found = NULL;
    uintptr_t self = (uintptr_t)pthread_self();
    for (const tmi_lock_t *l = held; l != NULL; l = l->next_held)
        if (l->owner == self && (found == NULL || l->place > found->place))
            found = l;
    return found;
}

void tmi_lock_ask(const tmi_lock_t *lock)
{
    if (lock->place == 0 || tmi_lock_forking_here())
        return;
    begin();
    const tmi_lock_t *outer = innermost();
    end();
    if (outer != NULL && outer->place >= lock->place)
        tmi_fatal("lock", lock, "K2 locks are taken by rank, and within one by class number");
}

void tmi_lock_taken(tmi_lock_t *lock)
{
    if (lock->place == 0)
        return;
    begin();
    tmi_store_relaxed(&lock->owner, (uintptr_t)pthread_self()); // relaxed: a thread only compares with itself
    lock->next_held = held;
    held = lock;
    end();
}

void tmi_lock_leaving(tmi_lock_t *lock)
{
    if (lock->place == 0)
        return;
    begin();
    tmi_lock_t **l = &held;
    while (*l != NULL && *l != lock)
        l = &(*l)->next_held;
    bool ours = *l != NULL && lock->owner == (uintptr_t)pthread_self();
    if (ours)
        *l = lock->next_held;
    end();
    if (!ours)
        tmi_fatal("unlock", lock, "K2 a lock is released by the thread that holds it");
}

bool tmi_lock_held_here(const tmi_lock_t *lock)
{
    return tmi_lock_forking_here() ||
           (tmi_load_relaxed(&lock->word) != 0 && tmi_load_relaxed(&lock->owner) == (uintptr_t)pthread_self());
}

/* Whether no thread is changing the list and this thread has no lock in it. */
bool tmi_lock_none_here(void)
{
    uint32_t expected = 0;
    if (tmi_lock_forking_here() || !tmi_cas_acquire(&word, &expected, 1)) // pairs: end
        return false;
    bool none = innermost() == NULL;
    end();
    return none;
}

void tmi_lock_none_held(void)
{
    held = NULL;
    end();
}
#endif
