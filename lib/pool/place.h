/* place.h - where a new object goes: find a gap, else the wilderness; and why there is none. Private to lib/pool.
 *
 * First fit in the request's own bin, for TM_POOL_TRIES gaps; then any gap of a larger bin, all of which fit; then the
 * rest of the own bin; then the wilderness. So freed memory is used before the wilderness, and a short list of near
 * misses does not cost much time. */
#ifndef TMI_POOL_PLACE_H
#define TMI_POOL_PLACE_H

#include "pool/chain.h"

typedef struct tmi_place {
    ix_t begin, end; /* a gap, or the wilderness */
    ix_t owner;      /* the gap's owner; the wilderness' is `tail` */
    bool gap;
} tmi_place_t;

/* Look at up to `tries` gaps of a bin from *gap on. True: *gap is the first of at least `need` blocks. False: it is
 * where the search goes on, or none(w). A list that leads astray ends. */
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

/* The gap for an object of `need` blocks, or none(w). */
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

/* Why there is no room for `need` blocks: NO_MEMORY, or FRAGMENTED if compaction could make it of what is free and
 * `freed` more. */
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

/* With TM_POOL_COMPACT: compact. True if that is worth another try. */
TMI_POOL_SHARED bool tmi_pool_relieve(pool_t *p, tm_pool_error_t error);

#endif
