/* Growth is paid from what is empty: a new peak of the heap is one of what is live. And no program keeps paying with
 * what it needs again (test_need has the rule, with a control). Each test has a process, and a peak, of its own. */
#include "heapcalls.h"
#include "os/counters.h"
#include "support.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

enum { LARGER = 200 * 1024, LARGERS = 6, SMALLER = 2000, SMALLERS = 16000 };

static size_t empty_now(void)
{
    return tmi_counter(slab_empty_bytes) + tmi_counter(medium_empty_bytes) + tmi_counter(dirty_bytes);
}

static size_t live_now(void)
{
    return tmi_counter(slab_bytes) - tmi_counter(slab_empty_bytes) + tmi_counter(large_bytes);
}

static void *written(size_t size) { return memset(h_malloc(size), 1, size); }

/* Blocks of one size are freed and left to lie, fewer bytes than are worth giving back. Another size takes over. */
static int grow_in_another_size(void *unused)
{
    void *larger[LARGERS];
    static void *smaller[SMALLERS];
    (void)unused;
    for (int i = 0; i < LARGERS; i++)
        larger[i] = written(LARGER);
    for (int i = 0; i < LARGERS; i++)
        h_free(larger[i]);
    size_t before = empty_now(), after;
    for (int i = 0; i < SMALLERS; i++)
        smaller[i] = written(SMALLER);
    after = empty_now();
    for (int i = 0; i < SMALLERS; i++)
        h_free(smaller[i]);
    dprintf(2, "%zu KiB were empty before, %zu KiB are after growth by 32 MB\n", before >> 10, after >> 10);
    return before > 600 * TMI_KIB && after <= 400 * TMI_KIB ? 0 : 1;
}

enum { SIZES = 3, SURVIVORS = 500, TURNS = 400 };
static const size_t sizes[SIZES] = {1000, 1500, 2100};

/* So that no slab of the three sizes is free as a whole: what is empty in one of them serves no other. */
static void scatter_survivors(void)
{
    enum { BETWEEN = 8 };
    static void *between[SURVIVORS * BETWEEN];
    for (int s = 0; s < SIZES; s++) {
        for (int i = 0; i < SURVIVORS * BETWEEN; i++) {
            between[i] = written(sizes[s]);
            if (i % BETWEEN == 0)
                (void)written(sizes[s]); // survives
        }
        for (int i = 0; i < SURVIVORS * BETWEEN; i++)
            h_free(between[i]);
    }
}

/* At its peak the program takes again and again what was given back: sizes in turn, and what one leaves pays for the
 * others. Other rules give memory back as well meanwhile, some of it by the clock: only what growth cost is counted. */
static int stand_at_the_peak(void *unused)
{
    enum { COUNT = 4000 };
    static void *block[COUNT];
    size_t peak = 0;
    (void)unused;
    scatter_survivors();
    for (unsigned t = 0; t < TURNS; t++) {
        for (int i = 0; i < COUNT; i++)
            block[i] = written(sizes[t % SIZES]);
        peak = tmi_max(peak, live_now() + empty_now());
        for (int i = 0; i < COUNT; i++)
            h_free(block[i]);
    }
    size_t paid = tmi_counter(growth_paid_bytes);
    dprintf(2, "%zu KiB paid in %d turns, at a peak of %zu KiB\n", paid >> 10, TURNS, peak >> 10);
    return paid > 0 && paid <= 8 * peak ? 0 : 1;
}

static void check(int (*body)(void *))
{
    outcome_t o = run_child(body, NULL, 60);
    print_message("%s", o.text);
    assert_true(exited(&o, 0));
}

static void another_size_is_paid_for(void **state)
{
    (void)state;
    check(grow_in_another_size);
}

static void nobody_pays_for_ever(void **state)
{
    (void)state;
    check(stand_at_the_peak);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_size_is_paid_for),
        cmocka_unit_test(nobody_pays_for_ever),
    };
    return cmocka_run_group_tests_name("growth", tests, NULL, NULL);
}
