/* The page map: nothing is ours until it is entered; the whole user address space can be asked about; small address spaces get a window. */
#include "host/os.h"
#include "space/pagemap.h"
#include "support.h"

#include <stdlib.h>
#include <sys/resource.h>

static int in_a_small_address_space(void *limit)
{
    struct rlimit l = {(rlim_t)(uintptr_t)limit, (rlim_t)(uintptr_t)limit};
    if (setrlimit(RLIMIT_AS, &l) != 0)
        return 1;
    if (tmi_pagemap_init() != 0)
        return 2;
    uintptr_t hint = (uintptr_t)tmi_pagemap_hint();
    if (hint == 0 || hint % TMI_SEGMENT_SIZE != 0)
        return 3;
    void *p;
    if (tmi_os_map((void *)hint, TMI_SEGMENT_SIZE, TMI_SEGMENT_SIZE, &p) != 0)
        return 4;
    return tmi_pagemap_prepare((uintptr_t)p, TMI_SEGMENT_SIZE) == 0 ? 0 : 5;
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
    assert_int_equal(tmi_pagemap.nunits, 0);
    assert_int_equal(tmi_pagemap_code(&local), 0);
    assert_null(tmi_pagemap_segment(&local));
    assert_int_equal(tmi_pagemap_init(), 0);
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
    const void *const fixed[] = {NULL, (void *)1, &data, &stack, heap, (void *)UINTPTR_MAX, (void *)((uintptr_t)1 << TMI_ADDRESS_BITS),
                                 (void *)(((uintptr_t)1 << TMI_ADDRESS_BITS) - 1), (void *)0xffffffffff600000};
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
    assert_int_equal(tmi_pagemap_prepare((uintptr_t)p, TMI_SEGMENT_SIZE), 0);
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
    uintptr_t number = (uintptr_t)p >> TMI_SEGMENT_SHIFT, end = tmi_pagemap.nunits / TMI_SEGMENT_UNITS;
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
    uintptr_t end = tmi_pagemap.nunits << TMI_UNIT_SHIFT;
    assert_int_not_equal(tmi_pagemap_prepare(end, TMI_SEGMENT_SIZE), 0);
    assert_int_not_equal(tmi_pagemap_prepare(end - TMI_SEGMENT_SIZE, 2 * TMI_SEGMENT_SIZE), 0);
    assert_int_not_equal(tmi_pagemap_prepare(UINTPTR_MAX - 1000, 2000), 0);
    assert_int_equal(tmi_pagemap_prepare(end - TMI_SEGMENT_SIZE, TMI_SEGMENT_SIZE), 0);
}

#if TMI_TEST_HOOKS
static void a_refusal_leaves_every_address_foreign(void **state)
{
    (void)state;
    tmi_pagemap_t before = tmi_pagemap;
    tmi_pagemap = (tmi_pagemap_t){0};
    tmi_os_fail_at(1, true);
    assert_int_not_equal(tmi_pagemap_init(), 0);
    tmi_os_fail_at(0, false);
    assert_int_equal(tmi_pagemap.nunits, 0);
    assert_int_equal(tmi_pagemap_code(&before), 0);
    assert_int_equal(tmi_pagemap_init(), 0); // and a later attempt succeeds
    tmi_pagemap = before;
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
#if TMI_TEST_HOOKS
        cmocka_unit_test(a_refusal_leaves_every_address_foreign),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
