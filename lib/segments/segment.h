/* segment.h - the supply of address space: runs of units out of 2 MiB segments.
 *
 * Idea: the kernel gives segments. A run of units (a *span*) is cut from free spans by best fit, and freed spans
 * coalesce with their neighbours. A free span is *dirty* when its pages may be resident, and *clean* when they read as
 * zero and hold no memory. The two never merge. Dirty spans are taken first, since their pages are resident already.
 * Purging makes a dirty span clean. Holes in address space cost nothing.
 *
 *   segment  |span: 4 units, slab|1, slab|  free, dirty, 7  |   extent, 12 units   |   free, clean, 8   |
 *   records   F  .  .  L          FL      F  .  .  .  .  . L  F  .  ...           L  F  .  ...         L
 *
 * S1  Every unit of a mapped segment is in exactly one span; the first and last record of a span hold its state and
 *     length.
 * S2  Two adjacent free spans of the same state do not exist.
 * S3  A clean span reads as zero and no page of it is resident.
 * S4  A free span is in the bin of its length, and in the age list too when dirty; dirty_bytes sums those estimates.
 * S5  The kernel makes no huge page where something has been purged: see segment_huge.c.
 * S6  In a free span, a page whose bit in `resident` is clear reads as zero and holds no memory. The bits of a used
 *     span mean nothing until it is freed.
 * S7  The code of a unit is WATCHED while `nsampled` > 0 sampled raw blocks begin there; `watched` is the class that
 *     the unit has. A free unit is not watched. See segment_watch.c.
 *
 * Owner: the space lock, except `owner`, `bytes`, `index` and `attributes` of a used span, which belong to the holder
 * of the span.
 * Fails: NULL if the kernel grants no memory even after clean segments have been unmapped. */
#ifndef TMI_SEGMENTS_SEGMENT_H
#define TMI_SEGMENTS_SEGMENT_H

#include "base/dlist.h"
#include "os/lock.h"
#include "segments/pagemap.h"

typedef enum tmi_span_state { TMI_SPAN_NONE, TMI_SPAN_USED, TMI_SPAN_DIRTY, TMI_SPAN_CLEAN } tmi_span_state_t;

typedef struct tmi_span {
    tmi_dlist_t bin;   // free: others of this length
    tmi_dlist_t age;   // dirty: oldest first
    void *owner;       // slab: its record; extent: the object's address; free: the first unit
    size_t bytes;      // used by an extent: its OS pages; dirty: how much may be resident
    uint32_t nunits;   // S1
    union {
        uint32_t index;    // used by a movable extent: its handle's
        uint32_t nsampled; // S7, of this unit
    };
    uint32_t attributes; // used by a movable extent: see movable.h
    uint16_t slack;      // used by an extent: OS pages around the object that may be resident
    uint8_t state;       // S1
    uint8_t watched;     // S7, of this unit
} tmi_span_t;

struct tmi_segment {
    tmi_span_t spans[TMI_SEGMENT_UNITS];
    uint16_t resident[TMI_SEGMENT_UNITS]; // S6, one bit for each page of a unit
    uint32_t dense;                       // S5, one bit for each unit
    bool small;                           // S5
};

extern tmi_lock_t tmi_space_lock; // for fork

void tmi_space_init(void);
/* Called before the first slab or extent of the movable arena. Returns 0 or an errno. Further calls do nothing. */
int tmi_space_init_movable(void);

/* Allocate a span of nunits (> 0) units aligned to align_units (a power of two). In the page map its first unit gets
 * class `cls`, the others `tail`. *dirty: its bytes may be non-zero. NULL: out of memory. */
void *tmi_space_alloc(size_t nunits, size_t align_units, unsigned cls, unsigned tail, bool *dirty);

/* Free a span. `bytes` estimates how much of it is resident. If it is not 0, any page may be resident. */
void tmi_space_free(void *addr, size_t nunits, size_t bytes);

/* Free a span of at most 64 pages; only `pages` of them may be resident. */
void tmi_space_free_pages(void *addr, size_t nunits, uint64_t pages);

/* Free a span of any length, in three steps: note all of its pages as clean, note those that may be resident, and free
 * it. */
void tmi_space_note_clean(void *addr, size_t nunits);
void tmi_space_note_resident(void *from, size_t size);
void tmi_space_free_noted(void *addr, size_t nunits);

/* For a span that the caller has just taken (S6): which of its pages, at most 64, may be resident; and whether any page
 * of these bytes may be. */
uint64_t tmi_space_resident(const void *addr, size_t nunits);
bool tmi_space_may_be_resident(const void *from, size_t size);

/* Lengthen a used span in place from nunits to wanted units. *dirty as above, for the new part. */
bool tmi_space_extend(void *addr, size_t nunits, size_t wanted, unsigned tail, bool *dirty);

/* Cut a used span to `keep` units; `bytes` estimates how much of the rest is resident. */
void tmi_space_shorten(void *addr, size_t nunits, size_t keep, size_t bytes);

/* Purge dirty spans, the longest dirty one first, until about `enough` bytes (estimated) are purged or none is left.
 * Returns the bytes. Takes the lock for short times only. */
size_t tmi_space_purge(size_t enough);

/* Purge pages of a used span, and forbid the kernel to make a huge page of the rest (S5). Returns 0 or an errno. Takes
 * the lock for a short time. tmi_space_thin only forbids. */
int tmi_space_purge_pages(void *addr, size_t size);
void tmi_space_thin(void *addr, size_t size);

/* Note that the caller's used span is full, so that a huge page there costs no memory (S5). Takes the lock, rarely. */
void tmi_space_fill(void *addr, size_t nunits);
extern bool tmi_huge_applies;
static inline void tmi_space_filled(void *addr, size_t nunits)
{
    if (TMI_UNLIKELY(tmi_huge_applies))
        tmi_space_fill(addr, nunits);
}

/* Unmap segments that are wholly clean. Returns the bytes. */
size_t tmi_space_unmap(void);

/* The record of the unit that holds p, which is in a mapped segment. */
TMI_INLINE tmi_span_t *tmi_span_of(const void *p)
{
    return &tmi_pagemap_segment(p)->spans[((uintptr_t)p >> TMI_UNIT_SHIFT) % TMI_SEGMENT_UNITS];
}

static inline char *tmi_unit_of(const void *p) { return (char *)tmi_round_down((uintptr_t)p, TMI_UNIT_SIZE); }

/* Note that a sampled block of the raw heap begins at p; or forget it (S7). Takes the lock. Called before the block is
 * handed out. */
void tmi_space_watch(const void *p) TMI_COLD;
void tmi_space_unwatch(const void *p) TMI_COLD;
/* Give the unit at p, which has live blocks, another class. Takes the lock. */
void tmi_space_set_class(const void *p, unsigned cls);

/* Verify S1-S7 for the whole heap; the caller holds the space lock. */
void tmi_space_check(void);

#endif
