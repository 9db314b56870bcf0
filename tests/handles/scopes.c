/* Scopes that are left by longjmp, also out of a signal handler, and what may be called inside of one: allocation,
 * free, resizing, pins, locks, beside a thread that compacts all the time. */
#include "objects.h"

#include <setjmp.h>
#include <signal.h>

enum { SIZE = 200, SPARSE = 41 };

static bool moves(tm_handle_t h)
{
    uintptr_t before = place_of(h);
    (void)tm_compact();
    return place_of(h) != before;
}

static void marks_count_scopes(void)
{
    tap(tm_scope_mark() == 0, "no scope is open");
    tm_scope_reset(0);
    bool right = true;
    for (unsigned i = 0; i < 10; i++) {
        right &= tm_scope_mark() == i;
        tm_scope_enter();
    }
    tm_scope_reset(10);
    right &= tm_scope_mark() == 10;
    static const unsigned marks[] = {9, 5, 5, 1, 0, 0};
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        tm_scope_reset(marks[i]);
        right &= tm_scope_mark() == marks[i];
    }
    tap(right, "tm_scope_mark counts the open scopes, and tm_scope_reset goes back to a number");
    (void)tm_pin(TM_NULL);
    tm_scope_enter();
    tap(tm_pin_mark() == 1 && tm_scope_mark() == 1, "pins and scopes are counted apart");
    tm_scope_reset(0);
    tap(tm_pin_mark() == 1, "the end of scopes ends no pin");
    tm_pin_reset(0);
    for (int i = 0; i < 65535; i++)
        tm_scope_enter();
    right = tm_scope_mark() == 65535;
    tm_scope_reset(0);
    tap(right && tm_scope_mark() == 0, "65,535 scopes, ended together");
}

static void *first_call_of_a_thread(void *unused)
{
    tm_scope_reset(0);
    return tm_scope_mark() == 0 ? unused : &tap_count;
}

static jmp_buf away;

static void enter_and_jump(tm_handle_t h)
{
    tm_scope_enter();
    (void)tm_pin(h);
    tm_scope_enter();
    (void)tm_deref(h);
    longjmp(away, 1);
}

static void longjmp_out_of_scopes(bool reset)
{
    heap_with_holes_t heap = make_holes(3000, SIZE, SPARSE);
    tm_handle_t h = heap.h[SPARSE * 72];
    volatile unsigned pins = tm_pin_mark(), scopes = tm_scope_mark();
    if (setjmp(away) == 0)
        enter_and_jump(h);
    if (reset) {
        tm_scope_reset(scopes);
        tm_pin_reset(pins);
        tap(tm_scope_mark() == 0 && tm_pin_mark() == 0, "longjmp out of two scopes and a pin: the marks are reset");
        tap(moves(h) && holes_intact(&heap), "and what they held moves");
    } else {
        tap(!moves(h), "control: without the reset it stays where it is");
        tm_scope_reset(0);
        tm_pin_reset(0);
    }
    free_holes(&heap);
}

static tm_handle_t handlers_object;
static sigjmp_buf out_of_handler;

static void jumping_handler(int unused)
{
    (void)unused;
    tm_scope_enter();
    (void)tm_deref(handlers_object);
    siglongjmp(out_of_handler, 1);
}

/* The thread's own scope goes on; the handler's ends. */
static void longjmp_out_of_a_handler(void)
{
    enum { TIMES = 1000 };
    tm_handle_t h = handlers_object = tm_alloc(SIZE);
    volatile bool right = true;
    (void)signal(SIGUSR1, jumping_handler);
    tm_scope_enter();
    for (volatile int i = 0; i < TIMES; i++) {
        volatile unsigned mark = tm_scope_mark();
        if (sigsetjmp(out_of_handler, 1) == 0)
            (void)raise(SIGUSR1);
        right &= tm_scope_mark() == mark + 1;
        tm_scope_reset(mark);
        right &= tm_deref(h) != NULL;
    }
    tap(right && tm_scope_mark() == 1, "a handler leaves by longjmp 1,000 times, and the scope around it stays");
    tm_scope_exit();
    tm_free(h);
}

/* ---- what may be done in a scope --------------------------------------------------------------------------------- */

static bool stop;

static void *compact_always(void *unused)
{
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        heap_with_holes_t heap = make_holes(3000, SIZE, SPARSE);
        (void)tm_compact();
        while (tm_compact_step(20)) {
        }
        free_holes(&heap);
    }
    return unused;
}

enum { LIVE = 400, ROUNDS = 300, NEW = 64 };

/* Looks up all objects, and then allocates, frees and resizes others, and pins and locks. */
static bool work_in_a_scope(tm_handle_t *h, uint64_t *random)
{
    char *at[LIVE], *newest[NEW];
    tm_handle_t fresh[NEW];
    bool good = true;
    tm_scope_enter();
    for (int i = 0; i < LIVE; i++)
        at[i] = (char *)tm_deref(h[i]);
    for (int i = 0; i < NEW; i++) {
        fresh[i] = i % 2 ? tm_alloc(SIZE) : tm_calloc(1, SIZE);
        newest[i] = (char *)tm_deref(fresh[i]);
        fill(newest[i], SIZE, (uint64_t)i);
        size_t k = random_below(random, LIVE);
        tm_free(h[k]); // its address ends
        h[k] = tm_alloc(SIZE);
        at[k] = (char *)tm_deref(h[k]);
        fill(at[k], SIZE, k);
        k = random_below(random, LIVE); // and so does this one
        good &= tm_realloc(h[k], i % 2 ? SIZE : 3 * SIZE) == h[k];
        at[k] = (char *)tm_deref(h[k]);
    }
    good &= tm_pin(h[0]) == at[0] && tm_lock(h[1]) == at[1] && tm_compact() == 0 && !tm_compact_step(100);
    for (int i = 0; i < LIVE; i++)
        good &= intact(at[i], SIZE, (uint64_t)i) && tm_deref(h[i]) == at[i];
    for (int i = 0; i < NEW; i++)
        good &= intact(newest[i], SIZE, (uint64_t)i) && tm_deref(fresh[i]) == newest[i];
    tm_scope_exit();
    good &= (uintptr_t)at[0] == place_of(h[0]) && (uintptr_t)at[1] == place_of(h[1]); // these outlive the scope
    tm_unpin(h[0]);
    tm_unlock(h[1]);
    for (int i = 0; i < NEW; i++)
        tm_free(fresh[i]);
    return good;
}

static void *worker(void *bad)
{
    tm_handle_t h[LIVE];
    uint64_t random = (uint64_t)(uintptr_t)&h;
    bool good = true;
    for (int i = 0; i < LIVE; i++) {
        h[i] = tm_alloc(SIZE);
        fill_object(h[i], SIZE, (uint64_t)i);
    }
    for (int round = 0; round < ROUNDS; round++)
        good &= work_in_a_scope(h, &random);
    for (int i = 0; i < LIVE; i++)
        tm_free(h[i]);
    return good ? NULL : bad;
}

static void alloc_and_free_in_scopes(void)
{
    enum { WORKERS = 3 };
    pthread_t mover, t[WORKERS];
    void *bad[WORKERS] = {&stop, &stop, &stop};
    size_t moved = stats_now().moved_objects;
    bool good = pthread_create(&mover, NULL, compact_always, NULL) == 0;
    for (int i = 0; i < WORKERS; i++)
        good &= pthread_create(&t[i], NULL, worker, &stop) == 0;
    for (int i = 0; i < WORKERS; i++)
        good &= pthread_join(t[i], &bad[i]) == 0 && bad[i] == NULL;
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    (void)pthread_join(mover, NULL);
    moved = stats_now().moved_objects - moved;
    tap(good, "three threads allocate, free and resize in scopes beside the mover: what is looked up stays");
    tap(moved > 0, "and between the scopes it moved %zu objects", moved);
}

static int reset_too_far(void)
{
    tm_scope_enter();
    tm_scope_reset(2);
    return 0;
}

static void misuse(void)
{
    tap_child_t c;
    tap_self(&c, "reset_too_far", NULL);
    tap(tap_aborted_saying(&c, "tinymem: tm_scope_reset(@): fewer scopes are open than at the mark"),
        "a reset to more scopes than are open is reported");
}

int main(int argc, char **argv)
{
    pthread_t t;
    void *bad = &bad;
    if (argc > 1 && strcmp(argv[1], "reset_too_far") == 0)
        return reset_too_far();
    (void)(pthread_create(&t, NULL, first_call_of_a_thread, NULL) == 0 && pthread_join(t, &bad));
    tap(bad == NULL, "tm_scope_reset(0) as the first call of a process");
    marks_count_scopes();
    longjmp_out_of_scopes(true);
    longjmp_out_of_scopes(false);
    longjmp_out_of_a_handler();
    alloc_and_free_in_scopes();
    misuse();
    return tap_done();
}
