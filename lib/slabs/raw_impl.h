/* raw_impl.h - what the files of the raw module share: one slab and its pages. */
#ifndef TMI_SLABS_RAW_IMPL_H
#define TMI_SLABS_RAW_IMPL_H

#include "os/os.h"
#include "slabs/raw.h"

/* The slab that holds p, whose page map class is a slot class. */
static inline tmi_raw_slab_t *tmi_raw_slab_of(const void *p) { return tmi_span_of(p)->owner; }

static inline unsigned tmi_raw_slab_words(const tmi_class_info_t *c) { return (c->slots + 63) / 64; }

/* Those bits of word w of a bitmap that are in [from, to]; w is one of from / 64 to to / 64. */
static inline uint64_t tmi_bits_of_range(size_t w, size_t from, size_t to)
{
    uint64_t bits = w == from / 64 ? ~tmi_low_bits(from % 64) : ~(uint64_t)0;
    return w == to / 64 ? bits & tmi_low_bits(to % 64 + 1) : bits;
}

/* Bits of the OS pages that slot `i` touches. */
static inline uint64_t tmi_slot_pages(const tmi_class_info_t *c, size_t i)
{
    unsigned first = (unsigned)(i * c->size >> tmi_os_page_shift);
    unsigned last = (unsigned)(((i + 1) * c->size - 1) >> tmi_os_page_shift);
    return tmi_low_bits(last + 1) & ~tmi_low_bits(first);
}

/* What R7 says of the class; and make it so. */
bool tmi_raw_must_be_sparse(unsigned cls);
void tmi_raw_judge(unsigned cls);

/* A new slab with all slots free, in its level. NULL: out of memory. Caller holds the class lock. */
tmi_raw_slab_t *tmi_raw_slab_make(unsigned cls);
/* The slab leaves its class; what it holds is somebody else's. */
void tmi_raw_slab_drop(tmi_raw_slab_t *slab);
/* A slab whose slots are all free becomes a free span. */
void tmi_raw_slab_release(tmi_raw_slab_t *slab);
/* Put the slab into the list that its nfree asks for (R4). Whether it is there is told without a division. */
void tmi_raw_slab_change_level(tmi_raw_slab_t *slab);
static inline void tmi_raw_slab_relevel_of(tmi_raw_slab_t *slab, const tmi_class_info_t *c)
{
    uint32_t slots = c->slots, above = slab->nfree * TMI_RAW_LEVELS - slab->level * slots;
    if (TMI_UNLIKELY(slab->level >= TMI_RAW_LEVELS || slab->nfree == 0 || above >= slots))
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
