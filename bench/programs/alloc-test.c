/* alloc-test.c - one working set, sizes by powers of two, and the program reads what it keeps.
 *
 * Idea: a table of slots; each step picks one at random: a full slot is read and freed, an empty one is filled with a
 * block whose size is about equally likely in each power of two. Half of the slots are live at any time. Reading makes
 * the placement of blocks count, as the loads of a real program do.
 *
 * usage: alloc-test [MILLIONS OF STEPS] [SLOTS] */
#include "kit.h"

typedef struct {
    char *block;
    size_t size;
} slot_t;

static uint64_t read_all(const char *p, size_t size)
{
    uint64_t sum = 0;
    for (size_t i = 0; i + 8 <= size; i += 64) {
        uint64_t word;
        memcpy(&word, p + i, sizeof word);
        sum += word;
    }
    return sum;
}

static void run(rng_t *r, slot_t *slot, uint32_t nslots, long steps, uint64_t *sum)
{
    for (long i = 0; i < steps; i++) {
        slot_t *s = &slot[rng_below(r, nslots)];
        if (s->block) {
            *sum += read_all(s->block, s->size);
            free(s->block);
            s->block = NULL;
        } else {
            s->size = rng_log_size(r, 4, 10);
            s->block = get(s->size);
            memset(s->block, (int)(i & 0xff), s->size);
        }
    }
}

int main(int argc, char **argv)
{
    long steps = argument(argc, argv, 1, 20) * 1000000;
    uint32_t nslots = (uint32_t)argument(argc, argv, 2, 1 << 17);
    rng_t r = { 3 };
    uint64_t sum = 0;
    slot_t *slot = must(calloc(nslots, sizeof *slot));
    run(&r, slot, nslots, steps, &sum);
    for (uint32_t i = 0; i < nslots; i++)
        free(slot[i].block);
    free(slot);
    return finish(sum);
}
