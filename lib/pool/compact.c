/* compact.c - slide objects together, a bounded step at a time.
 *
 * Idea: a pass walks along the chain. Up to `cursor` all work is done. If a gap follows the cursor, the object after
 * the gap slides into it and becomes the cursor. The gap is then on the object's other side, joined with the free
 * blocks there. It moves on in this way until it becomes part of the wilderness. If the object cannot move (it is
 * pinned, or too large for the limits of the step), the gap is a *hole*: later objects are examined (`scan` is the last
 * one that did not fit), and the first that fits is moved into the hole. Then the pass continues behind the hole.
 *
 * When a pass meets a name, it knows the entry before it, so it releases the name's handle.
 *
 * All state is in the head of the pool, so the next step continues the pass, whatever happens in between. If the object
 * at cursor or scan is freed or moved, the pass returns to the start (tmi_vacate). If a gap appears before the cursor,
 * `low` is lowered to it (tmi_gap_link), and the next pass begins there; if holes were left (`blocked`), the next pass
 * begins at the start. If there is no gap, or `low` is none at the end of a pass, nothing can be gained, and a step
 * returns in constant time.
 *
 * Budget: every piece of work is paid for before it is done, so the limits of a step are never exceeded. */
#include "pool/chain.h"
#include "pool/quick.h"

/* The most entries examined by one move; and by a step before it can continue with the object of the step before. */
enum { MOVE = 16, OVERHEAD = 8 };
typedef enum outcome { STOP, GO_ON, END } outcome_t;

typedef struct budget {
    size_t whole, left;    /* bytes */
    uint32_t since, ticks; /* ticks 0: no limit of time */
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

/* Whether a whole step can pay for moving that many bytes. */
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

/* Whether object e, of that many bytes, can be moved. If not, a hole may remain that a later pass fills. The caller has
 * paid for the comparison with all pins. */
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
    p->low = (tm_pool_index_t)low; /* this pass will visit the new gap */
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

/* Examine one more object that may fit the hole between the cursor and `next`. */
static outcome_t scan_on(pool_t *p, unsigned w, budget_t *b, ix_t next)
{
    ix_t pred = p->scan, e, length;
    size_t bytes;
    if (!pay(p, b, 4 * TM_POOL_VISIT_COST + p->npins))
        return STOP;
    e = tmi_next(p, w, pred);
    if (e == 0) { /* no object fits: the hole remains */
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

/* Do one piece of a pass. */
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

/* Whether a pass with this budget can gain anything. Constant time. */
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
        p->low = 0; /* an object that was too large for earlier limits can move now */
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
