/* medium_impl.h - what the files of the medium module share. */
#ifndef TMI_STORES_MEDIUM_IMPL_H
#define TMI_STORES_MEDIUM_IMPL_H

#include "space/regret.h"
#include "space/segment.h"
#include "stores/medium.h"

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
    uint64_t free, touched; // a bit a slot
    uint8_t cls;
    bool dirty_rest;        // after its last slot there may be something
} tmi_medium_slab_t;

typedef struct tmi_medium_slabs {
    tmi_lock_t lock;
    tmi_dlist_t some;        // slabs with a free slot
    tmi_dlist_t purge_queue; // slabs with an empty one, oldest first
    tmi_debt_t debt;
    uint32_t nqueued;        // slabs in the purge queue; looked at without the lock
    uint32_t nslabs, ntaken, nempty; // slabs, and slots of theirs, W4; statistics read them without the lock
} TM_ALIGNED(TMI_CACHE_LINE) tmi_medium_slabs_t;

extern tmi_medium_info_t tmi_medium_info[TMI_MEDIUM_CLASSES];
extern tmi_medium_slabs_t tmi_medium_slabs[TMI_MEDIUM_CLASSES];

/* Exact for every offset inside a slab: off < 2^21, so that off * ceil(2^48 / size) >> 48 errs by less than 2^-27, and
 * size < 2^19. */
static inline unsigned tmi_medium_slot(const tmi_medium_info_t *c, size_t offset)
{
    return (unsigned)((offset * c->reciprocal) >> 48);
}

static inline tmi_medium_slab_t *tmi_medium_slab_of(const void *p) { return tmi_span_of(p)->owner; }

static inline uint64_t tmi_medium_empty(const tmi_medium_slab_t *slab) { return slab->free & slab->touched; }
static inline bool tmi_medium_unused(const tmi_medium_slab_t *slab)
{
    return slab->free == tmi_low_bits(tmi_medium_info[slab->cls].slots);
}

/* Complaints read it without the lock, relaxed: the bit of a live block does not change. */
static inline void tmi_medium_set_free(tmi_medium_slab_t *slab, uint64_t bits) { tmi_store_relaxed(&slab->free, bits); }

/* Put the slab into the lists that its bits ask for (W2). */
void tmi_medium_relist(tmi_medium_slab_t *slab);
/* A slab without a taken slot becomes a free span; or only if it is not the spare one of W5, or holds nothing. Caller
 * holds the class lock. */
void tmi_medium_drop(tmi_medium_slab_t *slab);
void tmi_medium_settle(tmi_medium_slab_t *slab);

#endif
