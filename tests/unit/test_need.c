/* How much empty memory is kept: bursts, their end, caches, and time in which nobody came by; each by the equations of
 * need.h. */
#include "support.h"
#include "threads/need.h"

enum { PERCENT = 2, INTERVAL = 5000, GAP = 100 };
#define MIB TMI_MIB

/* A program and its heap in small: what is empty beyond the need is purged at once, and taken again it is regretted if
 * that was less than `memory` ms ago. */
typedef struct model {
    tmi_need_t need;
    uint32_t now, purged_at, gap;
    size_t live, empty, debt, regretted, spans, fetched;
} model_t;

static size_t kept(const model_t *m) { return tmi_need_kept(&m->need, m->live, PERCENT); }

static void look(model_t *m)
{
    tmi_need_sight_t sight = {m->now, m->live, m->empty, m->regretted, m->spans};
    tmi_need_rules_t rules = {PERCENT, INTERVAL, m->gap};
    tmi_need_update(&m->need, &sight, &rules);
}

static void purge(model_t *m)
{
    if (m->empty <= kept(m))
        return;
    m->debt += m->empty - kept(m);
    m->purged_at = m->now;
    m->empty = kept(m);
}

static void take(model_t *m, size_t bytes)
{
    size_t there = tmi_min(bytes, m->empty), fresh = bytes - there;
    size_t regretted = m->now - m->purged_at <= 5000 ? tmi_min(fresh, m->debt) : 0;
    m->debt -= regretted;
    m->regretted += regretted;
    m->fetched += fresh;
    m->empty -= there;
    m->live += bytes;
    tmi_need_note(&m->need, m->live, m->empty);
}

static void give(model_t *m, size_t bytes)
{
    m->live -= bytes;
    m->empty += bytes;
    look(m);
    purge(m);
}

static void pass_time(model_t *m, uint32_t ms)
{
    m->now += ms;
}

/* A helper runs every half second. */
static void sleep_beside_helper(model_t *m, uint32_t ms)
{
    for (uint32_t t = 0; t < ms; t += 500) {
        pass_time(m, 500);
        look(m);
        purge(m);
    }
}

static void burst(model_t *m, size_t bytes)
{
    for (size_t done = 0; done < bytes; done += MIB)
        take(m, MIB);
    for (size_t done = 0; done < bytes; done += MIB)
        give(m, MIB);
}

static void the_floor_follows_live_memory(void **state)
{
    (void)state;
    tmi_need_t n = {0};
    assert_int_equal(tmi_need_kept(&n, 0, PERCENT), TMI_NEED_FLOOR_MIN);
    assert_int_equal(tmi_need_kept(&n, 100 * TMI_NEED_FLOOR_MIN, PERCENT), 2 * TMI_NEED_FLOOR_MIN);
    assert_int_equal(tmi_need_kept(&n, SIZE_MAX / 2, 0), TMI_NEED_FLOOR_MIN);
}

static void a_first_burst_is_given_back(void **state)
{
    (void)state;
    model_t m = {.gap = GAP};
    burst(&m, 64 * MIB);
    assert_int_equal(m.empty, TMI_NEED_FLOOR_MIN);
}

static void periodic_bursts_are_kept_from_the_third_on(void **state)
{
    (void)state;
    for (uint32_t period = 1; period <= 4000; period *= 4) {
        model_t m = {.gap = GAP};
        for (int turn = 1; turn <= 40; turn++) {
            size_t before = m.fetched;
            burst(&m, 64 * MIB);
            if (turn > 2)
                assert_int_equal(m.fetched, before);
            pass_time(&m, period);
        }
        assert_true(kept(&m) >= 60 * MIB);
    }
}

static void bursts_far_apart_are_given_back_each_time(void **state)
{
    (void)state;
    model_t m = {.gap = GAP};
    for (int turn = 1; turn <= 10; turn++) {
        burst(&m, 64 * MIB);
        assert_int_equal(m.empty, TMI_NEED_FLOOR_MIN);
        pass_time(&m, 10000);
    }
}

static void after_the_last_burst_a_helper_lets_go(void **state)
{
    (void)state;
    model_t m = {.gap = UINT32_MAX};
    for (int turn = 1; turn <= 20; turn++) {
        burst(&m, 64 * MIB);
        sleep_beside_helper(&m, 500);
    }
    assert_true(m.empty >= 60 * MIB);
    sleep_beside_helper(&m, 2 * INTERVAL + 1000);
    assert_int_equal(m.empty, TMI_NEED_FLOOR_MIN);
}

static void a_sleep_takes_nothing_from_a_program_without_helper(void **state)
{
    (void)state;
    model_t m = {.gap = GAP};
    for (int turn = 1; turn <= 5; turn++) {
        burst(&m, 64 * MIB);
        pass_time(&m, 200);
    }
    size_t before = m.empty;
    pass_time(&m, 3600 * 1000);
    take(&m, MIB);
    give(&m, MIB);
    assert_true(m.empty >= before - MIB);
}

static void what_is_not_used_any_more_goes_as_time_goes_by(void **state)
{
    (void)state;
    model_t m = {.gap = GAP};
    for (int turn = 1; turn <= 5; turn++) {
        burst(&m, 64 * MIB);
        pass_time(&m, 50);
    }
    for (int turn = 1; turn <= 400; turn++) { // 20 s with smaller ones
        burst(&m, 8 * MIB);
        pass_time(&m, 50);
    }
    assert_in_range(m.empty, 7 * MIB, 11 * MIB);
}

/* Regret of long ago, while nothing was kept that could have shown it to be wrong. */
static void old_regret_is_forgotten(void **state)
{
    (void)state;
    model_t m = {.gap = GAP};
    burst(&m, 64 * MIB);
    take(&m, 64 * MIB);
    look(&m);
    assert_true(m.need.keep >= 60 * MIB);
    for (int i = 0; i < 8; i++) {
        pass_time(&m, 10000);
        give(&m, MIB);
        take(&m, MIB);
    }
    give(&m, 64 * MIB);
    assert_in_range(m.empty, MIB, 4 * MIB);
}

/* Something live all the time: kept memory takes the heap past its peak by at most a 28th, and a quarter of what is
 * live where spans did not fit. */
static void a_steady_heap_keeps_little_however_much_it_regrets(void **state)
{
    (void)state;
    model_t m = {.gap = GAP};
    take(&m, 480 * MIB);
    for (int turn = 0; turn < 1000; turn++) {
        m.regretted += 10 * MIB;
        give(&m, 30 * MIB);
        take(&m, 30 * MIB);
        pass_time(&m, 3);
    }
    assert_true(m.need.keep > 100 * MIB);
    assert_int_equal(tmi_need_kept(&m.need, m.live, PERCENT), m.live / 28);
    m.spans += 1000 * MIB;
    look(&m);
    assert_in_range(tmi_need_kept(&m.need, m.live, PERCENT), m.live / 4, m.live / 3);
}

/* Two sizes in turn, of which each has to pay for the other's growth. Returns all that was paid. */
static size_t paid_by_turns(size_t wanted, bool raised)
{
    enum { TURNS = 100000 };
    size_t resident[2] = {0, 0}, summit = 0, paid = 0;
    for (unsigned t = 0; t < TURNS; t++) {
        size_t *mine = &resident[t % 2], *other = &resident[(t + 1) % 2];
        for (*mine = tmi_max(*mine, 1); *mine < wanted; *mine += TMI_KIB) {
            size_t all = *mine + *other, payment;
            if (all < summit + TMI_NEED_GROWTH_MIN)
                continue;
            payment = tmi_need_payment(summit, *other, all - summit);
            *other -= payment;
            paid += payment;
            summit = raised ? tmi_need_summit(summit, all - summit, all - payment) : tmi_max(summit, all - payment);
        }
    }
    return paid;
}

static void growth_is_paid_for_but_not_for_ever(void **state)
{
    enum { HEAP = TMI_NEED_SMALL_HEAP };
    (void)state;
    assert_int_equal(tmi_need_payment(HEAP, TMI_NEED_GROWTH_KEEP, MIB), 0);
    assert_int_equal(tmi_need_payment(HEAP, 10 * MIB, MIB), MIB);
    assert_int_equal(tmi_need_payment(HEAP, MIB, 10 * MIB), MIB - TMI_NEED_GROWTH_KEEP);
    assert_in_range(paid_by_turns(10 * MIB, true), 10 * MIB, 8 * 20 * MIB);
    assert_int_equal(paid_by_turns(3 * MIB, true), 0);             // a small heap
    assert_true(paid_by_turns(10 * MIB, false) > 1000 * 20 * MIB); // control
}

/* What pays for growth was kept, and did not fit. frag-drift shows what that is good for. */
static void what_pays_was_kept_for_nothing(void **state)
{
    (void)state;
    model_t m = {.gap = GAP};
    take(&m, 300 * MIB);
    m.regretted += 100 * MIB;
    look(&m);
    m.live -= 200 * MIB;
    size_t before = kept(&m);
    tmi_need_paid(&m.need, 5 * MIB);
    assert_int_equal(before - kept(&m), TMI_NEED_MISFIT * 5 * MIB);
    tmi_need_paid(&m.need, 5000 * MIB);
    assert_int_equal(kept(&m), tmi_need_floor(m.live, PERCENT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_floor_follows_live_memory),
        cmocka_unit_test(a_first_burst_is_given_back),
        cmocka_unit_test(periodic_bursts_are_kept_from_the_third_on),
        cmocka_unit_test(bursts_far_apart_are_given_back_each_time),
        cmocka_unit_test(after_the_last_burst_a_helper_lets_go),
        cmocka_unit_test(a_sleep_takes_nothing_from_a_program_without_helper),
        cmocka_unit_test(what_is_not_used_any_more_goes_as_time_goes_by),
        cmocka_unit_test(old_regret_is_forgotten),
        cmocka_unit_test(a_steady_heap_keeps_little_however_much_it_regrets),
        cmocka_unit_test(growth_is_paid_for_but_not_for_ever),
        cmocka_unit_test(what_pays_was_kept_for_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
