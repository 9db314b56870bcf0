/* The audit of X1-X5. */
#include "os/report.h"
#include "slabs/mixed_impl.h"

/* The content of one slab, found by walking its granules. */
typedef struct content {
    size_t free, blocks;
    uint64_t used_pages;
} content_t;

static void check_block(const tmi_mixed_slab_t *slab, size_t i, content_t *content, uint32_t *taken)
{
    const char *p = slab->base + (i << TMI_MIXED_SHIFT);
    unsigned cls = tmi_mixed_class_at(p);
    tmi_audit(cls != TMI_CLASS_NONE, "X2 a block whose size is of no class", p);
    content->blocks++;
    content->used_pages |= tmi_mixed_pages(i, tmi_mixed_length(slab, i));
    taken[cls]++;
}

static void check_slab(const tmi_mixed_slab_t *slab, uint32_t *taken)
{
    content_t content = {0};
    for (size_t i = 0, n; i < TMI_MIXED_GRANULES; i += n) {
        bool there = (slab->touched & tmi_mixed_pages(i, 1)) != 0;
        n = 1;
        if (tmi_granule(slab->used, i)) {
            tmi_audit(tmi_granule(slab->start, i), "X2 a used run that does not start", slab->base);
            n = there ? tmi_mixed_length(slab, i) : tmi_granules_of_page();
            tmi_audit(tmi_granules_next(slab->used, ~(uint64_t)0, i) >= i + n, "X1 a free granule on an absent page",
                      slab->base);
            if (there)
                check_block(slab, i, &content, taken);
        } else {
            tmi_audit(there && !tmi_granule(slab->start, i) && !tmi_granule(slab->last, i), "X1 a free granule",
                      slab->base);
            content.free++;
        }
    }
    tmi_audit(content.free == slab->nfree && content.blocks == slab->nblocks, "X3 sums of a slab", slab->base);
    tmi_audit(slab->empty == (slab->touched & ~content.used_pages), "X4 empty pages", slab->base);
    tmi_audit((slab->empty != 0) == !tmi_dlist_empty(&slab->purge_link), "X4 purge queue", slab->base);
    tmi_audit(slab->nblocks > 0 || slab->purging, "X5 a slab without a block", slab->base);
    tmi_audit(tmi_pagemap_class(slab->base) == TMI_CLASS_MIXED && tmi_mixed_slab_of(slab->base) == slab,
              "X5 the owner of a unit", slab->base);
}

void tmi_mixed_check(void)
{
    uint32_t taken[TMI_CLASS_COUNT] = {0};
    size_t nslabs = 0, room = 0, touched = 0, empty = 0;
    if (tmi_mixed.ring.next == NULL)
        return;
    for (const tmi_dlist_t *n = tmi_mixed.ring.next; n != &tmi_mixed.ring; n = n->next) {
        const tmi_mixed_slab_t *slab = TMI_CONTAINER_OF(n, tmi_mixed_slab_t, link);
        check_slab(slab, taken);
        nslabs++;
        room += (size_t)slab->nfree << TMI_MIXED_SHIFT;
        touched += tmi_popcount(slab->touched);
        empty += tmi_popcount(slab->empty);
    }
    tmi_audit(nslabs == tmi_mixed.nslabs && room == tmi_mixed.room, "X3 sums of all slabs", NULL);
    tmi_audit(touched == tmi_mixed.touched_pages && empty == tmi_mixed.empty_pages, "X4 sums of all slabs", NULL);
    for (unsigned c = 0; c < TMI_CLASS_COUNT; c++)
        tmi_audit(taken[c] == tmi_mixed.taken[c], "X3 blocks of a class", NULL);
}
