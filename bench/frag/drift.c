/* drift.c - a cache of constant volume whose object sizes drift: what was freed never quite fits what comes.
 *
 * Idea: the cache holds 100 MB and evicts at random. In each epoch it takes in its own volume six times, in sizes
 * around a centre that climbs from 32 B to 2 KiB, or by as much from another size, and comes down again. PSS over live
 * bytes is taken after each epoch; the worst counts.
 *
 * usage: frag-drift [MEGABYTES] [SMALLEST] */
#include "fragkit.h"

enum { STEPS = 12, TURNOVER = 6 }; /* 12 half-octaves up, 12 down */

static block_t *entry;
static size_t nentries;

static size_t centre_of(int epoch, size_t smallest)
{
    int step = epoch <= STEPS ? epoch : 2 * STEPS - epoch;
    size_t octave = smallest << (step / 2);
    return step & 1 ? octave * 181 / 128 : octave;
}

static void run_epoch(size_t centre, size_t limit, rng_t *r)
{
    for (size_t taken = 0; taken < TURNOVER * limit;) {
        size_t size = rng_between(r, (uint32_t)(centre * 3 / 4), (uint32_t)(centre * 5 / 4));
        while (live_bytes + size > limit) {
            size_t victim = (size_t)(rng_next(r) % nentries);
            drop_block(entry[victim]);
            entry[victim] = entry[--nentries];
        }
        entry[nentries++] = make_block(size);
        taken += size;
    }
}

int main(int argc, char **argv)
{
    size_t limit = (size_t)argument(argc, argv, 1, 100) * MIB, smallest = (size_t)argument(argc, argv, 2, 32);
    rng_t r = { 23 };
    entry = table_make((limit / (smallest * 3 / 4) + 1) * sizeof *entry);
    announce("base", "drift", 0);
    for (int epoch = 0; epoch <= 2 * STEPS; epoch++) {
        run_epoch(centre_of(epoch, smallest), limit, &r);
        announce("mark", "drift", live_bytes);
    }
    announce_hold("hold", "end", live_bytes);
    return 0;
}
