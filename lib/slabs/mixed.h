/* mixed.h - slabs whose free room serves blocks of any small size.
 *
 * Idea: free slots of one class cannot serve another class, and a page with a survivor cannot be purged. When the heap
 * grows past its peak, a slab that is mostly free is therefore *mixed*: its unit gets another class in the page map,
 * and from then on a bitmap of granules tells what is free. Free slots side by side coalesce, and blocks of all classes
 * are cut from them. Blocks in the slab keep their place and their class (mixed.md).
 *
 *   page      |  page 0: there                         |  page 1: purged         |
 *   granules  |AAAA    BBBBBBBBBBBB    CCCC            |#########################|
 *   used       1111    111111111111    1111             1111111111111111111111111
 *   start      1       1               1                1
 *   last          1               1       1                                     1
 *
 * Nothing is stored beside a block. Its size is found in a word or two of the bitmaps. Start and end of a block are
 * bits of its own granules, which do not change as long as it is live: its owner reads them without the lock. A purged
 * page counts as one used run: nothing is cut from it. What is cut is aligned as a slot of its class: to the largest
 * power of two that divides its size.
 *
 * X1  A granule is free (used is 0) exactly when it is on a touched page and in no block; start and last are then 0.
 * X2  The first granule of a block has start set, and its last one last, the others not; so it is with a page that is
 *     not touched.
 * X3  nfree counts free granules, nblocks the blocks, and tmi_mixed.taken those of each class in all mixed slabs.
 * X4  empty is the set of touched pages that no block is on, and the slab is in the purge queue exactly when it is not
 *     0.
 * X5  A slab without a block does not exist outside the lock: it has become a free span; but one that is being purged
 *     stays.
 *
 * Blocks in magazines and depots count as taken, as in raw slabs.
 * Owner: everything its lock, of rank mixed: a thread may hold the lock of a class. Fails: tmi_mixed_adopt without
 * memory for a record, and nothing has changed. */
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
    uint64_t touched, empty;  // a bit an OS page
    uint32_t nfree, nblocks;  // X3
    uint32_t barren;          // no run of so many granules was found, granules freed since:
    uint32_t freed;
    bool purging;             // X5
    uint64_t used[TMI_MIXED_WORDS], start[TMI_MIXED_WORDS], last[TMI_MIXED_WORDS];
} tmi_mixed_slab_t;

typedef struct tmi_mixed {
    tmi_lock_t lock;
    tmi_dlist_t ring, purge_queue; // the ring begins where the next look for room does
    size_t nslabs, touched_pages, empty_pages;
    size_t room;                   // free bytes on touched pages; read without the lock, as a hint
    uint32_t leaving_pages;        // with a purge that is under way
    uint32_t epoch;                // counts occasions on which there may be room again for what found none
    uint32_t looks[TMI_CLASS_COUNT];     // slabs examined since one was found
    uint32_t fruitless[TMI_CLASS_COUNT]; // the epoch in which no slab had room
    uint32_t taken[TMI_CLASS_COUNT];     // X3
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
           tmi_load_relaxed(&tmi_mixed.fruitless[cls]) != tmi_load_relaxed(&tmi_mixed.epoch);
}

/* Take up to n blocks of the class into out[-1], out[-2] ...; returns how many. All are on touched pages. */
size_t tmi_mixed_take(unsigned cls, void **out, size_t n);

/* Return one to its slab, verified: what is not a block of this class is reported in the name of `function`, and the
 * process aborts. */
void tmi_mixed_return(unsigned cls, const void *p, const char *function);

/* The class of the block that starts at p, which is in a unit of class TMI_CLASS_MIXED; TMI_CLASS_NONE if none does.
 * Takes no lock: for the owner of the block, or as a hint. */
unsigned tmi_mixed_class_at(const void *p);

/* What is wrong with p as the start of a block, where that is TMI_CLASS_NONE; else NULL. */
const char *tmi_mixed_complaint(const void *p);

/* Bytes of p's pages that no block has, its share of them, as tmi_raw_hostage; 0 if p is no block. Takes the lock. */
size_t tmi_mixed_hostage(const void *p) TMI_COLD;

/* Class of the block at p, or TMI_CLASS_NONE, and how many granules of its slab's touched pages are free. Takes the
 * lock. */
unsigned tmi_mixed_room_around(const void *p, size_t *free, size_t *all);

/* A slab of one unit that is to become mixed, as its class sees it. The caller holds the lock of the class and drops
 * its own record afterwards. */
typedef struct tmi_mixed_gift {
    char *base;
    unsigned cls;
    const uint64_t *free; // a bit a slot
    uint64_t touched, empty;
} tmi_mixed_gift_t;
bool tmi_mixed_adopt(const tmi_mixed_gift_t *gift);

/* Purge empty pages, until that is `enough` bytes. One caller at a time (pacer lock). Returns the bytes. */
size_t tmi_mixed_purge(size_t enough);

/* Any thread, no lock. Bytes: of pages in use, of empty ones. */
typedef struct tmi_mixed_figures {
    size_t slabs, used, empty;
} tmi_mixed_figures_t;
tmi_mixed_figures_t tmi_mixed_figures(void) TMI_COLD;

/* Verify X1-X5; the caller holds all locks. */
void tmi_mixed_check(void);

#endif
