/* need.h - how much empty memory a program has shown that it needs again.
 *
 * Idea: empty pages are purged, unless the program has shown that it will need them again. The age of a page shows
 * nothing: the next burst may use a page that has been empty for long, and no thread may use a young one. *Regret*
 * shows it. Bytes that were purged and fetched again within seconds (regret.h) should have been kept. Of the kept
 * bytes, those that were not used for a whole interval are not needed. E(t) are the empty bytes and L(t) the live ones,
 * of both heaps and the handle table; r are the bytes regretted since the last update:
 *
 *   floor    F = max(FLOOR_MIN, L * purge_keep / 100)
 *   regret   K := K + r
 *   disuse   K := max(0, K - max(0, min E - F)), and if nothing was regretted at most max(K / 2, max E - min E),
 *            at the end of each interval of purge_delay ms, over which the extremes are taken
 *   spans    S := S + what of r was in free spans, halved at the end of each interval
 *   peak     P = max L over this interval and the last
 *   kept     min(F + K, max((P - L) * 9/8 + F + min(S, L / 4), L / 28))
 *
 * So the memory of a first burst is purged when the burst ends. If bursts repeat, their memory is kept from the second
 * or third one on, and purged one to two intervals after the last. Kept bytes do not take the heap past its peak,
 * except for a 28th of L. Otherwise a cache of blocks of many sizes, whose classes shrink and grow in turn, would
 * regret each purge, and would keep as much again as its size. Free spans serve all classes. They are regretted if they
 * did not fit, as in a program of large blocks of many sizes; then up to a quarter more is kept.
 *
 * A new peak is paid for with empty pages. So resident memory peaks where live memory does, and little higher. T is the
 * most that L + E has been:
 *
 *   growth   g = L + E - T, of at least GROWTH_MIN
 *   payment  min(g, max(0, E - GROWTH_KEEP)) go back to the kernel; nothing while T < SMALL_HEAP
 *   summit   T := max(T + g/8, L + E after the payment)
 *   misfit   K := max(0, K - 8 * what of the payment was not in free spans)
 *
 * Below its summit a heap pays nothing. A program that needs the purged bytes again fetches them, and is then at its
 * summit again. The eighth bounds that: all payments together are at most eight times the peak. A small heap has little
 * to save, so it does not pay. A payment also shows that the kept pages did not fit the program's needs. So less is
 * kept, except of free spans, which S covers. Otherwise a cache whose sizes drift would regret its payments, and its
 * summit would climb by an eighth of each until the empty pages of all sizes fit below it.
 *
 * tcmalloc judges its own releases of pages by regret. Bonwick and Adams trim depots by the least number that was free
 * in an interval (USENIX 2001). Adding regret to the kept bytes is new here. bench/need/replay runs these functions on
 * traces, beside other policies and with other constants.
 *
 * While more than about the floor is kept, time without calls of the program counts only up to `longest_gap` ms.
 * Otherwise the working set of a program would be purged after a long sleep. A helper thread runs all the time, and
 * counts all of it.
 *
 * Pure functions over one record, which the pacer's lock guards. Some fields are read, and extremes are noted, without
 * the lock. */
#ifndef TMI_THREADS_NEED_H
#define TMI_THREADS_NEED_H

#include "base/atomic.h"
#include "base/base.h"

#define TMI_NEED_FLOOR_MIN ((size_t)2 << 20)
#define TMI_NEED_GROWTH_MIN ((size_t)256 << 10)
#define TMI_NEED_GROWTH_KEEP ((size_t)256 << 10)
#define TMI_NEED_SMALL_HEAP ((size_t)8 << 20)
#define TMI_NEED_MISFIT 8     // K falls by so many times what was paid
#define TMI_NEED_FADE 2       // K falls to this part of itself in an interval without regret
#define TMI_NEED_PAST_PEAK 28 // part of L that is kept in any case if it was regretted

typedef struct tmi_need {
    size_t keep;        // K, bytes
    size_t peak, last_peak; // most L of this interval so far, and of the one before
    size_t lowest, highest; // extremes of E of this interval so far
    size_t regretted;   // value of the counter at the last update
    size_t regrets;     // bytes regretted in this interval so far
    size_t spans, regretted_spans; // S, and the value of the counter at the last update
    uint32_t looked_ms; // time of the last update
    uint32_t ran_ms;    // the part of this interval that has passed
} tmi_need_t;

/* E has fallen or L has grown. Any thread. Relaxed: a race may miss an extreme, and K falls a little too far. */
static inline void tmi_need_note(tmi_need_t *n, size_t live, size_t empty)
{
    if (TMI_UNLIKELY(empty < tmi_load_relaxed(&n->lowest)))
        tmi_store_relaxed(&n->lowest, empty);
    if (TMI_UNLIKELY(live > tmi_load_relaxed(&n->peak)))
        tmi_store_relaxed(&n->peak, live);
}

/* F, and what is kept. */
size_t tmi_need_floor(size_t live, unsigned keep_percent);
size_t tmi_need_kept(const tmi_need_t *n, size_t live, unsigned keep_percent);

/* Note how many bytes were purged for growth, without free spans. */
void tmi_need_paid(tmi_need_t *n, size_t bytes);

/* The bytes to purge as payment for growth; and the summit afterwards, given the sum of live and empty bytes. */
size_t tmi_need_payment(size_t summit, size_t empty, size_t growth);
size_t tmi_need_summit(size_t summit, size_t growth, size_t live_and_empty);

typedef struct tmi_need_sight {
    uint32_t now_ms;
    size_t live, empty, regretted, regretted_spans; // the last two are counters
} tmi_need_sight_t;

typedef struct tmi_need_rules {
    unsigned keep_percent;
    uint32_t interval_ms, longest_gap_ms;
} tmi_need_rules_t;

/* Bring K up to date. */
void tmi_need_update(tmi_need_t *n, const tmi_need_sight_t *sight, const tmi_need_rules_t *rules);

/* Forget everything: keep only the floor. */
void tmi_need_forget(tmi_need_t *n);

#endif
