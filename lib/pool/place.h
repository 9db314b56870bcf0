/* place.h - choose the place of a new object: a gap, else the wilderness; or tell why there is none. Private to
 * lib/pool.
 *
 * First fit among the first TM_POOL_TRIES gaps of the request's own bin; then the first gap of a higher bin, where
 * every gap fits; then the rest of its own bin; then the wilderness. So freed blocks are used before the wilderness,
 * and a bin with many gaps that are slightly too short costs little time. */
#ifndef TMI_POOL_PLACE_H
#define TMI_POOL_PLACE_H

#include "pool/chain.h"

typedef struct tmi_place {
    ix_t begin, end; /* of a gap, or of the wilderness */
    ix_t owner;      /* the gap's owner; the owner of the wilderness is `tail` */
    bool gap;
} tmi_place_t;

/* Examine up to `tries` gaps of a bin, from *gap on. True: *gap is the first gap of at least `need` blocks. False: *gap
 * is the gap to continue with, or none(w). The search also ends at a corrupt link. */
TMI_HOT bool tmi_search_bin(const pool_t *p, unsigned w, ix_t *gap, ix_t need, ix_t tries)
{
    for (; *gap < p->limit && tries > 0; tries--) {
        ix_t owner = tmi_owner(p, w, *gap);
        if (owner > p->fresh)
            break;
        if (tmi_begin(p, w, tmi_next(p, w, owner)) - *gap >= need)
            return true;
        *gap = tmi_load(tmi_address(p, *gap), w, BIN_NEXT);
    }
    if (tries > 0)
        *gap = tmi_none(w);
    return false;
}

/* Find a gap for an object of `need` blocks. none(w): there is none. */
TMI_HOT ix_t tmi_find_gap(const pool_t *p, unsigned w, ix_t need)
{
    unsigned k = tmi_bin(need), above;
    ix_t gap = p->bins[k];
    if (gap != tmi_none(w) && tmi_search_bin(p, w, &gap, need, TM_POOL_TRIES ? TM_POOL_TRIES : p->limit))
        return gap;
    above = p->mask >> k >> 1;
    if (above) {
        unsigned higher = k + 1;
        for (; !(above & 1); above >>= 1)
            higher++;
        return p->bins[higher];
    }
    if (TM_POOL_TRIES && gap != tmi_none(w) && tmi_search_bin(p, w, &gap, need, p->limit))
        return gap;
    return tmi_none(w);
}

/* Why there is no room for `need` blocks: FRAGMENTED if compaction could provide it from the free blocks and `freed`
 * more, else NO_MEMORY. */
TMI_POOL_SHARED TMI_COLD tm_pool_error_t tmi_pool_why(const pool_t *p, ix_t need, ix_t freed);

/* Find room for `need` blocks. `freed`: as in tmi_pool_why. */
TMI_HOT tm_pool_error_t tmi_find(const pool_t *p, unsigned w, ix_t need, tmi_place_t *place, ix_t freed)
{
    ix_t gap = p->mask ? tmi_find_gap(p, w, need) : tmi_none(w);
    place->gap = gap != tmi_none(w);
    if (place->gap) {
        place->begin = gap;
        place->owner = tmi_owner(p, w, gap);
        if (TMI_UNLIKELY(place->owner > p->fresh))
            return TM_POOL_CORRUPT;
        place->end = tmi_begin(p, w, tmi_next(p, w, place->owner));
        return TMI_GAP_VALID(p, w, gap, place->end) ? TM_POOL_OK : TM_POOL_CORRUPT;
    }
    place->begin = tmi_begin(p, w, 0);
    place->end = p->limit;
    place->owner = p->tail;
    return TMI_LIKELY(place->end - place->begin >= need) ? TM_POOL_OK : tmi_pool_why(p, need, freed);
}

/* If the pool has the option TM_POOL_COMPACT and `error` is FRAGMENTED: compact and return true, so that the caller
 * tries again. */
TMI_POOL_SHARED bool tmi_pool_relieve(pool_t *p, tm_pool_error_t error);

#endif
