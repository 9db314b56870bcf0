/* The program's callback, which receives the figures of batches. The lock is held while the callback runs, and its
 * holder has no other lock. A thread that finds the lock taken leaves its batches to the next call. */
#include "threads/compactor.h"

#include <pthread.h>

static tmi_lock_t lock;         // no rank: the callback may take all other locks
static uintptr_t runner;        // pthread_self() of the thread that runs the callback, or 0
static tm_batch_call_t *callback; // written under the lock; other threads read whether it is NULL
static void *callback_context;
static tmi_compact_figures_t reported;

static uintptr_t here(void) { return (uintptr_t)pthread_self(); }
static bool runs_here(void) { return tmi_load_relaxed(&runner) == here(); } // relaxed: compares with itself

static void look(tmi_compact_figures_t *now)
{
    *now = (tmi_compact_figures_t){
        .batches = tmi_compact_figure(batches),
        .dropped = tmi_compact_figure(dropped),
        .moved_objects = tmi_compact_figure(moved_objects),
        .moved_bytes = tmi_compact_figure(moved_bytes),
        .by_touch = tmi_compact_figure(by_touch) + tmi_compact_figure(by_scan) + tmi_compact_figure(by_free),
        .time_ns = tmi_compact_figure(time_ns),
    };
}

/* Call the program's callback if there is something new to report. The caller holds the lock. */
static void call_back(void)
{
    tmi_compact_figures_t now, before = reported;
    look(&now);
    tm_batch_call_t *call = tmi_load_relaxed(&callback);
    if (call == NULL || (now.batches == before.batches && now.dropped == before.dropped))
        return;
    reported = now;
    tm_batch_t b = {
        .struct_size = sizeof b,
        .batches = now.batches - before.batches,
        .dropped_batches = now.dropped - before.dropped,
        .moved_objects = now.moved_objects - before.moved_objects,
        .moved_bytes = now.moved_bytes - before.moved_bytes,
        .aborted_moves = now.by_touch - before.by_touch,
        .time_ns = now.time_ns - before.time_ns,
    };
    tmi_store_relaxed(&runner, here());
    call(&b, callback_context);
    tmi_store_relaxed(&runner, 0);
}

void tmi_compactor_notify(void)
{
    if (TMI_LIKELY(tmi_load_relaxed(&callback) == NULL) || runs_here() || !tmi_trylock(&lock)) // relaxed: a hint
        return;
    call_back();
    tmi_unlock(&lock);
}

void tmi_compactor_set_callback(tm_batch_call_t *call, void *context)
{
    bool nested = runs_here();
    if (!nested)
        tmi_lock(&lock);
    callback_context = context;
    tmi_store_relaxed(&callback, call); // relaxed: a thread that reads it takes the lock
    look(&reported);
    if (!nested)
        tmi_unlock(&lock);
}

/* In a child of fork: a thread that was running the callback does not exist in the child, unless it is the caller. */
void tmi_compactor_callback_after_fork(void)
{
    if (runs_here())
        return;
    tmi_store_relaxed(&runner, 0);
    tmi_store_relaxed(&lock.word, 0); // not tmi_lock_reset: that is for locks with a rank, which fork has taken
}
