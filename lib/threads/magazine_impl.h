/* magazine_impl.h - declarations that the files of this module share. */
#ifndef TMI_THREADS_MAGAZINE_IMPL_H
#define TMI_THREADS_MAGAZINE_IMPL_H

#include "threads/magazine.h"

/* The top of a magazine or ration that has no slots; nothing is ever stored there. */
static inline void **tmi_cache_no_slots(void) { return (void **)(uintptr_t)(tmi_no_slots + 1); }

/* The number of slots in the magazine, without those that wait to return to their slabs. */
static inline size_t tmi_cache_held(const tmi_cache_t *cache, unsigned cls)
{
    void **buffer = cache->info[cls].buffer;
    return buffer ? (size_t)(cache->magazines[cls].top - (buffer + 1)) : 0;
}

/* For the owner. Relaxed: other threads read it for statistics only. */
static inline void tmi_cache_set_top(tmi_cache_t *cache, unsigned cls, void **top)
{
    tmi_store_relaxed(&cache->magazines[cls].top, top);
}

static inline bool tmi_cache_among(void *const *from, void *const *to, const void *p)
{
    for (; from < to; from++)
        if (*from == p)
            return true;
    return false;
}

/* Between these two calls the cache may be inconsistent. A child of fork then abandons another thread's cache. */
void tmi_cache_begin_exchange(tmi_cache_t *cache);
void tmi_cache_end_exchange(tmi_cache_t *cache);

/* Initialize the rations. cache->observed is set already. */
void tmi_cache_init_rations(tmi_cache_t *cache);
/* Return the rations' slots to the slabs, and with `end` free their buffers. Called during an exchange. */
void tmi_cache_flush_rations(tmi_cache_t *cache, bool end);
/* From now on fast paths find nothing, and slow paths a cache that is not rationed: as in a new record. */
void tmi_cache_end_codes(tmi_cache_t *cache);
bool tmi_cache_in_ration(const tmi_cache_t *cache, unsigned cls, const void *p);
/* Slots in the ration of a class. Any thread, no lock, as tmi_cache_count. */
size_t tmi_cache_count_ration(const tmi_cache_t *cache, unsigned cls);

#endif
