/* One slab: make and release it, its level, and its pages. */
#include "os/counters.h"
#include "os/meta.h"
#include "os/report.h"
#include "slabs/movable_impl.h"

#include <string.h>

tmi_movable_class_t tmi_movable_classes[TMI_MCLASS_COUNT];

static size_t record_bytes(const tmi_class_info_t *c)
{
    return TMI_MOVABLE_RECORD + tmi_bitmap_words(c->slots) * sizeof(uint64_t);
}
static size_t refs_bytes(const tmi_class_info_t *c) { return tmi_round_up(c->slots * sizeof(uint32_t), 8); }
static bool is_inline(const tmi_class_info_t *c) { return c->size <= TMI_MOVABLE_INLINE_MAX; }

/* A class's lists are initialized with its first slab, since most programs use few classes. */
static void ready_class(tmi_movable_class_t *s)
{
    if (s->tidy.next != NULL)
        return;
    tmi_dlist_init(&s->tidy);
    tmi_levels_init(&s->levels);
    tmi_levels_init(&s->apart);
}

/* Make the slab's record and refs: inside the slab, or from meta.h. NULL: out of memory. */
static tmi_movable_slab_t *make_record(char *span, const tmi_class_info_t *c)
{
    tmi_movable_slab_t *slab;
    uint32_t *refs;
    if (is_inline(c)) {
        refs = (uint32_t *)(void *)span;
        slab = (tmi_movable_slab_t *)(void *)(span + refs_bytes(c));
        memset(slab, 0, record_bytes(c)); // refs need no initial value, since they are hints
    } else {
        slab = tmi_meta_alloc(record_bytes(c) + refs_bytes(c));
        refs = slab == NULL ? NULL : (uint32_t *)(void *)((char *)slab + record_bytes(c));
    }
    if (slab != NULL)
        slab->refs = refs;
    return slab;
}

uint64_t tmi_movable_slab_metadata_pages(const tmi_movable_slab_t *slab)
{
    const tmi_class_info_t *c = &tmi_mclasses[slab->cls];
    return is_inline(c) ? tmi_pages_of_bytes(0, refs_bytes(c) + record_bytes(c)) : 0;
}

static char *new_span(unsigned cls)
{
    bool dirty;
    size_t units = tmi_mclasses[cls].units;
    char *span = tmi_space_alloc(units, 1, TMI_CLASS_NONE, TMI_CLASS_NONE, &dirty);
    if (span == NULL)
        return NULL;
    if (!tmi_pagemap_covers_movable(span)) {
        tmi_space_free_noted(span, units);
        return NULL;
    }
    tmi_pagemap_set_movable(span, units, cls);
    return span;
}

size_t tmi_movable_slab_bytes(const tmi_class_info_t *c, size_t n)
{
    return tmi_round_up(c->start + n * c->size, tmi_os_page_size);
}

/* Add `bytes`, modulo 2^64: a negated number subtracts. An atomic addition, since purging counts without the lock. */
static void count_touched(unsigned cls, size_t bytes)
{
    (void)tmi_add_relaxed(&tmi_movable_classes[cls].touched_bytes, bytes);
    tmi_count(movable_bytes, bytes);
}

void tmi_movable_slab_touch(tmi_movable_slab_t *slab, uint64_t pages)
{
    uint64_t fresh = pages & ~slab->touched;
    if (fresh == 0)
        return;
    slab->touched |= fresh;
    count_touched(slab->cls, tmi_pages_bytes(fresh));
}

static void fill(tmi_movable_slab_t *slab, unsigned cls, char *span)
{
    const tmi_class_info_t *c = &tmi_mclasses[cls];
    tmi_dlist_init(&slab->level_link);
    tmi_dlist_init(&slab->tidy_link);
    slab->base = span + c->start;
    slab->cls = (uint8_t)cls;
    slab->level = TMI_LEVELS;
    slab->nfree = c->slots;
    tmi_bitmap_fill(slab->free, c->slots);
    slab->touched = tmi_space_resident(span, c->units) | tmi_movable_slab_metadata_pages(slab);
    for (unsigned u = 0; u < c->units; u++)
        tmi_span_of(span + u * TMI_UNIT_SIZE)->owner = slab;
}

tmi_movable_slab_t *tmi_movable_slab_make(unsigned cls)
{
    const tmi_class_info_t *c = &tmi_mclasses[cls];
    tmi_movable_class_t *s = &tmi_movable_classes[cls];
    char *span = new_span(cls);
    if (span == NULL)
        return NULL;
    tmi_movable_slab_t *slab = make_record(span, c);
    if (slab == NULL) {
        tmi_pagemap_set_movable(span, c->units, TMI_MCLASS_NONE);
        tmi_space_free_noted(span, c->units);
        return NULL;
    }
    ready_class(s);
    fill(slab, cls, span);
    tmi_own_add(&s->nslabs, 1);
    tmi_own_add(&s->nfree, c->slots);
    count_touched(cls, tmi_pages_bytes(slab->touched));
    tmi_movable_slab_relevel(slab);
    return slab;
}

static tmi_levels_t *levels_of(const tmi_movable_slab_t *slab)
{
    tmi_movable_class_t *s = &tmi_movable_classes[slab->cls];
    return slab->apart ? &s->apart : &s->levels;
}

void tmi_movable_slab_leave_level(tmi_movable_slab_t *slab)
{
    tmi_levels_move(levels_of(slab), &slab->level_link, &slab->level, TMI_LEVELS);
}

static uint32_t *spare_attributes[TMI_MCLASS_COUNT]; // zeroed

static size_t attributes_bytes(unsigned cls)
{
    return tmi_round_up(tmi_mclasses[cls].slots * sizeof(uint32_t), tmi_os_page_size);
}

static void keep_attributes(unsigned cls, uint32_t *a)
{
    if (a == NULL)
        return;
    memset(a, 0, attributes_bytes(cls));
    a = tmi_exchange_acq_rel(&spare_attributes[cls], a); // pairs: tmi_movable_slab_make_attributes
    if (a != NULL)
        (void)tmi_os_unmap(a, attributes_bytes(cls));
}

/* From a mapping of its own: meta.h takes a lock. */
uint32_t *tmi_movable_slab_make_attributes(tmi_movable_slab_t *slab)
{
    uint32_t *mine = tmi_exchange_acq_rel(&spare_attributes[slab->cls], NULL), *theirs = NULL; // pairs: keep_attributes
    void *fresh = NULL;
    if (mine == NULL) {
        if (tmi_os_map_records(attributes_bytes(slab->cls), &fresh) != 0)
            return NULL;
        mine = fresh;
    }
    if (tmi_cas_acq_rel(&slab->attributes, &theirs, mine)) // pairs: the load in tmi_movable_attributes
        return mine;
    keep_attributes(slab->cls, mine);
    return theirs;
}

static void set_code(const tmi_movable_slab_t *slab, unsigned cls)
{
    tmi_pagemap_set_movable(tmi_movable_slab_span(slab), tmi_mclasses[slab->cls].units, cls);
}

void tmi_movable_watch(const void *slot)
{
    tmi_movable_slab_t *slab = tmi_movable_slab_of(slot);
    if (tmi_add_relaxed(&slab->watched, 1) == 0) {
        tmi_fence_full(); // the count before the store to the page map; pairs: tmi_movable_unwatch
        set_code(slab, TMI_MCLASS_WATCHED + slab->cls);
    }
}

/* Another thread may watch or unwatch a slot of the slab at the same time. So the count is read again after the store
 * to the page map. */
void tmi_movable_unwatch(const void *slot)
{
    tmi_movable_slab_t *slab = tmi_movable_slab_of(slot);
    if (tmi_sub_relaxed(&slab->watched, 1) != 1)
        return;
    set_code(slab, slab->cls);
    tmi_fence_full(); // the store to the page map before the count; pairs: tmi_movable_watch
    if (tmi_load_relaxed(&slab->watched) != 0)
        set_code(slab, TMI_MCLASS_WATCHED + slab->cls);
}

tmi_released_t tmi_movable_slab_release(tmi_movable_slab_t *slab)
{
    unsigned cls = slab->cls;
    const tmi_class_info_t *c = &tmi_mclasses[cls];
    tmi_movable_class_t *s = &tmi_movable_classes[cls];
    char *span = tmi_movable_slab_span(slab);
    uint64_t pages = slab->touched;
    tmi_movable_slab_leave_level(slab);
    tmi_dlist_remove(&slab->tidy_link);
    tmi_own_add(&s->nslabs, -1);
    tmi_own_add(slab->apart ? &s->nfree_apart : &s->nfree, -(size_t)c->slots);
    count_touched(cls, -tmi_pages_bytes(pages));
    keep_attributes(cls, slab->attributes);
    if (!is_inline(c))
        tmi_meta_free(slab, record_bytes(c) + refs_bytes(c));
    // from here on no thread finds the record, not even under the lock
    tmi_pagemap_set_movable(span, c->units, TMI_MCLASS_NONE);
    return (tmi_released_t){span, c->units, pages};
}

void tmi_movable_slab_give_span(tmi_released_t r, bool purge)
{
    if (purge && r.pages != 0 && tmi_space_purge_pages(r.span, r.units * TMI_UNIT_SIZE) == 0) {
        tmi_count(purge_calls, 1);
        tmi_count(purged_bytes, tmi_pages_bytes(r.pages));
        tmi_count(purged_movable_bytes, tmi_pages_bytes(r.pages));
        r.pages = 0;
    }
    tmi_space_free_pages(r.span, r.units, r.pages);
}

/* A slab that is being emptied has no level (V2). */
void tmi_movable_slab_relevel(tmi_movable_slab_t *slab)
{
    unsigned level = slab->emptying ? TMI_LEVELS : tmi_level_for(slab->nfree, tmi_mclasses[slab->cls].slots);
    tmi_levels_move(levels_of(slab), &slab->level_link, &slab->level, level);
}

uint64_t tmi_movable_slab_empty_pages(const tmi_movable_slab_t *slab)
{
    const tmi_class_info_t *c = &tmi_mclasses[slab->cls];
    uint64_t result = 0;
    for (uint64_t left = slab->touched & ~tmi_movable_slab_metadata_pages(slab); left != 0; left &= left - 1)
        if (tmi_page_is_free(c, c->start, slab->free, tmi_lowest_bit(left)))
            result |= left & -left;
    return result;
}

enum { CALL_COST = 12 }; // in pages. A call interrupts the processors that run other threads of the process.

size_t tmi_movable_slab_purge(tmi_movable_slab_t *slab, uint64_t pages, size_t most)
{
    size_t done = 0, calls = 0;
    while (pages != 0 && done + calls * (CALL_COST - 1) < most) {
        unsigned first = tmi_lowest_bit(pages);
        uint64_t others = ~(pages >> first); // 0: the slab has 64 pages, and these are all of them
        unsigned n = others == 0 ? 64 : tmi_lowest_bit(others);
        n = (unsigned)tmi_min(n, most - done);
        uint64_t run = tmi_low_bits(n) << first;
        pages &= ~run;
        done += n;
        calls++;
        tmi_count(purge_calls, 1);
        char *from = tmi_movable_slab_span(slab) + ((size_t)first << tmi_os_page_shift);
        if (tmi_space_purge_pages(from, (size_t)n << tmi_os_page_shift) != 0)
            continue; // the kernel refuses pages under mlock
        slab->touched &= ~run;
        tmi_count(purged_bytes, (size_t)n << tmi_os_page_shift);
        tmi_count(purged_movable_bytes, (size_t)n << tmi_os_page_shift);
        count_touched(slab->cls, -((size_t)n << tmi_os_page_shift));
    }
    return done;
}
