/* mleak.c - threads that come, allocate much, and go: does what they held come back for the next ones?
 *
 * Idea: generation after generation of threads fills a list with blocks of mixed sizes and ends; the next generation
 * frees the lists. At any time one generation's blocks are live, so peak RSS shows what is lost with each thread.
 *
 * usage: mleak [GENERATIONS] [THREADS] */
#include "kit.h"

enum { BLOCKS = 20000 };

typedef struct node {
    struct node *next;
    uint64_t size;
} node_t;

typedef struct {
    rng_t rng;
    node_t *list;
    uint64_t sum;
} worker_t;

static void drop_list(worker_t *w)
{
    for (node_t *n = w->list, *next; n; n = next) {
        next = n->next;
        w->sum += n->size;
        free(n);
    }
    w->list = NULL;
}

static void *live(void *arg)
{
    worker_t *w = arg;
    drop_list(w);
    for (int i = 0; i < BLOCKS; i++) {
        size_t size = rng_log_size(&w->rng, 4, 9);
        node_t *n = get(size);
        *n = (node_t){ .next = w->list, .size = size };
        w->list = n;
    }
    return NULL;
}

int main(int argc, char **argv)
{
    long generations = argument(argc, argv, 1, 400), nthreads = argument(argc, argv, 2, 4);
    worker_t *w = must(calloc((size_t)nthreads, sizeof *w));
    pthread_t *thread = get((size_t)nthreads * sizeof *thread);
    uint64_t sum = 0;
    for (long t = 0; t < nthreads; t++)
        w[t].rng.s = (uint64_t)t + 1;
    for (long g = 0; g < generations; g++) {
        for (long t = 0; t < nthreads; t++)
            thread[t] = start_thread(live, &w[t]);
        for (long t = 0; t < nthreads; t++)
            pthread_join(thread[t], NULL);
    }
    for (long t = 0; t < nthreads; t++) {
        drop_list(&w[t]);
        sum += w[t].sum;
    }
    free(thread);
    free(w);
    return finish(sum);
}
