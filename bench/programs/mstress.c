/* mstress.c - threads that allocate in bursts, keep some blocks for long, and exchange others (as in a server).
 *
 * Idea: each thread makes blocks of mixed sizes, keeps part of them from round to round, and swaps some with a table
 * shared by all threads, so that many blocks are freed by a thread that did not make them. The threads end after
 * every round and are started again. What a thread draws does not depend on the others; only whose block it frees does.
 *
 * E1  A block in the shared table belongs to the thread that exchanges it out. Its first word is its size, its last its
 *     check.
 *
 * usage: mstress [ROUNDS] [THREADS] */
#include "kit.h"
#include <stdatomic.h>

enum { SHARED = 1024, KEPT = 4096, BURST = 20000 };

typedef struct {
    rng_t rng;
    uint64_t *kept[KEPT];
    uint64_t made;
} worker_t;

static _Atomic(uint64_t *) shared[SHARED];
static atomic_ulong bad;

static uint64_t *make(worker_t *w)
{
    uint32_t luck = rng_below(&w->rng, 1000);
    size_t words = luck < 2 ? rng_between(&w->rng, 4096, 16384) : luck < 50 ? rng_between(&w->rng, 128, 1024)
                                                                          : rng_between(&w->rng, 2, 48);
    uint64_t *p = luck % 16 == 0 ? must(calloc(words, sizeof *p)) : get(words * sizeof *p);
    p[0] = words;
    p[words - 1] = ~p[0];
    w->made += words;
    return p;
}

static void drop(uint64_t *p)
{
    if (!p)
        return;
    if (p[p[0] - 1] != ~p[0])
        atomic_fetch_add(&bad, 1);
    free(p);
}

static void *work(void *arg)
{
    worker_t *w = arg;
    uint64_t **burst = get(BURST * sizeof *burst);
    for (int i = 0; i < BURST; i++) {
        burst[i] = make(w);
        uint32_t luck = rng_below(&w->rng, 100), j;
        if (luck < 10) {
            j = rng_below(&w->rng, SHARED);
            burst[i] = atomic_exchange(&shared[j], burst[i]);
        } else if (luck < 25) {
            j = rng_below(&w->rng, KEPT);
            uint64_t *old = w->kept[j];
            w->kept[j] = burst[i];
            burst[i] = old;
        } else if (luck < 60) {
            j = rng_below(&w->rng, (uint32_t)i + 1);
            drop(burst[j]);
            burst[j] = NULL;
        }
    }
    for (int i = 0; i < BURST; i++)
        drop(burst[i]);
    free(burst);
    return NULL;
}

int main(int argc, char **argv)
{
    long rounds = argument(argc, argv, 1, 100), nthreads = argument(argc, argv, 2, 4);
    worker_t *w = must(calloc((size_t)nthreads, sizeof *w));
    pthread_t *thread = get((size_t)nthreads * sizeof *thread);
    uint64_t sum = 0;
    for (long t = 0; t < nthreads; t++)
        w[t].rng.s = (uint64_t)t + 1;
    for (long round = 0; round < rounds; round++) {
        for (long t = 0; t < nthreads; t++)
            thread[t] = start_thread(work, &w[t]);
        for (long t = 0; t < nthreads; t++)
            pthread_join(thread[t], NULL);
    }
    for (long t = 0; t < nthreads; t++) {
        for (int j = 0; j < KEPT; j++)
            drop(w[t].kept[j]);
        sum += w[t].made;
    }
    for (int j = 0; j < SHARED; j++)
        drop(atomic_load(&shared[j]));
    free(thread);
    free(w);
    return finish(sum + atomic_load(&bad));
}
