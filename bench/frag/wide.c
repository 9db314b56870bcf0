/* wide.c - sizes over the whole range of what moves, 90 % freed at random: where the memory that is left goes.
 *
 * Idea: sizes between 16 B and 64 KiB, equally likely on a logarithmic scale, 7.9 KiB on average. When the program has
 * been quiet, payload and metadata are told apart: the kernel says which pages of the 2 MiB regions that ever held a
 * block are resident, and what lies outside them is metadata.
 *
 * usage: frag-wide [MEGABYTES] */
#include "payload.h"
#include "sizes.h"

enum { LOW = 16, HIGH = 65536 };

int main(int argc, char **argv)
{
    size_t bound = (size_t)argument(argc, argv, 1, 1024) * MIB, n = 0;
    rng_t r = { 41 };
    block_t *block = table_make((bound / 4000 + 1000) * sizeof *block);
    payload_init();
    fill_size_table(LOW, HIGH);
    announce("base", "wide", 0);
    while (live_bytes + HIGH <= bound)
        block[n++] = make_block(any_size(&r));
    payload_note(block, n);
    announce("mark", "full", live_bytes);
    n = thin(block, n, n / 10, &r);
    announce_hold("hold", "thinned", live_bytes);
    payload_note(block, n);
    payload_announce("thinned");
    thin(block, n, 0, &r);
    announce_hold("kept", "emptied", live_bytes);
    return 0;
}
