/* The page map: nothing is ours until it is entered; the whole user address space can be asked about; small address
 * spaces get a window. */
#include "os/os.h"
#include "segments/pagemap.h"
#include "support.h"

#include <stdlib.h>
#include <sys/resource.h>

static int in_a_small_address_space(void *limit)
{
    struct rlimit l = {(rlim_t)(uintptr_t)limit, (rlim_t)(uintptr_t)limit};
    if (setrlimit(RLIMIT_AS, &l) != 0)
        return 1;
    tmi_pagemap_init();
    void *p;
    if (tmi_os_map(NULL, TMI_SEGMENT_SIZE, TMI_SEGMENT_SIZE, &p) != 0)
        return 4;
    if (tmi_pagemap_commit((uintptr_t)p, TMI_SEGMENT_SIZE) != 0)
        return 5;
    return tmi_windows[0].nunits <= (uintptr_t)limit / 12 ? 0 : 6; // a byte a unit, and a quarter more
}

static void a_small_address_space_gets_a_window(void **state)
{
    (void)state;
    if (UNDER_SANITIZER) // the sanitizers' shadow is larger than any such limit
        skip();
    static const size_t limits[] = {(size_t)64 << 20, (size_t)200 << 20, (size_t)1 << 30};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        outcome_t o = run_child(in_a_small_address_space, (void *)limits[i], 20);
        assert_true(exited(&o, 0));
    }
}

static void before_init_nothing_is_ours_and_after_it_nothing_is_resident(void **state)
{
    (void)state;
    int local;
    size_t before = rss_bytes();
    assert_int_equal(tmi_nwindows, 0);
    assert_int_equal(tmi_pagemap_code(&local), 0);
    assert_null(tmi_pagemap_segment(&local));
    tmi_pagemap_init();
    void *p;
    assert_int_equal(tmi_os_map(NULL, TMI_SEGMENT_SIZE, TMI_SEGMENT_SIZE, &p), 0);
    assert_int_equal(tmi_pagemap_commit((uintptr_t)p, TMI_SEGMENT_SIZE), 0);
    assert_int_equal(tmi_nwindows, 1);
    rng_t r = {9};
    for (int i = 0; i < 1000; i++) // reading makes nothing resident either
        assert_int_equal(tmi_pagemap_code((void *)(rng_next(&r) >> 17)), 0);
    assert_true(UNDER_SANITIZER || rss_bytes() <= before + 256 * TMI_KIB);
}

static void any_address_can_be_asked_about(void **state)
{
    (void)state;
    static int data;
    int stack;
    rng_t r = {5};
    void *heap = malloc(10);
    const void *const fixed[] = {NULL,
                                 (void *)1,
                                 &data,
                                 &stack,
                                 heap,
                                 (void *)UINTPTR_MAX,
                                 (void *)((uintptr_t)1 << TMI_ADDRESS_BITS),
                                 (void *)(((uintptr_t)1 << TMI_ADDRESS_BITS) - 1),
                                 (void *)0xffffffffff600000};
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) {
        assert_int_equal(tmi_pagemap_code(fixed[i]), 0);
        assert_null(tmi_pagemap_segment(fixed[i]));
    }
    for (int i = 0; i < 1000; i++) {
        void *p = (void *)(rng_next(&r) >> rng_below(&r, 64));
        assert_int_equal(tmi_pagemap_class(p), TMI_CLASS_NONE);
        assert_null(tmi_pagemap_segment(p));
    }
    free(heap);
}

static void entries_are_found_for_each_byte_of_their_units(void **state)
{
    (void)state;
    char *p;
    assert_int_equal(tmi_os_map(NULL, TMI_SEGMENT_SIZE, TMI_SEGMENT_SIZE, (void **)&p), 0);
    assert_int_equal(tmi_pagemap_commit((uintptr_t)p, TMI_SEGMENT_SIZE), 0);
    static char record[64]; // stands for a segment's
    tmi_segment_t *seg = (tmi_segment_t *)(void *)record;
    tmi_pagemap_set_segment(p, seg);
    tmi_pagemap_set_class(p + 3 * TMI_UNIT_SIZE, 2, 17);
    for (size_t u = 0; u < TMI_SEGMENT_UNITS; u++) {
        unsigned expected = u == 3 || u == 4 ? 17 : TMI_CLASS_NONE;
        char *unit = p + u * TMI_UNIT_SIZE;
        assert_int_equal(tmi_pagemap_class(unit), expected);
        assert_int_equal(tmi_pagemap_class(unit + TMI_UNIT_SIZE - 1), expected);
        assert_int_equal(tmi_pagemap_code(unit + 1), expected * 2);
        assert_ptr_equal(tmi_pagemap_segment(unit + 77), seg);
    }
    assert_null(tmi_pagemap_segment(p - 1));
    assert_null(tmi_pagemap_segment(p + TMI_SEGMENT_SIZE));
    uintptr_t number = (uintptr_t)p >> TMI_SEGMENT_SHIFT, end = TMI_PAGEMAP_SEGMENTS;
    assert_true(tmi_pagemap_next_segment(0) == number);
    assert_true(tmi_pagemap_next_segment(number) == number);
    assert_true(tmi_pagemap_next_segment(number + 1) == end);
    tmi_pagemap_set_class(p + 3 * TMI_UNIT_SIZE, 2, TMI_CLASS_NONE);
    tmi_pagemap_set_segment(p, NULL);
    assert_true(tmi_pagemap_next_segment(0) == end);
    assert_int_equal(tmi_os_unmap(p, TMI_SEGMENT_SIZE), 0);
}

static void ranges_outside_are_refused(void **state)
{
    (void)state;
    uintptr_t end = (uintptr_t)1 << TMI_ADDRESS_BITS;
    assert_int_not_equal(tmi_pagemap_commit(end, TMI_SEGMENT_SIZE), 0);
    assert_int_not_equal(tmi_pagemap_commit(end - TMI_SEGMENT_SIZE, 2 * TMI_SEGMENT_SIZE), 0);
    assert_int_not_equal(tmi_pagemap_commit(UINTPTR_MAX - 1000, 2000), 0);
    assert_int_equal(tmi_pagemap_commit(end - TMI_SEGMENT_SIZE, TMI_SEGMENT_SIZE), 0);
}

/* Addresses far apart are in windows of their own, which do not overlap. */
static void segments_elsewhere_get_further_windows(void **state)
{
    (void)state;
    static char record[64];
    tmi_segment_t *seg = (tmi_segment_t *)(void *)record;
    static const uintptr_t places[] = {(uintptr_t)1 << 40, (uintptr_t)3 << 40,
                                       ((uintptr_t)3 << 40) + ((uintptr_t)1 << 39), (uintptr_t)1 << 46,
                                       ((uintptr_t)1 << 46) - TMI_SEGMENT_SIZE};
    uint32_t before = tmi_nwindows;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        const char *p = (const char *)places[i];
        assert_int_equal(tmi_pagemap_commit(places[i], TMI_SEGMENT_SIZE), 0);
        tmi_pagemap_set_segment(p, seg);
        tmi_pagemap_set_class(p, TMI_SEGMENT_UNITS, 5);
        assert_ptr_equal(tmi_pagemap_segment(p + TMI_SEGMENT_SIZE - 1), seg);
        assert_int_equal(tmi_pagemap_class(p + TMI_SEGMENT_SIZE - 1), 5);
        assert_true(tmi_pagemap_next_segment(places[i] >> TMI_SEGMENT_SHIFT) == places[i] >> TMI_SEGMENT_SHIFT);
    }
    assert_in_range(tmi_nwindows, before + 3, before + 5);
    for (uint32_t i = 0; i < tmi_nwindows; i++)
        for (uint32_t k = 0; k < i; k++)
            assert_true(tmi_windows[i].first >= tmi_windows[k].first + tmi_windows[k].nunits ||
                        tmi_windows[k].first >= tmi_windows[i].first + tmi_windows[i].nunits);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        tmi_pagemap_set_class((const char *)places[i], TMI_SEGMENT_UNITS, TMI_CLASS_NONE);
        tmi_pagemap_set_segment((const char *)places[i], NULL);
    }
}

/* free's one comparison. */
static void spots_tell_who_is_foreign_or_misaligned(void **state)
{
    (void)state;
    const char *first = (const char *)(tmi_windows[0].first << TMI_UNIT_SHIFT),
               *end = first + (tmi_windows[0].nunits << TMI_UNIT_SHIFT);
    assert_true(tmi_pagemap_spot(first) == 0 && tmi_pagemap_spot(end - 8) == tmi_pagemap.limit - 1);
    assert_true(tmi_pagemap_spot(first - 8) >= tmi_pagemap.limit && tmi_pagemap_spot(end) >= tmi_pagemap.limit);
    assert_true(tmi_pagemap_spot(NULL) >= tmi_pagemap.limit &&
                tmi_pagemap_spot((void *)UINTPTR_MAX) >= tmi_pagemap.limit);
    for (size_t i = 1; i < 8; i++)
        assert_true(tmi_pagemap_spot(first + TMI_UNIT_SIZE + i) >= tmi_pagemap.limit);
    assert_true(tmi_pagemap_spot(first + 5 * TMI_UNIT_SIZE + 8) >> TMI_SPOTS_SHIFT == 5);
}

#if TMI_TEST_HOOKS
static void a_refusal_leaves_every_address_foreign(void **state)
{
    (void)state;
    tmi_pagemap_t before = tmi_pagemap;
    uint32_t windows = tmi_nwindows;
    char *p;
    assert_int_equal(tmi_os_map(NULL, TMI_SEGMENT_SIZE, TMI_SEGMENT_SIZE, (void **)&p), 0);
    tmi_pagemap = (tmi_pagemap_t){0};
    tmi_nwindows = 0;
    tmi_os_fail_at(1, true);
    assert_int_not_equal(tmi_pagemap_commit((uintptr_t)p, TMI_SEGMENT_SIZE), 0);
    tmi_os_fail_at(0, false);
    assert_int_equal(tmi_pagemap.limit, 0);
    assert_int_equal(tmi_pagemap_code(p), 0);
    tmi_window_t first = tmi_windows[0];
    assert_int_equal(tmi_pagemap_commit((uintptr_t)p, TMI_SEGMENT_SIZE), 0); // and a later attempt succeeds
    tmi_windows[0] = first;
    tmi_pagemap = before;
    tmi_nwindows = windows;
}
#endif

int main(void)
{
    if (!tmi_os_init())
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_address_space_gets_a_window), // first: a child inherits what is mapped
        cmocka_unit_test(before_init_nothing_is_ours_and_after_it_nothing_is_resident),
        cmocka_unit_test(any_address_can_be_asked_about),
        cmocka_unit_test(entries_are_found_for_each_byte_of_their_units),
        cmocka_unit_test(ranges_outside_are_refused),
        cmocka_unit_test(spots_tell_who_is_foreign_or_misaligned),
        cmocka_unit_test(segments_elsewhere_get_further_windows),
#if TMI_TEST_HOOKS
        cmocka_unit_test(a_refusal_leaves_every_address_foreign),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
