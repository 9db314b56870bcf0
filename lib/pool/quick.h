/* quick.h - the most frequent allocations and frees. Private to lib/pool; absent where code size matters more, and in
 * check builds.
 *
 * Idea: a program that frees an object often allocates one of the same length next. So the last object freed, the
 * *recent* one, stays as it is, except for its flag: no gap is made of it before somebody asks for something else. Only
 * an object with neither a gap nor a name beside it can be recent, so that nothing needs to be verified, and shelving
 * it, when the time has come, cannot fail.
 *
 * P11 `recent` is 0 or an entry of the chain with the flags of a name and no gap: its blocks are still counted in
 *     `used`, it in `live`, and no gap ends where it or the entry after it begins. All functions but alloc and free
 *     shelve it before they look at gaps, names or counts. */
#ifndef TMI_POOL_QUICK_H
#define TMI_POOL_QUICK_H

#include "pool/gap.h"

#if TMI_FAST
/* Make a gap, or part of the wilderness, of the recent object; it is the name. */
TMI_HOT void tmi_shelve(pool_t *p, unsigned w, ix_t e)
{
    const ix_t next = tmi_next(p, w, e), begin = tmi_begin(p, w, e), end = tmi_begin(p, w, next);
    p->recent = 0;
    p->used = (tm_pool_index_t)(p->used - (end - begin));
    p->live--;
    if (next == 0)
        tmi_set_begin(p, w, 0, begin);
    else
        tmi_gap_link(p, w, begin, e, next, end);
}

/* Take the first gap of bin k out of it, where entry `next` begins behind it. */
TMI_HOT void tmi_gap_unlink_first(pool_t *p, unsigned w, ix_t begin, unsigned k, ix_t next)
{
    ix_t after = tmi_load(tmi_address(p, begin), w, BIN_NEXT);
    p->bins[k] = (tm_pool_index_t)after;
    if (after != tmi_none(w))
        tmi_store(tmi_address(p, after), w, BIN_PREV, tmi_none(w));
    else
        p->mask &= (uint8_t)~(1u << k);
    tmi_clear_left(p, next);
}

/* The first gap of a bin, its owner and end known to be right: can it be unlinked? */
TMI_HOT bool tmi_first_valid(const pool_t *p, unsigned w, ix_t gap)
{
    ix_t after = tmi_load(tmi_address(p, gap), w, BIN_NEXT);
    return !TM_POOL_VERIFY ||
           (tmi_load(tmi_address(p, gap), w, BIN_PREV) == tmi_none(w) &&
            (after == tmi_none(w) || (after < p->limit && tmi_load(tmi_address(p, after), w, BIN_PREV) == gap)));
}

/* In a named gap that is the first of its bin and fits exactly, or in a wilderness with a name when there is no gap. 0
 * if it is neither, or anything else is to be looked at. */
TMI_HOT ix_t tmi_alloc_first(pool_t *p, unsigned w, size_t size)
{
    const size_t blocks = ((size - 1) >> p->shift) + 1; /* too many for size 0 */
    const ix_t need = (ix_t)blocks;
    ix_t e, begin, used;
    if (p->mask == 0) {
        begin = tmi_begin(p, w, 0);
        e = p->tail;
        if (TMI_UNLIKELY(blocks > (size_t)(p->limit - begin) || tmi_state(p, e) != NAME))
            return 0;
        tmi_set_begin(p, w, 0, begin + need);
    } else {
        ix_t next;
        if (TMI_UNLIKELY(blocks > p->limit || p->blocked))
            return 0;
        begin = p->bins[tmi_bin(need)];
        if (begin == tmi_none(w))
            return 0;
        e = tmi_owner(p, w, begin);
        if (e > p->fresh || tmi_begin(p, w, e) != begin || tmi_state(p, e) != NAME)
            return 0;
        next = tmi_next(p, w, e);
        if (tmi_begin(p, w, next) != begin + need || !tmi_first_valid(p, w, begin))
            return 0;
        tmi_gap_unlink_first(p, w, begin, tmi_bin(need), next);
    }
    tmi_clear_name(p, e);
    p->live++; /* a name was free: not all handles are live */
    used = p->used + need;
    p->used = (tm_pool_index_t)used;
    if (used > p->peak)
        p->peak = (tm_pool_index_t)used;
    return e;
}

/* In the place of the recent object. 0: there is none, or it has another length. */
TMI_HOT ix_t tmi_alloc_recent(pool_t *p, unsigned w, size_t size)
{
    const ix_t e = p->recent;
    const size_t blocks = ((size - 1) >> p->shift) + 1; /* too many for size 0 */
    if (e == 0 || tmi_begin(p, w, tmi_next(p, w, e)) - tmi_begin(p, w, e) != blocks)
        return 0;
    p->recent = 0;
    tmi_clear_name(p, e);
    return e;
}

/* Nothing free on either side: the object becomes the recent one. False if it is not so, there is one, or anything else
 * is to be looked at. */
TMI_HOT bool tmi_free_recent(pool_t *p, unsigned w, tm_pool_handle_t handle)
{
    const ix_t e = (ix_t)TM_POOL_INDEX_OF(handle);
    if (TMI_UNLIKELY(e - 1u >= p->handles || p->recent != 0 || p->npins != 0 || p->swept != tmi_none(w) ||
                     tmi_state(p, e) != USED))
        return false;
#if TM_POOL_GENERATIONS
    if (handle >> (TM_POOL_HANDLE_BITS - 8) != p->generations[e])
        return false;
#endif
    if (tmi_state(p, tmi_next(p, w, e)) != USED)
        return false;
#if TM_POOL_GENERATIONS
    p->generations[e]++;
#endif
    tmi_set_name(p, e);
    p->recent = (tm_pool_index_t)e;
    return true;
}

/* For the others. A pool is never const itself: it is written by tm_pool_init. */
TMI_POOL_SHARED TMI_COLD void tmi_pool_shelve(pool_t *p);
#define TMI_SHELVE(p) ((p)->recent ? tmi_pool_shelve((pool_t *)(p)) : (void)0)
#else
#define TMI_SHELVE(p) ((void)0)
#endif

#endif
