#include "heap/tally.h"

static tmi_tally_t shared; // allocs, frees: of threads without a record

void tmi_tally_alloc(tmi_thread_t *t, size_t usable)
{
    if (t != NULL)
        tmi_own_add(&t->allocs, 1);
    else
        (void)tmi_add_relaxed(&shared.allocs, 1);
    size_t live = tmi_add_relaxed(&shared.live_bytes, usable) + usable;
    size_t peak = tmi_load_relaxed(&shared.peak_bytes); // relaxed: statistics order nothing
    while (live > peak && !tmi_cas_release(&shared.peak_bytes, &peak, live)) {
    }
}

void tmi_tally_free(tmi_thread_t *t, size_t usable)
{
    if (t != NULL)
        tmi_own_add(&t->frees, 1);
    else
        (void)tmi_add_relaxed(&shared.frees, 1);
    (void)tmi_sub_relaxed(&shared.live_bytes, usable);
}

void tmi_tally_read(tmi_tally_t *out)
{
    *out = shared;
    for (tmi_thread_t *t = tmi_thread_list(); t != NULL; t = t->next) {
        out->allocs += tmi_load_relaxed(&t->allocs);
        out->frees += tmi_load_relaxed(&t->frees);
    }
}

void tmi_tally_after_fork(void)
{
    shared.allocs = shared.frees = 0;
    shared.peak_bytes = shared.live_bytes;
    for (tmi_thread_t *t = tmi_thread_list(); t != NULL; t = t->next)
        t->allocs = t->frees = 0;
}
