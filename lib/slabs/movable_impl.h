/* movable_impl.h - what the files of the movable module share: one slab, its level and its pages. All under the class
 * lock. */
#ifndef TMI_SLABS_MOVABLE_IMPL_H
#define TMI_SLABS_MOVABLE_IMPL_H

#include "os/os.h"
#include "slabs/movable.h"
#include "slabs/slab_bitmap.h"
#include "slabs/slab_pages.h"

/* Bytes of a slab's record without its bitmap. */
#define TMI_MOVABLE_RECORD sizeof(tmi_movable_slab_t)

/* The pages that slot i touches. */
static inline uint64_t tmi_mslot_pages(const tmi_class_info_t *c, size_t i)
{
    return tmi_pages_of_slot(c, c->start, i);
}

static inline char *tmi_movable_slab_span(const tmi_movable_slab_t *slab)
{
    return slab->base - tmi_mclasses[slab->cls].start;
}

/* A new slab with all slots free, in its level. NULL: out of memory. */
tmi_movable_slab_t *tmi_movable_slab_make(unsigned cls);
/* Dissolve a slab whose slots are all free. The caller holds the lock, and owns the remaining span. */
typedef struct tmi_released {
    char *span;
    size_t units;
    uint64_t pages; // the pages that may be resident
} tmi_released_t;
tmi_released_t tmi_movable_slab_release(tmi_movable_slab_t *slab);
/* Free that span. With `purge` its pages are purged first; then the caller must not hold the lock. */
void tmi_movable_slab_give_span(tmi_released_t r, bool purge);
/* Pages that hold its metadata. */
uint64_t tmi_movable_slab_metadata_pages(const tmi_movable_slab_t *slab);
/* Make a slab's attributes, atomically, since a signal handler may do so at the same time. They are reused for the next
 * slab of the class. */
uint32_t *tmi_movable_slab_make_attributes(tmi_movable_slab_t *slab);
/* Put the slab in the list of its level, or in none (V2). */
void tmi_movable_slab_relevel(tmi_movable_slab_t *slab);
void tmi_movable_slab_leave_level(tmi_movable_slab_t *slab);
/* Record that these pages are touched. */
void tmi_movable_slab_touch(tmi_movable_slab_t *slab, uint64_t pages);
/* The bytes of the touched pages of a slab whose first n slots are taken, including metadata. */
size_t tmi_movable_slab_bytes(const tmi_class_info_t *c, size_t n);
/* Pages without a taken slot. */
uint64_t tmi_movable_slab_empty_pages(const tmi_movable_slab_t *slab);
/* Purge at most `most` of these pages; fewer if they are scattered, since each run counts as some additional pages.
 * Returns their number. Pages that the kernel refuses count, too. */
size_t tmi_movable_slab_purge(tmi_movable_slab_t *slab, uint64_t pages, size_t most);

#endif
