/* The audit of W1-W5. */
#include "os/counters.h"
#include "os/report.h"
#include "slabs/medium_impl.h"

typedef struct sums {
    size_t empty, taken, some[TMI_MEDIUM_CLASSES], unused[TMI_MEDIUM_CLASSES];
    uint32_t nslabs[TMI_MEDIUM_CLASSES], nempty[TMI_MEDIUM_CLASSES], ntaken[TMI_MEDIUM_CLASSES];
} sums_t;

static void check_slab(const tmi_medium_slab_t *slab, sums_t *sums)
{
    const tmi_medium_info_t *c = &tmi_medium_info[slab->cls];
    const tmi_medium_class_t *s = &tmi_medium_classes[slab->cls];
    uint64_t all = tmi_low_bits(c->slots), taken = all & ~slab->free;
    tmi_audit(((slab->free | slab->touched) & ~all) == 0, "W1 bit past the last slot", slab->base);
    tmi_audit((taken & ~slab->touched) == 0, "W1 a taken slot that is not touched", slab->base);
    tmi_audit((slab->free != 0) == tmi_dlist_contains(&s->some, &slab->link), "W2 slabs with a free slot", slab->base);
    tmi_audit((tmi_medium_empty(slab) != 0) == tmi_dlist_contains(&s->purge_queue, &slab->purge_link), "W2 purge queue",
              slab->base);
    sums->empty += tmi_popcount(tmi_medium_empty(slab)) * c->size;
    sums->taken += tmi_popcount(taken) * c->size;
    sums->some[slab->cls] += slab->free != 0;
    sums->unused[slab->cls] += taken == 0;
    sums->nslabs[slab->cls]++;
    sums->nempty[slab->cls] += tmi_popcount(tmi_medium_empty(slab));
    sums->ntaken[slab->cls] += tmi_popcount(taken);
}

void tmi_medium_check(void)
{
    sums_t sums = {0};
    uintptr_t end = TMI_PAGEMAP_SEGMENTS;
    for (uintptr_t g = tmi_pagemap_next_segment(0); g < end; g = tmi_pagemap_next_segment(g + 1))
        for (unsigned u = 0; u < TMI_SEGMENT_UNITS; u++) {
            char *p = (char *)(g << TMI_SEGMENT_SHIFT) + u * TMI_UNIT_SIZE;
            if (tmi_pagemap_class(p) == TMI_CLASS_MEDIUM && tmi_medium_slab_of(p)->base == p)
                check_slab(tmi_medium_slab_of(p), &sums);
        }
    tmi_audit(sums.empty == tmi_counter(medium_empty_bytes), "W4 empty slots", NULL);
    tmi_audit(sums.taken <= tmi_counter(large_bytes), "W4 taken slots", NULL);
    for (unsigned cls = 0; cls < TMI_MEDIUM_CLASSES; cls++) {
        const tmi_medium_class_t *s = &tmi_medium_classes[cls];
        bool same = sums.nslabs[cls] == s->nslabs && sums.nempty[cls] == s->nempty && sums.ntaken[cls] == s->ntaken;
        tmi_audit(same, "W4 slabs and slots of a class", NULL);
        tmi_audit(sums.unused[cls] == 0 || sums.some[cls] == 1, "W5 an unused slab beside others with free slots",
                  NULL);
    }
}
