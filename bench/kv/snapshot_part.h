/* snapshot_part.h - large aggregates in a snapshot: they are written in fragments, while commands change them.
 *
 * Idea: when the snapshot comes to a large aggregate, or a command does first, a *part* is begun, which holds the key
 * and names the object. Steps write some of its members or items as records of their own. Code that changes the object
 * before that tells the part, which then writes what was there. The object may leave its key meanwhile, and is freed
 * when its part is at its end.
 *
 * P4  Every member has a bit. While there is a part, those whose bit equals the object's epoch are in the file, or are
 *     younger than the snapshot. Without a part all bits equal the epoch: a part that is given up goes on in silence.
 * P5  Of a list the items numbered from..to when the snapshot began are still to be written, and lie at `at` now.
 *     Commands take items from the ends only, or replace one: then its old value is written as a patch.
 *
 * Fails: without memory the snapshot does. */
#ifndef KV_SNAPSHOT_PART_H
#define KV_SNAPSHOT_PART_H

#include "aggregate.h"

/* Begin the part of a large aggregate. False: no memory. */
bool snapshot_part_begin(const struct table *db, struct entry *e);

/* A few members or items of the parts that there are. False: there are none. */
bool snapshot_part_step(void);

/* Nothing more is to be written. */
void snapshot_part_silence(void);

/* Forget all parts, at the end of the program. */
void snapshot_part_forget(void);

/* Before member e of the aggregate's table changes or goes. */
void snapshot_member_slowly(struct aggregate *a, struct entry *e);
static inline void snapshot_member(struct aggregate *a, struct entry *e)
{
    if (__builtin_expect(a->part != NULL, 0) && e->saved != a->epoch)
        snapshot_member_slowly(a, e);
}

/* Before n items of a list are removed from number i on; before they are taken over into `other`; before item i is
 * replaced; after one has been inserted. Only for aggregates that have a part. */
void snapshot_list_remove(struct aggregate *a, uint32_t i, uint32_t n);
bool snapshot_list_take(struct aggregate *a, uint32_t i, uint32_t n, struct aggregate *other, store_ref r);
void snapshot_list_replace(struct aggregate *a, uint32_t i);
void snapshot_list_insert(struct aggregate *a, uint32_t i);

#endif
