/* Purging empty pages of mixed slabs. Under the lock each of these pages becomes one used run (X1, X2), so that the
 * lock can be released during the system call: no block can be cut from the page meanwhile. Only one thread purges at a
 * time (pacer lock, for which fork and audits wait). */
#include "os/counters.h"
#include "slabs/mixed_impl.h"

/* Returns the pages that were purged. The kernel refuses pages under mlock. */
static uint64_t purge_pages(const char *base, uint64_t pages)
{
    uint64_t gone = 0;
    for (uint64_t left = pages, run; left != 0; left &= ~run) {
        run = tmi_lowest_run(left);
        char *from = (char *)(uintptr_t)base + ((size_t)tmi_lowest_bit(run) << tmi_os_page_shift);
        tmi_count(purge_calls, 1);
        if (tmi_space_purge_pages(from, tmi_popcount(run) * tmi_os_page_size) == 0)
            gone |= run;
    }
    return gone;
}

/* Reserve the empty pages of the slab at the head of the purge queue. NULL: there are no empty pages. */
static tmi_mixed_slab_t *reserve(uint64_t *pages)
{
    if (tmi_mixed.purge_queue.next == NULL || tmi_dlist_empty(&tmi_mixed.purge_queue))
        return NULL;
    tmi_mixed_slab_t *slab = TMI_CONTAINER_OF(tmi_mixed.purge_queue.next, tmi_mixed_slab_t, purge_link);
    *pages = slab->empty;
    slab->purging = true;
    tmi_mixed_pages_leave(slab, *pages);
    tmi_store_relaxed(&tmi_mixed.purging_pages, tmi_popcount(*pages)); // relaxed: read by statistics only
    return slab;
}

static size_t purge_once(void)
{
    uint64_t pages = 0;
    tmi_lock(&tmi_mixed.lock);
    tmi_mixed_slab_t *slab = reserve(&pages);
    tmi_unlock(&tmi_mixed.lock);
    if (slab == NULL)
        return 0;
    uint64_t gone = purge_pages(slab->base, pages);
    size_t bytes = tmi_popcount(gone) * tmi_os_page_size;
    tmi_lock(&tmi_mixed.lock);
    tmi_store_relaxed(&tmi_mixed.purging_pages, 0);
    tmi_discount(slab_bytes, bytes);
    tmi_discount(slab_empty_bytes, bytes);
    tmi_mixed_pages_return(slab, pages & ~gone);
    slab->purging = false;
    if (slab->nblocks == 0)
        tmi_mixed_release(slab);
    tmi_unlock(&tmi_mixed.lock);
    tmi_count(purged_bytes, bytes);
    return bytes;
}

size_t tmi_mixed_purge(size_t enough)
{
    size_t total = 0;
    for (size_t n = 1; n > 0 && total < enough; total += n)
        n = purge_once();
    return total;
}
