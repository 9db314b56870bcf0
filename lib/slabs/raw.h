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
 * R4  A slab with 0 < nfree is in the list of its level; one without is in none. A slab with nfree == slots does not
 *     exist outside the class lock: it has become a free span. Exception: a slab that is being purged stays until the
 *     purge ends.
 * R5  A slab is in its class's purge queue exactly when empty != 0.
 * R6  No bit below word `hint` of `free` is set.
 * R7  A class is sparse when its pages in use hold much more than its taken slots: more than 512 KiB, and more than an
 *     eighth of the pages (once sparse, a sixteenth). A sparse class is loose, unless it rests. It rests when of the
 *     last 1,024 slots that returned less than a sixteenth were useful: from slabs that are neither full nor the one
 *     that slots are taken from. A rest takes 16 ms at first, and twice as long each time, up to 2 s. A class that is
 *     no longer sparse begins anew. See threads/homing.md.
 *
 * Refill takes from the fullest level, so that the emptiest slabs drain; in the slab it takes slots on touched pages
 * first, then the lowest.
 * Owner: everything the class's lock (rank slabs). Fails: take returns fewer than asked, when the kernel gives
 * nothing. */
#ifndef TMI_SLABS_RAW_H
#define TMI_SLABS_RAW_H

#include "segments/regret.h"
#include "segments/segment.h"
#include "slabs/slab_levels.h"

typedef struct tmi_raw_slab {
    tmi_dlist_t level_link, purge_link;
    char *base;
    uint64_t touched, empty; // a bit an OS page
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
    size_t used_pages;       // touched and not empty, in all slabs
    size_t touched_pages;    // in all slabs
    size_t used_ends;        // slabs whose last slot ends in a page in use
    uint32_t leaving_slots, leaving_pages; // taken out while the kernel purges them
    bool sparse;             // R7; caches look at this one and rests_until without the lock
    uint32_t rests_until;    // ms | 1, or 0
    uint32_t next_rest;      // ms
    uint32_t nreturned, useful;  // slots that returned since the last verdict on rests, and those of use, R7
    tmi_levels_t levels;
    tmi_dlist_t purge_queue; // oldest first
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

/* Whether new slabs are zeroed, so that free slots hold no bytes of former users (check:full). Set before the first
 * slab is made. */
extern bool tmi_raw_clean;

/* Take up to n free slots of a class into out[0..]; the highest index holds the one that was chosen first, so that
 * popping from the end goes up through memory. Returns how many, fewer than n only when out of memory; or at least one,
 * in a class of two pages or more, when the others would touch fresh pages. */
size_t tmi_raw_take(unsigned cls, void **out, size_t n);

/* The same for a thread's first slots of a class: whole cache lines, if the emptiest slab has some, so that two threads
 * do not start in one line. The class is of less than 64 bytes, n at least a line's worth. */
size_t tmi_raw_take_lines(unsigned cls, void **out, size_t n);

/* Take one slot. From byte *zero_from on it reads as zero. NULL: out of memory. */
void *tmi_raw_take_zeroed(unsigned cls, size_t *zero_from);

/* Put n slots back. Each is verified: a pointer that is not a slot of this class, or whose slot is free already, is
 * reported in the name of `function` and the process aborts. */
void tmi_raw_return(unsigned cls, void *const *slots, size_t n, const char *function);

/* NULL if p is a slot of a slab of its class that is taken (or cached), or what is wrong with it. For check:full and
 * audits. */
const char *tmi_raw_complaint(unsigned cls, const void *p);

/* Whether the slab of p, a slot of a class, has a slot before it. */
bool tmi_raw_has_before(unsigned cls, const void *p);

/* Whether p is the start of a slot of the class whose slab it lies in. Takes no lock, so freed slots count, too. */
bool tmi_raw_is_slot(unsigned cls, const void *p);

/* A class as statistics see it: any thread, no lock; each number was true a moment ago. */
typedef struct tmi_raw_figures {
    size_t slabs, taken, nfree;  // slots: taken by programs and caches; free in slabs
    size_t used, empty, slack;   // bytes: of pages in use, of empty ones, and behind the last slots in pages in use
} tmi_raw_figures_t;
tmi_raw_figures_t tmi_raw_figures(unsigned cls) TMI_COLD;

/* Bytes of p's pages that no taken slot has, divided among the taken slots that keep these pages from being empty: p's
 * share. 0 if p is no small block. Any thread; takes the class's lock. */
size_t tmi_raw_hostage(const void *p) TMI_COLD;
/* Whether p lies in a slab of a sparse class or in a mixed slab, half of which is free, and others of the class are
 * fuller. Any thread; takes the lock of the class, or of mixed slabs. */
bool tmi_raw_should_move(const void *p);

/* Purge empty pages, class by class, in each class the slab first that has had an empty page for longest, until
 * `enough` bytes are purged. Returns the bytes. One caller at a time (pacer lock). */
size_t tmi_raw_purge(size_t enough);

/* Bytes that no slot uses on the pages of slabs of one unit: an upper bound of what mixing could gain. Any thread, no
 * lock. */
size_t tmi_raw_room(void);

/* Make mixed slabs (mixed.h) of slabs that are three quarters free, until they have `enough` free bytes. Examines a few
 * slabs of each class. Returns the bytes. Takes the locks of classes. */
size_t tmi_raw_mix(size_t enough);

/* Verify R1-R7 of one class; the caller holds its lock. */
void tmi_raw_check(unsigned cls);

#endif
