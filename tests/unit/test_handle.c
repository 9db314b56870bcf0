/* The table of words: indices are handed out once, generations never rise, whole groups go back to the kernel; the audit H2-H4 holds
 * all the time. A life of an index is played by hand: its word is what the layers above would store. */
#include "host/options.h"
#include "host/os.h"
#include "stores/handle.h"
#include "support.h"

#include <stdlib.h>

enum { MANY = 6000 };

static tm_handle_t taken[MANY];
static uint32_t indices[MANY];

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
        assert_true(indices[i] <= tmi_handle_limit());
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

static void a_retired_index_is_never_seen_again(void **state)
{
    (void)state;
    take(MANY);
    uint32_t retired = indices[MANY / 2];
    tmi_handle_retire(retired);
    assert_int_equal(*tmi_word(retired), 0);
    indices[MANY / 2] = indices[MANY - 1];
    for (int round = 0; round < 3; round++) {
        give(0, MANY - 1);
        (void)tmi_handle_purge(0, SIZE_MAX);
        take(MANY - 1);
        for (size_t i = 0; i < MANY - 1; i++)
            assert_int_not_equal(indices[i], retired);
    }
    give(0, MANY - 1);
    assert_int_equal(*tmi_word(retired), 0);
}

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
        cmocka_unit_test(an_index_is_handed_out_once),
        cmocka_unit_test(generations_never_rise),
        cmocka_unit_test(the_fullest_group_is_taken_from),
        cmocka_unit_test(groups_that_are_all_free_go_back),
        cmocka_unit_test(a_retired_index_is_never_seen_again),
        cmocka_unit_test(control_the_audit_sees_a_free_index_that_is_live),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
