/* realloc.c - resize an object; its handle stays.
 *
 * Four ways are tried in order: in place, with free blocks on the right; sliding left into the gap there; moving to a
 * gap or the wilderness; and, with TM_POOL_COMPACT, all of these again after compaction. None needs a spare handle. */
#include "pool/place.h"
#include "pool/quick.h"

/* The block up to which e can grow in place: where the next object begins. */
static ix_t room_end(const pool_t *p, unsigned w, ix_t e)
{
    ix_t next = tmi_next(p, w, e);
    if (next != 0 && tmi_state(p, next) == NAME)
        next = tmi_next(p, w, next);
    return next == 0 ? p->limit : tmi_begin(p, w, next);
}

/* Move e to another place, which does not border on it. */
static void move(pool_t *p, unsigned w, ix_t e, const tmi_place_t *place, ix_t old, ix_t need)
{
    ix_t begin = tmi_begin(p, w, e), owner = place->owner, pred = tmi_none(w);
    if (tmi_state(p, owner) == NAME) {
        owner = tmi_pool_pred(p, owner);
        tmi_pool_unname(p, owner);
    }
    if (tmi_state(p, e) != LEFT)
        pred = tmi_pool_pred(p, e);
    if (place->gap)
        tmi_gap_unlink(p, w, place->begin, place->end, tmi_next(p, w, owner));
    memcpy(tmi_address(p, place->begin), tmi_address(p, begin), old * p->block_size);
    tmi_vacate(p, w, e, pred);
    tmi_occupy(p, w, e, owner, place->begin, need);
    p->used = (tm_pool_index_t)(p->used + need);
}

/* Slide e into the gap to its left. */
static void slide_left(pool_t *p, unsigned w, ix_t e, ix_t owner)
{
    if (tmi_state(p, owner) == NAME)
        tmi_pool_unname(p, tmi_pool_pred(p, owner));
    tmi_pool_slide(p, e);
    if (e == p->cursor)
        p->swept = (tm_pool_index_t)tmi_begin(p, w, e);
}

static tm_pool_error_t resize(pool_t *p, ix_t e, ix_t need)
{
    const unsigned w = TMI_WIDTH(p);
    ix_t begin = tmi_begin(p, w, e), old, room;
    tmi_place_t place;
    tm_pool_error_t error;
    if (!tmi_sides_valid(p, w, e))
        return TM_POOL_CORRUPT;
    old = tmi_end(p, w, e) - begin;
    room = room_end(p, w, e) - begin;
    if (need > room) {
        ix_t gap = tmi_state(p, e) == LEFT ? tmi_tag(p, w, begin) : begin;
        if (p->npins != 0 && tmi_pool_pinned(p, e))
            return TM_POOL_PINNED;
        if (need > room + begin - gap) {
            error = tmi_find(p, w, need, &place, begin + room == p->limit ? old : 0);
            if (error == TM_POOL_OK)
                move(p, w, e, &place, old, need);
            return error;
        }
        slide_left(p, w, e, tmi_owner(p, w, gap));
        begin = gap;
    }
    if (need != old) {
        tmi_absorb_right(p, w, e);
        tmi_close(p, w, begin + need, e);
        tmi_set_guard(p, begin + need);
        p->used = (tm_pool_index_t)(p->used + need - old);
    }
    return TM_POOL_OK;
}

tm_pool_error_t tm_pool_realloc(pool_t *p, tm_pool_handle_t handle, size_t size)
{
    ix_t e = tmi_index(p, handle), need = tmi_blocks(p, size);
    tm_pool_error_t error;
    TMI_SHELVE(p);
    if (e == 0)
        return tmi_pool_fail(p, TM_POOL_BAD_HANDLE);
    if (need == 0)
        return tmi_pool_fail(p, TM_POOL_BAD_SIZE);
    error = resize(p, e, need);
    if (error != TM_POOL_OK && tmi_pool_relieve(p, error))
        error = resize(p, e, need);
    if (error != TM_POOL_OK)
        return tmi_pool_fail(p, error);
    if (p->used > p->peak)
        p->peak = p->used;
    if (p->blocked)
        p->low = 0; /* the smaller object may fit a hole */
    return TM_POOL_OK;
}
