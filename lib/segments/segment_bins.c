/* Free spans in bins by length: exact up to 32 units, then four to a doubling, with a bitmap of the non-empty ones. Two
 * sets, dirty and clean; a third list orders the dirty ones by age. */
#include "os/counters.h"
#include "os/report.h"
#include "segments/segment_impl.h"

enum { EXACT = 32, BINS = EXACT + (32 - 5) * 4, MAP_WORDS = (BINS + 63) / 64 };

typedef struct bin_set {
    tmi_dlist_t heads[BINS];
    uint64_t nonempty[MAP_WORDS];
} bin_set_t;

static bin_set_t sets[2]; // [dirty]
static tmi_dlist_t ages;  // dirty spans, oldest first

void tmi_bins_init(void)
{
    tmi_dlist_init(&ages);
    for (int s = 0; s < 2; s++)
        for (int b = 0; b < BINS; b++)
            tmi_dlist_init(&sets[s].heads[b]);
}

static unsigned bin_of(size_t nunits)
{
    if (nunits <= EXACT)
        return (unsigned)nunits - 1;
    unsigned doubling = tmi_log2(nunits);
    return EXACT + (doubling - 5) * 4 + (unsigned)((nunits >> (doubling - 2)) & 3);
}

tmi_span_t *tmi_span_at(const void *unit) { return tmi_pagemap_segment(unit) ? tmi_span_of(unit) : NULL; }

void tmi_span_set_state(char *addr, size_t nunits, tmi_span_state_t state)
{
    tmi_span_t *first = tmi_span_of(addr), *last = tmi_span_of(addr + (nunits - 1) * TMI_UNIT_SIZE);
    first->nunits = last->nunits = (uint32_t)nunits;
    first->state = last->state = (uint8_t)state;
}

/* Divide the estimate in proportion to the pages that may be resident. A part without such pages is clean. */
static void split_by_pages(tmi_run_t *head, tmi_run_t *tail)
{
    size_t in_head = tmi_resident_count(head->addr, head->nunits);
    size_t in_tail = tmi_resident_count(tail->addr, tail->nunits), bytes = head->bytes;
    head->bytes = in_tail == 0 ? bytes : bytes / (in_head + in_tail) * in_head;
    tail->bytes = bytes - head->bytes;
    head->dirty = in_head > 0;
    tail->dirty = in_tail > 0;
}

tmi_run_t tmi_run_split(tmi_run_t *run, size_t nunits)
{
    enum { LONG = TMI_SEGMENT_UNITS };
    tmi_run_t tail = {run->addr + nunits * TMI_UNIT_SIZE, run->nunits - nunits, 0, run->dirty, 0};
    size_t by_length = run->bytes / run->nunits * nunits;
    bool is_long = run->nunits > LONG;
    run->nunits = nunits;
    if (run->dirty && !is_long) {
        split_by_pages(run, &tail);
    } else {
        tail.bytes = run->bytes - by_length;
        run->bytes = by_length;
    }
    return tail;
}

tmi_run_t tmi_bins_remove(tmi_span_t *first, char *addr)
{
    bool dirty = first->state == TMI_SPAN_DIRTY;
    tmi_run_t run = {addr, first->nunits, dirty ? first->bytes : 0, dirty, 0};
    unsigned b = bin_of(run.nunits);
    tmi_dlist_remove(&first->bin);
    if (tmi_dlist_empty(&sets[dirty].heads[b]))
        sets[dirty].nonempty[b / 64] &= ~((uint64_t)1 << (b % 64));
    if (dirty) {
        tmi_dlist_remove(&first->age);
        tmi_discount(dirty_bytes, run.bytes);
    }
    return run;
}

/* Join the run with its neighbours before and after it that are free and in the same state. */
static void absorb_neighbours(tmi_run_t *run)
{
    uint8_t state = run->dirty ? TMI_SPAN_DIRTY : TMI_SPAN_CLEAN;
    tmi_span_t *last = tmi_span_at(run->addr - TMI_UNIT_SIZE);
    if (last != NULL && last->state == state) {
        char *addr = run->addr - last->nunits * TMI_UNIT_SIZE;
        tmi_run_t before = tmi_bins_remove(tmi_span_of(addr), addr);
        run->addr = addr;
        run->nunits += before.nunits;
        run->bytes += before.bytes;
    }
    char *end = run->addr + run->nunits * TMI_UNIT_SIZE;
    tmi_span_t *next = tmi_span_at(end);
    if (next != NULL && next->state == state) {
        tmi_run_t after = tmi_bins_remove(next, end);
        run->nunits += after.nunits;
        run->bytes += after.bytes;
    }
}

static void put(tmi_run_t run, bool as_oldest)
{
    absorb_neighbours(&run);
    tmi_span_set_state(run.addr, run.nunits, run.dirty ? TMI_SPAN_DIRTY : TMI_SPAN_CLEAN);
    tmi_span_t *first = tmi_span_of(run.addr);
    unsigned b = bin_of(run.nunits);
    tmi_dlist_push_front(&sets[run.dirty].heads[b], &first->bin);
    sets[run.dirty].nonempty[b / 64] |= (uint64_t)1 << (b % 64);
    tmi_dlist_init(&first->age);
    first->bytes = run.bytes;
    first->owner = run.addr;
    if (!run.dirty)
        return;
    if (as_oldest)
        tmi_dlist_push_front(&ages, &first->age);
    else
        // a merged span counts as young, since the program has used part of it just now
        tmi_dlist_push_back(&ages, &first->age);
    tmi_count(dirty_bytes, run.bytes);
}

void tmi_bins_put(tmi_run_t run) { put(run, false); }
void tmi_bins_put_oldest(tmi_run_t run) { put(run, true); }

/* Prefer the shorter span; of two dirty ones of equal length the one with more resident pages, which costs fewer page
 * faults. */
static bool fits_better(const tmi_span_t *a, const tmi_span_t *b)
{
    if (a->nunits != b->nunits)
        return a->nunits < b->nunits;
    return a->state == TMI_SPAN_DIRTY && a->bytes > b->bytes;
}

/* The span of a bin that fits best, among the first few. */
static tmi_span_t *best_in_bin(bin_set_t *set, unsigned b, size_t nunits)
{
    enum { LOOK_AT = 16 };
    tmi_span_t *best = NULL;
    int looked = 0;
    for (tmi_dlist_t *n = set->heads[b].next; n != &set->heads[b] && looked < LOOK_AT; n = n->next, looked++) {
        tmi_span_t *s = TMI_CONTAINER_OF(n, tmi_span_t, bin);
        if (s->nunits >= nunits && (best == NULL || fits_better(s, best)))
            best = s;
    }
    return best;
}

bool tmi_bins_take(size_t nunits, bool dirty, tmi_run_t *out)
{
    bin_set_t *set = &sets[dirty];
    unsigned b = bin_of(nunits);
    for (unsigned w = b / 64; w < MAP_WORDS; w++) {
        uint64_t bits = set->nonempty[w] & (w == b / 64 ? ~(uint64_t)0 << (b % 64) : ~(uint64_t)0);
        for (; bits != 0; bits &= bits - 1) {
            tmi_span_t *s = best_in_bin(set, w * 64 + tmi_lowest_bit(bits), nunits);
            if (s != NULL) {
                *out = tmi_bins_remove(s, s->owner);
                return true;
            }
        }
    }
    return false;
}

/* Take the dirty span and enough of the clean one behind it. The rest of the latter returns to its bin. */
static void join_next(tmi_span_t *dirty, size_t nunits, tmi_run_t *out)
{
    *out = tmi_bins_remove(dirty, dirty->owner);
    char *end = out->addr + out->nunits * TMI_UNIT_SIZE;
    tmi_run_t clean = tmi_bins_remove(tmi_span_of(end), end);
    size_t needed = nunits - out->nunits;
    out->nunits = nunits;
    out->joined = needed * TMI_UNIT_SIZE;
    tmi_span_set_state(out->addr, nunits, TMI_SPAN_USED);
    if (clean.nunits > needed)
        tmi_bins_put(tmi_run_split(&clean, needed));
}

/* The same with the clean span before the dirty one. */
static void join_before(tmi_span_t *dirty, size_t nunits, tmi_run_t *out)
{
    *out = tmi_bins_remove(dirty, dirty->owner);
    size_t available = tmi_span_of(out->addr - TMI_UNIT_SIZE)->nunits, needed = nunits - out->nunits;
    char *start = out->addr - available * TMI_UNIT_SIZE;
    tmi_run_t clean = tmi_bins_remove(tmi_span_of(start), start);
    out->addr -= needed * TMI_UNIT_SIZE;
    out->nunits = nunits;
    out->joined = needed * TMI_UNIT_SIZE;
    tmi_span_set_state(out->addr, nunits, TMI_SPAN_USED);
    clean.nunits -= needed;
    if (clean.nunits > 0)
        tmi_bins_put(clean);
}

static bool clean_with(const tmi_span_t *span, size_t nunits)
{
    return span != NULL && span->state == TMI_SPAN_CLEAN && span->nunits >= nunits;
}

bool tmi_bins_join(size_t nunits, tmi_run_t *out)
{
    enum { LOOK_AT = 16 };
    int looked = 0;
    for (tmi_dlist_t *n = ages.prev; n != &ages && looked < LOOK_AT; n = n->prev, looked++) {
        tmi_span_t *dirty = TMI_CONTAINER_OF(n, tmi_span_t, age);
        char *base = dirty->owner;
        if (dirty->nunits >= nunits || dirty->nunits < nunits / 4)
            continue;
        if (clean_with(tmi_span_at(base + dirty->nunits * TMI_UNIT_SIZE), nunits - dirty->nunits))
            join_next(dirty, nunits, out);
        else if (clean_with(tmi_span_at(base - TMI_UNIT_SIZE), nunits - dirty->nunits))
            join_before(dirty, nunits, out);
        else
            continue;
        return true;
    }
    return false;
}

tmi_span_t *tmi_bins_oldest(void)
{
    return tmi_dlist_empty(&ages) ? NULL : TMI_CONTAINER_OF(ages.next, tmi_span_t, age);
}
