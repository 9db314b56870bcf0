/* chain.c - see chain.h. */
#include "pool/chain.h"

#if TM_POOL_JUMP
TMI_POOL_SHARED ix_t tmi_pool_tries(const pool_t *p)
{
    ix_t n = p->fresh, tries = 1;
    while (tries < n / tries)
        tries += tries / 2 + 1;
    return n < 16 ? 0 : tries;
}

TMI_POOL_SHARED ix_t tmi_pool_near(const pool_t *p, ix_t begin, ix_t tries)
{
    const unsigned w = TMI_WIDTH(p);
    ix_t best = 0, best_begin = 0, step = p->fresh / (tries + 1) | 1, e = p->fresh;
    for (; tries > 0 && e > 0; tries--, e = e > step ? e - step : 0) {
        ix_t its = tmi_begin(p, w, e);
        if (!(tmi_state(p, e) & NAME) && its < begin && its >= best_begin) {
            best = e;
            best_begin = its;
        }
    }
    return best;
}
#endif

TMI_POOL_SHARED ix_t tmi_pool_pred(const pool_t *p, ix_t e)
{
    const unsigned w = TMI_WIDTH(p);
#if TM_POOL_JUMP
    ix_t pred = tmi_pool_near(p, tmi_begin(p, w, e), tmi_pool_tries(p)), next;
#else
    ix_t pred = 0, next;
#endif
    while ((next = tmi_next(p, w, pred)) != e)
        pred = next;
    return pred;
}

TMI_POOL_SHARED void tmi_pool_unname(pool_t *p, ix_t pred)
{
    const unsigned w = TMI_WIDTH(p);
    ix_t name = tmi_next(p, w, pred);
    if (name == p->tail)
        p->tail = (tm_pool_index_t)pred;
    else
        tmi_store(tmi_address(p, tmi_begin(p, w, name)), w, OWNER, pred);
    tmi_set_next(p, w, pred, tmi_next(p, w, name));
    tmi_release(p, w, name);
}

TMI_POOL_SHARED void tmi_pool_slide(pool_t *p, ix_t e)
{
    const unsigned w = TMI_WIDTH(p);
    const ix_t begin = tmi_begin(p, w, e), gap = tmi_tag(p, w, begin);
    ix_t length;
    tmi_gap_unlink(p, w, gap, begin, e);
    length = tmi_absorb_right(p, w, e) - begin;
    memmove(tmi_address(p, gap), tmi_address(p, begin), length * p->block_size);
    tmi_set_begin(p, w, e, gap);
    tmi_close(p, w, gap + length, e);
}

#if TM_POOL_JUMP
/* The name of the wilderness, or of a gap at the front of a bin, where new names are. 0: none of these has a name. */
static ix_t find_name(const pool_t *p, unsigned w)
{
    ix_t name = p->tail;
    unsigned k;
    for (k = 0; k < TMI_BINS && tmi_state(p, name) != NAME; k++) {
        if (p->mask >> k & 1) {
            name = tmi_owner(p, w, p->bins[k]);
            if (name > p->fresh || tmi_begin(p, w, name) != p->bins[k])
                name = 0;
        }
    }
    return tmi_state(p, name) == NAME ? name : 0;
}
#endif

TMI_POOL_SHARED TMI_COLD void tmi_pool_recover(pool_t *p)
{
    const unsigned w = TMI_WIDTH(p);
    ix_t pred = 0;
#if TM_POOL_JUMP
    ix_t name = find_name(p, w);
    if (name != 0)
        pred = tmi_pool_pred(p, name);
#endif
    while (tmi_state(p, tmi_next(p, w, pred)) != NAME)
        pred = tmi_next(p, w, pred);
    tmi_pool_unname(p, pred);
}
