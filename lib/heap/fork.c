#include "heap/fork.h"
#include "heap/guard.h"
#include "heap/tally.h"
#include "os/meta.h"
#include "os/os.h"
#include "sampling/history.h"
#include "sampling/samples.h"
#include "sampling/sentry.h"
#include "sampling/stack.h"
#include "slabs/medium.h"
#include "slabs/mixed.h"
#include "slabs/movable_large.h"
#include "slabs/raw.h"
#include "threads/compactor.h"
#include "threads/pacer.h"
#include "threads/request.h"

#include <pthread.h>

static bool movable_locked; // whether lock_all has taken the movable heap's locks; under the outermost lock

static void lock_all_but_the_movers(void)
{
    tmi_lock(&tmi_guard_lock);
    tmi_lock(&tmi_extent_lock);
    tmi_lock(&tmi_pacer_lock);
    tmi_depot_lock_all();
    for (unsigned c = 0; c < TMI_CLASS_COUNT; c++)
        tmi_lock(&tmi_raw_classes[c].lock);
    tmi_lock(&tmi_mixed.lock);
    tmi_medium_lock_all();
    movable_locked = tmi_movable_lock_all();
    tmi_lock(&tmi_handle_lock);
    tmi_lock(&tmi_space_lock);
    tmi_lock(&tmi_meta_lock);
    tmi_lock(&tmi_samples_lock);
    tmi_lock(&tmi_sentry_lock);
    tmi_lock(&tmi_history_lock);
}

void tmi_fork_lock_all(void)
{
    tmi_lock(&tmi_compact_lock);
    lock_all_but_the_movers();
}

void tmi_fork_unlock_all(void)
{
    tmi_unlock(&tmi_history_lock);
    tmi_unlock(&tmi_sentry_lock);
    tmi_unlock(&tmi_samples_lock);
    tmi_unlock(&tmi_meta_lock);
    tmi_unlock(&tmi_space_lock);
    tmi_unlock(&tmi_handle_lock);
    if (movable_locked)
        tmi_movable_unlock_all();
    tmi_medium_unlock_all();
    tmi_unlock(&tmi_mixed.lock);
    for (unsigned c = TMI_CLASS_COUNT; c-- > 0;)
        tmi_unlock(&tmi_raw_classes[c].lock);
    tmi_depot_unlock_all();
    tmi_unlock(&tmi_pacer_lock);
    tmi_unlock(&tmi_extent_lock);
    tmi_unlock(&tmi_guard_lock);
    tmi_unlock(&tmi_compact_lock);
}

static void reset_all_locks(void)
{
    tmi_lock_reset(&tmi_history_lock);
    tmi_lock_reset(&tmi_sentry_lock);
    tmi_lock_reset(&tmi_samples_lock);
    tmi_lock_reset(&tmi_meta_lock);
    tmi_lock_reset(&tmi_space_lock);
    tmi_lock_reset(&tmi_handle_lock);
    if (movable_locked)
        tmi_movable_reset_locks();
    tmi_medium_reset_locks();
    tmi_lock_reset(&tmi_mixed.lock);
    for (unsigned c = 0; c < TMI_CLASS_COUNT; c++)
        tmi_lock_reset(&tmi_raw_classes[c].lock);
    tmi_depot_reset_locks();
    tmi_lock_reset(&tmi_pacer_lock);
    tmi_lock_reset(&tmi_extent_lock);
    tmi_lock_reset(&tmi_guard_lock);
    tmi_lock_reset(&tmi_compact_lock);
}

/* glibc's lock of the list of open files. fork takes it after the prepare handlers. A thread that holds it (in
 * fflush(NULL)) may wait for a FILE whose owner is in malloc (in getline). So it must be taken before our locks. One
 * thread may take it twice. */
void _IO_list_lock(void) __attribute__((weak));
void _IO_list_unlock(void) __attribute__((weak));
void _IO_list_resetlock(void) __attribute__((weak));

/* Whether the process had one thread before fork. Then no lock is taken: no other thread can hold one, but a signal
 * handler that has interrupted malloc under a lock may fork. That lock belongs to the interrupted code, which continues
 * in both processes. */
static bool alone;

void tmi_fork_prepare(void)
{
    alone = tmi_os_single_threaded();
    if (alone)
        return;
    tmi_lock(&tmi_compact_lock);
    tmi_compactor_before_fork(); // the child's mover starts without a batch
    if (_IO_list_lock != NULL)
        _IO_list_lock();
    lock_all_but_the_movers();
    tmi_store_relaxed(&tmi_lock_fork_owner, (uintptr_t)pthread_self()); // relaxed: only this thread uses it
}

void tmi_fork_parent(void)
{
    if (alone)
        return;
    tmi_store_relaxed(&tmi_lock_fork_owner, 0);
    tmi_fork_unlock_all();
    if (_IO_list_unlock != NULL)
        _IO_list_unlock();
}

void tmi_fork_child(void)
{
    tmi_request_after_fork();
    tmi_samples_after_fork();
    if (alone) {
        tmi_thread_renumber();
        tmi_tally_after_fork();
        return;
    }
    tmi_store_relaxed(&tmi_lock_fork_owner, 0);
    reset_all_locks();
    if (_IO_list_resetlock != NULL)
        _IO_list_resetlock();
    tmi_stack_after_fork();
    tmi_compactor_after_fork();
    tmi_thread_reap_others();
    tmi_pacer_after_fork();
    tmi_tally_after_fork();
}

#ifdef __GLIBC__
/* Does what pthread_atfork does. That function would be linked in at the end of the library's code, on a page that few
 * processes need. */
int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void), void *library);
extern void *__dso_handle __attribute__((visibility("hidden")));

void tmi_fork_init(void)
{
    (void)__register_atfork(tmi_fork_prepare, tmi_fork_parent, tmi_fork_child, __dso_handle);
}
#else
void tmi_fork_init(void) { (void)pthread_atfork(tmi_fork_prepare, tmi_fork_parent, tmi_fork_child); }
#endif
