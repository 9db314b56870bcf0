/* movable.h - slabs whose objects can move: slots of one class, with a reference from each slot to its index.
 *
 * Idea: as in the raw arena no link and no header is stored in a slot, and free slots are bits. A slab also has `refs`,
 * the index of each taken slot, by which the mover finds the word of an object from its address. A ref is a hint: a
 * slot holds an object only when the word of its index is live and has the slot's address.
 *
 *   slab         span            base
 *                | refs | record |slot |slot |slot |slot |slot | ...
 *   free                          0     1     0     1     1
 *   refs                          17    -     4     -     -
 *   attributes   locks 23-0 | log2 of the asked alignment 31-27; made at a slab's first lock or aligned object
 *
 * The metadata of slabs with small slots stands before the first slot and is purged with the slab; a heap that has
 * shrunk to a tenth would otherwise keep the metadata of the whole (movable.md). Refs come before the record, so a
 * write past the end of the previous slab damages only hints.
 *
 * V1  nfree is the number of bits set in `free`; bits past the last slot are clear; none is set below word `hint`.
 * V2  A slab that is not being emptied, with 0 < nfree < slots, is in the list of its level, one with nfree == slots is
 *     released. A slab that is set apart is in a list of its own: it gives its slots only to objects that are about to
 *     be locked. Its objects are not moved as long as all of them are locked. A slab that is being emptied is in no
 *     list and gives no slots. The mover releases it.
 * V3  A page that is not in `touched` holds no memory and reads as zero; no free slot's bytes matter.
 * V4  A live object's slot is taken, and its ref is its index. (The ref is stored before the word is.)
 * V5  The page map says WATCHED + class of a slab some of whose slots have attributes other than 0; or of one that just
 *     had.
 * V6  A slab is in the class's tidy list when slots have been returned since its pages were last examined.
 * V7  A slab's record is read only by a thread that holds the class's lock, owns a slot of the slab, has an object in
 *     it pinned or locked, or is emptying it. An extent's record is read only by a thread that holds the space lock, or
 *     owns, pins or locks the object. Check builds assert it at every such read (movable_held.c). All other code uses
 *     the page map and the words of handles, which can always be read.
 *
 * Allocation takes from the fullest slabs, compaction empties the emptiest.
 * Owner: the class's lock, except refs, which belong to the holder of the slot, and attributes, which are atomic. A
 * thread that looks up a slab without the lock holds a slot of it or has an object in it pinned.
 * Fails: fewer slots than requested. */
#ifndef TMI_SLABS_MOVABLE_H
#define TMI_SLABS_MOVABLE_H

#include "os/lock.h"
#include "segments/segment.h"
#include "segments/sizeclass_movable.h"
#include "slabs/slab_levels.h"

typedef struct tmi_movable_slab {
    tmi_dlist_t level_link, tidy_link;
    char *base;            // its first slot
    uint32_t *refs;
    uint32_t *attributes;  // NULL until made
    uint32_t watched;      // slots whose attributes are not 0
    uint64_t touched;      // one bit for each OS page, V3
    uint32_t nfree, hint;  // V1
    uint32_t promised;     // while it is being emptied: slots in other slabs that are set aside for its objects
    uint32_t keep;         // while it is being emptied: objects in slots below this one stay, since no slot is left
    uint32_t retry_at, retry_wait; // ms: objects could not be moved; the slab is not tried again before retry_at...
    uint32_t retry_epoch;          // ...unless tmi_movable_epoch has changed
    uint8_t cls, level;
    bool emptying, apart;  // V2
    uint64_t free[];
} tmi_movable_slab_t;

typedef struct tmi_movable_classes {
    tmi_lock_t lock;
    size_t nslabs, nfree;  // slabs; free slots of slabs that are neither being emptied nor set apart
    size_t nfree_emptying, nfree_apart; // of the others
    size_t promised;       // to slabs that are being emptied
    size_t touched_bytes;  // of all slabs
    tmi_dlist_t tidy;      // V6
    tmi_levels_t levels, apart; // V2
} tmi_movable_class_t;

extern tmi_movable_class_t tmi_movable_classes[TMI_MCLASS_COUNT];

enum { TMI_LOCKS_MASK = (1 << 24) - 1, TMI_ALIGN_SHIFT = 27 };

/* The requested alignment, or 1. */
static inline size_t tmi_attributes_align(uint32_t attributes) { return (size_t)1 << (attributes >> TMI_ALIGN_SHIFT); }

void tmi_movable_init(void);

/* Take all class locks, in order, for fork. Does nothing before the arena is used. Returns whether it is. */
bool tmi_movable_lock_all(void);
void tmi_movable_unlock_all(void);
void tmi_movable_reset_locks(void);

/* Take up to n slots of a class; `existing`: without making a slab. Returns how many. */
size_t tmi_movable_take(unsigned cls, char **out, size_t n, bool existing);

/* Take the free slot nearest to the one at `at`, which holds an object that the caller has pinned, in the same slab.
 * NULL: it gives none. */
char *tmi_movable_take_near(unsigned cls, const char *at);

/* Return n slots of one class. */
void tmi_movable_return(unsigned cls, char *const *slots, size_t n);

#if TMI_CHECK
/* Abort if nothing keeps the record of the slab, or extent, at p in place. */
void tmi_movable_require_held(const void *p);
void tmi_extent_require_held(const void *p);
/* Whether the calling thread has a pin of an object in these bytes; the layer above sets it. */
extern bool (*tmi_movable_pinned_here)(const char *from, size_t nbytes);
#else
#define tmi_movable_require_held(p) ((void)(p))
#define tmi_extent_require_held(p) ((void)(p))
#endif

/* The slab that holds p; something keeps it in place (V7). */
static inline tmi_movable_slab_t *tmi_movable_slab_of(const void *p)
{
    tmi_movable_require_held(p);
    return (tmi_movable_slab_t *)tmi_span_of(p)->owner;
}

static inline size_t tmi_mslot_index(const tmi_movable_slab_t *slab, const void *p)
{
    return tmi_slot_index(&tmi_mclasses[slab->cls], (size_t)((const char *)p - slab->base));
}

/* Whether the page map says that the slab has attributes. */
static inline bool tmi_movable_watched(unsigned code) { return code > TMI_MCLASS_WATCHED; }

/* Class of the slab or extent that p lies in. Reads nothing but the page map: any thread, any time. */
static inline unsigned tmi_movable_class(const void *p)
{
    unsigned code = tmi_pagemap_movable(p);
    return TMI_UNLIKELY(tmi_movable_watched(code)) ? code - TMI_MCLASS_WATCHED : code;
}

/* Store the index of a slot that the caller holds. */
static inline void tmi_movable_set_ref(const void *slot, uint32_t index)
{
    tmi_movable_slab_t *slab = tmi_movable_slab_of(slot);
    tmi_store_relaxed(&slab->refs[tmi_mslot_index(slab, slot)], index); // relaxed: only a hint; the word decides
}

/* The attributes of a slot; with `make`, the array is made if necessary. NULL: there is none, or no memory. Takes no
 * lock, since it is called in signal handlers. */
uint32_t *tmi_movable_attributes(const void *slot, bool make);

/* Called when the attributes of the slot have become non-zero, so that frees in its slab must check attributes; and
 * when they are 0 again. */
void tmi_movable_watch(const void *slot);
void tmi_movable_unwatch(const void *slot);

/* ---- what compaction needs --------------------------------------------------------------------------------------- */

/* Choose the emptiest slab of a class, and begin to empty it, down to slot `keep`: the objects above `keep` fit the
 * free slots elsewhere and below. NULL: there is none. */
tmi_movable_slab_t *tmi_movable_choose(unsigned cls, uint32_t now);

/* Whether slabs of the class are being emptied. Then more can be chosen later. */
// only the mover changes it
static inline bool tmi_movable_busy(unsigned cls) { return tmi_load_relaxed(&tmi_movable_classes[cls].promised) > 0; }

/* An object that is about to be locked moves to a slab that is set apart. `slab` is where it is now; the caller owns it
 * as if it were being emptied. `to` is the object's new place. The caller holds the mover's lock. False: the object
 * stays where it is. It is in such a slab already, or alone in its class's only slab; or the lock of the class is not
 * free. */
typedef struct tmi_movable_move {
    tmi_movable_slab_t *slab;
    char *to;
    bool begun;            // whether this move, and not a batch, began to empty `slab`
} tmi_movable_move_t;
bool tmi_movable_begin_apart(unsigned cls, const char *at, tmi_movable_move_t *out);
void tmi_movable_end_apart(const tmi_movable_move_t *move);

/* Take up to n of the free slots below `keep` of a slab that is being emptied. */
size_t tmi_movable_take_below(tmi_movable_slab_t *slab, char **out, size_t n);

/* Incrementing this (tm_compact does) makes the mover try all slabs again that it could not empty before. Owner: the
 * mover. */
extern uint32_t tmi_movable_epoch;

/* Called when the mover has finished with the slab. Purges at most `pages` of its empty pages. Then its slots are
 * available again, or, if all are free, the slab becomes a free span. False: call again, pages are left to purge. With
 * SIZE_MAX a slab without objects becomes a dirty span without a purge, since it is cheaper to purge it together with
 * its neighbours. `moved_all`: every object that was to move has moved. */
bool tmi_movable_finish(tmi_movable_slab_t *slab, size_t pages, bool moved_all, uint32_t now);

/* Purge at most `pages` pages without taken slots, in slabs of the tidy list (V6); *done is their number. False: the
 * list is empty. */
bool tmi_movable_tidy(unsigned cls, size_t pages, size_t *done);

/* Bytes of a class that compaction could free: touched bytes of its slabs, less the pages that its objects would
 * fill. */
size_t tmi_movable_gain(unsigned cls);

/* Free slots of a class, including those of slabs that are being emptied or set apart. A hint. */
size_t tmi_movable_unused(unsigned cls);

/* For each class: pages without a taken slot, and slabs whose last slot ends on any other page. Walks all slabs, and
 * takes the class's lock for each one. Leaves out slabs that are being emptied, and those whose lock stays taken.
 * The movable heap must be ready. Callable by any thread and in signal handlers, which may have a small stack. */
typedef struct tmi_movable_survey {
    uint32_t empty_pages[TMI_MCLASS_COUNT], used_ends[TMI_MCLASS_COUNT];
} tmi_movable_survey_t;
void tmi_movable_survey(tmi_movable_survey_t *out) TMI_COLD;
/* The same in bytes: of empty pages; and behind the last slots, on all other pages. */
size_t tmi_movable_survey_empty(const tmi_movable_survey_t *survey, unsigned cls);
size_t tmi_movable_survey_slack(const tmi_movable_survey_t *survey, unsigned cls);

/* Verify V1, V2, V6 for a class, and V4 for its slots; the caller holds its lock. */
void tmi_movable_check(unsigned cls);

#endif
