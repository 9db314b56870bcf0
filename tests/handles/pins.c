/* Pins, scopes and locks: nesting, order, more than fit the stack, longjmp, signal handlers, other threads, and all
 * ways out of TM_PINNED. */
#include "objects.h"

#include <setjmp.h>

static heap_with_holes_t heap; // something that moves when it may

/* Where pages are as large as slabs, moving one object gains something only if it is alone in its slab and there is
 * room in another. */
static void leave_it_alone(tm_handle_t h)
{
    enum { SLAB = 65536 };
    uintptr_t at = place_of(h);
    bool room = false;
    for (size_t i = 0; i < heap.n; i++) {
        bool beside = place_of(heap.h[i]) / SLAB == at / SLAB;
        if (heap.h[i] == TM_NULL || (!beside && room))
            continue;
        room |= !beside;
        tm_free(heap.h[i]);
        heap.h[i] = TM_NULL;
    }
}

static bool moves_by_compact(tm_handle_t h)
{
    leave_it_alone(h);
    uintptr_t before = place_of(h);
    (void)tm_compact();
    return place_of(h) != before;
}

/* An object that tm_compact would like to move: almost alone in its slab, with free slots in others. */
static tm_handle_t lonely(void)
{
    enum { N = 3000, SIZE = 200 };
    static tm_handle_t h[N];
    for (int i = 0; i < N; i++)
        h[i] = tm_alloc(SIZE);
    for (int i = 0; i < N; i++)
        if (i != N - 1 && (i >= N / 2 || i % 2))
            tm_free(h[i]);
    for (int i = 0; i < N / 2; i += 2)
        heap.h[heap.n++] = h[i];
    return h[N - 1];
}

static void drop_neighbours(void)
{
    for (size_t i = 0; i < heap.n; i++)
        tm_free(heap.h[i]);
    heap.n = 0;
}

/* Whether `hold` keeps it at its place over tm_compact, and that it moves afterwards. */
static void holds_still(const char *what, void *(*hold)(tm_handle_t), void (*let_go)(tm_handle_t), bool compact_inside)
{
    tm_handle_t h = lonely();
    fill_object(h, 200, 5);
    char *p = (char *)hold(h);
    size_t gained = tm_compact();
    while (tm_compact_step(50)) {
    }
    tap(place_of(h) == (uintptr_t)p && intact(p, 200, 5), "%s keeps an object at its place", what);
    if (!compact_inside)
        tap(gained == 0, "%s: tm_compact gains nothing inside", what);
    let_go(h);
    (void)gained;
    tap(moves_by_compact(h) && object_intact(h, 200, 5), "%s: afterwards it moves, with its contents", what);
    drop_neighbours();
    tm_free(h);
}

static void *scope_and_deref(tm_handle_t h)
{
    tm_scope_enter();
    tm_scope_enter();
    tm_scope_exit();
    return tm_deref(h);
}

static void scope_end(tm_handle_t h)
{
    (void)h;
    tm_scope_exit();
}

static void *pin_twice_unpin_once(tm_handle_t h)
{
    (void)tm_pin(h);
    void *p = tm_pin(h);
    tm_unpin(h);
    return p;
}

static void *lock_twice_unlock_once(tm_handle_t h)
{
    (void)tm_lock(h);
    void *p = tm_lock(h);
    tm_unlock(h);
    return p;
}

static void any_order_of_unpinning(void)
{
    enum { N = 6, ORDERS = 720 };
    tm_handle_t h[N];
    bool still = true, counted = true;
    for (int i = 0; i < N; i++)
        h[i] = tm_alloc(100 + (size_t)i * 16);
    for (int order = 0; order < ORDERS; order++) {
        int left[N] = {0, 1, 2, 3, 4, 5}, n = N, code = order;
        void *p[N];
        for (int i = 0; i < N; i++)
            p[i] = tm_pin(h[i]);
        for (; n > 0; n--) {
            int k = code % n, i = left[k];
            code /= n;
            tm_unpin(h[i]);
            left[k] = left[n - 1];
            for (int j = 0; j < n - 1; j++)
                still &= (void *)place_of(h[left[j]]) == p[left[j]];
            counted &= stats_now().pins == (size_t)n - 1;
        }
    }
    for (int i = 0; i < N; i++)
        tm_free(h[i]);
    tap(still && counted, "six pins end in each of the 720 orders");
}

static void more_pins_than_slots(void)
{
    enum { N = 3000 };
    tm_handle_t h = lonely(), other[N];
    fill_object(h, 200, 7);
    uintptr_t at = place_of(h);
    bool same = true;
    for (int i = 0; i < N; i++)
        same &= (uintptr_t)tm_pin(h) == at;
    tap(same && stats_now().pins == N, "3,000 pins of one object");
    (void)tm_compact();
    tap(place_of(h) == at, "more pins than slots: it stays");
    for (int i = 0; i < N - 1; i++)
        tm_unpin(h);
    (void)tm_compact();
    tap(place_of(h) == at && stats_now().pins == 1, "more pins than slots: the last one holds it still");
    tm_unpin(h);
    tap(moves_by_compact(h) && object_intact(h, 200, 7), "more pins than slots: then it moves");
    drop_neighbours();
    tm_free(h);
    void *p[N];
    for (int i = 0; i < N; i++) {
        other[i] = tm_alloc(200);
        fill_object(other[i], 200, (uint64_t)i);
    }
    for (int i = 0; i < N; i++)
        p[i] = tm_pin(other[i]);
    (void)tm_compact();
    bool good = true;
    for (int i = 0; i < N; i++) // the oldest first: those in slots before the counted ones
        good &= intact(p[i], 200, (uint64_t)i) && tm_handle_of(p[i]) == other[i];
    for (int i = 0; i < N; i++)
        tm_unpin(other[i]);
    tap(good && stats_now().pins == 0, "pins of 3,000 objects, ended in the order in which they began");
    for (int i = 0; i < N; i++)
        tm_free(other[i]);
    tap(true, "and all of these can be freed");
}

static void a_null_among_too_many(void)
{
    for (int i = 0; i < 2000; i++)
        (void)tm_pin(TM_NULL);
    bool counted = stats_now().pins == 2000;
    for (int i = 0; i < 2000; i++)
        tm_unpin(TM_NULL);
    tap(counted && stats_now().pins == 0, "2,000 pins of TM_NULL");
}

/* Ends of pins that are not there take nothing from those that are, and a mark may lie among pins of either stack. */
static void marks_among_many_pins(void)
{
    enum { MANY = 3000 };
    tm_handle_t h = lonely();
    for (int i = 0; i < MANY; i++)
        (void)tm_pin(h);
    tm_unpin(TM_NULL);
    tap(stats_now().pins == MANY, "tm_unpin(TM_NULL) without a pin of it ends no pin of another object");
    bool right = tm_pin_mark() == MANY;
    static const unsigned marks[] = {2999, 1500, 1025, 1024, 1000, 1};
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        tm_pin_reset(marks[i]);
        right &= tm_pin_mark() == marks[i] && stats_now().pins == marks[i];
    }
    uintptr_t at = place_of(h);
    (void)tm_compact();
    tap(right && place_of(h) == at, "pin_reset from 3,000 pins down to the last one, which holds the object");
    tm_pin_reset(0);
    tap(moves_by_compact(h), "and then it moves");
    drop_neighbours();
    tm_free(h);
}

static jmp_buf far_away;

static void pin_and_jump(tm_handle_t h)
{
    for (int i = 0; i < 10; i++)
        (void)tm_pin(h);
    longjmp(far_away, 1);
}

static void longjmp_with_mark(void)
{
    tm_handle_t h = lonely(), own = tm_alloc(10);
    void *p = tm_pin(own);
    volatile unsigned mark = tm_pin_mark();
    if (setjmp(far_away) == 0)
        pin_and_jump(h);
    bool held = stats_now().pins == 11;
    tm_pin_reset(mark);
    tap(held && stats_now().pins == 1, "pin_reset ends the pins that longjmp has skipped");
    (void)tm_compact();
    tap((void *)place_of(own) == p, "and those below the mark stay");
    tap(moves_by_compact(h) || place_of(h) != 0, "objects above it may move");
    tm_pin_reset(tm_pin_mark());
    tap(stats_now().pins == 1, "pin_reset to where we are changes nothing");
    tm_unpin(own);
    tm_pin_reset(0);
    drop_neighbours();
    tm_free(own);
    tm_free(h);
}

static void *unlock_there(void *h)
{
    tm_unlock(*(tm_handle_t *)h);
    return NULL;
}

static void *lock_there(void *h) { return tm_lock(*(tm_handle_t *)h); }

static void locks_change_threads(void)
{
    tm_handle_t h = lonely();
    pthread_t t;
    void *p = NULL;
    fill_object(h, 200, 3);
    (void)pthread_create(&t, NULL, lock_there, &h);
    (void)pthread_join(t, &p);
    (void)tm_compact();
    tap((void *)place_of(h) == p, "a lock outlives the thread that took it");
    void *q = tm_lock(h);
    (void)pthread_create(&t, NULL, unlock_there, &h);
    (void)pthread_join(t, NULL);
    (void)tm_compact();
    tap(p == q && (void *)place_of(h) == p, "one of two locks, ended by another thread: the other holds");
    tm_unlock(h);
    tap(moves_by_compact(h) && object_intact(h, 200, 3), "after the last it moves");
    drop_neighbours();
    tm_free(h);
    tm_handle_t large = tm_alloc(1 << 20);
    p = tm_lock(large);
    (void)tm_lock(large);
    tm_unlock(large);
    tap(tm_handle_of(p) == large, "locks of a large object");
    tm_unlock(large);
    tm_free(large);
}

/* ---- signal handlers --------------------------------------------------------------------------------------------- */

static tm_handle_t shared[64];
static volatile sig_atomic_t handled, wrong;

static void handler(int signal)
{
    int saved = errno;
    (void)signal;
    tm_handle_t h = shared[handled % 64];
    TM_PINNED(char, p, h)
    {
        wrong += !intact(p, 200, 77);
    }
    tm_scope_enter();
    wrong += !intact(tm_deref(h), 200, 77);
    tm_scope_exit();
    for (int i = 0; i < (handled % 100 == 0 ? 1100 : 3); i++)
        (void)tm_pin(h);
    for (int i = 0; i < (handled % 100 == 0 ? 1100 : 3); i++)
        tm_unpin(h);
    handled++;
    errno = saved;
}

static bool stop;

static void *send_signals(void *target)
{
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        (void)pthread_kill(*(pthread_t *)target, SIGUSR1);
        (void)usleep(20);
    }
    return NULL;
}

static void pins_in_signal_handlers(void)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    pthread_t self = pthread_self(), sender;
    for (int i = 0; i < 64; i++) {
        shared[i] = tm_alloc(200);
        fill_object(shared[i], 200, 77);
    }
    (void)sigaction(SIGUSR1, &action, NULL);
    (void)pthread_create(&sender, NULL, send_signals, &self);
    tm_handle_t mine[100];
    bool good = true;
    // longer on a machine that gives the other thread no time
    for (double end = tap_now() + 1.5; tap_now() < end || (handled <= 100 && tap_now() < end + 60);) {
        for (int i = 0; i < 100; i++) {
            mine[i] = tm_alloc(200);
            fill_object(mine[i], 200, (uint64_t)i);
        }
        for (int i = 0; i < 100; i += 2)
            tm_free(mine[i]);
        (void)tm_compact_step(100);
        void *p = tm_pin(mine[1]);
        for (int i = 1; i < 100; i += 2)
            good &= object_intact(mine[i], 200, (uint64_t)i);
        good &= (void *)place_of(mine[1]) == p;
        tm_unpin(mine[1]);
        for (int i = 1; i < 100; i += 2)
            tm_free(mine[i]);
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    (void)pthread_join(sender, NULL);
    (void)signal(SIGUSR1, SIG_DFL);
    tap(handled > 100 && wrong == 0 && good && stats_now().pins == 0, "pins and scopes in signal handlers, %d of them",
        (int)handled);
    for (int i = 0; i < 64; i++)
        tm_free(shared[i]);
}

/* ---- ways out of TM_PINNED --------------------------------------------------------------------------------------- */

static int leave_by_return(tm_handle_t h)
{
    TM_PINNED(char, p, h)
    {
        TM_PINNED(char, q, h)
        {
            return p == q && stats_now().pins == 2;
        }
    }
    return -1;
}

static int leave_by_goto(tm_handle_t h)
{
    int n = 0;
again:
    TM_PINNED(char, p, h)
    {
        if (p != NULL && ++n < 5)
            goto again;
        goto out;
    }
out:
    return n;
}

static void ways_out_of_pinned(void)
{
    tm_handle_t h = tm_alloc(100);
    int runs = 0;
    TM_PINNED(char, p, h) { runs += p != NULL && stats_now().pins == 1; }
    tap(runs == 1 && stats_now().pins == 0, "TM_PINNED: left at its end");
    for (int i = 0; i < 5; i++) {
        TM_PINNED(char, p, h)
        {
            runs++;
            if (p != NULL)
                break;
            runs += 100;
        }
    }
    tap(runs == 6 && stats_now().pins == 0, "TM_PINNED: left by break, which ends the block only");
    for (int i = 0; i < 5; i++) {
        TM_PINNED(char, p, h)
        {
            runs++;
            if (p != NULL)
                continue;
            runs += 100;
        }
    }
    tap(runs == 11 && stats_now().pins == 0, "TM_PINNED: left by continue");
    tap(leave_by_return(h) == 1 && stats_now().pins == 0, "TM_PINNED: two left by return");
    tap(leave_by_goto(h) == 5 && stats_now().pins == 0, "TM_PINNED: left by goto, backwards and forwards");
    TM_PINNED(const char, p, h)
        TM_PINNED(char, q, TM_NULL)
            runs += p != NULL && q == NULL;
    tap(runs == 12 && stats_now().pins == 0, "TM_PINNED: nested without braces, of a const type");
    tm_free(h);
}

int main(void)
{
    if (getenv("TINYMEM") == NULL) { // else the background thread would move first what tm_compact is to move
        (void)setenv("TINYMEM", "compaction:manual", 1);
        (void)execl("/proc/self/exe", "pins", (char *)NULL);
    }
    heap.h = (tm_handle_t *)calloc(3000, sizeof *heap.h);
    tm_handle_t h = lonely();
    tap(moves_by_compact(h), "control: what nobody holds moves");
    drop_neighbours();
    tm_free(h);
    holds_still("a pin", tm_pin, tm_unpin, true);
    holds_still("one of two nested pins", pin_twice_unpin_once, tm_unpin, true);
    holds_still("a lock", tm_lock, tm_unlock, true);
    holds_still("one of two locks", lock_twice_unlock_once, tm_unlock, true);
    holds_still("a scope", scope_and_deref, scope_end, false);
    any_order_of_unpinning();
    more_pins_than_slots();
    a_null_among_too_many();
    marks_among_many_pins();
    longjmp_with_mark();
    locks_change_threads();
    pins_in_signal_handlers();
    ways_out_of_pinned();
    return tap_done();
}
