/* account.h - where every byte is that may be resident.
 *
 * Idea: counters of slabs and segments, read without a lock, and one walk over the slabs of the movable heap, whose
 * counters do not tell which pages are empty. Rows (size classes) are made first, and the sums of a heap are the sums
 * of its rows, so that they add up whatever other threads do meanwhile.
 *
 * Locks: none, but a moment's try for each movable slab. Any thread at any instant, signal handlers too; a heap that is
 * not ready has only zeroes. */
#ifndef TMI_HEAP_ACCOUNT_H
#define TMI_HEAP_ACCOUNT_H

#include "base/base.h"
#include "tinymem/heap.h"

/* Each row goes to `each` (may be NULL); fills the sums of *out, and nclasses. */
void tmi_account(tm_heap_stats_t *out, void (*each)(void *context, const tm_heap_class_t *row), void *context) TMI_COLD;

/* As tm_heap_stats. */
void tmi_account_read(tm_heap_stats_t *out) TMI_COLD;

#endif
