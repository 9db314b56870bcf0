/* Handles at the edges of a process's and a thread's life: before any constructor, in destructors, at exit, in
 * destructors of thread-specific data, in threads that come and go. */
#include "objects.h"

enum { EARLY = 300 };

static tm_handle_t early[EARLY];
static bool early_good;

/* All kinds of calls; false when one went wrong. */
static bool use_handles(void)
{
    bool good = true;
    for (size_t size = 0; size < 300000; size = size * 3 + 7) {
        tm_handle_t h = tm_alloc(size), g = tm_calloc(1, size);
        fill_object(h, size, size);
        good &= tm_lock(g) != NULL;
        tm_scope_enter();
        good &= all_bytes(tm_deref(g), 0, size);
        tm_scope_exit();
        tm_unlock(g);
        tm_free(g);
        good &= tm_realloc(h, size * 2 + 1) == h;
        good &= size % 8 != 0 || object_intact(h, size, size);
        tm_free(h);
    }
    (void)tm_compact();
    return good;
}

/* In the executable's preinit array: before the constructors of all libraries, ours among them. */
static void before_constructors(int argc, char **argv, char **env)
{
    (void)argc, (void)argv, (void)env;
    early_good = use_handles();
    for (int i = 0; i < EARLY; i++) {
        early[i] = tm_alloc((size_t)i);
        fill_object(early[i], (size_t)i, (uint64_t)i);
    }
}

__attribute__((section(".preinit_array"), used)) static void (*const preinit)(int, char **,
                                                                              char **) = before_constructors;

static bool early_intact(void)
{
    for (int i = 0; i < EARLY; i++)
        if (!object_intact(early[i], (size_t)i, (uint64_t)i))
            return false;
    return true;
}

static bool in_constructor;

__attribute__((constructor)) static void before_main(void) { in_constructor = early_intact() && use_handles(); }

/* Both run after main; ends that go wrong are told by the exit status. */
static void at_exit(void)
{
    if (!early_intact() || !use_handles())
        _exit(98);
}

__attribute__((destructor)) static void after_main(void)
{
    if (!early_intact() || !use_handles())
        _exit(97);
    for (int i = 0; i < EARLY; i++)
        tm_free(early[i]);
    if (stats_now().live_objects != 0)
        _exit(96);
}

static int live_and_exit(void)
{
    MUST(atexit(at_exit) == 0);
    MUST(use_handles());
    exit(0);
}

/* ---- thread-specific data ---------------------------------------------------------------------------------------- */

enum { ROUNDS = 4 };
static pthread_key_t keys[3];
static int destructor_runs;
static bool destructors_good = true;

/* Runs in each round that libc grants, so also after the library's own. */
static void destroy(void *value)
{
    tm_handle_t h = tm_alloc(100);
    fill_object(h, 100, 5);
    bool good = use_handles() && object_intact(h, 100, 5) && early_intact();
    tm_free(h);
    __atomic_fetch_add(&destructor_runs, 1, __ATOMIC_RELAXED);
    if (!good)
        destructors_good = false;
    uintptr_t round = (uintptr_t)value % 16, key = (uintptr_t)value / 16 - 1;
    if (round + 1 < ROUNDS)
        (void)pthread_setspecific(keys[key], (void *)((key + 1) * 16 + round + 1));
}

static void *with_destructors(void *uses)
{
    for (uintptr_t k = 0; k < 3; k++)
        (void)pthread_setspecific(keys[k], (void *)((k + 1) * 16));
    return uses != NULL && !use_handles() ? (void *)1 : NULL;
}

static void destructors_of_threads(void)
{
    pthread_t t;
    void *bad = NULL;
    for (int k = 1; k < 3; k++) // the first was made before the library's
        (void)pthread_key_create(&keys[k], destroy);
    for (int i = 0; i < 50; i++) {
        void *one = NULL;
        (void)pthread_create(&t, NULL, with_destructors, i % 2 ? &t : NULL);
        (void)pthread_join(t, &one);
        bad = one ? one : bad;
    }
    tap(bad == NULL && destructors_good && destructor_runs >= 50 * 3 * ROUNDS - 50 * 3,
        "%d destructors of thread-specific data, also after the library's own", destructor_runs);
    tap(stats_now().live_objects == EARLY && stats_now().pins == 0, "they leave no objects and no pins");
}

/* ---- threads come and go ----------------------------------------------------------------------------------------- */

enum { SHELF = 1000 };
static tm_handle_t shelf[SHELF];

/* Leaves objects for others, takes what others left. */
static void *short_life(void *seed)
{
    uint64_t r = (uintptr_t)seed;
    for (int i = 0; i < 400; i++) {
        tm_handle_t h = tm_alloc(64), old;
        fill_object(h, 64, 64);
        old = __atomic_exchange_n(&shelf[random_below(&r, SHELF)], h, __ATOMIC_ACQ_REL);
        if (old == TM_NULL)
            continue;
        if (!object_intact(old, 64, 64))
            return (void *)1;
        tm_free(old);
    }
    return NULL;
}

static void threads_come_and_go(void)
{
    enum { AT_ONCE = 4, GENERATIONS = 300 };
    bool good = true;
    size_t metadata = 0;
    for (uintptr_t g = 0; g < GENERATIONS; g++) {
        pthread_t t[AT_ONCE];
        for (uintptr_t i = 0; i < AT_ONCE; i++)
            good &= pthread_create(&t[i], NULL, short_life, (void *)(g * 1000000 + i * 1000)) == 0;
        for (int i = 0; i < AT_ONCE; i++) {
            void *bad;
            (void)pthread_join(t[i], &bad);
            good &= bad == NULL;
        }
        if (g == 20)
            metadata = stats_now().metadata_bytes;
    }
    size_t after = stats_now().metadata_bytes;
    for (int i = 0; i < SHELF; i++)
        tm_free(shelf[i]);
    tap(good, "1,200 threads pass objects on");
    tap(after <= metadata + metadata / 4, "their records are used again: metadata %zu KiB then %zu KiB", metadata >> 10,
        after >> 10);
    tap(stats_now().live_objects == EARLY, "and what they leave can be freed by others");
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1)
        return live_and_exit();
    tap(early_good && early_intact(), "calls before all constructors");
    tap(in_constructor, "calls in a constructor");
    tap_case("exit", NULL);
    tap_case("exit", "compaction:background,compact_cpu:100");
    tap_case("exit", "check:full");
    (void)pthread_key_create(&keys[0], destroy);
    destructors_of_threads();
    threads_come_and_go();
    return tap_done();
}
