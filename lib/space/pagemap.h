/* pagemap.h - from an address to what owns it.
 *
 * Idea: two flat arrays over the user address space, reserved once and resident only where used. `codes` has a byte a unit, which is
 * all that free needs to know; `segments` has a pointer a segment, for slow paths. A look-up is one load, and
 * an address that is not ours finds 0.
 *
 *   code = class * 2: what malloc and free add (times 8) to reach the thread's magazine of that class.
 *
 * M1  codes[u] != 0 only for units of live slabs and extents.
 *     movable[u] != 0 only for units of live slabs and extents of the movable arena, whose codes are 0: what free is given there is not malloc's.
 * M2  segments[s] != NULL from the moment the segment is mapped; it is reset only when the segment is unmapped.
 *
 * Under a small RLIMIT_AS the arrays cover only the low end of the address space, where position-independent programs have
 * nothing; segments are then asked for there (tmi_pagemap_hint) and refused elsewhere. Reads are relaxed: whoever holds a valid pointer got it after the entry was written.
 * Writes: under the space lock. */
#ifndef TMI_SPACE_PAGEMAP_H
#define TMI_SPACE_PAGEMAP_H

#include "base/atomic.h"
#include "space/sizeclass.h"

typedef struct tmi_segment tmi_segment_t;

typedef struct tmi_pagemap {
    uint8_t *codes;           // by unit number
    uintptr_t nunits;         // covered; 0 before init, so that every address is foreign then
    tmi_segment_t **segments; // by segment number
    uint16_t *movable;        // by unit number: class in the movable arena times two; NULL until its first object
} tmi_pagemap_t;

extern tmi_pagemap_t tmi_pagemap;

/* 0, or the errno of the reservation. */
int tmi_pagemap_init(void);

/* Make `movable`, once, under the space lock: 0 or an errno. */
int tmi_pagemap_init_movable(void);

/* Where the first segment should lie: NULL for anywhere. */
void *tmi_pagemap_hint(void);

/* Make the entries of a range writable, ENOMEM when it is outside the window or the kernel refuses. */
int tmi_pagemap_prepare(uintptr_t addr, size_t size);

static inline unsigned tmi_pagemap_code(const void *p)
{
    uintptr_t u = (uintptr_t)p >> TMI_UNIT_SHIFT;
    return u < tmi_pagemap.nunits ? tmi_load_relaxed(&tmi_pagemap.codes[u]) : 0;
}

static inline unsigned tmi_pagemap_class(const void *p) { return tmi_pagemap_code(p) / 2; }

static inline tmi_segment_t *tmi_pagemap_segment(const void *p)
{
    uintptr_t u = (uintptr_t)p >> TMI_UNIT_SHIFT;
    return u < tmi_pagemap.nunits ? tmi_load_relaxed(&tmi_pagemap.segments[u / TMI_SEGMENT_UNITS]) : NULL;
}

/* The first mapped segment with a number >= from, or the end (nunits / 32). For audits: it walks the table. */
uintptr_t tmi_pagemap_next_segment(uintptr_t from);

/* Movable class of the unit that holds p; p is in a mapped segment or NULL. */
static inline unsigned tmi_pagemap_movable(const void *p)
{
    return tmi_load_relaxed(&tmi_pagemap.movable[(uintptr_t)p >> TMI_UNIT_SHIFT]) / 2; // as codes
}

/* Enter `cls` for units of the movable arena, in a mapped segment. */
void tmi_pagemap_set_movable(const void *p, size_t nunits, unsigned cls);

void tmi_pagemap_set_class(const void *p, size_t nunits, unsigned cls);
void tmi_pagemap_set_segment(const void *p, tmi_segment_t *segment);

#endif
