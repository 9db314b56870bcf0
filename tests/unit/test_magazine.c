/* Magazines: G1-G6, bounded whatever a thread does, and every slot returns to its slab. */
#include "heap/heap.h"
#include "heap/introspect.h"
#include "os/os.h"
#include "slabs/raw.h"
#include "support.h"
#include "threads/magazine.h"

#include <string.h>

static tmi_cache_t cache;

static void *take(unsigned cls)
{
    void *p = tmi_cache_pop((char *)&cache.magazines, 0, cls * 2);
    return p != NULL ? p : tmi_cache_alloc(&cache, cls);
}

static void give(unsigned cls, void *p)
{
    if (!tmi_cache_push(&cache, cls * 2, p))
        tmi_cache_free(&cache, cls, p, "free");
}

/* G1-G3, G5; returns the bytes the cache holds. */
static size_t check_cache(const tmi_cache_t *c)
{
    size_t may_hold = 0, holds = 0;
    for (unsigned cls = TMI_CLASS_FIRST; cls <= TMI_CLASS_LAST; cls++) {
        const tmi_magazine_t *m = &c->magazines[cls];
        const tmi_magazine_info_t *b = &c->info[cls];
        size_t count = tmi_cache_count(c, cls);
        if (b->buffer == NULL) {
            assert_int_equal(b->capacity, 0);
            assert_null(m->top[-1]); // G1
            assert_null(m->limit);   // G2
            continue;
        }
        assert_null(b->buffer[0]);
        assert_true(tmi_is_pow2(b->capacity + 1u));
        assert_true(m->top > b->buffer && m->top <= b->buffer + 1 + b->capacity);
        assert_true(m->limit == (tmi_cache_diverts(c, cls) ? NULL : b->buffer + 1 + b->capacity)); // G2
        assert_true(m->top <= tmi_cache_returning(b) && (b->homing || b->nreturning == 0)); // G5
        may_hold += (size_t)b->capacity * tmi_classes[cls].size;
        holds += count * tmi_classes[cls].size;
    }
    assert_int_equal(may_hold, c->bound - c->budget); // G3
    assert_true(may_hold <= TMI_THREAD_CACHE_MAX);
    return holds;
}

static void fresh_cache(bool observed)
{
    memset(&cache, 0, sizeof cache);
    tmi_cache_init(&cache, observed);
}

static void drop_cache(void)
{
    tmi_cache_destroy(&cache);
    tmi_depot_trim(true);
    assert_int_equal(cache.budget, cache.bound); // G3
    for (unsigned c = TMI_CLASS_FIRST; c <= TMI_CLASS_LAST; c++)
        assert_true(tmi_cache_count(&cache, c) == 0 && tmi_depot_count(c) == 0 && tmi_raw_classes[c].nslabs == 0);
    tmi_check_all();
}

/* The record of a thread that has ended may be taken by one that uses its handles first: then nothing makes the cache,
 * and both fast and slow paths must find one that serves nothing. */
static void a_destroyed_cache_serves_nothing(void **state)
{
    (void)state;
    for (int rationed = 0; rationed < 2; rationed++) {
        fresh_cache(false);
        if (rationed)
            tmi_cache_ration(&cache, true);
        void *p = tmi_cache_alloc(&cache, tmi_class_of(48));
        assert_non_null(p);
        tmi_cache_free(&cache, tmi_class_of(48), p, "free");
        assert_true(cache.rationed == rationed && cache.codes[48] != 0); // control
        drop_cache();
        assert_false(cache.rationed || cache.busy);
        for (size_t size = 0; size <= TMI_TINY_MAX; size++)
            assert_int_equal(cache.codes[size], 0);
        assert_null(cache.rations[0][-1]);
        for (unsigned c = TMI_CLASS_FIRST; c <= TMI_CLASS_LAST; c++) {
            assert_null(cache.magazines[c].top[-1]);
            assert_ptr_equal(cache.magazines[c].limit, TMI_LIMIT_DIVERTS);
            assert_true(cache.info[c].capacity == 0 && cache.info[c].buffer == NULL);
        }
    }
}

static void codes_lead_to_the_class(void **state)
{
    (void)state;
    fresh_cache(false);
    for (size_t size = 0; size <= TMI_TINY_MAX; size++)
        assert_int_equal(cache.codes[size], TMI_POP_FIRST + tmi_class_of(size) * TMI_POP_CODE);
    drop_cache();
}

static void last_freed_is_first_allocated(void **state)
{
    (void)state;
    fresh_cache(false);
    unsigned c = tmi_class_of(100);
    void *a = take(c), *b = take(c);
    give(c, a);
    give(c, b);
    assert_ptr_equal(take(c), b);
    assert_ptr_equal(take(c), a);
    give(c, a);
    give(c, b);
    drop_cache();
}

static void what_a_thread_holds_is_bounded(void **state)
{
    (void)state;
    enum { LIVE = 4000 };
    static struct { void *p; unsigned cls; } live[LIVE];
    rng_t r = {41};
    size_t most = 0;
    fresh_cache(false);
    memset(live, 0, sizeof live);
    for (size_t step = 0; step < scaled(400000); step++) {
        size_t i = rng_below(&r, LIVE);
        if (live[i].p != NULL) {
            give(live[i].cls, live[i].p);
            live[i].p = NULL;
        } else {
            unsigned focus = (unsigned)(step / 20000 % 5) * 15; // phases: the classes in use drift
            live[i].cls = TMI_CLASS_FIRST + (unsigned)(focus + rng_below(&r, 20)) % TMI_CLASS_LAST;
            live[i].p = take(live[i].cls);
            assert_non_null(live[i].p);
        }
        if (step % 64 == 0) {
            size_t holds = check_cache(&cache);
            most = holds > most ? holds : most;
        }
    }
    for (size_t i = 0; i < LIVE; i++)
        if (live[i].p != NULL)
            give(live[i].cls, live[i].p);
    print_message("held at most %zu KiB\n", most / TMI_KIB);
    assert_true(check_cache(&cache) <= TMI_THREAD_CACHE_MAX);
    assert_true(most > TMI_THREAD_CACHE_MAX / 8); // it does cache
    drop_cache();
}

/* Random use of that many classes, of blocks around a size; returns the bound of the cache then. */
static size_t bound_after(size_t size, unsigned nclasses, size_t steps)
{
    enum { LIVE = 4000 };
    static struct { void *p; unsigned cls; } live[LIVE];
    rng_t r = {43};
    fresh_cache(false);
    for (size_t step = 0; step < steps; step++) {
        size_t i = rng_below(&r, LIVE);
        if (live[i].p != NULL)
            give(live[i].cls, live[i].p);
        live[i].cls = tmi_class_of(size) - nclasses / 2 + (unsigned)rng_below(&r, nclasses);
        live[i].p = take(live[i].cls);
        assert_non_null(live[i].p);
    }
    for (size_t i = 0; i < LIVE; i++)
        if (live[i].p != NULL)
            give(live[i].cls, live[i].p);
    memset(live, 0, sizeof live);
    (void)check_cache(&cache);
    size_t bound = cache.bound;
    drop_cache();
    return bound;
}

static void many_sizes_at_once_raise_the_bound(void **state)
{
    (void)state;
    assert_int_equal(bound_after(512, 40, 200000), TMI_THREAD_CACHE_FIRST); // a thread alone
    assert_int_equal(bound_after(14336, 18, 200000), TMI_THREAD_CACHE_ALONE);
    static tmi_cache_t another;
    tmi_cache_init(&another, false);
    assert_int_equal(bound_after(512, 4, 200000), TMI_THREAD_CACHE_FIRST); // control: few sizes have room enough
    size_t bound = bound_after(512, 40, 200000);
    print_message("bound %zu KiB\n", bound / TMI_KIB);
    assert_true(bound > TMI_THREAD_CACHE_ALONE && bound <= TMI_THREAD_CACHE_MAX);
    tmi_cache_destroy(&another);
}

static void a_magazine_grows_with_use(void **state)
{
    (void)state;
    fresh_cache(false);
    unsigned c = tmi_class_of(64);
    static void *p[2000];
    p[0] = take(c);
    unsigned first = cache.info[c].capacity;
    for (int i = 1; i < 2000; i++)
        p[i] = take(c);
    for (int i = 0; i < 2000; i++)
        give(c, p[i]);
    assert_true(first < 16 && cache.info[c].capacity > first);
    (void)check_cache(&cache);
    drop_cache();
}

static void slots_are_never_handed_out_twice(void **state)
{
    (void)state;
    enum { N = 3000 };
    static void *p[N];
    rng_t r = {42};
    fresh_cache(false);
    unsigned c = tmi_class_of(40);
    for (int round = 0; round < 20; round++) {
        for (size_t i = 0; i < N; i++)
            fill(p[i] = take(c), 40, i);
        for (size_t i = 0; i < N; i++)
            assert_true(intact(p[i], 40, 40, i));
        for (size_t i = N; i > 0; i--) { // back in random order
            size_t k = rng_below(&r, i);
            give(c, p[k]);
            p[k] = p[i - 1];
        }
        if (round % 5 == 0)
            tmi_depot_trim(false);
    }
    drop_cache();
}

/* Bytes of pages in use over bytes of taken slots, in per cent. */
static size_t sparseness(unsigned c)
{
    size_t taken = tmi_raw_classes[c].nslabs * tmi_classes[c].slots - tmi_raw_classes[c].nfree;
    return (tmi_raw_classes[c].used_pages << tmi_os_page_shift) * 100 / (taken * tmi_classes[c].size);
}

enum { CROWD = 200000 };
static void *crowd[CROWD];

/* One in four of CROWD blocks stays, anywhere, and is then replaced `turns` times over, one at a time. */
static void thin_and_turn_over(unsigned c, size_t turns)
{
    rng_t r = {43};
    size_t n = CROWD;
    for (size_t i = 0; i < n; i++)
        crowd[i] = take(c);
    for (; n > CROWD / 4; n--) {
        size_t k = rng_below(&r, n);
        give(c, crowd[k]);
        crowd[k] = crowd[n - 1];
    }
    for (size_t i = 0; i < turns * n; i++) {
        size_t k = rng_below(&r, n);
        give(c, crowd[k]);
        fill(crowd[k] = take(c), 48, i);
        if (i % 4096 == 0)
            (void)check_cache(&cache);
    }
}

static void a_thinned_class_closes_up_as_it_turns_over(void **state)
{
    (void)state;
    unsigned c = tmi_class_of(48);
    fresh_cache(false);
    thin_and_turn_over(c, 0);
    size_t before = sparseness(c);
    assert_true(tmi_raw_loose(c) && before > 300);
    for (size_t i = 0; i < CROWD / 4; i++)
        give(c, crowd[i]);
    drop_cache();
    fresh_cache(false);
    thin_and_turn_over(c, 6);
    size_t after = sparseness(c);
    print_message("pages over blocks: %zu %% after thinning, %zu %% after six turnovers\n", before, after);
    assert_true(after < 130);
    for (size_t i = 0; i < CROWD / 4; i++)
        give(c, crowd[i]);
    (void)check_cache(&cache);
    drop_cache();
}

static void exchange_others(void)
{
    void *p[20];
    unsigned c = tmi_class_of(20000);
    for (int i = 0; i < 20; i++)
        p[i] = take(c);
    for (int i = 0; i < 20; i++)
        give(c, p[i]);
}

/* A loop over a few blocks gains no page by returning them: the class rests. When all turn over it goes on. */
static void a_hot_loop_in_a_thinned_class_lets_it_rest(void **state)
{
    (void)state;
    enum { HOT = 64 };
    void *hot[HOT];
    unsigned c = tmi_class_of(48);
    rng_t r = {44};
    fresh_cache(false);
    thin_and_turn_over(c, 0);
    assert_true(tmi_raw_loose(c));
    for (int i = 0; i < HOT; i++)
        hot[i] = take(c);
    for (int i = 0; i < 20000; i++) {
        size_t k = rng_below(&r, HOT);
        give(c, hot[k]);
        hot[k] = take(c);
    }
    assert_true(tmi_raw_classes[c].sparse && !tmi_raw_loose(c) && !cache.info[c].homing);
    uint32_t exchanges = cache.exchanges;
    for (int i = 0; i < 20000; i++) {
        give(c, hot[i % HOT]);
        hot[i % HOT] = take(c);
    }
    assert_int_equal(cache.exchanges, exchanges); // as in a fresh heap
    size_t before = sparseness(c);
    sleep_ms(100); // the rest ends, which is noticed at exchanges, of other classes too
    for (size_t i = 0; i < 7 * CROWD / 4; i++) {
        size_t k = rng_below(&r, CROWD / 4);
        if (i % 100 == 0)
            exchange_others();
        give(c, crowd[k]);
        crowd[k] = take(c);
    }
    print_message("pages over blocks: %zu %% before, %zu %% after all have turned over\n", before, sparseness(c));
    assert_true(sparseness(c) < 150);
    for (int i = 0; i < HOT; i++)
        give(c, hot[i]);
    for (size_t i = 0; i < CROWD / 4; i++)
        give(c, crowd[i]);
    (void)check_cache(&cache);
    drop_cache();
}

static int free_twice_before_it_returns(void *between)
{
    unsigned c = tmi_class_of(48);
    fresh_cache(false);
    thin_and_turn_over(c, 0);
    if (!cache.info[c].homing)
        return 0;
    for (uintptr_t i = 0; i <= (uintptr_t)between; i++)
        give(c, crowd[i]);
    give(c, crowd[0]);
    tmi_cache_flush(&cache);
    return 0;
}

static void a_double_free_in_a_loose_class_is_reported(void **state)
{
    (void)state;
    for (uintptr_t between = 0; between < 300; between = between * 7 + 1) {
        outcome_t o = run_child(free_twice_before_it_returns, (void *)between, 20);
        assert_non_null(strstr(o.text, "double free"));
        assert_int_not_equal(o.status, 0);
    }
}

static void an_armed_cache_refuses_the_fast_path(void **state)
{
    (void)state;
    fresh_cache(false);
    unsigned c = tmi_class_of(64);
    void *p = take(c);
    assert_true(tmi_cache_push(&cache, c * 2, p));
    assert_ptr_equal(take(c), p);
    tmi_cache_arm(&cache);
    assert_false(tmi_cache_push(&cache, c * 2, p));
    tmi_cache_free(&cache, c, p, "free"); // but the slow path caches it nevertheless
    assert_ptr_equal(take(c), p);
    tmi_cache_disarm(&cache);
    assert_true(tmi_cache_push(&cache, c * 2, p));
    (void)check_cache(&cache);
    tmi_cache_summon(&cache);
    assert_ptr_equal(take(c), p);
    assert_false(tmi_cache_push(&cache, c * 2, p));
    tmi_cache_disarm(&cache);
    assert_false(tmi_cache_push(&cache, c * 2, p)); // until the summons is answered
    tmi_store_relaxed(&cache.summoned, 0);
    tmi_cache_disarm(&cache);
    assert_true(tmi_cache_push(&cache, c * 2, p));
    drop_cache();
}

/* G2: what diverts frees of the class now is `reasons`, and the limit follows. */
static void expect_diverts(unsigned cls, unsigned reasons)
{
    const tmi_magazine_info_t *info = &cache.info[cls];
    void **limit = cache.magazines[cls].limit;
    assert_int_equal(tmi_cache_diverts(&cache, cls), reasons);
    assert_ptr_equal(limit, reasons != 0 ? TMI_LIMIT_DIVERTS : info->buffer + 1 + info->capacity);
}

static void each_reason_to_divert_frees_sets_the_limit_to_null(void **state)
{
    (void)state;
    unsigned c = tmi_class_of(80), sparse = tmi_class_of(48);
    void *p[2 * TMI_TRIAL];
    fresh_cache(false);
    expect_diverts(c, TMI_DIVERT_NO_MAGAZINE | (tmi_cache_on_trial(c) ? TMI_DIVERT_TRIAL : 0));
    p[0] = take(c);
    if (tmi_cache_on_trial(c)) // no other test has freed any
        expect_diverts(c, TMI_DIVERT_TRIAL);
    for (int i = 1; i < 2 * TMI_TRIAL; i++)
        p[i] = take(c);
    for (int i = 0; i < 2 * TMI_TRIAL; i++)
        give(c, p[i]);
    expect_diverts(c, 0); // control
    tmi_cache_arm(&cache);
    expect_diverts(c, TMI_DIVERT_ARMED);
    tmi_cache_summon(&cache);
    expect_diverts(c, TMI_DIVERT_ARMED | TMI_DIVERT_SUMMONED);
    tmi_cache_disarm(&cache);
    expect_diverts(c, TMI_DIVERT_SUMMONED);
    tmi_store_relaxed(&cache.summoned, 0);
    tmi_cache_disarm(&cache);
    expect_diverts(c, 0);
    thin_and_turn_over(sparse, 0);
    expect_diverts(sparse, TMI_DIVERT_HOMING);
    for (size_t i = 0; i < CROWD / 4; i++)
        give(sparse, crowd[i]);
    drop_cache();
    fresh_cache(true);
    p[0] = take(c);
    expect_diverts(c, TMI_DIVERT_OBSERVED);
    tmi_cache_free(&cache, c, p[0], "free");
    drop_cache();
}

static void an_observed_cache_never_takes_the_fast_path(void **state)
{
    (void)state;
    fresh_cache(true);
    unsigned c = tmi_class_of(64);
    for (size_t size = 0; size <= TMI_TINY_MAX; size++)
        assert_null(tmi_cache_pop((char *)&cache, 0, cache.codes[size]));
    void *p = tmi_cache_alloc(&cache, c);
    assert_non_null(p);
    assert_false(tmi_cache_push(&cache, c * 2, p));
    tmi_cache_free(&cache, c, p, "free");
    assert_false(tmi_cache_push(&cache, c * 2, NULL));
    drop_cache();
}

static void flush_gives_every_slot_back(void **state)
{
    (void)state;
    static void *p[500];
    fresh_cache(false);
    for (unsigned c = TMI_CLASS_FIRST; c <= TMI_CLASS_LAST; c += 3) {
        for (int i = 0; i < 50; i++)
            p[i] = take(c);
        for (int i = 0; i < 50; i++)
            give(c, p[i]);
    }
    assert_true(check_cache(&cache) > 0);
    tmi_cache_flush(&cache);
    assert_int_equal(check_cache(&cache), 0);
    void *q = take(tmi_class_of(64)); // and goes on
    assert_non_null(q);
    give(tmi_class_of(64), q);
    drop_cache();
}

static void the_depot_is_bounded_and_trimmed_to_its_use(void **state)
{
    (void)state;
    static void *p[30000];
    fresh_cache(false);
    unsigned c = tmi_class_of(128);
    for (int i = 0; i < 30000; i++)
        p[i] = take(c);
    for (int i = 0; i < 30000; i++)
        give(c, p[i]);
    size_t kept = tmi_depot_count(c);
    assert_true(kept > 0 && kept * 128 <= TMI_MIB);
    tmi_depot_trim(false); // learns what is there
    tmi_depot_trim(false); // nobody needed it since
    assert_int_equal(tmi_depot_count(c), 0);
    drop_cache();
}

static int free_twice_through_a_magazine(void *between)
{
    static void *p[2000];
    fresh_cache(false);
    unsigned c = tmi_class_of(64);
    for (int i = 0; i < 1000; i++)
        p[i] = take(c);
    give(c, p[0]);
    for (uintptr_t i = 1; i <= (uintptr_t)between; i++)
        give(c, p[i]);
    give(c, p[0]);
    tmi_cache_flush(&cache);
    tmi_depot_trim(true); // one of the two may have been there
    return 0;
}

static void a_double_free_shows_when_the_magazine_is_flushed(void **state)
{
    (void)state;
    for (uintptr_t between = 0; between < 600; between = between * 3 + 1) {
        outcome_t o = run_child(free_twice_through_a_magazine, (void *)between, 20);
        assert_non_null(strstr(o.text, "tinymem: free(0x"));
        assert_non_null(strstr(o.text, "double free"));
        assert_int_not_equal(o.status, 0);
    }
}

int main(void)
{
    tmi_heap_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_destroyed_cache_serves_nothing),
        cmocka_unit_test(codes_lead_to_the_class),
        cmocka_unit_test(last_freed_is_first_allocated),
        cmocka_unit_test(what_a_thread_holds_is_bounded),
        cmocka_unit_test(many_sizes_at_once_raise_the_bound),
        cmocka_unit_test(a_magazine_grows_with_use),
        cmocka_unit_test(slots_are_never_handed_out_twice),
        cmocka_unit_test(a_thinned_class_closes_up_as_it_turns_over),
        cmocka_unit_test(a_hot_loop_in_a_thinned_class_lets_it_rest),
        cmocka_unit_test(a_double_free_in_a_loose_class_is_reported),
        cmocka_unit_test(an_armed_cache_refuses_the_fast_path),
        cmocka_unit_test(each_reason_to_divert_frees_sets_the_limit_to_null),
        cmocka_unit_test(an_observed_cache_never_takes_the_fast_path),
        cmocka_unit_test(flush_gives_every_slot_back),
        cmocka_unit_test(the_depot_is_bounded_and_trimmed_to_its_use),
        cmocka_unit_test(a_double_free_shows_when_the_magazine_is_flushed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
