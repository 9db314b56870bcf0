#include "threads/pacer.h"
#include "os/counters.h"
#include "os/options.h"
#include "os/os.h"
#include "segments/regret.h"
#include "slabs/handle.h"
#include "slabs/medium.h"
#include "slabs/mixed.h"
#include "slabs/raw.h"
#include "threads/helper.h"
#include "threads/need.h"
#include "threads/request.h"

#define ARM_MIN ((size_t)2 << 20)      // with fewer bytes to purge, the slower frees of an armed cache do not pay
#define SLACK ((size_t)256 << 10)      // fewer bytes are not worth a system call
#define QUIET_KEEP ((size_t)128 << 10) // what the mover keeps in a quiet program
#define SPANS_AT_ONCE ((size_t)1 << 20)
#define PAGES_AT_ONCE ((size_t)64 << 10)
#define SLICE_NS UINT64_C(100000)
enum { MIX_FROM = 4 }; // mix slabs if a quarter of the heap is free bytes in slabs
enum { LOOK_MS = 50, GAP_MS = 100, REFUSED_MS = 1000, NS_PER_PAGE = 250 };

tmi_lock_t tmi_pacer_lock = TMI_LOCK_OF(TMI_RANK_PACER);
static tmi_need_t need;

static size_t empty_bytes(void)
{
    size_t slots = tmi_counter(slab_empty_bytes) + tmi_counter(medium_empty_bytes);
    return slots + tmi_counter(dirty_bytes) + tmi_handle_idle_bytes();
}
static size_t occupied_bytes(void)
{
    size_t raw = tmi_counter(slab_bytes) - tmi_counter(slab_empty_bytes) + tmi_counter(large_bytes);
    return raw + tmi_counter(movable_bytes) + tmi_counter(extent_bytes) + tmi_handle_bytes() - tmi_handle_idle_bytes();
}
static size_t floor_bytes(void) { return tmi_need_floor(occupied_bytes(), tmi_option(purge_keep)); }
static size_t kept_bytes(void) { return tmi_need_kept(&need, occupied_bytes(), tmi_option(purge_keep)); }

/* Purging is worth a call when more than this is empty. */
static size_t with_slack(size_t kept) { return kept + kept / 8 + SLACK; }

/* ---- purging ----------------------------------------------------------------------------------------------------- */

/* The caller holds the pacer lock. */
static void look(uint32_t now, uint32_t longest_gap)
{
    tmi_need_sight_t sight = {now, occupied_bytes(), empty_bytes(), tmi_counter(regretted_bytes),
                              tmi_counter(regretted_spans)};
    tmi_need_rules_t rules = {tmi_option(purge_keep), tmi_max(tmi_option(purge_delay), 1), longest_gap};
    tmi_need_update(&need, &sight, &rules);
}

static size_t purge_table(size_t bytes)
{
    size_t pages = tmi_handle_idle_groups();
    return pages > 0 ? tmi_handle_purge(0, tmi_min(pages, bytes / tmi_os_page_size + 1)) : 0;
}

/* Purge a part of `bytes`: free spans first, since they cost the kernel least; then slots of whole pages, then pages of
 * slabs, then pages of the handle table. */
static size_t purge_some(size_t bytes)
{
    size_t n = tmi_space_purge(tmi_min(bytes, SPANS_AT_ONCE));
    if (n == 0)
        n = tmi_medium_purge(tmi_min(bytes, SPANS_AT_ONCE));
    if (n == 0)
        n = tmi_raw_purge(tmi_min(bytes, PAGES_AT_ONCE));
    if (n == 0)
        n = tmi_mixed_purge(tmi_min(bytes, PAGES_AT_ONCE));
    return n > 0 ? n : purge_table(tmi_min(bytes, PAGES_AT_ONCE));
}

/* Purge until at most `kept` bytes are empty, or `ns` have passed. The caller holds the pacer lock. False: pages were
 * left to purge, and the kernel took none. */
static bool purge_down(size_t kept, uint64_t ns)
{
    uint64_t end = tmi_os_now_ns() + ns;
    for (size_t empty = empty_bytes(); empty > kept; empty = empty_bytes()) {
        if (purge_some(empty - kept) == 0)
            return false;
        if (tmi_os_now_ns() >= end)
            break;
    }
    return true;
}

/* The kernel refuses to purge pages under mlock. A program that has locked all of its memory should not pay for an
 * attempt at every free. */
static uint32_t refused_until; // time in ms, | 1 so that it is not 0; 0: not refused. Relaxed: only for pacing

static bool refused(void)
{
    uint32_t until = tmi_load_relaxed(&refused_until);
    return TMI_UNLIKELY(until != 0) && (int32_t)(tmi_os_now_ms() - until) < 0;
}

/* The caller holds the pacer lock. */
static void purge_or_wait(size_t kept, uint64_t ns)
{
    bool any = purge_down(kept, ns);
    tmi_store_relaxed(&refused_until, any ? 0 : (tmi_os_now_ms() + REFUSED_MS) | 1);
}

/* Purge one slice in a thread of the program. */
static void slice(size_t kept, uint64_t ns)
{
    if (refused() || !tmi_trylock(&tmi_pacer_lock))
        return;
    purge_or_wait(kept, ns);
    tmi_unlock(&tmi_pacer_lock);
}

/* Purge slice by slice in a background thread. fork waits for one slice at most. */
static void purge_patiently(size_t kept)
{
    size_t before;
    do {
        before = empty_bytes();
        slice(kept, SLICE_NS);
    } while (empty_bytes() > kept && empty_bytes() < before);
}

bool tmi_pacer_step(void)
{
    if (empty_bytes() <= with_slack(kept_bytes()) || !tmi_trylock(&tmi_pacer_lock))
        return false;
    size_t n = tmi_space_purge(TMI_UNIT_SIZE);
    tmi_unlock(&tmi_pacer_lock);
    return n > 0;
}

void tmi_pacer_background_pass(void)
{
    if (empty_bytes() > with_slack(kept_bytes()))
        purge_patiently(kept_bytes());
}

size_t tmi_pacer_purge_all(void)
{
    tmi_lock(&tmi_pacer_lock);
    tmi_depot_trim(true);
    tmi_medium_release_unused();
    size_t n = tmi_space_purge(SIZE_MAX) + tmi_medium_purge(SIZE_MAX) + tmi_raw_purge(SIZE_MAX) +
               tmi_mixed_purge(SIZE_MAX) + purge_table(SIZE_MAX);
    tmi_need_forget(&need);
    (void)tmi_add_relaxed(&tmi_regret_epoch, 1);
    tmi_unlock(&tmi_pacer_lock);
    return n;
}

/* ---- the helper thread ------------------------------------------------------------------------------------------- */

enum { WATCH_MS = 200, STOPPED_MS = 1500 };
enum { LINGER_MS = 1000 }; // also how long the helper may keep a process alive that has no other thread

static void *help(void *unused);
static tmi_helper_t helper = {.work = help};
static uint32_t asleep; // futex: 1 while the helper waits for something to do

/* After the main thread has ended, the helper checks more often whether other threads are left. */
static uint32_t patience(uint32_t ms)
{
    return tmi_load_relaxed(&tmi_thread_main_left) ? (uint32_t)tmi_min(ms, TMI_HELPER_LOOK_MS) : ms;
}

static bool anything_to_do(void) { return empty_bytes() > with_slack(floor_bytes()) && !refused(); }

/* Flush the depots: their slots keep pages in use. */
static void empty_depots(void)
{
    if (!tmi_trylock(&tmi_pacer_lock)) // fork must not lose slots that are between depot and slab
        return;
    tmi_depot_trim(true);
    tmi_unlock(&tmi_pacer_lock);
}

/* False: there has been no work for a while. A thread that frees stores its counts and then reads `asleep`; the helper
 * stores `asleep` and then reads the counts. With a full fence on both sides one of them sees the other. */
static bool wait_for_work(void)
{
    tmi_store_relaxed(&asleep, 1);
    tmi_fence_full(); // pairs: wake_helper
    while (!anything_to_do() && tmi_load_relaxed(&asleep) != 0)
        if (!tmi_os_futex_wait_ms(&asleep, 1, patience(LINGER_MS))) {
            empty_depots();
            break;
        }
    tmi_helper_end_if_last();
    tmi_request_poll();
    tmi_store_relaxed(&asleep, 0);
    return anything_to_do();
}

/* The program has stopped if no allocation has taken a slow path for STOPPED_MS. Bursts may be as far apart. */
static uint32_t still; // 0 since the last allocation. Relaxed: a hint

static bool has_stopped(uint32_t now)
{
    static uint32_t since; // relaxed: it paces
    if (tmi_load_relaxed(&still) == 0)
        tmi_store_relaxed(&since, now);
    tmi_store_relaxed(&still, 1);
    return now - tmi_load_relaxed(&since) >= STOPPED_MS;
}

/* One pass of the helper. Returns whether the program has stopped. */
static bool pass_of_helper(void)
{
    uint32_t now = tmi_os_now_ms();
    bool stopped = has_stopped(now);
    if (tmi_trylock(&tmi_pacer_lock)) {
        look(now, UINT32_MAX);
        if (stopped)
            tmi_need_forget(&need);
        tmi_depot_trim(false);
        tmi_unlock(&tmi_pacer_lock);
    }
    if (empty_bytes() > with_slack(kept_bytes()))
        purge_patiently(kept_bytes());
    return stopped;
}

static uint32_t until_next_pass(void)
{
    return empty_bytes() > with_slack(kept_bytes()) ? TMI_PACER_SOON_MS : WATCH_MS;
}

/* The helper stays until what was kept for bursts has been purged. */
static void *help(void *unused)
{
    do {
        while (anything_to_do() || wait_for_work()) {
            tmi_os_sleep_ms(patience(until_next_pass()));
            tmi_helper_end_if_last();
            tmi_request_poll();
            (void)pass_of_helper();
        }
    } while (!tmi_helper_leave(&helper, anything_to_do));
    return unused;
}

/* ---- another thread as the helper ------------------------------------------------------------------------------- */

static bool (*server)(void); // wakes that thread

void tmi_pacer_serve_by(bool (*call)(void)) { tmi_store_release(&server, call); } // pairs: wake_helper

uint32_t tmi_pacer_serve(uint32_t idle_ms)
{
    bool stopped = pass_of_helper();
    size_t kept = tmi_max(QUIET_KEEP, occupied_bytes() / 200 * tmi_option(purge_keep));
    if (anything_to_do())
        return until_next_pass();
    if (empty_bytes() <= kept)
        return 0;
    if (stopped)
        purge_patiently(kept);
    return stopped || idle_ms > 2 * STOPPED_MS ? 0 : WATCH_MS;
}

/* ---- waking the helper ------------------------------------------------------------------------------------------- */

/* A child of fork has one thread, however many its parent had. Other libraries' wrappers of pthread_create may not work
 * in it. So it counts as alone until more caches are in use than right after the fork. The number is 0 in other
 * processes. */
static uint32_t caches_of_child;

static bool alone(void)
{
    uint32_t then = tmi_load_relaxed(&caches_of_child); // relaxed: all of this is a hint
    if (TMI_UNLIKELY(then != 0) && tmi_caches_in_use() > then)
        tmi_store_relaxed(&caches_of_child, then = 0);
    return then != 0 || tmi_os_single_threaded();
}

static bool may_have_helper(void)
{
    return tmi_option(background) == TMI_BACKGROUND_ON || (tmi_option(background) == TMI_BACKGROUND_AUTO && !alone());
}

/* False: there is no helper. */
static bool wake_helper(void)
{
    if (!may_have_helper())
        return false;
    // the counts before both looks; pairs: wait_for_work, tmi_helper_leave, and the server's own fence
    tmi_fence_full();
    bool (*call)(void) = tmi_load_acquire(&server); // pairs: tmi_pacer_serve_by
    if (call != NULL && call())
        return true;
    if (!tmi_helper_run(&helper))
        return false;
    if (TMI_UNLIKELY(tmi_load_relaxed(&asleep) != 0)) {
        tmi_store_relaxed(&asleep, 0);
        tmi_os_futex_wake_one(&asleep);
    }
    return true;
}

/* ---- work in the program's own calls ----------------------------------------------------------------------------- */

static void disarm(tmi_cache_t *cache)
{
    if (cache != NULL && TMI_UNLIKELY(cache->armed))
        tmi_cache_disarm(cache);
}

/* After a slice: arm the cache if its frees should purge more, or else disarm it. */
static void arm_or_disarm(tmi_cache_t *cache, size_t kept)
{
    if (cache == NULL)
        return;
    if (empty_bytes() <= with_slack(kept) + ARM_MIN || refused())
        disarm(cache);
    else if (!cache->armed)
        tmi_cache_arm(cache);
}

/* Update the need every LOOK_MS while something is empty, and whenever more bytes have been regretted. */
static void look_when_due(void)
{
    uint32_t now = tmi_os_now_ms();
    bool due = now - tmi_load_relaxed(&need.looked_ms) >= LOOK_MS; // relaxed: it paces
    if (!due && tmi_counter(regretted_bytes) == tmi_load_relaxed(&need.regretted))
        return;
    if (!tmi_trylock(&tmi_pacer_lock))
        return;
    look(now, GAP_MS);
    if (due)
        tmi_depot_trim(false);
    tmi_unlock(&tmi_pacer_lock);
}

static TMI_NOINLINE void give_back(tmi_cache_t *cache, size_t bytes)
{
    tmi_request_poll();
    if (anything_to_do() && wake_helper()) {
        disarm(cache);
        return;
    }
    look_when_due();
    size_t kept = kept_bytes();
    if (empty_bytes() > with_slack(kept))
        slice(kept, SLICE_NS + bytes / tmi_os_page_size * NS_PER_PAGE);
    arm_or_disarm(cache, kept);
}

void tmi_pacer_freed(tmi_cache_t *cache, size_t bytes)
{
    if (TMI_LIKELY(empty_bytes() <= TMI_NEED_FLOOR_MIN))
        disarm(cache);
    else
        give_back(cache, bytes);
}

void tmi_pacer_armed_free(tmi_cache_t *cache)
{
    cache->armed_frees++;
    if (cache->armed_frees % TMI_ARMED_FREES_PER_LOOK == 0)
        give_back(cache, 0);
}

static TMI_NOINLINE void work_while_idle(void)
{
    if (!tmi_trylock(&tmi_pacer_lock))
        return;
    look(tmi_os_now_ms(), UINT32_MAX);
    tmi_unlock(&tmi_pacer_lock);
    size_t kept = kept_bytes();
    if (empty_bytes() > with_slack(kept))
        slice(kept, SLICE_NS);
}

void tmi_pacer_idle(void)
{
    tmi_request_poll();
    if (TMI_UNLIKELY(empty_bytes() > TMI_NEED_FLOOR_MIN))
        work_while_idle();
}

static size_t summit; // T of need.h. Relaxed: it paces

static void pay(size_t empty, size_t payment)
{
    if (refused() || !tmi_trylock(&tmi_pacer_lock))
        return;
    size_t spans = tmi_counter(dirty_bytes);
    purge_or_wait(empty - payment, SLICE_NS);
    size_t left = empty_bytes(), paid = empty > left ? empty - left : 0;
    spans -= tmi_min(spans, tmi_counter(dirty_bytes));
    tmi_need_paid(&need, paid - tmi_min(paid, spans));
    tmi_unlock(&tmi_pacer_lock);
    tmi_count(growth_paid_bytes, paid);
}

static TMI_NOINLINE void pay_for_growth(size_t highest, size_t growth)
{
    if (highest >= TMI_NEED_SMALL_HEAP && tmi_raw_room() >= (occupied_bytes() + empty_bytes()) / MIX_FROM)
        (void)tmi_raw_mix(growth * 2);
    size_t empty = empty_bytes(), about_to_be_used = tmi_min(tmi_mixed_figures().empty, empty);
    size_t payment = tmi_need_payment(highest, empty - about_to_be_used, growth);
    if (payment > 0)
        pay(empty, payment);
    tmi_store_relaxed(&summit, tmi_need_summit(highest, growth, occupied_bytes() + empty_bytes()));
}

void tmi_pacer_allocated(void)
{
    tmi_request_poll();
    size_t live = occupied_bytes(), empty = empty_bytes(), highest = tmi_load_relaxed(&summit);
    tmi_need_note(&need, live, empty);
    if (TMI_UNLIKELY(tmi_load_relaxed(&still) != 0))
        tmi_store_relaxed(&still, 0);
    if (TMI_UNLIKELY(live + empty >= highest + TMI_NEED_GROWTH_MIN))
        pay_for_growth(highest, live + empty - highest);
}

void tmi_pacer_after_fork(void)
{
    tmi_store_relaxed(&asleep, 0);
    tmi_store_relaxed(&caches_of_child, tmi_caches_in_use());
    tmi_store_relaxed(&server, NULL);
    tmi_helper_after_fork(&helper);
}
