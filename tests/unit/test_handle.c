/* The table of words: indices are handed out once, generations never rise, whole groups go back to the kernel; the
 * audit H2-H4 holds all the time. A life of an index is played by hand: its word is what the layers above would
 * store. */
#include "os/options.h"
#include "os/os.h"
#include "slabs/handle.h"
#include "support.h"

#include <stdlib.h>

enum { MANY = 6000, GROUPS = 10, MOST = GROUPS * 8192 };

static tm_handle_t taken[MOST];
static uint32_t indices[MOST];

static size_t words_in_a_page(void) { return tmi_os_page_size / sizeof(uint64_t); }

static void audit(void)
{
    tmi_lock(&tmi_handle_lock);
    tmi_handle_check();
    tmi_unlock(&tmi_handle_lock);
}

static void take(size_t n)
{
    assert_int_equal(tmi_handle_take(taken, n), n);
    for (size_t i = 0; i < n; i++)
        indices[i] = tmi_handle_index(taken[i]);
    audit();
}

/* The objects of the first n indices live once and are freed. */
static void live_once(size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bool last;
        uint64_t live = (taken[i] & TMI_WORD_GENERATION) | TMI_WORD_LIVE;
        *tmi_word(indices[i]) = tmi_word_freed(live, &last) & TMI_WORD_GENERATION;
        assert_false(last);
    }
}

static void give(size_t from, size_t to)
{
    tmi_handle_return(indices + from, to - from);
    audit();
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void an_index_is_handed_out_once(void **state)
{
    (void)state;
    static tm_handle_t sorted[MANY];
    take(MANY);
    for (size_t i = 0; i < MANY; i++) {
        sorted[i] = taken[i];
        assert_true(tmi_handle_formed(taken[i]));
        assert_int_not_equal(indices[i], 0); // H4
        assert_true(tmi_handle_readable(indices[i]));
        assert_int_equal(*tmi_word(indices[i]), taken[i] & TMI_WORD_GENERATION); // free: nobody takes it for live
    }
    qsort(sorted, MANY, sizeof *sorted, by_value);
    for (size_t i = 1; i < MANY; i++)
        assert_int_not_equal(tmi_handle_index(sorted[i - 1]), tmi_handle_index(sorted[i]));
    give(0, MANY);
}

/* Each index has a lower generation after each life, whether its page stayed or went in between. */
static void generations_never_rise(void **state)
{
    (void)state;
    uint32_t *lowest = calloc((size_t)1 << 20, sizeof *lowest), base = 0;
    for (int round = 0; round < 6; round++) {
        take(MANY);
        for (size_t i = 0; i < MANY; i++)
            base = base == 0 || indices[i] < base ? indices[i] : base;
        for (size_t i = 0; i < MANY; i++) {
            uint32_t k = (indices[i] - base) & ((1 << 20) - 1), g = tmi_generation_of(taken[i]);
            assert_true(lowest[k] == 0 || g < lowest[k]);
            lowest[k] = g;
        }
        live_once(MANY);
        give(0, MANY);
        if (round % 2)
            assert_true(tmi_handle_purge(0, SIZE_MAX) > 0);
        audit();
    }
    free(lowest);
}

static void the_fullest_group_is_taken_from(void **state)
{
    (void)state;
    size_t k = words_in_a_page();
    (void)tmi_handle_purge(0, SIZE_MAX);
    take(5 * k); // fills what was open, then whole groups
    uint32_t a = indices[3 * k] / (uint32_t)k, b = indices[4 * k] / (uint32_t)k; // pages of the table
    assert_int_not_equal(a, b);
    for (size_t i = 0, from_a = 0, from_b = 0; i < 5 * k; i++) { // many free indices in b, few in a
        uint32_t page = indices[i] / (uint32_t)k;
        if ((page == b && from_b < k * 3 / 4) || (page == a && from_a < k / 8)) {
            *(page == b ? &from_b : &from_a) += 1;
            tmi_handle_return(&indices[i], 1);
            indices[i] = 0;
        }
    }
    audit();
    tm_handle_t few[32];
    assert_int_equal(tmi_handle_take(few, 32), 32);
    for (size_t i = 0; i < 32; i++) {
        uint32_t index = tmi_handle_index(few[i]);
        assert_int_equal(index / (uint32_t)k, a);
        tmi_handle_return(&index, 1);
    }
    for (size_t i = 0; i < 5 * k; i++)
        if (indices[i] != 0)
            tmi_handle_return(&indices[i], 1);
    audit();
}

static void groups_that_are_all_free_go_back(void **state)
{
    (void)state;
    take(MANY);
    size_t full = tmi_handle_bytes();
    give(0, MANY);
    size_t idle = tmi_handle_idle_groups();
    assert_true(idle >= MANY / words_in_a_page() - 1);
    assert_int_equal(tmi_handle_purge(2, SIZE_MAX), (idle - 2) * tmi_os_page_size); // two are kept
    assert_int_equal(tmi_handle_idle_groups(), 2);
    assert_int_equal(tmi_handle_bytes(), full - (idle - 2) * tmi_os_page_size);
    audit();
    size_t gone = 0;
    for (size_t i = 0; i < MANY; i++) // what is left of them is not live, and holds no memory
        gone += *tmi_word(indices[i]) == 0;
    assert_true(gone >= (idle - 2) * (words_in_a_page() - 1));
    assert_int_equal(tmi_handle_purge(0, 1), tmi_os_page_size); // at most one
    assert_int_equal(tmi_handle_idle_groups(), 1);
}

/* Others are there. */
static void a_retired_index_is_not_seen_again(void **state)
{
    (void)state;
    take(MANY);
    uint32_t retired = indices[MANY / 2];
    tmi_handle_retire(retired);
    assert_int_equal(*tmi_word(retired) & (TMI_WORD_LIVE | TMI_WORD_GENERATION), 0);
    indices[MANY / 2] = indices[MANY - 1];
    for (int round = 0; round < 3; round++) {
        give(0, MANY - 1);
        (void)tmi_handle_purge(0, SIZE_MAX);
        take(MANY - 1);
        for (size_t i = 0; i < MANY - 1; i++)
            assert_int_not_equal(indices[i], retired);
    }
    give(0, MANY - 1);
    assert_int_equal(*tmi_word(retired) & (TMI_WORD_LIVE | TMI_WORD_GENERATION), 0);
    assert_int_equal(tmi_handle_revived(), 0);
}

static void numbers_that_are_no_handles_can_be_looked_up(void **state)
{
    (void)state;
    int local;
    tm_handle_t wrong[] = {(tm_handle_t)(uintptr_t)&local,
                           (tm_handle_t)(uintptr_t)audit,
                           1,
                           4711,
                           (tm_handle_t)-1,
                           (tm_handle_t)-4711,
                           INT64_MAX,
                           UINT32_MAX};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong - 2; i++)
        assert_int_equal(tmi_handle_readable(tmi_handle_index(wrong[i])) ? *tmi_word(tmi_handle_index(wrong[i])) : 1,
                         0);
}

#if TMI_TEST_HOOKS
static int by_value32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* ---- a table with few indices -------------------------------------------------------------------------------- */

/* All there are. */
static size_t take_all(void)
{
    tmi_handle_set_limit((uint32_t)(GROUPS * words_in_a_page()));
    size_t n = tmi_handle_take(taken, MOST);
    for (size_t i = 0; i < n; i++)
        indices[i] = tmi_handle_index(taken[i]);
    audit();
    return n;
}

static void retire(size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        tmi_handle_retire(indices[i]);
    audit();
}

/* Groups of which all but two are retired one after another: the next index is always of the group that was worn out
 * first, with all its lives. */
static int retired_ones_come_back_in_order(void *purged)
{
    size_t n = take_all(), k = words_in_a_page(), of_group[GROUPS] = {0}, revived = 0;
    tm_handle_t one;
    uint32_t order[GROUPS];
    if (n != GROUPS * k - 1 || tmi_handle_take(&one, 1) != 0)
        return 1;
    qsort(indices, n, sizeof *indices, by_value32);
    for (size_t g = 0; g < GROUPS; g++) // in an order that is not that of the table
        order[g] = (uint32_t)((g * 7 + 3) % GROUPS);
    for (size_t g = 0; g < GROUPS; g++) {
        size_t from = order[g] == 0 ? 0 : order[g] * k - 1, to = order[g] * k + k - 1;
        bool whole = purged != NULL && g % 2 == 0 && order[g] != 0; // every other one goes back to the kernel
        of_group[g] = to - from - (whole ? 0 : 2);
        retire(from, from + of_group[g]);
        if (tmi_handle_purge(0, SIZE_MAX) != (whole ? tmi_os_page_size : 0))
            return 2;
    }
    for (size_t g = 0; g < GROUPS; g++) {
        revived += of_group[g];
        for (size_t i = 0; i < of_group[g]; i++) {
            audit();
            if (tmi_handle_take(&one, 1) != 1 || tmi_handle_revived() != revived || tmi_generation_of(one) != 0x3fff)
                return 3;
            if ((tmi_handle_index(one) - tmi_handle_first) / k != order[g])
                return 4;
        }
    }
    return tmi_handle_take(&one, 1) == 0 ? 0 : 5; // the others live
}

static void retired_indices_come_back_the_longest_retired_first(void **state)
{
    (void)state;
    outcome_t o = run_child(retired_ones_come_back_in_order, NULL, 60);
    assert_true(exited(&o, 0));
    o = run_child(retired_ones_come_back_in_order, &o, 60);
    assert_true(exited(&o, 0));
}
#endif

#if TMI_TEST_HOOKS
/* When all words that address space is reserved for are in use there is more, and its words can be written. */
static int take_beyond_the_reservation(void *unused)
{
    (void)unused;
    take(MANY / 2);
    tmi_handle_unreserve((uint32_t)tmi_round_up(MANY, words_in_a_page()));
    for (int round = 0; round < 20; round++) {
        take(MANY);
        live_once(MANY);
    }
    return tmi_handle_revived() == 0 ? 0 : 1;
}

static void the_table_grows_beyond_its_reservation(void **state)
{
    (void)state;
    outcome_t o = run_child(take_beyond_the_reservation, NULL, 60);
    assert_true(exited(&o, 0));
}
#endif

static int miscount(void *unused)
{
    (void)unused;
    take(10);
    give(0, 10);
    *tmi_word(indices[3]) = TMI_WORD_LIVE; // a free index that is live
    audit();
    return 0;
}

static void control_the_audit_sees_a_free_index_that_is_live(void **state)
{
    (void)state;
    outcome_t o = run_child(miscount, NULL, 20);
    assert_true(aborted_saying(&o, "tinymem: check(*): H2 a free index has no slot"));
}

int main(void)
{
    if (!tmi_os_init())
        return 1;
    tmi_options_parse("huge:off");
    if (tmi_handle_init() != 0)
        return 1;
    const struct CMUnitTest tests[] = {
#if TMI_TEST_HOOKS
        cmocka_unit_test(retired_indices_come_back_the_longest_retired_first), // the table is new
        cmocka_unit_test(the_table_grows_beyond_its_reservation),
#endif
        cmocka_unit_test(an_index_is_handed_out_once),
        cmocka_unit_test(generations_never_rise),
        cmocka_unit_test(the_fullest_group_is_taken_from),
        cmocka_unit_test(groups_that_are_all_free_go_back),
        cmocka_unit_test(a_retired_index_is_not_seen_again),
        cmocka_unit_test(numbers_that_are_no_handles_can_be_looked_up),
        cmocka_unit_test(control_the_audit_sees_a_free_index_that_is_live),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
