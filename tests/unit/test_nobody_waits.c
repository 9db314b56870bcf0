/* Nobody waits for the mover: it is frozen for good at each step of a batch, and every operation of a mutator still
 * completes, on objects that are marked, not marked, and half copied, as often as one likes. Each step is a child of
 * its own, in which the mover never goes on.
 *
 * A frozen mover holds its lock, so what waits for it hangs, and the child is killed by its alarm: that is how the
 * control ends, which asks for tm_compact, the one call here that is allowed to wait (fork is the other). */
#include "heap/heap.h"
#include "heap/introspect.h"
#include "os/options.h"
#include "compaction/compact.h"
#include "slabs/handle.h"
#include "support.h"
#include "tinymem/tinymem.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#if TMI_TEST_HOOKS

enum { N = 4000, SECONDS = 60 };
static const size_t sizes[] = {64, 500, 3000, 20000}; // the last needs several pieces to be copied

static const char *freeze_at;
static unsigned freeze_when; // at which coming of that step
static bool frozen;
static tm_handle_t h[4][N];

static void hook(const char *step)
{
    static unsigned comings;
    if (strcmp(step, freeze_at) != 0 || comings++ < freeze_when)
        return;
    __atomic_store_n(&frozen, true, __ATOMIC_RELEASE);
    for (;;)
        (void)pause();
}

/* Small steps, so that objects of 20,000 bytes are left half copied. */
static void *mover(void *unused)
{
    sigset_t all;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, NULL);
    for (;;)
        (void)tm_compact_step(2);
    return unused;
}

static void make_objects(void)
{
    for (size_t s = 0; s < 4; s++) {
        size_t n = N / (1 + sizes[s] / 500);
        for (size_t i = 0; i < n; i++) {
            h[s][i] = tm_alloc(sizes[s]);
            TM_PINNED(char, p, h[s][i]) { fill(p, sizes[s], i); }
        }
        for (size_t i = 0; i < n; i++)
            if (i % 8 != 0) {
                tm_free(h[s][i]);
                h[s][i] = TM_NULL;
            }
    }
}

static bool is_marked(tm_handle_t x)
{
    return (__atomic_load_n(tm_word_of_(x), __ATOMIC_RELAXED) & TMI_WORD_MOVING) != 0;
}

static size_t marked_now(void)
{
    size_t n = 0;
    for (size_t s = 0; s < 4; s++)
        for (size_t i = 0; i < N; i++)
            n += h[s][i] != TM_NULL && is_marked(h[s][i]);
    return n;
}

/* ---- the operations: each on an object of its own choice, once --------------------------------------------------- */

/* Its first words are those that the object was made with. */
static bool has_mark(const void *p, size_t size, size_t mark) { return intact(p, 64, size, mark); }

static bool pin_unpin(tm_handle_t *x, size_t size, size_t mark)
{
    char *p = tm_pin(*x);
    bool good = tm_handle_of(p) == *x && has_mark(p, size, mark);
    tm_unpin(*x);
    return good;
}

static bool scope_deref(tm_handle_t *x, size_t size, size_t mark)
{
    tm_scope_enter();
    bool good = tm_deref(*x) != NULL;
    tm_scope_exit();
    (void)size, (void)mark;
    return good;
}

static bool lock_unlock(tm_handle_t *x, size_t size, size_t mark)
{
    bool good = tm_lock(*x) != NULL;
    tm_unlock(*x);
    (void)size, (void)mark;
    return good;
}

static bool ask(tm_handle_t *x, size_t size, size_t mark)
{
    (void)mark;
    return tm_sizeof(*x) >= size && tm_check(*x, size) && tm_valid(*x) && tm_from_ref(tm_ref(*x)) == *x;
}

static bool resize(tm_handle_t *x, size_t size, size_t mark)
{
    bool good = tm_realloc(*x, size * 2 + 100) == *x && tm_realloc(*x, size) == *x;
    TM_PINNED(char, p, *x) { good &= has_mark(p, size, mark); }
    return good;
}

static bool free_alloc(tm_handle_t *x, size_t size, size_t mark)
{
    tm_free(*x);
    *x = tm_alloc(size);
    TM_PINNED(char, p, *x) { fill(p, 64, mark); }
    return *x != TM_NULL;
}

static bool calloc_free(tm_handle_t *x, size_t size, size_t mark)
{
    tm_handle_t g = tm_calloc(1, size);
    bool good = g != TM_NULL && g != *x;
    tm_free(g);
    (void)mark;
    return good;
}

static bool overflow(tm_handle_t *x, size_t size, size_t mark)
{
    void *p = tm_pin(*x);
    bool good = p != NULL;
    for (int i = 0; i < 1100; i++)
        good &= tm_pin(*x) == p;
    for (int i = 0; i < 1101; i++)
        tm_unpin(*x);
    (void)size, (void)mark;
    return good;
}

static bool step_returns(tm_handle_t *x, size_t size, size_t mark)
{
    (void)x, (void)size, (void)mark;
    return !tm_compact_step(10); // another thread moves: at once
}

static bool stats_return(tm_handle_t *x, size_t size, size_t mark)
{
    tm_stats_t s = {.struct_size = sizeof s};
    (void)x, (void)size, (void)mark;
    tm_stats(&s);
    return s.live_objects > 0;
}

static bool raw_malloc_free(tm_handle_t *x, size_t size, size_t mark)
{
    void *p = tmi_heap_malloc(size);
    (void)x, (void)mark;
    return p != NULL && tmi_heap_free(p, "free");
}

static void *live_in_a_thread(void *x)
{
    tm_handle_t g = tm_alloc(64);
    bool good = g != TM_NULL && tm_pin(*(tm_handle_t *)x) != NULL;
    tm_unpin(*(tm_handle_t *)x);
    tm_free(g);
    return good ? NULL : x;
}

static bool new_thread(tm_handle_t *x, size_t size, size_t mark)
{
    pthread_t t;
    void *bad = x;
    (void)size, (void)mark;
    return pthread_create(&t, NULL, live_in_a_thread, x) == 0 && pthread_join(t, &bad) == 0 && bad == NULL;
}

typedef struct operation {
    const char *name;
    bool (*run)(tm_handle_t *x, size_t size, size_t mark);
    size_t dear; // so many times fewer, except in a full run
} operation_t;

#define OP(f, dear) {#f, f, dear}
static const operation_t operations[] = {
    OP(pin_unpin, 1),       OP(scope_deref, 1),   OP(lock_unlock, 1), OP(ask, 1),
    OP(stats_return, 100),  OP(step_returns, 1),  OP(overflow, 1000), OP(calloc_free, 10),
    OP(raw_malloc_free, 1), OP(new_thread, 1000), OP(resize, 10),     OP(free_alloc, 1),
};

/* Every operation on every eighth object (marked or not), round and round; what is touched loses its mark, hence first
 * one on each that differ. */
static int mutate(size_t times)
{
    for (size_t o = 0; o < sizeof operations / sizeof *operations; o++) {
        size_t done = 0, wanted = full_run() ? times : times / operations[o].dear + 1;
        while (done < wanted)
            for (size_t s = 0; s < 4 && done < wanted; s++)
                for (size_t i = 0; i < N && done < wanted; i += 8)
                    if (h[s][i] != TM_NULL) {
                        if (!operations[o].run(&h[s][i], sizes[s], i)) {
                            (void)dprintf(STDERR_FILENO, "%s went wrong\n", operations[o].name);
                            return 1;
                        }
                        done++;
                    }
    }
    return 0;
}

/* Half of the objects meet each kind of first touch while their marks stand. */
static int first_touches(void)
{
    for (size_t s = 0; s < 4; s++)
        for (size_t i = 0, k = 0; i < N; i += 8, k++)
            if (h[s][i] != TM_NULL && !operations[k % 12].run(&h[s][i], sizes[s], i)) {
                (void)dprintf(STDERR_FILENO, "first touch by %s went wrong\n", operations[k % 12].name);
                return 1;
            }
    return 0;
}

typedef struct trial {
    const char *step;
    unsigned when;
    size_t times;
    bool wait, marks;
} trial_t;

static int freeze_and_mutate(void *arg)
{
    const trial_t *trial = arg;
    pthread_t t;
    (void)alarm(full_run() ? 600 : SECONDS);
    freeze_at = trial->step;
    freeze_when = trial->when;
    make_objects();
    tmi_compact_hook = hook;
    if (pthread_create(&t, NULL, mover, NULL) != 0)
        return 3;
    while (!__atomic_load_n(&frozen, __ATOMIC_ACQUIRE))
        (void)sched_yield();
    size_t marked = marked_now();
    if (trial->marks && marked == 0) {
        (void)dprintf(STDERR_FILENO, "nothing is marked\n");
        return 2;
    }
    if (trial->wait)
        (void)tm_compact();
    if (first_touches() != 0 || mutate(trial->times) != 0)
        return 1;
    if (trial->times > 0 && marked_now() > 0) { // all have been pinned
        (void)dprintf(STDERR_FILENO, "a touch left a mark\n");
        return 4;
    }
    return 0;
}

static size_t times_each(void) { return UNDER_SANITIZER ? 5000 : 1000000; }

static void try_step(const char *step, unsigned when, bool marks)
{
    trial_t trial = {step, when, times_each(), false, marks};
    outcome_t o = run_child(freeze_and_mutate, &trial, full_run() ? 600 : SECONDS);
    if (o.status != 0)
        fail_msg("frozen at \"%s\" (coming %u): status %#x, %s", step, when, (unsigned)o.status, o.text);
}

static void mutators_go_on_before_the_marks(void **state)
{
    (void)state;
    try_step("mark", 0, false);
    try_step("mark", 50, false);
}

static void mutators_go_on_when_objects_are_marked(void **state)
{
    (void)state;
    try_step("marked", 0, true);
    try_step("fenced", 1, true);
    try_step("scanned", 1, true);
}

static void mutators_go_on_when_objects_are_half_copied(void **state)
{
    (void)state;
    for (unsigned when = 0; when < 12; when += 4) {
        try_step("copy", when, true);
        try_step("copied", when, true);
    }
}

static void mutators_go_on_before_and_after_publishing(void **state)
{
    (void)state;
    try_step("publish", 0, true);
    try_step("publish", 5, true);
    try_step("published", 0, false);
    try_step("given", 0, false);
    try_step("given", 9, false);
}

static void control_what_may_wait_hangs(void **state)
{
    (void)state;
    trial_t trial = {"marked", 0, 0, true, true};
    outcome_t o = run_child(freeze_and_mutate, &trial, 2);
    assert_int_equal(o.status, -1);
}

int main(void)
{
    tmi_heap_init();
    tmi_options_parse("compaction:manual");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mutators_go_on_before_the_marks),
        cmocka_unit_test(mutators_go_on_when_objects_are_marked),
        cmocka_unit_test(mutators_go_on_when_objects_are_half_copied),
        cmocka_unit_test(mutators_go_on_before_and_after_publishing),
        cmocka_unit_test(control_what_may_wait_hangs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else
int main(void) { return 0; } // without hooks the mover cannot be frozen
#endif
