/* Segments from the kernel and back to it. The heap grows by an eighth of itself, at least 2 MiB and at most 64 MiB at
 * a time, next to the segments before, so that the kernel merges the mappings and their number stays small. */
#include "base/probe.h"
#include "os/counters.h"
#include "os/meta.h"
#include "os/os.h"
#include "segments/segment_impl.h"

#include <errno.h>

#define GROWTH_MAX ((size_t)64 << 20)

static char *next_hint;

static void drop_records(char *addr, size_t size)
{
    for (char *p = addr; p < addr + size; p += TMI_SEGMENT_SIZE) {
        tmi_segment_t *seg = tmi_pagemap_segment(p);
        tmi_pagemap_set_segment(p, NULL);
        tmi_meta_free(seg, sizeof *seg);
    }
}

/* Unmap segments that hold nothing. They leave the page map first, since the kernel may give their addresses to another
 * allocator, whose blocks must not look like ours (M2). If the kernel refuses, they enter the map again. */
static int unmap_segments(char *addr, size_t size)
{
    tmi_segment_t *taken = NULL, *seg; // a list, highest address first
    for (char *p = addr; p < addr + size; p += TMI_SEGMENT_SIZE) {
        seg = tmi_pagemap_segment(p);
        seg->spans[0].owner = taken;
        taken = seg;
        tmi_pagemap_set_segment(p, NULL);
    }
    int err = tmi_os_unmap(addr, size);
    for (char *p = addr + size; taken != NULL; taken = seg) {
        p -= TMI_SEGMENT_SIZE;
        seg = taken->spans[0].owner;
        if (err != 0)
            tmi_pagemap_set_segment(p, taken);
        else
            tmi_meta_free(taken, sizeof *taken);
    }
    return err;
}

static int make_records(char *addr, size_t size)
{
    int err = tmi_pagemap_commit((uintptr_t)addr, size);
    if (err != 0)
        return err;
    for (char *p = addr; p < addr + size; p += TMI_SEGMENT_SIZE) {
        tmi_segment_t *seg = tmi_meta_alloc(sizeof *seg);
        if (seg == NULL) {
            drop_records(addr, (size_t)(p - addr));
            return ENOMEM;
        }
        tmi_pagemap_set_segment(p, seg);
    }
    return 0;
}

static int map_segments(size_t size)
{
    void *p;
    int err = tmi_os_map(next_hint, size, TMI_SEGMENT_SIZE, &p);
    if (err != 0)
        return err;
    err = make_records(p, size);
    if (err != 0) {
        (void)tmi_os_unmap(p, size);
        return err;
    }
    TMI_PROBE2(tinymem, segment_map, (uintptr_t)p, size);
    tmi_huge_add(p, size);
    next_hint = (char *)p + size;
    tmi_count(mapped_bytes, size);
    tmi_bins_put((tmi_run_t){p, size / TMI_UNIT_SIZE, 0, false, 0});
    return 0;
}

int tmi_supply_grow(size_t nunits)
{
    if (nunits > ((size_t)1 << TMI_ADDRESS_BITS) / TMI_UNIT_SIZE)
        return ENOMEM;
    size_t needed = tmi_round_up(nunits * TMI_UNIT_SIZE, TMI_SEGMENT_SIZE);
    size_t growth = tmi_round_up(tmi_min(tmi_counter(mapped_bytes) / 8, GROWTH_MAX), TMI_SEGMENT_SIZE);
    if (growth > needed && map_segments(growth) == 0)
        return 0;
    int err = map_segments(needed);
    if (err != 0 && tmi_supply_unmap() > 0)
        err = map_segments(needed);
    return err;
}

static void put_clean(char *from, char *to)
{
    if (from < to)
        tmi_bins_put((tmi_run_t){from, (size_t)(to - from) / TMI_UNIT_SIZE, 0, false, 0});
}

/* Unmap the whole segments inside a clean run, and return what is left on both sides to the bins. Returns the bytes. 0:
 * the caller still owns the run. */
static size_t release_run(const tmi_run_t *run)
{
    char *end = run->addr + run->nunits * TMI_UNIT_SIZE;
    char *from = (char *)tmi_round_up((uintptr_t)run->addr, TMI_SEGMENT_SIZE);
    char *to = (char *)tmi_round_down((uintptr_t)end, TMI_SEGMENT_SIZE);
    if (from >= to || unmap_segments(from, (size_t)(to - from)) != 0)
        return 0;
    TMI_PROBE2(tinymem, segment_unmap, (uintptr_t)from, to - from);
    tmi_discount(mapped_bytes, to - from);
    put_clean(run->addr, from);
    put_clean(to, end);
    return (size_t)(to - from);
}

size_t tmi_supply_unmap(void)
{
    enum { KEPT_MAX = 64 }; // runs that are long enough but hold no whole segment, or that the kernel did not take
    size_t total = 0, nkept = 0;
    tmi_run_t run, kept[KEPT_MAX];
    while (nkept < KEPT_MAX && tmi_bins_take(TMI_SEGMENT_UNITS, false, &run)) {
        size_t n = release_run(&run);
        if (n == 0)
            kept[nkept++] = run;
        total += n;
    }
    while (nkept > 0)
        tmi_bins_put(kept[--nkept]);
    return total;
}

size_t tmi_space_unmap(void)
{
    tmi_lock(&tmi_space_lock);
    size_t n = tmi_supply_unmap();
    tmi_unlock(&tmi_space_lock);
    return n;
}
