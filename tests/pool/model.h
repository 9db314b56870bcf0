/* model.h - random operations on a pool beside a model of it that does not use its metadata.
 *
 * The model keeps a list of objects: handle, size, contents, pins, address; and a map of blocks made from the
 * addresses. From the map it tells what each call must do: which succeed, which fail and how. After each operation it
 * verifies all objects, compares the figures, and asks check_all. */
#ifndef POOL_TESTS_MODEL_H
#define POOL_TESTS_MODEL_H

#include "tinymem/tinymem_pool.h"

#ifndef MODEL_OBJECTS
#define MODEL_OBJECTS 4096
#endif
#ifndef MODEL_BLOCKS
#define MODEL_BLOCKS 80000u
#endif

typedef struct model_run {
    size_t size;        /* of the buffer */
    size_t extend_to;   /* 0, or the size it may grow to */
    size_t handles, block_size, align, max_pins;
    unsigned options;
    unsigned bits;      /* expected index width */
    size_t max_object;  /* sizes of objects: 1 .. max_object, mostly small */
    unsigned long seed;
    unsigned long operations;
} model_run_t;

/* True if the pool did all as the model says; else what was wrong has been printed. Buffer of max(size, extend_to)
 * bytes. */
bool model_go(unsigned char *buffer, const model_run_t *run);

/* What the runs have seen so far, so that a test can tell that they saw something. */
typedef struct model_seen {
    unsigned long allocs, recent, reallocs, moved_reallocs, frees, fragmented, no_memory, no_handles, pinned, steps,
        working_steps, compactions, moves, extensions;
    unsigned long max_visits, max_cost; /* of one step, per cent of its bound */
} model_seen_t;
extern model_seen_t model_seen;

#endif
