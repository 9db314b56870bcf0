/* The program's function that is told of batches. The lock is held while the function runs, and the holder has no other
 * lock. A thread that finds the lock taken leaves its batches to the next call. */
#include "threads/compactor.h"

#include <pthread.h>

static tmi_lock_t lock;         // no rank: the program's function may take all others
static uintptr_t teller;        // pthread_self() of the thread that runs the function, or 0
static tm_batch_call_t *call_it; // written under the lock; other threads read whether it is NULL
static void *its_context;
static tmi_compact_figures_t told;

static uintptr_t here(void) { return (uintptr_t)pthread_self(); }
static bool is_telling(void) { return tmi_load_relaxed(&teller) == here(); } // relaxed: compares with itself

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

/* The lock is held. */
static void tell(void)
{
    tmi_compact_figures_t now, before = told;
    look(&now);
    tm_batch_call_t *call = tmi_load_relaxed(&call_it);
    if (call == NULL || (now.batches == before.batches && now.dropped == before.dropped))
        return;
    told = now;
    tm_batch_t b = {
        .struct_size = sizeof b,
        .batches = now.batches - before.batches,
        .dropped_batches = now.dropped - before.dropped,
        .moved_objects = now.moved_objects - before.moved_objects,
        .moved_bytes = now.moved_bytes - before.moved_bytes,
        .aborted_moves = now.by_touch - before.by_touch,
        .time_ns = now.time_ns - before.time_ns,
    };
    tmi_store_relaxed(&teller, here());
    call(&b, its_context);
    tmi_store_relaxed(&teller, 0);
}

void tmi_compactor_tell(void)
{
    if (TMI_LIKELY(tmi_load_relaxed(&call_it) == NULL) || is_telling() || !tmi_trylock(&lock)) // relaxed: a hint
        return;
    tell();
    tmi_unlock(&lock);
}

void tmi_compactor_tell_to(tm_batch_call_t *call, void *context)
{
    bool telling = is_telling();
    if (!telling)
        tmi_lock(&lock);
    its_context = context;
    tmi_store_relaxed(&call_it, call); // relaxed: a thread that reads it takes the lock
    look(&told);
    if (!telling)
        tmi_unlock(&lock);
}

/* In the child of a fork: if another thread was running the function, the child does not have that thread. */
void tmi_compactor_told_after_fork(void)
{
    if (is_telling())
        return;
    tmi_store_relaxed(&teller, 0);
    tmi_store_relaxed(&lock.word, 0); // not tmi_lock_reset: that is for locks with a rank, which fork has taken
}
