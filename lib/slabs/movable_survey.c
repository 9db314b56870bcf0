/* Statistics that need a walk over the slabs, since the class's counters do not tell which pages are empty. */
#include "slabs/movable_impl.h"

static size_t end_of_slots(const tmi_class_info_t *c) { return c->start + (size_t)c->slots * c->size; }

size_t tmi_movable_survey_empty(const tmi_movable_survey_t *survey, unsigned cls)
{
    return (size_t)survey->empty_pages[cls] << tmi_os_page_shift;
}

size_t tmi_movable_survey_slack(const tmi_movable_survey_t *survey, unsigned cls)
{
    size_t end = end_of_slots(&tmi_mclasses[cls]);
    return survey->used_ends[cls] * (tmi_round_up(end, tmi_os_page_size) - end);
}

/* One slab, under its class's lock. */
static TMI_COLD void look_at(const tmi_movable_slab_t *slab, const tmi_class_info_t *c, tmi_movable_survey_t *out)
{
    if (slab->emptying) // its pages belong to the mover
        return;
    uint64_t empty = tmi_movable_slab_empty_pages(slab), used = slab->touched & ~empty;
    out->empty_pages[slab->cls] += tmi_popcount(empty);
    out->used_ends[slab->cls] += used >> ((end_of_slots(c) - 1) >> tmi_os_page_shift) & 1;
}

/* Examine the slab that starts at `unit`, if there is one and its lock is free. Returns the number of units to skip. */
static TMI_COLD size_t look_there(const char *unit, tmi_movable_survey_t *out)
{
    enum { TRIES = 64 };
    size_t units = 1;
    unsigned cls = tmi_movable_class(unit), tries = 0;
    if (cls == TMI_MCLASS_NONE || cls >= TMI_MCLASS_LARGE)
        return units;
    tmi_lock_t *lock = &tmi_movable_classes[cls].lock;
    while (!tmi_trylock_untraced(lock)) {
        if (++tries == TRIES)
            return units;
        tmi_cpu_relax();
    }
    const tmi_movable_slab_t *slab = tmi_movable_class(unit) == cls ? tmi_span_of(unit)->owner : NULL; // V7: the lock
    if (slab != NULL && tmi_movable_slab_span(slab) == unit) {
        look_at(slab, &tmi_mclasses[cls], out);
        units = tmi_mclasses[cls].units;
    }
    tmi_unlock_untraced(lock);
    return units;
}

void tmi_movable_survey(tmi_movable_survey_t *out)
{
    const char *next = NULL;
    *out = (tmi_movable_survey_t){0};
    for (uintptr_t g = tmi_pagemap_next_segment(0); g < TMI_PAGEMAP_SEGMENTS; g = tmi_pagemap_next_segment(g + 1)) {
        const char *p = (const char *)(g << TMI_SEGMENT_SHIFT), *end = p + TMI_SEGMENT_SIZE;
        for (next = next > p ? next : p; next < end;)
            next += look_there(next, out) * TMI_UNIT_SIZE;
    }
}
