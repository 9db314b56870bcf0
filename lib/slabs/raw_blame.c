/* The cost of a block beyond its own bytes: the free bytes on its pages, which cannot be purged while it is live. */
#include "slabs/mixed.h"
#include "slabs/raw_impl.h"

/* The slab that has p as a taken slot, and the slot's number; NULL if p is no taken slot of the class. Called under the
 * class's lock. */
static tmi_raw_slab_t *slab_of_taken(unsigned cls, const void *p, size_t *slot)
{
    const tmi_class_info_t *c = &tmi_classes[cls];
    if (tmi_pagemap_class(p) != cls)
        return NULL; // its slab has been released or mixed
    tmi_raw_slab_t *slab = tmi_raw_slab_of(p);
    size_t offset = (size_t)((const char *)p - slab->base), i = tmi_slot_index(c, offset);
    if (i >= c->slots || i * c->size != offset || (slab->free[i / 64] >> i % 64 & 1) != 0)
        return NULL;
    *slot = i;
    return slab;
}

/* The bytes of a page that no taken slot occupies, divided by the number of taken slots on the page. */
static size_t share_of_page(const tmi_raw_slab_t *slab, unsigned page)
{
    const tmi_class_info_t *c = &tmi_classes[slab->cls];
    size_t start = (size_t)page << tmi_os_page_shift, end = start + tmi_os_page_size, used = 0, keepers = 0;
    size_t from = tmi_slot_index(c, start), to = tmi_min(tmi_slot_index(c, end - 1), c->slots - 1);
    for (size_t i = from; i <= to; i++)
        if ((slab->free[i / 64] >> i % 64 & 1) == 0) {
            used += tmi_min((i + 1) * c->size, end) - tmi_max(i * c->size, start);
            keepers++;
        }
    return keepers > 0 ? (tmi_os_page_size - used) / keepers : 0;
}

static bool is_small(unsigned cls) { return cls >= TMI_CLASS_FIRST && cls <= TMI_CLASS_LAST; }

size_t tmi_raw_stranded_by(const void *p)
{
    unsigned cls = tmi_pagemap_class(p);
    size_t slot, bytes = 0;
    if (cls == TMI_CLASS_MIXED)
        return tmi_mixed_stranded_by(p);
    if (!is_small(cls))
        return 0;
    tmi_lock(&tmi_raw_classes[cls].lock);
    const tmi_raw_slab_t *slab = slab_of_taken(cls, p, &slot);
    if (slab != NULL)
        for (uint64_t pages = tmi_slot_pages(&tmi_classes[cls], slot); pages != 0; pages &= pages - 1)
            bytes += share_of_page(slab, tmi_lowest_bit(pages));
    tmi_unlock(&tmi_raw_classes[cls].lock);
    return bytes;
}

/* The slab that slots are taken from next. The caller knows that some slab of the class has a free slot. */
static const tmi_raw_slab_t *next_to_fill(unsigned cls)
{
    const tmi_raw_class_t *s = &tmi_raw_classes[cls];
    return TMI_CONTAINER_OF(tmi_levels_fullest(&s->levels), tmi_raw_slab_t, level_link);
}

/* Whether `slab` has at least as many free slots as `than`. Blocks move only into slabs that are as full or fuller, so
 * that a program that moves its blocks until none should move terminates. */
static bool is_emptier(const tmi_raw_slab_t *slab, const tmi_raw_slab_t *than)
{
    return slab != than && slab->level >= than->level && (slab->level > than->level || slab->nfree >= than->nfree);
}

/* A block should leave a mixed slab that is at least half free, if the slab of its class that is filled next is fuller.
 */
static bool should_leave_mixed(const void *p)
{
    size_t free = 0, all = 0;
    unsigned cls = tmi_mixed_room_around(p, &free, &all);
    if (cls == TMI_CLASS_NONE || free * 2 < all)
        return false;
    tmi_raw_class_t *s = &tmi_raw_classes[cls];
    tmi_lock(&s->lock);
    bool fuller = s->levels.nonempty != 0 && next_to_fill(cls)->nfree * all < free * tmi_classes[cls].slots;
    tmi_unlock(&s->lock);
    return fuller;
}

/* A move helps only in a loose class: its freed slots return to their slabs, and new slots come from the fullest slab.
 * In any other class the magazine would hand out the slot that was just freed. */
bool tmi_raw_should_move(const void *p)
{
    unsigned cls = tmi_pagemap_class(p);
    size_t slot;
    if (cls == TMI_CLASS_MIXED)
        return should_leave_mixed(p);
    if (!is_small(cls) || !tmi_raw_loose(cls))
        return false;
    tmi_lock(&tmi_raw_classes[cls].lock);
    const tmi_raw_slab_t *slab = slab_of_taken(cls, p, &slot);
    bool fuller = slab != NULL && slab->nfree > 0 && is_emptier(slab, next_to_fill(cls));
    tmi_unlock(&tmi_raw_classes[cls].lock);
    return fuller;
}
