/* Extents: contents survive every resize, in place or by moving pages; zeroed is zero; the size never lies. */
#include "os/counters.h"
#include "os/options.h"
#include "os/os.h"
#include "slabs/large.h"
#include "support.h"

#include <string.h>

static void audit(void)
{
    tmi_lock(&tmi_space_lock);
    tmi_space_check();
    tmi_unlock(&tmi_space_lock);
}

static void usable_holds_the_size_in_whole_pages(void **state)
{
    (void)state;
    rng_t r = {21};
    for (int i = 0; i < 300; i++) {
        size_t size = 1 + rng_below(&r, 3 * TMI_MIB);
        char *p = tmi_large_alloc(size, 1, false);
        assert_non_null(p);
        size_t usable = tmi_large_usable(p);
        assert_true(usable >= size && usable - size < tmi_os_page_size && usable % tmi_os_page_size == 0);
        assert_true(tmi_large_valid(p));
        assert_false(tmi_large_valid(p + 16));
        p[0] = p[usable - 1] = 1;
        tmi_large_free(p);
    }
    audit();
}

static void alignment_up_to_a_gib_is_kept(void **state)
{
    (void)state;
    for (size_t align = 1; align <= TMI_GIB; align *= 2) {
        char *p = tmi_large_alloc(100000, align, true);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % align, 0);
        assert_true(tmi_large_valid(p));
        assert_true(all_zero(p, 100000));
        fill(p, 100000, align);
        tmi_large_free(p);
    }
    audit();
}

static void zeroed_is_zero_in_used_memory(void **state)
{
    (void)state;
    rng_t r = {22};
    for (int i = 0; i < 200; i++) {
        size_t size = 1 + rng_below(&r, TMI_MIB);
        char *p = tmi_large_alloc(size, 1, true);
        assert_non_null(p);
        assert_true(all_zero(p, size));
        memset(p, 0xff, tmi_large_usable(p));
        tmi_large_free(p);
        if (rng_below(&r, 4) == 0)
            (void)tmi_space_purge(rng_below(&r, TMI_MIB));
    }
}

static void zeroed_touches_no_fresh_page(void **state)
{
    (void)state;
    char *p = tmi_large_alloc(TMI_GIB, 1, true);
    assert_non_null(p);
    assert_int_equal(resident_bytes(p, TMI_GIB / 16), 0);
    tmi_large_free(p);
    (void)tmi_space_purge(SIZE_MAX);
}

static void shrinking_stays_and_gives_units_back(void **state)
{
    (void)state;
    size_t spans = tmi_counter(span_bytes);
    char *p = tmi_large_alloc(10 * TMI_MIB, 1, false);
    assert_non_null(p);
    fill(p, 10 * TMI_MIB, 1);
    assert_ptr_equal(tmi_large_resize(p, 100000), p);
    assert_true(intact(p, 100000, 10 * TMI_MIB, 1));
    assert_in_range(tmi_large_usable(p), 100000, 100000 + 65536);
    assert_true(tmi_counter(span_bytes) - spans <= 3 * TMI_UNIT_SIZE);
    audit();
    tmi_large_free(p);
}

static void growth_into_a_free_neighbour_stays(void **state)
{
    (void)state;
    char *p = tmi_large_alloc(TMI_MIB, 1, false);
    assert_non_null(p);
    fill(p, TMI_MIB, 2);
    assert_ptr_equal(tmi_large_resize(p, 100000), p); // what was cut off is free behind it
    assert_ptr_equal(tmi_large_resize(p, TMI_MIB), p);
    assert_true(intact(p, 100000, TMI_MIB, 2));
    assert_int_equal(tmi_large_usable(p), TMI_MIB);
    audit();
    tmi_large_free(p);
}

/* Behind p there is a used span, so that growth has to move. */
static char *walled(size_t size, char **wall)
{
    (void)tmi_space_purge(SIZE_MAX);
    (void)tmi_space_unmap(); // or p might take in what a test before has left: a gigabyte
    char *p = tmi_large_alloc(size, 1, false);
    *wall = tmi_large_alloc(TMI_UNIT_SIZE, 1, false);
    bool dirty;
    while (p != NULL && tmi_space_extend(tmi_unit_of(p), tmi_span_of(p)->nunits, tmi_span_of(p)->nunits + 1,
                                         TMI_CLASS_LARGE_TAIL, &dirty)) {
    } // whatever was free behind p is p's now
    return p;
}

static void growth_moves_pages_and_not_bytes(void **state)
{
    (void)state;
    for (size_t size = 2 * TMI_MIB; size <= 64 * TMI_MIB; size *= 2) {
        char *wall, *p = walled(size, &wall);
        assert_non_null(p);
        fill(p, size, size);
        size_t moves = tmi_counter(moves), before = rss_bytes();
        size_t larger = tmi_max(size * 2, tmi_span_of(p)->nunits * TMI_UNIT_SIZE) + TMI_MIB; // than all that p took in
        char *q = tmi_large_resize(p, larger);
        assert_non_null(q);
        assert_true(q != p && tmi_counter(moves) == moves + 1);
        // copied pages would be resident twice; a sanitizer has its shadow of what is copied
        assert_true(UNDER_SANITIZER || rss_bytes() <= before + TMI_MIB);
        assert_true(intact(q, size, size, size));
        fill(q, larger, size + 1);
        assert_true(intact(q, larger, larger, size + 1));
        audit();
        tmi_large_free(q);
        tmi_large_free(wall);
        audit();
    }
}

/* A block that has been moved and has grown on lies in two mappings, or more: older kernels do not move these at
 * once. */
static void growth_by_little_over_several_mappings(void **state)
{
    (void)state;
    size_t size = 2 * TMI_MIB, moves = tmi_counter(moves), most = full_run() ? 1024 * TMI_MIB : 128 * TMI_MIB;
    char *wall, *p = walled(size, &wall);
    fill(p, size, 5);
    while (size < most) {
        size_t larger = size + size / 8 + 12345;
        p = tmi_large_resize(p, larger);
        assert_non_null(p);
        assert_true(intact(p, size, size, 5));
        fill(p, size = larger, 5);
    }
    assert_true(tmi_counter(moves) >= moves + 2);
    tmi_large_free(p);
    tmi_large_free(wall);
    audit();
}

static void what_a_move_leaves_behind_is_clean_and_usable(void **state)
{
    (void)state;
    char *wall, *p = walled(4 * TMI_MIB, &wall);
    assert_non_null(p);
    memset(p, 0xff, 4 * TMI_MIB);
    char *q = tmi_large_resize(p, 9 * TMI_MIB);
    assert_non_null(q);
    for (size_t size = 4 * TMI_MIB; size >= 64 * TMI_KIB; size /= 2) {
        char *z = tmi_large_alloc(size, 1, true);
        assert_true(all_zero(z, size));
        memset(z, 0xee, size);
        tmi_large_free(z);
    }
    assert_int_equal((unsigned char)q[4 * TMI_MIB - 1], 0xff);
    tmi_large_free(q);
    tmi_large_free(wall);
    audit();
}

static void contents_survive_random_resizes(void **state)
{
    (void)state;
    enum { BLOCKS = 12 };
    rng_t r = {23};
    struct { char *p; size_t size; uint64_t mark; } b[BLOCKS] = {{0}};
    for (size_t step = 0; step < scaled(3000); step++) {
        size_t i = rng_below(&r, BLOCKS), size = 40000 + rng_size(&r, 8 * TMI_MIB);
        if (b[i].p == NULL) {
            b[i].p = tmi_large_alloc(size, 1, false);
        } else if (rng_below(&r, 6) == 0) {
            tmi_large_free(b[i].p);
            b[i].p = NULL;
            continue;
        } else {
            char *q = tmi_large_resize(b[i].p, size);
            if (q == NULL) { // it takes a copy; the object is as it was
                assert_true(intact(b[i].p, b[i].size, b[i].size, b[i].mark));
                continue;
            }
            assert_true(intact(q, b[i].size < size ? b[i].size : size, b[i].size, b[i].mark));
            b[i].p = q;
        }
        assert_non_null(b[i].p);
        assert_true(tmi_large_usable(b[i].p) >= size);
        b[i].size = size;
        b[i].mark = step;
        fill(b[i].p, size, step);
        audit();
    }
    for (size_t i = 0; i < BLOCKS; i++)
        if (b[i].p != NULL)
            tmi_large_free(b[i].p);
    audit();
}

static void counters_end_at_zero(void **state)
{
    (void)state;
    assert_int_equal(tmi_counter(large_bytes), 0);
    assert_int_equal(tmi_counter(large_count), 0);
    assert_int_equal(tmi_counter(span_bytes), 0);
}

static void the_impossible_is_null(void **state)
{
    (void)state;
    assert_null(tmi_large_alloc(PTRDIFF_MAX, 1, false));
    assert_null(tmi_large_alloc((size_t)1 << 47, 1, true));
    assert_null(tmi_large_alloc(1, (size_t)1 << 62, false));
    char *p = tmi_large_alloc(2 * TMI_MIB, 1, false);
    assert_null(tmi_large_resize(p, PTRDIFF_MAX));
    assert_int_equal(tmi_large_usable(p), 2 * TMI_MIB);
    tmi_large_free(p);
    audit();
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
        cmocka_unit_test(usable_holds_the_size_in_whole_pages),
        cmocka_unit_test(alignment_up_to_a_gib_is_kept),
        cmocka_unit_test(zeroed_is_zero_in_used_memory),
        cmocka_unit_test(zeroed_touches_no_fresh_page),
        cmocka_unit_test(shrinking_stays_and_gives_units_back),
        cmocka_unit_test(growth_into_a_free_neighbour_stays),
        cmocka_unit_test(growth_moves_pages_and_not_bytes),
        cmocka_unit_test(growth_by_little_over_several_mappings),
        cmocka_unit_test(what_a_move_leaves_behind_is_clean_and_usable),
        cmocka_unit_test(contents_survive_random_resizes),
        cmocka_unit_test(the_impossible_is_null),
        cmocka_unit_test(counters_end_at_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
