/* raw.h - slabs: runs of units cut into slots of one class, with all metadata outside the slots.
 *
 * Idea: no link is ever stored in a free slot. A slab has a bitmap of its free slots; slots in magazines and in the
 * depot count as taken. So a bit is set only when no cache can hand the slot out any more. An OS page whose slots all
 * have their bits set can be purged while the rest of the slab is in use. A double free shows as a bit that is already
 * set.
 *
 *   slab    base                                                                  base + units * 64 KiB
 *           | page 0          | page 1          | page 2          | ...
 *           |slot|slot|slot|slot|slot|slot|slot|slot|slot|slot|slot|slot|
 *   free     0    1    0    1    1    1    1    1    1    0    1    1      bitmap, 1 = free
 *   touched   1                 1                 1                 0      may be resident
 *   empty     0                 1                 0                 0      touched, all its slots free: to be purged
 *
 * R1  nfree is the number of bits set in `free`; bits past the last slot are clear.
 * R2  empty is the set of touched pages no slot of which is taken.
 * R3  A page that is not touched reads as zero.
 * R4  A slab with nfree > 0 is in the list of its level; a slab with nfree == 0 is in no list. A slab with nfree ==
 *     slots becomes a free span before the class lock is released. Exception: a slab that is being purged remains a
 *     slab until the purge ends.
 * R5  A slab is in its class's purge queue exactly when empty != 0.
 * R6  No bit below word `hint` of `free` is set.
 * R7  A class is sparse when its pages in use exceed its taken slots by more than 512 KiB and by more than an eighth of
 *     the pages (a sixteenth if it is sparse already). A sparse class is loose, unless it rests. It begins to rest when
 *     fewer than a sixteenth of the last 1,024 returned slots were useful. A returned slot is useful if its slab was
 *     neither full nor the slab that slots are taken from. The first rest lasts 16 ms, each further one twice as long,
 *     up to 2 s. When the class stops being sparse, these times start again at 16 ms. See threads/homing.md.
 *
 * A refill takes from a slab of the fullest level, so that the emptiest slabs drain. Within the slab it takes slots on
 * touched pages first, the lowest of these first.
 * Lock: the class's lock (rank slabs) guards all fields. Fails: when the kernel grants no memory, take returns fewer
 * slots than requested. */
#ifndef TMI_SLABS_RAW_H
#define TMI_SLABS_RAW_H

#include "segments/regret.h"
#include "segments/segment.h"
#include "slabs/slab_levels.h"

typedef struct tmi_raw_slab {
    tmi_dlist_t level_link, purge_link;
    char *base;
    uint64_t touched, empty; // one bit for each OS page
    uint32_t nfree;
    uint32_t hint;           // R6
    uint8_t cls, level;
    bool purging;            // R4
    uint64_t free[];
} tmi_raw_slab_t;

typedef struct tmi_raw_classes {
    tmi_lock_t lock;
    size_t nslabs;
    size_t nfree;            // bits set in all slabs
    size_t used_pages;       // pages that are touched and not empty, in all slabs
    size_t touched_pages;    // in all slabs
    size_t used_ends;        // slabs whose last slot ends in a page in use
    uint32_t purging_slots, purging_pages; // reserved by the purge that is under way
    bool sparse;             // R7; caches read this field and rests_until without the lock
    uint32_t rests_until;    // time in ms, | 1 so that it is not 0; 0: the class does not rest
    uint32_t next_rest;      // length of the next rest in ms
    uint32_t nreturned, useful;  // R7: slots returned since rests were last judged, and the useful ones among them
    tmi_levels_t levels;
    tmi_dlist_t purge_queue; // slabs with empty pages; the longest queued first
    tmi_debt_t debt;
} TMI_ALIGNED(TMI_CACHE_LINE) tmi_raw_class_t;

extern tmi_raw_class_t tmi_raw_classes[TMI_CLASS_COUNT];

static inline bool tmi_raw_sparse(unsigned cls) { return tmi_load_relaxed(&tmi_raw_classes[cls].sparse); }

/* True if the class is loose: freed slots should return to their slab instead of being reused. A hint, readable by any
 * thread. */
static inline bool tmi_raw_loose(unsigned cls)
{
    if (TMI_LIKELY(!tmi_raw_sparse(cls)))
        return false;
    uint32_t until = tmi_load_relaxed(&tmi_raw_classes[cls].rests_until);
    return until == 0 || (int32_t)(tmi_os_now_ms() - until) >= 0;
}

void tmi_raw_init(void);

/* Whether new slabs are zeroed, so that free slots hold no bytes of former blocks (check:full). Set before the first
 * slab is made. */
extern bool tmi_raw_clean;

/* Take up to n free slots of a class into out[0..]. The slot chosen first has the highest index, so that popping from
 * the end goes up through memory. Returns the number taken. It is less than n if memory runs out, or, in a class of
 * slots of two pages or more, if further slots would touch fresh pages; at least one is taken then. */
size_t tmi_raw_take(unsigned cls, void **out, size_t n);

/* The same for a thread's first slots of a class: whole cache lines, if the emptiest slab has some, so that two threads
 * do not start in the same line. The class's size is below 64 bytes, and n is at least the number of slots in a line.
 */
size_t tmi_raw_take_lines(unsigned cls, void **out, size_t n);

/* Take one slot. Its bytes from *zero_from on read as zero. NULL: out of memory. */
void *tmi_raw_take_zeroed(unsigned cls, size_t *zero_from);

/* Put n slots back. Each is verified: a pointer that is not a slot of this class, or whose slot is free already, is
 * reported in the name of `function` and the process aborts. */
void tmi_raw_return(unsigned cls, void *const *slots, size_t n, const char *function);

/* NULL if p is the start of a taken (or cached) slot of the class, else a text that says what is wrong with p. For
 * check:full and audits. */
const char *tmi_raw_complaint(unsigned cls, const void *p);

/* Whether p, a slot of the class, is not the first slot of its slab. */
bool tmi_raw_has_before(unsigned cls, const void *p);

/* Whether p is the start of a slot of the class whose slab it lies in. Takes no lock, so freed slots count, too. */
bool tmi_raw_is_slot(unsigned cls, const void *p);

/* Statistics of a class, readable by any thread without a lock. The numbers are read one after the other, so they need
 * not fit together exactly. */
typedef struct tmi_raw_figures {
    size_t slabs, taken, nfree;  // slots: taken by the program and by caches; free in slabs
    size_t used, empty, slack;   // bytes: of pages in use; of empty pages; behind the last slots, on pages in use
} tmi_raw_figures_t;
tmi_raw_figures_t tmi_raw_figures(unsigned cls) TMI_COLD;

/* The free bytes on p's pages that p keeps from being purged: the free bytes of each page are divided equally among the
 * taken slots on it, and p's shares are added up. 0 if p is no small block. Any thread; takes the class's lock. */
size_t tmi_raw_stranded_by(const void *p) TMI_COLD;
/* Whether copying the block at p to a new block would help to empty a slab: p lies in a slab of a loose class, or in a
 * mixed slab that is half free, and the slab that the new block would come from is fuller. Any thread; takes the lock
 * of the class, and of mixed slabs. */
bool tmi_raw_should_move(const void *p);

/* Purge empty pages until `enough` bytes are purged, class by class. Within a class the slab that has been in the queue
 * longest comes first. Returns the number of bytes purged. One caller at a time (pacer lock). */
size_t tmi_raw_purge(size_t enough);

/* Free bytes on touched pages of slabs that may become mixed: an upper limit of what mixing can gain. Any thread, no
 * lock. */
size_t tmi_raw_room(void);

/* Turn slabs that are three quarters free into mixed slabs (mixed.h), until these have gained `enough` free bytes.
 * Examines a few slabs of each class. Returns the bytes gained. Takes the locks of the classes. */
size_t tmi_raw_mix(size_t enough);

/* Verify R1-R7 of one class; the caller holds its lock. */
void tmi_raw_check(unsigned cls);

#endif
