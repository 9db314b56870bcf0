/* glibc-simple.c - the plain loop that glibc's own benchmarks use: blocks of one size, made and freed in batches.
 *
 * Idea: for each of a few small sizes make N blocks, free them in the order they were made, and again in the reverse
 * order; for N = 25, 100, 400, 1600, so that per-thread caches of any length overflow at some point.
 *
 * usage: glibc-simple [THOUSANDS OF BLOCKS PER CASE / 100] */
#include "kit.h"

enum { LARGEST_BATCH = 1600 };

static char *block[LARGEST_BATCH];

static uint64_t one_case(size_t size, int batch, long blocks)
{
    uint64_t sum = 0;
    for (long done = 0; done < blocks; done += batch) {
        for (int i = 0; i < batch; i++) {
            block[i] = get(size);
            stamp(block[i], size, (uint64_t)i);
        }
        int reverse = done / batch & 1;
        for (int i = 0; i < batch; i++) {
            char *p = block[reverse ? batch - 1 - i : i];
            sum += stamp_of(p, size);
            free(p);
        }
    }
    return sum;
}

int main(int argc, char **argv)
{
    static const size_t sizes[] = { 16, 32, 64, 128, 256, 512, 1024 };
    long blocks = argument(argc, argv, 1, 30) * 100000;
    uint64_t sum = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int batch = 25; batch <= LARGEST_BATCH; batch *= 4)
            sum = sum * 31 + one_case(sizes[i], batch, blocks);
    return finish(sum);
}
