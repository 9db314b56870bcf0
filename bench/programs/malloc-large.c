/* malloc-large.c - blocks of 5 to 25 MiB, each page written: what large blocks cost in page faults and system calls.
 *
 * Idea: twenty slots are replaced at random. An allocator that keeps the pages of a freed block and uses them for the
 * next saves the kernel most of the work; one that returns them at once pays for every page again.
 *
 * usage: malloc-large [REPLACEMENTS] */
#include "kit.h"

enum { SLOTS = 20, PAGE = 4096, MIB = 1 << 20 };

int main(int argc, char **argv)
{
    long steps = argument(argc, argv, 1, 500);
    char *block[SLOTS] = { 0 };
    size_t size[SLOTS];
    rng_t r = { 5 };
    uint64_t sum = 0;
    for (long i = 0; i < steps; i++) {
        uint32_t slot = rng_below(&r, SLOTS);
        if (block[slot]) {
            sum += stamp_of(block[slot], size[slot]);
            free(block[slot]);
        }
        size[slot] = rng_between(&r, 5 * MIB, 25 * MIB);
        block[slot] = get(size[slot]);
        for (size_t at = 0; at < size[slot]; at += PAGE)
            block[slot][at] = (char)i;
        stamp(block[slot], size[slot], slot + 1);
    }
    for (int i = 0; i < SLOTS; i++)
        free(block[i]);
    return finish(sum);
}
