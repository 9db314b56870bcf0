#include "policy.h"

/* need.c itself, its constants replaced by variables. */
#include "threads/need.h"
enum { CHOSEN_FLOOR = TMI_NEED_FLOOR_MIN >> 10, CHOSEN_FADE = TMI_NEED_FADE, CHOSEN_PAST_PEAK = TMI_NEED_PAST_PEAK };
static constants_t k;
#undef TMI_NEED_FLOOR_MIN
#undef TMI_NEED_FADE
#undef TMI_NEED_PAST_PEAK
#define TMI_NEED_FLOOR_MIN (k.floor_kib << 10)
#define TMI_NEED_FADE k.fade
#define TMI_NEED_PAST_PEAK k.past_peak
#include "threads/need.c"

/* Those of pacer.c, which keeps them to itself, of regret.h, and the defaults of options; a test compares them. */
enum { SLACK = 256 << 10, SOON_MS = 20, WATCH_MS = 200 };
const constants_t policy_chosen = {
    .floor_kib = CHOSEN_FLOOR, .fade = CHOSEN_FADE, .past_peak = CHOSEN_PAST_PEAK,
    .keep_percent = 2, .interval_ms = 5000,
    .look_ms = 50, .gap_ms = 100, .stopped_ms = 1500, .regret_ms = 5000};

static bool has_helper;
static uint32_t due; // next poll, ms

/* ---- constant, age ---------------------------------------------------------------------------------------------- */

static size_t keep;
static uint32_t age_ms;

static void begin_plain(void) { due = UINT32_MAX; }
static void nothing(heap_t *h) { (void)h; }
static void keep_constant(heap_t *h) { heap_give_back(h, keep); }

static void keep_young(heap_t *h)
{
    heap_give_back_older(h, age_ms);
    due = has_helper && h->empty > 0 ? h->now + tmi_max(age_ms / 20, 1) : UINT32_MAX;
}

/* ---- regret: pacer.c, function by function ---------------------------------------------------------------------- */

static tmi_need_t need;
static size_t summit;
static uint32_t since; // the last allocation that the helper has seen
static bool still;

static void begin_regret(void)
{
    need = (tmi_need_t){0};
    summit = 0;
    since = 0;
    still = false;
    due = UINT32_MAX;
}

static size_t kept_bytes(const heap_t *h) { return tmi_need_kept(&need, h->live, (unsigned)k.keep_percent); }
static size_t floor_bytes(const heap_t *h) { return tmi_need_floor(h->live, (unsigned)k.keep_percent); }
static size_t with_slack(size_t kept) { return kept + kept / 8 + SLACK; }
static bool anything_to_do(const heap_t *h) { return h->empty > with_slack(floor_bytes(h)); }

static void look(const heap_t *h, uint32_t longest_gap)
{
    tmi_need_sight_t sight = {h->now, h->live, h->empty, h->regretted, h->regretted_spans};
    tmi_need_rules_t rules = {(unsigned)k.keep_percent, (uint32_t)k.interval_ms, longest_gap};
    tmi_need_update(&need, &sight, &rules);
}

static void give_back_the_rest(heap_t *h)
{
    size_t kept = kept_bytes(h);
    if (h->empty > with_slack(kept))
        heap_give_back(h, kept);
}

static void plan_next_pass(const heap_t *h)
{
    due = !anything_to_do(h) ? UINT32_MAX : h->now + (h->empty > with_slack(kept_bytes(h)) ? SOON_MS : WATCH_MS);
}

static void pass_of_helper(heap_t *h)
{
    since = still ? since : h->now;
    still = true;
    look(h, UINT32_MAX);
    if (h->now - since >= k.stopped_ms)
        tmi_need_forget(&need);
    give_back_the_rest(h);
    plan_next_pass(h);
}

static void freed(heap_t *h)
{
    if (h->empty <= TMI_NEED_FLOOR_MIN)
        return;
    if (has_helper && anything_to_do(h)) {
        if (due == UINT32_MAX)
            plan_next_pass(h);
        return;
    }
    if (h->now - need.looked_ms >= k.look_ms || h->regretted != need.regretted)
        look(h, (uint32_t)k.gap_ms);
    give_back_the_rest(h);
}

static void allocated(heap_t *h)
{
    tmi_need_note(&need, h->live, h->empty);
    still = false;
    if (h->live + h->empty >= summit + TMI_NEED_GROWTH_MIN) {
        size_t growth = h->live + h->empty - summit;
        size_t payment = tmi_need_payment(summit, h->empty, growth);
        heap_give_back(h, h->empty - payment);
        tmi_need_paid(&need, payment);
        summit = tmi_need_summit(summit, growth, h->live + h->empty);
    }
}

/* ---- all -------------------------------------------------------------------------------------------------------- */

outcome_t policy_constant(const trace_t *t, size_t bytes, double horizon_ms)
{
    static const policy_ops_t ops = {begin_plain, nothing, keep_constant, nothing, &due};
    keep = bytes;
    return heap_replay(t, &ops, 1, horizon_ms);
}

outcome_t policy_age(const trace_t *t, uint32_t ms, bool helper, double horizon_ms)
{
    static const policy_ops_t ops = {begin_plain, keep_young, keep_young, keep_young, &due};
    age_ms = ms;
    has_helper = helper;
    return heap_replay(t, &ops, 1, horizon_ms);
}

outcome_t policy_regret(const trace_t *t, const constants_t *constants, bool helper, double horizon_ms)
{
    static const policy_ops_t ops = {begin_regret, allocated, freed, pass_of_helper, &due};
    k = *constants;
    has_helper = helper;
    return heap_replay(t, &ops, (uint32_t)k.regret_ms, horizon_ms);
}
