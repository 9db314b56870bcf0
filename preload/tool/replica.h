/* replica.h - a copy of another process's heap records, on which the library's own functions work.
 *
 * Idea: this program is linked with the core of the library and never uses its heap. So the core's variables are free
 * to hold those of the other process: they are copied over ours by the list in layout.def, and what they lead to
 * (records of threads, the page map, segments, slabs) is copied too and linked anew. Then tmi_account says about the
 * copy what it would say there, and there is no second account that could drift from the first.
 *
 * Nobody stops while this goes on. A record that does not fit together (a slab whose bits do not sum up to its count,
 * or that is not where the page map says) was read while it changed, or its page has been purged and is zero: it is
 * read again, and left out if that does not help. A look is *steady* when all the records were the same before and
 * after, and nobody held a lock or was changing a cache: then it is a snapshot.
 *
 * Locks that the copies hold are let go. Not for processes that use the library's heap. */
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

/* What a span of the page map is used for. */
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
    tmi_span_t *span; // of its first unit
    const void *record; // of a slab, of the type of its kind; NULL of others, and when it was left out
    part_kind_t kind;
    unsigned cls;
} part_t;

typedef struct replica {
    const target_t *t;
    size_t retries, left_out; // records that were read again; that never fitted
    unsigned looks;           // it took so many
    bool steady;
    part_t *parts; // in the order of addresses
    size_t nparts;
} replica_t;

/* Take a look at what tmi_account needs. Up to `looks` times, until one is steady. */
void replica_take(replica_t *r, const target_t *t, unsigned looks);
/* The same with every part; `inside(context)` reads what else belongs to the look, each time. */
void replica_take_all(replica_t *r, const target_t *t, unsigned looks, void (*inside)(void *context), void *context);

/* The figures of the look. */
void replica_sheet(const replica_t *r, tmi_sheet_t *sheet);

#endif
