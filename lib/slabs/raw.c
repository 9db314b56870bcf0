#include "slabs/raw.h"
#include "os/counters.h"
#include "os/report.h"
#include "slabs/mixed.h"
#include "slabs/raw_impl.h"

#include <limits.h>
#include <string.h>

#define LOOSE_MIN ((size_t)512 << 10)
enum { RETURNED_MIN = 1024, USEFUL_ONE_IN = 16, REST_FIRST_MS = 16, REST_LAST_MS = 2048 }; // R7

static void note_full(const tmi_raw_slab_t *slab)
{
    if (slab->nfree == 0 && !slab->purging)
        tmi_space_filled(slab->base, tmi_classes[slab->cls].units);
}

/* A slab of the fullest level. The caller knows that some slab of the class has a free slot. */
static tmi_raw_slab_t *fullest_existing(const tmi_raw_class_t *s)
{
    return TMI_CONTAINER_OF(tmi_levels_fullest(&s->levels), tmi_raw_slab_t, level_link);
}

/* The slab to take from: one of the fullest level, or a new one. NULL: out of memory. */
static tmi_raw_slab_t *fullest(unsigned cls)
{
    const tmi_raw_class_t *s = &tmi_raw_classes[cls];
    return s->levels.nonempty == 0 ? tmi_raw_slab_make(cls) : fullest_existing(s);
}

bool tmi_raw_must_be_sparse(unsigned cls)
{
    const tmi_raw_class_t *s = &tmi_raw_classes[cls];
    size_t used = s->used_pages << tmi_os_page_shift;
    size_t slack = used - (s->nslabs * tmi_classes[cls].slots - s->nfree) * tmi_classes[cls].size;
    return slack > LOOSE_MIN && slack > used / (s->sparse ? 16 : 8);
}

/* R7: let the class rest if too few of the slots returned lately were useful. */
static void judge_rests(tmi_raw_class_t *s)
{
    if (s->nreturned < RETURNED_MIN)
        return;
    bool useless = s->useful < s->nreturned / USEFUL_ONE_IN;
    tmi_store_relaxed(&s->rests_until, useless ? (tmi_os_now_ms() + s->next_rest) | 1 : 0);
    s->next_rest = useless ? (uint32_t)tmi_min(s->next_rest * 2, REST_LAST_MS) : REST_FIRST_MS;
    s->nreturned = s->useful = 0;
}

void tmi_raw_judge(unsigned cls)
{
    tmi_raw_class_t *s = &tmi_raw_classes[cls];
    bool sparse = tmi_raw_must_be_sparse(cls);
    if (sparse != s->sparse) {
        s->nreturned = s->useful = 0;
        s->next_rest = REST_FIRST_MS;
        tmi_store_relaxed(&s->rests_until, 0);
        tmi_store_relaxed(&s->sparse, sparse);
    }
    judge_rests(s);
}

/* Take up to n of the slots `bits` of word w, lowest first, into out[-1], out[-2] ... */
static size_t take_bits(tmi_raw_slab_t *slab, unsigned w, uint64_t bits, void **out, size_t n)
{
    const tmi_class_info_t *c = &tmi_classes[slab->cls];
    uint64_t taken = 0, pages = 0;
    size_t got = 0;
    for (; bits != 0 && got < n; bits &= bits - 1, got++) {
        size_t i = w * 64 + tmi_lowest_bit(bits);
        taken |= bits & -bits;
        pages |= tmi_slot_pages(c, i);
        *--out = slab->base + i * c->size;
    }
    slab->free[w] &= ~taken;
    slab->nfree -= (uint32_t)got;
    tmi_raw_slab_use_pages(slab, pages);
    return got;
}

/* The slots [from, to) that lie wholly on the pages of one run. */
typedef struct slot_range {
    size_t from, to;
} slot_range_t;
static slot_range_t slots_in(const tmi_class_info_t *c, uint64_t run)
{
    size_t start = (size_t)tmi_lowest_bit(run) << tmi_os_page_shift;
    size_t end = start + (tmi_popcount(run) << tmi_os_page_shift);
    return (slot_range_t){tmi_slot_index(c, start + c->size - 1), tmi_min(tmi_slot_index(c, end), c->slots)};
}

/* Take up to n slots on touched pages only, lowest first, into out[-1], out[-2] ... */
static size_t take_touched(tmi_raw_slab_t *slab, void **out, size_t n)
{
    size_t got = 0;
    for (uint64_t left = slab->touched, run; left != 0 && got < n; left &= ~run) {
        run = tmi_lowest_run(left);
        slot_range_t r = slots_in(&tmi_classes[slab->cls], run);
        for (size_t w = tmi_max(r.from / 64, slab->hint); w * 64 < r.to && got < n; w++)
            got += take_bits(slab, (unsigned)w, slab->free[w] & tmi_bitmap_range(w, r.from, r.to - 1), out - got,
                             n - got);
    }
    return got;
}

/* Slots of two pages or more: see take_cheapest. A slab has at most 64 of them, so one word holds all its bits. */
static bool has_large_slots(const tmi_raw_slab_t *slab) { return tmi_classes[slab->cls].size >= 2 * tmi_os_page_size; }

/* The bit of the free slot with the fewest untouched pages, the lowest such slot; *fresh_pages is their number. */
static uint64_t cheapest_slot(const tmi_raw_slab_t *slab, unsigned *fresh_pages)
{
    unsigned least = UINT_MAX;
    uint64_t cheapest = 0;
    for (uint64_t left = slab->free[0]; left != 0; left &= left - 1) {
        unsigned fresh = tmi_popcount(tmi_slot_pages(&tmi_classes[slab->cls], tmi_lowest_bit(left)) & ~slab->touched);
        if (fresh < least) {
            least = fresh;
            cheapest = left & -left;
        }
    }
    *fresh_pages = least;
    return cheapest;
}

/* Take up to n slots, those with the fewest untouched pages first. Only the first slot may have untouched pages. The
 * others go to a magazine; if the program never requests them, their fresh pages would count as touched needlessly. */
static size_t take_cheapest(tmi_raw_slab_t *slab, void **out, size_t n)
{
    size_t got = 0;
    for (; got < n; got++) {
        unsigned fresh_pages;
        uint64_t slot = cheapest_slot(slab, &fresh_pages);
        if (got > 0 && fresh_pages > 0)
            break;
        (void)take_bits(slab, 0, slot, out - got, 1);
    }
    return got;
}

/* Whether an untouched page lies below a touched one. */
static bool has_gaps(const tmi_raw_slab_t *slab) { return (slab->touched & (slab->touched + 1)) != 0; }

/* Take up to n slots: those on touched pages first, then the lowest. */
static size_t take_in_order(tmi_raw_slab_t *slab, void **out, size_t n)
{
    unsigned w = slab->hint;
    size_t left = n;
    if (has_gaps(slab))
        left -= take_touched(slab, out, left);
    for (; left > 0; w++) {
        left -= take_bits(slab, w, slab->free[w], out - (n - left), left);
        slab->hint = w;
    }
    return n;
}

/* Take up to n slots of one slab into out[-1], out[-2] ... and update its level. */
static size_t take_from(tmi_raw_slab_t *slab, void **out, size_t n)
{
    size_t most = tmi_min(n, slab->nfree);
    size_t got = has_large_slots(slab) ? take_cheapest(slab, out, most) : take_in_order(slab, out, most);
    tmi_raw_slab_relevel(slab);
    note_full(slab);
    return got;
}

/* The free bits that make up whole cache lines: groups of 8 slots of 8 bytes, 4 of 16 or 48 bytes, or 2 of 32 bytes. */
static uint64_t whole_lines(uint64_t bits, size_t size)
{
    uint64_t pairs = bits & bits >> 1, fours = pairs & pairs >> 2, eights = fours & fours >> 4;
    if (size == 8)
        return (eights & 0x0101010101010101) * 0xff;
    if (size == 32)
        return (pairs & 0x5555555555555555) * 0x3;
    return (fours & 0x1111111111111111) * 0xf;
}

static size_t take_lines_from(tmi_raw_slab_t *slab, void **out, size_t n)
{
    const tmi_class_info_t *c = &tmi_classes[slab->cls];
    size_t left = n;
    for (unsigned w = slab->hint; w < tmi_bitmap_words(c->slots) && left > 0; w++)
        left -= take_bits(slab, w, whole_lines(slab->free[w], c->size), out - (n - left), left);
    tmi_raw_slab_relevel(slab);
    note_full(slab);
    return n - left;
}

/* The number of free slots that lie wholly on touched pages. */
static size_t slots_on_touched_pages(const tmi_raw_slab_t *slab)
{
    size_t n = 0;
    for (uint64_t left = slab->touched, run; left != 0; left &= ~run) {
        run = tmi_lowest_run(left);
        slot_range_t r = slots_in(&tmi_classes[slab->cls], run);
        for (size_t w = tmi_max(r.from / 64, slab->hint); w * 64 < r.to; w++)
            n += tmi_popcount(slab->free[w] & tmi_bitmap_range(w, r.from, r.to - 1));
    }
    return n;
}

/* Take slots from mixed slabs if the class's fullest slab has none on touched pages. Returns the number taken. If the
 * slab has some, none are taken here, and *most is lowered to their number, so that no fresh page is touched. */
static size_t take_before_fresh_pages(unsigned cls, void **out, size_t *most)
{
    const tmi_raw_class_t *s = &tmi_raw_classes[cls];
    if (TMI_LIKELY(!tmi_mixed_may_have(cls)))
        return 0;
    size_t ready = s->levels.nonempty != 0 ? slots_on_touched_pages(fullest_existing(s)) : 0;
    if (ready > 0) {
        *most = tmi_min(*most, ready);
        return 0;
    }
    return tmi_mixed_take(cls, out, *most);
}

size_t tmi_raw_take(unsigned cls, void **out, size_t n)
{
    size_t left = n, all_mixed = 0;
    tmi_raw_class_t *s = &tmi_raw_classes[cls];
    tmi_lock(&s->lock);
    while (left > 0) {
        size_t most = left, mixed = take_before_fresh_pages(cls, out + left, &most);
        left -= mixed;
        all_mixed += mixed;
        tmi_raw_slab_t *slab = mixed > 0 ? NULL : fullest(cls);
        if (mixed == 0 && slab == NULL)
            break;
        if (slab != NULL)
            left -= take_from(slab, out + left, most);
        if (slab != NULL && slab->nfree > 0 && has_large_slots(slab))
            break; // the free slots that are left would touch fresh pages
    }
    tmi_own_add(&s->nfree, left + all_mixed - n);
    tmi_raw_judge(cls);
    tmi_unlock(&s->lock);
    if (TMI_UNLIKELY(left > 0))
        for (size_t i = 0; i < n - left; i++)
            out[i] = out[i + left];
    return n - left;
}

size_t tmi_raw_take_lines(unsigned cls, void **out, size_t n)
{
    size_t got = 0;
    tmi_raw_class_t *s = &tmi_raw_classes[cls];
    tmi_lock(&s->lock);
    if (s->levels.nonempty != 0 || tmi_raw_slab_make(cls) != NULL) {
        tmi_dlist_t *emptiest = tmi_levels_emptiest(&s->levels);
        got = take_lines_from(TMI_CONTAINER_OF(emptiest, tmi_raw_slab_t, level_link), out + n, n);
        tmi_own_add(&s->nfree, -got);
        tmi_raw_judge(cls);
    }
    tmi_unlock(&s->lock);
    size_t rest = got < n ? tmi_raw_take(cls, out, n - got) : 0;
    if (TMI_UNLIKELY(rest + got < n)) // the lines are at the upper end of out: close the gap
        memmove(out + rest, out + (n - got), got * sizeof *out);
    return rest + got;
}

/* The offset in slot i behind which the slot lies on no touched page. */
static size_t untouched_from(uint64_t touched, const tmi_class_info_t *c, size_t i)
{
    uint64_t pages = tmi_slot_pages(c, i) & touched;
    if (pages == 0)
        return 0;
    size_t end = ((size_t)tmi_log2(pages) + 1) << tmi_os_page_shift;
    return tmi_min(end - i * c->size, c->size);
}

void *tmi_raw_take_zeroed(unsigned cls, size_t *zero_from)
{
    const tmi_class_info_t *c = &tmi_classes[cls];
    tmi_raw_class_t *s = &tmi_raw_classes[cls];
    void *p = NULL;
    tmi_lock(&s->lock);
    tmi_raw_slab_t *slab = fullest(cls);
    if (slab != NULL) {
        uint64_t touched = slab->touched;
        tmi_own_add(&s->nfree, -take_from(slab, &p + 1, 1));
        *zero_from = untouched_from(touched, c, tmi_slot_index(c, (size_t)((char *)p - slab->base)));
        tmi_raw_judge(cls);
    }
    tmi_unlock(&s->lock);
    return p;
}
