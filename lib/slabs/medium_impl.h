/* medium_impl.h - what the files of the medium module share. */
#ifndef TMI_SLABS_MEDIUM_IMPL_H
#define TMI_SLABS_MEDIUM_IMPL_H

#include "segments/segment.h"
#include "slabs/medium.h"

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

/* tmi_medium_complaint reads `free` without the lock, relaxed: the bit of a live block does not change. */
static inline void tmi_medium_set_free(tmi_medium_slab_t *slab, uint64_t bits) { tmi_store_relaxed(&slab->free, bits); }

/* Put the slab into its lists, and take it out of others (W2). */
void tmi_medium_relist(tmi_medium_slab_t *slab);
/* Turn a slab without a taken slot into a free span. The second function keeps a spare slab (W5), unless none of its
 * pages can be resident. The caller holds the class lock. */
void tmi_medium_slab_release(tmi_medium_slab_t *slab);
void tmi_medium_slab_release_unless_spare(tmi_medium_slab_t *slab);

#endif
