/* introspect.h - statistics of the heap, and the audit of all invariants.
 *
 * The statistics are sums of counters that other threads may change while they are read, so they need not fit together
 * exactly. */
#ifndef TMI_HEAP_INTROSPECT_H
#define TMI_HEAP_INTROSPECT_H

#include "base/public.h"
#include "segments/sizeclass.h"

typedef struct tmi_class_figures {
    size_t live;   // slots that the program has
    size_t cached; // in magazines and in the depot
    size_t free;   // in slabs
    size_t slabs;
} tmi_class_figures_t;

/* All fields are in bytes unless marked otherwise. */
typedef struct tmi_figures {
    size_t mapped;        // address space in segments
    size_t live;          // usable bytes of live blocks, small and large
    size_t live_blocks;   // count
    size_t large;         // usable bytes of live blocks that are extents of their own
    size_t large_blocks;  // count
    size_t cached;        // slots in magazines and in the depot
    size_t cached_blocks; // count
    size_t committed;     // OS pages of slabs and large blocks that may be resident, free spans included
    size_t empty;         // of these, pages without live blocks, which may be purged
    size_t metadata;
    size_t purged;        // bytes returned to the kernel so far
} tmi_figures_t;

void tmi_figures_of_class(unsigned cls, tmi_class_figures_t *out);
void tmi_figures_read(tmi_figures_t *out);

/* As tm_stats. */
void tmi_introspect_handles(tm_stats_t *out);

/* Verify every numbered invariant of segments and slabs; a breach is reported with its number, then abort. Takes all
 * locks; the caller makes sure that no other thread is inside a purge. */
void tmi_check_all(void);

#endif
