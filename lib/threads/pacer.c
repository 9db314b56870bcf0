#include "threads/pacer.h"
#include "host/counters.h"
#include "host/options.h"
#include "host/os.h"
#include "stores/raw.h"
#include "threads/helper.h"

#define KEEP_MIN ((size_t)256 << 10) // less is not worth a call to the kernel
#define ARM_MIN ((size_t)2 << 20)    // less is not worth the detour of an armed cache
#define HASTE_MIN ((size_t)16 << 20)
#define PASS_MAX ((size_t)64 << 20)
enum { ARMED_FREES_MAX = 1024 };

tmi_lock_t tmi_pacer_lock = TMI_LOCK_OF(TMI_RANK_PACER);
static uint32_t next_pass; // ms; before it no pass starts. Relaxed: a hint, passes exclude each other by the lock

static size_t empty_bytes(void) { return tmi_counter(slab_empty_bytes) + tmi_counter(dirty_bytes); }

static size_t live_bytes(void) { return tmi_counter(slab_bytes) - tmi_counter(slab_empty_bytes) + tmi_counter(large_bytes); }
static size_t kept_bytes(void) { return tmi_max(KEEP_MIN, live_bytes() / 100 * tmi_options.purge_keep); }
static size_t hasty_bytes(void) { return tmi_max(HASTE_MIN, live_bytes() / 8); }

static bool pending(void) { return empty_bytes() > kept_bytes(); }
static bool worth_arming(void) { return empty_bytes() > tmi_max(ARM_MIN, kept_bytes()); }

static void disarm(tmi_cache_t *cache)
{
    if (cache != NULL && TM_UNLIKELY(cache->armed))
        tmi_cache_disarm(cache);
}

/* Purge what is at least min_age old until no more than `target` is empty. */
static void purge_down(uint32_t now, uint32_t min_age, size_t target)
{
    size_t empty = empty_bytes(), enough = empty > target ? tmi_min(empty - target, PASS_MAX) : 0;
    size_t done = tmi_space_purge(now, min_age, enough);
    if (done < enough)
        (void)tmi_raw_purge(now, min_age, enough - done);
}

bool tmi_pacer_step(void)
{
    if (!pending() || !tmi_trylock(&tmi_pacer_lock))
        return false;
    size_t n = tmi_space_purge_unit();
    tmi_unlock(&tmi_pacer_lock);
    return n > 0;
}

/* What is at least min_age old goes, down to half of what may be kept; and of much more than that the younger, too. */
static void pass(uint32_t now, uint32_t min_age)
{
    if (!tmi_trylock(&tmi_pacer_lock))
        return;
    tmi_store_relaxed(&next_pass, now + tmi_options.purge_delay / 4);
    tmi_depot_trim(false);
    purge_down(now, min_age, kept_bytes() / 2);
    purge_down(now, min_age / 4, hasty_bytes());
    tmi_unlock(&tmi_pacer_lock);
}

static bool pass_due(uint32_t now) { return (int32_t)(now - tmi_load_relaxed(&next_pass)) >= 0; }

void tmi_pacer_background_pass(uint32_t min_age)
{
    if (empty_bytes() > kept_bytes() / 2)
        pass(tmi_os_now_ms(), min_age);
}

static void *tick(void *unused)
{
    for (;;) {
        tmi_os_sleep_ms(tmi_options.purge_delay / 4 + 1);
        if (pending())
            pass(tmi_os_now_ms(), tmi_options.purge_delay);
    }
    return unused;
}

static tmi_helper_t helper = {.work = tick};

void tmi_pacer_poll(tmi_cache_t *cache)
{
    if (TM_LIKELY(!pending())) {
        disarm(cache);
        return;
    }
    bool helped = tmi_options.background && tmi_helper_run(&helper);
    uint32_t now = tmi_os_now_ms();
    if (pass_due(now))
        pass(now, tmi_options.purge_delay);
    if (cache == NULL || helped)
        return;
    cache->armed_frees = 0;
    if (!worth_arming())
        disarm(cache);
    else if (!cache->armed)
        tmi_cache_arm(cache);
}

void tmi_pacer_armed_free(tmi_cache_t *cache)
{
    cache->armed_frees++;
    if (cache->armed_frees % TMI_ARMED_FREES_PER_LOOK != 0)
        return;
    uint32_t now = tmi_os_now_ms();
    bool idle = cache->armed_frees >= ARMED_FREES_MAX; // without an exchange: see tmi_pacer_poll
    if (pass_due(now))
        pass(now, idle ? 0 : tmi_options.purge_delay);
    if (!worth_arming())
        tmi_cache_disarm(cache);
}

size_t tmi_pacer_purge_all(void)
{
    tmi_lock(&tmi_pacer_lock); // fork waits for it: a span that is being purged is in no list
    tmi_depot_trim(true);
    uint32_t now = tmi_os_now_ms();
    size_t n = tmi_space_purge(now, 0, (size_t)-1) + tmi_raw_purge(now, 0, (size_t)-1);
    tmi_unlock(&tmi_pacer_lock);
    return n;
}

void tmi_pacer_after_fork(void) { tmi_helper_after_fork(&helper); }
