/* The supply of address space against a reference model: spans are disjoint, aligned, coalesce, and clean ones are
 * zero; the audit S1-S6 runs after each step. */
#include "os/counters.h"
#include "os/options.h"
#include "os/os.h"
#include "segments/segment.h"
#include "support.h"

#include <string.h>

enum { SPANS = 60, UNITS_MAX = 100 };

typedef struct model_span {
    char *addr;
    size_t nunits;
    uint64_t mark;
} model_span_t;

typedef struct model {
    model_span_t spans[SPANS];
    size_t units;
} model_t;

static void audit(void)
{
    tmi_lock(&tmi_space_lock);
    tmi_space_check();
    tmi_unlock(&tmi_space_lock);
}

static void free_span(void *p, size_t nunits) { tmi_space_free(p, nunits, nunits * TMI_UNIT_SIZE); }

static void *alloc_span(size_t nunits, size_t align_units, bool *dirty)
{
    return tmi_space_alloc(nunits, align_units, TMI_CLASS_LARGE, TMI_CLASS_LARGE_TAIL, dirty);
}

/* Mark both ends of each unit: enough to notice an overlap of spans. */
static void mark_units(const model_span_t *s, size_t from)
{
    for (size_t u = from; u < s->nunits; u++) {
        fill(s->addr + u * TMI_UNIT_SIZE, 64, s->mark + u);
        fill(s->addr + (u + 1) * TMI_UNIT_SIZE - 64, 64, ~s->mark - u);
    }
}

static void check_units(const model_span_t *s)
{
    for (size_t u = 0; u < s->nunits; u++) {
        assert_true(intact(s->addr + u * TMI_UNIT_SIZE, 64, 64, s->mark + u));
        assert_true(intact(s->addr + (u + 1) * TMI_UNIT_SIZE - 64, 64, 64, ~s->mark - u));
        assert_int_equal(tmi_pagemap_class(s->addr + u * TMI_UNIT_SIZE), u ? TMI_CLASS_LARGE_TAIL : TMI_CLASS_LARGE);
    }
}

static void step_alloc(model_t *m, model_span_t *s, rng_t *r)
{
    size_t align_units = (size_t)1 << (rng_below(r, 4) == 0 ? rng_below(r, 7) : 0);
    bool dirty = true;
    s->nunits = 1 + (rng_below(r, 3) ? rng_below(r, 5) : rng_below(r, UNITS_MAX));
    s->mark = rng_next(r);
    s->addr = alloc_span(s->nunits, align_units, &dirty);
    assert_non_null(s->addr);
    assert_int_equal((uintptr_t)s->addr % (align_units * TMI_UNIT_SIZE), 0);
    for (size_t u = 0; !dirty && u < s->nunits; u++) // S3
        assert_true(all_zero(s->addr + u * TMI_UNIT_SIZE, TMI_UNIT_SIZE));
    mark_units(s, 0);
    m->units += s->nunits;
}

static void step_extend(model_t *m, model_span_t *s, rng_t *r)
{
    bool dirty = true;
    size_t wanted = s->nunits + 1 + rng_below(r, 8), had = s->nunits;
    if (!tmi_space_extend(s->addr, had, wanted, TMI_CLASS_LARGE_TAIL, &dirty))
        return;
    if (!dirty)
        assert_true(all_zero(s->addr + had * TMI_UNIT_SIZE, (wanted - had) * TMI_UNIT_SIZE));
    s->nunits = wanted;
    m->units += wanted - had;
    mark_units(s, had);
}

static void step_shorten(model_t *m, model_span_t *s, rng_t *r)
{
    if (s->nunits < 2)
        return;
    size_t keep = 1 + rng_below(r, s->nunits - 1);
    tmi_space_shorten(s->addr, s->nunits, keep, (s->nunits - keep) * TMI_UNIT_SIZE);
    m->units -= s->nunits - keep;
    s->nunits = keep;
}

static void step(model_t *m, rng_t *r)
{
    model_span_t *s = &m->spans[rng_below(r, SPANS)];
    size_t what = rng_below(r, 40);
    if (what == 0)
        (void)tmi_space_purge(rng_below(r, 4 * TMI_MIB));
    else if (what == 1)
        (void)tmi_space_unmap();
    else if (s->addr == NULL)
        step_alloc(m, s, r);
    else if (what < 10)
        step_extend(m, s, r);
    else if (what < 16)
        step_shorten(m, s, r);
    else {
        check_units(s);
        free_span(s->addr, s->nunits);
        m->units -= s->nunits;
        s->addr = NULL;
    }
}

static void spans_follow_the_model_under_random_use(void **state)
{
    (void)state;
    rng_t r = {11};
    model_t m = {0};
    for (size_t i = 0; i < scaled(20000); i++) {
        step(&m, &r);
        audit();
        assert_int_equal(tmi_counter(span_bytes), m.units * TMI_UNIT_SIZE);
    }
    for (size_t i = 0; i < SPANS; i++)
        if (m.spans[i].addr != NULL) {
            check_units(&m.spans[i]);
            free_span(m.spans[i].addr, m.spans[i].nunits);
        }
    audit();
    assert_int_equal(tmi_counter(span_bytes), 0);
}

static void everything_freed_goes_back_to_the_kernel(void **state)
{
    (void)state;
    (void)tmi_space_purge(SIZE_MAX);
    assert_int_equal(tmi_counter(dirty_bytes), 0);
    (void)tmi_space_unmap();
    audit();
    assert_int_equal(tmi_counter(mapped_bytes), 0);
}

static void alignment_up_to_a_gib_is_kept(void **state)
{
    (void)state;
    for (size_t align = TMI_UNIT_SIZE; align <= TMI_GIB; align *= 2)
        for (size_t nunits = 1; nunits <= 64; nunits += 21) {
            bool dirty;
            char *p = alloc_span(nunits, align >> TMI_UNIT_SHIFT, &dirty),
                 *q = alloc_span(1, align >> TMI_UNIT_SHIFT, &dirty);
            assert_non_null(p);
            assert_non_null(q);
            assert_true((uintptr_t)p % align == 0 && (uintptr_t)q % align == 0 && p != q);
            p[0] = p[nunits * TMI_UNIT_SIZE - 1] = q[0] = 1;
            audit();
            free_span(p, nunits);
            audit();
            free_span(q, 1);
            audit();
        }
    (void)tmi_space_purge(SIZE_MAX);
    (void)tmi_space_unmap();
    audit();
}

static void neighbours_coalesce_whatever_the_order(void **state)
{
    (void)state;
    enum { N = 16 };
    rng_t r = {13};
    for (int round = 0; round < 50; round++) {
        bool dirty;
        char *base = alloc_span(N, 1, &dirty), *p[N];
        assert_non_null(base);
        free_span(base, N);
        for (size_t i = 0; i < N; i++)
            p[i] = alloc_span(1, 1, &dirty);
        for (size_t i = N; i > 0; i--) {
            size_t k = rng_below(&r, i);
            free_span(p[k], 1);
            p[k] = p[i - 1];
            audit(); // S2
        }
        assert_non_null(base = alloc_span(N, 1, &dirty));
        free_span(base, N);
    }
}

static void dirty_spans_are_preferred(void **state)
{
    (void)state;
    bool dirty;
    (void)tmi_space_purge(SIZE_MAX);
    char *p = alloc_span(5, 1, &dirty);
    assert_non_null(p);
    memset(p, 1, TMI_UNIT_SIZE);
    free_span(p, 5);
    char *q = alloc_span(4, 1, &dirty);
    assert_true(dirty);
    assert_ptr_equal(q, p);
    free_span(q, 4);
}

static void purged_spans_hold_no_memory_and_read_zero(void **state)
{
    (void)state;
    bool dirty;
    enum { N = 64 };
    char *p = alloc_span(N, 1, &dirty);
    assert_non_null(p);
    memset(p, 1, N * TMI_UNIT_SIZE);
    assert_int_equal(resident_bytes(p, N * TMI_UNIT_SIZE), N * TMI_UNIT_SIZE);
    size_t purged = tmi_counter(purged_bytes);
    free_span(p, N);
    assert_int_equal(resident_bytes(p, N * TMI_UNIT_SIZE), N * TMI_UNIT_SIZE); // control: nothing happens by itself
    assert_true(tmi_space_purge(SIZE_MAX) >= N * TMI_UNIT_SIZE);
    assert_true(tmi_counter(purged_bytes) - purged >= N * TMI_UNIT_SIZE);
    assert_int_equal(resident_bytes(p, N * TMI_UNIT_SIZE), 0);
    assert_true(all_zero(p, N * TMI_UNIT_SIZE));
    audit();
}

static void purge_begins_with_the_oldest_and_stops_at_enough(void **state)
{
    (void)state;
    bool dirty;
    char *p[8], *wall[8];
    (void)tmi_space_purge(SIZE_MAX);
    for (int i = 0; i < 8; i++) {
        p[i] = alloc_span(4, 1, &dirty);
        wall[i] = alloc_span(1, 1, &dirty); // keeps them apart
        memset(p[i], 1, 4 * TMI_UNIT_SIZE);
    }
    for (int i = 0; i < 8; i++)
        free_span(p[i], 4);
    assert_int_equal(tmi_space_purge(3 * TMI_UNIT_SIZE), 3 * TMI_UNIT_SIZE);
    assert_int_equal(resident_bytes(p[0], 4 * TMI_UNIT_SIZE), TMI_UNIT_SIZE); // the oldest, and no more of it
    assert_int_equal(tmi_space_purge(1), TMI_UNIT_SIZE);                      // the rest of it comes first
    assert_int_equal(resident_bytes(p[0], 4 * TMI_UNIT_SIZE), 0);
    assert_int_equal(resident_bytes(p[1], 4 * TMI_UNIT_SIZE), 4 * TMI_UNIT_SIZE);
    assert_int_equal(tmi_space_purge(SIZE_MAX), 28 * TMI_UNIT_SIZE);
    audit();
    for (int i = 0; i < 8; i++)
        free_span(wall[i], 1);
}

#if TMI_TEST_HOOKS
static void a_refused_purge_keeps_the_books_right(void **state)
{
    (void)state;
    bool dirty;
    char *p = alloc_span(7, 1, &dirty);
    assert_non_null(p);
    memset(p, 3, 7 * TMI_UNIT_SIZE);
    free_span(p, 7);
    tmi_os_fail_at(1, true);
    (void)tmi_space_purge(SIZE_MAX);
    tmi_os_fail_at(0, false);
    audit();
    assert_int_equal(p[0], 3);
    assert_true(tmi_space_purge(SIZE_MAX) >= 7 * TMI_UNIT_SIZE);
    assert_int_equal(p[0], 0);
    audit();
}

static void growth_survives_every_kernel_failure(void **state)
{
    (void)state;
    for (int sticky = 0; sticky < 2; sticky++) {
        unsigned long nth = 1;
        for (bool fired = true; fired; nth++) {
            bool dirty;
            (void)tmi_space_purge(SIZE_MAX);
            (void)tmi_space_unmap();
            tmi_os_fail_at(nth, sticky);
            char *p = alloc_span(1000, 512, &dirty);
            fired = tmi_os_fail_fired();
            tmi_os_fail_at(0, false);
            audit();
            if (p != NULL)
                free_span(p, 1000);
            assert_true(p != NULL || fired);
        }
        print_message("%s failures of growth: %lu\n", sticky ? "lasting" : "single", nth - 2);
        assert_true(nth > 2);
    }
}
#endif

static int audit_after_planting(void *unused)
{
    (void)unused;
    bool dirty;
    char *p = alloc_span(3, 1, &dirty);
    tmi_span_of(p)->nunits = 2; // the last record says 3
    audit();
    return 0;
}

static int audit_after_losing_a_code(void *unused)
{
    (void)unused;
    bool dirty;
    char *p = alloc_span(3, 1, &dirty);
    tmi_pagemap_set_class(p + TMI_UNIT_SIZE, 1, TMI_CLASS_NONE);
    audit();
    return 0;
}

static int audit_after_marking_a_clean_page(void *unused)
{
    (void)unused;
    bool dirty;
    (void)tmi_space_purge(SIZE_MAX);
    char *p = alloc_span(3, 1, &dirty);
    tmi_space_free(p, 3, 0);
    tmi_space_note_resident(p, 1);
    audit();
    return 0;
}

static void control_the_audit_sees_planted_errors(void **state)
{
    (void)state;
    outcome_t o = run_child(audit_after_planting, NULL, 20);
    assert_true(aborted_saying(&o, "tinymem: check(*): S1 first and last record differ"));
    o = run_child(audit_after_losing_a_code, NULL, 20);
    assert_true(aborted_saying(&o, "tinymem: check(*): M1 code of a unit does not follow its span"));
    o = run_child(audit_after_marking_a_clean_page, NULL, 20);
    assert_true(aborted_saying(&o, "tinymem: check(*): S6 a clean page may be resident"));
}

int main(void)
{
    if (!tmi_os_init())
        return 1;
    tmi_options_parse("huge:off");
    tmi_sizeclass_init();
    tmi_space_init();
    tmi_pagemap_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_follow_the_model_under_random_use),
        cmocka_unit_test(everything_freed_goes_back_to_the_kernel),
        cmocka_unit_test(alignment_up_to_a_gib_is_kept),
        cmocka_unit_test(neighbours_coalesce_whatever_the_order),
        cmocka_unit_test(dirty_spans_are_preferred),
        cmocka_unit_test(purged_spans_hold_no_memory_and_read_zero),
        cmocka_unit_test(purge_begins_with_the_oldest_and_stops_at_enough),
#if TMI_TEST_HOOKS
        cmocka_unit_test(a_refused_purge_keeps_the_books_right),
        cmocka_unit_test(growth_survives_every_kernel_failure),
#endif
        cmocka_unit_test(control_the_audit_sees_planted_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
