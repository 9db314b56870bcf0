/* The audit of R1-R7. */
#include "os/report.h"
#include "slabs/raw_impl.h"

static bool in_list(const tmi_dlist_t *head, const tmi_dlist_t *node)
{
    for (const tmi_dlist_t *n = head->next; n != head; n = n->next)
        if (n == node)
            return true;
    return false;
}

static void check_slab(const tmi_raw_slab_t *slab, unsigned cls)
{
    const tmi_class_info_t *c = &tmi_classes[cls];
    size_t nfree = 0;
    for (unsigned w = 0; w < tmi_raw_slab_words(c); w++) {
        nfree += tmi_popcount(slab->free[w]);
        tmi_audit(w >= slab->hint || slab->free[w] == 0, "R6 free bit below the hint", slab->base);
    }
    if (c->slots % 64 != 0)
        tmi_audit((slab->free[c->slots / 64] & ~tmi_low_bits(c->slots % 64)) == 0, "R1 bit past the last slot",
                  slab->base);
    tmi_audit(slab->cls == cls && nfree == slab->nfree, "R1 nfree differs from the bitmap", slab->base);
    tmi_audit(slab->nfree < c->slots, "R4 slab without a taken slot", slab->base);
    unsigned npages = (unsigned)(c->units * TMI_UNIT_SIZE >> tmi_os_page_shift);
    for (unsigned page = 0; page < npages; page++) {
        bool empty = slab->empty >> page & 1, touched = slab->touched >> page & 1;
        bool all_free = tmi_raw_slab_page_free(slab, page);
        tmi_audit(empty == (touched && all_free), "R2 empty pages", slab->base);
        tmi_audit(touched || all_free, "R3 a taken slot on an untouched page", slab->base);
    }
    tmi_audit((slab->empty != 0) == in_list(&tmi_raw_classes[cls].purge_queue, &slab->purge_link), "R5 purge queue",
              slab->base);
}

/* Every slab of the class, found through the page map, since full ones are in no list. */
void tmi_raw_check(unsigned cls)
{
    const tmi_class_info_t *c = &tmi_classes[cls];
    size_t nslabs = 0, nfree = 0, used = 0, touched = 0, ends = 0;
    uintptr_t end = TMI_PAGEMAP_SEGMENTS;
    for (uintptr_t g = tmi_pagemap_next_segment(0); g < end; g = tmi_pagemap_next_segment(g + 1))
        for (unsigned u = 0; u < TMI_SEGMENT_UNITS; u++) {
            char *p = (char *)(g << TMI_SEGMENT_SHIFT) + u * TMI_UNIT_SIZE;
            if (tmi_pagemap_class(p) != cls || tmi_raw_slab_of(p)->base != p)
                continue;
            const tmi_raw_slab_t *slab = tmi_raw_slab_of(p);
            check_slab(slab, cls);
            tmi_audit(slab->nfree == 0 || in_list(&tmi_raw_classes[cls].levels[slab->level], &slab->level_link),
                      "R4 level", p);
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
