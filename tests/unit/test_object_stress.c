/* Threads at work on objects that are on the move: background compaction at full speed, a thread that forces moves by
 * large and by tiny steps, pins of all kinds, signal handlers that pin, threads that come and go, and forks.
 *
 * Private objects tell their owner by their contents. *Commons* live throughout and are written by everybody, each
 * thread (and each thread's signal handler) at a place of its own where it knows what it wrote last: a write to a copy
 * that is then dropped, or to the old place of a moved object, is missed at the next look. What a thread holds by pin,
 * scope or lock must have the same address at the end.
 *
 * The test fails unless enough happened: moves, and moves aborted for each of the three reasons. In the controls the
 * mover does not scan, or a thread that finds a mark leaves it set; the same work must then fail. */
#include "heap/heap.h"
#include "heap/introspect.h"
#include "os/options.h"
#include "compaction/compact.h"
#include "support.h"
#include "tinymem/tinymem.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    THREADS = 3,
    WRITERS = 2 * THREADS + 1,
    COMMONS = 600,
    HANDS = 1500,
    SHELF = 500,
    LOCKS = 64,
    MOST_ROUNDS = 4,
    SECONDS = 5,
    PATIENCE = 30
};

/* How often each thing must have happened at least. Under ThreadSanitizer everything takes ten times as long: there it
 * is so often in the long run only; what it finds does not need numbers. */
static size_t least_often(void);
#define ENOUGH least_often()

typedef struct common {
    uint64_t number, count[WRITERS];
} common_t;

typedef struct item {
    uint64_t mark;
    size_t size; // this header included
} item_t;

typedef struct lock {
    int i;
    void *at;
} lock_t;

static tm_handle_t commons[COMMONS], shelf[SHELF];
static uint64_t written[WRITERS][COMMONS]; // by its writer only
static lock_t *locks[LOCKS];
static bool stop, failed;
static size_t handled, forks;
static __thread int worker_number = -1;
static __thread uint64_t handler_seed;

static void wrong(const char *what)
{
    if (!__atomic_exchange_n(&failed, true, __ATOMIC_RELAXED))
        (void)dprintf(STDERR_FILENO, "%s\n", what);
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
}

static bool stopped(void) { return __atomic_load_n(&stop, __ATOMIC_RELAXED); }

/* ---- commons ----------------------------------------------------------------------------------------------------- */

static size_t common_size(int i)
{
    static const size_t sizes[] = {sizeof(common_t), 160, 500, 1100};
    return sizes[i % 4];
}

static void make_commons(void)
{
    for (int i = 0; i < COMMONS; i++) {
        commons[i] = tm_calloc(1, common_size(i));
        TM_PINNED(common_t, c, commons[i]) { c->number = (uint64_t)i; }
    }
}

/* `c` is held still by the caller. */
static void write_common(common_t *c, int i, int writer)
{
    if (__atomic_load_n(&c->number, __ATOMIC_RELAXED) != (uint64_t)i)
        wrong("a handle leads to another object");
    else if (c->count[writer] != written[writer][i])
        wrong("a write was lost");
    c->count[writer] = ++written[writer][i];
}

/* The same place as `at`, while it is held. */
static void still_at(tm_handle_t h, const void *at, const char *by)
{
    if (tm_pin(h) != at)
        wrong(by);
    tm_unpin(h);
}

static void pin_commons(rng_t *r, int writer)
{
    int which[6], n = 1 + (int)rng_below(r, 6);
    common_t *at[6];
    for (int k = 0; k < n; k++) {
        which[k] = (int)rng_below(r, COMMONS);
        at[k] = tm_pin(commons[which[k]]);
        write_common(at[k], which[k], writer);
    }
    for (int rounds = (int)rng_below(r, 30); rounds > 0; rounds--)
        for (int k = 0; k < n; k++)
            write_common(at[k], which[k], writer);
    if (rng_below(r, 64) == 0)
        (void)sched_yield();
    for (; n > 0; n--) { // in any order
        int k = (int)rng_below(r, (size_t)n);
        write_common(at[k], which[k], writer);
        still_at(commons[which[k]], at[k], "a pinned object has moved");
        tm_unpin(commons[which[k]]);
        which[k] = which[n - 1];
        at[k] = at[n - 1];
    }
}

static void deref_commons(rng_t *r, int writer)
{
    int which[8], n = 1 + (int)rng_below(r, 8);
    common_t *at[8];
    bool nested = rng_below(r, 4) == 0;
    tm_scope_enter();
    for (int k = 0; k < n; k++) {
        if (nested)
            tm_scope_enter();
        which[k] = (int)rng_below(r, COMMONS);
        at[k] = tm_deref(commons[which[k]]);
        write_common(at[k], which[k], writer);
        if (nested)
            tm_scope_exit();
    }
    if (rng_below(r, 64) == 0)
        (void)sched_yield();
    for (int k = 0; k < n; k++) {
        write_common(at[k], which[k], writer);
        if (tm_deref(commons[which[k]]) != at[k])
            wrong("an object in a scope has moved");
    }
    tm_scope_exit();
}

/* Locks go round among the threads. */
static void exchange_lock(rng_t *r, int writer)
{
    lock_t *mine = malloc(sizeof *mine);
    mine->i = (int)rng_below(r, COMMONS);
    mine->at = tm_lock(commons[mine->i]);
    if (mine->at == NULL) {
        free(mine);
        return;
    }
    write_common(mine->at, mine->i, writer);
    lock_t *old = __atomic_exchange_n(&locks[rng_below(r, LOCKS)], mine, __ATOMIC_ACQ_REL);
    if (old == NULL)
        return;
    write_common(old->at, old->i, writer);
    still_at(commons[old->i], old->at, "a locked object has moved");
    tm_unlock(commons[old->i]);
    free(old);
}

static void overflow_pins(rng_t *r, int writer)
{
    enum { MANY = 1100 };
    int i = (int)rng_below(r, COMMONS);
    common_t *c = tm_pin(commons[i]);
    for (int k = 1; k < MANY; k++)
        if (tm_pin(commons[i]) != c)
            wrong("an object has moved under 1,100 pins");
    write_common(c, i, writer);
    for (int k = 0; k < MANY; k++)
        tm_unpin(commons[i]);
}

/* ---- private objects --------------------------------------------------------------------------------------------- */

static tm_handle_t make(rng_t *r)
{
    static const size_t sizes[] = {24, sizeof(common_t), 160, 500, 1100};
    size_t k = rng_below(r, 500), size = k > 20  ? sizes[k % 5]
                                         : k > 0 ? 24 + rng_size(r, 5000)
                                                 : 100000 + rng_below(r, 100000);
    uint64_t mark = rng_next(r);
    tm_handle_t h = k % 7 == 1 ? tm_alloc_near(commons[rng_below(r, COMMONS)], size)
                    : k % 7    ? tm_alloc(size)
                               : tm_alloc_aligned((size_t)16 << k % 4, size);
    if (h != TM_NULL)
        TM_PINNED(item_t, it, h)
        {
            *it = (item_t){mark, size};
            fill(it + 1, size - sizeof *it, mark);
        }
    return h;
}

static void verify(tm_handle_t h)
{
    TM_PINNED(item_t, it, h)
    {
        if (!intact(it + 1, it->size - sizeof *it, it->size - sizeof *it, it->mark))
            wrong("contents of an object are spoilt");
        else if (tm_handle_of(it) != h || tm_from_ref(tm_ref(h)) != h || !tm_valid(h))
            wrong("a pinned address leads to another handle");
    }
}

static void resize(tm_handle_t h, rng_t *r)
{
    size_t size = 24 + rng_size(r, 3000), old = 0;
    uint64_t mark = 0;
    verify(h);
    if (tm_realloc(h, size) != h)
        return;
    TM_PINNED(item_t, it, h)
    {
        old = it->size, mark = it->mark;
        size_t kept = (old < size ? old : size) - sizeof *it;
        if (!intact(it + 1, kept / 8 * 8, old - sizeof *it, mark))
            wrong("realloc lost contents");
        it->size = size;
        fill(it + 1, size - sizeof *it, mark);
    }
}

static void drop(tm_handle_t h)
{
    if (h == TM_NULL)
        return;
    if (h & 16) // else it may still be marked when it is freed
        verify(h);
    tm_free(h);
}

/* Everybody's objects, which come, go and move: each of the commons once. */
static bool count_commons(tm_handle_t h, void *count)
{
    void *p = tm_try_pin(h);
    if (p != NULL) {
        for (int i = 0; i < COMMONS; i++)
            *(size_t *)count += commons[i] == h;
        tm_unpin(h);
    }
    return !stopped();
}

static void visit_all(void)
{
    size_t n = 0;
    (void)tm_each(count_commons, &n);
    if (n != COMMONS && !stopped())
        wrong("a walk over all objects has not met each of the commons once");
}

static void one_step(tm_handle_t *hands, rng_t *r, int writer, size_t i)
{
    tm_handle_t *h = &hands[rng_below(r, HANDS)];
    size_t what = rng_below(r, 32);
    if (what < 12) { // many now, few then: slabs with holes
        bool grow = i / 8192 % 2 == 0;
        if (*h != TM_NULL && !grow)
            drop(*h), *h = TM_NULL;
        else if (*h == TM_NULL && (grow || what == 0))
            *h = make(r);
    } else if (what < 14) {
        if (*h != TM_NULL)
            resize(*h, r);
    } else if (what < 16) {
        *h = __atomic_exchange_n(&shelf[rng_below(r, SHELF)], *h, __ATOMIC_ACQ_REL);
    } else if (what < 24) {
        pin_commons(r, writer);
    } else if (what < 29) {
        deref_commons(r, writer);
    } else if (what < 31) {
        exchange_lock(r, writer);
    } else if (rng_below(r, 100) == 0) {
        overflow_pins(r, writer);
        visit_all();
    }
}

static void *work(void *number)
{
    worker_number = (int)(uintptr_t)number;
    handler_seed = (uintptr_t)number << 40;
    rng_t r = {(uintptr_t)number};
    tm_handle_t *hands = calloc(HANDS, sizeof *hands);
    for (size_t i = 0; !stopped(); i++)
        one_step(hands, &r, worker_number, i);
    worker_number = -1;
    for (int i = 0; i < HANDS; i++)
        drop(hands[i]);
    free(hands);
    return NULL;
}

/* ---- what happens beside them ------------------------------------------------------------------------------------ */

static void on_signal(int signal)
{
    int saved = errno, number = worker_number;
    (void)signal;
    if (number < 0)
        return;
    rng_t r = {handler_seed++};
    if (rng_below(&r, 2))
        pin_commons(&r, THREADS + number);
    else
        deref_commons(&r, THREADS + number);
    __atomic_fetch_add(&handled, 1, __ATOMIC_RELAXED);
    errno = saved;
}

static void *short_life(void *seed)
{
    rng_t r = {(uintptr_t)seed};
    tm_handle_t *hands = calloc(HANDS, sizeof *hands);
    for (size_t i = 0; i < 200; i++)
        one_step(hands, &r, 2 * THREADS, i);
    for (int i = 0; i < HANDS; i++)
        drop(hands[i]);
    free(hands);
    return NULL;
}

static void *churn(void *unused)
{
    for (uintptr_t i = 0; !stopped(); i++) {
        pthread_t t;
        if (pthread_create(&t, NULL, short_life, (void *)(i << 8)) == 0)
            (void)pthread_join(t, NULL);
    }
    return unused;
}

static tm_stats_t figures(void)
{
    tm_stats_t s = {.struct_size = sizeof s};
    tm_stats(&s);
    return s;
}

/* Tiny steps leave marks standing for as long as others run in between; large ones move what is there. */
static void *force_moves(void *unused)
{
    rng_t r = {77};
    while (!stopped()) {
        for (int i = 0; i < 100 && !stopped(); i++) {
            (void)tm_compact_step(1 + (unsigned)rng_below(&r, 20));
            (void)sched_yield();
        }
        tm_mover_pause();
        size_t moved = figures().moved_objects;
        (void)tm_compact();
        if (figures().moved_objects != moved)
            wrong("an object has moved while the mover was paused");
        tm_mover_resume();
        (void)tm_compact();
    }
    return unused;
}

/* What the mover's scan is for: objects in thin slabs, held by pins for milliseconds, that nobody touches meanwhile. */
static void *hold(void *unused)
{
    enum { MADE = 1000, HELD = MADE / 10, SIZE = 160 };
    tm_handle_t made[MADE];
    void *at[HELD];
    for (uintptr_t round = 0; !stopped(); round++) {
        for (uintptr_t i = 0; i < MADE; i++) {
            made[i] = tm_alloc(SIZE);
            TM_PINNED(char, p, made[i]) { fill(p, SIZE, round + i); }
        }
        for (int i = 0; i < MADE; i++)
            if (i % 10 == 0)
                at[i / 10] = tm_pin(made[i]);
            else
                tm_free(made[i]);
        (void)usleep(3000);
        for (uintptr_t i = 0; i < HELD; i++) {
            if (!intact(at[i], SIZE, SIZE, round + 10 * i))
                wrong("a pinned object's place has been used again");
            still_at(made[10 * i], at[i], "a pinned object has moved");
            tm_unpin(made[10 * i]);
            tm_free(made[10 * i]);
        }
    }
    return unused;
}

static int live_as_a_child(void)
{
    enum { N = 2000 };
    static tm_handle_t h[N];
    (void)alarm(20);
    tmi_options.compaction = TMI_COMPACTION_MANUAL; // sanitizers do not want threads here
    for (uintptr_t i = 0; i < N; i++) {
        h[i] = tm_alloc(160);
        TM_PINNED(char, p, h[i]) { fill(p, 160, i); }
    }
    for (int i = 0; i < N; i++)
        if (i % 5)
            tm_free(h[i]);
    (void)tm_compact();
    for (int i = 0; i < COMMONS; i++)
        TM_PINNED(common_t, c, commons[i])
        {
            if (c->number != (uint64_t)i)
                return 2;
        }
    for (uintptr_t i = 0; i < N; i += 5) {
        TM_PINNED(char, p, h[i])
        {
            if (!intact(p, 160, 160, i))
                return 3;
        }
        tm_free(h[i]);
    }
    return 0;
}

static void fork_once(void)
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        (void)signal(SIGABRT, SIG_DFL);
        (void)signal(SIGSEGV, SIG_DFL);
        _exit(live_as_a_child());
    }
    if (pid < 0)
        return;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    forks++;
    if (status != 0)
        wrong("a child of fork ended badly");
}

static tm_stats_t stats_now(void)
{
    tm_stats_t s = {.struct_size = sizeof s};
    tm_stats(&s);
    return s;
}

static size_t least_often(void)
{
#ifdef TMI_TSAN
    return full_run() ? 1000 : 100;
#else
    return 1000;
#endif
}

static bool enough(void)
{
    tm_stats_t s = stats_now();
    return s.moved_objects > ENOUGH && s.aborted_by_touch > ENOUGH && s.aborted_by_scan > ENOUGH &&
           s.aborted_by_free > ENOUGH;
}

static void tear_down(void)
{
    for (int i = 0; i < LOCKS; i++) {
        if (locks[i] != NULL)
            tm_unlock(commons[locks[i]->i]);
        free(locks[i]);
        locks[i] = NULL;
    }
    for (int i = 0; i < COMMONS; i++)
        tm_free(commons[i]);
    for (int i = 0; i < SHELF; i++) {
        drop(shelf[i]);
        shelf[i] = TM_NULL;
    }
}

/* For `seconds`, and then on until enough has happened, for SECONDS * PATIENCE at most: delays and slow machines need
 * that. */
static void run(double seconds, bool with_forks)
{
    pthread_t t[THREADS], others[3];
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    (void)sigaction(SIGUSR1, &action, NULL);
    delays_raise(SIGUSR1);
    stop = failed = false;
    make_commons();
    for (uintptr_t i = 0; i < THREADS; i++)
        if (pthread_create(&t[i], NULL, work, (void *)i) != 0)
            abort();
    if (pthread_create(&others[0], NULL, churn, NULL) != 0 ||
        pthread_create(&others[1], NULL, force_moves, NULL) != 0 || pthread_create(&others[2], NULL, hold, NULL) != 0)
        abort();
    double begun = seconds_now();
    for (size_t i = 0;
         !stopped() && (seconds_now() - begun < seconds || (!enough() && seconds_now() - begun < SECONDS * PATIENCE));
         i++) {
        (void)pthread_kill(t[i % THREADS], SIGUSR1);
        (void)usleep(200);
        if (with_forks && i % 100 == 99)
            fork_once();
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    for (int i = 0; i < THREADS; i++)
        (void)pthread_join(t[i], NULL);
    for (int i = 0; i < 3; i++)
        (void)pthread_join(others[i], NULL);
}

static void objects_on_the_move_lose_nothing(void **state)
{
    (void)state;
    run(full_run() ? 120 : SECONDS, true);
    tm_stats_t s = stats_now();
    print_message("moved %zu, aborted by touch %zu, by scan %zu, by free %zu; batches %zu, of which dropped %zu; "
                  "signals %zu, forks %zu\n",
                  s.moved_objects, s.aborted_by_touch, s.aborted_by_scan, s.aborted_by_free, s.batches,
                  s.dropped_batches, handled, forks);
    assert_false(failed);
    tear_down();
    tmi_check_all();
    assert_int_equal(stats_now().live_objects, 0);
    assert_int_equal(stats_now().pins, 0);
    assert_true(s.moved_objects > ENOUGH);
    assert_true(s.aborted_by_touch > ENOUGH);
    assert_true(s.aborted_by_scan > ENOUGH);
    assert_true(s.aborted_by_free > ENOUGH);
    assert_true(handled > 100 && forks > 5);
#if TMI_TEST_HOOKS
    print_message("most rounds of a loop that the mover made a mutator go: %u\n", tmi_pin_most_rounds);
    assert_in_range(tmi_pin_most_rounds, 1, MOST_ROUNDS);
#endif
}

#if TMI_TEST_HOOKS
static int run_crippled(void *what)
{
    *(bool *)what = true;
    run(SECONDS, false);
    return failed ? 1 : 0;
}

static void control_fails(bool *what, const char *without)
{
    if (UNDER_SANITIZER) // the loss itself is what a sanitizer may or may not see
        skip();
    outcome_t o = run_child(run_crippled, what, SECONDS * (PATIENCE + 6));
    print_message("without the %s: status %#x, %s\n", without, (unsigned)o.status, o.text);
    assert_int_not_equal(o.status, 0);
    assert_int_not_equal(o.status, -1); // it did not just hang
}

static void control_without_the_scan_writes_are_lost(void **state)
{
    (void)state;
    control_fails(&tmi_compact_no_scan, "scan");
}

static void control_without_the_abort_writes_are_lost(void **state)
{
    (void)state;
    control_fails(&tmi_pin_no_abort, "abort");
}
#endif

int main(void)
{
    tmi_heap_init();
    tmi_options_parse("compaction:background,compact_cpu:100,compact_churn:1,compact_target:1,batch_objects:256,batch_"
                      "kib:256,fence:expedited");
    const struct CMUnitTest tests[] = {
#if TMI_TEST_HOOKS
        cmocka_unit_test(control_without_the_scan_writes_are_lost), // first: a child of fork wants no threads
        cmocka_unit_test(control_without_the_abort_writes_are_lost),
#endif
        cmocka_unit_test(objects_on_the_move_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
