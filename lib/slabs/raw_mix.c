/* Choosing slabs that become mixed, so that other classes can use their free bytes: see mixed.h. */
#include "slabs/mixed.h"
#include "slabs/raw_impl.h"

enum { LOOKS = 8 };
#define ROOM_MIN ((size_t)8 << 10) // bytes; a slab with less is not worth the record of a mixed slab

/* Bytes on touched pages that no taken slot occupies. */
static size_t room_in(const tmi_raw_slab_t *slab)
{
    const tmi_class_info_t *c = &tmi_classes[slab->cls];
    return (tmi_popcount(slab->touched) << tmi_os_page_shift) - (size_t)(c->slots - slab->nfree) * c->size;
}

static bool worth_mixing(const tmi_raw_slab_t *slab)
{
    size_t room = room_in(slab);
    return !slab->purging && room >= ROOM_MIN && room >= tmi_popcount(slab->touched) * tmi_os_page_size / 4 * 3;
}

/* Make the slab mixed. Returns the free bytes gained; 0 if out of memory. */
static size_t mix(tmi_raw_slab_t *slab)
{
    size_t room = room_in(slab);
    tmi_mixed_origin_t origin = {slab->base, slab->cls, slab->free, slab->touched, slab->empty};
    if (!tmi_mixed_adopt(&origin))
        return 0;
    tmi_raw_slab_drop(slab);
    return room;
}

/* Examine up to LOOKS of the emptiest slabs of a class and mix those that are worth it. Returns the bytes gained. The
 * caller holds the lock of the class. */
static size_t mix_some(tmi_raw_class_t *s, size_t enough)
{
    size_t total = 0;
    unsigned looks = LOOKS;
    for (unsigned l = TMI_LEVELS; l-- > TMI_LEVELS / 2 && looks > 0 && total < enough;) {
        tmi_dlist_t *next;
        tmi_dlist_t *list = &s->levels.lists[l];
        for (tmi_dlist_t *n = list->next; n != list && looks > 0 && total < enough; n = next, looks--) {
            tmi_raw_slab_t *slab = TMI_CONTAINER_OF(n, tmi_raw_slab_t, level_link);
            next = n->next;
            if (worth_mixing(slab))
                total += mix(slab);
        }
    }
    return total;
}

/* Bytes on touched pages of the class that no taken slot occupies; 0 if its slabs cannot become mixed. Reads without
 * the lock: an estimate. */
static size_t room_of(unsigned cls)
{
    const tmi_raw_class_t *s = &tmi_raw_classes[cls];
    const tmi_class_info_t *c = &tmi_classes[cls];
    size_t there = tmi_load_relaxed(&s->touched_pages) << tmi_os_page_shift;
    size_t taken = (tmi_load_relaxed(&s->nslabs) * c->slots - tmi_load_relaxed(&s->nfree)) * c->size;
    return c->units == 1 && tmi_mixed_serves(cls) && there > taken ? there - taken : 0;
}

size_t tmi_raw_room(void)
{
    size_t total = 0;
    for (unsigned c = TMI_CLASS_FIRST; c <= TMI_CLASS_LAST; c++)
        total += room_of(c);
    return total;
}

size_t tmi_raw_mix(size_t enough)
{
    static uint32_t turn; // the class to continue with
    size_t total = 0;
    unsigned cls = tmi_load_relaxed(&turn) % TMI_CLASS_LAST + 1; // relaxed: any class will do
    if (tmi_raw_clean) // check:full keeps a pattern in free slots, which blocks of other sizes would break
        return 0;
    for (unsigned n = 0; n < TMI_CLASS_LAST && total < enough; n++) {
        tmi_raw_class_t *s = &tmi_raw_classes[cls];
        if (room_of(cls) >= ROOM_MIN) {
            tmi_lock(&s->lock);
            total += mix_some(s, enough - total);
            tmi_raw_judge(cls);
            tmi_unlock(&s->lock);
        }
        cls = cls == TMI_CLASS_LAST ? TMI_CLASS_FIRST : cls + 1;
    }
    tmi_store_relaxed(&turn, cls - 1);
    return total;
}
