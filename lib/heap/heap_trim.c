/* Giving back what is cached and empty. */
#include "heap/heap_impl.h"
#include "threads/pacer.h"

/* Somebody outside wants the memory back. Caches go at the next free of their threads. */
void tmi_heap_trim_by_request(void)
{
    for (tmi_thread_t *t = tmi_thread_list(); t != NULL; t = t->next)
        tmi_cache_summon(&t->cache);
    (void)tmi_pacer_purge_all();
    (void)tmi_space_unmap();
}

bool tmi_heap_trim(size_t pad)
{
    tmi_heap_init();
    tmi_thread_t *self = tmi_thread_or_null();
    if (self != NULL)
        tmi_thread_flush(self);
    for (tmi_thread_t *t = tmi_thread_list(); t != NULL; t = t->next)
        if (t != self)
            tmi_cache_summon(&t->cache);
    (void)pad; // nothing is kept for later: what is needed again costs one fault a page
    bool any = tmi_pacer_purge_all() > 0;
    return tmi_space_unmap() > 0 || any;
}
