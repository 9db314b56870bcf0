/* tiny.c - a program that allocates little: what an allocator costs one that hardly uses it.
 *
 * Idea: a thousand blocks of 16 to 256 bytes, half of them freed again, then the end. Peak RSS less that under glibc is
 * the start-up cost in memory.
 *
 * usage: tiny */
#include "kit.h"

enum { BLOCKS = 1000 };

int main(void)
{
    static char *block[BLOCKS];
    rng_t r = { 1 };
    uint64_t sum = 0;
    for (int i = 0; i < BLOCKS; i++) {
        size_t size = rng_between(&r, 16, 256);
        block[i] = get(size);
        stamp(block[i], size, (uint64_t)i);
        sum += stamp_of(block[i], size);
    }
    for (int i = 0; i < BLOCKS; i += 2)
        free(block[i]);
    return finish(sum);
}
