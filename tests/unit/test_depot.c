/* Depots: all or none goes in, what came last goes out first, a trim returns what nobody has needed. */
#include "heap/heap.h"
#include "heap/introspect.h"
#include "os/meta.h"
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

/* D1. The slots of all rows, and how many rows are full. */
static size_t expect_d1(void)
{
    const tmi_depot_t *d = &tmi_depots[cls];
    size_t whole = (size_t)1 << d->row_log, slots = d->part != NULL ? d->part->count : 0, nfull = 0;
    assert_true(slots <= d->part_capacity && d->part_capacity <= whole && d->low <= d->count);
    assert_true(d->part != NULL || d->part_capacity == 0);
    for (const tmi_row_t *row = d->full; row != NULL; row = row->next, nfull++)
        assert_int_equal(row->count, whole);
    assert_int_equal(slots + nfull * whole, d->count);
    return nfull;
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
    assert_true(tmi_depot_put(cls, slots, 60, 80, NULL));
    assert_false(tmi_depot_put(cls, slots + 60, 40, 80, NULL));
    assert_int_equal(tmi_depot_count(cls), 60); // nothing of it
    assert_true(tmi_depot_put(cls, slots + 60, 20, 80, NULL));
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
        assert_true(tmi_depot_put(cls, slots + i, 10, 2 * N, NULL));
    assert_int_equal(tmi_depot_take(cls, out, 30, NULL), 30);
    assert_memory_equal(out, slots + N - 30, 30 * sizeof *out);
    expect_d1();
    assert_int_equal(tmi_depot_take(cls, out + 30, N, NULL), N - 30); // fewer than asked
    assert_int_equal(tmi_depot_take(cls, out, 1, NULL), 0);
    tmi_raw_return(cls, slots, N, "free");
    expect_nothing_left();
}

static void its_slots_are_found_in_it(void **state)
{
    (void)state;
    void *slots[N];
    take_from_slabs(slots);
    assert_true(tmi_depot_put(cls, slots, N - 1, N, NULL));
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
    assert_true(tmi_depot_put(cls, slots, N, N, NULL));
    tmi_depot_trim_class(cls, false); // all came since the last trim
    assert_int_equal(tmi_depot_count(cls), N);
    assert_int_equal(tmi_depot_take(cls, out, 40, NULL), 40);
    assert_true(tmi_depot_put(cls, out, 40, N, NULL));
    tmi_depot_trim_class(cls, false); // 60 were there all the time
    assert_int_equal(tmi_depot_count(cls), 40);
    expect_d1();
    tmi_depot_trim_class(cls, true);
    assert_int_equal(tmi_depot_count(cls), 0);
    expect_nothing_left();
}

/* Every size of row: what goes in whole comes out whole, by pointers alone. */
static void whole_rows_change_hands(void **state)
{
    (void)state;
    const size_t sizes[] = {64, 512, 1024, 2048, 4096, 32768};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        cls = tmi_class_of(sizes[i]);
        tmi_rows_t giver = {0}, taker = {0};
        size_t log = tmi_depots[cls].row_log, whole = (size_t)1 << log, n = 0, before = tmi_meta_bytes();
        void *slots[2 << TMI_ROW_LOG_MAX], *out[1 << TMI_ROW_LOG_MAX];
        while (n < 2 * whole)
            n += tmi_raw_take(cls, slots + n, 2 * whole - n);
        for (size_t round = 0; round < 100; round++) {
            assert_true(tmi_depot_put(cls, slots, whole, 2 * whole, &giver));
            assert_true(tmi_depot_put(cls, slots + whole, whole, 2 * whole, &giver));
            assert_false(tmi_depot_put(cls, slots, 1, 2 * whole, &giver));
            assert_int_equal(expect_d1(), 2);
            const tmi_row_t *top = tmi_depots[cls].full;
            assert_int_equal(tmi_depot_take(cls, out, whole, &taker), whole);
            assert_ptr_equal(taker.empty[log], top); // the row itself has changed hands
            assert_memory_equal(out, slots + whole, whole * sizeof *out);
            assert_int_equal(tmi_depot_take(cls, out, whole, &taker), whole);
            assert_memory_equal(out, slots, whole * sizeof *out);
        }
        assert_true(tmi_meta_bytes() - before <= 4 * (sizeof(tmi_row_t) + whole * sizeof(void *)) + (256 << 10));
        tmi_raw_return(cls, slots, 2 * whole, "free");
        tmi_depot_free_rows(&giver);
        tmi_depot_free_rows(&taker);
        expect_nothing_left();
        assert_null(tmi_depots[cls].spare);
    }
}

/* Puts and takes of any number of slots, with rows and without: nothing is lost, nothing comes twice. */
static void random_exchanges_lose_nothing(void **state)
{
    (void)state;
    enum { SLOTS = 600, ROUNDS = 20000 };
    static void *mine[SLOTS];
    cls = tmi_class_of(CLASS_SIZE);
    tmi_rows_t rows[2] = {{{0}}, {{0}}};
    size_t n = 0, refused = 0, most = 400;
    uint64_t seed = 5;
    while (n < SLOTS)
        n += tmi_raw_take(cls, mine + n, SLOTS - n);
    for (size_t i = 0; i < ROUNDS; i++) {
        uint64_t r = seed = seed * 6364136223846793005u + 1442695040888963407u;
        size_t some = r >> 33 & 1 ? 128 : 1 + (r >> 40) % 128, there = tmi_depot_count(cls);
        tmi_rows_t *use = r >> 61 == 0 ? NULL : &rows[r >> 34 & 1];
        if (r >> 62 & 1) {
            size_t got = tmi_depot_take(cls, mine + n, some, use);
            assert_true(got <= some && (got > 0) == (there > 0));
            n += got;
        } else if (some <= n && tmi_depot_put(cls, mine + n - some, some, most, use)) {
            n -= some;
        } else {
            refused++;
            assert_true(some > n || there + some > most);
        }
        assert_int_equal(n + tmi_depot_count(cls), SLOTS);
        (void)expect_d1();
    }
    assert_true(refused > 100 && refused < ROUNDS / 2);
    tmi_depot_trim_class(cls, true);
    tmi_raw_return(cls, mine, n, "free"); // a slot that came twice ends the program
    for (size_t i = 0; i < 2; i++)
        tmi_depot_free_rows(&rows[i]);
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
        cmocka_unit_test(whole_rows_change_hands),
        cmocka_unit_test(random_exchanges_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
