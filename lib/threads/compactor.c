#include "threads/compactor.h"
#include "os/counters.h"
#include "os/options.h"
#include "slabs/movable.h"
#include "threads/helper.h"
#include "threads/pacer.h"
#include "threads/request.h"

#define GAIN_MIN ((size_t)64 << 10)       // of all classes together: less is not worth waking a thread
#define CLASS_GAIN_MIN ((size_t)16 << 10) // of one class
enum { QUIET_MS = 50, NAP_MS = 10, CLASSES_PER_POLL = 4, SLEEP_MAX_MS = 200 };
_Static_assert(TMI_MCLASS_LAST % CLASSES_PER_POLL == 0, "a round of polls looks at each class once");

static uint32_t polls;        // slow paths so far, which show activity. Relaxed: only for pacing
static uint32_t unlocks;      // objects whose last lock has ended, so far. Relaxed: see seen_t
static void *work(void *unused);
static tmi_helper_t mover = {.work = work, .name = "tinymem-mover"};

enum { AWAKE, ASLEEP, CALLED, WATCHING };
static uint32_t asleep;       // futex: not AWAKE while the thread sleeps; see wait_asleep
static bool stepping;         // there is work, and no thread could be started
static uint64_t longest_step;

static size_t class_live(unsigned c)
{
    const tmi_movable_class_t *s = &tmi_movable_classes[c];
    size_t slots = tmi_load_relaxed(&s->nslabs) * tmi_mclasses[c].slots, unused = tmi_movable_unused(c); // an estimate
    return slots > unused ? (slots - unused) * tmi_mclasses[c].size : 0;
}

static size_t live_bytes(void)
{
    size_t live = tmi_counter(extent_bytes);
    for (unsigned c = TMI_MCLASS_FIRST; c <= TMI_MCLASS_LAST; c++)
        live += class_live(c);
    return live;
}

static bool is_worth(size_t gain, size_t live, unsigned percent)
{
    return gain >= GAIN_MIN && gain > live / 100 * percent;
}

static bool worth_it(unsigned percent) { return is_worth(tmi_compact_gain(1), live_bytes(), percent); }

/* Waste in per cent of live bytes, at most 1,000. */
static unsigned waste(void)
{
    size_t gain = tmi_compact_gain(1), live = live_bytes() + 1;
    return gain / live >= 10 ? 1000 : (unsigned)(gain * 100 / live);
}

/* The waste above which the thread takes more processor time, and uses fences that interrupt. */
static unsigned calm_waste(void) { return tmi_option(compact_churn) * 4 / 3; }

/* ---- one batch, under the lock ----------------------------------------------------------------------------------- */

static tmi_compact_limits_t background_limits(bool quiet)
{
    return (tmi_compact_limits_t){
        .deadline_ns = TMI_COMPACT_NO_DEADLINE,
        .objects = tmi_max(tmi_option(batch_objects), 1),
        .bytes = tmi_max(tmi_option(batch_kib), 1) * TMI_KIB,
        .min_gain = quiet ? 1 : CLASS_GAIN_MIN,
        .purge_pages = SIZE_MAX, // spans are purged together afterwards
        .tidy = quiet,
    };
}

static tmi_fence_t kind_of_fence(void)
{
    static size_t last_moved, last_aborted, expedited_left;
    size_t moved = tmi_compact_figure(moved_objects) - last_moved;
    size_t aborted = tmi_compact_figure(by_touch) + tmi_compact_figure(by_free) - last_aborted;
    last_moved += moved;
    last_aborted += aborted;
    if (tmi_options.fence != TMI_FENCES_AUTO)
        return tmi_options.fence == TMI_FENCES_GLOBAL ? TMI_FENCE_GLOBAL : TMI_FENCE_EXPEDITED;
    if (waste() > calm_waste()) // the batch should not take 16 ms
        return TMI_FENCE_EXPEDITED;
    if (aborted > moved / 4) // too many objects are touched during the long fence
        expedited_left = 16;
    else if (expedited_left > 0)
        expedited_left--;
    return expedited_left > 0 ? TMI_FENCE_EXPEDITED : TMI_FENCE_GLOBAL;
}

/* The background thread's fence. The caller holds the lock. It is released while the kernel waits (Q1), and taken
 * again. */
static void long_fence(void)
{
    uint64_t id = tmi_compact_batch();
    if (!tmi_pin_asymmetric() || tmi_pin_alone(NULL)) {
        tmi_compact_fence(NULL);
        return;
    }
    tmi_fence_t kind = kind_of_fence();
    tmi_unlock(&tmi_compact_lock);
    int err = tmi_os_fence(kind);
    if (err != 0 && kind == TMI_FENCE_GLOBAL)
        err = tmi_os_fence(kind = TMI_FENCE_EXPEDITED);
    tmi_lock(&tmi_compact_lock);
    tmi_compact_fenced(id, kind, err);
}

/* Work until the present batch is done. False: there was nothing to do. */
static bool background_batch(bool quiet)
{
    tmi_compact_limits_t limits = background_limits(quiet);
    for (;;) {
        tmi_lock(&tmi_compact_lock);
        tmi_compact_result_t r = tmi_compact_ready() ? tmi_compact_piece(&limits) : TMI_COMPACT_NOTHING;
        if (r == TMI_COMPACT_FENCE)
            long_fence();
        bool idle = tmi_compact_idle();
        tmi_unlock(&tmi_compact_lock);
        if (r == TMI_COMPACT_WAIT)
            tmi_os_sleep_ms(1);
        if (r == TMI_COMPACT_NOTHING)
            return false;
        if (idle) {
            tmi_compactor_notify();
            tmi_pacer_background_pass(); // a busy program may want what was just emptied for new slabs
            return true;
        }
    }
}

/* ---- the background thread --------------------------------------------------------------------------------------- */

/* Up to calm_waste the share is compact_cpu. Above it the share grows, up to a whole processor at four times
 * compact_churn: emptying a heap that is mostly holes is worth the time. */
static uint32_t share_of_cpu(void)
{
    uint32_t share = (uint32_t)tmi_min(tmi_max(tmi_option(compact_cpu), 1), 100), w = waste(), calm = calm_waste();
    uint32_t all = tmi_max(4 * tmi_option(compact_churn), 40);
    if (w <= calm)
        return share;
    return w >= all ? 100 : share + (100 - share) * (w - calm) / (all - calm);
}

/* Sleep, since there is nothing to do. In a busy program there may soon be: the sleep is short if half of compact_churn
 * can be gained. If more than compact_churn can be gained, nothing could be moved, and the sleep is long. */
static void nap(void)
{
    unsigned w = waste();
    tmi_os_sleep_ms(w * 2 > tmi_option(compact_churn) && w <= tmi_option(compact_churn) ? NAP_MS : QUIET_MS);
}

static void rest(uint64_t worked_ns)
{
    uint32_t share = share_of_cpu();
    if (share == 100)
        return;
    uint64_t ms = worked_ns / 1000000 * (100 - share) / share + 1;
    tmi_os_sleep_ms((uint32_t)tmi_min(ms, SLEEP_MAX_MS));
}

/* The counts of events that the thread read before its last attempt. A thread that does something worth an attempt
 * counts it, and then reads `asleep`. The mover's thread stores `asleep`, and then reads the counts. With a full fence
 * on both sides one of them sees the other. */
typedef struct seen {
    uint32_t polls, unlocks;
} seen_t;

// relaxed: read before the attempt
static seen_t what_is_seen(void) { return (seen_t){tmi_load_relaxed(&polls), tmi_load_relaxed(&unlocks)}; }

/* Say that the thread is about to sleep. False: there were events after `seen`, and it must not sleep. */
static bool fall_asleep(seen_t seen)
{
    tmi_store_relaxed(&asleep, ASLEEP);
    tmi_fence_full(); // pairs: wake_if_asleep, call_for_pacer
    seen_t now = what_is_seen();
    if (now.polls == seen.polls && now.unlocks == seen.unlocks)
        return true;
    tmi_store_relaxed(&asleep, AWAKE);
    return false;
}

/* Called by the pacer. Wakes the thread if need be; a thread that is AWAKE or WATCHING does a pass soon. False: there
 * is no thread. */
static bool call_for_pacer(void)
{
    uint32_t state = ASLEEP;
    if (!tmi_helper_runs(&mover))
        return false;
    if (tmi_load_relaxed(&asleep) == ASLEEP && tmi_cas_relaxed(&asleep, &state, CALLED)) // relaxed: after a full fence
        tmi_os_futex_wake_one(&asleep);
    return true;
}

/* Change from one state of sleep to another. False: the thread has been woken. */
static bool sleep_as(uint32_t state)
{
    uint32_t now = tmi_load_relaxed(&asleep);
    while (now != AWAKE)
        if (tmi_cas_relaxed(&asleep, &now, state))
            return true;
    return false;
}

/* Do a pass of the pacer, then sleep until the next one is due, until the thread is woken, or for at_most milliseconds
 * (0: no limit). call_for_pacer wakes the thread only in the state ASLEEP. While a pass is due anyway the state is
 * WATCHING, and calls cost nothing. The state becomes ASLEEP again, followed by a full fence, before the next pass
 * reads the counts. So no work is lost, as in fall_asleep. */
static void wait_asleep(uint32_t idle_ms, uint32_t at_most)
{
    uint32_t due = tmi_pacer_serve(idle_ms), ms = due;
    if (due > 0 && !sleep_as(WATCHING))
        return;
    if (at_most > 0 && (ms == 0 || ms > at_most))
        ms = at_most;
    if (tmi_load_relaxed(&tmi_thread_main_left) && (ms == 0 || ms > TMI_HELPER_LOOK_MS))
        ms = TMI_HELPER_LOOK_MS;
    if (ms > 0)
        (void)tmi_os_futex_wait_ms(&asleep, due > 0 ? WATCHING : ASLEEP, ms);
    else
        tmi_os_futex_wait(&asleep, ASLEEP);
    if (tmi_load_relaxed(&asleep) == CALLED)
        tmi_os_sleep_ms(TMI_PACER_SOON_MS); // more frees are likely to follow
    tmi_helper_end_if_last();
    tmi_request_poll();
    (void)sleep_as(ASLEEP);
    tmi_fence_full(); // pairs: call_for_pacer
}

/* Sleep until a slow path wakes the thread. Passes of the pacer continue meanwhile, as long as they have something to
 * purge. */
static void sleep_until_polled(seen_t seen)
{
    tmi_lock(&tmi_compact_lock);
    tmi_compact_purge_records();
    tmi_unlock(&tmi_compact_lock);
    if (!fall_asleep(seen))
        return;
    uint32_t begun = tmi_os_now_ms();
    while (tmi_load_relaxed(&asleep) != AWAKE)
        wait_asleep(tmi_os_now_ms() - begun, 0);
}

/* The end of a pin or scope wakes no thread. So check pins and scopes at intervals, until they have changed, none is
 * left, or the program has taken a slow path. */
static void sleep_until_unpinned(seen_t seen)
{
    enum { LOOK_MS = 400 };
    uint64_t before, now;
    bool held = tmi_pin_look(&before);
    if (!fall_asleep(seen))
        return;
    do {
        uint32_t begun = tmi_os_now_ms();
        while (tmi_load_relaxed(&asleep) != AWAKE && tmi_os_now_ms() - begun < LOOK_MS)
            wait_asleep(0, LOOK_MS);
        held &= tmi_pin_look(&now);
    } while (tmi_load_relaxed(&asleep) != AWAKE && held && now == before);
    tmi_store_relaxed(&asleep, AWAKE);
}

/* How often, so far, an object could not be moved because it was in use. Locked objects do not count. */
static size_t times_in_use(void)
{
    return tmi_compact_figure(by_touch) + tmi_compact_figure(by_scan) - tmi_compact_figure(by_lock) +
           tmi_compact_figure(dropped);
}

static void try_afresh(void)
{
    tmi_lock(&tmi_compact_lock);
    tmi_compact_afresh();
    tmi_unlock(&tmi_compact_lock);
}

/* Sleep: the program is quiet, and nothing more can be done for now. If there is still something to gain, objects are
 * in use. If the last attempt met pins or scopes, or there are any now, the thread tries again at intervals. The end of
 * a lock wakes the thread (tmi_compactor_unlocked). If there are no pins or scopes left, the thread tries once more. */
static void sleep_quietly(seen_t seen, bool in_use, bool *tried)
{
    uint64_t look;
    if (worth_it(tmi_option(compact_target))) {
        if (in_use || tmi_pin_look(&look)) {
            *tried = false;
            sleep_until_unpinned(seen);
            try_afresh();
            return;
        }
        if (!*tried) {
            *tried = true;
            try_afresh();
            return;
        }
    }
    *tried = false;
    sleep_until_polled(seen);
}

static void claim_caches(void)
{
    tmi_lock(&tmi_compact_lock);
    (void)tmi_thread_claim_caches();
    tmi_unlock(&tmi_compact_lock);
}

/* Compact down to compact_target, and flush the caches of sleeping threads, as long as the program stays quiet. */
static void compact_while_quiet(uint32_t seen)
{
    claim_caches();
    if (tmi_option(compaction) != TMI_COMPACTION_BACKGROUND)
        return;
    while (tmi_load_relaxed(&polls) == seen && worth_it(tmi_option(compact_target)) && background_batch(true)) {
    }
    while (tmi_load_relaxed(&polls) == seen && background_batch(true)) { // tidying, when little is worth moving
    }
}

/* Called when the main thread ends. From then on the mover sleeps only with a time limit. */
static void main_leaves(void)
{
    tmi_store_relaxed(&asleep, AWAKE);
    tmi_os_futex_wake_one(&asleep);
}

/* The requests to give memory back that the thread has seen. After each the thread gains all that moving can, however
 * busy the program is. Relaxed: one start too many does no harm. */
static uint32_t trims_seen;
static bool trim_wanted(void) { return tmi_request_times(TMI_REQUEST_TRIM) != tmi_load_relaxed(&trims_seen); }

/* Gain all that moving can, for a bounded time, since the program may go on freeing. */
static void gain_all(void)
{
    enum { AT_MOST_MS = 1000 };
    uint32_t begun = tmi_os_now_ms();
    tmi_store_relaxed(&trims_seen, tmi_request_times(TMI_REQUEST_TRIM));
    claim_caches();
    if (tmi_option(compaction) != TMI_COMPACTION_BACKGROUND)
        return;
    try_afresh();
    while (tmi_os_now_ms() - begun < AT_MOST_MS && background_batch(true)) {
    }
    (void)tmi_pacer_purge_all();
}

/* Called between two checks of the thread's own work. */
static void serve_pacer_when_due(void)
{
    static uint32_t served, due; // owner: the thread
    uint32_t now = tmi_os_now_ms();
    if (now - served < due)
        return;
    served = now;
    due = tmi_max(tmi_pacer_serve(0), TMI_PACER_SOON_MS);
}

static void *work(void *unused)
{
    tmi_store_release(&tmi_thread_main_watcher, main_leaves); // pairs: tell_that_main_leaves
    uint32_t seen = tmi_load_relaxed(&polls), quiet_since = tmi_os_now_ms();
    bool tried = false;
    for (;;) {
        tmi_helper_end_if_last();
        tmi_request_poll();
        if (trim_wanted())
            gain_all();
        uint64_t before = tmi_compact_figure(time_ns);
        bool did = tmi_option(compaction) == TMI_COMPACTION_BACKGROUND && worth_it(tmi_option(compact_churn)) &&
                   background_batch(false);
        uint32_t now = tmi_os_now_ms(), p = tmi_load_relaxed(&polls);
        if (p != seen)
            quiet_since = now;
        seen = p;
        if (!did && now - quiet_since >= QUIET_MS) {
            seen_t before_try = {seen, tmi_load_relaxed(&unlocks)};
            size_t in_use = times_in_use();
            compact_while_quiet(seen);
            if (tmi_load_relaxed(&polls) == seen)
                sleep_quietly(before_try, times_in_use() != in_use, &tried);
            quiet_since = tmi_os_now_ms();
        }
        if (did) {
            rest(tmi_compact_figure(time_ns) - before);
        } else {
            serve_pacer_when_due();
            nap();
        }
    }
    return unused;
}

/* Called after an event was counted. */
static void wake_if_asleep(void)
{
    tmi_fence_full(); // the count before the read of `asleep`; pairs: fall_asleep
    if (TMI_LIKELY(tmi_load_relaxed(&asleep) == AWAKE))
        return;
    tmi_store_relaxed(&asleep, AWAKE);
    tmi_os_futex_wake_one(&asleep);
}

void tmi_compactor_unlocked(void)
{
    (void)tmi_add_relaxed(&unlocks, 1);
    wake_if_asleep();
}

/* The n-th poll. A mutator examines a few classes, and the one that ends a round decides. True: there is work for the
 * thread. */
static bool look(uint32_t n)
{
    // of this round. Relaxed: estimates; another thread's part may be added to the next round
    static size_t gain, live;
    unsigned first = n % (TMI_MCLASS_LAST / CLASSES_PER_POLL) * CLASSES_PER_POLL + 1;
    for (unsigned c = first; c < first + CLASSES_PER_POLL; c++) {
        if (tmi_load_relaxed(&tmi_movable_classes[c].nslabs) == 0)
            continue;
        (void)tmi_add_relaxed(&gain, tmi_movable_gain(c));
        (void)tmi_add_relaxed(&live, class_live(c));
    }
    if (first + CLASSES_PER_POLL <= TMI_MCLASS_LAST)
        return false;
    size_t g = tmi_exchange_relaxed(&gain, 0), l = tmi_exchange_relaxed(&live, 0);
    return is_worth(g, l + tmi_counter(extent_bytes), tmi_option(compact_churn));
}

/* No thread can be started, so a slow path does a step, as often as compact_cpu allows. Not inside a scope, since the
 * step would wait for its end. */
static TMI_COLD void step_instead(void)
{
    enum { STEP_US = 20 };
    static uint64_t next_ns; // relaxed: it paces
    const tm_pins_t_ *self = tmi_self_;
    uint64_t begun = tmi_os_now_ns();
    if (self->capacity_ == 0 || (self->scope & 0xffff) != 0 || begun < tmi_load_relaxed(&next_ns))
        return;
    if (!tmi_compactor_step(self, STEP_US))
        tmi_store_relaxed(&stepping, tmi_pacer_step());
    uint64_t ns = tmi_os_now_ns() - begun;
    uint32_t share = share_of_cpu();
    tmi_store_relaxed(&next_ns, begun + ns + ns * (100 - share) / share);
}

/* Start the mover's thread. The pacer may call it before it runs, so the pacer needs no helper from now on. */
static TMI_COLD void start_mover(void)
{
    if (tmi_helper_run(&mover))
        tmi_pacer_serve_by(call_for_pacer);
    else
        tmi_store_relaxed(&stepping, true); // relaxed: it paces
}

void tmi_compactor_poll(void)
{
    tmi_request_poll();
    if (tmi_option(compaction) != TMI_COMPACTION_BACKGROUND)
        return;
    uint32_t n = tmi_add_relaxed(&polls, 1);
    wake_if_asleep();
    if (TMI_LIKELY(tmi_helper_runs(&mover)))
        return;
    if (look(n) || trim_wanted())
        start_mover();
    if (tmi_load_relaxed(&stepping))
        step_instead();
}

/* ---- by request -------------------------------------------------------------------------------------------------- */

/* The caller holds the lock, which is released between pieces. */
static void everything(const tm_pins_t_ *self)
{
    tmi_compact_limits_t limits = background_limits(true);
    limits.tidy = limits.purge_table = true;
    for (;;) {
        tmi_compact_result_t r = tmi_compact_ready() ? tmi_compact_piece(&limits) : TMI_COMPACT_NOTHING;
        if (r == TMI_COMPACT_FENCE)
            tmi_compact_fence(self);
        if (r == TMI_COMPACT_NOTHING)
            break;
        tmi_unlock(&tmi_compact_lock); // fork may want it
        if (r == TMI_COMPACT_WAIT)
            tmi_os_sleep_ms(1);
        tmi_lock(&tmi_compact_lock);
    }
}

void tmi_compactor_all(const tm_pins_t_ *self)
{
    tmi_lock(&tmi_compact_lock);
    (void)tmi_thread_claim_caches();
    tmi_compact_afresh(); // pins may have ended
    everything(self);
    tmi_compact_purge_records();
    tmi_unlock(&tmi_compact_lock);
}

void tmi_compactor_try_all(const tm_pins_t_ *self)
{
    if (tmi_option(compaction) == TMI_COMPACTION_OFF || !tmi_trylock(&tmi_compact_lock))
        return;
    everything(self);
    tmi_unlock(&tmi_compact_lock);
}

/* The limits of a step. It marks only so much that time is left for the fence and the scan. */
static tmi_compact_limits_t step_limits(const tm_pins_t_ *self, uint64_t begun, unsigned budget_us)
{
    uint64_t fence_ns = tmi_pin_registered() > (self->capacity_ != 0) ? 12000 : 500,
             budget_ns = (uint64_t)budget_us * 1000;
    bool marking = tmi_compact_marking();
    uint64_t spare = marking ? fence_ns : 300;
    return (tmi_compact_limits_t){
        .deadline_ns = begun + (budget_ns > 2 * spare ? budget_ns - spare : budget_ns / 2),
        .objects = tmi_max(budget_us * 4, 8),
        .bytes = tmi_max(budget_us, 4) * TMI_KIB,
        .min_gain = 1,
        .purge_pages = tmi_min(tmi_max(budget_us / 4, 1), 64),
        .tidy = true,
        .purge_table = true,
    };
}

bool tmi_compactor_step(const tm_pins_t_ *self, unsigned budget_us)
{
    uint64_t begun = tmi_os_now_ns();
    if (!tmi_trylock(&tmi_compact_lock))
        return false;
    tmi_compact_result_t r = TMI_COMPACT_NOTHING;
    if (tmi_compact_ready()) {
        tmi_compact_limits_t limits = step_limits(self, begun, budget_us);
        r = tmi_compact_piece(&limits);
        if (r == TMI_COMPACT_FENCE)
            tmi_compact_fence(self);
    }
    tmi_unlock(&tmi_compact_lock);
    uint64_t ns = tmi_os_now_ns() - begun;
    if (ns > tmi_load_relaxed(&longest_step)) // relaxed: a statistic. A race may make it too small.
        tmi_store_relaxed(&longest_step, ns);
    return r == TMI_COMPACT_MORE || r == TMI_COMPACT_FENCE;
}

uint64_t tmi_compactor_longest_step_ns(void) { return tmi_load_relaxed(&longest_step); }

void tmi_compactor_before_fork(void) { tmi_compact_drop(); } // [model: fork_forget]

void tmi_compactor_after_fork(void)
{
    tmi_helper_after_fork(&mover);
    tmi_compactor_callback_after_fork();
    tmi_store_relaxed(&stepping, false);
    tmi_store_relaxed(&asleep, AWAKE);
    tmi_pin_forget_others(tmi_self_);
    if (tmi_pin_asymmetric())
        (void)tmi_os_fence_register(); // registering twice does no harm
}
