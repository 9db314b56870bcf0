/* introspect.h - figures of the heap, and the audit of all invariants.
 *
 * Figures are sums of counters that other threads change meanwhile. Each was true a moment ago. */
#ifndef TMI_HEAP_INTROSPECT_H
#define TMI_HEAP_INTROSPECT_H

#include "base/public.h"
#include "segments/sizeclass.h"

typedef struct tmi_class_figures {
    size_t live;   // slots in the program's hands
    size_t cached; // in magazines and in the depot
    size_t free;   // in slabs
    size_t slabs;
} tmi_class_figures_t;

/* All in bytes unless said otherwise. */
typedef struct tmi_figures {
    size_t mapped;        // address space in segments
    size_t live;          // usable bytes of live blocks, small and large
    size_t live_blocks;   // count
    size_t large;         // usable bytes of live blocks of their own extents
    size_t large_blocks;  // count
    size_t cached;        // slots in magazines and in the depot
    size_t cached_blocks; // count
    size_t committed;     // OS pages of slabs and large blocks that may be resident, free spans included
    size_t empty;         // of these, pages that hold nothing and may be given back
    size_t metadata;
    size_t purged;        // given back to the kernel so far
} tmi_figures_t;

void tmi_figures_of_class(unsigned cls, tmi_class_figures_t *out);
void tmi_figures_read(tmi_figures_t *out);

/* As tm_stats. */
void tmi_introspect_handles(tm_stats_t *out);

/* Verify every numbered invariant of segments and slabs; a breach is reported with its number, then abort. Takes all
 * locks; the caller makes sure that no other thread is inside a purge. */
void tmi_check_all(void);

#endif
