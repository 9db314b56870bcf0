/* Returning slots to their slabs, and questions about single slots. */
#include "os/report.h"
#include "slabs/mixed.h"
#include "slabs/raw_impl.h"

/* Count n returning slots for R7. The slab of the first one stands for the slabs of all of them. Called before nfree
 * changes. */
static void note_returned(tmi_raw_class_t *s, const tmi_raw_slab_t *slab, size_t n)
{
    bool taken_from = s->levels.nonempty != 0 && tmi_levels_fullest(&s->levels) == &slab->level_link;
    s->nreturned += (uint32_t)n;
    s->useful += taken_from || slab->nfree == 0 ? 0 : (uint32_t)n;
}

static bool in_mixed(const void *p) { return TMI_UNLIKELY(tmi_pagemap_class(p) == TMI_CLASS_MIXED); }

/* The offset of p in its slab. A slab of one unit may have become mixed meanwhile and its record been freed, so the
 * record is not read for such a class. */
static size_t offset_in_slab(const tmi_class_info_t *c, const void *p)
{
    return c->units == 1 ? (uintptr_t)p % TMI_UNIT_SIZE : (size_t)((const char *)p - tmi_raw_slab_of(p)->base);
}

bool tmi_raw_is_slot(unsigned cls, const void *p)
{
    const tmi_class_info_t *c = &tmi_classes[cls];
    if (in_mixed(p))
        return tmi_mixed_class_at(p) == cls;
    size_t offset = offset_in_slab(c, p), i = tmi_slot_index(c, offset);
    return i * c->size == offset && i < c->slots;
}

static const char *complaint(const tmi_raw_slab_t *slab, unsigned cls, const void *p)
{
    size_t i = tmi_slot_index(&tmi_classes[cls], (size_t)((const char *)p - slab->base));
    if (!tmi_raw_is_slot(cls, p))
        return "not the start of a block";
    return tmi_bitmap_get(slab->free, i) ? "double free, or a block that was never allocated" : NULL;
}

/* The pages that may have become empty because the slot at offset `at` became free: the pages it touches; or none, if
 * another slot in the same word of the bitmap is taken and lies on the same single page. The short cut saves most scans
 * of a page's slots. */
static inline uint64_t may_be_empty(const tmi_raw_slab_t *slab, const tmi_class_info_t *c, size_t at)
{
    size_t i = tmi_slot_index(c, at), last = at + c->size - 1;
    uint64_t taken = ~slab->free[i / 64];
    size_t other = i / 64 * 64 + (taken == 0 ? 0 : tmi_lowest_bit(taken)), there = other * c->size;
    bool in_use = taken != 0 && other < c->slots && ((at ^ last) | (at ^ there)) < tmi_os_page_size;
    return TMI_LIKELY(in_use) ? 0 : tmi_slot_pages(c, i);
}

/* Whether the slots at these two offsets lie wholly on the same page. */
static inline bool in_one_page(const tmi_class_info_t *c, size_t a, size_t b)
{
    return ((a ^ (b + c->size - 1)) | ((a + c->size - 1) ^ b)) < tmi_os_page_size;
}

static TMI_COLD void misreturned(const tmi_raw_slab_t *slab, const void *p, const char *function)
{
    const char *wrong = complaint(slab, slab->cls, p);
    tmi_unlock(&tmi_raw_classes[slab->cls].lock); // a handler for SIGABRT may allocate
    tmi_fatal(function, p, wrong);
}

/* Verify that p is a taken slot of the slab and set its bit. Returns its offset. */
static inline size_t put_slot(tmi_raw_slab_t *slab, const tmi_class_info_t *c, const void *p, const char *function)
{
    size_t offset = (size_t)((const char *)p - slab->base), i = tmi_slot_index(c, offset);
    uint64_t bit = (uint64_t)1 << (i % 64);
    if (TMI_UNLIKELY(i * c->size != offset || i >= c->slots || (slab->free[i / 64] & bit) != 0))
        misreturned(slab, p, function);
    slab->free[i / 64] |= bit;
    if (i / 64 < slab->hint)
        slab->hint = (uint32_t)(i / 64);
    return offset;
}

/* Return the leading slots of the array that lie in this slab. Returns their number, and in *pages the pages that may
 * have become empty. Among consecutive slots on one page only the last is examined: the others are free by then. */
static inline size_t put_run(tmi_raw_slab_t *slab, const tmi_class_info_t *c, void *const *slots,
                             tmi_raw_slab_t *const *slabs, size_t n, const char *function, uint64_t *pages)
{
    size_t k = 1, at = put_slot(slab, c, slots[0], function);
    *pages = 0;
    for (; k < n && slabs[k] == slab; k++) {
        size_t before = at;
        at = put_slot(slab, c, slots[k], function);
        if (!in_one_page(c, before, at))
            *pages |= may_be_empty(slab, c, before);
    }
    *pages |= may_be_empty(slab, c, at);
    return k;
}

/* Update the slab's count, level and empty pages after n slots were returned; `pages` may have become empty. False: all
 * slots are free now, and the slab has been released. */
static inline bool finish_return(tmi_raw_slab_t *slab, const tmi_class_info_t *c, uint64_t pages, uint32_t n)
{
    slab->nfree += n;
    if (TMI_UNLIKELY(slab->nfree == c->slots && !slab->purging)) {
        tmi_raw_slab_release(slab);
        return false;
    }
    if (TMI_UNLIKELY(pages != 0))
        tmi_raw_slab_add_empty(slab, tmi_raw_slab_emptied(slab, pages));
    tmi_raw_slab_relevel_of(slab, c);
    return true;
}

enum { AHEAD = 16 };

/* The record of the unit that contains p, or NULL if the unit does not belong to a slab of the class. */
static inline tmi_span_t *span_in_class(unsigned cls, const void *p)
{
    uintptr_t u = (uintptr_t)p >> TMI_UNIT_SHIFT;
    const tmi_window_t *w = tmi_window_of(u);
    if (TMI_UNLIKELY(w == NULL))
        return NULL;
    unsigned code = tmi_load_acquire(&w->codes[u - w->first]); // `watched` after it; pairs: tmi_space_watch
    if (TMI_UNLIKELY(code != cls * 2 && code != TMI_CLASS_WATCHED * 2))
        return NULL;
    tmi_segment_t *segment = tmi_load_relaxed(&w->segments[(u - w->first) / TMI_SEGMENT_UNITS]);
    tmi_span_t *span = &segment->spans[u % TMI_SEGMENT_UNITS];
    return TMI_LIKELY(code == cls * 2) || tmi_load_relaxed(&span->watched) == cls ? span : NULL;
}

static bool same_unit(const void *p, const void *q) { return ((uintptr_t)p ^ (uintptr_t)q) < TMI_UNIT_SIZE; }

/* Find the slabs of up to AHEAD slots, and prefetch their records and bitmaps: slots freed in random order may lie in
 * as many slabs, with metadata that is in no CPU cache. */
static void find_slabs(unsigned cls, void *const *slots, size_t n, tmi_raw_slab_t **slabs)
{
    const tmi_class_info_t *c = &tmi_classes[cls];
    tmi_span_t *spans[AHEAD];
    for (size_t k = 0; k < n; k++) {
        bool as_before = k > 0 && same_unit(slots[k], slots[k - 1]);
        spans[k] = as_before ? spans[k - 1] : span_in_class(cls, slots[k]);
        if (!as_before)
            __builtin_prefetch(spans[k]);
    }
    for (size_t k = 0; k < n; k++) {
        slabs[k] = spans[k] == NULL ? NULL : spans[k]->owner;
        if (slabs[k] == NULL || (k > 0 && slabs[k] == slabs[k - 1]))
            continue;
        __builtin_prefetch(slabs[k], 1);
        if (c->units == 1) // otherwise the slab's start is in its record, which is not loaded yet
            __builtin_prefetch(&slabs[k]->free[tmi_slot_index(c, (uintptr_t)slots[k] % TMI_UNIT_SIZE) / 64], 1);
    }
}

/* Return a slot that lies in no slab of its class: its slab is mixed, or p is misused. The caller holds the lock of the
 * class. */
static TMI_COLD void return_elsewhere(tmi_raw_class_t *s, unsigned cls, const void *p, const char *function)
{
    if (TMI_LIKELY(in_mixed(p))) {
        tmi_mixed_return(cls, p, function);
        return;
    }
    tmi_unlock(&s->lock);
    tmi_fatal(function, p, "double free: its slab is gone");
}

/* Return up to n slots to the given slabs. Returns the number returned: it stops once a slab has been released, since
 * `slabs` may refer to it for later slots, too. */
static size_t put_found(unsigned cls, void *const *slots, tmi_raw_slab_t *const *slabs, size_t n, const char *function)
{
    const tmi_class_info_t *c = &tmi_classes[cls];
    tmi_raw_class_t *s = &tmi_raw_classes[cls];
    bool there = true;
    size_t k = 0, others = 0;
    if (slabs[0] != NULL && TMI_UNLIKELY(tmi_raw_loose(cls)))
        note_returned(s, slabs[0], n);
    while (k < n && there) {
        tmi_raw_slab_t *slab = slabs[k];
        uint64_t pages;
        if (TMI_UNLIKELY(slab == NULL)) {
            return_elsewhere(s, cls, slots[k++], function);
            others++;
            continue;
        }
        size_t run = put_run(slab, c, slots + k, slabs + k, n - k, function, &pages);
        there = finish_return(slab, c, pages, (uint32_t)run);
        k += run;
    }
    tmi_own_add(&s->nfree, k - others);
    return k;
}

void tmi_raw_return(unsigned cls, void *const *slots, size_t n, const char *function)
{
    tmi_raw_slab_t *slabs[AHEAD];
    tmi_lock(&tmi_raw_classes[cls].lock);
    for (size_t done = 0; done < n;) {
        size_t some = tmi_min(n - done, AHEAD);
        find_slabs(cls, slots + done, some, slabs);
        done += put_found(cls, slots + done, slabs, some, function);
    }
    tmi_raw_judge(cls);
    tmi_unlock(&tmi_raw_classes[cls].lock);
}

const char *tmi_raw_complaint(unsigned cls, const void *p)
{
    tmi_lock(&tmi_raw_classes[cls].lock);
    bool ours = tmi_pagemap_class(p) == cls;
    const char *wrong = ours ? complaint(tmi_raw_slab_of(p), cls, p) : "not a block of this heap";
    if (in_mixed(p))
        wrong = tmi_mixed_complaint(p);
    tmi_unlock(&tmi_raw_classes[cls].lock);
    return wrong;
}

bool tmi_raw_has_before(unsigned cls, const void *p)
{
    return (size_t)((const char *)p - tmi_raw_slab_of(p)->base) >= tmi_classes[cls].size;
}
