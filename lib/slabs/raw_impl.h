/* raw_impl.h - what the files of the raw module share: one slab and its pages. */
#ifndef TMI_SLABS_RAW_IMPL_H
#define TMI_SLABS_RAW_IMPL_H

#include "os/os.h"
#include "slabs/raw.h"
#include "slabs/slab_bitmap.h"
#include "slabs/slab_pages.h"

/* The slab that holds p, whose page map class is a slot class. */
static inline tmi_raw_slab_t *tmi_raw_slab_of(const void *p) { return tmi_span_of(p)->owner; }

/* The pages that slot i touches: slots start with the slab. */
static inline uint64_t tmi_slot_pages(const tmi_class_info_t *c, size_t i) { return tmi_pages_of_slot(c, 0, i); }

/* Whether R7 makes the class loose; and make it so. */
bool tmi_raw_must_be_sparse(unsigned cls);
void tmi_raw_judge(unsigned cls);

/* A new slab with all slots free, in its level. NULL: out of memory. Caller holds the class lock. */
tmi_raw_slab_t *tmi_raw_slab_make(unsigned cls);
/* The slab leaves its class; the caller owns its span from now on. */
void tmi_raw_slab_drop(tmi_raw_slab_t *slab);
/* A slab whose slots are all free becomes a free span. */
void tmi_raw_slab_release(tmi_raw_slab_t *slab);
/* Put the slab into the list of its level (R4). The inline functions tell without a division whether it is there. */
void tmi_raw_slab_change_level(tmi_raw_slab_t *slab);
static inline void tmi_raw_slab_relevel_of(tmi_raw_slab_t *slab, const tmi_class_info_t *c)
{
    if (TMI_UNLIKELY(tmi_level_is_over(slab->level, slab->nfree, c->slots)))
        tmi_raw_slab_change_level(slab);
}
static inline void tmi_raw_slab_relevel(tmi_raw_slab_t *slab)
{
    tmi_raw_slab_relevel_of(slab, &tmi_classes[slab->cls]);
}
/* Note pages in use again, or empty now; keeps R2, R5 and the counters. */
void tmi_raw_slab_use_pages(tmi_raw_slab_t *slab, uint64_t pages);
void tmi_raw_slab_note_empty(tmi_raw_slab_t *slab, uint64_t pages); // touched, and not yet noted
static inline void tmi_raw_slab_add_empty(tmi_raw_slab_t *slab, uint64_t pages)
{
    pages &= slab->touched & ~slab->empty;
    if (pages != 0)
        tmi_raw_slab_note_empty(slab, pages);
}
/* Whether all slots that touch this page are free; those of `pages` of which that is true. */
bool tmi_raw_slab_page_free(const tmi_raw_slab_t *slab, unsigned page);
uint64_t tmi_raw_slab_emptied(const tmi_raw_slab_t *slab, uint64_t pages);
/* The pages of the slab have been given back. */
void tmi_raw_slab_forget_empty(tmi_raw_slab_t *slab, uint64_t pages);

#endif
