/* quick.h - fast paths of the most frequent allocations and frees. Private to lib/pool; left out where code size
 * matters more, and in check builds.
 *
 * Idea: a program that frees an object often allocates one of the same length next. So the object freed last, the
 * *recent* one, only gets the state NAME; no gap is made of its blocks yet. The next allocation of the same length
 * reuses it. Any other call *shelves* it first: makes the gap. Only an object with neither a gap nor a name beside it
 * can become recent. So shelving has nothing to verify and cannot fail.
 *
 * P11 `recent` is 0 or an entry of the chain with the state NAME and without a gap. Its blocks are still counted in
 *     `used`, and the object in `live`. No gap ends where it or the next entry begins. All functions except alloc and
 *     free shelve it before they read gaps, names or counts. */
#ifndef TMI_POOL_QUICK_H
#define TMI_POOL_QUICK_H

#include "pool/gap.h"

#if TMI_FAST
/* Turn the blocks of the recent object e into a gap, or part of the wilderness, whose name is e. */
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

/* Unlink the first gap of bin k, which begins at `begin`; `next` is the entry behind it. */
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

/* Whether the first gap of a bin can be unlinked. The caller has verified its owner and end. */
TMI_HOT bool tmi_first_valid(const pool_t *p, unsigned w, ix_t gap)
{
    ix_t after = tmi_load(tmi_address(p, gap), w, BIN_NEXT);
    return !TM_POOL_VERIFY ||
           (tmi_load(tmi_address(p, gap), w, BIN_PREV) == tmi_none(w) &&
            (after == tmi_none(w) || (after < p->limit && tmi_load(tmi_address(p, after), w, BIN_PREV) == gap)));
}

/* Allocate in the first gap of its bin if that has a name and exactly the right length; or, if there is no gap, in the
 * wilderness if it has a name. 0: not possible, take the general case. */
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
    p->live++; /* no need to check the number of handles: the name's handle is not live */
    used = p->used + need;
    p->used = (tm_pool_index_t)used;
    if (used > p->peak)
        p->peak = (tm_pool_index_t)used;
    return e;
}

/* Allocate in the place of the recent object. 0: there is none, or it has another length. */
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

/* Free an object that has no free blocks on either side, by making it the recent one. False: not possible, or there is
 * a recent one already; take the general case. */
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

/* Shelve the recent object, for functions that read gaps. The cast from const is safe: no pool object is const, since
 * tm_pool_init writes it. */
TMI_POOL_SHARED TMI_COLD void tmi_pool_shelve(pool_t *p);
#define TMI_SHELVE(p) ((p)->recent ? tmi_pool_shelve((pool_t *)(p)) : (void)0)
#else
#define TMI_SHELVE(p) ((void)0)
#endif

#endif
