/* Giving empty pages of slabs back. The class lock is held over the call to the kernel: a slab has 64 or 256 KiB, so a
 * call is short. */
#include "host/counters.h"
#include "stores/raw_impl.h"

/* The lowest run of set bits. */
static uint64_t lowest_run(uint64_t bits)
{
    uint64_t low = bits & -bits;
    return bits & ~(bits + low);
}

static size_t purge_pages(tmi_slab_t *slab, uint64_t pages)
{
    size_t total = 0;
    for (uint64_t left = pages; left != 0;) {
        uint64_t run = lowest_run(left);
        size_t bytes = tmi_popcount(run) * tmi_os_page_size;
        char *from = slab->base + ((size_t)tmi_lowest_bit(run) << tmi_os_page_shift);
        left &= ~run;
        tmi_count(purge_calls, 1);
        if (tmi_os_purge(from, bytes) != 0)
            continue; // locked memory: stays as it is
        tmi_slab_forget_empty(slab, run);
        total += bytes;
    }
    tmi_count(purged_bytes, total);
    return total;
}

/* What is left in the slab waits for the next look (R8). */
static void look_again(tmi_slabs_t *s, tmi_slab_t *slab, uint32_t now)
{
    slab->aged = slab->empty;
    slab->since = now;
    tmi_dlist_remove(&slab->purge_link);
    tmi_dlist_push_back(&s->purge_queue, &slab->purge_link);
}

static size_t purge_class(tmi_slabs_t *s, uint32_t now, uint32_t min_age, size_t enough)
{
    size_t total = 0;
    while (total < enough && !tmi_dlist_empty(&s->purge_queue)) {
        tmi_slab_t *slab = TM_CONTAINER_OF(s->purge_queue.next, tmi_slab_t, purge_link);
        if ((int32_t)(now - slab->since) < (int32_t)min_age)
            break;
        total += purge_pages(slab, min_age == 0 ? slab->empty : slab->aged);
        if (slab->empty == 0)
            continue;
        look_again(s, slab, now);
        if (min_age == 0)
            break; // the kernel refused: try again when it is its turn
    }
    return total;
}

size_t tmi_raw_purge(uint32_t now, uint32_t min_age, size_t enough)
{
    size_t total = 0;
    for (unsigned cls = TMI_CLASS_FIRST; cls <= TMI_CLASS_LAST && total < enough; cls++) {
        tmi_slabs_t *s = &tmi_slabs[cls];
        if (tmi_load_relaxed(&s->nslabs) == 0) // a look: most classes are never used
            continue;
        tmi_lock(&s->lock);
        total += purge_class(s, now, min_age, enough - total);
        tmi_unlock(&s->lock);
    }
    return total;
}
