#include "stores/raw.h"
#include "host/counters.h"
#include "host/report.h"
#include "stores/raw_impl.h"

#include <string.h>

#define LOOSE_MIN ((size_t)512 << 10)
enum { HOMED_MIN = 1024, USEFUL_ONE_IN = 16, REST_FIRST_MS = 16, REST_LAST_MS = 2048 }; // R7

static void note_full(const tmi_slab_t *slab)
{
    if (slab->nfree == 0 && !slab->purging)
        tmi_space_filled(slab->base, tmi_classes[slab->cls].units);
}

/* The slab to take from: the first of the fullest level, or a new one. */
static tmi_slab_t *fullest(unsigned cls)
{
    tmi_slabs_t *s = &tmi_slabs[cls];
    if (s->nonempty == 0)
        return tmi_slab_make(cls);
    tmi_dlist_t *head = &s->levels[tmi_lowest_bit(s->nonempty)];
    return TM_CONTAINER_OF(head->next, tmi_slab_t, level_link);
}

bool tmi_raw_must_be_sparse(unsigned cls)
{
    const tmi_slabs_t *s = &tmi_slabs[cls];
    size_t used = s->used_pages << tmi_os_page_shift;
    size_t slack = used - (s->nslabs * tmi_classes[cls].slots - s->nfree) * tmi_classes[cls].size;
    return slack > LOOSE_MIN && slack > used / (s->sparse ? 16 : 8);
}

/* Whether going home has gained nothing lately. */
static void judge_homing(tmi_slabs_t *s)
{
    if (s->homed < HOMED_MIN)
        return;
    bool barren = s->useful < s->homed / USEFUL_ONE_IN;
    tmi_store_relaxed(&s->rests_until, barren ? (tmi_os_now_ms() + s->next_rest) | 1 : 0);
    s->next_rest = barren ? (uint32_t)tmi_min(s->next_rest * 2, REST_LAST_MS) : REST_FIRST_MS;
    s->homed = s->useful = 0;
}

void tmi_raw_judge(unsigned cls)
{
    tmi_slabs_t *s = &tmi_slabs[cls];
    bool sparse = tmi_raw_must_be_sparse(cls);
    if (sparse != s->sparse) {
        s->homed = s->useful = 0;
        s->next_rest = REST_FIRST_MS;
        tmi_store_relaxed(&s->rests_until, 0);
        tmi_store_relaxed(&s->sparse, sparse);
    }
    judge_homing(s);
}

/* Take up to n of the slots `bits` of word w, lowest first, into out[-1], out[-2] ... */
static size_t take_bits(tmi_slab_t *slab, unsigned w, uint64_t bits, void **out, size_t n)
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
    tmi_slab_use_pages(slab, pages);
    return got;
}

/* Take up to n slots of one slab, lowest first, into out[-1], out[-2] ... */
static size_t take_from(tmi_slab_t *slab, void **out, size_t n)
{
    unsigned w = slab->hint;
    size_t left = tmi_min(n, slab->nfree), wanted = left;
    for (;; w++) {
        left -= take_bits(slab, w, slab->free[w], out - (wanted - left), left);
        if (left == 0)
            break;
    }
    slab->hint = w;
    tmi_slab_relevel(slab);
    note_full(slab);
    return wanted;
}

/* Those of the free bits that make up whole cache lines: of 8 slots of 8 bytes, 4 of 16 or 48, 2 of 32. */
static uint64_t whole_lines(uint64_t bits, size_t size)
{
    uint64_t pairs = bits & bits >> 1, fours = pairs & pairs >> 2, eights = fours & fours >> 4;
    if (size == 8)
        return (eights & 0x0101010101010101) * 0xff;
    if (size == 32)
        return (pairs & 0x5555555555555555) * 0x3;
    return (fours & 0x1111111111111111) * 0xf;
}

static size_t take_lines_from(tmi_slab_t *slab, void **out, size_t n)
{
    const tmi_class_info_t *c = &tmi_classes[slab->cls];
    size_t left = n;
    for (unsigned w = slab->hint; w < tmi_slab_words(c) && left > 0; w++)
        left -= take_bits(slab, w, whole_lines(slab->free[w], c->size), out - (n - left), left);
    tmi_slab_relevel(slab);
    note_full(slab);
    return n - left;
}

size_t tmi_raw_take(unsigned cls, void **out, size_t n)
{
    size_t left = n;
    tmi_slabs_t *s = &tmi_slabs[cls];
    tmi_lock(&s->lock);
    while (left > 0) {
        tmi_slab_t *slab = fullest(cls);
        if (slab == NULL)
            break;
        left -= take_from(slab, out + left, left);
    }
    tmi_own_add(&s->nfree, left - n);
    tmi_raw_judge(cls);
    tmi_unlock(&s->lock);
    if (TM_UNLIKELY(left > 0))
        for (size_t i = 0; i < n - left; i++)
            out[i] = out[i + left];
    return n - left;
}

size_t tmi_raw_take_lines(unsigned cls, void **out, size_t n)
{
    size_t got = 0;
    tmi_slabs_t *s = &tmi_slabs[cls];
    tmi_lock(&s->lock);
    if (s->nonempty != 0 || tmi_slab_make(cls) != NULL) {
        tmi_dlist_t *emptiest = &s->levels[tmi_log2(s->nonempty)];
        got = take_lines_from(TM_CONTAINER_OF(emptiest->next, tmi_slab_t, level_link), out + n, n);
        tmi_own_add(&s->nfree, -got);
        tmi_raw_judge(cls);
    }
    tmi_unlock(&s->lock);
    size_t rest = got < n ? tmi_raw_take(cls, out, n - got) : 0;
    if (TM_UNLIKELY(rest + got < n)) // the lines are at the upper end of out
        memmove(out + rest, out + (n - got), got * sizeof *out);
    return rest + got;
}

/* First byte of slot i from which on only untouched pages follow. */
static size_t untouched_from(const tmi_slab_t *slab, const tmi_class_info_t *c, size_t i)
{
    uint64_t touched = tmi_slot_pages(c, i) & slab->touched;
    if (touched == 0)
        return 0;
    size_t end = ((size_t)tmi_log2(touched) + 1) << tmi_os_page_shift;
    return tmi_min(end - i * c->size, c->size);
}

void *tmi_raw_take_zeroed(unsigned cls, size_t *zero_from)
{
    const tmi_class_info_t *c = &tmi_classes[cls];
    tmi_slabs_t *s = &tmi_slabs[cls];
    void *p = NULL;
    tmi_lock(&s->lock);
    tmi_slab_t *slab = fullest(cls);
    if (slab != NULL) {
        unsigned w = slab->hint;
        while (slab->free[w] == 0)
            w++;
        *zero_from = untouched_from(slab, c, w * 64 + tmi_lowest_bit(slab->free[w]));
        tmi_own_add(&s->nfree, -take_from(slab, &p + 1, 1));
        tmi_raw_judge(cls);
    }
    tmi_unlock(&s->lock);
    return p;
}
