/* Purges empty slots of medium slabs, and releases slabs without a taken slot. */
#include "os/counters.h"
#include "os/os.h"
#include "slabs/medium_impl.h"

/* Slots that are marked as taken while the kernel purges them. */
typedef struct reserved {
    tmi_medium_slab_t *slab;
    uint64_t slots;
} reserved_t;

/* Reserve empty slots of `enough` bytes or all, from the slab at the head of the purge queue. The caller holds the
 * class lock. */
static reserved_t reserve(unsigned cls, size_t enough)
{
    tmi_medium_class_t *s = &tmi_medium_classes[cls];
    reserved_t r = {NULL, 0};
    if (s->purge_queue.next == NULL || tmi_dlist_empty(&s->purge_queue))
        return r;
    tmi_medium_slab_t *slab = TMI_CONTAINER_OF(s->purge_queue.next, tmi_medium_slab_t, purge_link);
    size_t size = tmi_medium_info[cls].size;
    uint64_t left = tmi_medium_empty(slab);
    for (; left != 0 && tmi_popcount(r.slots) * size < enough; left &= left - 1)
        r.slots |= left & -left;
    r.slab = slab;
    tmi_medium_set_free(slab, slab->free & ~r.slots);
    tmi_medium_relist(slab);
    return r;
}

/* Returns the slots that were purged. The kernel refuses pages under mlock. */
static uint64_t purge_slots(const reserved_t *r)
{
    size_t size = tmi_medium_info[r->slab->cls].size;
    uint64_t gone = 0;
    for (uint64_t left = r->slots; left != 0;) {
        uint64_t run = tmi_lowest_run(left);
        left &= ~run;
        tmi_count(purge_calls, 1);
        if (tmi_space_purge_pages(r->slab->base + tmi_lowest_bit(run) * size, tmi_popcount(run) * size) == 0)
            gone |= run;
    }
    return gone;
}

static size_t purge_once(unsigned cls, size_t enough)
{
    tmi_medium_class_t *s = &tmi_medium_classes[cls];
    tmi_lock(&s->lock);
    reserved_t r = reserve(cls, enough);
    tmi_unlock(&s->lock);
    if (r.slab == NULL)
        return 0;
    uint64_t gone = purge_slots(&r);
    size_t bytes = tmi_popcount(gone) * (size_t)tmi_medium_info[cls].size;
    tmi_lock(&s->lock);
    tmi_space_thin(r.slab->base, tmi_medium_info[cls].units * TMI_UNIT_SIZE); // reserved slots made it seem full
    tmi_medium_set_free(r.slab, r.slab->free | r.slots);
    r.slab->touched &= ~gone;
    tmi_discount(medium_empty_bytes, bytes);
    tmi_own_add(&s->nempty, -tmi_popcount(gone));
    tmi_debt_add(&s->debt, bytes);
    tmi_medium_relist(r.slab);
    if (tmi_medium_unused(r.slab))
        tmi_medium_slab_release_unless_spare(r.slab);
    tmi_unlock(&s->lock);
    tmi_count(purged_bytes, bytes);
    return bytes;
}

size_t tmi_medium_purge(size_t enough)
{
    size_t total = 0;
    for (unsigned cls = 0; cls < TMI_MEDIUM_CLASSES && total < enough; cls++)
        for (size_t n = 1; n > 0 && total < enough; total += n)
            n = purge_once(cls, enough - total);
    return total;
}

void tmi_medium_release_unused(void)
{
    for (unsigned cls = 0; cls < TMI_MEDIUM_CLASSES; cls++) {
        tmi_medium_class_t *s = &tmi_medium_classes[cls];
        tmi_lock(&s->lock);
        for (tmi_dlist_t *n = s->some.next, *next; n != NULL && n != &s->some; n = next) {
            tmi_medium_slab_t *slab = TMI_CONTAINER_OF(n, tmi_medium_slab_t, link);
            next = n->next;
            if (tmi_medium_unused(slab))
                tmi_medium_slab_release(slab);
        }
        tmi_unlock(&s->lock);
    }
}
