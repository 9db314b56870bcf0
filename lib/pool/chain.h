/* chain.h - find the predecessor of an entry, and recover handles that are names of gaps. Private to lib/pool.
 *
 * Idea: the chain has no backward links. To find the entry before e, some entries are examined in the order of their
 * numbers, and the walk starts from the nearest one before e in address order. If sqrt(n) of n entries are examined,
 * the expected walk has about sqrt(n) steps, too: a few hundred for 65,535 objects (the method for sorted lists in
 * arrays of Bentley, Stanat and Steele 1981). The search is needed in three rare cases: realloc moves an object that
 * has no gap to its left; no handle but names is left; a pass of compaction begins in the middle. Without TM_POOL_JUMP,
 * for small pools, all walks begin at the start of the chain. */
#ifndef TMI_POOL_CHAIN_H
#define TMI_POOL_CHAIN_H

#include "pool/gap.h"

#if TM_POOL_JUMP
/* Examine `tries` entries. Returns the one in use that begins nearest before block `begin`, or 0. */
TMI_POOL_SHARED ix_t tmi_pool_near(const pool_t *p, ix_t begin, ix_t tries);

/* The number of entries to examine. */
TMI_POOL_SHARED ix_t tmi_pool_tries(const pool_t *p);
#endif

/* The entry before e. e is in the chain. */
TMI_POOL_SHARED ix_t tmi_pool_pred(const pool_t *p, ix_t e);

/* The entry after `pred` is a name: make `pred` the owner of its gap (or of the wilderness), and release its handle. */
TMI_POOL_SHARED void tmi_pool_unname(pool_t *p, ix_t pred);

/* Move object e into the gap to its left, which has no name. The blocks that become free join the free blocks on its
 * right. The caller has verified both sides. */
TMI_POOL_SHARED void tmi_pool_slide(pool_t *p, ix_t e);

/* Move the handle of some name to the list `unused`. A name must exist. */
TMI_POOL_SHARED TMI_COLD void tmi_pool_recover(pool_t *p);

#endif
