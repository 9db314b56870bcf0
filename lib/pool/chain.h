/* chain.h - the entry before another one, and handles that names of gaps hold. Private to lib/pool.
 *
 * Idea: the chain has no backward links. Who needs the entry before e takes the best start among some entries that are
 * looked at blindly, and walks from there. With the square root of n tries among n entries the expected walk is as
 * long: a few hundred steps for 65,535 objects (the search is known from sorted lists kept in arrays, Bentley, Stanat
 * and Steele 1981). It is needed in three cases that are rare: realloc moves an object that has no gap to its left; a
 * name is needed as a handle; a pass of compaction begins in the middle. Without TM_POOL_JUMP, for small pools, all
 * walks begin at the start. */
#ifndef TMI_POOL_CHAIN_H
#define TMI_POOL_CHAIN_H

#include "pool/gap.h"

#if TM_POOL_JUMP
/* An entry in use that begins before block `begin`, as near as `tries` looks find one, or 0. */
TMI_POOL_SHARED ix_t tmi_pool_near(const pool_t *p, ix_t begin, ix_t tries);

/* How many looks are worth their while. */
TMI_POOL_SHARED ix_t tmi_pool_tries(const pool_t *p);
#endif

/* The entry before e, which is in the chain. */
TMI_POOL_SHARED ix_t tmi_pool_pred(const pool_t *p, ix_t e);

/* The entry after `pred` is a name: give its gap (or the wilderness) to pred, and its handle back. */
TMI_POOL_SHARED void tmi_pool_unname(pool_t *p, ix_t pred);

/* Move the object e into the gap to its left, which has no name; what is free on its right joins what becomes free.
 * Both are verified. */
TMI_POOL_SHARED void tmi_pool_slide(pool_t *p, ix_t e);

/* A handle from some name; one must exist. It is in the list `unused` then. */
TMI_POOL_SHARED TMI_COLD void tmi_pool_recover(pool_t *p);

#endif
