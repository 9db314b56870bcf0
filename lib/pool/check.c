/* check.c - verify every invariant of pool.h without trusting any metadata.
 *
 * First the chain is walked, and the entries are compared with the gaps' own metadata. Then bins, the list of handles,
 * pins and cursors are compared with the counts of the walk. Needs no memory. The result is the number of the first
 * invariant that does not hold. */
#include "pool/gap.h"

#if TM_POOL_AUDIT

typedef struct census {
    ix_t entries, names, objects, blocks, gaps, tail;
    bool cursor, scan; /* whether the walk has met them; scan counts only after cursor */
} census_t;

static bool head_sound(const pool_t *p)
{
    size_t metadata = (size_t)((const unsigned char *)p->pins - (const unsigned char *)(p + 1));
    return metadata == ((size_t)p->handles + 1) * 2 * TMI_WIDTH(p) && p->block_size == (size_t)1 << p->shift &&
           p->flags == p->pins + (size_t)p->max_pins * TMI_WIDTH(p) && p->fresh <= p->handles && p->base > p->flags &&
           tmi_filled(p->base - TMI_SENTINEL, TMI_SENTINEL_BYTE) &&
           tmi_filled(tmi_address(p, p->limit), TMI_SENTINEL_BYTE);
}

/* The state of entry e. The recent object counts as in use, although it has the flags of a name (P11). */
static unsigned state_of(const pool_t *p, ix_t e) { return e != 0 && e == p->recent ? USED : tmi_state(p, e); }

static bool recent_sound(const pool_t *p, unsigned w)
{
    const ix_t e = p->recent;
    return e == 0 || (e <= p->fresh && tmi_state(p, e) == NAME && tmi_next(p, w, e) <= p->fresh &&
                      tmi_state(p, tmi_next(p, w, e)) == USED);
}

/* Check the blocks from entry `e` to the next entry: an object and possibly a gap, or only a gap. */
static unsigned check_stretch(const pool_t *p, unsigned w, ix_t e, ix_t next, census_t *c)
{
    ix_t begin = e ? tmi_begin(p, w, e) : 0, end = tmi_begin(p, w, next);
    const bool name = state_of(p, e) == NAME, gap = state_of(p, next) == LEFT;
    if (name && next == 0)
        return begin == end ? 0 : 5;
    if (name && !gap)
        return 3;
    if (gap) {
        ix_t from = tmi_tag(p, w, end);
        if (from >= end || from < begin || (name ? from != begin : e != 0 && from == begin))
            return 5;
        if (tmi_owner(p, w, from) != e)
            return 5;
        if (next == 0)
            return 3;
        end = from;
        c->gaps++;
    }
    if (name)
        return 0;
    if (e == 0)
        return end == 0 ? 0 : 4;
    c->blocks += end - begin;
    return end == begin ? 2 : tmi_guard_holds(p, end) ? 0 : 10;
}

static unsigned check_chain(const pool_t *p, unsigned w, census_t *c)
{
    ix_t e = 0, next, last = 0;
    if (tmi_begin(p, w, 0) > p->limit)
        return 2;
    if (state_of(p, 0) != USED)
        return 4;
    do {
        unsigned broken;
        next = tmi_next(p, w, e);
        if (next > p->fresh || state_of(p, next) == UNUSED || tmi_begin(p, w, next) > p->limit ||
            c->entries > p->handles)
            return 2;
        if (tmi_begin(p, w, next) < last || (e != 0 && state_of(p, e) != NAME && tmi_begin(p, w, next) == last))
            return 2;
        if (state_of(p, e) == NAME && state_of(p, next) == NAME)
            return 3;
        broken = check_stretch(p, w, e, next, c);
        if (broken)
            return broken;
        last = tmi_begin(p, w, next);
        c->tail = e;
        e = next;
        c->entries += e != 0;
        c->names += state_of(p, e) == NAME;
        c->objects += e != 0 && state_of(p, e) != NAME;
        c->cursor |= e == p->cursor && state_of(p, e) != NAME;
        c->scan |= e == p->scan && state_of(p, e) != NAME && (c->cursor || p->cursor == 0);
    } while (e != 0);
    return c->tail == p->tail ? 0 : 2;
}

static unsigned check_bins(const pool_t *p, unsigned w, const census_t *c)
{
    ix_t gaps = 0, gap, before;
    unsigned k;
    for (k = 0; k < TMI_BINS; k++) {
        if ((p->mask >> k & 1) != (p->bins[k] != tmi_none(w)))
            return 6;
        for (gap = p->bins[k], before = tmi_none(w); gap != tmi_none(w);
             before = gap, gap = tmi_load(tmi_address(p, gap), w, BIN_NEXT)) {
            ix_t owner, end;
            if (gap >= p->limit || gaps++ == c->gaps || (owner = tmi_owner(p, w, gap)) > p->fresh)
                return 6;
            end = tmi_begin(p, w, tmi_next(p, w, owner));
            if (tmi_load(tmi_address(p, gap), w, BIN_PREV) != before || !tmi_gap_valid(p, w, gap, end) ||
                tmi_bin(end - gap) != k)
                return 6;
        }
    }
    return gaps == c->gaps ? 0 : 6;
}

static unsigned check_handles(const pool_t *p, unsigned w, const census_t *c)
{
    ix_t in_list = 0, e;
    for (e = p->unused; e != 0; e = tmi_next(p, w, e))
        if (e > p->fresh || tmi_state(p, e) != UNUSED || in_list++ == p->fresh)
            return 7;
    for (e = (ix_t)p->fresh; e < p->handles;)
        if (tmi_state(p, ++e) != UNUSED)
            return 7;
    return in_list + c->entries == p->fresh && c->objects == p->live && c->blocks == p->used ? 0 : 7;
}

static unsigned check_pins(const pool_t *p, unsigned w)
{
    ix_t i;
    if (p->npins > p->max_pins)
        return 8;
    for (i = 0; i < p->npins; i++) {
        ix_t e = tmi_load(p->pins, w, i);
        if (e == 0 || e > p->fresh || (tmi_state(p, e) & NAME))
            return 8;
    }
    return 0;
}

static unsigned check_pass(const pool_t *p, unsigned w, const census_t *c)
{
    if ((p->cursor != 0 && !c->cursor) || (p->scan != 0 && !c->scan))
        return 9;
    if (p->swept == tmi_none(w))
        return p->cursor == 0 && p->scan == 0 ? 0 : 9;
    return p->swept == (p->cursor ? tmi_begin(p, w, p->cursor) : 0) ? 0 : 9;
}

unsigned tm_pool_check_all(const tm_pool_t *p)
{
    const unsigned w = TMI_WIDTH(p);
    census_t c;
    unsigned broken;
    memset(&c, 0, sizeof c);
    if (!head_sound(p))
        return 1;
    if (!recent_sound(p, w))
        return 11;
    broken = check_chain(p, w, &c);
    if (!broken)
        broken = check_bins(p, w, &c);
    if (!broken)
        broken = check_handles(p, w, &c);
    if (!broken)
        broken = check_pins(p, w);
    return broken ? broken : check_pass(p, w, &c);
}

#endif
