/* mixed.c - a heap of mixed sizes that is thinned out, refilled, thinned again and emptied.
 *
 * Idea: 1 GiB of sizes between 16 B and 4 KiB, equally likely on a logarithmic scale; 90 % of the bytes are freed at
 * random, and the program goes quiet. Then it is refilled to 1 GiB, thinned to 5 %, quiet; then all is freed, quiet.
 *
 * usage: frag-mixed [MEGABYTES] */
#include "fragkit.h"
#include "sizes.h"

enum { LOW = 16, HIGH = 4096 };

static size_t fill(block_t *block, size_t n, size_t bound, rng_t *r)
{
    while (live_bytes + HIGH <= bound)
        block[n++] = make_block(any_size(r));
    return n;
}

int main(int argc, char **argv)
{
    size_t bound = (size_t)argument(argc, argv, 1, 1024) * MIB;
    rng_t r = { 31 };
    block_t *block = table_make(bound / 500 * sizeof *block); /* the mean size is 736 */
    fill_size_table(LOW, HIGH);
    announce("base", "mixed", 0);
    size_t n = fill(block, 0, bound, &r);
    announce("mark", "full", live_bytes);
    n = thin(block, n, n / 10, &r);
    announce_hold("hold", "thinned", live_bytes);
    n = fill(block, n, bound, &r);
    n = thin(block, n, n / 20, &r);
    announce_hold("hold", "thinned-again", live_bytes);
    thin(block, n, 0, &r);
    announce_hold("kept", "emptied", live_bytes);
    return 0;
}
