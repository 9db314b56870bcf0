/* The audit of R1-R7. */
#include "os/report.h"
#include "slabs/raw_impl.h"

static void check_slab(const tmi_raw_slab_t *slab, unsigned cls)
{
    const tmi_class_info_t *c = &tmi_classes[cls];
    tmi_audit(!tmi_bitmap_set_before(slab->free, slab->hint), "R6 free bit below the hint", slab->base);
    tmi_audit(!tmi_bitmap_set_past(slab->free, c->slots), "R1 bit past the last slot", slab->base);
    tmi_audit(slab->cls == cls && tmi_bitmap_count(slab->free, c->slots) == slab->nfree,
              "R1 nfree differs from the bitmap", slab->base);
    tmi_audit(slab->nfree < c->slots, "R4 slab without a taken slot", slab->base);
    unsigned npages = (unsigned)(c->units * TMI_UNIT_SIZE >> tmi_os_page_shift);
    for (unsigned page = 0; page < npages; page++) {
        bool empty = slab->empty >> page & 1, touched = slab->touched >> page & 1;
        bool all_free = tmi_raw_slab_page_free(slab, page);
        tmi_audit(empty == (touched && all_free), "R2 empty pages", slab->base);
        tmi_audit(touched || all_free, "R3 a taken slot on an untouched page", slab->base);
    }
    tmi_audit((slab->empty != 0) == tmi_dlist_contains(&tmi_raw_classes[cls].purge_queue, &slab->purge_link),
              "R5 purge queue", slab->base);
}

/* Finds the slabs of the class through the page map, since full slabs are in no list. */
void tmi_raw_check(unsigned cls)
{
    const tmi_class_info_t *c = &tmi_classes[cls];
    const tmi_levels_t *levels = &tmi_raw_classes[cls].levels;
    size_t nslabs = 0, nfree = 0, used = 0, touched = 0, ends = 0;
    uintptr_t end = TMI_PAGEMAP_SEGMENTS;
    if (tmi_raw_classes[cls].purge_queue.next != NULL) // NULL: the class has never had a slab
        tmi_levels_check(levels, NULL);
    for (uintptr_t g = tmi_pagemap_next_segment(0); g < end; g = tmi_pagemap_next_segment(g + 1))
        for (unsigned u = 0; u < TMI_SEGMENT_UNITS; u++) {
            char *p = (char *)(g << TMI_SEGMENT_SHIFT) + u * TMI_UNIT_SIZE;
            if (tmi_pagemap_class(p) != cls || tmi_raw_slab_of(p)->base != p)
                continue;
            const tmi_raw_slab_t *slab = tmi_raw_slab_of(p);
            check_slab(slab, cls);
            tmi_audit(slab->nfree == 0 || tmi_levels_has(levels, &slab->level_link, slab->level), "R4 level", p);
            nslabs++;
            nfree += slab->nfree;
            used += tmi_popcount(slab->touched & ~slab->empty);
            touched += tmi_popcount(slab->touched);
            ends += (slab->touched & ~slab->empty) >> c->end_page & 1;
        }
    tmi_audit(nslabs == tmi_raw_classes[cls].nslabs && nfree == tmi_raw_classes[cls].nfree, "R1 sums of a class", NULL);
    tmi_audit(used == tmi_raw_classes[cls].used_pages && ends == tmi_raw_classes[cls].used_ends, "R2 sum of used pages",
              NULL);
    tmi_audit(touched == tmi_raw_classes[cls].touched_pages, "R2 sum of touched pages", NULL);
    tmi_audit(tmi_raw_classes[cls].sparse == tmi_raw_must_be_sparse(cls),
              "R7 a class is sparse when its pages hold little", NULL);
}
