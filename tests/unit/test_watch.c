/* Units in which sampled blocks begin (S7): what the page map says about them, until the last sample is gone, for
 * blocks of all kinds; and a heap that is sampled meanwhile, against the audit. */
#include "heap/heap.h"
#include "heap/introspect.h"
#include "sampling/samples.h"
#include "segments/segment.h"
#include "slabs/mixed.h"
#include "slabs/raw.h"
#include "support.h"

#include <pthread.h>
#include <string.h>

static unsigned said_of(const void *p) { return tmi_pagemap_code(p) / 2; }

static void *take(size_t size)
{
    void *p = tmi_heap_malloc(size);
    assert_non_null(p);
    return p;
}

static void give(void *p)
{
    if (!tmi_heap_free_fast(p))
        assert_true(tmi_heap_free(p, "free"));
}

static void a_watched_unit_keeps_its_class(void **state)
{
    (void)state;
    static const size_t sizes[] = {8, 48, 1000, 20000, 100000, 3000000};
    for (size_t i = 0; i < TMI_COUNT_OF(sizes); i++) {
        void *p = take(sizes[i]), *q = take(sizes[i]);
        unsigned cls = tmi_pagemap_class(p);
        size_t usable = tmi_heap_usable(p, "test");
        tmi_space_watch(p);
        assert_int_equal(said_of(p), TMI_CLASS_WATCHED);
        assert_int_equal(tmi_pagemap_class(p), cls);
        assert_int_equal(tmi_heap_usable(p, "test"), usable);
        assert_false(tmi_heap_free_fast(p));
        tmi_check_all();
        give(q); // beside it, or not
        tmi_space_unwatch(p);
        assert_int_equal(said_of(p), cls);
        give(p);
    }
}

static void the_last_sample_ends_it(void **state)
{
    (void)state;
    char *p = take(48);
    unsigned cls = tmi_pagemap_class(p);
    for (int i = 0; i < 3; i++)
        tmi_space_watch(p);
    for (int i = 0; i < 2; i++)
        tmi_space_unwatch(p);
    assert_int_equal(said_of(p), TMI_CLASS_WATCHED);
    tmi_space_unwatch(p);
    assert_int_equal(said_of(p), cls);
    give(p);
}

static void a_watched_slab_can_become_mixed(void **state)
{
    (void)state;
    enum { N = 60000, ONE_IN = 100 };
    static void *all[N];
    unsigned cls = tmi_class_of(96);
    size_t mixed = 0;
    assert_int_equal(tmi_raw_take(cls, all, N), N);
    for (size_t i = 0; i < N; i++)
        if (i % ONE_IN != 0)
            tmi_raw_return(cls, &all[i], 1, "free");
        else
            tmi_space_watch(all[i]);
    while (tmi_raw_mix(SIZE_MAX) > 0)
        continue;
    tmi_check_all();
    for (size_t i = 0; i < N; i += ONE_IN) {
        bool is_mixed = tmi_pagemap_class(all[i]) == TMI_CLASS_MIXED;
        mixed += is_mixed;
        assert_int_equal(said_of(all[i]), TMI_CLASS_WATCHED);
        if (is_mixed)
            assert_int_equal(tmi_mixed_class_at(all[i]), cls);
    }
    assert_true(mixed > 0);
    for (size_t i = 0; i < N; i += ONE_IN) {
        tmi_space_unwatch(all[i]);
        tmi_raw_return(cls, &all[i], 1, "free");
    }
    tmi_check_all();
}

/* The control: a unit that is said to be watched and is not. */
static int spoil(void *unused)
{
    (void)unused;
    void *p = take(48);
    tmi_space_watch(p);
    tmi_span_of(p)->nsampled = 0;
    tmi_check_all();
    return 0;
}

static void the_audit_finds_a_wrong_count(void **state)
{
    (void)state;
    outcome_t o = run_child(spoil, NULL, 20);
    assert_false(exited(&o, 0));
    assert_non_null(strstr(o.text, "S7"));
}

enum { THREADS = 3, SHARED = 2000, ROUNDS = 60000 };
static void *shared[SHARED];

static void *churn(void *seed)
{
    rng_t r = {(uintptr_t)seed};
    for (size_t i = 0; i < ROUNDS; i++) {
        size_t size = rng_below(&r, 40) == 0 ? rng_below(&r, 150000) : rng_below(&r, 1500);
        char *p = take(size + 1);
        memset(p, 0x5a, tmi_min(size, 64));
        if (rng_below(&r, 4) == 0)
            p = tmi_heap_realloc(p, size / 2 + 1 + rng_below(&r, 3000), "realloc");
        assert_non_null(p);
        p = tmi_exchange_acq_rel(&shared[rng_below(&r, SHARED)], (void *)p);
        if (p != NULL)
            give(p);
    }
    return NULL;
}

/* Live samples, and their count. */
static size_t live_samples(void)
{
    size_t n = 0;
    tmi_snapshot_t s;
    assert_int_equal(tmi_samples_snapshot(&s, false, true), 0);
    for (size_t i = 0; i < s.nsites; i++)
        n += s.sites[i].live.samples;
    tmi_samples_release(&s);
    return n;
}

/* Blocks go from thread to thread; when all are freed no sample is left, and no unit is watched. */
static void threads_leave_nothing_watched(void **state)
{
    (void)state;
    pthread_t t[THREADS];
    assert_int_equal(tmi_samples_start(1000), 0);
    tmi_heap_watch(true);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&t[i], NULL, churn, (void *)(i + 1)), 0); // NOLINT: a seed
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(t[i], NULL), 0);
    tmi_check_all();
    assert_true(live_samples() > 50);
    size_t watched = 0;
    for (size_t i = 0; i < SHARED; i++)
        watched += shared[i] != NULL && said_of(shared[i]) == TMI_CLASS_WATCHED;
    assert_true(watched > 50);
    tmi_samples_stop();
    tmi_heap_watch(false);
    for (size_t i = 0; i < SHARED; i++)
        if (shared[i] != NULL)
            give(shared[i]);
    assert_int_equal(live_samples(), 0);
    for (size_t i = 0; i < SHARED; i++)
        if (shared[i] != NULL)
            assert_int_not_equal(said_of(shared[i]), TMI_CLASS_WATCHED);
    tmi_check_all();
}

static int ready(void **state)
{
    (void)state;
    tmi_heap_init();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_watched_unit_keeps_its_class),
        cmocka_unit_test(the_last_sample_ends_it),
        cmocka_unit_test(a_watched_slab_can_become_mixed),
        cmocka_unit_test(the_audit_finds_a_wrong_count),
        cmocka_unit_test(threads_leave_nothing_watched),
    };
    return cmocka_run_group_tests(tests, ready, NULL);
}
