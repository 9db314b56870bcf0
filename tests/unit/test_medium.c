/* Medium objects: slots are disjoint, aligned and zero where they say so; empty slots really go back to the kernel, one
 * by one; misuse is reported; the audit W1-W5 holds all the time. And the shelf, where a thread keeps a few. */
#include "os/counters.h"
#include "os/options.h"
#include "os/os.h"
#include "slabs/medium_impl.h"
#include "support.h"
#include "threads/shelf.h"

#include <string.h>
#include <sys/mman.h>

static void audit(void)
{
    tmi_medium_lock_all();
    tmi_medium_check();
    tmi_medium_unlock_all();
    tmi_lock(&tmi_space_lock);
    tmi_space_check();
    tmi_unlock(&tmi_space_lock);
}

static void *take(size_t size, bool *dirty)
{
    void *p = tmi_medium_take(tmi_medium_class(size, 1), true, dirty);
    assert_non_null(p);
    return p;
}

static void give(void *p) { tmi_medium_return(p, "free"); }

static void purge_all(void)
{
    tmi_medium_release_unused();
    (void)tmi_medium_purge(SIZE_MAX);
    (void)tmi_space_purge(SIZE_MAX);
}

static void classes_hold_every_size_and_alignment(void **state)
{
    (void)state;
    for (size_t size = TMI_SMALL_MAX + 1; size <= TMI_MEDIUM_MAX; size += size % 4096 < 3 ? 1 : 4093) {
        unsigned c = tmi_medium_class(size, 1);
        assert_in_range(c, 0, TMI_MEDIUM_CLASSES - 1);
        size_t slot = tmi_medium_size(c);
        assert_true(slot >= size && slot % tmi_os_page_size == 0);
        assert_true(tmi_os_page_size > 4096 || (slot - size) * 8 < slot);
        assert_true(c == 0 || tmi_medium_size(c - 1) < size || tmi_medium_size(c - 1) == slot);
    }
    for (size_t align = 1; align <= TMI_UNIT_SIZE; align *= 2)
        for (size_t size = 1; size <= TMI_MEDIUM_MAX; size = size * 5 / 3 + 1) {
            bool dirty;
            unsigned c = tmi_medium_class(size, align);
            void *p[3];
            for (int i = 0; i < 3; i++) {
                p[i] = tmi_medium_take(c, true, &dirty);
                assert_int_equal((uintptr_t)p[i] % align, 0);
            }
            assert_true(tmi_medium_size(c) >= size);
            for (int i = 0; i < 3; i++)
                give(p[i]);
        }
    audit();
}

/* The arithmetic of tmi_medium_slot, at every page and at the last byte before it. */
static void offsets_lead_to_their_slots(void **state)
{
    (void)state;
    for (unsigned cls = 0; cls < TMI_MEDIUM_CLASSES; cls++) {
        const tmi_medium_info_t *c = &tmi_medium_info[cls];
        assert_in_range(c->slots, 4, 64);
        assert_true((size_t)c->slots * c->size <= c->units * TMI_UNIT_SIZE);
        for (size_t offset = 0; offset < c->units * TMI_UNIT_SIZE; offset += 4096) {
            assert_int_equal(tmi_medium_slot(c, offset), offset / c->size);
            assert_int_equal(tmi_medium_slot(c, offset + 4095), (offset + 4095) / c->size);
        }
    }
}

typedef struct block {
    char *p;
    size_t size;
    uint64_t mark;
} block_t;

static void at_random_contents_survive_and_books_are_right(void **state)
{
    (void)state;
    enum { LIVE = 60 };
    static block_t live[LIVE];
    rng_t r = {5};
    size_t n = scaled(6000);
    for (size_t i = 0; i < n; i++) {
        block_t *b = &live[rng_below(&r, LIVE)];
        if (b->p != NULL) {
            assert_true(intact(b->p, b->size, b->size, b->mark));
            assert_null(tmi_medium_complaint(b->p, &(unsigned){0}));
            give(b->p);
            b->p = NULL;
        } else {
            bool dirty;
            b->size = TMI_SMALL_MAX + 1 + rng_below(&r, rng_below(&r, 4) ? 100000 : TMI_MEDIUM_MAX - TMI_SMALL_MAX);
            b->p = take(b->size, &dirty);
            assert_true(dirty || all_zero(b->p, tmi_medium_size(tmi_medium_class_at(b->p)))); // W3
            b->mark = rng_next(&r);
            fill(b->p, b->size, b->mark);
        }
        if (rng_below(&r, 50) == 0)
            (void)tmi_medium_purge(1 + rng_below(&r, 4 * TMI_MIB));
        if (rng_below(&r, 500) == 0)
            tmi_medium_release_unused();
        if (i % 64 == 0)
            audit();
    }
    for (int i = 0; i < LIVE; i++)
        if (live[i].p != NULL)
            give(live[i].p);
    audit();
    purge_all();
    audit();
    assert_int_equal(tmi_counter(medium_empty_bytes), 0);
}

static void free_slots_go_back_one_by_one(void **state)
{
    (void)state;
    enum { N = 8 };
    char *p[N];
    bool dirty;
    size_t size = 100 * TMI_KIB;
    purge_all();
    for (int i = 0; i < N; i++) {
        p[i] = take(size, &dirty);
        memset(p[i], 1, size);
    }
    size_t slot = tmi_medium_size(tmi_medium_class_at(p[0]));
    for (int i = 1; i < N; i += 2)
        give(p[i]);
    assert_int_equal(tmi_counter(medium_empty_bytes), N / 2 * slot);
    assert_true(resident_bytes(p[1], size) >= size); // control: freeing alone gives nothing back
    assert_int_equal(tmi_medium_purge(1), slot);
    assert_int_equal(tmi_medium_purge(SIZE_MAX), (N / 2 - 1) * slot);
    for (int i = 0; i < N; i++)
        assert_int_equal(resident_bytes(p[i], size) > 0, i % 2 == 0);
    char *q = take(size, &dirty);
    assert_false(dirty);
    assert_int_equal(q[0], 0);
    give(q);
    q = take(size, &dirty); // the empty one before those that are not there
    assert_true(dirty);
    give(q);
    for (int i = 0; i < N; i += 2)
        give(p[i]);
    audit();
}

static void one_unused_slab_is_kept_for_what_comes_next(void **state)
{
    (void)state;
    bool dirty;
    purge_all();
    size_t spans = tmi_counter(span_bytes);
    void *p = take(200 * TMI_KIB, &dirty);
    size_t with_slab = tmi_counter(span_bytes);
    give(p);
    assert_int_equal(tmi_counter(span_bytes), with_slab); // else every allocation would make one
    audit();
    tmi_medium_release_unused();
    assert_int_equal(tmi_counter(span_bytes), spans);
    audit();
}

#if TMI_TEST_HOOKS
static void a_refused_purge_changes_nothing(void **state)
{
    (void)state;
    bool dirty;
    char *p = take(50 * TMI_KIB, &dirty), *kept = take(50 * TMI_KIB, &dirty);
    memset(p, 7, 50 * TMI_KIB);
    give(p);
    tmi_os_fail_at(1, true);
    assert_int_equal(tmi_medium_purge(SIZE_MAX), 0);
    assert_true(tmi_os_fail_fired());
    tmi_os_fail_at(0, false);
    audit();
    assert_true(tmi_medium_purge(SIZE_MAX) > 0);
    give(kept);
    audit();
}
#endif

typedef enum misuse { TWICE, INTERIOR, NEVER_TAKEN, TWICE_ON_SHELF } misuse_t;

static int misuse(void *what)
{
    bool dirty;
    char *p = take(60 * TMI_KIB, &dirty), *other = take(60 * TMI_KIB, &dirty);
    tmi_shelf_t shelf = {.count = 0};
    switch ((misuse_t)(uintptr_t)what) {
    case TWICE: give(p); break;
    case INTERIOR: p += 4096; break;
    case NEVER_TAKEN:
        give(other);
        p = other;
        break;
    case TWICE_ON_SHELF:
        (void)tmi_shelf_put(&shelf, p, tmi_medium_class_at(p), "free");
        (void)tmi_shelf_put(&shelf, p, tmi_medium_class_at(p), "free");
        return 0;
    }
    give(p);
    return 0;
}

static void misuse_is_reported(void **state)
{
    (void)state;
    static const char *lines[] = {
        [TWICE] = "tinymem: free(0x*): double free, or a block that was never allocated",
        [INTERIOR] = "tinymem: free(0x*): not the start of a block",
        [NEVER_TAKEN] = "tinymem: free(0x*): double free, or a block that was never allocated",
        [TWICE_ON_SHELF] = "tinymem: free(0x*): double free",
    };
    for (uintptr_t m = TWICE; m <= TWICE_ON_SHELF; m++) {
        outcome_t o = run_child(misuse, (void *)m, 10);
        assert_true(aborted_saying(&o, lines[m]));
    }
}

/* ---- the shelf --------------------------------------------------------------------------------------------------- */

static void a_shelf_keeps_what_was_freed_last(void **state)
{
    (void)state;
    tmi_shelf_t shelf = {.count = 0};
    bool dirty;
    rng_t r = {8};
    size_t before = tmi_counter(large_count);
    for (size_t i = 0; i < scaled(3000); i++) {
        size_t size = TMI_SMALL_MAX + 1 + rng_below(&r, rng_below(&r, 3) ? 30000 : 200000);
        unsigned cls = tmi_medium_class(size, 1);
        char *p = tmi_shelf_take(&shelf, cls);
        if (p == NULL)
            p = take(size, &dirty);
        assert_int_equal(tmi_medium_class_at(p), cls);
        assert_false(tmi_shelf_holds(&shelf, p));
        (void)tmi_shelf_put(&shelf, p, cls, "free");
        assert_true(shelf.bytes <= TMI_SHELF_BYTES && shelf.count <= TMI_SHELF_BLOCKS);
        bool kept = tmi_medium_size(cls) <= TMI_SHELF_BYTES / 2;
        assert_int_equal(tmi_shelf_holds(&shelf, p), kept);
        size_t sum = 0;
        for (unsigned k = 0; k < shelf.count; k++)
            sum += tmi_medium_size(shelf.classes[k]);
        assert_int_equal(sum, shelf.bytes); // F2
        assert_int_equal(tmi_counter(large_count) - before, shelf.count);
        if (kept && rng_below(&r, 2)) {
            assert_ptr_equal(tmi_shelf_take(&shelf, cls), p); // the warmest
            give(p);
        }
    }
    tmi_shelf_flush(&shelf);
    assert_int_equal(shelf.count + shelf.bytes, 0);
    assert_int_equal(tmi_counter(large_count), before);
    audit();
}

int main(void)
{
    assert_true(tmi_os_init());
    tmi_options_init();
    tmi_sizeclass_init();
    tmi_space_init();
    tmi_pagemap_init();
    tmi_medium_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes_hold_every_size_and_alignment),
        cmocka_unit_test(offsets_lead_to_their_slots),
        cmocka_unit_test(at_random_contents_survive_and_books_are_right),
        cmocka_unit_test(free_slots_go_back_one_by_one),
        cmocka_unit_test(one_unused_slab_is_kept_for_what_comes_next),
#if TMI_TEST_HOOKS
        cmocka_unit_test(a_refused_purge_changes_nothing),
#endif
        cmocka_unit_test(misuse_is_reported),
        cmocka_unit_test(a_shelf_keeps_what_was_freed_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
