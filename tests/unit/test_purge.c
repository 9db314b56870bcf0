/* When memory goes back to the kernel: after a program frees nearly everything and then only ticks; not at once; not below the threshold;
 * also when it works on without a slow path; and by a helper thread when that is asked for. */
#include "front/introspect.h"
#include "heapcalls.h"
#include "host/counters.h"
#include "host/options.h"
#include "support.h"

#include <dirent.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
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

/* What a quiet program does: a few allocations of the same sizes now and then. */
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
    size_t keep = f.live / 100 * tmi_options.purge_keep;
    return (keep > 2 * TMI_MIB ? keep : 2 * TMI_MIB) + 256 * TMI_KIB;
}

static void ticking_gives_back_what_was_freed(void **state)
{
    (void)state;
    static const size_t sizes[SIZES] = {64, 512, 4096, 30000};
    for (int i = 0; i < SIZES; i++) {
        size_t n = fill_up(sizes[i], 24 * TMI_MIB), before = rss_bytes();
        free_nearly_all(n);
        size_t freed = empty_now();
        tick(1500);
        size_t after = rss_bytes();
        print_message("%zu bytes: %zu MiB resident, %zu MiB after ticking, %zu KiB empty left of %zu\n", sizes[i], before >> 20,
                      after >> 20, empty_now() >> 10, freed >> 10);
        assert_true(empty_now() <= threshold());
        assert_true(UNDER_SANITIZER || before - after >= freed / 2);
        free_the_rest(n);
    }
    tmi_check_all();
}

static void control_without_a_tick_nothing_goes_back(void **state)
{
    (void)state;
    size_t n = fill_up(512, 16 * TMI_MIB);
    free_nearly_all(n);
    size_t empty = empty_now(), rss = rss_bytes();
    sleep_ms(700);
    assert_int_equal(empty_now(), empty); // no thread, no signal: nobody is there to do it
    assert_true(rss_bytes() + TMI_MIB >= rss);
    free_the_rest(n);
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

static void pages_in_use_again_at_once_are_not_purged(void **state)
{
    (void)state;
    (void)tmi_heap_trim(0);
    size_t purged = tmi_counter(purged_bytes);
    double end = seconds_now() + 0.5;
    size_t rounds = 0;
    for (; seconds_now() < end; rounds++) { // younger than purge_delay
        char *p = h_malloc(3 * TMI_MIB);
        memset(p, 1, 3 * TMI_MIB);
        h_free(p);
    }
    size_t again = tmi_counter(purged_bytes) - purged;
    print_message("%zu rounds of 3 MiB, %zu MiB purged\n", rounds, again >> 20);
    assert_true(again <= rounds * 3 * TMI_MIB / 4);
}

/* The idle loop: one block, freed and allocated again. It never leaves the magazine, and all the same pages go back. */
static void an_idle_loop_in_one_magazine_purges(void **state)
{
    (void)state;
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

/* With background:on, in a process of its own. */
static void a_helper_thread_does_it_while_the_program_sleeps(void **state)
{
    (void)state;
    size_t n = fill_up(512, 24 * TMI_MIB);
    free_nearly_all(n);
    sleep_ms(1500);
    assert_int_equal(threads_of_this_process(), threads_at_start + (UNDER_TSAN ? 2 : 1)); // TSan has one of its own
    assert_true(empty_now() <= threshold());
    free_the_rest(n);
}

static int background_after_fork(void *unused)
{
    (void)unused;
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

int main(int argc, char **argv)
{
    threads_at_start = threads_of_this_process();
    tmi_heap_init();
    if (argc > 1) {
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_helper_thread_does_it_while_the_program_sleeps),
            cmocka_unit_test(a_child_of_fork_gets_a_helper_of_its_own),
        };
        return cmocka_run_group_tests_name("background", tests, NULL, NULL);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ticking_gives_back_what_was_freed),
        cmocka_unit_test(control_without_a_tick_nothing_goes_back),
        cmocka_unit_test(below_the_threshold_pages_are_kept),
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
