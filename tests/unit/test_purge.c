/* When memory goes back to the kernel: as a program frees nearly everything; not below the threshold; also when it
 * works on without a slow path; not what periodic bursts need; and by a helper thread in programs with several threads,
 * which ends when nothing is left to do. */
#include "heap/introspect.h"
#include "heapcalls.h"
#include "os/counters.h"
#include "os/options.h"
#include "support.h"
#include "threads/need.h"
#include "threads/pacer.h"

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SIZES = 4, MANY = 120000, KEEP_EACH = 1000 };

static void *blocks[MANY];

/* `total` bytes, about, in at most MANY blocks around `size`. Returns how many. */
static size_t fill_up(size_t size, size_t total)
{
    size_t n = total / size < MANY ? total / size : MANY;
    for (size_t i = 0; i < n; i++)
        memset(blocks[i] = h_malloc(size / 2 + i * 7919 % size), 1, size / 2);
    return n;
}

/* One in KEEP_EACH stays. */
static void free_nearly_all(size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (i % KEEP_EACH != 0) {
            h_free(blocks[i]);
            blocks[i] = NULL;
        }
}

static void free_the_rest(size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (blocks[i] != NULL) {
            h_free(blocks[i]);
            blocks[i] = NULL;
        }
}

static size_t empty_now(void)
{
    tmi_figures_t f;
    tmi_figures_read(&f);
    return f.empty;
}

/* What a quiet program does: a few allocations of the same sizes at intervals. */
static void tick(unsigned ms)
{
    for (unsigned t = 0; t < ms; t += 10) {
        for (int k = 0; k < 40; k++) {
            void *a = h_malloc(100), *b = h_malloc(200);
            h_free(b);
            h_free(a);
        }
        sleep_ms(10);
    }
}

static size_t threshold(void)
{
    tmi_figures_t f;
    tmi_figures_read(&f);
    size_t keep = tmi_need_floor(f.live, tmi_options.purge_keep);
    return keep + keep / 8 + 256 * TMI_KIB;
}

static void frees_give_back_what_they_empty(void **state)
{
    (void)state;
    static const size_t sizes[SIZES] = {64, 512, 4096, 30000};
    for (int i = 0; i < SIZES; i++) {
        size_t n = fill_up(sizes[i], 24 * TMI_MIB), before = rss_bytes();
        free_nearly_all(n);
        size_t after = rss_bytes();
        print_message("%zu bytes: %zu MiB resident, %zu MiB after frees, %zu KiB empty left\n", sizes[i], before >> 20,
                      after >> 20, empty_now() >> 10);
        assert_true(empty_now() <= threshold());
        assert_true(UNDER_SANITIZER || before - after >= (before - after + empty_now()) / 2);
        free_the_rest(n);
        (void)tmi_heap_trim(0); // and what it was sorry for is forgotten
    }
    tmi_check_all();
}

/* The same with helpers and options that leave frees nothing to do. */
static void control_what_need_not_go_stays(void **state)
{
    (void)state;
    tmi_options.purge_keep = 1000000;
    size_t n = fill_up(512, 16 * TMI_MIB);
    free_nearly_all(n);
    size_t empty = empty_now(), rss = rss_bytes();
    assert_true(empty > 10 * TMI_MIB);
    sleep_ms(700);
    assert_int_equal(empty_now(), empty); // no thread, no signal: nobody is there to do it
    assert_true(rss_bytes() + TMI_MIB >= rss);
    tmi_options.purge_keep = 2;
    free_the_rest(n);
}

#define BURST (24 * TMI_MIB)

static void burst(void)
{
    enum { SIZE = 100000 };
    size_t n = BURST / SIZE;
    for (size_t i = 0; i < n; i++)
        memset(blocks[i] = h_malloc(SIZE), 1, SIZE);
    for (size_t i = 0; i < n; i++)
        h_free(blocks[i]);
    memset(blocks, 0, n * sizeof *blocks);
}

static size_t purged_by_need(void) { return tmi_counter(purged_bytes) - tmi_counter(growth_paid_bytes); }

/* Every 100 ms: the third turn finds all that it needs. What a new peak of the heap costs is little, and paid once. */
static void periodic_bursts_are_kept(void **state)
{
    (void)state;
    (void)tmi_heap_trim(0);
    uint32_t delay = tmi_options.purge_delay;
    size_t paid = tmi_counter(growth_paid_bytes);
    tmi_options.purge_delay = 5000;
    for (int turn = 1; turn <= 10; turn++) {
        size_t purged = purged_by_need();
        burst();
        if (turn > 2)
            assert_true(purged_by_need() - purged <= BURST / 50);
        else if (turn == 1)
            assert_true(empty_now() <= threshold());
        sleep_ms(100);
    }
    assert_true(tmi_counter(growth_paid_bytes) - paid <= BURST / 12);
    tmi_options.purge_delay = delay;
    for (int i = 0; i < 60; i++) { // they have stopped, and the program works on
        h_free(h_malloc(300000));
        sleep_ms(10);
    }
    assert_true(empty_now() <= threshold());
}

static void below_the_threshold_pages_are_kept(void **state)
{
    (void)state;
    (void)tmi_heap_trim(0);
    void *p[4];
    for (int i = 0; i < 4; i++)
        memset(p[i] = h_malloc(50000), 1, 50000);
    size_t purged = tmi_counter(purged_bytes);
    for (int i = 0; i < 4; i++)
        h_free(p[i]);
    tick(500);
    assert_int_equal(tmi_counter(purged_bytes), purged);
}

/* A program that has locked its memory does not pay for tries that the kernel refuses: not more than one slice a
 * second. */
static int free_locked_memory(void *unused)
{
    (void)unused;
    size_t n = fill_up(512, 24 * TMI_MIB);
    if (mlockall(MCL_CURRENT) != 0)
        return 77;
    size_t calls = tmi_counter(purge_calls);
    free_nearly_all(n);
    size_t tries = tmi_counter(purge_calls) - calls;
    dprintf(2, "%zu tries\n", tries);
    return empty_now() > 10 * TMI_MIB && tries > 0 && tries < 2000 ? 0 : 1;
}

static void locked_memory_is_not_tried_again_and_again(void **state)
{
    (void)state;
    outcome_t o = run_child(free_locked_memory, NULL, 20);
    // no right to lock it, or too much to be locked
    if (UNDER_SANITIZER || (WIFEXITED(o.status) && WEXITSTATUS(o.status) == 77))
        skip();
    print_message("%s", o.text);
    assert_true(exited(&o, 0));
}

/* They have stopped, and a program with one thread says that it waits. */
static void idle_calls_let_go(void **state)
{
    (void)state;
    for (int turn = 1; turn <= 4; turn++)
        burst();
    assert_true(empty_now() > threshold());
    for (int i = 0; i < 5; i++) {
        sleep_ms(tmi_options.purge_delay / 2 + 10);
        for (int k = 0; k < 50; k++)
            tmi_pacer_idle();
    }
    assert_true(empty_now() <= threshold());
}

static void pages_in_use_again_at_once_are_not_purged(void **state)
{
    (void)state;
    (void)tmi_heap_trim(0);
    size_t purged = tmi_counter(purged_bytes);
    double end = seconds_now() + 0.5;
    size_t rounds = 0;
    for (; seconds_now() < end; rounds++) {
        char *p = h_malloc(3 * TMI_MIB);
        memset(p, 1, 3 * TMI_MIB);
        h_free(p);
    }
    size_t again = tmi_counter(purged_bytes) - purged;
    print_message("%zu rounds of 3 MiB, %zu MiB purged\n", rounds, again >> 20);
    assert_true(again <= rounds * 3 * TMI_MIB / 4);
}

/* The idle loop: one block, freed and allocated again. It never leaves the magazine, and pages go back nevertheless. */
static void an_idle_loop_in_one_magazine_purges(void **state)
{
    (void)state;
    (void)tmi_heap_trim(0);
    size_t n = fill_up(512, 24 * TMI_MIB);
    free_nearly_all(n);
    double end = seconds_now() + 3;
    while (empty_now() > threshold() && seconds_now() < end)
        for (int k = 0; k < 1000; k++)
            h_free(h_malloc(64));
    assert_true(empty_now() <= threshold());
    free_the_rest(n);
}

static void trim_gives_everything_at_once(void **state)
{
    (void)state;
    size_t n = fill_up(2000, 16 * TMI_MIB);
    free_the_rest(n);
    assert_true(tmi_heap_trim(0));
    assert_int_equal(empty_now(), 0);
    assert_false(tmi_heap_trim(0));
}

static bool done;

static void *idle_holder(void *ready)
{
    void *p[500];
    for (int i = 0; i < 500; i++)
        p[i] = h_malloc(256);
    for (int i = 0; i < 500; i++)
        h_free(p[i]);
    __atomic_store_n((bool *)ready, true, __ATOMIC_RELEASE);
    while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE))
        sleep_ms(1);
    h_free(h_malloc(256)); // and its next free
    __atomic_store_n((bool *)ready, false, __ATOMIC_RELEASE);
    while (__atomic_load_n(&done, __ATOMIC_ACQUIRE))
        sleep_ms(1);
    return NULL;
}

static void trim_asks_other_threads_for_theirs(void **state)
{
    (void)state;
    bool ready = false;
    pthread_t t;
    assert_int_equal(pthread_create(&t, NULL, idle_holder, &ready), 0);
    while (!__atomic_load_n(&ready, __ATOMIC_ACQUIRE))
        sleep_ms(1);
    (void)tmi_heap_trim(0);
    tmi_figures_t f;
    tmi_figures_read(&f);
    size_t held = f.cached;
    assert_in_range(held, 1, TMI_THREAD_CACHE_MAX);
    __atomic_store_n(&done, true, __ATOMIC_RELEASE);
    while (__atomic_load_n(&ready, __ATOMIC_ACQUIRE))
        sleep_ms(1);
    tmi_figures_read(&f);
    assert_true(f.cached < held && f.cached <= 1024);
    __atomic_store_n(&done, false, __ATOMIC_RELEASE);
    assert_int_equal(pthread_join(t, NULL), 0);
}

static size_t threads_of_this_process(void)
{
    size_t n = 0;
    DIR *d = opendir("/proc/self/task");
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;)
        n += e->d_name[0] != '.';
    (void)closedir(d);
    return n;
}

static size_t threads_at_start;

static void no_thread_was_started(void **state)
{
    (void)state;
    assert_int_equal(threads_of_this_process(), threads_at_start);
}

/* TSan has one from the first that is made on. */
static size_t own_threads(void)
{
    size_t n = threads_of_this_process() - threads_at_start;
    return UNDER_TSAN && n > 0 ? n - 1 : n;
}

static bool wait_for_threads(size_t n, unsigned ms)
{
    for (unsigned t = 0; t < ms && own_threads() != n; t += 10)
        sleep_ms(10);
    return own_threads() == n;
}

/* With background:on, in a process of its own. */
static void a_helper_thread_does_it_while_the_program_sleeps(void **state)
{
    (void)state;
    size_t n = fill_up(512, 24 * TMI_MIB);
    free_nearly_all(n);
    assert_int_equal(own_threads(), 1);
    sleep_ms(500);
    assert_true(empty_now() <= threshold());
    assert_true(wait_for_threads(0, 10000)); // it ends, and comes again
    free_the_rest(n);
    n = fill_up(700, 24 * TMI_MIB);
    free_nearly_all(n);
    assert_int_equal(own_threads(), 1);
    free_the_rest(n);
}

static int background_after_fork(void *unused)
{
    (void)unused;
    (void)tmi_heap_trim(0);
    size_t n = fill_up(512, 24 * TMI_MIB);
    free_nearly_all(n);
    sleep_ms(1500);
    return empty_now() <= threshold() ? 0 : 1;
}

static void a_child_of_fork_gets_a_helper_of_its_own(void **state)
{
    (void)state;
    if (UNDER_TSAN) // it refuses threads after a fork of several
        skip();
    outcome_t o = run_child(background_after_fork, NULL, 20);
    assert_true(exited(&o, 0));
}

static bool over;

static void *sleeper(void *unused)
{
    while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE))
        sleep_ms(5);
    return unused;
}

/* With background:auto, in a process of its own. What was kept for bursts goes too when they have stopped. */
static void a_program_with_threads_has_a_helper(void **state)
{
    (void)state;
    pthread_t t;
    tmi_options.purge_delay = 1000;
    size_t n = fill_up(512, 24 * TMI_MIB);
    free_nearly_all(n);
    assert_int_equal(own_threads(), 0); // control: a program with one has none
    free_the_rest(n);
    assert_int_equal(pthread_create(&t, NULL, sleeper, NULL), 0);
    for (int turn = 0; turn < 8; turn++) {
        burst();
        sleep_ms(100);
    }
    assert_int_equal(own_threads(), 2);
    assert_true(empty_now() > 2 * threshold());
    sleep_ms(3500);
    assert_true(empty_now() <= threshold());
    assert_true(wait_for_threads(1, 10000));
    __atomic_store_n(&over, true, __ATOMIC_RELEASE);
    assert_int_equal(pthread_join(t, NULL), 0);
}

static void *burst_and_sleep(void *unused)
{
    burst();
    return sleeper(unused);
}

/* 0: no helper before it has threads, when its frees give everything back, and one afterwards. */
static int live_with_threads_after_fork(void *unused)
{
    pthread_t t;
    (void)tmi_heap_trim(0); // what is kept for the parent's bursts too
    size_t n = fill_up(512, 24 * TMI_MIB);
    over = false;
    free_nearly_all(n);
    if (own_threads() != 0 || empty_now() > threshold())
        return 1;
    free_the_rest(n);
    if (pthread_create(&t, NULL, burst_and_sleep, NULL) != 0)
        return 2;
    sleep_ms(100);
    n = fill_up(512, 24 * TMI_MIB);
    free_nearly_all(n);
    (void)unused;
    return own_threads() == 2 ? 0 : 3;
}

/* With background:auto, in a process that has had threads. */
static void a_child_of_fork_has_one_thread(void **state)
{
    (void)state;
    if (UNDER_TSAN) // it refuses threads after a fork of several
        skip();
    outcome_t o = run_child(live_with_threads_after_fork, NULL, 20);
    assert_true(exited(&o, 0));
}

static int run_group(const char *name)
{
    const struct CMUnitTest background[] = {
        cmocka_unit_test(a_helper_thread_does_it_while_the_program_sleeps),
        cmocka_unit_test(a_child_of_fork_gets_a_helper_of_its_own),
    };
    const struct CMUnitTest threads[] = {
        cmocka_unit_test(a_program_with_threads_has_a_helper),
        cmocka_unit_test(a_child_of_fork_has_one_thread),
    };
    return strcmp(name, "background") == 0 ? cmocka_run_group_tests_name(name, background, NULL, NULL)
                                           : cmocka_run_group_tests_name(name, threads, NULL, NULL);
}

int main(int argc, char **argv)
{
    threads_at_start = threads_of_this_process();
    tmi_heap_init();
    if (argc > 1) {
        int failed = run_group(argv[1]);
        if (failed == 0 && strcmp(argv[1], "background") == 0) {
            (void)unsetenv("TINYMEM");
            (void)execl("/proc/self/exe", argv[0], "threads", (char *)NULL);
        }
        return failed;
    }
    tmi_options.purge_delay = 200;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frees_give_back_what_they_empty),
        cmocka_unit_test(control_what_need_not_go_stays),
        cmocka_unit_test(periodic_bursts_are_kept),
        cmocka_unit_test(below_the_threshold_pages_are_kept),
        cmocka_unit_test(locked_memory_is_not_tried_again_and_again),
        cmocka_unit_test(idle_calls_let_go),
        cmocka_unit_test(pages_in_use_again_at_once_are_not_purged),
        cmocka_unit_test(an_idle_loop_in_one_magazine_purges),
        cmocka_unit_test(trim_gives_everything_at_once),
        cmocka_unit_test(no_thread_was_started),
        cmocka_unit_test(trim_asks_other_threads_for_theirs),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (failed != 0)
        return failed;
    (void)setenv("TINYMEM", "background:on", 1);
    (void)execl("/proc/self/exe", argv[0], "background", (char *)NULL);
    return 1;
}
