/* References of four bytes, and pins that ask first: what they find, what they leave behind, how they report, and that
 * they hold objects still beside the mover. */
#include "objects.h"

#include <errno.h>
#include <sched.h>
#include <sys/wait.h>

enum { N = 3000, SIZE = 200, SPARSE = 41 };

static tm_handle_t h[N];
static bool stop;

static void try_pin_asks_first(void)
{
    tm_handle_t a = tm_alloc(SIZE), stale = a;
    errno = 0;
    void *p = tm_try_pin(a);
    tap(p != NULL && tm_pin_mark() == 1 && tm_pin(a) == p, "tm_try_pin pins a live object");
    tm_unpin(a);
    tm_unpin(a);
    tap(tm_try_pin(TM_NULL) == NULL && tm_pin_mark() == 0, "tm_try_pin of TM_NULL pins nothing");
    tm_free(a);
    tap(tm_try_pin(stale) == NULL && tm_pin_mark() == 0,
        "tm_try_pin of a stale handle is NULL, pins nothing and does not report");
    tm_handle_t others[64];
    for (int i = 0; i < 64; i++)
        others[i] = tm_alloc(SIZE);
    tap(tm_try_pin(stale) == NULL && tm_pin_mark() == 0 && errno == 0, "also when its index may be used again");
    for (int i = 0; i < 64; i++)
        tm_free(others[i]);
}

static void *first_use(void *stale)
{
    tm_handle_t live = tm_alloc(8);
    bool good = tm_try_pin(*(tm_handle_t *)stale) == NULL && tm_pin_mark() == 0 && tm_try_pin(live) != NULL;
    tm_unpin(live);
    tm_free(live);
    return good ? stale : NULL;
}

static void *only_try(void *stale)
{
    bool good = tm_try_pin(*(tm_handle_t *)stale) == NULL && tm_try_pin(TM_NULL) == NULL && tm_pin_mark() == 0;
    return good ? stale : NULL;
}

static void try_pin_on_slow_paths(void)
{
    enum { DEEP = 3000 };
    tm_handle_t live = tm_alloc(SIZE), stale = tm_alloc(SIZE);
    pthread_t t;
    void *good = NULL;
    tm_free(stale);
    (void)(pthread_create(&t, NULL, only_try, &stale) == 0 && pthread_join(t, &good));
    tap(good != NULL, "tm_try_pin may be a thread's first use");
    (void)(pthread_create(&t, NULL, first_use, &stale) == 0 && pthread_join(t, &good));
    tap(good != NULL, "and come after an allocation");
    for (int i = 0; i < DEEP; i++) // far beyond the first stack
        (void)tm_try_pin(live);
    tap(tm_try_pin(stale) == NULL && tm_pin_mark() == DEEP, "with 3,000 pins held, a stale handle adds none");
    for (int i = 0; i < DEEP; i++)
        tm_unpin(live);
    tap(tm_pin_mark() == 0, "and all of them end");
    tm_free(live);
}

static void references(void)
{
    tm_ref_t r = tm_alloc_ref(SIZE);
    tm_handle_t a = tm_from_ref(r);
    tap(r != 0 && tm_valid(a) && tm_ref(a) == r, "tm_alloc_ref gives the reference of a live object");
    void *p = tm_pin_ref(r);
    tap(p != NULL && tm_pin(a) == p && tm_pin_mark() == 2, "tm_pin_ref pins it");
    tm_unpin_ref(r);
    tm_unpin_ref(r);
    tm_scope_enter();
    tap(tm_pin_mark() == 0 && tm_deref_ref(r) == p && tm_deref_ref(0) == NULL,
        "tm_deref_ref finds it, and nothing for 0");
    tm_scope_exit();
    tap(tm_pin_ref(0) == NULL && tm_pin_mark() == 1, "tm_pin_ref of 0 is NULL and a pin, as of TM_NULL");
    tm_unpin_ref(0);
    tm_free_ref(r);
    tm_free_ref(0);
    tap(!tm_valid(a) && tm_pin_mark() == 0, "tm_free_ref frees it, and does nothing for 0");
    errno = 0;
    tap(tm_alloc_ref((size_t)PTRDIFF_MAX + 1) == 0 && errno == ENOMEM, "tm_alloc_ref: 0 and ENOMEM");
}

/* ---- misuse ---- */

static tm_ref_t freed_ref(void)
{
    tm_ref_t r = tm_alloc_ref(SIZE);
    tm_free_ref(r);
    return r;
}

static int deref_freed(void)
{
    tm_ref_t r = freed_ref();
    tm_scope_enter();
    MUST(tm_deref_ref(r) == NULL);
    tm_scope_exit();
    return 0;
}

static int pin_freed(void)
{
    tm_ref_t r = freed_ref();
    MUST(tm_pin_ref(r) == NULL);
    tm_unpin_ref(r);
    MUST(tm_pin_mark() == 0);
    return 0;
}

static int free_twice(void)
{
    tm_free_ref(freed_ref());
    return 0;
}

static const struct {
    const char *name;
    int (*run)(void);
} cases[] = {{"tm_deref_ref", deref_freed}, {"tm_pin_ref", pin_freed}, {"tm_free_ref", free_twice}};

enum { CASES = sizeof cases / sizeof *cases };

static void misuse_is_reported(void)
{
    for (size_t i = 0; i < CASES; i++) {
        tap_child_t c;
        tap_self(&c, cases[i].name, NULL);
        tap(strstr(c.err, cases[i].name) != NULL && WIFSIGNALED(c.status) && WTERMSIG(c.status) == SIGABRT,
            "%s of a freed object is reported by name, then abort", cases[i].name);
        tap_self(&c, cases[i].name, "stale:null");
        tap(tap_exited(&c, 0) && c.err[0] == 0, "%s with stale:null: NULL in silence", cases[i].name);
    }
}

/* ---- beside the mover ---- */

static void *compact(void *passes)
{
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        (void)tm_compact();
        (void)__atomic_fetch_add((size_t *)passes, 1, __ATOMIC_ACQ_REL);
    }
    return NULL;
}

/* A whole pass of the mover begins and ends. */
static void let_pass(size_t *passes)
{
    for (size_t from = __atomic_load_n(passes, __ATOMIC_ACQUIRE); __atomic_load_n(passes, __ATOMIC_ACQUIRE) - from < 2;)
        (void)sched_yield();
}

/* How many of the sparse objects are not where they were, or not whole. */
static int displaced(char *const *at)
{
    int n = 0;
    for (int i = 0; i < N; i += SPARSE) {
        tm_scope_enter();
        const char *p = (const char *)tm_deref_ref(tm_ref(h[i]));
        if (!intact(p, SIZE, (uint64_t)i))
            exit(1);
        n += p != at[i];
        tm_scope_exit();
    }
    return n;
}

/* One object of 41 is left, so that nearly all slabs are worth evacuating: what is held stays, and what is let go
 * moves. */
static void pins_hold_beside_the_mover(void)
{
    static char *at[N];
    size_t passes = 0;
    pthread_t mover;
    int bad = 0;
    for (int i = 0; i < N; i++) {
        h[i] = tm_alloc(SIZE);
        fill_object(h[i], SIZE, (uint64_t)i);
    }
    if (pthread_create(&mover, NULL, compact, &passes) != 0)
        exit(1);
    for (int i = 0; i < N; i += SPARSE)
        at[i] = (char *)(i % 2 == 0 ? tm_try_pin(h[i]) : tm_pin_ref(tm_ref(h[i])));
    for (int i = 0; i < N; i++) {
        if (i % SPARSE != 0)
            bad += tm_try_pin(h[i]) == NULL; // marked or not, it is alive
    }
    for (int i = 0; i < N; i++) {
        if (i % SPARSE != 0) {
            tm_unpin_ref(tm_ref(h[i]));
            tm_free(h[i]);
        }
    }
    let_pass(&passes);
    tap(bad == 0 && displaced(at) == 0, "pins by tm_try_pin and tm_pin_ref hold objects still beside the mover");
    for (int i = 0; i < N; i += SPARSE)
        tm_unpin_ref(tm_ref(h[i]));
    let_pass(&passes);
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    (void)pthread_join(mover, NULL);
    tap(displaced(at) > 0, "control: without pins they move, whole");
}

int main(int argc, char **argv)
{
    for (size_t i = 0; i < CASES && argc > 1; i++) {
        if (strcmp(argv[1], cases[i].name) == 0)
            return cases[i].run();
    }
    try_pin_asks_first();
    try_pin_on_slow_paths();
    references();
    misuse_is_reported();
    pins_hold_beside_the_mover();
    return tap_done();
}
