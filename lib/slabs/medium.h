/* medium.h - objects above 32 KiB and up to 256 KiB: slots of whole OS pages in slabs of their own.
 *
 * Idea: eight sizes to a doubling, as for the largest small objects. A slot consists of whole pages, so each slot is
 * resident or not on its own. Only slots that have been used cost memory, a free slot can be purged alone, and slots
 * share no page. The rest of a slot behind its object, at most a ninth, is resident only if a former object used it.
 *
 *   slab     base                                                      base + units * 64 KiB
 *            | slot 0      | slot 1      | slot 2      | slot 3      |  rest  |
 *   free      0             1             1             0                      bitmap, 1 = free
 *   touched   1             1             0             1                      may be resident
 *   empty     0             1             0             0                      free and touched: to be purged
 *
 * W1  free and touched have no bit past the last slot. A slot that is not free is touched.
 * W2  A slab is in its class's purge queue exactly when it has an empty slot, and in `some` exactly when it has a free
 *     one.
 * W3  A free slot that is not touched reads as zero.
 * W4  medium_empty_bytes sums the empty slots, large_bytes and large_count (with those of extents) the taken ones; so
 *     do nempty and ntaken for a class.
 * W5  A slab without a taken slot exists only as the class's spare one: when no other slab of it has a free slot.
 *
 * Empty slots are taken first, since their pages are resident, and the last emptied ones before the others.
 * Lock: the class's lock (rank medium) guards all fields. The class of an object is found from its address without a
 * lock. A purge marks the slots as taken, so that no lock is held during the system call; one thread purges at a time
 * (pacer lock). Fails: NULL when the kernel grants no memory. */
#ifndef TMI_SLABS_MEDIUM_H
#define TMI_SLABS_MEDIUM_H

#include "base/dlist.h"
#include "os/lock.h"
#include "segments/regret.h"
#include "segments/sizeclass.h"

#define TMI_MEDIUM_MAX ((size_t)256 << 10)
enum { TMI_MEDIUM_CLASSES = 24 };

typedef struct tmi_medium_info {
    uint64_t reciprocal; // ceil(2^48 / size)
    uint32_t size;       // bytes of a slot
    uint16_t units;      // of a slab
    uint8_t slots;       // of a slab
} tmi_medium_info_t;

typedef struct tmi_medium_slab {
    tmi_dlist_t link;       // in `some`
    tmi_dlist_t purge_link; // in the purge queue
    char *base;
    uint64_t free, touched; // one bit for each slot
    uint8_t cls;
    bool dirty_rest;        // the pages behind its last slot may be resident
} tmi_medium_slab_t;

typedef struct tmi_medium_classes {
    tmi_lock_t lock;
    tmi_dlist_t some;        // slabs with a free slot
    tmi_dlist_t purge_queue; // slabs with an empty slot; the longest queued first
    tmi_debt_t debt;
    uint32_t nqueued;        // slabs in the purge queue; read without the lock
    uint32_t nslabs, ntaken, nempty; // slabs, and taken and empty slots (W4); statistics read them without the lock
} TMI_ALIGNED(TMI_CACHE_LINE) tmi_medium_class_t;

extern tmi_medium_info_t tmi_medium_info[TMI_MEDIUM_CLASSES];
extern tmi_medium_class_t tmi_medium_classes[TMI_MEDIUM_CLASSES];

/* Called once, when the size of OS pages is known. */
void tmi_medium_init(void);

/* Whether an object of that size and alignment is a medium one; size > TMI_SMALL_MAX or align > TMI_SMALL_MAX. */
static inline bool tmi_medium_serves(size_t size, size_t align)
{
    return size <= TMI_MEDIUM_MAX && align <= TMI_UNIT_SIZE;
}

/* The class of such an object, 0 to TMI_MEDIUM_CLASSES - 1, and the bytes of its slots. */
unsigned tmi_medium_class(size_t size, size_t align);
size_t tmi_medium_size(unsigned cls);

/* Take a slot: an empty one of the class, else, unless it must be of the class exactly, an empty one of the two classes
 * above, else one that is not resident. *dirty tells whether its bytes may be non-zero. NULL: out of memory. */
void *tmi_medium_take(unsigned cls, bool exactly, bool *dirty);

/* Return a slot to its slab. If p is free already, or not a slot, report that in the name of `function` and abort. */
void tmi_medium_return(void *p, const char *function);

/* The class of a block whose page map class is TMI_CLASS_MEDIUM. */
unsigned tmi_medium_class_at(const void *p);

/* What is wrong with p, which lies in a medium slab. NULL: p is a taken slot, and *cls is its class. Takes no lock, so
 * the answer is certain only for a block that the caller owns. */
const char *tmi_medium_complaint(const void *p, unsigned *cls);
/* Whether p, in such a slab, is the start of a slot. */
bool tmi_medium_is_slot(const void *p);

/* Purge empty slots until `enough` bytes are purged, first in the slab that has had an empty slot for longest. Returns
 * the bytes. */
size_t tmi_medium_purge(size_t enough);

/* Turn slabs without a taken slot into free spans. Called when memory runs out, and before address space is unmapped.
 */
void tmi_medium_release_unused(void);

/* Statistics of a class, readable by any thread without a lock. Slots: all; taken (or on a shelf); free but possibly
 * resident. */
typedef struct tmi_medium_figures {
    size_t slabs, slots, taken, empty;
} tmi_medium_figures_t;
tmi_medium_figures_t tmi_medium_figures(unsigned cls) TMI_COLD;

/* Locks for fork. The audit of W1-W5 is called with all of them held. */
void tmi_medium_lock_all(void);
void tmi_medium_unlock_all(void);
void tmi_medium_reset_locks(void);
void tmi_medium_check(void);

#endif
