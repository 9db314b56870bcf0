/* Counting allocations for the samples.
 *
 * While a profile is taken, malloc's fast path pops from the thread's rations (G7), and slow paths count allocations.
 * A free takes a slow path only in a unit where a sampled block begins (S7). A thread sees at its next slow path that a
 * profile has begun or ended. */
#include "heap/heap_impl.h"
#include "os/options.h"
#include "sampling/sentry.h"
#include "segments/segment.h"
#include "threads/request.h"

uint32_t tmi_heap_counting;

void tmi_heap_sampled(tmi_sampler_t *sampler, uint64_t key, size_t size, void *frame)
{
    if (!tmi_samples_enter(sampler, key, size, frame) || !tmi_options.profile_peak)
        return;
    tmi_request_post(TMI_REQUEST_PROFILE);
    tmi_request_poll();
}

/* Guarded blocks lie in no segment, so their units cannot be watched. */
static bool is_watchable(const void *p) { return tmi_pagemap_segment(p) != NULL; }

void tmi_heap_enter_sample(tmi_thread_t *t, void *p, size_t size, void *frame)
{
    if (is_watchable(p))
        tmi_space_watch(p);
    tmi_heap_sampled(&t->sampler, (uintptr_t)p, size, frame);
}

/* Capturing the stack of the free may allocate; `quiet` keeps those allocations from being sampled. */
void tmi_heap_end_sample(const void *p)
{
    tmi_thread_t *t = tmi_self();
    t->sampler.quiet += t->ready;
    bool was = tmi_samples_freed((uintptr_t)p);
    t->sampler.quiet -= t->ready;
    if (was && is_watchable(p))
        tmi_space_unwatch(p);
}

/* Make every thread begin or end the use of rations at its next slow path. */
static void ration_all(bool on)
{
    tmi_thread_t *self = tmi_thread_or_null();
    for (tmi_thread_t *t = tmi_thread_list(); t != NULL; t = t->next)
        if (t != self)
            tmi_cache_summon(&t->cache);
    if (self != NULL)
        tmi_cache_ration(&self->cache, on);
}

/* Set the limits of malloc's fast path. While allocations are guarded none takes it; while they are only sampled, tiny
 * sizes take it with rations. */
static void watch_allocations(bool sampled)
{
    bool guards = tmi_sentry_on();
    tmi_store_relaxed(&tmi_heap_counting, guards && !sampled); // relaxed: a short cut
    // relaxed: as in tmi_heap_init
    tmi_store_relaxed(&tmi_heap_tiny, guards ? 0 : sampled ? TMI_HEAP_TINY_WATCHED : TMI_HEAP_TINY);
}

void tmi_heap_watch(bool on)
{
    tmi_heap_init();
    watch_allocations(on);
    ration_all(on);
}

int tmi_heap_guard(uint32_t interval)
{
    tmi_heap_init();
    int err = tmi_sentry_start(interval);
    if (err == 0)
        watch_allocations(tmi_load_relaxed(&tmi_sampling)); // relaxed: called at start
    return err;
}
