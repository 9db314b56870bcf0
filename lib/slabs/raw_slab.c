/* One slab: make and release it, its level, and the state of its pages. All functions but the last are called under the
 * class lock. */
#include "os/counters.h"
#include "os/meta.h"
#include "os/report.h"
#include "slabs/raw_impl.h"

#include <string.h>

tmi_raw_class_t tmi_raw_classes[TMI_CLASS_COUNT];
bool tmi_raw_clean;

void tmi_raw_init(void)
{
    for (unsigned c = 0; c < TMI_CLASS_COUNT; c++)
        tmi_lock_set_place(&tmi_raw_classes[c].lock, TMI_RANK_SLABS, c);
}

/* Lists are initialized when a class makes its first slab, so that a process that allocates little does not touch the
 * lists of all classes. */
static void ready_class(tmi_raw_class_t *s)
{
    if (s->purge_queue.next != NULL)
        return;
    tmi_dlist_init(&s->purge_queue);
    tmi_levels_init(&s->levels);
}

static size_t record_size(const tmi_class_info_t *c)
{
    return sizeof(tmi_raw_slab_t) + tmi_bitmap_words(c->slots) * sizeof(uint64_t);
}

/* Count these pages of a slab as in use; with `sign` -1, as no longer in use. */
static inline void count_used(tmi_raw_class_t *s, const tmi_class_info_t *c, uint64_t pages, size_t sign)
{
    tmi_own_add(&s->used_pages, sign * tmi_popcount(pages)); // statistics read both counts without the lock
    tmi_own_add(&s->used_ends, sign * (pages >> c->end_page & 1));
}

tmi_raw_slab_t *tmi_raw_slab_make(unsigned cls)
{
    const tmi_class_info_t *c = &tmi_classes[cls];
    tmi_raw_slab_t *slab = tmi_meta_alloc(record_size(c));
    if (slab == NULL)
        return NULL;
    bool dirty;
    slab->base = tmi_space_alloc(c->units, 1, cls, cls, &dirty);
    if (slab->base == NULL) {
        tmi_meta_free(slab, record_size(c));
        return NULL;
    }
    if (dirty && tmi_raw_clean) {
        (void)tmi_os_purge(slab->base, c->units * TMI_UNIT_SIZE);
        memset(slab->base, 0, c->units * TMI_UNIT_SIZE); // pages under mlock are not purged
    }
    for (unsigned u = 0; u < c->units; u++)
        tmi_span_of(slab->base + u * TMI_UNIT_SIZE)->owner = slab;
    ready_class(&tmi_raw_classes[cls]);
    tmi_dlist_init(&slab->level_link);
    tmi_dlist_init(&slab->purge_link);
    slab->cls = (uint8_t)cls;
    slab->level = TMI_LEVELS;
    slab->nfree = c->slots;
    tmi_bitmap_fill(slab->free, c->slots);
    if (dirty) {
        slab->touched = tmi_raw_clean ? tmi_pages_of_units(c->units) : tmi_space_resident(slab->base, c->units);
        tmi_count(slab_bytes, tmi_pages_bytes(slab->touched));
        count_used(&tmi_raw_classes[cls], c, slab->touched, 1);
        tmi_own_add(&tmi_raw_classes[cls].touched_pages, tmi_popcount(slab->touched));
        tmi_raw_slab_add_empty(slab, slab->touched);
    }
    tmi_own_add(&tmi_raw_classes[cls].nslabs, 1);
    tmi_own_add(&tmi_raw_classes[cls].nfree, c->slots);
    tmi_raw_slab_relevel(slab);
    return slab;
}

void tmi_raw_slab_drop(tmi_raw_slab_t *slab)
{
    const tmi_class_info_t *c = &tmi_classes[slab->cls];
    tmi_raw_class_t *s = &tmi_raw_classes[slab->cls];
    tmi_levels_move(&s->levels, &slab->level_link, &slab->level, TMI_LEVELS);
    tmi_dlist_remove(&slab->purge_link);
    tmi_own_add(&s->nslabs, -1);
    count_used(s, c, slab->touched & ~slab->empty, (size_t)-1);
    tmi_own_add(&s->touched_pages, -(size_t)tmi_popcount(slab->touched));
    tmi_own_add(&s->nfree, -(size_t)slab->nfree);
    tmi_meta_free(slab, record_size(c));
}

void tmi_raw_slab_release(tmi_raw_slab_t *slab)
{
    char *base = slab->base;
    unsigned units = tmi_classes[slab->cls].units;
    uint64_t touched = slab->touched;
    tmi_discount(slab_bytes, tmi_pages_bytes(touched));
    tmi_discount(slab_empty_bytes, tmi_pages_bytes(slab->empty));
    tmi_raw_slab_drop(slab);
    tmi_space_free_pages(base, units, touched);
}

void tmi_raw_slab_change_level(tmi_raw_slab_t *slab)
{
    tmi_levels_move(&tmi_raw_classes[slab->cls].levels, &slab->level_link, &slab->level,
                    tmi_level_for(slab->nfree, tmi_classes[slab->cls].slots));
}

void tmi_raw_slab_use_pages(tmi_raw_slab_t *slab, uint64_t pages)
{
    uint64_t fresh = pages & ~slab->touched, refilled = pages & slab->empty;
    if (TMI_UNLIKELY((fresh | refilled) != 0))
        count_used(&tmi_raw_classes[slab->cls], &tmi_classes[slab->cls], fresh | refilled, 1);
    if (TMI_UNLIKELY(fresh != 0)) {
        slab->touched |= fresh;
        tmi_own_add(&tmi_raw_classes[slab->cls].touched_pages, tmi_popcount(fresh));
        tmi_count(slab_bytes, tmi_pages_bytes(fresh));
        (void)tmi_debt_pay(&tmi_raw_classes[slab->cls].debt, tmi_pages_bytes(fresh));
    }
    if (TMI_UNLIKELY(refilled != 0)) {
        slab->empty &= ~refilled;
        tmi_discount(slab_empty_bytes, tmi_pages_bytes(refilled));
        if (slab->empty == 0)
            tmi_dlist_remove(&slab->purge_link);
    }
}

void tmi_raw_slab_note_empty(tmi_raw_slab_t *slab, uint64_t pages)
{
    if (slab->empty == 0)
        tmi_dlist_push_back(&tmi_raw_classes[slab->cls].purge_queue, &slab->purge_link);
    slab->empty |= pages;
    count_used(&tmi_raw_classes[slab->cls], &tmi_classes[slab->cls], pages, (size_t)-1);
    tmi_count(slab_empty_bytes, tmi_pages_bytes(pages));
}

void tmi_raw_slab_forget_empty(tmi_raw_slab_t *slab, uint64_t pages)
{
    size_t bytes = tmi_pages_bytes(pages);
    slab->empty &= ~pages;
    slab->touched &= ~pages;
    tmi_own_add(&tmi_raw_classes[slab->cls].touched_pages, -(size_t)tmi_popcount(pages));
    tmi_discount(slab_empty_bytes, bytes);
    tmi_discount(slab_bytes, bytes);
    if (slab->empty == 0)
        tmi_dlist_remove(&slab->purge_link);
}

/* The pages of a run that no taken slot touches. For classes of at least a page. */
static uint64_t emptied_run(const tmi_raw_slab_t *slab, const tmi_class_info_t *c, uint64_t run)
{
    size_t start = (size_t)tmi_lowest_bit(run) << tmi_os_page_shift;
    size_t end = ((size_t)tmi_log2(run) + 1) << tmi_os_page_shift;
    for (size_t i = tmi_slot_index(c, start); i < c->slots && i * c->size < end; i++)
        if (!tmi_bitmap_get(slab->free, i))
            run &= ~tmi_slot_pages(c, i);
    return run;
}

uint64_t tmi_raw_slab_emptied(const tmi_raw_slab_t *slab, uint64_t pages)
{
    const tmi_class_info_t *c = &tmi_classes[slab->cls];
    uint64_t result = 0;
    if (c->size >= tmi_os_page_size)
        for (uint64_t run; pages != 0; pages &= ~run) {
            run = tmi_lowest_run(pages);
            result |= emptied_run(slab, c, run);
        }
    for (; pages != 0; pages &= pages - 1)
        if (tmi_raw_slab_page_free(slab, tmi_lowest_bit(pages)))
            result |= pages & -pages;
    return result;
}

bool tmi_raw_slab_page_free(const tmi_raw_slab_t *slab, unsigned page)
{
    return tmi_page_is_free(&tmi_classes[slab->cls], 0, slab->free, page);
}

/* Slots and pages that a purge has reserved count as free and empty. */
tmi_raw_figures_t tmi_raw_figures(unsigned cls)
{
    const tmi_raw_class_t *s = &tmi_raw_classes[cls];
    const tmi_class_info_t *c = &tmi_classes[cls];
    size_t slots = tmi_load_relaxed(&s->nslabs) * c->slots, nfree = tmi_load_relaxed(&s->nfree);
    size_t used = tmi_load_relaxed(&s->used_pages), end = tmi_round_up((size_t)c->slots * c->size, tmi_os_page_size);
    size_t pages = tmi_min(tmi_load_relaxed(&s->purging_pages), used), touched = tmi_load_relaxed(&s->touched_pages);
    nfree = tmi_min(nfree + tmi_load_relaxed(&s->purging_slots), slots);
    return (tmi_raw_figures_t){
        .slabs = tmi_load_relaxed(&s->nslabs),
        .taken = slots - nfree,
        .nfree = nfree,
        .used = (used - pages) << tmi_os_page_shift,
        .empty = (touched > used ? touched - used + pages : pages) << tmi_os_page_shift,
        .slack = tmi_load_relaxed(&s->used_ends) * (end - (size_t)c->slots * c->size),
    };
}
