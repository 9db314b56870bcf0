/* Allocations that are counted for the samples.
 *
 * malloc's fast path serves a thread's rations (G7), and each allocation that takes a slow path is counted there. Of
 * frees only those take a slow path that are in a unit where a sampled block begins (S6). A thread notices at its next
 * slow path that a profile has begun or ended. */
#include "heap/heap_impl.h"
#include "os/options.h"
#include "segments/segment.h"
#include "threads/request.h"

void tmi_heap_sampled(tmi_sampler_t *sampler, uint64_t key, size_t size, void *frame)
{
    if (!tmi_samples_enter(sampler, key, size, frame) || !tmi_options.profile_peak)
        return;
    tmi_request_leave(TMI_REQUEST_PROFILE);
    tmi_request_poll();
}

void tmi_heap_enter_sample(tmi_thread_t *t, void *p, size_t size, void *frame)
{
    tmi_space_watch(p);
    tmi_heap_sampled(&t->sampler, (uintptr_t)p, size, frame);
}

void tmi_heap_end_sample(void *p)
{
    if (tmi_samples_freed((uintptr_t)p))
        tmi_space_unwatch(p);
}

void tmi_heap_watch(bool on)
{
    tmi_heap_init();
    // relaxed: as in tmi_heap_init
    tmi_store_relaxed(&tmi_heap_tiny, on ? TMI_HEAP_TINY_WATCHED : TMI_HEAP_TINY);
    tmi_thread_t *self = tmi_thread_or_null();
    for (tmi_thread_t *t = tmi_thread_list(); t != NULL; t = t->next)
        if (t != self)
            tmi_cache_summon(&t->cache);
    if (self != NULL)
        tmi_cache_ration(&self->cache, on);
}
