/* xmalloc.c - producers allocate, consumers free: no block is ever freed by the thread that made it.
 *
 * Idea: producers fill batches of blocks and put them on a bounded queue; consumers take batches and free them. One
 * lock operation moves a whole batch, so the allocator's way of returning foreign blocks is what is measured.
 *
 * usage: xmalloc [THOUSANDS OF BATCHES] [PAIRS] */
#include "kit.h"

enum { BATCH = 120, QUEUE = 256 };

typedef struct {
    char *block[BATCH];
    uint32_t size[BATCH];
} batch_t;

typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    batch_t *item[QUEUE];
    unsigned head, n;
    long expected; /* batches that consumers have still to take */
} queue_t;

typedef struct {
    queue_t *queue;
    rng_t rng;
    long batches;
    uint64_t sum;
} worker_t;

static void put(queue_t *q, batch_t *b)
{
    pthread_mutex_lock(&q->lock);
    while (q->n == QUEUE)
        pthread_cond_wait(&q->changed, &q->lock);
    q->item[(q->head + q->n++) % QUEUE] = b;
    pthread_cond_broadcast(&q->changed);
    pthread_mutex_unlock(&q->lock);
}

static batch_t *take(queue_t *q)
{
    batch_t *b = NULL;
    pthread_mutex_lock(&q->lock);
    while (q->expected && !q->n)
        pthread_cond_wait(&q->changed, &q->lock);
    if (q->expected) {
        b = q->item[q->head];
        q->head = (q->head + 1) % QUEUE;
        q->n--;
        q->expected--;
        pthread_cond_broadcast(&q->changed);
    }
    pthread_mutex_unlock(&q->lock);
    return b;
}

static void *produce(void *arg)
{
    static const uint16_t sizes[] = { 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384 };
    worker_t *w = arg;
    for (long i = 0; i < w->batches; i++) {
        batch_t *b = get(sizeof *b);
        for (int k = 0; k < BATCH; k++) {
            b->size[k] = sizes[rng_below(&w->rng, sizeof sizes / sizeof *sizes)];
            b->block[k] = get(b->size[k]);
            stamp(b->block[k], b->size[k], (uint64_t)k + 1);
        }
        put(w->queue, b);
    }
    return NULL;
}

static void *consume(void *arg)
{
    worker_t *w = arg;
    for (batch_t *b; (b = take(w->queue)) != NULL; free(b))
        for (int k = 0; k < BATCH; k++) {
            w->sum += stamp_of(b->block[k], b->size[k]);
            free(b->block[k]);
        }
    return NULL;
}

int main(int argc, char **argv)
{
    long batches = argument(argc, argv, 1, 100) * 1000, pairs = argument(argc, argv, 2, 1);
    queue_t queue = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };
    worker_t *w = must(calloc((size_t)pairs * 2, sizeof *w));
    pthread_t *thread = get((size_t)pairs * 2 * sizeof *thread);
    uint64_t sum = 0;
    queue.expected = batches / pairs * pairs;
    for (long i = 0; i < pairs * 2; i++) {
        w[i] = (worker_t){ .queue = &queue, .rng = { (uint64_t)i + 1 }, .batches = batches / pairs };
        thread[i] = start_thread(i % 2 ? consume : produce, &w[i]);
    }
    for (long i = 0; i < pairs * 2; i++) {
        pthread_join(thread[i], NULL);
        sum += w[i].sum;
    }
    free(thread);
    free(w);
    return finish(sum);
}
