/* thin.c - blocks of about one size, 90 % freed at random: what page arithmetic leaves, and what the allocator adds.
 *
 * Idea: sizes are uniform within a quarter of the given one. With k blocks to a page a share of 0.9^k of the pages
 * empties by chance; a heap that does not move can return these and no others. Then all is freed.
 *
 * usage: frag-thin [MEGABYTES] [SIZE] */
#include "fragkit.h"

int main(int argc, char **argv)
{
    size_t bound = (size_t)argument(argc, argv, 1, 1024) * MIB;
    uint32_t size = (uint32_t)argument(argc, argv, 2, 512), low = size * 3 / 4, high = size * 5 / 4;
    rng_t r = { 37 };
    size_t n = 0;
    block_t *block = table_make((bound / low + 1) * sizeof *block);
    announce("base", "thin", 0);
    while (live_bytes + high <= bound)
        block[n++] = make_block(rng_between(&r, low, high));
    announce("mark", "full", live_bytes);
    n = thin(block, n, n / 10, &r);
    announce_hold("hold", "thinned", live_bytes);
    thin(block, n, 0, &r);
    announce_hold("kept", "emptied", live_bytes);
    return 0;
}
