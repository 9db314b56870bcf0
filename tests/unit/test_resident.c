/* Which pages of free spans are resident (S6): nothing is resident that is not marked, whatever spans are taken, split,
 * merged and purged; and slabs take slots on resident pages first. */
#include "os/counters.h"
#include "os/options.h"
#include "os/os.h"
#include "segments/segment.h"
#include "slabs/medium.h"
#include "slabs/raw.h"
#include "support.h"

#include <string.h>

enum { SPANS = 30, UNITS_MAX = 4 };

typedef struct model_span {
    char *addr;
    size_t nunits;
    uint64_t written; // pages
} model_span_t;

static size_t pages_per_unit(void) { return TMI_UNIT_SIZE >> tmi_os_page_shift; }

static char *alloc_span(size_t nunits)
{
    bool dirty;
    char *p = tmi_space_alloc(nunits, 1, TMI_CLASS_LARGE, TMI_CLASS_LARGE_TAIL, &dirty);
    assert_non_null(p);
    return p;
}

/* The pages of a new span that are resident must be among those that it says. */
static void step_alloc(model_span_t *s, rng_t *r, size_t *resident, size_t *marked)
{
    s->nunits = 1 + rng_below(r, UNITS_MAX);
    s->addr = alloc_span(s->nunits);
    s->written = tmi_space_resident(s->addr, s->nunits);
    for (size_t p = 0; p < s->nunits * pages_per_unit(); p++) {
        char *page = s->addr + (p << tmi_os_page_shift);
        bool is_resident = resident_bytes(page, tmi_os_page_size) > 0, is_marked = s->written >> p & 1;
        assert_true(is_marked || !is_resident);
        assert_int_equal(is_marked, tmi_space_may_be_resident(page, tmi_os_page_size));
        *resident += is_resident;
        *marked += is_marked;
    }
}

static void step_write(model_span_t *s, rng_t *r)
{
    size_t p = rng_below(r, s->nunits * pages_per_unit());
    s->addr[p << tmi_os_page_shift] = 1;
    s->written |= (uint64_t)1 << p;
}

/* In one of the two ways: with a set, or by marks. */
static void step_free(model_span_t *s, rng_t *r)
{
    if (rng_below(r, 2)) {
        tmi_space_free_pages(s->addr, s->nunits, s->written);
    } else {
        tmi_space_note_clean(s->addr, s->nunits);
        for (uint64_t left = s->written, run; left != 0; left &= ~run) {
            run = tmi_lowest_run(left);
            tmi_space_note_resident(s->addr + ((size_t)tmi_lowest_bit(run) << tmi_os_page_shift),
                                    (size_t)tmi_popcount(run) << tmi_os_page_shift);
        }
        tmi_space_free_noted(s->addr, s->nunits);
    }
    s->addr = NULL;
}

static void audit(void)
{
    tmi_lock(&tmi_space_lock);
    tmi_space_check();
    tmi_unlock(&tmi_space_lock);
}

static void what_is_not_marked_is_not_resident(void **state)
{
    (void)state;
    rng_t r = {5};
    model_span_t spans[SPANS] = {0};
    size_t resident = 0, marked = 0;
    for (size_t i = 0; i < scaled(20000); i++) {
        model_span_t *s = &spans[rng_below(&r, SPANS)];
        size_t what = rng_below(&r, 40);
        if (what == 0)
            (void)tmi_space_purge(rng_below(&r, TMI_MIB));
        else if (s->addr == NULL)
            step_alloc(s, &r, &resident, &marked);
        else if (what < 30)
            step_write(s, &r);
        else
            step_free(s, &r);
        audit();
    }
    print_message("%zu pages of new spans were marked, %zu resident\n", marked, resident);
    assert_true(resident > 0 && marked < resident + resident / 20 + 10); // and hardly more is marked
    for (size_t i = 0; i < SPANS; i++)
        if (spans[i].addr != NULL)
            step_free(&spans[i], &r);
    (void)tmi_space_purge(SIZE_MAX);
    assert_int_equal(tmi_counter(dirty_bytes), 0);
}

/* Leave one free span of that many units, only these pages of which are resident; all other free spans are clean. */
static char *leave_dirty(size_t nunits, uint64_t pages)
{
    (void)tmi_raw_purge(SIZE_MAX);
    (void)tmi_space_purge(SIZE_MAX);
    char *p = alloc_span(nunits);
    for (uint64_t left = pages; left != 0; left &= left - 1)
        p[(size_t)tmi_lowest_bit(left) << tmi_os_page_shift] = 1;
    tmi_space_free_pages(p, nunits, pages);
    return p;
}

static size_t page_of(const char *base, const void *p) { return (size_t)((const char *)p - base) >> tmi_os_page_shift; }

static void small_slots_on_resident_pages_come_first(void **state)
{
    (void)state;
    void *p[1024];
    unsigned c = tmi_class_of(64);
    size_t slots = tmi_classes[c].slots, per_page = tmi_os_page_size / 64;
    if (pages_per_unit() < 16 || tmi_classes[c].units != 1)
        skip(); // pages are larger than 4 KiB
    char *base = leave_dirty(1, (uint64_t)1 << 5 | (uint64_t)1 << 9);
    size_t bytes = tmi_counter(slab_bytes);
    for (size_t i = 0; i < slots; i++) {
        assert_int_equal(tmi_raw_take(c, &p[i], 1), 1);
        assert_ptr_equal(tmi_unit_of(p[i]), base);
        size_t page = page_of(base, p[i]), turn = i / per_page;
        assert_int_equal(page, turn == 0 ? 5 : turn == 1 ? 9 : turn < 7 ? turn - 2 : turn < 10 ? turn - 1 : turn);
        if (i == 2 * per_page - 1)
            assert_int_equal(tmi_counter(slab_bytes) - bytes, 2 * tmi_os_page_size);
    }
    tmi_raw_return(c, p, slots, "free");
}

static void large_slots_with_the_fewest_fresh_pages_come_first(void **state)
{
    (void)state;
    void *p[4];
    unsigned c = tmi_class_of(12288);
    if (pages_per_unit() < 16 || tmi_classes[c].size != 12288)
        skip();
    size_t units = tmi_classes[c].units;
    char *base = leave_dirty(units, (uint64_t)0x3 << 10 | (uint64_t)0x7 << 18); // two pages of slot 3, all of slot 6
    assert_int_equal(tmi_raw_take(c, p, 4), 1); // the others would have fresh pages
    assert_ptr_equal(p[0], base + 6 * 12288);
    assert_int_equal(tmi_raw_take(c, p + 1, 3), 1);
    assert_ptr_equal(p[1], base + 3 * 12288);
    assert_int_equal(tmi_raw_take(c, p + 2, 2), 1);
    assert_ptr_equal(p[2], base);
    tmi_raw_return(c, p, 3, "free");
    assert_int_equal(tmi_raw_classes[c].nslabs, 0);
}

/* A slab that has been purged in the middle is filled around the gap first. */
static void purged_pages_are_taken_last(void **state)
{
    (void)state;
    void *p[16], *q;
    unsigned c = tmi_class_of(4096);
    if (tmi_os_page_size != 4096 || tmi_classes[c].slots != 16)
        skip();
    (void)leave_dirty(1, 0);
    assert_int_equal(tmi_raw_take(c, p, 16), 16); // p[15] is the lowest
    tmi_raw_return(c, p + 12, 4, "free");
    assert_int_equal(tmi_raw_purge(SIZE_MAX), 4 * 4096);
    tmi_raw_return(c, p, 1, "free");
    assert_int_equal(tmi_raw_take(c, &q, 1), 1);
    assert_ptr_equal(q, p[0]);
    assert_int_equal(tmi_raw_take(c, &q, 1), 1);
    assert_ptr_equal(q, p[15]); // control: the lowest is next
    tmi_raw_return(c, &q, 1, "free");
    tmi_raw_return(c, p, 12, "free");
}

/* Of a medium slab only the slots count as touched that have resident pages. */
static void medium_slots_are_touched_where_pages_are_resident(void **state)
{
    (void)state;
    bool dirty;
    unsigned c = tmi_medium_class(50000, 16);
    size_t size = tmi_medium_info[c].size, units = tmi_medium_info[c].units;
    (void)leave_dirty(1, 0);
    char *base = alloc_span(units);
    base[size + 1] = 1; // in slot 1
    tmi_space_note_clean(base, units);
    tmi_space_note_resident(base + size + 1, 1);
    tmi_space_free_noted(base, units);
    assert_int_equal(tmi_counter(dirty_bytes), tmi_os_page_size);
    void *p = tmi_medium_take(c, true, &dirty), *q = tmi_medium_take(c, true, &dirty);
    assert_ptr_equal(p, base + size);
    assert_ptr_equal(q, base);
    assert_false(dirty);
    assert_int_equal(tmi_counter(medium_empty_bytes), 0);
    tmi_medium_return(p, "free");
    tmi_medium_return(q, "free");
    tmi_medium_release_unused();
    assert_int_equal(tmi_counter(dirty_bytes), 2 * size);
    tmi_medium_check();
}

int main(void)
{
    if (!tmi_os_init())
        return 1;
    tmi_options_parse("huge:off");
    tmi_sizeclass_init();
    tmi_space_init();
    tmi_raw_init();
    tmi_medium_init();
    tmi_pagemap_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_marked_is_not_resident),
        cmocka_unit_test(small_slots_on_resident_pages_come_first),
        cmocka_unit_test(large_slots_with_the_fewest_fresh_pages_come_first),
        cmocka_unit_test(purged_pages_are_taken_last),
        cmocka_unit_test(medium_slots_are_touched_where_pages_are_resident),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
