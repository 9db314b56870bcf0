/* The audit of S1-S7: walks every unit that the page map knows. */
#include "os/counters.h"
#include "os/report.h"
#include "segments/sizeclass_movable.h"
#include "segments/segment_impl.h"

typedef struct audit {
    size_t mapped, used, dirty;
} audit_t;

/* The page map has no movable part before the first handle. */
static unsigned movable_at(const char *unit)
{
    return tmi_pagemap.movable != NULL ? tmi_pagemap_movable(unit) : TMI_MCLASS_NONE;
}

static bool is_dense(const char *unit)
{
    return tmi_pagemap_segment(unit)->dense >> ((uintptr_t)unit >> TMI_UNIT_SHIFT) % TMI_SEGMENT_UNITS & 1;
}

/* One span from its first unit; returns its end. */
static char *audit_span(char *addr, audit_t *a)
{
    tmi_span_t *s = tmi_span_of(addr);
    tmi_audit(s->state != TMI_SPAN_NONE && s->nunits > 0, "S1 a unit belongs to no span", addr);
    char *end = addr + s->nunits * TMI_UNIT_SIZE;
    tmi_span_t *last = tmi_span_of(end - TMI_UNIT_SIZE), *next = tmi_span_at(end);
    tmi_audit(last->state == s->state && last->nunits == s->nunits, "S1 first and last record differ", addr);
    bool is_free = s->state != TMI_SPAN_USED;
    tmi_audit(!is_free || next == NULL || next->state != s->state, "S2 free neighbours not merged", addr);
    tmi_audit(!is_free || (s->owner == addr && !tmi_dlist_empty(&s->bin)), "S4 free span in no bin", addr);
    bool is_movable = movable_at(addr) != TMI_MCLASS_NONE;
    tmi_audit(!(is_free && is_movable), "M1 a free unit has a movable class", addr);
    for (char *u = addr; u < end; u += TMI_UNIT_SIZE) {
        tmi_audit((tmi_pagemap_code(u) == 0) == (is_free || is_movable), "M1 code of a unit does not follow its span",
                  u);
        bool is_watched = tmi_pagemap_code(u) / 2 == TMI_CLASS_WATCHED;
        tmi_audit(!is_watched || (tmi_span_of(u)->nsampled > 0 && tmi_pagemap_class(u) != TMI_CLASS_NONE),
                  "S7 a unit is watched for nothing", u);
        tmi_audit(!is_free || movable_at(u) == TMI_MCLASS_NONE, "M1 a free unit has a movable class", u);
        tmi_audit(!is_free || !is_dense(u), "S5 a free unit is dense", u);
        tmi_audit(s->state != TMI_SPAN_CLEAN || tmi_resident_count(u, 1) == 0, "S6 a clean page may be resident", u);
    }
    a->mapped += (size_t)(end - addr);
    a->used += is_free ? 0 : (size_t)(end - addr);
    a->dirty += s->state == TMI_SPAN_DIRTY ? s->bytes : 0;
    return end;
}

void tmi_space_check(void)
{
    audit_t a = {0, 0, 0};
    uintptr_t end = TMI_PAGEMAP_SEGMENTS, g = tmi_pagemap_next_segment(0);
    while (g < end) {
        char *p = (char *)(g << TMI_SEGMENT_SHIFT);
        while (tmi_pagemap_segment(p) != NULL) // spans cross segments, but not the end of a mapping
            p = audit_span(p, &a);
        g = tmi_pagemap_next_segment((uintptr_t)p >> TMI_SEGMENT_SHIFT);
    }
    tmi_audit(a.mapped == tmi_counter(mapped_bytes), "S1 mapped bytes do not add up", NULL);
    tmi_audit(a.used == tmi_counter(span_bytes), "S1 used bytes do not add up", NULL);
    tmi_audit(a.dirty == tmi_counter(dirty_bytes), "S4 dirty bytes do not add up", NULL);
}
