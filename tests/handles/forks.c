/* fork while objects are on the move, again and again: both sides find all contents, go on, and go on compacting. Out
 * of steps, out of open scopes, out of a program whose threads and whose background compaction are at work. */
#include "objects.h"

enum { WORKERS = 2, HANDS = 300, FORKS = 300 };

static bool stop, spoilt;

typedef struct hands {
    tm_handle_t h[HANDS];
    size_t size[HANDS];
    uint64_t mark[HANDS], r;
} hands_t;

static bool exchange_one(hands_t *hands)
{
    size_t i = random_below(&hands->r, HANDS);
    bool good = hands->h[i] == TM_NULL || object_intact(hands->h[i], hands->size[i], hands->mark[i]);
    tm_free(hands->h[i]);
    hands->size[i] = random_below(&hands->r, random_below(&hands->r, 50) ? 1000 : 100000);
    hands->mark[i] = hands->r;
    hands->h[i] = tm_alloc(hands->size[i]);
    fill_object(hands->h[i], hands->size[i], hands->mark[i]);
    return good;
}

static bool all_intact(const hands_t *hands)
{
    for (int i = 0; i < HANDS; i++)
        if (hands->h[i] != TM_NULL && !object_intact(hands->h[i], hands->size[i], hands->mark[i]))
            return false;
    return true;
}

static void drop_all(hands_t *hands)
{
    for (int i = 0; i < HANDS; i++)
        tm_free(hands->h[i]);
}

static void *worker(void *seed)
{
    hands_t *hands = (hands_t *)calloc(1, sizeof *hands);
    hands->r = (uintptr_t)seed << 32;
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
        if (!exchange_one(hands))
            __atomic_store_n(&spoilt, true, __ATOMIC_RELAXED);
    if (!all_intact(hands))
        __atomic_store_n(&spoilt, true, __ATOMIC_RELAXED);
    drop_all(hands);
    free(hands);
    return NULL;
}

/* The child's life: what it inherited is whole and can be moved, and it can do all that its parent can. */
static int live_as_a_child(hands_t *hands, const heap_with_holes_t *heap, bool at_length)
{
    MUST(all_intact(hands) && holes_intact(heap));
    for (int i = 0; i < 200; i++)
        MUST(exchange_one(hands));
    for (int i = 0; i < 20 && tm_compact_step(50); i++)
        MUST(i % 5 || holes_intact(heap));
    if (at_length) {
        size_t moved = stats_now().moved_objects;
        heap_with_holes_t own = make_holes(5000, 200, 10);
        (void)tm_compact();
        MUST(stats_now().moved_objects > moved && holes_intact(&own));
        free_holes(&own);
    }
    MUST(holes_intact(heap) && all_intact(hands));
    drop_all(hands);
    return 0;
}

static bool ends_well(pid_t pid)
{
    int status = -1;
    for (int i = 0; i < 30000; i++) {
        if (waitpid(pid, &status, WNOHANG) == pid)
            return status == 0 || (printf("# child: status %#x\n", (unsigned)status), false);
        (void)usleep(1000);
    }
    printf("# child hangs\n");
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, &status, 0);
    return false;
}

/* Before each fork the parent leaves a batch half done. */
static bool fork_many(int n, hands_t *hands)
{
    bool good = true;
    heap_with_holes_t heap = make_holes(20000, 100, 10);
    for (int i = 0; i < n && good; i++) {
        for (int k = 0; k < i % 7; k++)
            (void)tm_compact_step(10);
        pid_t pid = fork();
        if (pid == 0)
            _exit(live_as_a_child(hands, &heap, i % 20 == 0));
        for (int k = 0; k < 50; k++)
            good &= exchange_one(hands);
        good &= pid > 0 && ends_well(pid) && holes_intact(&heap);
        if (i % 10 == 9) {
            free_holes(&heap);
            heap = make_holes(20000, 100, 10);
        }
    }
    size_t moved = stats_now().moved_objects;
    heap_with_holes_t own = make_holes(20000, 300, 10);
    (void)tm_compact();
    good &= stats_now().moved_objects > moved && holes_intact(&own) && holes_intact(&heap) && all_intact(hands);
    free_holes(&own);
    free_holes(&heap);
    return good;
}

static int forks_of_a_single_thread(void)
{
    static hands_t hands = {.r = 1};
    MUST(fork_many(FORKS, &hands));
    drop_all(&hands);
    MUST(stats_now().live_objects == 0);
    return 0;
}

static int forks_among_threads(void)
{
    static hands_t hands = {.r = 2};
    pthread_t t[WORKERS];
    for (uintptr_t i = 0; i < WORKERS; i++)
        MUST(pthread_create(&t[i], NULL, worker, (void *)(i + 3)) == 0);
    bool good = fork_many(FORKS, &hands);
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    for (int i = 0; i < WORKERS; i++)
        (void)pthread_join(t[i], NULL);
    MUST(good && !spoilt);
    drop_all(&hands);
    MUST(stats_now().live_objects == 0);
    return 0;
}

/* What the forking thread holds, it holds in the child too; what others held, nobody does. */
static pthread_barrier_t barrier;
static tm_handle_t theirs;

static void *hold_and_wait(void *unused)
{
    tm_scope_enter();
    (void)tm_pin(theirs);
    (void)pthread_barrier_wait(&barrier);
    (void)pthread_barrier_wait(&barrier);
    tm_unpin(theirs);
    tm_scope_exit();
    return unused;
}

static int child_with_pins(const heap_with_holes_t *heap, uintptr_t mine, const void *in_scope)
{
    MUST(stats_now().pins == 1); // of the other thread's, nothing is left
    MUST(tm_compact() == 0);     // in the scope that was open
    MUST(tm_deref(heap->h[10]) == in_scope);
    tm_scope_exit();
    (void)tm_compact();
    MUST(place_of(heap->h[0]) == mine && intact((const void *)mine, 100, 0));
    MUST(holes_moved(heap) > 0 && holes_intact(heap));
    tm_unpin(heap->h[0]);
    (void)tm_compact();
    MUST(holes_intact(heap));
    return 0;
}

static int pins_and_scopes_over_fork(void)
{
    heap_with_holes_t heap = make_holes(20000, 100, 10);
    pthread_t t;
    theirs = heap.h[heap.n - 10];
    (void)pthread_barrier_init(&barrier, NULL, 2);
    MUST(pthread_create(&t, NULL, hold_and_wait, NULL) == 0);
    (void)pthread_barrier_wait(&barrier);
    uintptr_t mine = (uintptr_t)tm_pin(heap.h[0]);
    tm_scope_enter();
    void *in_scope = tm_deref(heap.h[10]);
    pid_t pid = fork();
    if (pid == 0)
        _exit(child_with_pins(&heap, mine, in_scope));
    tm_scope_exit();
    MUST(ends_well(pid));
    (void)tm_compact();
    MUST(place_of(heap.h[0]) == mine);
    tm_unpin(heap.h[0]);
    (void)pthread_barrier_wait(&barrier);
    (void)pthread_join(t, NULL);
    free_holes(&heap);
    return 0;
}

/* A child's child, and so on: each starts its own background compaction. */
static int generations_of_children(void)
{
    heap_with_holes_t heap = make_holes(50000, 100, 10);
    for (int depth = 0; depth < 10; depth++) {
        pid_t pid = fork();
        if (pid > 0) {
            MUST(ends_well(pid));
            MUST(holes_intact(&heap));
            return 0;
        }
        size_t moved = stats_now().moved_objects;
        heap_with_holes_t own = make_holes(100000, 64, 10);
        for (double begun = tap_now(); stats_now().moved_objects == moved && tap_now() - begun < 5;)
            tap_sleep_ms(1);
        MUST(stats_now().moved_objects > moved && holes_intact(&own) && holes_intact(&heap));
        free_holes(&own);
    }
    return 0;
}

static const trial_t trials[] = {
    {"forks_of_a_single_thread",
     forks_of_a_single_thread,
     {"compaction:manual", "compaction:background,compact_cpu:100", "fence:none,compact_cpu:100"}},
    {"forks_among_threads",
     forks_among_threads,
     {"compaction:background,compact_cpu:100,batch_objects:256,batch_kib:64,compact_churn:1,fence:expedited",
      "compaction:background,compact_cpu:100,compact_churn:1,fence:global",
      "compaction:background,compact_cpu:100,compact_churn:1,fence:none"}},
    {"pins_and_scopes_over_fork", pins_and_scopes_over_fork, {"compaction:manual", "compaction:manual,fence:none"}},
    {"generations_of_children", generations_of_children, {"compaction:background,compact_cpu:100"}},
};

int main(int argc, char **argv)
{
    int status = run_trials(trials, sizeof trials / sizeof *trials, argc > 1 ? argv[1] : NULL);
    return argc > 1 ? status : tap_done();
}
