/* paths.c - ns of calls beside the fast path: blocks of 40 to 64 KB, calloc of pages, small blocks freed at random, and
 * a loop over few blocks in a heap that has been thinned.
 *
 * usage: need-paths THOUSANDS_OF_CALLS */
#include "needkit.h"

#include <malloc.h>

enum { SIZES = 256, HOT = 64 };

static long calls;

static double of_pairs(int aligned)
{
    rng_t r = {1};
    size_t size[SIZES];
    for (int i = 0; i < SIZES; i++)
        size[i] = rng_between(&r, 40000, 64000);
    double begun = now_ns();
    for (long i = 0; i < calls; i++) {
        volatile char *p = aligned ? must(memalign(4096, size[i % SIZES])) : get(size[i % SIZES]);
        *p = 1;
        free((void *)p);
    }
    return (now_ns() - begun) / (double)calls;
}

static double of_callocs(uint32_t least, uint32_t most)
{
    static char *block[HOT];
    rng_t r = {2};
    double begun = now_ns();
    for (long i = 0; i < calls; i++) {
        uint32_t k = rng_below(&r, HOT);
        free(block[k]);
        block[k] = must(calloc(1, rng_between(&r, least, most)));
        block[k][0] = 1;
    }
    double ns = (now_ns() - begun) / (double)calls;
    for (int k = 0; k < HOT; k++) {
        free(block[k]);
        block[k] = NULL;
    }
    return ns;
}

static void shuffle(char **block, long n)
{
    rng_t r = {4};
    for (long i = n - 1; i > 0; i--) {
        long k = (long)(rng_next(&r) % (uint64_t)(i + 1));
        char *p = block[i];
        block[i] = block[k];
        block[k] = p;
    }
}

static double of_random_frees(void)
{
    long n = calls * 10;
    char **block = table((size_t)n * sizeof *block);
    for (long i = 0; i < n; i++) {
        block[i] = get(8);
        block[i][0] = 1;
    }
    shuffle(block, n);
    double begun = now_ns();
    for (long i = 0; i < n; i++)
        free(block[i]);
    return (now_ns() - begun) / (double)n;
}

static double of_hot_loop(void)
{
    static char *hot[HOT];
    rng_t r = {5};
    double begun = now_ns();
    for (long i = 0; i < calls * 4; i++) {
        uint32_t k = rng_below(&r, HOT);
        free(hot[k]);
        hot[k] = get(48);
        hot[k][0] = 1;
    }
    return (now_ns() - begun) / (double)(calls * 4);
}

static void thin(void)
{
    long n = 1000000;
    char **block = table((size_t)n * sizeof *block);
    for (long i = 0; i < n; i++) {
        block[i] = get(48);
        block[i][0] = 1;
    }
    shuffle(block, n);
    for (long i = 0; i < n - n / 20; i++)
        free(block[i]);
}

int main(int argc, char **argv)
{
    calls = argument(argc, argv, 1, 200) * 1000;
    figure("malloc and free of 40 to 64 KB, ns", of_pairs(0));
    figure("the same aligned to a page, ns", of_pairs(1));
    figure("calloc and free of 4 to 8 KiB, ns", of_callocs(4096, 8192));
    figure("calloc and free of 8 to 32 KiB, ns", of_callocs(8192, 32768));
    figure("free of 8 B at random, ns", of_random_frees());
    double fresh = of_hot_loop();
    thin();
    figure("hot loop of 48 B, ns", fresh);
    figure("the same in a thinned heap, ns", of_hot_loop());
    return 0;
}
