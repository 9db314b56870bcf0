/* mixed.h - slabs whose free room serves blocks of any small size.
 *
 * Idea: free slots of one class cannot serve another class, and a page with a survivor cannot be purged. Therefore,
 * when the heap grows past its peak, slabs that are mostly free become *mixed*: the unit gets the class TMI_CLASS_MIXED
 * in the page map, and a bitmap of granules of 16 bytes records which parts are free. Adjacent free slots coalesce, and
 * blocks of all classes are cut from them. Blocks already in the slab keep their address and their class (mixed.md).
 *
 *   page      |  page 0: there                         |  page 1: purged         |
 *   granules  |AAAA    BBBBBBBBBBBB    CCCC            |#########################|
 *   used       1111    111111111111    1111             1111111111111111111111111
 *   start      1       1               1                1
 *   last          1               1       1                                     1
 *
 * No metadata is stored beside a block. Its size follows from one or two words of the bitmaps. The bits that mark its
 * start and end belong to its own granules and do not change while it is live, so its owner reads them without the
 * lock. A page that is not touched counts as one used run, so no block is cut from it. A new block is aligned like a
 * slot of its class: to the largest power of two that divides its size.
 *
 * X1  A granule is free (used is 0) exactly when it is on a touched page and in no block; start and last are then 0.
 * X2  In a block, exactly the first granule has start set, and exactly the last one has last set. The same holds for
 *     the granules of a page that is not touched.
 * X3  nfree counts free granules, nblocks the blocks. tmi_mixed.taken counts the blocks of each class in all mixed
 *     slabs.
 * X4  empty is the set of touched pages that hold no part of a block. The slab is in the purge queue exactly when empty
 *     != 0.
 * X5  A slab without blocks becomes a free span before the lock is released. Exception: a slab that is being purged
 *     remains until the purge ends.
 *
 * Blocks in magazines and depots count as taken, as in raw slabs.
 * Lock: tmi_mixed.lock (rank mixed) guards all fields; a thread that takes it may hold the lock of a class. Fails:
 * tmi_mixed_adopt returns false without memory for a record; the slab is unchanged. */
#ifndef TMI_SLABS_MIXED_H
#define TMI_SLABS_MIXED_H

#include "segments/segment.h"

enum {
    TMI_MIXED_SHIFT = 4, // a granule: 16 bytes
    TMI_MIXED_WORDS = TMI_UNIT_SIZE >> TMI_MIXED_SHIFT >> 6,
};
#define TMI_MIXED_GRANULE ((size_t)1 << TMI_MIXED_SHIFT)
#define TMI_MIXED_MAX ((size_t)4096) // bytes of the largest block

typedef struct tmi_mixed_slab {
    tmi_dlist_t link, purge_link;
    char *base;
    uint64_t touched, empty;  // one bit for each OS page
    uint32_t nfree, nblocks;  // X3
    uint32_t failed;          // the shortest run, in granules, that a search did not find; UINT32_MAX: none
    uint32_t freed;           // granules freed since `failed` was set
    bool purging;             // X5
    uint64_t used[TMI_MIXED_WORDS], start[TMI_MIXED_WORDS], last[TMI_MIXED_WORDS];
} tmi_mixed_slab_t;

typedef struct tmi_mixed {
    tmi_lock_t lock;
    tmi_dlist_t ring, purge_queue; // the next search for free granules begins at the head of the ring
    size_t nslabs, touched_pages, empty_pages;
    size_t room;                   // free bytes on touched pages; also read without the lock, as a hint
    uint32_t purging_pages;        // reserved by the purge that is under way
    uint32_t epoch;                // incremented whenever a search that failed may succeed again
    uint32_t looks[TMI_CLASS_COUNT];        // slabs examined without success since the last success
    uint32_t failed_epoch[TMI_CLASS_COUNT]; // the last epoch in which all slabs were searched without success
    uint32_t taken[TMI_CLASS_COUNT];        // X3
} tmi_mixed_t;

extern tmi_mixed_t tmi_mixed;

/* Whether slots of this size may lie in mixed slabs. */
static inline bool tmi_mixed_serves(unsigned cls)
{
    size_t size = tmi_classes[cls].size;
    return size >= TMI_MIXED_GRANULE && size <= TMI_MIXED_MAX;
}

/* Whether tmi_mixed_take may find slots of the class. Any thread, a hint. */
static inline bool tmi_mixed_may_have(unsigned cls)
{
    return TMI_UNLIKELY(tmi_load_relaxed(&tmi_mixed.room) >= tmi_classes[cls].size) && tmi_mixed_serves(cls) &&
           tmi_load_relaxed(&tmi_mixed.failed_epoch[cls]) != tmi_load_relaxed(&tmi_mixed.epoch);
}

/* Take up to n blocks of the class into out[-1], out[-2] ...; returns the number taken. All lie on touched pages. */
size_t tmi_mixed_take(unsigned cls, void **out, size_t n);

/* Return a block to its slab. If p is not a taken block of this class, that is reported in the name of `function`, and
 * the process aborts. */
void tmi_mixed_return(unsigned cls, const void *p, const char *function);

/* The class of the block that starts at p; TMI_CLASS_NONE if p is not the start of a block in a mixed slab. Takes no
 * lock: exact for the owner of the block, a hint for others. */
unsigned tmi_mixed_class_at(const void *p);

/* NULL if p, an address in a mixed slab, is the start of a block, else a text that says what is wrong with it. */
const char *tmi_mixed_complaint(const void *p);

/* As tmi_raw_stranded_by, for a block in a mixed slab: p's share of the free bytes on its pages. 0 if p is no block.
 * Takes the lock. */
size_t tmi_mixed_stranded_by(const void *p) TMI_COLD;

/* The class of the block at p, or TMI_CLASS_NONE. For a block also the number of granules on its slab's touched pages:
 * *free of *all are free. Takes the lock. */
unsigned tmi_mixed_room_around(const void *p, size_t *free, size_t *all);

/* A raw slab of one unit that becomes mixed. The caller holds the lock of its class, and drops its own record of the
 * slab if tmi_mixed_adopt returns true. False: out of memory. */
typedef struct tmi_mixed_origin {
    char *base;
    unsigned cls;
    const uint64_t *free; // one bit for each slot
    uint64_t touched, empty;
} tmi_mixed_origin_t;
bool tmi_mixed_adopt(const tmi_mixed_origin_t *origin);

/* Purge empty pages until `enough` bytes are purged. Returns the number of bytes. One caller at a time (pacer lock). */
size_t tmi_mixed_purge(size_t enough);

/* Statistics, readable by any thread without a lock. `used` and `empty` are bytes of pages in use and of empty pages.
 */
typedef struct tmi_mixed_figures {
    size_t slabs, used, empty;
} tmi_mixed_figures_t;
tmi_mixed_figures_t tmi_mixed_figures(void) TMI_COLD;

/* Verify X1-X5; the caller holds all locks. */
void tmi_mixed_check(void);

#endif
