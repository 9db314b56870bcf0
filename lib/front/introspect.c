#include "front/introspect.h"
#include "front/fork.h"
#include "host/counters.h"
#include "host/meta.h"
#include "stores/raw.h"
#include "threads/thread.h"

void tmi_figures_of_class(unsigned cls, tmi_class_figures_t *out)
{
    size_t cached = tmi_depot_count(cls);
    for (tmi_thread_t *t = tmi_thread_list(); t != NULL; t = t->next)
        cached += tmi_cache_count(&t->cache, cls);
    size_t slabs = tmi_load_relaxed(&tmi_slabs[cls].nslabs), nfree = tmi_load_relaxed(&tmi_slabs[cls].nfree);
    size_t taken = slabs * tmi_classes[cls].slots - nfree;
    *out = (tmi_class_figures_t){
        .live = taken > cached ? taken - cached : 0,
        .cached = cached,
        .free = nfree,
        .slabs = slabs,
    };
}

void tmi_figures_read(tmi_figures_t *out)
{
    *out = (tmi_figures_t){
        .mapped = tmi_counter(mapped_bytes),
        .live = tmi_counter(large_bytes),
        .live_blocks = tmi_counter(large_count),
        .large = tmi_counter(large_bytes),
        .large_blocks = tmi_counter(large_count),
        .committed = tmi_counter(slab_bytes) + tmi_counter(large_bytes) + tmi_counter(dirty_bytes),
        .empty = tmi_counter(slab_empty_bytes) + tmi_counter(dirty_bytes),
        .metadata = tmi_meta_bytes(),
        .purged = tmi_counter(purged_bytes),
    };
    for (unsigned c = TMI_CLASS_FIRST; c <= TMI_CLASS_LAST; c++) {
        tmi_class_figures_t f;
        tmi_figures_of_class(c, &f);
        out->live += f.live * tmi_classes[c].size;
        out->live_blocks += f.live;
        out->cached += f.cached * tmi_classes[c].size;
        out->cached_blocks += f.cached;
    }
}

void tmi_check_all(void)
{
    tmi_fork_lock_all();
    tmi_space_check();
    for (unsigned c = TMI_CLASS_FIRST; c <= TMI_CLASS_LAST; c++)
        tmi_raw_check(c);
    tmi_fork_unlock_all();
}
