/* pagemap.h - finds the owner of an address.
 *
 * Idea: flat arrays over a *window* of the address space. `codes` has a byte for each unit, which is all that free
 * needs. `segments` has a pointer for each segment, for slow paths. A look-up is one load. A foreign address finds 0,
 * or lies in no window. The first window is placed around the first segment, with most of its room where the kernel
 * will map the next ones. A segment elsewhere gets a further window. Slow paths find it in a short list, and free of a
 * block there takes the slow path. Windows cost address space only where they are used: see GRANULE.
 *
 *   code = class * 2: malloc and free add it, times 8, to reach the thread's magazine of that class.
 *
 * M1  codes[u] != 0 only for units of live slabs and extents.
 *     movable[u] != 0 only for units of live slabs and extents of the movable arena, whose codes are 0: malloc's free
 *     does not own them.
 * M2  segments[s] != NULL from the moment the segment is mapped; it is reset before the segment is unmapped.
 * M3  Windows do not overlap, and none is ever given back. Their entries are writable where segments have been.
 *
 * `movable` covers the whole address space. Under a small RLIMIT_AS it covers the first window only, and segments
 * elsewhere cannot hold movable objects. Reads are relaxed: a thread that holds a valid pointer got it after the entry
 * was written. Writes: under the space lock. */
#ifndef TMI_SEGMENTS_PAGEMAP_H
#define TMI_SEGMENTS_PAGEMAP_H

#include "base/atomic.h"
#include "segments/sizeclass.h"

typedef struct tmi_segment tmi_segment_t;

enum { TMI_WINDOWS_MAX = 16 };

typedef struct tmi_window {
    uintptr_t first, nunits;  // units covered
    uint8_t *codes;           // by unit less `first`
    tmi_segment_t **segments; // by segment less the first one's number
    uint32_t committed;       // granules that are writable
} tmi_window_t;

/* The part of the first window that fast paths read. All 0 until that window exists, so that every address is
 * foreign. */
typedef struct tmi_pagemap {
    uintptr_t start;          // its first address
    uintptr_t limit;          // its bytes divided by 8: see tmi_pagemap_spot
    uint8_t *codes;
    uint16_t *movable;        // by unit number: class in the movable arena times two; NULL until its first object
    uintptr_t movable_first, movable_units; // covered
} tmi_pagemap_t;

extern tmi_pagemap_t tmi_pagemap;
extern tmi_window_t tmi_windows[TMI_WINDOWS_MAX];
extern uint32_t tmi_nwindows;

/* Numbers of segments end here. */
#define TMI_PAGEMAP_SEGMENTS ((uintptr_t)1 << (TMI_ADDRESS_BITS - TMI_SEGMENT_SHIFT))

/* Choose the size of windows, by the limit of address space that is in force. */
void tmi_pagemap_init(void);

/* Make `movable`, once, under the space lock, when there is a window: 0 or an errno. */
int tmi_pagemap_init_movable(void);

/* Make the entries of a range writable. Makes a new window if necessary. ENOMEM: outside the address space, too many
 * windows, or the kernel refuses. */
int tmi_pagemap_commit(uintptr_t addr, size_t size);

/* Where p lies in the first window, in steps of 8 bytes. One comparison with `limit` tells whether p lies there,
 * whether it is aligned to 8 bytes, since its lowest bits end up highest, and whether there is a window at all. */
static inline uintptr_t tmi_pagemap_spot(const void *p)
{
    uintptr_t offset = (uintptr_t)p - tmi_pagemap.start;
    return offset >> 3 | offset << 61;
}
enum { TMI_SPOTS_SHIFT = TMI_UNIT_SHIFT - 3 }; // from a spot to its unit

/* The window of a unit, or NULL. */
static inline const tmi_window_t *tmi_window_of(uintptr_t unit)
{
    uint32_t n = tmi_load_acquire(&tmi_nwindows); // the window before its number; pairs: enter_window
    if (TMI_LIKELY(n > 0 && unit - tmi_windows[0].first < tmi_windows[0].nunits))
        return tmi_windows;
    for (const tmi_window_t *w = tmi_windows + 1; w < tmi_windows + n; w++)
        if (unit - w->first < w->nunits)
            return w;
    return NULL;
}

static inline unsigned tmi_pagemap_code(const void *p)
{
    uintptr_t u = (uintptr_t)p >> TMI_UNIT_SHIFT;
    const tmi_window_t *w = tmi_window_of(u);
    return w != NULL ? tmi_load_relaxed(&w->codes[u - w->first]) : 0;
}

/* The class of a unit whose code is WATCHED, or was a moment ago. In segment_watch.c: the unit's record says it. */
unsigned tmi_pagemap_watched_class(const void *p) TMI_NOINLINE;

static inline unsigned tmi_pagemap_class(const void *p)
{
    unsigned cls = tmi_pagemap_code(p) / 2;
    return TMI_LIKELY(cls != TMI_CLASS_WATCHED) ? cls : tmi_pagemap_watched_class(p);
}

/* The same for a caller that reads the owner's record next. The slab may have become mixed while it has live blocks. p
 * is in a window. */
static inline unsigned tmi_pagemap_class_of_owner(const void *p)
{
    uintptr_t u = (uintptr_t)p >> TMI_UNIT_SHIFT;
    const tmi_window_t *w = tmi_window_of(u);
    unsigned cls = tmi_load_acquire(&w->codes[u - w->first]) / 2; // pairs: tmi_pagemap_set_class
    return TMI_LIKELY(cls != TMI_CLASS_WATCHED) ? cls : tmi_pagemap_watched_class(p);
}

TMI_INLINE tmi_segment_t *tmi_pagemap_segment(const void *p)
{
    uintptr_t u = (uintptr_t)p >> TMI_UNIT_SHIFT;
    const tmi_window_t *w = tmi_window_of(u);
    return w != NULL ? tmi_load_relaxed(&w->segments[(u - w->first) / TMI_SEGMENT_UNITS]) : NULL;
}

/* The first mapped segment with a number >= from, or TMI_PAGEMAP_SEGMENTS. For audits: it walks the tables. */
uintptr_t tmi_pagemap_next_segment(uintptr_t from);

/* Whether movable objects may lie at p. */
static inline bool tmi_pagemap_covers_movable(const void *p)
{
    return ((uintptr_t)p >> TMI_UNIT_SHIFT) - tmi_pagemap.movable_first < tmi_pagemap.movable_units;
}

/* Movable class of the unit that holds p; p is in a mapped segment or NULL. */
static inline unsigned tmi_pagemap_movable(const void *p)
{
    return TMI_LIKELY(tmi_pagemap_covers_movable(p))
               ? tmi_load_relaxed(&tmi_pagemap.movable[(uintptr_t)p >> TMI_UNIT_SHIFT]) / 2
               : 0; // as codes
}

/* Enter `cls` for units of the movable arena, in a mapped segment. */
void tmi_pagemap_set_movable(const void *p, size_t nunits, unsigned cls);

void tmi_pagemap_set_class(const void *p, size_t nunits, unsigned cls);
void tmi_pagemap_set_segment(const void *p, tmi_segment_t *segment);

#if TMI_TEST_HOOKS
/* Let windows that are made from now on cover at most `nunits` units. */
void tmi_pagemap_set_window(uintptr_t nunits);
#endif

#endif
