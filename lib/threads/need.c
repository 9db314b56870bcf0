#include "threads/need.h"

size_t tmi_need_floor(size_t live, unsigned keep_percent)
{
    return tmi_max(TMI_NEED_FLOOR_MIN, live / 100 * keep_percent);
}

size_t tmi_need_kept(const tmi_need_t *n, size_t live, unsigned keep_percent)
{
    size_t peak = tmi_max(tmi_load_relaxed(&n->peak), tmi_load_relaxed(&n->last_peak)); // relaxed: estimates
    size_t least = tmi_need_floor(live, keep_percent), below = peak > live ? peak - live : 0;
    size_t misfits = tmi_min(tmi_load_relaxed(&n->spans), live / 4);
    return tmi_min(least + tmi_load_relaxed(&n->keep),
                   tmi_max(below + below / 8 + least + misfits, live / TMI_NEED_PAST_PEAK));
}

void tmi_need_paid(tmi_need_t *n, size_t bytes)
{
    size_t misfit = bytes * TMI_NEED_MISFIT;
    tmi_store_relaxed(&n->keep, n->keep > misfit ? n->keep - misfit : 0);
}

size_t tmi_need_payment(size_t summit, size_t empty, size_t growth)
{
    if (summit < TMI_NEED_SMALL_HEAP || empty <= TMI_NEED_GROWTH_KEEP)
        return 0;
    return tmi_min(growth, empty - TMI_NEED_GROWTH_KEEP);
}

size_t tmi_need_summit(size_t summit, size_t growth, size_t live_and_empty)
{
    return tmi_max(summit + growth / 8, live_and_empty);
}

static void end_interval(tmi_need_t *n, size_t least)
{
    size_t lowest = tmi_load_relaxed(&n->lowest), used = n->highest > lowest ? n->highest - lowest : 0, keep = n->keep;
    size_t unused = lowest > least ? lowest - least : 0;
    keep = keep > unused ? keep - unused : 0;
    if (n->regrets == 0)
        keep = tmi_min(keep, tmi_max(n->keep / TMI_NEED_FADE, used));
    tmi_store_relaxed(&n->spans, n->spans / 2);
    n->regrets = 0;
    tmi_store_relaxed(&n->keep, keep);
    tmi_store_relaxed(&n->last_peak, tmi_load_relaxed(&n->peak));
}

static void begin_interval(tmi_need_t *n, const tmi_need_sight_t *sight)
{
    n->highest = sight->empty;
    tmi_store_relaxed(&n->lowest, sight->empty);
    tmi_store_relaxed(&n->peak, sight->live);
}

/* The time since the last update that counts. If little is empty now, nothing was kept meanwhile, so all of it
 * counts. */
static uint32_t time_that_counts(const tmi_need_t *n, const tmi_need_sight_t *sight, const tmi_need_rules_t *rules,
                                 size_t least)
{
    uint32_t gone = sight->now_ms - n->looked_ms;
    return sight->empty > 2 * least ? (uint32_t)tmi_min(gone, rules->longest_gap_ms) : gone;
}

void tmi_need_update(tmi_need_t *n, const tmi_need_sight_t *sight, const tmi_need_rules_t *rules)
{
    enum { INTERVALS_MAX = 8 }; // more intervals make no difference
    size_t least = tmi_need_floor(sight->live, rules->keep_percent), regrets = sight->regretted - n->regretted;
    uint64_t ran = (uint64_t)n->ran_ms + time_that_counts(n, sight, rules, least);
    tmi_store_relaxed(&n->looked_ms, sight->now_ms);
    for (unsigned i = 0; ran >= rules->interval_ms && i < INTERVALS_MAX; i++) {
        end_interval(n, least);
        begin_interval(n, sight);
        ran = ran - rules->interval_ms;
    }
    n->ran_ms = (uint32_t)(ran < rules->interval_ms ? ran : 0);
    tmi_store_relaxed(&n->regretted, sight->regretted);
    tmi_store_relaxed(&n->spans, n->spans + (sight->regretted_spans - n->regretted_spans));
    n->regretted_spans = sight->regretted_spans;
    n->regrets += regrets;
    tmi_store_relaxed(&n->keep, n->keep + regrets);
    n->highest = tmi_max(n->highest, sight->empty);
    tmi_need_note(n, sight->live, sight->empty);
}

void tmi_need_forget(tmi_need_t *n)
{
    tmi_store_relaxed(&n->keep, 0);
    n->regrets = 0;
}
