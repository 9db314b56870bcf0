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

/* Whether R7 makes the class sparse. */
bool tmi_raw_must_be_sparse(unsigned cls);
/* Update `sparse` and the rests of the class (R7). */
void tmi_raw_judge(unsigned cls);

/* A new slab with all slots free, in its level. NULL: out of memory. The caller holds the class lock. */
tmi_raw_slab_t *tmi_raw_slab_make(unsigned cls);
/* Remove the slab from its class and free its record. The caller owns its span from now on. */
void tmi_raw_slab_drop(tmi_raw_slab_t *slab);
/* Turn a slab whose slots are all free into a free span. */
void tmi_raw_slab_release(tmi_raw_slab_t *slab);
/* Move the slab to the list of its level (R4). The inline functions below first find out without a division whether it
 * is there already. */
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
/* Record that these pages are in use, or that they are empty. Both keep R2, R5 and the counters. */
void tmi_raw_slab_use_pages(tmi_raw_slab_t *slab, uint64_t pages);
void tmi_raw_slab_note_empty(tmi_raw_slab_t *slab, uint64_t pages); // all touched, none recorded as empty
static inline void tmi_raw_slab_add_empty(tmi_raw_slab_t *slab, uint64_t pages)
{
    pages &= slab->touched & ~slab->empty;
    if (pages != 0)
        tmi_raw_slab_note_empty(slab, pages);
}
/* Whether all slots that touch this page are free; and the subset of `pages` for which that is true. */
bool tmi_raw_slab_page_free(const tmi_raw_slab_t *slab, unsigned page);
uint64_t tmi_raw_slab_emptied(const tmi_raw_slab_t *slab, uint64_t pages);
/* Record that these empty pages have been purged. */
void tmi_raw_slab_forget_empty(tmi_raw_slab_t *slab, uint64_t pages);

#endif
