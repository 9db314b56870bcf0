/* The calls to the kernel: aligned maps, purges that read as zero, moves, errno untouched, and failures on demand. */
#include "os/os.h"
#include "support.h"

#include <sys/mman.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

static void the_page_size_is_the_kernels(void **state)
{
    (void)state;
    assert_int_equal(tmi_os_page_size, sysconf(_SC_PAGESIZE));
    assert_int_equal((size_t)1 << tmi_os_page_shift, tmi_os_page_size);
}

static void maps_are_aligned_zero_and_go_away(void **state)
{
    (void)state;
    errno = 4711;
    for (size_t align = tmi_os_page_size; align <= TMI_GIB; align *= 4) {
        char *p;
        assert_int_equal(tmi_os_map(NULL, 3 * TMI_MIB, align, (void **)&p), 0);
        assert_int_equal((uintptr_t)p % align, 0);
        assert_true(all_zero(p, 3 * TMI_MIB));
        memset(p, 1, 3 * TMI_MIB);
        assert_int_equal(tmi_os_unmap(p, 3 * TMI_MIB), 0);
    }
    assert_int_equal(errno, 4711);
}

static void a_purge_empties_and_keeps_the_mapping(void **state)
{
    (void)state;
    char *p;
    assert_int_equal(tmi_os_map(NULL, TMI_MIB, tmi_os_page_size, (void **)&p), 0);
    memset(p, 7, TMI_MIB);
    assert_int_equal(tmi_os_purge(p + tmi_os_page_size, 10 * tmi_os_page_size), 0);
    assert_true(all_zero(p + tmi_os_page_size, 10 * tmi_os_page_size));
    assert_true(p[tmi_os_page_size - 1] == 7 && p[11 * tmi_os_page_size] == 7);
    p[tmi_os_page_size] = 1;
    assert_int_equal(tmi_os_unmap(p, TMI_MIB), 0);
}

static void a_move_takes_contents_and_leaves_zeroes(void **state)
{
    (void)state;
    char *p, *q;
    assert_int_equal(tmi_os_map(NULL, TMI_MIB, tmi_os_page_size, (void **)&p), 0);
    assert_int_equal(tmi_os_map(NULL, TMI_MIB, tmi_os_page_size, (void **)&q), 0);
    fill(p, TMI_MIB, 1);
    memset(q, 9, TMI_MIB);
    int err = tmi_os_move(p, q, TMI_MIB / 2);
    if (err == ENOSYS || err == EINVAL) // an old kernel
        skip();
    assert_int_equal(err, 0);
    assert_true(intact(q, TMI_MIB / 2, TMI_MIB, 1));
    assert_true(all_zero(p, TMI_MIB / 2));
    assert_int_equal(q[TMI_MIB / 2], 9);
    p[0] = 1; // still mapped
    assert_int_equal(tmi_os_unmap(p, TMI_MIB), 0);
    assert_int_equal(tmi_os_unmap(q, TMI_MIB), 0);
}

static void a_reservation_reads_zero_and_is_free(void **state)
{
    (void)state;
    char *p;
    size_t before = rss_bytes();
    assert_int_equal(tmi_os_reserve(8 * TMI_GIB, (void **)&p), 0);
    assert_true(p[0] == 0 && p[5 * TMI_GIB] == 0);
    assert_int_equal(tmi_os_commit(p + TMI_GIB, TMI_MIB), 0);
    p[TMI_GIB] = 1;
    assert_true(UNDER_SANITIZER || rss_bytes() <= before + TMI_MIB);
    assert_int_equal(tmi_os_unmap(p, 8 * TMI_GIB), 0);
}

static void errors_are_returned_and_errno_stays(void **state)
{
    (void)state;
    void *p = &p;
    errno = 4711;
    assert_int_equal(tmi_os_map(NULL, (size_t)1 << 48, tmi_os_page_size, &p), ENOMEM);
    assert_null(p);
    assert_int_not_equal(tmi_os_unmap((void *)1, 1), 0);
    assert_int_not_equal(tmi_os_purge((void *)1, 4096), 0);
    assert_int_equal(errno, 4711);
}

static void the_clock_goes_on(void **state)
{
    (void)state;
    uint32_t before = tmi_os_now_ms();
    tmi_os_sleep_ms(50);
    uint32_t passed = tmi_os_now_ms() - before;
    assert_in_range(passed, 40, 5000);
}

/* Pages in two mappings, as after an earlier move and a growth in place. The kernel refuses to move these at once: they
 * go in parts. */
static void a_move_out_of_two_mappings_loses_nothing(void **state)
{
    (void)state;
    enum { HALF = 1 << 20 };
    char *p, *q, *r;
    assert_int_equal(tmi_os_map(NULL, 2 * HALF, TMI_UNIT_SIZE, (void **)&p), 0);
    assert_int_equal(tmi_os_map(NULL, 2 * HALF, TMI_UNIT_SIZE, (void **)&q), 0);
    assert_int_equal(tmi_os_map(NULL, HALF, TMI_UNIT_SIZE, (void **)&r), 0);
    memset(p, 1, 2 * HALF);
    memset(r, 2, HALF);
    if (tmi_os_move(r, p, HALF) != 0) // p's first half is a mapping of its own now
        skip();
    int err = tmi_os_move(p, q, 2 * HALF);
    assert_int_equal(err, 0);
    for (size_t i = 0; i < 2 * HALF; i++)
        assert_true(q[i] == (i < HALF ? 2 : 1) && p[i] == 0);
    memset(p, 3, 2 * HALF); // both are mapped
    memset(q, 3, 2 * HALF);
    assert_int_equal(tmi_os_unmap(p, 2 * HALF) | tmi_os_unmap(q, 2 * HALF) | tmi_os_unmap(r, HALF), 0);
}

#if TMI_TEST_HOOKS
/* The kernel takes the pages out and then refuses to put them where they belong, which it has unmapped already. */
static void a_move_that_fails_halfway_is_undone(void **state)
{
    (void)state;
    char *p, *q;
    assert_int_equal(tmi_os_map(NULL, TMI_MIB, TMI_UNIT_SIZE, (void **)&p), 0);
    assert_int_equal(tmi_os_map(NULL, TMI_MIB, TMI_UNIT_SIZE, (void **)&q), 0);
    memset(p, 1, TMI_MIB);
    assert_int_equal(mprotect(q, TMI_MIB, PROT_NONE), 0); // stands for what is not there any more
    tmi_os_fail_at(2, false);
    assert_int_not_equal(tmi_os_move(p, q, TMI_MIB), 0);
    bool fired = tmi_os_fail_fired();
    tmi_os_fail_at(0, false);
    assert_true(fired);
    for (size_t i = 0; i < TMI_MIB; i++)
        assert_true(p[i] == 1 && q[i] == 0);
    memset(q, 2, TMI_MIB);
    assert_int_equal(tmi_os_unmap(p, TMI_MIB) | tmi_os_unmap(q, TMI_MIB), 0);
}

static int map_once(void)
{
    void *p;
    int err = tmi_os_map(NULL, 65536, tmi_os_page_size, &p);
    if (err == 0)
        (void)tmi_os_unmap(p, 65536);
    return err;
}

static void the_nth_call_fails_on_demand(void **state)
{
    (void)state;
    tmi_os_fail_at(3, false);
    assert_true(map_once() == 0 && map_once() == 0 && !tmi_os_fail_fired());
    assert_int_equal(map_once(), ENOMEM);
    assert_true(tmi_os_fail_fired());
    assert_int_equal(map_once(), 0);
    tmi_os_fail_at(2, true);
    assert_int_equal(map_once(), 0);
    assert_true(map_once() == ENOMEM && map_once() == ENOMEM && map_once() == ENOMEM);
    tmi_os_fail_at(0, false);
    assert_int_equal(map_once(), 0);
    assert_false(tmi_os_fail_fired());
}
#endif

int main(void)
{
    if (!tmi_os_init())
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_page_size_is_the_kernels),
        cmocka_unit_test(maps_are_aligned_zero_and_go_away),
        cmocka_unit_test(a_purge_empties_and_keeps_the_mapping),
        cmocka_unit_test(a_move_takes_contents_and_leaves_zeroes),
        cmocka_unit_test(a_move_out_of_two_mappings_loses_nothing),
        cmocka_unit_test(a_reservation_reads_zero_and_is_free),
        cmocka_unit_test(errors_are_returned_and_errno_stays),
        cmocka_unit_test(the_clock_goes_on),
#if TMI_TEST_HOOKS
        cmocka_unit_test(a_move_that_fails_halfway_is_undone),
        cmocka_unit_test(the_nth_call_fails_on_demand),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
