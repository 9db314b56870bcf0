/* replica.h - a copy of another process's heap records, on which the library's own functions work.
 *
 * Idea: this program is linked with the core of the library and never uses its heap. So the core's variables can hold
 * the values of the other process. They are overwritten according to the list in layout.def. The records that they
 * point to (threads, the page map, segments, slabs) are copied too, and the pointers are changed to the copies. Then
 * tmi_account computes from the copies the same result as in the other process. There is only one implementation.
 *
 * A *look* is one such copy. The other process keeps running meanwhile. A record may be inconsistent (a slab whose bits
 * do not sum up to its count, or that is not where the page map says), because it was changing, or because its page has
 * been purged and is zero. It is read again, and left out if it is still inconsistent. A look is *steady* if all
 * records were the same before and after, no lock was held, and no cache was being changed: then it is a snapshot.
 *
 * Locks in the copies are reset. A process that uses the library's heap must not call these functions. */
#ifndef TMI_TOOL_REPLICA_H
#define TMI_TOOL_REPLICA_H

#include "heap/stats_impl.h"
#include "segments/segment.h"
#include "slabs/medium_impl.h"
#include "slabs/mixed_impl.h"
#include "slabs/movable.h"
#include "slabs/raw.h"
#include "target.h"
#include "threads/thread.h"

/* The use of a span. */
typedef enum part_kind {
    PART_RAW,
    PART_MEDIUM,
    PART_MIXED,
    PART_LARGE,
    PART_MOVABLE,
    PART_MOVABLE_LARGE,
    PART_DIRTY,
    PART_CLEAN,
    PART_UNKNOWN,
} part_kind_t;

typedef struct part {
    uintptr_t address;
    size_t nunits;
    tmi_span_t *span;   // the record of its first unit
    const void *record; // of a slab, with the type of its kind; NULL: no slab, or its record was left out
    part_kind_t kind;
    unsigned cls;
} part_t;

typedef struct replica {
    const target_t *t;
    size_t retries, left_out; // records that were read again; that stayed inconsistent
    unsigned looks;           // number of attempts made
    bool steady;
    part_t *parts; // sorted by address
    size_t nparts;
} replica_t;

/* Copy the records that tmi_account needs. Up to `looks` attempts, until one is steady. */
void replica_take(replica_t *r, const target_t *t, unsigned looks);
/* The same with every part. Each attempt calls inside(context), which may copy further records. */
void replica_take_all(replica_t *r, const target_t *t, unsigned looks, void (*inside)(void *context), void *context);

/* Compute the statistics of the look. */
void replica_sheet(const replica_t *r, tmi_sheet_t *sheet);

#endif
