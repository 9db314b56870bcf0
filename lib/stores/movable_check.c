/* The audit of V1-V6. */
#include "host/report.h"
#include "stores/handle.h"
#include "stores/movable_impl.h"

static bool in_list(const tmi_dlist_t *head, const tmi_dlist_t *node)
{
    for (const tmi_dlist_t *n = head->next; n != head; n = n->next)
        if (n == node)
            return true;
    return false;
}

/* The word of a taken slot's index, if it has this slot's address, names a handle that is live or bound; a free slot is named by no live word. */
static void check_slot(const tmi_mslab_t *slab, uint32_t i)
{
    const char *at = slab->base + (size_t)i * tmi_mclasses[slab->cls].size;
    bool is_free = slab->free[i / 64] >> (i % 64) & 1;
    uint64_t w = tmi_handle_readable(slab->refs[i]) ? tmi_load_relaxed(tmi_word(slab->refs[i])) : 0;
    bool named = tmi_word_address(w) == at;
    tmi_audit(!(is_free && named), "V4 a word names a free slot", at);
    tmi_audit(!named || is_free || (slab->touched & tmi_mslot_pages(&tmi_mclasses[slab->cls], i)) != 0,
              "V3 a taken slot is in an untouched page", at);
}

static void check_slab(const tmi_mslab_t *slab, unsigned cls)
{
    const tmi_class_info_t *c = &tmi_mclasses[cls];
    size_t nfree = 0;
    for (unsigned w = 0; w < tmi_mslab_words(c); w++) {
        nfree += tmi_popcount(slab->free[w]);
        tmi_audit(w >= slab->hint || slab->free[w] == 0, "V1 free bit below the hint", slab->base);
    }
    if (c->slots % 64 != 0)
        tmi_audit((slab->free[c->slots / 64] & ~tmi_low_bits(c->slots % 64)) == 0, "V1 bit past the last slot", slab->base);
    tmi_audit(slab->cls == cls && nfree == slab->nfree, "V1 nfree differs from the bitmap", slab->base);
    tmi_audit(slab->nfree < c->slots, "V2 slab without a taken slot", slab->base);
    tmi_audit(tmi_movable_class(slab->base) == cls && tmi_pagemap_class(slab->base) == TMI_CLASS_NONE, "M1 class of a movable slab", slab->base);
    for (uint32_t i = 0; i < c->slots; i++)
        check_slot(slab, i);
}

void tmi_movable_check(unsigned cls)
{
    const tmi_mslabs_t *s = &tmi_mslabs[cls];
    size_t nfree = 0;
    if (s->tidy.next == NULL)
        return;
    for (unsigned l = 0; l < TMI_MOVABLE_LEVELS; l++) {
        tmi_audit(tmi_dlist_empty(&s->levels[l]) == !(s->nonempty >> l & 1), "V2 the set of levels", s);
        for (const tmi_dlist_t *n = s->levels[l].next; n != &s->levels[l]; n = n->next) {
            const tmi_mslab_t *slab = TM_CONTAINER_OF(n, tmi_mslab_t, level_link);
            tmi_audit(slab->level == l && !slab->emptying, "V2 a slab in the list of its level", slab->base);
            check_slab(slab, cls);
            nfree += slab->nfree;
        }
    }
    tmi_audit(nfree == s->nfree, "V1 free slots of the class", s);
    tmi_audit(s->touched_bytes <= s->nslabs * tmi_mclasses[cls].units * TMI_UNIT_SIZE, "V3 touched bytes of the class", s);
    for (const tmi_dlist_t *n = s->tidy.next; n != &s->tidy; n = n->next)
        tmi_audit(TM_CONTAINER_OF(n, tmi_mslab_t, tidy_link)->cls == cls && in_list(&s->tidy, n), "V6 a slab in the tidy list", s);
}
