#include "heap/introspect.h"
#include "heap/fork.h"
#include "heap/layout.h"
#include "heap/object.h"
#include "os/counters.h"
#include "os/options.h"
#include "os/meta.h"
#include "slabs/medium.h"
#include "slabs/mixed.h"
#include "slabs/raw.h"
#include "threads/compactor.h"
#include "threads/thread.h"

#include <string.h>

void tmi_figures_of_class(unsigned cls, tmi_class_figures_t *out)
{
    size_t cached = tmi_depot_count(cls);
    for (tmi_thread_t *t = tmi_thread_list(); t != NULL; t = t->next)
        cached += tmi_cache_count(&t->cache, cls);
    size_t slabs = tmi_load_relaxed(&tmi_raw_classes[cls].nslabs),
           nfree = tmi_load_relaxed(&tmi_raw_classes[cls].nfree);
    size_t taken = slabs * tmi_classes[cls].slots - nfree + tmi_load_relaxed(&tmi_mixed.taken[cls]);
    *out = (tmi_class_figures_t){
        .live = taken > cached ? taken - cached : 0,
        .cached = cached,
        .free = nfree,
        .slabs = slabs,
    };
}

/* Subtract blocks on the shelves of threads, which the counters include among large blocks in use. */
static void take_off_shelves(tmi_figures_t *out)
{
    for (tmi_thread_t *t = tmi_thread_list(); t != NULL; t = t->next) {
        size_t bytes = tmi_load_relaxed(&t->shelf.bytes), blocks = tmi_load_relaxed(&t->shelf.count); // estimates
        out->cached += bytes;
        out->cached_blocks += blocks;
        out->large -= tmi_min(bytes, out->large);
        out->large_blocks -= tmi_min(blocks, out->large_blocks);
    }
}

void tmi_figures_read(tmi_figures_t *out)
{
    size_t empty = tmi_counter(slab_empty_bytes) + tmi_counter(medium_empty_bytes) + tmi_counter(dirty_bytes);
    size_t large = tmi_counter(large_bytes) + tmi_counter(guarded_bytes);
    *out = (tmi_figures_t){
        .mapped = tmi_counter(mapped_bytes) + tmi_counter(guarded_bytes),
        .large = large,
        .large_blocks = tmi_counter(large_count) + tmi_counter(guarded_count),
        .committed = tmi_counter(slab_bytes) - tmi_counter(slab_empty_bytes) + large + empty,
        .empty = empty,
        .metadata = tmi_meta_touched(),
        .purged = tmi_counter(purged_bytes),
    };
    take_off_shelves(out);
    out->live = out->large;
    out->live_blocks = out->large_blocks;
    for (unsigned c = TMI_CLASS_FIRST; c <= TMI_CLASS_LAST; c++) {
        tmi_class_figures_t f;
        tmi_figures_of_class(c, &f);
        out->live += f.live * tmi_classes[c].size;
        out->live_blocks += f.live;
        out->cached += f.cached * tmi_classes[c].size;
        out->cached_blocks += f.cached;
    }
}

static void sum_classes(tm_stats_t *s)
{
    for (unsigned c = TMI_MCLASS_FIRST; c <= TMI_MCLASS_LAST; c++) {
        const tmi_movable_class_t *m = &tmi_movable_classes[c];
        size_t slots = tmi_load_relaxed(&m->nslabs) * tmi_mclasses[c].slots, cached = 0;
        for (tmi_thread_t *t = tmi_thread_list(); t != NULL; t = t->next)
            cached += tmi_hcache_count(&t->handles, c);
        size_t unused = tmi_movable_unused(c) + cached, live = slots > unused ? slots - unused : 0;
        s->live_objects += live;
        s->live_bytes += live * tmi_mclasses[c].size;
        s->committed_bytes += tmi_load_relaxed(&m->touched_bytes);
    }
}

static void tell_mover(tm_stats_t *s)
{
    s->mover_mode = tmi_option(compaction);
    s->mover_share = tmi_option(compact_cpu);
    s->mover_target = tmi_option(compact_target);
    s->mover_paused = tmi_compact_figure(paused);
}

void tmi_introspect_handles(tm_stats_t *out)
{
    tmi_layout_keep();
    uint64_t oldest = tmi_pin_oldest();
    size_t extents = tmi_counter(extent_bytes);
    tm_stats_t s = {
        .struct_size = out->struct_size,
        .live_bytes = extents,
        .live_objects = tmi_counter(extent_count),
        .committed_bytes = extents,
        .metadata_bytes = tmi_meta_touched(),
        .table_bytes = tmi_handle_bytes(),
        .moved_objects = tmi_compact_figure(moved_objects),
        .moved_bytes = tmi_compact_figure(moved_bytes),
        .aborted_moves = tmi_compact_figure(by_touch) + tmi_compact_figure(by_scan) + tmi_compact_figure(by_free),
        .aborted_by_touch = tmi_compact_figure(by_touch),
        .aborted_by_scan = tmi_compact_figure(by_scan),
        .aborted_by_free = tmi_compact_figure(by_free),
        .batches = tmi_compact_figure(batches),
        .dropped_batches = tmi_compact_figure(dropped),
        .longest_batch_ns = tmi_compact_figure(longest_batch_ns),
        .longest_step_ns = tmi_compactor_longest_step_ns(),
        .fences_global = tmi_compact_figure(fences_global),
        .fences_expedited = tmi_compact_figure(fences_expedited),
        .fences_none = tmi_compact_figure(fences_none),
        .asymmetric = tmi_pin_asymmetric(),
        .pins = tmi_pin_count(),
        .oldest_pin_ns = oldest ? tmi_os_now_ns() - oldest : 0,
        .time_ns = tmi_compact_figure(time_ns),
        .revived_indices = tmi_handle_revived(),
    };
    sum_classes(&s);
    tell_mover(&s);
    s.rounding_bytes = (size_t)((double)s.live_bytes * tmi_object_rounding());
    s.waste_bytes = s.committed_bytes > s.live_bytes ? s.committed_bytes - s.live_bytes : 0;
    memcpy(out, &s, tmi_min(out->struct_size, sizeof s));
    if (out->struct_size > sizeof s)
        memset((char *)out + sizeof s, 0, out->struct_size - sizeof s);
}

void tmi_check_all(void)
{
    tmi_fork_lock_all();
    tmi_space_check();
    tmi_medium_check();
    tmi_mixed_check();
    for (unsigned c = TMI_CLASS_FIRST; c <= TMI_CLASS_LAST; c++)
        tmi_raw_check(c);
    if (tmi_pagemap.movable != NULL) {
        for (unsigned c = TMI_MCLASS_FIRST; c <= TMI_MCLASS_LAST; c++)
            tmi_movable_check(c);
        tmi_handle_check();
    }
    tmi_fork_unlock_all();
}
