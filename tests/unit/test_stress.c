/* Threads at work on one heap: blocks handed from thread to thread, threads that come and go, and the audit at the end.
 * Each block tells its owner by its contents, so that a slot handed out twice shows. The control takes the locks away,
 * and the same work must then fail. */
#include "heap/introspect.h"
#include "heapcalls.h"
#include "slabs/raw.h"
#include "support.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

enum { THREADS = 4, SHELF = 512, HANDS = 64 };

typedef struct item {
    uint64_t mark;
    size_t size; // of the whole block, this header included
} item_t;

static item_t *shelf[SHELF]; // any thread puts, any thread takes
static bool failed;

static item_t *make(rng_t *r)
{
    size_t k = rng_below(r, 400),
           size = sizeof(item_t) + (k ? rng_size(r, k < 20 ? 40000 : 2000) : rng_size(r, 3 << 20));
    uint64_t mark = rng_next(r);
    item_t *it;
    if (rng_below(r, 4) == 0) {
        it = h_calloc(size);
        if (it != NULL && !all_zero(it, size))
            __atomic_store_n(&failed, true, __ATOMIC_RELAXED);
    } else {
        it = rng_below(r, 8) ? h_malloc(size) : h_aligned((size_t)16 << rng_below(r, 9), size);
    }
    if (it == NULL)
        return NULL;
    *it = (item_t){mark, size};
    fill(it + 1, size - sizeof *it, mark);
    return it;
}

static void verify(const item_t *it)
{
    if (!intact(it + 1, it->size - sizeof *it, it->size - sizeof *it, it->mark))
        __atomic_store_n(&failed, true, __ATOMIC_RELAXED);
}

static item_t *resized(item_t *it, rng_t *r)
{
    size_t old = it->size, size = sizeof(item_t) + rng_size(r, 20000);
    item_t *q = h_realloc(it, size);
    if (q == NULL)
        return it;
    size_t kept = old < size ? old : size;
    if (!intact(q + 1, kept - sizeof *q, old - sizeof *q, q->mark))
        __atomic_store_n(&failed, true, __ATOMIC_RELAXED);
    q->size = size;
    fill(q + 1, size - sizeof *q, q->mark);
    return q;
}

static void drop(item_t *it)
{
    if (it == NULL)
        return;
    verify(it);
    h_free(it);
}

/* Makes items, passes them round by the shelf, and frees what others made. */
static void work(uint64_t seed, size_t steps)
{
    rng_t r = {seed};
    item_t *hands[HANDS] = {NULL};
    for (size_t i = 0; i < steps; i++) {
        item_t **h = &hands[rng_below(&r, HANDS)];
        size_t what = rng_below(&r, 10);
        if (what < 4 || *h == NULL) { // exchange with the shelf
            item_t *mine = *h != NULL ? *h : make(&r);
            *h = __atomic_exchange_n(&shelf[rng_below(&r, SHELF)], mine, __ATOMIC_ACQ_REL);
        } else if (what < 6) {
            *h = resized(*h, &r);
        } else {
            drop(*h);
            *h = NULL;
        }
        if (i % 20000 == 19999)
            (void)tmi_heap_trim(0);
    }
    for (int i = 0; i < HANDS; i++)
        drop(hands[i]);
}

static void clear_shelf(void)
{
    for (int i = 0; i < SHELF; i++)
        drop(__atomic_exchange_n(&shelf[i], NULL, __ATOMIC_ACQ_REL));
}

static void *worker(void *seed)
{
    work((uintptr_t)seed, scaled(600000));
    return NULL;
}

static void run_threads(void *(*body)(void *), uintptr_t first_seed)
{
    pthread_t t[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        if (pthread_create(&t[i], NULL, body, (void *)(first_seed + i)) != 0)
            abort();
    for (int i = 0; i < THREADS; i++)
        (void)pthread_join(t[i], NULL);
}

static void blocks_pass_between_threads_intact(void **state)
{
    (void)state;
    run_threads(worker, 100);
    clear_shelf();
    assert_false(failed);
    tmi_check_all();
}

static void *short_life(void *seed)
{
    work((uintptr_t)seed, 300);
    return NULL;
}

static void *churner(void *seed)
{
    for (uintptr_t i = 0; i < scaled(1000); i++) {
        pthread_t t;
        if (pthread_create(&t, NULL, short_life, (void *)((uintptr_t)seed * 1000 + i)) != 0)
            abort();
        (void)pthread_join(t, NULL);
    }
    return NULL;
}

static void threads_come_and_go_while_others_work(void **state)
{
    (void)state;
    run_threads(churner, 200);
    clear_shelf();
    assert_false(failed);
    tmi_check_all();
}

/* One side only allocates, the other only frees: slots flow through the depot. */
enum { QUEUE = 1024 };
static item_t *queue[QUEUE];
static size_t put_at, got_at;

static void *producer(void *seed)
{
    rng_t r = {(uintptr_t)seed};
    for (size_t n = scaled(800000); n > 0; n--) {
        item_t *it = make(&r);
        while (put_at - __atomic_load_n(&got_at, __ATOMIC_ACQUIRE) == QUEUE)
            (void)usleep(10);
        queue[put_at % QUEUE] = it;
        __atomic_store_n(&put_at, put_at + 1, __ATOMIC_RELEASE);
    }
    return NULL;
}

static void *consumer(void *unused)
{
    for (size_t n = scaled(800000); n > 0; n--) {
        while (got_at == __atomic_load_n(&put_at, __ATOMIC_ACQUIRE))
            (void)usleep(10);
        drop(queue[got_at % QUEUE]);
        __atomic_store_n(&got_at, got_at + 1, __ATOMIC_RELEASE);
    }
    return unused;
}

static void a_producer_feeds_a_consumer(void **state)
{
    (void)state;
    pthread_t p, c;
    assert_int_equal(pthread_create(&p, NULL, producer, (void *)7), 0);
    assert_int_equal(pthread_create(&c, NULL, consumer, NULL), 0);
    assert_int_equal(pthread_join(p, NULL), 0);
    assert_int_equal(pthread_join(c, NULL), 0);
    assert_false(failed);
    tmi_check_all();
}

static void afterwards_nothing_is_left(void **state)
{
    (void)state;
    tmi_figures_t f;
    (void)tmi_heap_trim(0);
    tmi_figures_read(&f);
    assert_int_equal(f.live_blocks, 0);
    assert_int_equal(f.cached_blocks, 0);
    assert_int_equal(f.committed, 0);
    assert_true(f.metadata < 16 * TMI_MIB);
}

/* Control: somebody sets every lock free all the time. */
static void *saboteur(void *unused)
{
    for (;;) {
        for (unsigned c = 0; c < TMI_CLASS_COUNT; c++)
            tmi_lock_reset(&tmi_raw_classes[c].lock);
        tmi_depot_reset_locks();
        tmi_lock_reset(&tmi_space_lock);
    }
    return unused;
}

static int work_without_locks(void *unused)
{
    (void)unused;
    pthread_t t;
    if (pthread_create(&t, NULL, saboteur, NULL) != 0)
        return 3;
    for (int i = 0; i < 20 && !failed; i++)
        run_threads(worker, 300);
    tmi_check_all();
    return failed ? 1 : 0;
}

static void control_without_locks_the_work_fails(void **state)
{
    (void)state;
    if (UNDER_SANITIZER) // the race itself is reported there
        skip();
    outcome_t o = run_child(work_without_locks, NULL, 5); // a hang is a failure too
    print_message("without locks: status %#x, %s\n", (unsigned)o.status, o.text);
    assert_int_not_equal(o.status, 0);
}

int main(void)
{
    tmi_heap_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(control_without_locks_the_work_fails), // first: a child of fork wants no threads
        cmocka_unit_test(blocks_pass_between_threads_intact),
        cmocka_unit_test(threads_come_and_go_while_others_work),
        cmocka_unit_test(a_producer_feeds_a_consumer),
        cmocka_unit_test(afterwards_nothing_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
