/* tm_each: every object that lives throughout is visited once, whatever comes, goes, moves and grows meanwhile. */
#include "objects.h"

#include <setjmp.h>

enum { N = 30000, SIZE = 120 };

typedef struct seen {
    size_t n, most;
    unsigned char *times; // by reference, from the lowest on
    tm_ref_t lowest;
} seen_t;

static bool count(tm_handle_t h, void *context)
{
    seen_t *s = (seen_t *)context;
    s->n++;
    s->times[tm_ref(h) - s->lowest]++;
    return s->n < s->most;
}

enum { PLACES = 1 << 21 };
static unsigned char times[PLACES];
static tm_ref_t lowest; // some index at or below all that come

static seen_t nothing_seen(void)
{
    memset(times, 0, sizeof times);
    return (seen_t){0, SIZE_MAX, times, lowest};
}

static void one_after_the_other(void)
{
    static tm_handle_t h[N];
    seen_t s = nothing_seen();
    tap(tm_each(count, &s) == 0 && s.n == 0, "no objects: no visits");
    for (int i = 0; i < N; i++)
        h[i] = tm_alloc(i % 100 == 0 ? 100000 : SIZE);
    bool once = tm_each(count, &s) == N;
    for (int i = 0; i < N; i++)
        once &= s.times[tm_ref(h[i]) - lowest] == 1;
    tap(once && s.n == N, "%d objects, large ones among them: each is visited once", N);
    s = nothing_seen();
    s.most = 1000;
    tap(tm_each(count, &s) == 1000 && s.n == 1000, "false ends it");
    for (int i = 0; i < N; i++)
        if (i % 10 != 0)
            tm_free(h[i]);
    (void)tm_compact(); // pages of the table go, too
    s = nothing_seen();
    once = tm_each(count, &s) == N / 10;
    for (int i = 0; i < N; i += 10)
        once &= s.times[tm_ref(h[i]) - lowest] == 1;
    tap(once && s.n == N / 10, "what was freed is not visited");
    for (int i = 0; i < N; i += 10)
        tm_free(h[i]);
}

typedef struct sweep {
    size_t freed, visited;
} sweep_t;

/* Frees the object, and the one that its contents name. */
static bool free_both(tm_handle_t h, void *context)
{
    sweep_t *s = (sweep_t *)context;
    tm_handle_t other = TM_NULL;
    TM_PINNED(tm_handle_t, p, h)
    {
        other = *p;
    }
    s->visited++;
    s->freed += 2;
    tm_free(other);
    tm_free(h);
    return true;
}

static bool allocate(tm_handle_t h, void *context)
{
    tm_handle_t *more = (tm_handle_t *)context;
    size_t i = 0;
    while (more[i] != TM_NULL && i < N - 1)
        i++;
    more[i] = tm_alloc(SIZE);
    return h != TM_NULL && i < 1000;
}

static jmp_buf out;

static bool leave(tm_handle_t h, void *unused)
{
    (void)h;
    (void)unused;
    longjmp(out, 1);
}

static void what_the_visitor_may_do(void)
{
    static tm_handle_t h[N];
    for (int i = 0; i < N; i++)
        h[i] = tm_alloc(SIZE);
    for (int i = 0; i < N; i++)
        TM_PINNED(tm_handle_t, p, h[i])
        {
            *p = h[N - 1 - i];
        }
    sweep_t s = {0, 0};
    size_t n = tm_each(free_both, &s);
    tap(n == N / 2 && s.freed == N && stats_now().live_objects == 0,
        "a visitor that frees what is to come: that is not visited");
    static tm_handle_t more[N];
    tm_handle_t first = tm_alloc(SIZE);
    (void)tm_each(allocate, more);
    tap(more[0] != TM_NULL, "a visitor that allocates: it ends");
    for (size_t i = 0; i < N; i++)
        tm_free(more[i]);
    if (setjmp(out) == 0)
        (void)tm_each(leave, NULL);
    seen_t seen = nothing_seen();
    tap(tm_each(count, &seen) == 1 && seen.n == 1, "a visitor that leaves by longjmp: the next call is as usual");
    tm_free(first);
}

/* ---- while others are at work ------------------------------------------------------------------------------------ */

static bool stop;

static void *compact_always(void *unused)
{
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        (void)tm_compact();
        while (tm_compact_step(20)) {
        }
    }
    return unused;
}

/* Objects that come, go and grow, marked as those of the thread are not. */
static void *churn(void *unused)
{
    enum { LIVE = 2000 };
    static __thread tm_handle_t h[LIVE];
    uint64_t random = (uint64_t)(uintptr_t)h;
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        size_t i = random_below(&random, LIVE);
        if (h[i] != TM_NULL && i % 3 == 0)
            h[i] = tm_realloc(h[i], 50 + random_below(&random, 300));
        else if (h[i] != TM_NULL)
            tm_free(h[i]);
        if (h[i] == TM_NULL || i % 3 != 0)
            h[i] = tm_alloc(50 + random_below(&random, 300));
    }
    for (size_t i = 0; i < LIVE; i++)
        tm_free(h[i]);
    return unused;
}

typedef struct snapshot {
    size_t lasting, others, gone, wrong;
} snapshot_t;

static unsigned char is_lasting[PLACES]; // by reference: visits so far, and 1

static bool save(tm_handle_t h, void *context)
{
    snapshot_t *s = (snapshot_t *)context;
    size_t place = tm_ref(h) - lowest;
    const char *p = (const char *)tm_try_pin(h);
    if (p == NULL) {
        s->gone++;
    } else if (is_lasting[place] != 0) {
        s->wrong += is_lasting[place]++ != 1 || !intact(p, SIZE, place);
        s->lasting++;
    } else {
        s->others++;
    }
    if (p != NULL)
        tm_unpin(h);
    return true;
}

static void beside_everything(void)
{
    enum { THREADS = 3, SNAPSHOTS = 20 };
    static tm_handle_t h[N];
    pthread_t mover, t[THREADS];
    snapshot_t all = {0, 0, 0, 0};
    bool good = true;
    for (int i = 0; i < N; i++) {
        h[i] = tm_alloc(SIZE);
        fill_object(h[i], SIZE, tm_ref(h[i]) - lowest);
    }
    for (int i = 0; i < N; i++)
        if (i % 7 != 0)
            tm_free(h[i]);
    size_t moved = stats_now().moved_objects;
    good &= pthread_create(&mover, NULL, compact_always, NULL) == 0;
    for (int i = 0; i < THREADS; i++)
        good &= pthread_create(&t[i], NULL, churn, NULL) == 0;
    for (int k = 0; k < SNAPSHOTS; k++) {
        snapshot_t s = {0, 0, 0, 0};
        for (int i = 0; i < N; i += 7)
            is_lasting[tm_ref(h[i]) - lowest] = 1;
        good &= tm_each(save, &s) == s.lasting + s.others + s.gone && s.lasting == (N + 6) / 7 && s.wrong == 0;
        all.others += s.others;
        all.gone += s.gone;
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    for (int i = 0; i < THREADS; i++)
        (void)pthread_join(t[i], NULL);
    (void)pthread_join(mover, NULL);
    moved = stats_now().moved_objects - moved;
    tap(good, "%d snapshots beside three threads and the mover: each lasting object is in each once, whole", SNAPSHOTS);
    tap(all.others > 0 && moved > 0, "meanwhile others came and went (%zu met, %zu just gone), and %zu were moved",
        all.others, all.gone, moved);
    for (int i = 0; i < N; i += 7)
        tm_free(h[i]);
}

/* A walk over addresses that were written down before is not one over objects. */
static void control_addresses_do_not_do(void)
{
    heap_with_holes_t heap = make_holes(3000, SIZE, 41);
    size_t lost = 0;
    (void)tm_compact();
    for (size_t i = 0; i < heap.n; i += heap.every)
        lost += tm_handle_of((void *)heap.at[i]) != heap.h[i];
    tap(lost > 0, "control: of addresses written down before, %zu are somebody else's now", lost);
    free_holes(&heap);
}

int main(void)
{
    tm_handle_t first = tm_alloc(1);
    lowest = tm_ref(first) & ~(tm_ref_t)511;
    tm_free(first);
    one_after_the_other();
    what_the_visitor_may_do();
    control_addresses_do_not_do();
    beside_everything();
    return tap_done();
}
