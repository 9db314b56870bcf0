/* account.h - accounts for every byte that may be resident.
 *
 * Idea: the counters of slabs and segments are read without a lock. One walk visits the slabs of the movable heap,
 * whose counters do not tell which pages are empty. Rows (size classes) are made first, and a heap's figures are the
 * sums of its rows. So the figures add up even while other threads change the heap.
 *
 * Locks: none; a class's lock is tried for a moment for each movable slab. Any thread at any instant, also in signal
 * handlers. A heap that is not ready has only zeroes. */
#ifndef TMI_HEAP_ACCOUNT_H
#define TMI_HEAP_ACCOUNT_H

#include "base/base.h"
#include "tinymem/heap.h"

/* Pass each row to `each` (may be NULL). Fill the sums of *out, and nclasses. */
void tmi_account(tm_heap_stats_t *out, void (*each)(void *context, const tm_heap_class_t *row), void *context) TMI_COLD;

/* As tm_heap_stats. */
void tmi_account_read(tm_heap_stats_t *out) TMI_COLD;

#endif
