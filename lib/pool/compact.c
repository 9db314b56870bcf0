/* compact.c - slide objects together, a bounded step at a time.
 *
 * Idea: a pass goes along the chain. `cursor` is the last entry behind which nothing is left to do. If a gap follows
 * it, the object behind the gap slides into it and becomes the cursor; the gap is then on its other side, joined with
 * what was free there, and is pushed on until it becomes wilderness. If that object cannot move (pinned, or too large
 * for the bound), objects further on are looked at (`scan` is the last one that did not do) and the first that fits is
 * moved into the hole; then the pass goes on behind the hole.
 *
 * A pass meets every name with the entry before it at hand, and gives the handle back.
 *
 * All state is in the head, so a pass goes on in the next step, whatever happened in between: an object that is freed
 * or moved while cursor or scan sends the pass back to the start (tmi_vacate), a gap that appears behind the cursor
 * lowers `low` (tmi_gap_link), and the next pass begins there, or, if holes were left (`blocked`), at the start. When
 * there is no gap, or `low` is none at the end of a pass, nothing is to be gained: a step says so in constant time.
 *
 * Budget: every piece of work is paid for before it is done, so a bound is never exceeded. */
#include "pool/chain.h"
#include "pool/quick.h"

enum {
    MOVE = 16,
    OVERHEAD = 8
}; /* looks at most: in one move; in finding again what was to be moved, at the start of a step */
typedef enum outcome { STOP, GO_ON, END } outcome_t;

typedef struct budget {
    size_t whole, left;    /* bytes */
    uint32_t since, ticks; /* ticks 0: no bound in time */
} budget_t;

static bool pay(const pool_t *p, budget_t *b, size_t cost)
{
    if (cost > b->left)
        return false;
    if (b->ticks) {
        uint32_t spent = p->clock(p->clock_context) - b->since;
        if (spent >= b->ticks || cost / p->bytes_per_tick > b->ticks - spent)
            return false;
    }
    b->left -= cost;
    return true;
}

static bool pay_looks(const pool_t *p, budget_t *b, size_t looks) { return pay(p, b, looks * TM_POOL_VISIT_COST); }

/* Could a step that does nothing else pay for moving that many bytes? */
static bool affordable(const pool_t *p, const budget_t *b, size_t bytes)
{
    size_t cost = (MOVE + OVERHEAD) * TM_POOL_VISIT_COST + p->npins;
    if (bytes > b->whole || b->whole - bytes < cost)
        return false;
    return b->ticks == 0 || bytes / p->bytes_per_tick < b->ticks / 2;
}

static void rest(pool_t *p)
{
    p->swept = (tm_pool_index_t)tmi_none(TMI_WIDTH(p));
    p->cursor = p->scan = 0;
}

static void advance(pool_t *p, unsigned w, ix_t e)
{
    p->cursor = (tm_pool_index_t)e;
    p->swept = (tm_pool_index_t)tmi_begin(p, w, e);
    p->scan = 0;
}

/* May an object of that many bytes be moved? If not, holes may remain, and be filled in a later pass. Its pins are paid
 * for. */
static bool movable(pool_t *p, const budget_t *b, ix_t e, size_t bytes)
{
    const bool pinned = p->npins != 0 && tmi_pool_pinned(p, e);
    if (!pinned && affordable(p, b, bytes))
        return true;
    if (!pinned && bytes < p->skipped)
        p->skipped = bytes;
    p->blocked = 1;
    return false;
}

static outcome_t corrupt(pool_t *p)
{
    tmi_pool_fail(p, TM_POOL_CORRUPT);
    rest(p);
    return END;
}

static void moved(pool_t *p, size_t bytes)
{
    TM_POOL_ON_MOVE(p, bytes);
    p->moved += bytes;
}

static outcome_t slide(pool_t *p, unsigned w, ix_t e, size_t bytes)
{
    const ix_t low = p->low;
    if (!tmi_sides_valid(p, w, e))
        return corrupt(p);
    tmi_pool_slide(p, e);
    advance(p, w, e);
    p->low = (tm_pool_index_t)low; /* this pass visits the gap made now */
    moved(p, bytes);
    return GO_ON;
}

/* Move e, which comes after `pred`, into the hole between the cursor and `next`. */
static outcome_t fill(pool_t *p, unsigned w, ix_t e, ix_t pred, ix_t next, size_t bytes)
{
    const ix_t owner = p->cursor, end = tmi_begin(p, w, next), hole = tmi_tag(p, w, end), used = p->used, low = p->low;
    if (!tmi_sides_valid(p, w, e) || (TM_POOL_VERIFY && !tmi_gap_valid(p, w, hole, end)))
        return corrupt(p);
    tmi_gap_unlink(p, w, hole, end, next);
    memcpy(tmi_address(p, hole), tmi_address(p, tmi_begin(p, w, e)), bytes);
    tmi_vacate(p, w, e, pred);
    tmi_occupy(p, w, e, owner, hole, used - p->used);
    p->used = (tm_pool_index_t)used;
    advance(p, w, e);
    p->scan = (tm_pool_index_t)pred;
    p->low = (tm_pool_index_t)low;
    moved(p, bytes);
    return GO_ON;
}

/* Look at one more object that might fill the hole between the cursor and `next`. */
static outcome_t scan_on(pool_t *p, unsigned w, budget_t *b, ix_t next)
{
    ix_t pred = p->scan, e, length;
    size_t bytes;
    if (!pay(p, b, 4 * TM_POOL_VISIT_COST + p->npins))
        return STOP;
    e = tmi_next(p, w, pred);
    if (e == 0) { /* the hole stays */
        advance(p, w, next);
        return GO_ON;
    }
    if (tmi_state(p, e) == NAME) {
        tmi_pool_unname(p, pred);
        return GO_ON;
    }
    length = tmi_end(p, w, e) - tmi_begin(p, w, e);
    bytes = length * p->block_size;
    if (length <= tmi_begin(p, w, next) - tmi_tag(p, w, tmi_begin(p, w, next)) && movable(p, b, e, bytes))
        return pay(p, b, MOVE * TM_POOL_VISIT_COST + bytes) ? fill(p, w, e, pred, next, bytes) : STOP;
    p->scan = (tm_pool_index_t)e;
    return GO_ON;
}

/* One piece of a pass. */
static outcome_t go_on(pool_t *p, unsigned w, budget_t *b)
{
    ix_t next;
    size_t bytes;
    if (!pay_looks(p, b, 1))
        return STOP;
    next = tmi_next(p, w, p->cursor);
    if (next == 0)
        return END;
    if (tmi_state(p, next) == NAME) {
        if (!pay_looks(p, b, 2))
            return STOP;
        tmi_pool_unname(p, p->cursor);
        return GO_ON;
    }
    if (tmi_state(p, next) != LEFT) {
        advance(p, w, next);
        return GO_ON;
    }
    if (p->scan != 0)
        return scan_on(p, w, b, next);
    if (!pay(p, b, TM_POOL_VISIT_COST + p->npins))
        return STOP;
    bytes = (tmi_end(p, w, next) - tmi_begin(p, w, next)) * p->block_size;
    if (movable(p, b, next, bytes))
        return pay(p, b, MOVE * TM_POOL_VISIT_COST + bytes) ? slide(p, w, next, bytes) : STOP;
    p->scan = (tm_pool_index_t)next;
    return GO_ON;
}

static void begin_pass(pool_t *p, unsigned w, budget_t *b)
{
    p->cursor = p->scan = p->swept = 0;
    if (p->low == 0) {
        p->skipped = (size_t)-1;
        p->blocked = 0;
    }
#if TM_POOL_JUMP
    else if (pay_looks(p, b, tmi_pool_tries(p))) {
        ix_t e = tmi_pool_near(p, p->low, tmi_pool_tries(p));
        if (e != 0)
            advance(p, w, e);
    }
#else
    (void)b;
#endif
    p->low = (tm_pool_index_t)tmi_none(w);
}

/* Is there anything to gain, under this budget? Constant time. */
static bool worthwhile(pool_t *p, unsigned w, const budget_t *b)
{
    if (p->used == tmi_begin(p, w, 0)) { /* no gap */
        rest(p);
        p->low = (tm_pool_index_t)tmi_none(w);
        p->skipped = (size_t)-1;
        return false;
    }
    if (!affordable(p, b, 0))
        return false;
    if (p->swept == tmi_none(w) && p->low == tmi_none(w) && p->skipped != (size_t)-1 && affordable(p, b, p->skipped))
        p->low = 0; /* what was too large for an earlier bound */
    return p->swept != tmi_none(w) || p->low != tmi_none(w);
}

static bool run(pool_t *p, budget_t *b)
{
    const unsigned w = TMI_WIDTH(p);
    outcome_t outcome = GO_ON;
    while (worthwhile(p, w, b)) {
        if (p->swept == tmi_none(w))
            begin_pass(p, w, b);
        while (outcome == GO_ON)
            outcome = go_on(p, w, b);
        if (outcome == STOP)
            return true;
        if (p->swept == tmi_none(w))
            return false; /* corrupt */
        rest(p);
        outcome = GO_ON;
    }
    return false;
}

bool tm_pool_compact_step(tm_pool_t *p, size_t bytes, uint32_t ticks)
{
    budget_t b;
    TMI_SHELVE(p);
    b.whole = b.left = bytes ? bytes : (size_t)-1;
    b.ticks = p->clock ? ticks : 0;
    b.since = b.ticks ? p->clock(p->clock_context) : 0;
    return run(p, &b);
}

size_t tm_pool_compact(tm_pool_t *p)
{
    size_t before = p->moved;
    tm_pool_compact_step(p, 0, 0);
    return p->moved - before;
}
