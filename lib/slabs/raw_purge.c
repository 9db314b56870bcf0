/* Purging empty pages of slabs. Under the class lock the slots on these pages, all free, are marked taken in the
 * bitmap, so that the lock can be released during the system call: no thread can allocate them meanwhile. Then they are
 * set free again. Pages behind the last slot have no slots; so the slab's flag `purging` keeps it from being released,
 * too. Only one thread purges at a time (pacer lock, for which fork and audits wait). */
#include "os/counters.h"
#include "slabs/raw_impl.h"

typedef struct reserved {
    tmi_raw_slab_t *slab;
    uint64_t pages;
} reserved_t;

/* Set or clear the bits of the slots [from, to]. Returns the number of bits changed: a slot that lies on two runs of
 * pages is in the range of both. */
static uint32_t set_free_bits(tmi_raw_slab_t *slab, size_t from, size_t to, bool free)
{
    uint32_t changed = 0;
    for (size_t w = from / 64; w <= to / 64; w++) {
        uint64_t bits = tmi_bitmap_range(w, from, to);
        changed += tmi_popcount(bits & (free ? ~slab->free[w] : slab->free[w]));
        slab->free[w] = free ? slab->free[w] | bits : slab->free[w] & ~bits;
    }
    return changed;
}

/* Make all slots that touch these pages free or taken. Returns the pages that these slots touch, and `pages`. */
static uint64_t set_slots_free(tmi_raw_slab_t *slab, uint64_t pages, bool free)
{
    const tmi_class_info_t *c = &tmi_classes[slab->cls];
    uint64_t touching = pages;
    uint32_t changed = 0;
    for (uint64_t left = pages, run; left != 0; left &= ~run) {
        run = tmi_lowest_run(left);
        size_t start = (size_t)tmi_lowest_bit(run) << tmi_os_page_shift;
        size_t end = start + (tmi_popcount(run) * tmi_os_page_size) - 1;
        size_t from = tmi_slot_index(c, start), to = tmi_min(tmi_slot_index(c, end), c->slots - 1);
        if (from > to)
            continue;
        changed += set_free_bits(slab, from, to, free);
        touching |= tmi_slot_pages(c, from) | tmi_slot_pages(c, to);
        if (free && from / 64 < slab->hint)
            slab->hint = (uint32_t)(from / 64);
    }
    slab->nfree += free ? changed : -changed;
    tmi_own_add(&tmi_raw_classes[slab->cls].nfree, free ? (size_t)changed : -(size_t)changed);
    tmi_raw_slab_relevel(slab);
    return touching;
}

/* Reserve the empty pages of the slab at the head of the purge queue. The caller holds the class lock. */
static reserved_t reserve(tmi_raw_class_t *s)
{
    if (s->purge_queue.next == NULL || tmi_dlist_empty(&s->purge_queue))
        return (reserved_t){NULL, 0};
    tmi_raw_slab_t *slab = TMI_CONTAINER_OF(s->purge_queue.next, tmi_raw_slab_t, purge_link);
    reserved_t r = {slab, slab->empty};
    slab->purging = true;
    uint32_t before = slab->nfree;
    tmi_raw_slab_use_pages(slab, r.pages);
    (void)set_slots_free(slab, r.pages, false);
    tmi_store_relaxed(&s->purging_slots, before - slab->nfree); // relaxed: read by statistics only
    tmi_store_relaxed(&s->purging_pages, tmi_popcount(r.pages));
    return r;
}

/* Returns the pages that were purged. The kernel refuses pages under mlock. */
static uint64_t purge_pages(const reserved_t *r)
{
    uint64_t gone = 0;
    for (uint64_t left = r->pages; left != 0;) {
        uint64_t run = tmi_lowest_run(left);
        char *from = r->slab->base + ((size_t)tmi_lowest_bit(run) << tmi_os_page_shift);
        left &= ~run;
        tmi_count(purge_calls, 1);
        if (tmi_space_purge_pages(from, tmi_popcount(run) * tmi_os_page_size) == 0)
            gone |= run;
    }
    return gone;
}

/* End the reservation; `gone` are the pages that were purged. Neighbouring pages, which share slots with them, may have
 * become empty meanwhile. The caller holds the class lock. */
static void end_reserve(const reserved_t *r, uint64_t gone)
{
    tmi_raw_slab_t *slab = r->slab;
    tmi_store_relaxed(&tmi_raw_classes[slab->cls].purging_slots, 0);
    tmi_store_relaxed(&tmi_raw_classes[slab->cls].purging_pages, 0);
    slab->purging = false;
    uint64_t touching = set_slots_free(slab, r->pages, true);
    tmi_raw_slab_add_empty(slab, tmi_raw_slab_emptied(slab, touching));
    tmi_raw_slab_forget_empty(slab, gone);
    if (slab->nfree == tmi_classes[slab->cls].slots)
        tmi_raw_slab_release(slab);
}

/* Purge the empty pages of one slab. Returns the bytes purged; 0 if the class has no empty page. */
static size_t purge_once(unsigned cls)
{
    tmi_raw_class_t *s = &tmi_raw_classes[cls];
    tmi_lock(&s->lock);
    reserved_t r = reserve(s);
    tmi_unlock(&s->lock);
    if (r.slab == NULL)
        return 0;
    uint64_t gone = purge_pages(&r);
    size_t bytes = tmi_popcount(gone) * tmi_os_page_size;
    tmi_lock(&s->lock);
    end_reserve(&r, gone);
    tmi_debt_add(&s->debt, bytes);
    tmi_raw_judge(cls);
    tmi_unlock(&s->lock);
    tmi_count(purged_bytes, bytes);
    return bytes;
}

size_t tmi_raw_purge(size_t enough)
{
    static uint32_t turn; // the class to continue with
    size_t total = 0;
    unsigned cls = tmi_load_relaxed(&turn) % TMI_CLASS_LAST + 1; // relaxed: any class will do
    for (unsigned clean = 0; clean < TMI_CLASS_LAST && total < enough;) {
        // relaxed: a hint that saves taking the locks of classes without slabs, which most are
        size_t n = tmi_load_relaxed(&tmi_raw_classes[cls].nslabs) == 0 ? 0 : purge_once(cls);
        total += n;
        clean = n > 0 ? 0 : clean + 1;
        if (n == 0)
            cls = cls == TMI_CLASS_LAST ? TMI_CLASS_FIRST : cls + 1;
    }
    tmi_store_relaxed(&turn, cls - 1);
    return total;
}
