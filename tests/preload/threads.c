/* What threads hold and return: an idle thread's caches are bounded, a thread that ends gives everything back, and
 * malloc_trim reaches the caches of others. Measured by the figures of malloc_info and by resident memory. */
#include "tap.h"

#include <malloc.h>
#include <pthread.h>

enum { IDLE = 8, CACHE_MAX = 256 << 10 };

static pthread_barrier_t meet; // of the idle threads and the main one

static size_t cached_bytes(void)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    (void)malloc_info(0, f);
    (void)fclose(f);
    const char *at = strstr(text, "<total type=\"cached\"");
    at = at ? strstr(at, "size=\"") : NULL;
    size_t n = at ? strtoul(at + 6, NULL, 10) : (size_t)-1;
    free(text);
    return n;
}

/* Blocks of many sizes, many of each, so that every magazine grows as far as it may. */
static void fill_caches(void)
{
    enum { N = 3000 };
    void **p = malloc(N * sizeof *p);
    for (size_t size = 8; size <= 32768; size = size * 5 / 4 + 8) {
        size_t n = size < 2000 ? N : N / 20;
        for (size_t i = 0; i < n; i++)
            memset(p[i] = malloc(size), 1, 1);
        for (size_t i = 0; i < n; i++)
            free(p[i]);
    }
    free(p);
}

static void *idle_thread(void *unused)
{
    fill_caches();
    (void)pthread_barrier_wait(&meet); // idle
    (void)pthread_barrier_wait(&meet);
    free(malloc(100)); // its next free
    (void)pthread_barrier_wait(&meet); // idle again
    (void)pthread_barrier_wait(&meet);
    return unused;
}

static void idle_threads_are_bounded_and_summoned(void)
{
    pthread_t t[IDLE];
    (void)malloc_trim(0);
    size_t before = cached_bytes();
    for (int i = 0; i < IDLE; i++)
        (void)pthread_create(&t[i], NULL, idle_thread, NULL);
    (void)pthread_barrier_wait(&meet);
    (void)malloc_trim(0); // the depot's and this thread's go; what is left is in the idle threads
    size_t idle = cached_bytes() - before;
    tap(idle > 0 && idle <= (size_t)IDLE * CACHE_MAX, "%d idle threads hold %zu KiB each, at most 256", IDLE,
        idle / IDLE >> 10);
    (void)pthread_barrier_wait(&meet);
    (void)pthread_barrier_wait(&meet);
    (void)malloc_trim(0);
    size_t after = cached_bytes() - before;
    tap(after < idle / 4, "after malloc_trim in one thread the others give theirs at their next free: %zu KiB",
        after >> 10);
    (void)pthread_barrier_wait(&meet);
    for (int i = 0; i < IDLE; i++)
        (void)pthread_join(t[i], NULL);
}

static void *short_life(void *unused)
{
    fill_caches();
    return unused;
}

static void *idle_end(void *unused) { return unused; }

static void ended_threads_leave_nothing(void)
{
    pthread_t t;
    for (int i = 0; i < 20; i++) // stacks and thread control blocks are there from here on
        if (pthread_create(&t, NULL, idle_end, NULL) == 0)
            (void)pthread_join(t, NULL);
    (void)malloc_trim(0);
    struct mallinfo2 before = mallinfo2();
    size_t rss = tap_proc_kb(0, "smaps_rollup", "Rss:");
    for (int i = 0; i < 50; i++)
        if (pthread_create(&t, NULL, short_life, NULL) == 0)
            (void)pthread_join(t, NULL);
    (void)malloc_trim(0);
    struct mallinfo2 after = mallinfo2();
    size_t rss_after = tap_proc_kb(0, "smaps_rollup", "Rss:");
    tap(after.uordblks <= before.uordblks + 4096, "ended threads leave no live bytes");
    tap(after.keepcost == 0, "nor empty pages after malloc_trim");
    tap(rss_after <= rss + (1 << 20), "nor resident memory: %zu KiB before, %zu after 50 threads", rss >> 10,
        rss_after >> 10);
}

static void many_threads_at_once(void)
{
    enum { N = 100 };
    static pthread_t t[N];
    bool good = true;
    int made = 0;
    for (; made < N; made++)
        if (pthread_create(&t[made], NULL, short_life, NULL) != 0)
            break;
    for (int i = 0; i < made; i++)
        good &= pthread_join(t[i], NULL) == 0;
    tap(good && made > 10, "%d threads at once", made);
}

static void *block_from_thread(void *unused)
{
    (void)unused;
    char **p = malloc(1000 * sizeof *p);
    for (int i = 0; i < 1000; i++)
        memset(p[i] = malloc((size_t)i), i, (size_t)i);
    return p;
}

static void blocks_outlive_their_thread(void)
{
    bool good = true;
    for (int round = 0; round < 20; round++) {
        pthread_t t;
        void *result = NULL;
        (void)pthread_create(&t, NULL, block_from_thread, NULL);
        (void)pthread_join(t, &result);
        char **p = result;
        for (int i = 0; i < 1000; i++) {
            good &= i == 0 || (p[i][0] == (char)i && p[i][i - 1] == (char)i);
            p[i] = realloc(p[i], (size_t)i * 2 + 1);
            free(p[i]);
        }
        free(p);
    }
    tap(good, "blocks outlive the thread that made them");
}

/* Of each size, from a thread that has called nothing of the allocator's before; and by each function. */
static void *first_call(void *argument)
{
    size_t size = (size_t)(uintptr_t)argument;
    char *p = size % 4 == 0   ? malloc(size)
              : size % 4 == 1 ? calloc(1, size)
              : size % 4 == 2 ? aligned_alloc(16, size / 16 * 16)
                              : realloc(NULL, size);
    bool good = p != NULL;
    if (good)
        memset(p, 1, size / 16 * 16);
    free(p);
    return good ? argument : NULL;
}

static void a_first_call_may_be_of_any_size(void)
{
    bool good = true;
    for (size_t size = 16; size < (4 << 20); size = size * 9 / 8 + 1) {
        pthread_t t;
        void *result = NULL;
        good &= pthread_create(&t, NULL, first_call, (void *)(uintptr_t)size) == 0;
        (void)pthread_join(t, &result);
        good &= result != NULL;
    }
    tap(good, "a thread's first call may be of any size");
}

int main(void)
{
    static char buffer[1 << 16];
    (void)setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
    (void)pthread_barrier_init(&meet, NULL, IDLE + 1);
    idle_threads_are_bounded_and_summoned();
    ended_threads_leave_nothing();
    many_threads_at_once();
    blocks_outlive_their_thread();
    a_first_call_may_be_of_any_size();
    return tap_done();
}
