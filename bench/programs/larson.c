/* larson.c - a server's life (after Larson and Krishnan 1998): random replacement, and threads that hand on their
 * blocks.
 *
 * Idea: each of T workers owns a set of slots and replaces blocks of random size in random slots. After a number of
 * replacements the thread starts a successor, leaves it all its blocks, and ends: blocks are freed by another
 * thread than allocated them, and the threads themselves are short-lived.
 *
 * usage: larson [SUCCESSIONS] [THREADS] [SLOTS] [LARGEST] */
#include "kit.h"

enum { REPLACEMENTS = 100000, SMALLEST = 8 };

typedef struct {
    rng_t rng;
    long left;            /* successions still to come */
    uint32_t nslots, largest;
    uint64_t sum;
    char **block;
    uint32_t *size;
    pthread_mutex_t lock; /* guards done */
    pthread_cond_t changed;
    int done;             /* the last of the line has ended its work */
} worker_t;

static void replace(worker_t *w)
{
    uint32_t i = rng_below(&w->rng, w->nslots);
    if (w->block[i]) {
        w->sum += stamp_of(w->block[i], w->size[i]);
        free(w->block[i]);
    }
    w->size[i] = rng_between(&w->rng, SMALLEST, w->largest);
    w->block[i] = get(w->size[i]);
    stamp(w->block[i], w->size[i], i + 1);
}

static void announce_end(worker_t *w)
{
    pthread_mutex_lock(&w->lock);
    w->done = 1;
    pthread_cond_signal(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

/* The record belongs to one thread at a time: creating the successor hands it on, and nothing is touched after. */
static void *serve(void *arg)
{
    worker_t *w = arg;
    for (int i = 0; i < REPLACEMENTS; i++)
        replace(w);
    if (--w->left > 0)
        pthread_detach(start_thread(serve, w));
    else
        announce_end(w);
    return NULL;
}

static void prepare(worker_t *w, uint64_t seed, long successions, uint32_t nslots, uint32_t largest)
{
    *w = (worker_t){ .rng = { seed }, .left = successions, .nslots = nslots, .largest = largest };
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->changed, NULL);
    w->block = must(calloc(nslots, sizeof *w->block));
    w->size = must(calloc(nslots, sizeof *w->size));
}

static uint64_t wait_for(worker_t *w)
{
    pthread_mutex_lock(&w->lock);
    while (!w->done)
        pthread_cond_wait(&w->changed, &w->lock);
    pthread_mutex_unlock(&w->lock);
    for (uint32_t i = 0; i < w->nslots; i++)
        free(w->block[i]);
    free(w->block);
    free(w->size);
    return w->sum;
}

int main(int argc, char **argv)
{
    long successions = argument(argc, argv, 1, 100), nthreads = argument(argc, argv, 2, 2);
    uint32_t nslots = (uint32_t)argument(argc, argv, 3, 5000), largest = (uint32_t)argument(argc, argv, 4, 1000);
    worker_t *w = get((size_t)nthreads * sizeof *w);
    uint64_t sum = 0;
    for (long t = 0; t < nthreads; t++) {
        prepare(&w[t], (uint64_t)t + 1, successions, nslots, largest);
        pthread_detach(start_thread(serve, &w[t]));
    }
    for (long t = 0; t < nthreads; t++)
        sum += wait_for(&w[t]);
    free(w);
    return finish(sum);
}
