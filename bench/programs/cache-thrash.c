/* cache-thrash.c - active false sharing (after Berger et al. 2000): do two threads get pieces of one cache line?
 *
 * Idea: each thread allocates a small block, writes to it many times, frees it, and again. An allocator that serves
 * two threads from the same line makes them fight for it at every write.
 *
 * usage: cache-thrash [THOUSANDS OF TURNS] [THREADS] */
#include "kit.h"

enum { SIZE = 8, WRITES = 1500 };

typedef struct {
    long turns;
    uint64_t sum;
} worker_t;

static void *work(void *arg)
{
    worker_t *w = arg;
    for (long i = 0; i < w->turns; i++) {
        volatile char *p = must(calloc(1, SIZE));
        for (int k = 0; k < WRITES; k++)
            p[k % SIZE] = (char)(p[k % SIZE] + k);
        w->sum += (unsigned char)p[i % SIZE];
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
        w[t].turns = turns;
        thread[t] = start_thread(work, &w[t]);
    }
    for (long t = 0; t < nthreads; t++) {
        pthread_join(thread[t], NULL);
        sum += w[t].sum;
    }
    free(thread);
    free(w);
    return finish(sum);
}
