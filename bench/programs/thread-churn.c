/* thread-churn.c - very many threads that each do very little: what a thread's first malloc and its exit cost.
 *
 * Idea: small groups of threads are started and joined, tens of thousands in all. Each makes a few dozen blocks, frees
 * most of them and leaves the rest to the main thread, which frees them after the join.
 *
 * usage: thread-churn [THOUSANDS OF THREADS] */
#include "kit.h"

enum { GROUP = 4, BLOCKS = 48, LEFT = 8 };

typedef struct {
    rng_t rng;
    char *left[LEFT];
    uint64_t sum;
} worker_t;

static void *work(void *arg)
{
    worker_t *w = arg;
    char *block[BLOCKS];
    size_t size[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
        size[i] = rng_log_size(&w->rng, 4, 11);
        block[i] = get(size[i]);
        stamp(block[i], size[i], (uint64_t)i + 1);
    }
    for (int i = 0; i < BLOCKS; i++) {
        w->sum += stamp_of(block[i], size[i]);
        if (i < LEFT)
            w->left[i] = block[i];
        else
            free(block[i]);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    long groups = argument(argc, argv, 1, 40) * 1000 / GROUP;
    worker_t w[GROUP] = { 0 };
    pthread_t thread[GROUP];
    uint64_t sum = 0;
    for (int t = 0; t < GROUP; t++)
        w[t].rng.s = (uint64_t)t + 1;
    for (long g = 0; g < groups; g++) {
        for (int t = 0; t < GROUP; t++)
            thread[t] = start_thread(work, &w[t]);
        for (int t = 0; t < GROUP; t++) {
            pthread_join(thread[t], NULL);
            for (int i = 0; i < LEFT; i++)
                free(w[t].left[i]);
        }
    }
    for (int t = 0; t < GROUP; t++)
        sum += w[t].sum;
    return finish(sum);
}
