/* tm_alloc_near: where the object comes to be, what is promised when there is no room, and that it helps: nodes of a
 * tree that stand beside their parents in a heap with holes, compared with tm_alloc. And tm_calloc_aligned. */
#include "objects.h"

enum { N = 20000, SIZE = 64, PAGE = 4096, SLAB = 65536, UNTOUCHED = 4711 };

static bool errno_untouched(void)
{
    bool good = errno == UNTOUCHED;
    errno = UNTOUCHED;
    return good;
}

static void at_the_edges(void)
{
    errno = UNTOUCHED;
    tm_handle_t h = tm_alloc_near(TM_NULL, SIZE), g = tm_alloc_near(h, 0), e = tm_alloc_near(h, 100000);
    tap(h && tm_check(h, SIZE) && g && tm_valid(g) && tm_check(e, 100000), "near nothing, of no bytes, of many bytes");
    tm_handle_t large = tm_alloc_near(e, 100000), small = tm_alloc_near(e, SIZE);
    tap(tm_check(large, 100000) && tm_check(small, SIZE), "near a large one");
    (void)tm_pin(h);
    (void)tm_lock(h);
    tm_scope_enter();
    (void)tm_deref(h);
    tm_handle_t more = tm_alloc_near(h, SIZE);
    tm_scope_exit();
    tm_unlock(h);
    tm_unpin(h);
    tap(tm_check(more, SIZE) && tm_pin_mark() == 0, "near one that is pinned, locked and looked up");
    tap(errno_untouched(), "errno is untouched");
    bool refused = true;
    static const size_t sizes[] = {(size_t)PTRDIFF_MAX + 1, SIZE_MAX, (size_t)1 << 50};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        errno = UNTOUCHED;
        refused &= tm_alloc_near(h, sizes[i]) == TM_NULL && errno == ENOMEM;
    }
    tap(refused, "too much: TM_NULL and ENOMEM");
    tm_handle_t all[] = {h, g, e, large, small, more};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        tm_free(all[i]);
}

/* One in three of the slots is free, and no more of them are in the thread's hands than a magazine holds. */
static void make_room_everywhere(tm_handle_t *parent)
{
    static tm_handle_t all[N * 3 / 2];
    size_t n = 0;
    for (size_t i = 0; i < N * 3 / 2; i++)
        all[i] = tm_alloc(SIZE);
    for (size_t i = 0; i < N * 3 / 2; i++)
        if (i % 3 == 2)
            tm_free(all[i]);
        else
            parent[n++] = all[i];
}

/* How many of the pairs are in one page; in a shuffled order, as a program with a long life has it. */
static size_t together(bool near, bool compacted)
{
    static tm_handle_t parent[N], child[N];
    size_t pairs = 0, n = N / 4;
    (void)tm_mover_pause(); // it would move them apart, or together
    make_room_everywhere(parent);
    for (size_t i = 0; i < n; i++) {
        tm_handle_t p = parent[i * 7919 % N];
        child[i] = near ? tm_alloc_near(p, SIZE) : tm_alloc(SIZE);
        fill_object(child[i], SIZE, i);
    }
    if (compacted) {
        for (size_t i = n; i < N; i++) {
            tm_free(parent[i * 7919 % N]);
            parent[i * 7919 % N] = TM_NULL;
        }
        (void)tm_mover_resume();
        (void)tm_compact();
        (void)tm_mover_pause();
    }
    for (size_t i = 0; i < n; i++) {
        pairs += place_of(parent[i * 7919 % N]) / PAGE == place_of(child[i]) / PAGE;
        if (!object_intact(child[i], SIZE, i))
            pairs = 0;
        tm_free(child[i]);
    }
    for (size_t i = 0; i < N; i++)
        tm_free(parent[i]);
    (void)tm_mover_resume();
    return pairs * 100 / n;
}

static void near_is_near(void)
{
    size_t usual = together(false, false), near = together(true, false), moved = together(true, true);
    tap(near >= 90, "beside their parents: %zu in a hundred share a page with theirs", near);
    tap(usual < 30, "control: with tm_alloc %zu in a hundred do", usual);
    tap(moved >= 40, "after the mover has emptied the slabs around them %zu still do", moved);
}

/* A chain that is built at once, and its slots come from the magazine. */
static void a_chain_stays_close(void)
{
    enum { LONG = 2000 };
    tm_handle_t h[LONG];
    size_t pages = 0, slabs = 0;
    h[0] = tm_alloc(SIZE);
    for (size_t i = 1; i < LONG; i++)
        h[i] = tm_alloc_near(h[i - 1], SIZE);
    for (size_t i = 1; i < LONG; i++) {
        pages += place_of(h[i]) / PAGE != place_of(h[i - 1]) / PAGE;
        slabs += place_of(h[i]) / SLAB != place_of(h[i - 1]) / SLAB;
    }
    tap(pages <= LONG / 8 && slabs <= LONG / 200, "a chain of %d: %zu steps to another page, %zu to another slab", LONG,
        pages, slabs);
    for (size_t i = 0; i < LONG; i++)
        tm_free(h[i]);
}

static bool stop;

static void *compact_always(void *unused)
{
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
        (void)tm_compact();
    return unused;
}

static void *churn(void *bad)
{
    enum { LIVE = 500, ROUNDS = 40000 };
    tm_handle_t h[LIVE];
    uint64_t random = (uint64_t)(uintptr_t)&h;
    bool good = true;
    for (size_t i = 0; i < LIVE; i++) {
        h[i] = tm_alloc(SIZE);
        fill_object(h[i], SIZE, i);
    }
    for (int round = 0; round < ROUNDS; round++) {
        size_t i = random_below(&random, LIVE), k = random_below(&random, LIVE);
        if (i == k)
            continue;
        good &= object_intact(h[i], SIZE, i);
        tm_free(h[i]);
        h[i] = tm_alloc_near(h[k], SIZE);
        fill_object(h[i], SIZE, i);
    }
    for (size_t i = 0; i < LIVE; i++) {
        good &= object_intact(h[i], SIZE, i);
        tm_free(h[i]);
    }
    return good ? NULL : bad;
}

static void beside_the_mover(void)
{
    enum { THREADS = 3 };
    pthread_t mover, t[THREADS];
    void *bad[THREADS] = {&stop, &stop, &stop};
    bool good = pthread_create(&mover, NULL, compact_always, NULL) == 0;
    for (int i = 0; i < THREADS; i++)
        good &= pthread_create(&t[i], NULL, churn, &stop) == 0;
    for (int i = 0; i < THREADS; i++)
        good &= pthread_join(t[i], &bad[i]) == 0 && bad[i] == NULL;
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    (void)pthread_join(mover, NULL);
    tap(good && stats_now().live_objects == 0, "three threads beside the mover: nothing is lost, nothing is left");
}

static void calloc_aligned(void)
{
    static const size_t sizes[] = {0, 1, 100, 5000, 60000, 70000, 1 << 20};
    bool good = true;
    errno = UNTOUCHED;
    for (size_t align = 1; align <= (size_t)2 << 20; align *= 4)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
            for (int round = 0; round < 2; round++) {
                tm_handle_t h = tm_calloc_aligned(align, 1, sizes[i]);
                TM_PINNED(char, p, h)
                {
                    good &= (uintptr_t)p % (align < 16 ? 16 : align) == 0 && all_bytes(p, 0, sizes[i]);
                    memset(p, 0x5a, tm_sizeof(h));
                }
                tm_free(h);
            }
    tap(good && errno_untouched(), "calloc_aligned: aligned and zero, also where another object was");
    tap(tm_calloc_aligned(48, SIZE_MAX, 2) == TM_NULL && errno == EINVAL, "calloc_aligned: an odd alignment: EINVAL");
    tap(tm_calloc_aligned(0, 1, 1) == TM_NULL && errno == EINVAL, "calloc_aligned: none: EINVAL");
    tap(tm_calloc_aligned(64, SIZE_MAX / 2, 3) == TM_NULL && errno == ENOMEM, "calloc_aligned: an overflow: ENOMEM");
    tap(tm_calloc_aligned(64, (size_t)1 << 33, (size_t)1 << 31) == TM_NULL, "calloc_aligned: an overflow to 0");
}

static int near_a_stale_one(void)
{
    tm_handle_t h = tm_alloc(SIZE);
    tm_free(h);
    return tm_alloc_near(h, SIZE) == TM_NULL;
}

static void misuse(void)
{
    tap_child_t c;
    tap_self(&c, "near_a_stale_one", NULL);
    tap(tap_aborted_saying(&c, "tinymem: tm_alloc_near(@): stale handle: its object was freed"),
        "a stale handle: reported");
    tap_self(&c, "near_a_stale_one", "stale:null");
    tap(tap_exited(&c, 0) && c.err[0] == '\0', "with stale:null it is as tm_alloc");
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "near_a_stale_one") == 0)
        return near_a_stale_one();
    at_the_edges();
    near_is_near();
    a_chain_stays_close();
    calloc_aligned();
    beside_the_mover();
    misuse();
    return tap_done();
}
