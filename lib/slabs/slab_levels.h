/* slab_levels.h - the slabs of a class that have a free slot, in lists by how full they are.
 *
 * Idea: allocation takes from the fullest slabs, so that the emptiest drain. Lists by eighths are exact enough. A slab
 * changes its list only when it has gained or lost an eighth of its slots. Level 0 is the fullest eighth.
 *
 * Y1  Bit l of nonempty is set exactly when lists[l] has a slab.
 * Y2  A slab whose level is below TMI_LEVELS is in that list; one at TMI_LEVELS is in none.
 *
 * Owner: the class's lock guards all fields. A slab keeps its link and its level in its record. */
#ifndef TMI_SLABS_SLAB_LEVELS_H
#define TMI_SLABS_SLAB_LEVELS_H

#include "base/dlist.h"

enum { TMI_LEVELS = 8 };

typedef struct tmi_levels {
    uint32_t nonempty;             // Y1
    tmi_dlist_t lists[TMI_LEVELS]; // Y2
} tmi_levels_t;

/* Called for a class's first slab, so that a process that allocates little does not touch the lists of all classes. */
void tmi_levels_init(tmi_levels_t *levels);

/* The level of a slab that has nfree free slots of `slots`. */
static inline unsigned tmi_level_for(uint32_t nfree, uint32_t slots)
{
    return nfree == 0 ? TMI_LEVELS : (unsigned)tmi_min(nfree * TMI_LEVELS / slots, TMI_LEVELS - 1);
}

/* Whether `level` may differ from tmi_level_for. Needs no division. Always true for a slab whose slots are all free. */
static inline bool tmi_level_is_over(unsigned level, uint32_t nfree, uint32_t slots)
{
    uint32_t above = nfree * TMI_LEVELS - level * slots;
    return level >= TMI_LEVELS || nfree == 0 || above >= slots;
}

/* Move a slab to the front of the list of level `to`; TMI_LEVELS: out of all lists. */
void tmi_levels_move(tmi_levels_t *levels, tmi_dlist_t *link, uint8_t *level, unsigned to);

/* The link of the slab that entered the fullest, or the emptiest, level last. The caller knows that some level has a
 * slab. */
static inline tmi_dlist_t *tmi_levels_fullest(const tmi_levels_t *levels)
{
    return levels->lists[tmi_lowest_bit(levels->nonempty)].next;
}
static inline tmi_dlist_t *tmi_levels_emptiest(const tmi_levels_t *levels)
{
    return levels->lists[tmi_log2(levels->nonempty)].next;
}

/* Verify Y1, and that each slab is in the list of its level (Y2). Failures are reported with the address `where`. */
void tmi_levels_check(const tmi_levels_t *levels, const void *where) TMI_COLD;
bool tmi_levels_has(const tmi_levels_t *levels, const tmi_dlist_t *link, unsigned level) TMI_COLD;

#endif
