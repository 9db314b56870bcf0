#include "threads/thread.h"
#include "host/meta.h"
#include "host/os.h"
#include "host/report.h"

#include <pthread.h>

tmi_thread_t tmi_nobody = {
    .cache.magazines[0].top = (void **)(uintptr_t)(tmi_no_slots + 1),
    .handles.current = &tmi_hcache_none,
    .pins.slot[0] = TM_PIN_GUARD_,
};
tmi_thread_t tmi_departed; // made the same when the first thread departs: most processes end before

__thread tm_pins_t_ *tmi_self_ = &tmi_nobody.pins;
extern __thread tm_pins_t_ *tm_self_ __attribute__((alias("tmi_self_"), visibility("default")));

tmi_lock_t tmi_registry_lock = TMI_LOCK_OF(TMI_RANK_REGISTRY);
static tmi_thread_t *records;
static pthread_key_t key;
static bool key_made, observe;

static void retire(tmi_thread_t *t)
{
    tmi_cache_destroy(&t->cache);
    (void)tmi_hcache_flush(&t->handles);
    tmi_lock(&tmi_registry_lock);
    t->used = false;
    tmi_unlock(&tmi_registry_lock);
}

/* Any thread, again and again. Relaxed: all write the same, and each reads what it has written itself. */
static void ready_departed(void)
{
    tmi_store_relaxed(&tmi_departed.cache.magazines[0].top, tmi_nobody.cache.magazines[0].top);
    tmi_store_relaxed(&tmi_departed.handles.current, tmi_nobody.handles.current);
    tmi_store_relaxed(&tmi_departed.pins.slot[0], TM_PIN_GUARD_);
}

static void at_thread_end(void *record)
{
    tmi_thread_t *t = record;
    size_t left = tmi_pin_leave(&t->pins);
    ready_departed();
    tmi_self_ = &tmi_departed.pins;
    if (left > 0)
        tmi_report("a thread ended with %zu pins or scopes that it had not ended", left);
    retire(t);
}

void tmi_thread_init(bool observed)
{
    observe = observed;
    key_made = pthread_key_create(&key, at_thread_end) == 0; // without a key an ended thread's slots stay in its record
}

static tmi_thread_t *unused_record(void)
{
    for (tmi_thread_t *t = records; t != NULL; t = t->next)
        if (!t->used)
            return t;
    tmi_thread_t *t = tmi_meta_alloc(sizeof *t);
    if (t != NULL) {
        t->pins.slot[0] = TMI_PIN_UNLISTED;
        t->handles.current = &tmi_hcache_none;
        t->next = records;
        tmi_store_release(&records, t); // `next` before the record is seen; pairs: tmi_thread_list
    }
    return t;
}

static tmi_thread_t *attach(void)
{
    tmi_lock(&tmi_registry_lock);
    tmi_thread_t *t = unused_record();
    if (t != NULL)
        t->used = true;
    tmi_unlock(&tmi_registry_lock);
    if (t == NULL)
        return NULL;
    tmi_cache_init(&t->cache, observe);
    tmi_self_ = &t->pins;
    if (key_made)
        (void)pthread_setspecific(key, t); // may allocate: after tmi_self_ is set
    return t;
}

tmi_thread_t *tmi_thread_attach(void) { return tmi_self() == &tmi_departed ? NULL : attach(); }

/* A pin needs a record even in a destructor that runs after ours, which then runs once more. */
tmi_thread_t *tmi_thread_with_handles(void)
{
    tmi_thread_t *t = tmi_self();
    if (TM_UNLIKELY(t == &tmi_nobody || t == &tmi_departed))
        t = attach();
    if (t == NULL)
        return NULL;
    if (t->handles.own == NULL)
        (void)tmi_hcache_make(&t->handles); // without memory it does without
    tmi_pin_enter(&t->pins);
    return t;
}

tmi_thread_t *tmi_thread_list(void) { return tmi_load_acquire(&records); } // pairs: unused_record

void tmi_thread_reap_others(void)
{
    for (tmi_thread_t *t = records; t != NULL; t = t->next) {
        t->allocs = t->frees = 0;
        if (t == tmi_self() || !t->used || tmi_load_relaxed(&t->cache.busy) || tmi_load_relaxed(&t->handles.busy))
            continue; // a cache caught in an exchange stays as it is: nobody can tell what it holds
        retire(t);
    }
}

size_t tmi_thread_claim_caches(void)
{
    size_t n = 0;
    for (tmi_thread_t *t = tmi_thread_list(); t != NULL; t = t->next)
        tmi_hcache_claim(&t->handles);
    if (tmi_os_fence(TMI_FENCE_EXPEDITED) == 0)
        for (tmi_thread_t *t = tmi_thread_list(); t != NULL; t = t->next)
            n += tmi_hcache_flush_claimed(&t->handles);
    for (tmi_thread_t *t = tmi_thread_list(); t != NULL; t = t->next)
        tmi_hcache_unclaim(&t->handles);
    return n;
}
