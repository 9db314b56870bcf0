/* Locks that stay: an object that is locked leaves the slab of those that come and go, so that many locks for the
 * program's life do not keep the heap from shrinking. In the control the objects are locked in a scope, where nothing
 * can be moved. */
#include "objects.h"

enum { N = 60000, EVERY = 100, LOCKED = N / EVERY, SLACK = 256 << 10 };

static tm_handle_t h[N];
static char *at[LOCKED];

static size_t resident(void)
{
    unsigned long pages = 0, unused;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f == NULL || fscanf(f, "%lu %lu", &unused, &pages) != 2)
        pages = 0;
    if (f != NULL)
        (void)fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* Of N objects one in EVERY is locked, and the others are freed. What is committed then, for so much that is live. */
static bool lock_and_leave(size_t size, bool in_a_scope)
{
    bool good = true;
    for (size_t i = 0; i < N; i++) {
        h[i] = tm_alloc(size);
        fill_object(h[i], size, i);
    }
    if (in_a_scope)
        tm_scope_enter();
    for (size_t i = 0; i < LOCKED; i++) {
        at[i] = (char *)tm_lock(h[i * EVERY]);
        good &= intact(at[i], size, i * EVERY);
    }
    if (in_a_scope)
        tm_scope_exit();
    for (size_t i = 0; i < N; i++)
        if (i % EVERY != 0)
            tm_free(h[i]);
    (void)tm_compact();
    for (size_t i = 0; i < LOCKED; i++)
        good &= intact(at[i], size, i * EVERY) && place_of(h[i * EVERY]) == (uintptr_t)at[i];
    return good;
}

static void end_locks(void)
{
    for (size_t i = 0; i < LOCKED; i++) {
        tm_unlock(h[i * EVERY]);
        tm_free(h[i * EVERY]);
    }
    (void)tm_compact();
}

static void locks_for_ever(size_t size)
{
    memset(h, 1, sizeof h);
    memset(at, 1, sizeof at);
    size_t before = resident();
    bool good = lock_and_leave(size, false);
    tm_stats_t s = stats_now();
    // the handles of locked objects keep their places in the table, which are far apart
    size_t now = resident(), grown = now > before + s.table_bytes ? now - before - s.table_bytes : 0;
    tap(good, "%zu bytes: locked objects stay where they are, with their contents", size);
    tap(s.committed_bytes <= s.live_bytes * 9 / 8 + SLACK, "%zu bytes: %zu KiB are locked, %zu KiB committed", size,
        s.live_bytes >> 10, s.committed_bytes >> 10);
    tap(grown <= s.live_bytes * 9 / 8 + 2 * SLACK, "%zu bytes: resident memory has grown by %zu KiB, but for the table",
        size, grown >> 10);
    end_locks();
    tap(stats_now().live_objects == 0 && stats_now().committed_bytes == 0, "%zu bytes: nothing is left of them", size);
    good = lock_and_leave(size, true);
    s = stats_now();
    tap(good && s.committed_bytes >= s.live_bytes * 3, "control: locked in a scope %zu KiB hold %zu KiB",
        s.live_bytes >> 10, s.committed_bytes >> 10);
    end_locks();
}

/* Between tm_pin and tm_lock of somebody else's pin the address must be the same. */
static void *lock_it(void *object)
{
    void *p = tm_lock(*(tm_handle_t *)object);
    tm_unlock(*(tm_handle_t *)object);
    return p;
}

static void *there(tm_handle_t *object)
{
    pthread_t t;
    void *p = NULL;
    (void)(pthread_create(&t, NULL, lock_it, object) == 0 && pthread_join(t, &p));
    return p;
}

static void what_is_in_use_stays(void)
{
    enum { SIZE = 200 };
    heap_with_holes_t heap = make_holes(3000, SIZE, 3);
    tm_handle_t pinned = heap.h[300], looked_up = heap.h[600], own = heap.h[900], locked = heap.h[1200];
    void *p = tm_pin(pinned);
    tap(there(&pinned) == p && tm_lock(pinned) == p, "an object that is pinned, by another thread or this one, stays");
    tm_unlock(pinned);
    tm_unpin(pinned);
    tm_scope_enter();
    void *q = tm_deref(looked_up);
    tap(there(&looked_up) == q && tm_lock(looked_up) == q, "one that is looked up in a scope stays");
    tm_unlock(looked_up);
    tm_scope_exit();
    void *first = tm_lock(locked), *again = tm_lock(locked);
    tap(first == again && there(&locked) == first, "one that is locked stays, however often it is locked");
    tm_unlock(locked);
    tm_unlock(locked);
    void *r = tm_lock(own);
    tap(r != NULL && (uintptr_t)r != heap.at[900], "control: one that is not in use is moved");
    tm_unlock(own);
    tap(tm_lock(own) == r, "and the next lock finds it apart already");
    tm_unlock(own);
    tap(holes_intact(&heap), "all contents are as they were");
    free_holes(&heap);
    (void)tm_compact();
    tap(stats_now().live_objects == 0 && stats_now().committed_bytes == 0, "nothing is left");
}

static void alignment_is_kept(void)
{
    enum { OBJECTS = 600 };
    bool good = true;
    for (size_t i = 0; i < OBJECTS; i++)
        h[i] = tm_alloc_aligned(1024, 1000);
    for (size_t i = 0; i < OBJECTS; i += 10) {
        fill_object(h[i], 1000, i);
        char *p = (char *)tm_lock(h[i]);
        good &= (uintptr_t)p % 1024 == 0 && intact(p, 1000, i);
        tm_unlock(h[i]);
        good &= tm_realloc(h[i], 3000) == h[i] && place_of(h[i]) % 1024 == 0;
    }
    for (size_t i = 0; i < OBJECTS; i++)
        tm_free(h[i]);
    tap(good, "aligned objects keep their alignment");
}

/* Without its lock an object is like others: the slab apart is emptied when that gains something. */
static void unlocked_objects_move_back(void)
{
    enum { SIZE = 200 };
    bool good = lock_and_leave(SIZE, false);
    size_t left = 0;
    for (size_t i = 0; i < LOCKED; i++) {
        tm_unlock(h[i * EVERY]);
        if (i % 20 != 0)
            tm_free(h[i * EVERY]);
        else
            left++;
    }
    (void)tm_compact();
    for (size_t i = 0; i < LOCKED; i += 20) {
        good &= object_intact(h[i * EVERY], SIZE, i * EVERY);
        tm_free(h[i * EVERY]);
    }
    tap(good, "%zu objects that were locked are moved again", left);
}

static bool stop;

static void *compact_always(void *unused)
{
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        heap_with_holes_t holes = make_holes(3000, 200, 41);
        (void)tm_compact();
        while (tm_compact_step(20)) {
        }
        free_holes(&holes);
    }
    return unused;
}

enum { SHARED = 300, LOCKERS = 3 };
static tm_handle_t shared[SHARED];

static void *locker(void *bad)
{
    uint64_t random = (uint64_t)(uintptr_t)&random;
    bool good = true;
    for (int round = 0; round < 20000; round++) {
        size_t i = random_below(&random, SHARED);
        char *p = (char *)tm_lock(shared[i]);
        good &= p != NULL && tm_pin(shared[i]) == p && intact(p, 200, i);
        tm_unpin(shared[i]);
        tm_unlock(shared[i]);
        if (round % 50 == 0)
            tm_free(tm_alloc(200));
    }
    return good ? NULL : bad;
}

static void beside_the_mover(void)
{
    pthread_t mover, t[LOCKERS];
    void *bad[LOCKERS] = {&stop, &stop, &stop};
    for (size_t i = 0; i < SHARED; i++) {
        shared[i] = tm_alloc(200);
        fill_object(shared[i], 200, i);
    }
    bool good = pthread_create(&mover, NULL, compact_always, NULL) == 0;
    for (int i = 0; i < LOCKERS; i++)
        good &= pthread_create(&t[i], NULL, locker, &stop) == 0;
    for (int i = 0; i < LOCKERS; i++)
        good &= pthread_join(t[i], &bad[i]) == 0 && bad[i] == NULL;
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    (void)pthread_join(mover, NULL);
    for (size_t i = 0; i < SHARED; i++)
        tm_free(shared[i]);
    tap(good && stats_now().live_objects == 0, "three threads lock and unlock the same objects beside the mover");
}

int main(void)
{
    static const size_t sizes[] = {16, 64, 200, 1000, 1900};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        locks_for_ever(sizes[i]);
    what_is_in_use_stays();
    alignment_is_kept();
    unlocked_objects_move_back();
    beside_the_mover();
    return tap_done();
}
