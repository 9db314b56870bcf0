/* heap-handles.h - blocks of the fragmentation workloads from the movable heap. Included by fragkit.h.
 *
 * The program pins a block while it writes it, and at no other time. A block may move: block_address is where it is at
 * the moment. */
#ifndef BENCH_HEAP_HANDLES_H
#define BENCH_HEAP_HANDLES_H

#include <tinymem/tinymem.h>

typedef struct {
    tm_handle_t h;
    size_t size;
} block_t;

static inline tm_handle_t get_handle(size_t size)
{
    tm_handle_t h = tm_alloc(size);
    if (h == TM_NULL)
        must(NULL);
    return h;
}

static inline void *block_address(block_t b)
{
    void *p = tm_pin(b.h);
    tm_unpin(b.h);
    return p;
}

static inline size_t block_size(block_t b)
{
    return b.size;
}

static inline block_t make_block(size_t size)
{
    tm_handle_t h = get_handle(size);
    TM_PINNED(char, p, h) {
        memset(p, (int)(size | 1), size);
    }
    note_made(size);
    return (block_t){ h, size };
}

static inline void drop_block(block_t b)
{
    note_dropped(b.size);
    tm_free(b.h);
}

/* What a quiet program does at intervals. */
static inline void touch_heap(void)
{
    tm_handle_t h = get_handle(32);
    TM_PINNED(volatile char, p, h) {
        *p = 1;
    }
    tm_free(h);
}

#endif
