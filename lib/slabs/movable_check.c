/* The audit of V1-V6. */
#include "os/os.h"
#include "os/report.h"
#include "slabs/handle.h"
#include "slabs/movable_impl.h"

/* If the word of a taken slot's index has the slot's address, it is live or reserved. No live word has the address of a
 * free slot. */
static void check_slot(const tmi_movable_slab_t *slab, uint32_t i)
{
    const char *at = slab->base + (size_t)i * tmi_mclasses[slab->cls].size;
    bool is_free = tmi_bitmap_get(slab->free, i);
    uint64_t w = tmi_handle_readable(slab->refs[i]) ? tmi_load_relaxed(tmi_word(slab->refs[i])) : 0;
    bool named = tmi_word_address(w) == at;
    tmi_audit(!(is_free && named), "V4 a word names a free slot", at);
    tmi_audit(is_free || (tmi_mslot_pages(&tmi_mclasses[slab->cls], i) & ~slab->touched) == 0,
              "V3 a taken slot is in an untouched page", at);
}

static void check_slab(const tmi_movable_slab_t *slab, unsigned cls)
{
    const tmi_class_info_t *c = &tmi_mclasses[cls];
    tmi_audit(!tmi_bitmap_set_before(slab->free, slab->hint), "V1 free bit below the hint", slab->base);
    tmi_audit(!tmi_bitmap_set_past(slab->free, c->slots), "V1 bit past the last slot", slab->base);
    tmi_audit(slab->cls == cls && tmi_bitmap_count(slab->free, c->slots) == slab->nfree,
              "V1 nfree differs from the bitmap", slab->base);
    tmi_audit(slab->nfree < c->slots || slab->emptying, "V2 slab without a taken slot", slab->base);
    tmi_audit(tmi_pagemap_class(slab->base) == TMI_CLASS_NONE, "M1 class of a movable slab", slab->base);
    for (uint32_t i = 0; i < c->slots; i++)
        check_slot(slab, i);
}

/* Check the lists in which the slab must be, and must not be. */
static void check_lists(const tmi_movable_slab_t *slab)
{
    const tmi_movable_class_t *s = &tmi_movable_classes[slab->cls];
    bool levelled = slab->nfree > 0 && !slab->emptying;
    tmi_audit((slab->level < TMI_LEVELS) == levelled, "V2 a slab has a level when it gives slots", slab->base);
    tmi_audit(!levelled || tmi_levels_has(slab->apart ? &s->apart : &s->levels, &slab->level_link, slab->level),
              "V2 a slab in the list of its level", slab->base);
    bool to_be_tidied = !tmi_dlist_empty(&slab->tidy_link);
    tmi_audit(!to_be_tidied || (!slab->emptying && tmi_dlist_contains(&s->tidy, &slab->tidy_link)),
              "V6 a slab in the tidy list", slab->base);
}

static void check_attributes(const tmi_movable_slab_t *slab)
{
    uint32_t set = 0, *a = tmi_load_acquire(&slab->attributes); // pairs: tmi_movable_slab_make_attributes
    for (uint32_t i = 0; a != NULL && i < tmi_mclasses[slab->cls].slots; i++)
        set += (tmi_load_relaxed(&a[i]) & ~(uint32_t)TMI_LOCKS_MASK) != 0; // locks change without the class's lock
    bool watched = tmi_movable_watched(tmi_pagemap_movable(slab->base));
    tmi_audit(set == 0 || watched, "V5 a slab with attributes is watched", slab->base);
}

/* Finds the slabs of the class through the page map, since full ones and those being emptied are in no list. */
void tmi_movable_check(unsigned cls)
{
    const tmi_movable_class_t *s = &tmi_movable_classes[cls];
    size_t nslabs = 0, nfree = 0, nfree_emptying = 0, nfree_apart = 0, touched = 0;
    uintptr_t end = TMI_PAGEMAP_SEGMENTS;
    if (s->tidy.next == NULL)
        return;
    tmi_levels_check(&s->levels, s);
    tmi_levels_check(&s->apart, s);
    for (uintptr_t g = tmi_pagemap_next_segment(0); g < end; g = tmi_pagemap_next_segment(g + 1))
        for (unsigned u = 0; u < TMI_SEGMENT_UNITS; u++) {
            char *p = (char *)(g << TMI_SEGMENT_SHIFT) + u * TMI_UNIT_SIZE;
            if (!tmi_pagemap_covers_movable(p) || tmi_movable_class(p) != cls ||
                tmi_movable_slab_span(tmi_movable_slab_of(p)) != p)
                continue;
            const tmi_movable_slab_t *slab = tmi_movable_slab_of(p);
            check_slab(slab, cls);
            check_lists(slab);
            check_attributes(slab);
            nslabs++;
            *(slab->emptying ? &nfree_emptying : slab->apart ? &nfree_apart : &nfree) += slab->nfree;
            touched += (size_t)tmi_popcount(slab->touched) << tmi_os_page_shift;
        }
    tmi_audit(nslabs == s->nslabs && nfree == s->nfree, "V1 free slots of the class", s);
    tmi_audit(nfree_apart == s->nfree_apart, "V1 free slots of slabs that are set apart", s);
    tmi_audit(nfree_emptying == s->nfree_emptying, "V1 free slots of slabs that are being emptied", s);
    tmi_audit(touched == s->touched_bytes, "V3 touched bytes of the class", s);
}
