/* One slab: making and releasing it, its level, and the state of its pages. All under the class lock. */
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

/* Lists are made at a class's first slab: a process that allocates little need not touch them all. */
static void ready_class(tmi_raw_class_t *s)
{
    if (s->purge_queue.next != NULL)
        return;
    tmi_dlist_init(&s->purge_queue);
    for (unsigned l = 0; l < TMI_RAW_LEVELS; l++)
        tmi_dlist_init(&s->levels[l]);
}

static size_t record_size(const tmi_class_info_t *c)
{
    return sizeof(tmi_raw_slab_t) + tmi_raw_slab_words(c) * sizeof(uint64_t);
}

static unsigned pages_of_slab(const tmi_class_info_t *c)
{
    return (unsigned)(c->units * TMI_UNIT_SIZE >> tmi_os_page_shift);
}

static void fill_bits(uint64_t *bits, unsigned n)
{
    for (; n >= 64; n -= 64)
        *bits++ = ~(uint64_t)0;
    if (n > 0)
        *bits = tmi_low_bits(n);
}

/* Pages of a slab come into use; or, with -1, these are in use no more. */
static inline void count_used(tmi_raw_class_t *s, const tmi_class_info_t *c, uint64_t pages, size_t sign)
{
    tmi_own_add(&s->used_pages, sign * tmi_popcount(pages)); // statistics read them without the lock
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
        memset(slab->base, 0, c->units * TMI_UNIT_SIZE); // locked pages stay
    }
    for (unsigned u = 0; u < c->units; u++)
        tmi_span_of(slab->base + u * TMI_UNIT_SIZE)->owner = slab;
    ready_class(&tmi_raw_classes[cls]);
    tmi_dlist_init(&slab->level_link);
    tmi_dlist_init(&slab->purge_link);
    slab->cls = (uint8_t)cls;
    slab->level = TMI_RAW_LEVELS;
    slab->nfree = c->slots;
    fill_bits(slab->free, c->slots);
    if (dirty) {
        slab->touched = tmi_low_bits(pages_of_slab(c));
        tmi_count(slab_bytes, pages_of_slab(c) * tmi_os_page_size);
        count_used(&tmi_raw_classes[cls], c, slab->touched, 1);
        tmi_own_add(&tmi_raw_classes[cls].touched_pages, pages_of_slab(c));
        tmi_raw_slab_add_empty(slab, slab->touched);
    }
    tmi_own_add(&tmi_raw_classes[cls].nslabs, 1);
    tmi_own_add(&tmi_raw_classes[cls].nfree, c->slots);
    tmi_raw_slab_relevel(slab);
    return slab;
}

static void leave_level(tmi_raw_slab_t *slab)
{
    if (slab->level == TMI_RAW_LEVELS)
        return;
    tmi_raw_class_t *s = &tmi_raw_classes[slab->cls];
    tmi_dlist_remove(&slab->level_link);
    if (tmi_dlist_empty(&s->levels[slab->level]))
        s->nonempty &= ~(1u << slab->level);
    slab->level = TMI_RAW_LEVELS;
}

void tmi_raw_slab_drop(tmi_raw_slab_t *slab)
{
    const tmi_class_info_t *c = &tmi_classes[slab->cls];
    tmi_raw_class_t *s = &tmi_raw_classes[slab->cls];
    leave_level(slab);
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
    size_t bytes = tmi_popcount(slab->touched) * tmi_os_page_size;
    tmi_discount(slab_bytes, bytes);
    tmi_discount(slab_empty_bytes, tmi_popcount(slab->empty) * tmi_os_page_size);
    tmi_raw_slab_drop(slab);
    tmi_space_free(base, units, bytes);
}

/* Level 0 is the fullest eighth; a slab without a free slot has none. */
static unsigned level_for(const tmi_raw_slab_t *slab)
{
    if (slab->nfree == 0)
        return TMI_RAW_LEVELS;
    return (unsigned)tmi_min(slab->nfree * TMI_RAW_LEVELS / tmi_classes[slab->cls].slots, TMI_RAW_LEVELS - 1);
}

void tmi_raw_slab_change_level(tmi_raw_slab_t *slab)
{
    unsigned level = level_for(slab);
    if (level == slab->level)
        return;
    leave_level(slab);
    if (level == TMI_RAW_LEVELS)
        return;
    tmi_raw_class_t *s = &tmi_raw_classes[slab->cls];
    slab->level = (uint8_t)level;
    tmi_dlist_push_front(&s->levels[level], &slab->level_link);
    s->nonempty |= 1u << level;
}

void tmi_raw_slab_use_pages(tmi_raw_slab_t *slab, uint64_t pages)
{
    uint64_t fresh = pages & ~slab->touched, refilled = pages & slab->empty;
    if (TMI_UNLIKELY((fresh | refilled) != 0))
        count_used(&tmi_raw_classes[slab->cls], &tmi_classes[slab->cls], fresh | refilled, 1);
    if (TMI_UNLIKELY(fresh != 0)) {
        slab->touched |= fresh;
        tmi_own_add(&tmi_raw_classes[slab->cls].touched_pages, tmi_popcount(fresh));
        tmi_count(slab_bytes, tmi_popcount(fresh) * tmi_os_page_size);
        (void)tmi_debt_pay(&tmi_raw_classes[slab->cls].debt, tmi_popcount(fresh) * tmi_os_page_size);
    }
    if (TMI_UNLIKELY(refilled != 0)) {
        slab->empty &= ~refilled;
        tmi_discount(slab_empty_bytes, tmi_popcount(refilled) * tmi_os_page_size);
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
    tmi_count(slab_empty_bytes, tmi_popcount(pages) * tmi_os_page_size);
}

void tmi_raw_slab_forget_empty(tmi_raw_slab_t *slab, uint64_t pages)
{
    size_t bytes = tmi_popcount(pages) * tmi_os_page_size;
    slab->empty &= ~pages;
    slab->touched &= ~pages;
    tmi_own_add(&tmi_raw_classes[slab->cls].touched_pages, -(size_t)tmi_popcount(pages));
    tmi_discount(slab_empty_bytes, bytes);
    tmi_discount(slab_bytes, bytes);
    if (slab->empty == 0)
        tmi_dlist_remove(&slab->purge_link);
}

static bool bits_all_set(const uint64_t *bits, size_t from, size_t to)
{
    for (size_t w = from / 64; w <= to / 64; w++) {
        uint64_t want = tmi_bits_of_range(w, from, to);
        if ((bits[w] & want) != want)
            return false;
    }
    return true;
}

/* Those of a run of pages that no taken slot touches. A slot has a page or more. */
static uint64_t emptied_run(const tmi_raw_slab_t *slab, const tmi_class_info_t *c, uint64_t run)
{
    size_t start = (size_t)tmi_lowest_bit(run) << tmi_os_page_shift;
    size_t end = ((size_t)tmi_log2(run) + 1) << tmi_os_page_shift;
    for (size_t i = tmi_slot_index(c, start); i < c->slots && i * c->size < end; i++)
        if ((slab->free[i / 64] >> (i % 64) & 1) == 0)
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
    const tmi_class_info_t *c = &tmi_classes[slab->cls];
    size_t start = (size_t)page << tmi_os_page_shift, end = start + tmi_os_page_size - 1;
    size_t from = tmi_slot_index(c, start), to = tmi_min(tmi_slot_index(c, end), c->slots - 1);
    return from > to || bits_all_set(slab->free, from, to);
}

/* What a purge has taken out is empty all the same. */
tmi_raw_figures_t tmi_raw_figures(unsigned cls)
{
    const tmi_raw_class_t *s = &tmi_raw_classes[cls];
    const tmi_class_info_t *c = &tmi_classes[cls];
    size_t slots = tmi_load_relaxed(&s->nslabs) * c->slots, nfree = tmi_load_relaxed(&s->nfree);
    size_t used = tmi_load_relaxed(&s->used_pages), end = tmi_round_up((size_t)c->slots * c->size, tmi_os_page_size);
    size_t pages = tmi_min(tmi_load_relaxed(&s->leaving_pages), used), touched = tmi_load_relaxed(&s->touched_pages);
    nfree = tmi_min(nfree + tmi_load_relaxed(&s->leaving_slots), slots);
    return (tmi_raw_figures_t){
        .slabs = tmi_load_relaxed(&s->nslabs),
        .taken = slots - nfree,
        .nfree = nfree,
        .used = (used - pages) << tmi_os_page_shift,
        .empty = (touched > used ? touched - used + pages : pages) << tmi_os_page_shift,
        .slack = tmi_load_relaxed(&s->used_ends) * (end - (size_t)c->slots * c->size),
    };
}
