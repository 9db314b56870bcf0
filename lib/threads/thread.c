#include "threads/thread.h"
#include "host/meta.h"

#include <pthread.h>

#define SERVES_NOTHING {.cache.magazines[0].top = (void **)(uintptr_t)(tmi_no_slots + 1)}

tmi_thread_t tmi_nobody = SERVES_NOTHING;
tmi_thread_t tmi_departed = SERVES_NOTHING;
__thread tmi_thread_t *tmi_self = &tmi_nobody;

tmi_lock_t tmi_registry_lock = TMI_LOCK_OF(TMI_RANK_REGISTRY);
static tmi_thread_t *records;
static pthread_key_t key;
static bool key_made, observe;

static void retire(tmi_thread_t *t)
{
    tmi_cache_destroy(&t->cache);
    tmi_lock(&tmi_registry_lock);
    t->used = false;
    tmi_unlock(&tmi_registry_lock);
}

static void at_thread_end(void *record)
{
    tmi_self = &tmi_departed;
    retire(record);
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
        t->next = records;
        tmi_store_release(&records, t); // `next` before the record is seen; pairs: tmi_thread_list
    }
    return t;
}

tmi_thread_t *tmi_thread_attach(void)
{
    if (tmi_self == &tmi_departed)
        return NULL;
    tmi_lock(&tmi_registry_lock);
    tmi_thread_t *t = unused_record();
    if (t != NULL)
        t->used = true;
    tmi_unlock(&tmi_registry_lock);
    if (t == NULL)
        return NULL;
    tmi_cache_init(&t->cache, observe);
    tmi_self = t;
    if (key_made)
        (void)pthread_setspecific(key, t); // may allocate: after tmi_self is set
    return t;
}

tmi_thread_t *tmi_thread_list(void) { return tmi_load_acquire(&records); } // pairs: unused_record

void tmi_thread_reap_others(void)
{
    for (tmi_thread_t *t = records; t != NULL; t = t->next) {
        t->allocs = t->frees = 0;
        if (t == tmi_self || !t->used || tmi_load_relaxed(&t->cache.busy))
            continue; // a cache caught in an exchange stays as it is: nobody can tell what it holds
        retire(t);
    }
}
