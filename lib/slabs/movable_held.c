/* In check builds every reader of a slab's or extent's record verifies that something keeps the record in place
 * (V7). */
#include "slabs/movable_large.h"
#include "os/report.h"

#if TMI_CHECK
bool (*tmi_movable_pinned_here)(const char *from, size_t nbytes);

static bool pinned(const char *from, size_t nbytes)
{
    return tmi_movable_pinned_here != NULL && tmi_movable_pinned_here(from, nbytes);
}

/* The caller may own the slot if the slot is not free. A slab that is being emptied belongs to its mover. */
static bool owned(const tmi_movable_slab_t *slab, const char *p)
{
    size_t i = p >= slab->base ? tmi_mslot_index(slab, p) : 0;
    // relaxed: a thread knows the state of its own slot
    return tmi_load_relaxed(&slab->emptying) || !(tmi_load_relaxed(&slab->free[i / 64]) >> (i % 64) & 1);
}

void tmi_movable_require_held(const void *p)
{
    unsigned cls = tmi_movable_class(p);
    TMI_VERIFY(cls >= TMI_MCLASS_FIRST && cls <= TMI_MCLASS_LAST, "V7 a slab is read that is gone");
    if (tmi_lock_held_here(&tmi_movable_classes[cls].lock))
        return;
    const tmi_movable_slab_t *slab = tmi_span_of(p)->owner;
    TMI_VERIFY(owned(slab, p) || pinned(slab->base, tmi_mclasses[cls].units * TMI_UNIT_SIZE),
               "V7 a slab is read that nothing keeps in place");
}

void tmi_extent_require_held(const void *p)
{
    if (tmi_lock_held_here(&tmi_space_lock))
        return;
    TMI_VERIFY(tmi_pagemap_movable(p) == TMI_MCLASS_LARGE && tmi_large_valid(p),
               "V7 an extent is read that nothing keeps in place");
}
#endif
