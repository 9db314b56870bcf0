/* heap-malloc.h - blocks of the fragmentation workloads from malloc. Included by fragkit.h.
 *
 * A block is a word: the size in the upper 16 bits, so sizes are below 64 KiB and addresses below 2^48. */
#ifndef BENCH_HEAP_MALLOC_H
#define BENCH_HEAP_MALLOC_H

typedef uint64_t block_t;

static inline void *block_address(block_t b)
{
    return (void *)(uintptr_t)(b & (((uint64_t)1 << 48) - 1));
}

static inline size_t block_size(block_t b)
{
    return (size_t)(b >> 48);
}

static inline block_t make_block(size_t size)
{
    char *p = get(size);
    memset(p, (int)(size | 1), size);
    note_made(size);
    return (uint64_t)(uintptr_t)p | (uint64_t)size << 48;
}

static inline void drop_block(block_t b)
{
    note_dropped(block_size(b));
    free(block_address(b));
}

/* What a quiet program does at intervals. */
static inline void touch_heap(void)
{
    char *p = get(32);
    *(volatile char *)p = 1;
    free(p);
}

#endif
