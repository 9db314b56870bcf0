/* cache-scratch.c - passive false sharing (after Berger et al. 2000): small blocks from one thread, used by many.
 *
 * Idea: the main thread makes neighbouring small blocks and gives one to each thread, which frees it and then works in
 * a block that it allocates itself. If the allocator hands the piece of the shared cache line out again, two threads
 * write to one line and crawl.
 *
 * usage: cache-scratch [THOUSANDS OF TURNS] [THREADS] */
#include "kit.h"

enum { SIZE = 8, WRITES = 1500 };

typedef struct {
    volatile char *first; /* made by the main thread */
    long turns;
    uint64_t sum;
} worker_t;

static uint64_t scribble(volatile char *p)
{
    for (int i = 0; i < WRITES; i++)
        p[i % SIZE] = (char)(p[i % SIZE] + i);
    return (unsigned char)p[0];
}

static void *work(void *arg)
{
    worker_t *w = arg;
    free((void *)w->first);
    for (long i = 0; i < w->turns; i++) {
        volatile char *p = must(calloc(1, SIZE));
        w->sum += scribble(p);
        free((void *)p);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    long turns = argument(argc, argv, 1, 400) * 1000, nthreads = argument(argc, argv, 2, 2);
    worker_t *w = must(calloc((size_t)nthreads, sizeof *w));
    pthread_t *thread = get((size_t)nthreads * sizeof *thread);
    uint64_t sum = 0;
    for (long t = 0; t < nthreads; t++) {
        w[t].first = get(SIZE);
        w[t].turns = turns;
    }
    for (long t = 0; t < nthreads; t++)
        thread[t] = start_thread(work, &w[t]);
    for (long t = 0; t < nthreads; t++) {
        pthread_join(thread[t], NULL);
        sum += w[t].sum;
    }
    free(thread);
    free(w);
    return finish(sum);
}
