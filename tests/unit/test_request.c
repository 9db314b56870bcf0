/* What is left as a request is served by the next slow path, once, for every kind of sender. */
#include "heapcalls.h"
#include "os/counters.h"
#include "os/options.h"
#include "support.h"
#include "threads/compactor.h"
#include "threads/pacer.h"
#include "threads/request.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static size_t stats, profiles; // served so far

static void serve_stats(void) { (void)__atomic_add_fetch(&stats, 1, __ATOMIC_RELAXED); }
static size_t served(void) { return __atomic_load_n(&stats, __ATOMIC_RELAXED); }

static void serve_profile(void)
{
    void *p = h_malloc(300000); // a slow path in the handler serves nothing
    tmi_request_post(TMI_REQUEST_STATS);
    h_free(p);
    profiles++;
    errno = EIO;
}

/* An extent: its malloc and free are slow paths. */
static void take_a_slow_path(void) { h_free(h_malloc(2 << 20)); }

static int setup(void **state)
{
    (void)state;
    take_a_slow_path();
    tmi_request_handle(TMI_REQUEST_STATS, serve_stats);
    tmi_request_handle(TMI_REQUEST_PROFILE, serve_profile);
    return 0;
}

static void a_slow_path_serves_a_request_once(void **state)
{
    (void)state;
    size_t before = served();
    uint32_t times = tmi_request_times(TMI_REQUEST_STATS);
    take_a_slow_path();
    assert_int_equal(served(), before); // control: nothing was left
    assert_int_equal(tmi_request_times(TMI_REQUEST_STATS), times);
    tmi_request_post(TMI_REQUEST_STATS);
    assert_int_equal(served(), before);
    take_a_slow_path();
    take_a_slow_path();
    assert_int_equal(served(), before + 1);
    assert_int_equal(tmi_request_times(TMI_REQUEST_STATS), times + 1);
    assert_int_equal(tmi_requests, 0);
}

static void idle_and_slow_paths_of_handles_serve_too(void **state)
{
    (void)state;
    size_t before = served();
    tmi_request_post(TMI_REQUEST_STATS);
    tmi_pacer_idle();
    tmi_request_post(TMI_REQUEST_STATS);
    tmi_compactor_poll();
    assert_int_equal(served(), before + 2);
}

/* As a tool does that knows the address of the word. */
static void one_byte_written_from_outside_is_a_request(void **state)
{
    (void)state;
    char one = 1;
    size_t before = served();
    struct iovec from = {&one, 1}, to = {(char *)&tmi_requests + TMI_REQUEST_STATS, 1};
    if (process_vm_writev(getpid(), &from, 1, &to, 1, 0) != 1)
        skip(); // a sandbox forbids it
    take_a_slow_path();
    assert_int_equal(served(), before + 1);
}

static void handlers_may_allocate_and_errno_stays(void **state)
{
    (void)state;
    size_t before = served();
    tmi_request_post(TMI_REQUEST_PROFILE);
    errno = 0;
    void *p = h_malloc(2 << 20);
    assert_int_equal(errno, 0);
    assert_int_equal(profiles, 1);
    h_free(p);
    take_a_slow_path();
    assert_int_equal(profiles, 1);
    assert_int_equal(served(), before + 1); // what the handler left was not lost
}

static void trim_gives_back_what_is_empty(void **state)
{
    (void)state;
    void *p = h_malloc(1 << 20), *q = h_malloc(1 << 20);
    memset(p, 1, 1 << 20);
    h_free(p);
    size_t before = tmi_counter(dirty_bytes) + tmi_counter(medium_empty_bytes);
    assert_true(before >= 1 << 20);
    tmi_request_post(TMI_REQUEST_TRIM);
    void *r = h_malloc(300 << 10);
    size_t after = tmi_counter(dirty_bytes) + tmi_counter(medium_empty_bytes);
    assert_true(after + (512 << 10) <= before);
    h_free(q);
    h_free(r);
}

static void left_by_the_clock_it_comes_again(void **state)
{
    (void)state;
    size_t before = served();
    tmi_request_every(TMI_REQUEST_STATS, 1);
    for (int i = 0; i < 1000 && served() < before + 3; i++) {
        sleep_ms(5);
        take_a_slow_path();
    }
    assert_true(served() >= before + 3);
    tmi_request_every(TMI_REQUEST_STATS, 0);
    take_a_slow_path();
    size_t then = served();
    sleep_ms(20);
    take_a_slow_path();
    assert_int_equal(served(), then); // control: without it nothing comes
}

/* The heap sleeps; its helper thread is still there for a second. */
static void a_helper_thread_serves(void **state)
{
    (void)state;
    size_t before = served();
    void *p[16];
    for (int i = 0; i < 16; i++)
        memset(p[i] = h_malloc(1 << 20), 1, 1 << 20);
    tmi_options.background = TMI_BACKGROUND_ON;
    for (int i = 0; i < 16; i++)
        h_free(p[i]);
    tmi_request_post(TMI_REQUEST_STATS);
    for (int i = 0; i < 1000 && served() == before; i++)
        sleep_ms(10);
    tmi_options.background = TMI_BACKGROUND_OFF;
    assert_int_equal(served(), before + 1);
}

static int child_finds_none(void *unused)
{
    (void)unused;
    size_t before = served();
    take_a_slow_path();
    return served() == before && tmi_requests == 0 ? 0 : 1;
}

static void a_child_of_fork_has_none(void **state)
{
    (void)state;
    size_t before = served();
    tmi_request_post(TMI_REQUEST_STATS);
    outcome_t o = run_child(child_finds_none, NULL, 20);
    assert_true(exited(&o, 0));
    take_a_slow_path();
    assert_int_equal(served(), before + 1); // the parent's is still there
}

static size_t at_once;
static void serve_at_once(void) { at_once++; }

static void a_signal_leaves_it_or_serves_it_at_once(void **state)
{
    (void)state;
    size_t before = served();
    assert_int_equal(tmi_request_on_signal(TMI_REQUEST_STATS, SIGUSR1, NULL), 0);
    assert_int_equal(tmi_request_on_signal(TMI_REQUEST_PROFILE, SIGUSR1, serve_at_once), 0); // one signal for both
    assert_int_equal(raise(SIGUSR1), 0);
    assert_int_equal(served(), before);
    assert_int_equal(at_once, 1);
    take_a_slow_path();
    assert_int_equal(served(), before + 1);
    assert_int_equal(signal(SIGUSR1, SIG_DFL) == SIG_ERR, 0);
}

static void a_signal_of_the_program_s_is_left_alone(void **state)
{
    (void)state;
    assert_true(signal(SIGUSR2, SIG_IGN) != SIG_ERR);
    assert_int_equal(tmi_request_on_signal(TMI_REQUEST_STATS, SIGUSR2, NULL), EBUSY);
    assert_int_equal(raise(SIGUSR2), 0);
    take_a_slow_path();
    assert_int_equal(tmi_requests, 0);
    assert_true(signal(SIGUSR2, SIG_DFL) == SIG_IGN);
    static const int never[] = {0, -1, SIGKILL, SIGSEGV, SIGABRT, 1000};
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        assert_int_equal(tmi_request_on_signal(TMI_REQUEST_STATS, never[i], NULL), EINVAL);
}

static uint32_t stop;

static void *leave_many(void *unused)
{
    for (size_t i = 0; i < scaled(20000); i++)
        tmi_request_post(TMI_REQUEST_STATS);
    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    return unused;
}

static void *serve_many(void *unused)
{
    while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE))
        take_a_slow_path();
    return unused;
}

static void threads_leave_and_serve_at_once(void **state)
{
    (void)state;
    pthread_t t[3];
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&t[i], NULL, i == 0 ? leave_many : serve_many, NULL), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_join(t[i], NULL), 0);
    take_a_slow_path();
    assert_int_equal(tmi_requests, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slow_path_serves_a_request_once),
        cmocka_unit_test(idle_and_slow_paths_of_handles_serve_too),
        cmocka_unit_test(one_byte_written_from_outside_is_a_request),
        cmocka_unit_test(handlers_may_allocate_and_errno_stays),
        cmocka_unit_test(trim_gives_back_what_is_empty),
        cmocka_unit_test(a_child_of_fork_has_none),
        cmocka_unit_test(a_signal_leaves_it_or_serves_it_at_once),
        cmocka_unit_test(a_signal_of_the_program_s_is_left_alone),
        cmocka_unit_test(a_helper_thread_serves),
        cmocka_unit_test(threads_leave_and_serve_at_once),
        cmocka_unit_test(left_by_the_clock_it_comes_again),
    };
    return cmocka_run_group_tests_name("request", tests, setup, NULL);
}
