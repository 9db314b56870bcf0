/* fork, thousands of times, out of a program whose threads are at work: child and parent both go on. The control forks
 * without the handlers, and children then fail or hang. */
#include "heap/fork.h"
#include "heap/introspect.h"
#include "heapcalls.h"
#include "os/counters.h"
#include "os/options.h"
#include "support.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORKERS = 2, HANDS = 100, CHILD_BLOCKS = 800 };

static bool stop, spoilt;
static unsigned child_seconds = 20; // a child that takes longer hangs

static void hold(void **h, rng_t *r)
{
    size_t *p = *h;
    if (p != NULL && !intact(p + 2, p[0], p[0], p[1]))
        __atomic_store_n(&spoilt, true, __ATOMIC_RELAXED);
    if (p != NULL)
        h_free(p);
    size_t size = rng_below(r, 300) ? rng_size(r, 1500) : rng_size(r, 200000);
    *h = p = h_malloc(size + 16);
    if (p == NULL)
        return;
    p[0] = size;
    p[1] = rng_next(r);
    fill(p + 2, size, p[1]);
}

static void *worker(void *seed)
{
    rng_t r = {(uintptr_t)seed};
    void *hands[HANDS] = {NULL};
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
        hold(&hands[rng_below(&r, HANDS)], &r);
    for (int i = 0; i < HANDS; i++)
        h_free(hands[i]);
    return NULL;
}

/* Leaves many magazines with something in them: a good part of its life is their way home. */
static void *short_life(void *seed)
{
    rng_t r = {(uintptr_t)seed};
    void *hands[150] = {NULL};
    for (int i = 0; i < 150; i++)
        hands[i] = h_malloc(rng_size(&r, 4000));
    for (int i = 0; i < 150; i++)
        h_free(hands[i]);
    return NULL;
}

/* Threads end all the time: their caches are on the way home when fork strikes. */
static void *churner(void *seed)
{
    for (uintptr_t i = 0; !__atomic_load_n(&stop, __ATOMIC_RELAXED); i++) {
        pthread_t t;
        if (pthread_create(&t, NULL, short_life, (void *)((uintptr_t)seed * 100000 + i)) == 0)
            (void)pthread_join(t, NULL);
    }
    return NULL;
}

/* What a child does: allocate of many classes, more than all caches hold; nothing may come twice. 0 when all is
 * well. */
static int live_as_a_child(bool audit)
{
    static struct { char *p; size_t size; } b[CHILD_BLOCKS];
    rng_t r = {(uint64_t)getpid()};
    for (size_t i = 0; i < CHILD_BLOCKS; i++) {
        b[i].size = i % 2 ? rng_size(&r, 1500) : 16 + i % 7 * 16;
        b[i].p = i % 5 ? h_malloc(b[i].size) : h_calloc(b[i].size);
        if (b[i].p == NULL || (i % 5 == 0 && !all_zero(b[i].p, b[i].size)))
            return 10;
        fill(b[i].p, b[i].size, i);
    }
    for (size_t i = 0; i < CHILD_BLOCKS; i++)
        if (!intact(b[i].p, b[i].size, b[i].size, i))
            return 11;
    for (size_t i = 0; i < CHILD_BLOCKS; i++)
        h_free(b[i].p);
    if (audit) {
        (void)tmi_heap_trim(0);
        tmi_check_all();
    } else {
        tmi_depot_trim(true); // a slot that is there twice is found when it returns to its slab
    }
    return 0;
}

/* 0: exited so; else what went wrong, -1 for a hang. */
static int wait_for(pid_t pid)
{
    int status;
    for (int i = 0; i < 25000; i++) { // 25 s, longer than its alarm
        pid_t got = waitpid(pid, &status, WNOHANG);
        if (got == pid)
            return status;
        (void)usleep(i < 50 ? 100 : 1000);
    }
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, &status, 0);
    return -1;
}

static pid_t raw_fork(void) { return (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0); } // runs no handlers

/* Forks `n` children and lives on in between; returns the number that ended badly, at most `enough`. */
static size_t fork_many(size_t n, pid_t (*do_fork)(void), size_t enough)
{
    size_t bad = 0;
    rng_t r = {99};
    void *hands[HANDS] = {NULL};
    for (size_t i = 0; i < n && bad < enough; i++) {
        pid_t pid = do_fork();
        if (pid == 0) {
            (void)signal(SIGABRT, SIG_DFL);
            (void)signal(SIGSEGV, SIG_DFL);
            (void)alarm(child_seconds);
            _exit(live_as_a_child(i % 50 == 0));
        }
        for (int k = 0; k < 30; k++) // the parent goes on meanwhile
            hold(&hands[rng_below(&r, HANDS)], &r);
        int status = pid > 0 ? wait_for(pid) : -2;
        if (status != 0) {
            print_message("child %zu: status %#x\n", i, (unsigned)status);
            bad++;
        }
    }
    for (int i = 0; i < HANDS; i++)
        h_free(hands[i]);
    return bad;
}

static size_t fork_among(void *(*body)(void *), size_t n, pid_t (*do_fork)(void), size_t enough)
{
    pthread_t t[WORKERS];
    stop = spoilt = false;
    for (uintptr_t i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_create(&t[i], NULL, body, (void *)(i + 1)), 0);
    size_t bad = fork_many(n, do_fork, enough);
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    for (int i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_join(t[i], NULL), 0);
    return bad;
}

static void single_threaded_forks_leave_both_sides_working(void **state)
{
    (void)state;
    assert_int_equal(fork_many(scaled(200), fork, 1), 0);
    tmi_check_all();
}

/* TSan makes a fork some 20 times dearer (it stops all threads and copies its shadow), hence the fifth there. */
static void forks_among_busy_threads_leave_both_sides_working(void **state)
{
    (void)state;
    assert_int_equal(fork_among(worker, scaled(2000), fork, 1), 0);
    assert_false(spoilt);
    tmi_check_all();
}

static void forks_among_ending_threads_leave_both_sides_working(void **state)
{
    (void)state;
    assert_int_equal(fork_among(churner, scaled(1000), fork, 1), 0);
    assert_false(spoilt);
    tmi_check_all();
}

static void a_child_forks_in_turn(void **state)
{
    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        for (int depth = 0; depth < 20; depth++) {
            pid_t deeper = fork();
            if (deeper > 0)
                _exit(wait_for(deeper) == 0 ? live_as_a_child(false) : 1);
            if (deeper < 0)
                _exit(2);
        }
        _exit(live_as_a_child(true));
    }
    assert_int_equal(wait_for(pid), 0);
}

/* Caught by the fork inside one of its caches. */
static bool in_exchange(const tmi_thread_t *t) { return t->cache.busy || t->shelf.busy || t->handles.busy; }

/* What the vanished threads had cached is the child's again. */
static void the_child_gets_the_other_threads_slots(void **state)
{
    (void)state;
    pthread_t t;
    stop = false;
    assert_int_equal(pthread_create(&t, NULL, worker, (void *)5), 0);
    sleep_ms(50);
    pid_t pid = fork();
    if (pid == 0) {
        size_t held = 0;
        for (tmi_thread_t *o = tmi_thread_list(); o != NULL; o = o->next)
            for (unsigned c = TMI_CLASS_FIRST; c <= TMI_CLASS_LAST; c++)
                held += o != tmi_self() && !in_exchange(o) ? tmi_cache_count(&o->cache, c) : 0;
        _exit(held == 0 ? 0 : 1);
    }
    int status = wait_for(pid);
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    assert_int_equal(pthread_join(t, NULL), 0);
    assert_int_equal(status, 0);
}

/* Other libraries' handlers run between ours. */
static int handler_runs;

static void allocate_in_a_handler(void)
{
    for (size_t size = 8; size < 200000; size *= 3) {
        char *p = h_malloc(size), *q = h_calloc(size);
        if (p == NULL || q == NULL)
            abort();
        fill(p, size, 1);
        p = h_realloc(p, size * 2);
        if (p == NULL || !intact(p, size, size, 1))
            abort();
        h_free(q);
        h_free(p);
    }
    handler_runs++;
}

static void handlers_may_allocate(void **state)
{
    (void)state;
    // after ours
    assert_int_equal(pthread_atfork(allocate_in_a_handler, allocate_in_a_handler, allocate_in_a_handler), 0);
    handler_runs = 0;
    assert_int_equal(fork_among(worker, scaled(200), fork, 1), 0);
    assert_true(handler_runs >= 2 * (int)scaled(200));
    tmi_check_all();
}

static void control_forks_without_handlers_break_children(void **state)
{
    (void)state;
    if (UNDER_SANITIZER)
        skip();
    child_seconds = 2;
    assert_true(fork_among(worker, 20000, raw_fork, 1) > 0);
}

int main(void)
{
    // before the heap's own
    if (pthread_atfork(allocate_in_a_handler, allocate_in_a_handler, allocate_in_a_handler) != 0)
        return 1;
    tmi_heap_init();
    if (UNDER_TSAN)
        tmi_options.background = TMI_BACKGROUND_OFF; // it refuses threads after a fork of several
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(single_threaded_forks_leave_both_sides_working),
        cmocka_unit_test(forks_among_busy_threads_leave_both_sides_working),
        cmocka_unit_test(forks_among_ending_threads_leave_both_sides_working),
        cmocka_unit_test(a_child_forks_in_turn),
        cmocka_unit_test(the_child_gets_the_other_threads_slots),
        cmocka_unit_test(handlers_may_allocate),
        cmocka_unit_test(control_forks_without_handlers_break_children),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
