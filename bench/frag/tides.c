/* tides.c - a program that needs much memory, then little, then much of another size: the picture of the README.
 *
 * Idea: the phases below say how much is live at the end of each, and how long each lasts. Every tenth of a second the
 * program allocates or frees at random until it has what the clock says, and reports it. So the same moment of the
 * picture is the same state of the program under each allocator.
 *
 * usage: frag-tides [MEGABYTES [MILLISECONDS_A_STEP]] */
#include "fragkit.h"
#include <stdbool.h>
#include <time.h>

typedef struct {
    const char *name;
    uint32_t steps;
    uint32_t permille;  /* of the megabytes, live at the end */
    uint32_t low, high; /* sizes of new blocks */
    bool ticks;         /* one small block a millisecond, or no call at all */
} phase_t;

static const phase_t phases[] = {
    { "fill", 40, 1000, 64, 512, false },      { "busy", 20, 1000, 64, 512, true },
    { "thin-out", 20, 50, 0, 0, false },       { "quiet", 80, 50, 0, 0, true },
    { "refill", 40, 1000, 700, 4000, false },  { "busy-again", 20, 1000, 700, 4000, true },
    { "thin-again", 20, 50, 0, 0, false },     { "asleep", 80, 50, 0, 0, false },
    { "free-all", 10, 0, 0, 0, false },        { "empty", 50, 0, 0, 0, true },
};

static block_t *block;
static size_t nblocks;

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void wait_until(int64_t us, bool ticks)
{
    for (int64_t left; (left = us - now_us()) > 0;) {
        if (ticks)
            touch_heap();
        if (ticks && left > 1000)
            left = 1000;
        nanosleep(&(struct timespec){ .tv_sec = left / 1000000, .tv_nsec = left % 1000000 * 1000 }, NULL);
    }
}

static void bring_to(size_t wanted, const phase_t *p, rng_t *r)
{
    while (p->high != 0 && live_bytes < wanted)
        block[nblocks++] = make_block(rng_between(r, p->low, p->high));
    while (p->high == 0 && nblocks != 0 && live_bytes > wanted) {
        size_t victim = (size_t)(rng_next(r) % nblocks);
        drop_block(block[victim]);
        block[victim] = block[--nblocks];
    }
}

int main(int argc, char **argv)
{
    size_t most = (size_t)argument(argc, argv, 1, 256) * MIB, before = 0;
    int64_t step_us = (int64_t)argument(argc, argv, 2, 100) * 1000;
    rng_t r = { 2026 };
    block = table_make((most / 256 + most / 2000 + 1) * sizeof *block);
    announce("base", "tides", 0);
    int64_t due = now_us();
    for (size_t i = 0; i < sizeof phases / sizeof *phases; i++) {
        const phase_t *p = &phases[i];
        size_t after = most / 1000 * p->permille;
        for (uint32_t s = 1; s <= p->steps; s++) {
            bring_to(before + (size_t)(((double)after - (double)before) * s / p->steps), p, &r);
            wait_until(due += step_us, p->ticks);
            announce("point", p->name, live_bytes);
        }
        before = after;
    }
    return 0;
}
