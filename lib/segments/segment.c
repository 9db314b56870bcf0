#include "segments/segment.h"
#include "os/counters.h"
#include "os/os.h"
#include "os/report.h"
#include "segments/regret.h"
#include "segments/segment_impl.h"

tmi_lock_t tmi_space_lock = TMI_LOCK_OF(TMI_RANK_SPACE);
static tmi_debt_t debt; // of clean spans

void tmi_space_init(void)
{
    tmi_bins_init();
    tmi_huge_init();
}

int tmi_space_init_movable(void)
{
    tmi_lock(&tmi_space_lock);
    int err = tmi_nwindows > 0 ? 0 : tmi_supply_grow(1); // the map is placed around the first segment
    if (err == 0 && tmi_pagemap.movable == NULL)
        err = tmi_pagemap_init_movable();
    tmi_unlock(&tmi_space_lock);
    return err;
}

static size_t misalignment(const char *addr, size_t align_units)
{
    return (size_t)(tmi_round_up((uintptr_t)addr, align_units * TMI_UNIT_SIZE) - (uintptr_t)addr) / TMI_UNIT_SIZE;
}

/* Cut exactly nunits, aligned, out of a run that is long enough. The rest returns to the bins. */
static void carve(tmi_run_t *run, size_t nunits, size_t align_units)
{
    size_t skip = misalignment(run->addr, align_units);
    if (skip > 0) {
        tmi_run_t head = *run;
        *run = tmi_run_split(&head, skip);
        tmi_span_set_state(run->addr, run->nunits, TMI_SPAN_USED); // so that the rest does not merge with it
        tmi_bins_put(head);
    }
    if (run->nunits > nunits) {
        tmi_run_t tail = tmi_run_split(run, nunits);
        tmi_span_set_state(run->addr, run->nunits, TMI_SPAN_USED);
        tmi_bins_put(tail);
    }
}

/* Dirty runs first, since their pages are resident; then a dirty and a clean one together, then clean ones, then new
 * segments. */
static bool find(size_t nunits, bool exact, tmi_run_t *run)
{
    if (tmi_bins_take(nunits, true, run) || (exact && tmi_bins_join(nunits, run)) || tmi_bins_take(nunits, false, run))
        return true;
    return tmi_supply_grow(nunits) == 0 && tmi_bins_take(nunits, false, run);
}

static bool take(size_t nunits, size_t align_units, tmi_run_t *run)
{
    if (!find(nunits + align_units - 1, align_units == 1, run))
        return false;
    tmi_run_t whole = *run;
    carve(run, nunits, align_units);
    if (TMI_UNLIKELY(tmi_huge_applies))
        tmi_huge_taken(&whole, run->addr, nunits);
    return true;
}

static void enter(char *addr, size_t nunits, unsigned cls, unsigned tail)
{
    tmi_pagemap_set_class(addr, 1, cls);
    tmi_pagemap_set_class(addr + TMI_UNIT_SIZE, nunits - 1, tail);
    tmi_count(span_bytes, nunits * TMI_UNIT_SIZE);
}

void *tmi_space_alloc(size_t nunits, size_t align_units, unsigned cls, unsigned tail, bool *dirty)
{
    tmi_run_t run;
    tmi_lock(&tmi_space_lock);
    bool ok = take(nunits, align_units, &run);
    if (ok) {
        tmi_span_set_state(run.addr, nunits, TMI_SPAN_USED);
        enter(run.addr, nunits, cls, tail);
        *dirty = run.dirty;
        tmi_count(regretted_spans, tmi_debt_pay(&debt, run.dirty ? run.joined : nunits * TMI_UNIT_SIZE));
    }
    tmi_unlock(&tmi_space_lock);
    return ok ? run.addr : NULL;
}

/* Make a used span free. The caller has set its bits of S6. */
static void put_back(char *addr, size_t nunits, size_t bytes)
{
    tmi_pagemap_set_class(addr, nunits, TMI_CLASS_NONE);
    tmi_discount(span_bytes, nunits * TMI_UNIT_SIZE);
    if (TMI_UNLIKELY(tmi_huge_applies))
        tmi_huge_forget(addr, nunits);
    tmi_bins_put((tmi_run_t){addr, nunits, bytes, bytes > 0, 0});
}

static void free_span(void *addr, size_t nunits, size_t bytes)
{
    tmi_lock(&tmi_space_lock);
    TMI_VERIFY(tmi_span_of(addr)->state == TMI_SPAN_USED && tmi_span_of(addr)->nunits == nunits,
               "S1 a used span is freed");
    put_back(addr, nunits, bytes);
    tmi_unlock(&tmi_space_lock);
}

void tmi_space_free(void *addr, size_t nunits, size_t bytes)
{
    tmi_resident_set_all(addr, nunits, bytes > 0);
    free_span(addr, nunits, bytes);
}

void tmi_space_free_pages(void *addr, size_t nunits, uint64_t pages)
{
    tmi_resident_set(addr, nunits, pages);
    free_span(addr, nunits, (size_t)tmi_popcount(pages) << tmi_os_page_shift);
}

void tmi_space_free_noted(void *addr, size_t nunits)
{
    free_span(addr, nunits, tmi_resident_count(addr, nunits) << tmi_os_page_shift);
}

bool tmi_space_extend(void *addr, size_t nunits, size_t wanted, unsigned tail, bool *dirty)
{
    char *end = (char *)addr + nunits * TMI_UNIT_SIZE;
    tmi_lock(&tmi_space_lock);
    tmi_span_t *next = tmi_span_at(end);
    bool ok = next != NULL && (next->state == TMI_SPAN_DIRTY || next->state == TMI_SPAN_CLEAN) &&
              next->nunits >= wanted - nunits;
    if (ok) {
        tmi_run_t run = tmi_bins_remove(next, end);
        carve(&run, wanted - nunits, 1);
        *dirty = run.dirty;
        if (!run.dirty)
            tmi_count(regretted_spans, tmi_debt_pay(&debt, (wanted - nunits) * TMI_UNIT_SIZE));
        tmi_span_set_state(addr, wanted, TMI_SPAN_USED);
        tmi_pagemap_set_class(end, wanted - nunits, tail);
        tmi_count(span_bytes, (wanted - nunits) * TMI_UNIT_SIZE);
    }
    tmi_unlock(&tmi_space_lock);
    return ok;
}

void tmi_space_shorten(void *addr, size_t nunits, size_t keep, size_t bytes)
{
    tmi_lock(&tmi_space_lock);
    tmi_span_set_state(addr, keep, TMI_SPAN_USED);
    tmi_resident_set_all((char *)addr + keep * TMI_UNIT_SIZE, nunits - keep, bytes > 0);
    put_back((char *)addr + keep * TMI_UNIT_SIZE, nunits - keep, bytes);
    tmi_unlock(&tmi_space_lock);
}

/* Purge one span, or its first units. It counts as used while the kernel works on it, so that the lock is not held for
 * long. Returns the kernel's error or 0. */
static int purge_one(tmi_span_t *span, size_t most_units, size_t *total)
{
    char *addr = span->owner;
    tmi_run_t run = tmi_bins_remove(span, addr), tail = {0};
    if (run.nunits > most_units)
        tail = tmi_run_split(&run, most_units);
    tmi_span_set_state(addr, run.nunits, TMI_SPAN_USED); // no other span merges with it
    if (tail.nunits > 0)
        tmi_bins_put_oldest(tail);
    if (TMI_UNLIKELY(tmi_huge_applies))
        tmi_huge_purged(addr, run.nunits);
    tmi_unlock(&tmi_space_lock);
    int err = tmi_os_purge(addr, run.nunits * TMI_UNIT_SIZE);
    tmi_count(purge_calls, 1);
    tmi_lock(&tmi_space_lock);
    size_t bytes = err ? 0 : run.bytes;
    if (err == 0)
        tmi_resident_set_all(addr, run.nunits, false);
    run.dirty = err != 0; // the kernel refuses pages under mlock: they go to the end of the queue
    run.bytes -= bytes;
    tmi_bins_put(run);
    tmi_count(purged_bytes, bytes);
    tmi_count(purged_span_bytes, bytes);
    tmi_debt_add(&debt, bytes);
    *total += bytes;
    return err;
}

size_t tmi_space_purge(size_t enough)
{
    size_t total = 0;
    tmi_lock(&tmi_space_lock);
    while (total < enough) {
        tmi_span_t *oldest = tmi_bins_oldest();
        if (oldest == NULL || purge_one(oldest, (enough - total - 1) / TMI_UNIT_SIZE + 1, &total) != 0)
            break;
    }
    tmi_unlock(&tmi_space_lock);
    return total;
}
