/* glibc-thread.c - several threads, each with a small working set of its own: glibc's threaded loop, more or less.
 *
 * Idea: every thread keeps 1,024 slots and replaces them at random with blocks of 4 B to 32 KiB, small ones far
 * more often (density falls with the square of the size). Threads share nothing: only the allocator can make them wait.
 *
 * usage: glibc-thread [MILLIONS OF REPLACEMENTS PER THREAD] [THREADS] */
#include "kit.h"
#include <math.h>

enum { SLOTS = 1024, SIZES = 8192, LOW = 8, HIGH = 32768 };

typedef struct {
    rng_t rng;
    long steps;
    uint64_t sum;
} worker_t;

static uint32_t size_table[SIZES];

static void fill_size_table(void)
{
    rng_t r = { 11 };
    for (int i = 0; i < SIZES; i++) {
        double u = (double)(rng_next(&r) >> 11) / (double)((uint64_t)1 << 53);
        size_table[i] = (uint32_t)(1.0 / (1.0 / LOW - u * (1.0 / LOW - 1.0 / HIGH)));
    }
}

static void *work(void *arg)
{
    worker_t *w = arg;
    char *block[SLOTS] = { 0 };
    uint32_t size[SLOTS];
    for (long i = 0; i < w->steps; i++) {
        uint64_t r = rng_next(&w->rng);
        uint32_t slot = r % SLOTS;
        if (block[slot]) {
            w->sum += stamp_of(block[slot], size[slot]);
            free(block[slot]);
        }
        size[slot] = size_table[(r >> 32) % SIZES];
        block[slot] = get(size[slot]);
        stamp(block[slot], size[slot], slot + 1);
    }
    for (int i = 0; i < SLOTS; i++)
        free(block[i]);
    return NULL;
}

int main(int argc, char **argv)
{
    long steps = argument(argc, argv, 1, 20) * 1000000, nthreads = argument(argc, argv, 2, 4);
    worker_t *w = must(calloc((size_t)nthreads, sizeof *w));
    pthread_t *thread = get((size_t)nthreads * sizeof *thread);
    uint64_t sum = 0;
    fill_size_table();
    for (long t = 0; t < nthreads; t++) {
        w[t] = (worker_t){ .rng = { (uint64_t)t + 1 }, .steps = steps };
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
