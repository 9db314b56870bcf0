/* gap.h - gaps and their bins; joining and splitting free pieces. Private to lib/pool; see pool.h for P1 ... P11.
 *
 * Bin k holds the gaps of more than 4^(k-1) and at most 4^k blocks, bin 7 all gaps of more than 4,096. So every gap in
 * a higher bin than that of a request fits it. Gaps are inserted at the front, so that recently freed blocks are used
 * first.
 *
 * The steps of every change: (1) verify, (2) unlink the gaps on both sides (absorb), (3) change entries, (4) close: the
 * blocks between an owner's last block and the next entry become a gap, or part of the wilderness. Between (2) and (4)
 * P3 is suspended. */
#ifndef TMI_POOL_GAP_H
#define TMI_POOL_GAP_H

#include "pool/pool.h"

/* The bin of gaps of `length` blocks; length >= 1. */
TMI_TINY unsigned tmi_bin(ix_t length)
{
#if defined(__GNUC__) && !defined(__AVR__) && (!defined(__ARM_ARCH) || defined(__ARM_FEATURE_CLZ))
    unsigned k = (32u - (unsigned)__builtin_clz(2 * length - 1)) / 2;
    return k < TMI_BINS ? k : TMI_BINS - 1;
#else
    unsigned k = 0;
    while (length > 1 && k < TMI_BINS - 1)
        length = (length + 3) >> 2, k++;
    return k;
#endif
}

TMI_TINY ix_t tmi_owner(const pool_t *p, unsigned w, ix_t gap) { return tmi_load(tmi_address(p, gap), w, OWNER); }

/* Make a gap of `owner` from `begin` to `end`, where the next entry, `next`, begins; begin < end. */
TMI_HOT void tmi_gap_link(pool_t *p, unsigned w, ix_t begin, ix_t owner, ix_t next, ix_t end)
{
    unsigned k = tmi_bin(end - begin);
    ix_t first = p->bins[k];
    unsigned char *gap = tmi_address(p, begin);
    tmi_store(gap, w, OWNER, owner);
    tmi_store(gap, w, BIN_NEXT, first);
    tmi_store(gap, w, BIN_PREV, tmi_none(w));
    tmi_store(tmi_address(p, end) - w, w, 0, begin);
    if (first != tmi_none(w))
        tmi_store(tmi_address(p, first), w, BIN_PREV, begin);
    else
        p->mask |= (uint8_t)(1u << k);
    p->bins[k] = (tm_pool_index_t)begin;
    tmi_set_left(p, next);
    if (TMI_UNLIKELY(
            begin < p->low)) { /* the gap lies where a pass has already been */
        if (p->blocked)
            p->low = 0;
        else if (begin <= p->swept)
            p->low = (tm_pool_index_t)begin;
    }
}

/* Unlink the gap from `begin` to `end`, where entry `next` begins, from its bin. */
TMI_HOT void tmi_gap_unlink(pool_t *p, unsigned w, ix_t begin, ix_t end, ix_t next)
{
    unsigned char *gap = tmi_address(p, begin);
    ix_t after = tmi_load(gap, w, BIN_NEXT), before = tmi_load(gap, w, BIN_PREV);
    if (before != tmi_none(w)) {
        tmi_store(tmi_address(p, before), w, BIN_NEXT, after);
    } else {
        unsigned k = tmi_bin(end - begin);
        p->bins[k] = (tm_pool_index_t)after;
        if (after == tmi_none(w))
            p->mask &= (uint8_t)~(1u << k);
    }
    if (after != tmi_none(w))
        tmi_store(tmi_address(p, after), w, BIN_PREV, before);
    tmi_clear_left(p, next);
}

/* Whether the metadata of the gap [begin, end) agrees with the entries and with its neighbours in the bin. */
TMI_HOT bool tmi_gap_valid(const pool_t *p, unsigned w, ix_t begin, ix_t end)
{
    const unsigned char *gap = tmi_address(p, begin);
    ix_t owner, after, before;
    unsigned state;
    if (begin >= end)
        return false;
    owner = tmi_load(gap, w, OWNER);
    if (owner > p->fresh || tmi_begin(p, w, tmi_next(p, w, owner)) != end || tmi_tag(p, w, end) != begin)
        return false;
    state = tmi_state(p, owner);
    if ((state & NAME) ? state == UNUSED || tmi_begin(p, w, owner) != begin
                       : owner != 0 && tmi_begin(p, w, owner) >= begin)
        return false;
    after = tmi_load(gap, w, BIN_NEXT);
    before = tmi_load(gap, w, BIN_PREV);
    if (after != tmi_none(w) && (after >= p->limit || tmi_load(tmi_address(p, after), w, BIN_PREV) != begin))
        return false;
    if (before == tmi_none(w))
        return p->bins[tmi_bin(end - begin)] == begin;
    return before < p->limit && tmi_load(tmi_address(p, before), w, BIN_NEXT) == begin;
}

#if TM_POOL_VERIFY
#define TMI_GAP_VALID tmi_gap_valid
#else
#define TMI_GAP_VALID(p, w, begin, end) true
#endif

/* Put handle e into the list of unused handles. */
TMI_TINY void tmi_release(pool_t *p, unsigned w, ix_t e)
{
    tmi_set_state(p, e, UNUSED);
    tmi_set_next(p, w, e, p->unused);
    p->unused = (tm_pool_index_t)e;
}

/* Verify the gaps on both sides of object e, and its guard. */
TMI_HOT bool tmi_sides_valid(const pool_t *p, unsigned w, ix_t e)
{
    ix_t begin = tmi_begin(p, w, e), next = tmi_next(p, w, e), end = tmi_begin(p, w, next);
    if (TM_POOL_VERIFY && tmi_state(p, e) == LEFT && !tmi_gap_valid(p, w, tmi_tag(p, w, begin), begin))
        return false;
    if (tmi_state(p, next) == LEFT) {
        ix_t gap = tmi_tag(p, w, end);
        if (TM_POOL_VERIFY && (gap <= begin || !tmi_gap_valid(p, w, gap, end)))
            return false;
        end = gap;
    } else if (TM_POOL_VERIFY && tmi_state(p, next) == NAME && next != p->tail &&
               !tmi_gap_valid(p, w, end, tmi_begin(p, w, tmi_next(p, w, next)))) {
        return false;
    }
    return tmi_guard_holds(p, end);
}

/* Unlink the gap, and the name, to the right of object e, so that next(e) is in use or 0. Returns the block at which
 * the object ends. */
TMI_HOT ix_t tmi_absorb_right(pool_t *p, unsigned w, ix_t e)
{
    ix_t next = tmi_next(p, w, e), end = tmi_begin(p, w, next);
    unsigned state = tmi_state(p, next);
    if (state == LEFT) {
        ix_t gap = tmi_tag(p, w, end);
        tmi_gap_unlink(p, w, gap, end, next);
        return gap;
    }
    if (state == NAME) {
        ix_t after = tmi_next(p, w, next);
        if (next != p->tail)
            tmi_gap_unlink(p, w, end, tmi_begin(p, w, after), after);
        else
            p->tail = (tm_pool_index_t)e;
        tmi_set_next(p, w, e, after);
        tmi_release(p, w, next);
    }
    return end;
}

/* Make the blocks from `begin` to the entry after `owner` free. */
TMI_HOT void tmi_close(pool_t *p, unsigned w, ix_t begin, ix_t owner)
{
    ix_t next = tmi_next(p, w, owner);
    if (next == 0) {
        tmi_set_begin(p, w, 0, begin);
        p->tail = (tm_pool_index_t)owner;
    } else {
        ix_t end = tmi_begin(p, w, next);
        if (end != begin)
            tmi_gap_link(p, w, begin, owner, next, end);
    }
}

/* Insert entry e behind `owner` as an object of `length` blocks from `begin`; the rest up to the next entry becomes
 * free. The gap there has been unlinked. If e was the gap's name (e == owner), it is in the chain already. */
TMI_HOT void tmi_occupy(pool_t *p, unsigned w, ix_t e, ix_t owner, ix_t begin, ix_t length)
{
    if (e != owner) {
        tmi_set_next(p, w, e, tmi_next(p, w, owner));
        tmi_set_next(p, w, owner, e);
        tmi_set_begin(p, w, e, begin);
    }
    tmi_set_state(p, e, USED);
    tmi_close(p, w, begin + length, e);
    tmi_set_guard(p, begin + length);
}

/* Free the blocks of object e and unlink it from the chain. `pred` is the entry before it, or none(w) if unknown; it is
 * not needed if a gap lies between them. The caller has verified both sides, and sets the state of e afterwards.
 * Returns the owner of the free blocks: e itself if e stays in the chain as their name. */
TMI_HOT ix_t tmi_vacate(pool_t *p, unsigned w, ix_t e, ix_t pred)
{
    ix_t begin = tmi_begin(p, w, e), first = begin, owner = e, next;
    if (tmi_state(p, e) == LEFT) {
        first = tmi_tag(p, w, begin);
        owner = tmi_owner(p, w, first);
        tmi_gap_unlink(p, w, first, begin, e);
    } else if (pred != tmi_none(w)) {
        owner = pred;
    } else if (tmi_next(p, w, 0) == e) {
        owner = 0;
    }
    p->used = (tm_pool_index_t)(p->used - (tmi_absorb_right(p, w, e) - begin));
    next = tmi_next(p, w, e);
    if (next == 0)
        p->tail = (tm_pool_index_t)owner;
    tmi_set_next(p, w, owner, next);
    tmi_close(p, w, first, owner);
    if (TMI_UNLIKELY(e == p->cursor || e == p->scan))
        p->cursor = p->scan = p->swept = 0; /* the pass goes back to the start: P9 */
    return owner;
}

#endif
