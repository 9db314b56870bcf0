/* idle.c - a large table is built, 29 of 30 of its blocks are freed, and the program goes to sleep.
 *
 * Idea: a server at night. What is resident after 3 s in which nothing is called is compared with what malloc_trim(0)
 * leaves then, where there is one: survivors on a page keep it. THREADS threads do the work, each on its own blocks.
 *
 * usage: need-idle BLOCKS THREADS */
#include "needkit.h"

#include <malloc.h>

enum { KEEP_ONE_IN = 30, THREADS_MAX = 64 };

static long nblocks;
static pthread_barrier_t freed, end;
static double live[THREADS_MAX];

static void build_and_free(uint64_t seed, double *left)
{
    rng_t r = {seed};
    char **block = table((size_t)nblocks * sizeof *block);
    uint32_t *size = table((size_t)nblocks * sizeof *size);
    for (long i = 0; i < nblocks; i++) {
        size[i] = (uint32_t)(rng_below(&r, 100) < 97 ? rng_log_size(&r, 4, 11) : rng_log_size(&r, 11, 16));
        block[i] = filled(size[i]);
    }
    for (long i = 0; i < nblocks; i++) {
        if (rng_below(&r, KEEP_ONE_IN) == 0)
            *left += size[i];
        else
            free(block[i]);
    }
    munmap(block, (size_t)nblocks * sizeof *block);
    munmap(size, (size_t)nblocks * sizeof *size);
}

static void *work(void *number)
{
    uintptr_t me = (uintptr_t)number;
    build_and_free(me * 77 + 1, &live[me]);
    pthread_barrier_wait(&freed);
    pthread_barrier_wait(&end);
    return NULL;
}

int main(int argc, char **argv)
{
    nblocks = argument(argc, argv, 1, 60000);
    long threads = argument(argc, argv, 2, 1);
    double sum = 0;
    double before = resident();
    if (threads == 1)
        build_and_free(1, &live[0]);
    pthread_barrier_init(&freed, NULL, (unsigned)threads + 1);
    pthread_barrier_init(&end, NULL, (unsigned)threads + 1);
    for (long i = 0; i < threads && threads > 1; i++) {
        pthread_t t;
        pthread_create(&t, NULL, work, (void *)(uintptr_t)i);
    }
    if (threads > 1)
        pthread_barrier_wait(&freed);
    for (long i = 0; i < threads; i++)
        sum += live[i];
    pause_ms(3000);
    double asleep = resident() - before;
    malloc_trim(0);
    figure("live, MiB", sum / MIB);
    figure("resident after 3 s asleep, MiB", asleep);
    figure("and after malloc_trim(0), MiB", resident() - before);
    if (threads > 1)
        pthread_barrier_wait(&end);
    return 0;
}
