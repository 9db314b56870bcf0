/* Depots: all or none goes in, what came last goes out first, a trim returns what nobody has needed. */
#include "heap/heap.h"
#include "heap/introspect.h"
#include "slabs/raw.h"
#include "support.h"
#include "threads/depot.h"

#include <string.h>

enum { N = 100, CLASS_SIZE = 64 };

static unsigned cls;

static void take_from_slabs(void **slots)
{
    cls = tmi_class_of(CLASS_SIZE);
    assert_int_equal(tmi_raw_take(cls, slots, N), N);
    assert_int_equal(tmi_depot_count(cls), 0);
}

static void expect_d1(void)
{
    const tmi_depot_t *d = &tmi_depots[cls];
    assert_true(d->count <= d->capacity && d->low <= d->count);
}

static void expect_nothing_left(void)
{
    tmi_depot_trim(true);
    assert_int_equal(tmi_depot_count(cls), 0);
    assert_int_equal(tmi_raw_classes[cls].nslabs, 0); // every slot is in its slab: it was released
    tmi_check_all();
}

static void what_does_not_fit_is_not_taken(void **state)
{
    (void)state;
    void *slots[N];
    take_from_slabs(slots);
    assert_true(tmi_depot_put(cls, slots, 60, 80));
    assert_false(tmi_depot_put(cls, slots + 60, 40, 80));
    assert_int_equal(tmi_depot_count(cls), 60); // nothing of it
    assert_true(tmi_depot_put(cls, slots + 60, 20, 80));
    expect_d1();
    tmi_raw_return(cls, slots + 80, 20, "free");
    expect_nothing_left();
}

static void what_came_last_goes_first(void **state)
{
    (void)state;
    void *slots[N], *out[N];
    take_from_slabs(slots);
    for (size_t i = 0; i < N; i += 10) // the array grows on the way
        assert_true(tmi_depot_put(cls, slots + i, 10, 2 * N));
    assert_int_equal(tmi_depot_take(cls, out, 30), 30);
    assert_memory_equal(out, slots + N - 30, 30 * sizeof *out);
    expect_d1();
    assert_int_equal(tmi_depot_take(cls, out + 30, N), N - 30); // fewer than asked
    assert_int_equal(tmi_depot_take(cls, out, 1), 0);
    tmi_raw_return(cls, slots, N, "free");
    expect_nothing_left();
}

static void its_slots_are_found_in_it(void **state)
{
    (void)state;
    void *slots[N];
    take_from_slabs(slots);
    assert_true(tmi_depot_put(cls, slots, N - 1, N));
    assert_true(tmi_depot_holds(cls, slots[0]) && tmi_depot_holds(cls, slots[N - 2]));
    assert_false(tmi_depot_holds(cls, slots[N - 1])); // control
    assert_false(tmi_depot_holds(tmi_class_of(2 * CLASS_SIZE), slots[0]));
    tmi_raw_return(cls, slots + N - 1, 1, "free");
    expect_nothing_left();
}

static void a_trim_returns_what_was_not_needed(void **state)
{
    (void)state;
    void *slots[N], *out[N];
    take_from_slabs(slots);
    assert_true(tmi_depot_put(cls, slots, N, N));
    tmi_depot_trim_class(cls, false); // all came since the last trim
    assert_int_equal(tmi_depot_count(cls), N);
    assert_int_equal(tmi_depot_take(cls, out, 40), 40);
    assert_true(tmi_depot_put(cls, out, 40, N));
    tmi_depot_trim_class(cls, false); // 60 were there all the time
    assert_int_equal(tmi_depot_count(cls), 40);
    expect_d1();
    tmi_depot_trim_class(cls, true);
    assert_int_equal(tmi_depot_count(cls), 0);
    expect_nothing_left();
}

int main(void)
{
    tmi_heap_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_does_not_fit_is_not_taken),
        cmocka_unit_test(what_came_last_goes_first),
        cmocka_unit_test(its_slots_are_found_in_it),
        cmocka_unit_test(a_trim_returns_what_was_not_needed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
