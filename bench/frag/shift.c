/* shift.c - a program whose sizes shift while it runs: the picture of resident memory beside live bytes.
 *
 * Idea: a cache is filled to its limit with objects of one size range; then the range changes, and new objects take the
 * place of old ones that are chosen at random. At intervals the limit falls and rises again. The program says what is
 * live a few hundred times on the way, each time after as many bytes allocated, and rests for 20 ms.
 *
 * usage: frag-shift [MEGABYTES] */
#include "fragkit.h"
#include <time.h>

typedef struct {
    uint32_t low, high;
    size_t percent; /* of the limit */
} phase_t;

static const phase_t phases[] = {
    { 48, 96, 100 }, { 160, 320, 100 }, { 160, 320, 50 }, { 1000, 2000, 100 }, { 32, 64, 50 }, { 32, 64, 100 },
    { 300, 600, 100 }, { 4000, 8000, 100 }, { 100, 200, 30 }, { 100, 200, 100 },
};

enum { MARKS = 30, TURNOVER = 2 }; /* marks a phase; how often the limit is allocated in it */

static block_t *block;
static size_t nblocks;

static void make_room(size_t limit, rng_t *r)
{
    while (live_bytes > limit) {
        size_t victim = (size_t)(rng_next(r) % nblocks);
        drop_block(block[victim]);
        block[victim] = block[--nblocks];
    }
}

static void mark(void)
{
    struct timespec rest = { .tv_nsec = 20000000 };
    announce("point", "shift", live_bytes);
    nanosleep(&rest, NULL);
}

static void run_phase(const phase_t *p, size_t most, rng_t *r)
{
    size_t limit = most / 100 * p->percent;
    for (int i = 0; i < MARKS; i++) {
        for (size_t taken = 0; taken < most * TURNOVER / MARKS;) {
            size_t size = rng_between(r, p->low, p->high);
            make_room(limit - size, r);
            block[nblocks++] = make_block(size);
            taken += size;
        }
        mark();
    }
}

int main(int argc, char **argv)
{
    size_t limit = (size_t)argument(argc, argv, 1, 100) * MIB;
    rng_t r = { 71 };
    block = table_make((limit / 32 + 1) * sizeof *block);
    announce("base", "shift", 0);
    for (size_t i = 0; i < sizeof phases / sizeof *phases; i++)
        run_phase(&phases[i], limit, &r);
    return 0;
}
