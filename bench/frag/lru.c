/* lru.c - a cache with a memory limit whose values double in size: what Redis does in the test of Mesh (2019).
 *
 * Idea: 700,000 values of 240 bytes go into a cache of 100 MB, then 170,000 of 492 bytes. What is over the limit is
 * evicted: the old generation before the new one, and at random within it, as sampled LRU does among entries that its
 * coarse clock cannot tell apart. One small value in six survives, spread over all pages: 0.96 * 100 + 83 MB is what a
 * heap of separate size classes needs at least.
 *
 * usage: frag-lru [MEGABYTES]: the limit in 10^6 bytes; counts scale with it */
#include "fragkit.h"

typedef struct {
    block_t *entry;
    size_t n;
} generation_t;

/* Insert into `young`; evict from `old` as long as it has any. Both may be the same. */
static void insert(generation_t *old, generation_t *young, size_t size, size_t limit, rng_t *r)
{
    while (live_bytes + size > limit) {
        generation_t *from = old->n ? old : young;
        size_t victim = (size_t)(rng_next(r) % from->n);
        drop_block(from->entry[victim]);
        from->entry[victim] = from->entry[--from->n];
    }
    young->entry[young->n++] = make_block(size);
}

int main(int argc, char **argv)
{
    size_t megabytes = (size_t)argument(argc, argv, 1, 100), limit = megabytes * 1000000;
    rng_t r = { 17 };
    generation_t small = { .entry = table_make((limit / 240 + 1) * sizeof(block_t)) };
    generation_t large = { .entry = table_make((limit / 492 + 1) * sizeof(block_t)) };
    announce("base", "lru", 0);
    for (size_t i = 0; i < 7000 * megabytes; i++)
        insert(&small, &small, 240, limit, &r);
    announce("mark", "small", live_bytes);
    for (size_t i = 0; i < 1700 * megabytes; i++)
        insert(&small, &large, 492, limit, &r);
    announce_hold("hold", "lru", live_bytes);
    return 0;
}
