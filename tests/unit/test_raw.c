/* Slabs: slots are disjoint and zero where they say so, misuse is reported on return, empty pages really go back to the
 * kernel, and the audit R1-R7 holds all the time. */
#include "os/counters.h"
#include "os/options.h"
#include "os/os.h"
#include "slabs/raw_impl.h"
#include "support.h"

#include <stdlib.h>
#include <string.h>

static void audit(unsigned cls)
{
    tmi_lock(&tmi_raw_classes[cls].lock);
    tmi_raw_check(cls);
    tmi_unlock(&tmi_raw_classes[cls].lock);
}

static void audit_all(void)
{
    for (unsigned c = TMI_CLASS_FIRST; c <= TMI_CLASS_LAST; c++)
        audit(c);
    tmi_lock(&tmi_space_lock);
    tmi_space_check();
    tmi_unlock(&tmi_space_lock);
}

static void purge_all(void)
{
    (void)tmi_raw_purge(SIZE_MAX);
    (void)tmi_space_purge(SIZE_MAX);
}

/* n slots, in calls as many as it takes: see tmi_raw_take. */
static void take_all(unsigned c, void **p, size_t n)
{
    for (size_t got = 0, more; got < n; got += more)
        assert_true((more = tmi_raw_take(c, p + got, n - got)) > 0);
}

static int by_address(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t) * (void *const *)a, y = (uintptr_t) * (void *const *)b;
    return x < y ? -1 : x > y;
}

static void slots_of_every_class_are_disjoint_and_aligned(void **state)
{
    (void)state;
    static void *p[20000], *sorted[20000];
    for (unsigned c = TMI_CLASS_FIRST; c <= TMI_CLASS_LAST; c++) {
        size_t size = tmi_classes[c].size, n = tmi_classes[c].slots * 2 + 3;
        take_all(c, p, n);
        memcpy(sorted, p, n * sizeof *p);
        qsort(sorted, n, sizeof *sorted, by_address);
        for (size_t i = 0; i < n; i++) {
            assert_true(i == 0 || (char *)sorted[i] - (char *)sorted[i - 1] >= (ptrdiff_t)size);
            assert_int_equal((uintptr_t)sorted[i] % (size & -size), 0);
            assert_int_equal(tmi_pagemap_class(sorted[i]), c);
            assert_int_equal(tmi_pagemap_class((char *)sorted[i] + size - 1), c);
            assert_null(tmi_raw_complaint(c, sorted[i]));
            fill(sorted[i], size, i);
        }
        audit(c);
        for (size_t i = 0; i < n; i++)
            assert_true(intact(sorted[i], size, size, i));
        tmi_raw_return(c, p, n, "free");
        assert_int_equal(tmi_raw_classes[c].nslabs, 0);
    }
    audit_all();
}

static void take_goes_up_through_memory_from_the_end(void **state)
{
    (void)state;
    void *p[100];
    unsigned c = tmi_class_of(64);
    assert_int_equal(tmi_raw_take(c, p, 100), 100);
    for (int i = 1; i < 100; i++)
        assert_true((uintptr_t)p[i] < (uintptr_t)p[i - 1]);
    tmi_raw_return(c, p, 100, "free");
}

static void first_slots_of_a_thread_are_whole_cache_lines(void **state)
{
    (void)state;
    for (size_t size = 8; size < 64; size += 8) {
        unsigned c = tmi_class_of(size);
        void *mine[8], *theirs[8];
        assert_int_equal(tmi_raw_take_lines(c, mine, 8), 8);
        assert_int_equal(tmi_raw_take_lines(c, theirs, 8), 8);
        for (int i = 0; i < 8; i++)
            for (int k = 0; k < 8; k++)
                assert_true((uintptr_t)mine[i] / 64 != (uintptr_t)theirs[k] / 64);
        audit(c);
        tmi_raw_return(c, mine, 8, "free");
        tmi_raw_return(c, theirs, 8, "free");
    }
}

enum { MODEL = 3000 };

/* Random take, return, purge on a few classes; slots marked while they are taken. */
static void slots_follow_the_model_under_random_use(void **state)
{
    (void)state;
    static const size_t sizes[] = {8, 16, 48, 64, 80, 208, 520, 2048, 5000, 20000, 32768};
    static struct { void *p; unsigned cls; uint64_t mark; } live[MODEL];
    rng_t r = {31};
    memset(live, 0, sizeof live);
    for (size_t step = 0; step < scaled(40000); step++) {
        size_t i = rng_below(&r, step / 8000 % 2 ? MODEL / 20 : MODEL); // phases of many and of few
        if (live[i].p != NULL) {
            size_t size = tmi_classes[live[i].cls].size;
            assert_true(intact(live[i].p, size, size, live[i].mark));
            tmi_raw_return(live[i].cls, &live[i].p, 1, "free");
            live[i].p = NULL;
        } else {
            live[i].cls = tmi_class_of(sizes[rng_below(&r, sizeof sizes / sizeof *sizes)]);
            live[i].mark = step;
            size_t size = tmi_classes[live[i].cls].size, zero_from = 0;
            if (rng_below(&r, 2)) {
                assert_non_null(live[i].p = tmi_raw_take_zeroed(live[i].cls, &zero_from));
                assert_true(zero_from <= size && all_zero((char *)live[i].p + zero_from, size - zero_from)); // R3
            } else {
                assert_int_equal(tmi_raw_take(live[i].cls, &live[i].p, 1), 1);
            }
            fill(live[i].p, size, live[i].mark);
        }
        if (rng_below(&r, 100) == 0)
            (void)tmi_raw_purge(1 + rng_below(&r, TMI_MIB));
        if (step % 16 == 0)
            audit(tmi_class_of(sizes[step / 16 % (sizeof sizes / sizeof *sizes)]));
    }
    for (size_t i = 0; i < MODEL; i++)
        if (live[i].p != NULL) {
            size_t size = tmi_classes[live[i].cls].size;
            assert_true(intact(live[i].p, size, size, live[i].mark));
            tmi_raw_return(live[i].cls, &live[i].p, 1, "free");
        }
    audit_all();
}

static void refill_takes_from_the_fullest_slab(void **state)
{
    (void)state;
    static void *p[4 * 1024];
    unsigned c = tmi_class_of(256);
    size_t slots = tmi_classes[c].slots;
    assert_int_equal(tmi_raw_take(c, p, 2 * slots), 2 * slots);
    void *const *emptier = p, *const *fuller = p + slots; // as they come, slab by slab
    tmi_raw_return(c, emptier, slots * 3 / 4, "free");
    tmi_raw_return(c, fuller, slots / 8, "free");
    void *q;
    tmi_raw_slab_t *expected = tmi_raw_slab_of(fuller[slots - 1]);
    for (size_t i = 0; i < slots / 8; i++) {
        assert_int_equal(tmi_raw_take(c, &q, 1), 1);
        assert_ptr_equal(tmi_raw_slab_of(q), expected);
        p[2 * slots + i] = q;
    }
    audit(c);
    tmi_raw_return(c, p + slots * 3 / 4, slots / 4, "free");
    tmi_raw_return(c, fuller + slots / 8, slots - slots / 8, "free");
    tmi_raw_return(c, p + 2 * slots, slots / 8, "free");
    assert_int_equal(tmi_raw_classes[c].nslabs, 0);
}

/* One slot of each slab lives: all its other pages go back, and the live slot is untouched. */
static void purge_gives_back_pages_around_live_slots(void **state)
{
    (void)state;
    enum { SLABS = 32 };
    static const size_t sizes[] = {64, 512, 4096};
    static void *p[SLABS * 1024], *kept[SLABS];
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        unsigned c = tmi_class_of(sizes[k]);
        size_t slots = tmi_classes[c].slots, n = SLABS * slots, resident = 0;
        purge_all();
        assert_int_equal(tmi_raw_take(c, p, n), n);
        for (size_t i = 0; i < n; i++)
            fill(p[i], sizes[k], i);
        for (size_t s = 0; s < SLABS; s++) {
            size_t at = s * slots + (s * 37) % slots;
            kept[s] = p[at];
            p[at] = p[s * slots];
            tmi_raw_return(c, p + s * slots + 1, slots - 1, "free");
        }
        audit(c);
        for (size_t s = 0; s < SLABS; s++) // control: freeing alone gives nothing back
            resident += resident_bytes(tmi_raw_slab_of(kept[s])->base, TMI_UNIT_SIZE);
        assert_int_equal(resident, SLABS * TMI_UNIT_SIZE);
        size_t purged = tmi_raw_purge(SIZE_MAX);
        resident = 0;
        for (size_t s = 0; s < SLABS; s++) {
            resident += resident_bytes(tmi_raw_slab_of(kept[s])->base, TMI_UNIT_SIZE);
            size_t at = s * slots + (s * 37) % slots;
            assert_true(intact(kept[s], sizes[k], sizes[k], at));
        }
        assert_int_equal(resident, SLABS * tmi_os_page_size);
        assert_int_equal(purged, SLABS * (TMI_UNIT_SIZE - tmi_os_page_size));
        audit(c);
        tmi_raw_return(c, kept, SLABS, "free");
        audit(c);
    }
}

static void everything_returned_leaves_nothing(void **state)
{
    (void)state;
    purge_all();
    for (unsigned c = TMI_CLASS_FIRST; c <= TMI_CLASS_LAST; c++)
        assert_true(tmi_raw_classes[c].nslabs == 0 && tmi_raw_classes[c].nfree == 0 &&
                    tmi_raw_classes[c].levels.nonempty == 0);
    assert_int_equal(tmi_counter(slab_bytes), 0);
    assert_int_equal(tmi_counter(slab_empty_bytes), 0);
    assert_int_equal(tmi_counter(dirty_bytes), 0);
    assert_int_equal(tmi_counter(span_bytes), 0);
}

#if TMI_TEST_HOOKS
static void a_refused_purge_changes_nothing(void **state)
{
    (void)state;
    void *p[16];
    unsigned c = tmi_class_of(4096);
    assert_int_equal(tmi_raw_take(c, p, 16), 16);
    for (int i = 0; i < 16; i++)
        fill(p[i], 4096, (uint64_t)i);
    tmi_raw_return(c, p, 15, "free");
    tmi_os_fail_at(1, true);
    assert_int_equal(tmi_raw_purge(SIZE_MAX), 0);
    assert_true(tmi_os_fail_fired());
    tmi_os_fail_at(0, false);
    audit(c);
    assert_true(intact(p[15], 4096, 4096, 15));
    assert_true(tmi_raw_purge(SIZE_MAX) > 0);
    audit(c);
    tmi_raw_return(c, p + 15, 1, "free");
}
#endif

#if TMI_TEST_HOOKS
static unsigned hook_class;
static void *hook_slots[64];
static size_t hook_nslots;
static tmi_raw_slab_t *hook_slab;

/* While the kernel is at pages of the slab all its slots come back. */
static void return_while_purging(void)
{
    size_t n = hook_nslots;
    if (n == 0 || tmi_raw_classes[hook_class].lock.word != 0 || !hook_slab->purging)
        return;
    hook_nslots = 0;
    tmi_raw_return(hook_class, hook_slots, n, "free");
}

/* Pages behind the last slot, of a slab made of used memory, are empty and have no slots that could be taken out. */
static void a_slab_stays_while_it_is_purged(void **state)
{
    (void)state;
    size_t seen = 0;
    for (unsigned c = TMI_CLASS_FIRST; c <= TMI_CLASS_LAST; c++) {
        size_t rest = tmi_classes[c].units * TMI_UNIT_SIZE - tmi_classes[c].slots * (size_t)tmi_classes[c].size;
        size_t n = tmi_classes[c].slots;
        if (rest < tmi_os_page_size || n > TMI_COUNT_OF(hook_slots))
            continue;
        purge_all();
        bool dirty;
        char *span = tmi_space_alloc(tmi_classes[c].units, 1, TMI_CLASS_LARGE, TMI_CLASS_LARGE_TAIL, &dirty);
        assert_non_null(span);
        memset(span, 1, tmi_classes[c].units * TMI_UNIT_SIZE);
        tmi_space_free(span, tmi_classes[c].units, tmi_classes[c].units * TMI_UNIT_SIZE);
        take_all(c, hook_slots, n);
        hook_slab = tmi_raw_slab_of(hook_slots[0]);
        assert_ptr_equal(hook_slab->base, span);
        assert_true(hook_slab->empty != 0 && hook_slab->nfree == 0); // what lies behind the last slot
        hook_class = c;
        hook_nslots = n;
        tmi_atomic_point = return_while_purging;
        (void)tmi_raw_purge(SIZE_MAX);
        tmi_atomic_point = NULL;
        assert_int_equal(hook_nslots, 0);
        audit(c);
        assert_int_equal(tmi_raw_classes[c].nslabs, 0);
        seen++;
    }
    assert_true(seen > 0);
    audit_all();
}
#endif

typedef enum misuse { TWICE, INTERIOR, BEYOND, SLAB_GONE, NEVER_TAKEN } misuse_t;

static int return_wrongly(void *how)
{
    unsigned c = tmi_class_of(48);
    void *p[4], *q;
    (void)tmi_raw_take(c, p, 4);
    switch ((misuse_t)(uintptr_t)how) {
    case TWICE:
        tmi_raw_return(c, p, 2, "free");
        tmi_raw_return(c, p + 1, 1, "free");
        break;
    case INTERIOR:
        q = (char *)p[0] + 16;
        tmi_raw_return(c, &q, 1, "realloc");
        break;
    case BEYOND: // the few bytes of a slab behind its last slot
        q = tmi_raw_slab_of(p[0])->base + (size_t)tmi_classes[c].slots * 48;
        tmi_raw_return(c, &q, 1, "free");
        break;
    case SLAB_GONE:
        tmi_raw_return(c, p, 4, "free");
        tmi_raw_return(c, p, 1, "free");
        break;
    case NEVER_TAKEN:
        q = (char *)p[0] + 48 * 4;
        tmi_raw_return(c, &q, 1, "free");
        break;
    }
    return 0;
}

/* What was purged and is taken again soon is counted; pages of other classes, and what was never purged, are not. */
static void what_is_wanted_again_is_regretted(void **state)
{
    (void)state;
    void *p[15], *q[15];
    unsigned c = tmi_class_of(4096), other = tmi_class_of(2048);
    purge_all();
    tmi_raw_classes[c].debt.bytes = tmi_raw_classes[other].debt.bytes = 0; // of other tests
    assert_int_equal(tmi_raw_take(c, p, 15), 15);
    assert_int_equal(tmi_raw_take(other, q, 1), 1);
    size_t before = tmi_counter(regretted_bytes);
    tmi_raw_return(c, p, 7, "free");
    assert_int_equal(tmi_raw_purge(SIZE_MAX), 7 * 4096);
    assert_int_equal(tmi_raw_take(other, q + 1, 14), 14);
    assert_int_equal(tmi_counter(regretted_bytes), before);
    tmi_raw_return(other, q, 15, "free");
    assert_int_equal(tmi_raw_take(c, q, 3), 3);
    assert_int_equal(tmi_counter(regretted_bytes), before + 3 * 4096);
    tmi_raw_return(c, q, 3, "free");
    tmi_raw_return(c, p + 7, 8, "free");
    audit(c);
}

static void misuse_is_reported_and_aborts(void **state)
{
    (void)state;
    static const struct { misuse_t how; const char *line; } cases[] = {
        {TWICE, "tinymem: free(*): double free, or a block that was never allocated"},
        {INTERIOR, "tinymem: realloc(*): not the start of a block"},
        {BEYOND, "tinymem: free(*): not the start of a block"},
        {SLAB_GONE, "tinymem: free(*): double free: its slab is gone"},
        {NEVER_TAKEN, "tinymem: free(*): double free, or a block that was never allocated"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        outcome_t o = run_child(return_wrongly, (void *)(uintptr_t)cases[i].how, 20);
        assert_true(aborted_saying(&o, cases[i].line));
    }
}

typedef enum plant { FREE_BIT, EMPTY_BIT, PAST_END, COUNT, HINT, QUEUE } plant_t;

static int plant_an_error(void *what)
{
    unsigned c = tmi_class_of(48);
    static void *p[2000];
    size_t slots = tmi_classes[c].slots;
    (void)tmi_raw_take(c, p, slots);
    tmi_raw_return(c, p, slots / 2, "free");
    tmi_raw_slab_t *slab = tmi_raw_slab_of(p[slots - 1]);
    audit(c);
    switch ((plant_t)(uintptr_t)what) {
    case FREE_BIT: slab->free[0] |= 1; break;
    case EMPTY_BIT: slab->empty ^= 1; break;
    case PAST_END: slab->free[slots / 64] |= (uint64_t)1 << 63; break;
    case COUNT: slab->nfree++; break;
    case HINT: slab->hint = (uint32_t)(slots / 64); break;
    case QUEUE: tmi_dlist_remove(&slab->purge_link); break;
    }
    audit(c);
    return 0;
}

static void control_the_audit_sees_planted_errors(void **state)
{
    (void)state;
    static const struct { plant_t what; const char *line; } cases[] = {
        {FREE_BIT, "tinymem: check(*): R6 free bit below the hint"},
        {EMPTY_BIT, "tinymem: check(*): R2 empty pages"},
        {PAST_END, "tinymem: check(*): R1 bit past the last slot"},
        {COUNT, "tinymem: check(*): R1 nfree differs from the bitmap"},
        {HINT, "tinymem: check(*): R6 free bit below the hint"},
        {QUEUE, "tinymem: check(*): R5 purge queue"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        outcome_t o = run_child(plant_an_error, (void *)(uintptr_t)cases[i].what, 20);
        assert_true(aborted_saying(&o, cases[i].line));
    }
}

int main(void)
{
    if (!tmi_os_init())
        return 1;
    tmi_options_parse("huge:off");
    tmi_sizeclass_init();
    tmi_space_init();
    tmi_raw_init();
    tmi_pagemap_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_of_every_class_are_disjoint_and_aligned),
        cmocka_unit_test(take_goes_up_through_memory_from_the_end),
        cmocka_unit_test(first_slots_of_a_thread_are_whole_cache_lines),
        cmocka_unit_test(slots_follow_the_model_under_random_use),
        cmocka_unit_test(refill_takes_from_the_fullest_slab),
        cmocka_unit_test(purge_gives_back_pages_around_live_slots),
        cmocka_unit_test(what_is_wanted_again_is_regretted),
#if TMI_TEST_HOOKS
        cmocka_unit_test(a_refused_purge_changes_nothing),
        cmocka_unit_test(a_slab_stays_while_it_is_purged),
#endif
        cmocka_unit_test(everything_returned_leaves_nothing),
        cmocka_unit_test(misuse_is_reported_and_aborts),
        cmocka_unit_test(control_the_audit_sees_planted_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
