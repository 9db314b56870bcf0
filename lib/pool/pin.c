/* pin.c - pins, and questions about one object.
 *
 * The list of pins has the object's index once for each pin, so pins nest without counters. The list is short and is
 * searched linearly. Free, resizing and compaction read it; interrupt handlers that use a pinned object do not. */
#include "pool/quick.h"

/* The position of the last pin of e in the list, counted from 1; 0: e is not pinned. */
static ix_t last_pin(const pool_t *p, ix_t e)
{
    const unsigned w = TMI_WIDTH(p);
    ix_t i = p->npins;
    while (i > 0 && tmi_load(p->pins, w, i - 1) != e)
        i--;
    return i;
}

TMI_POOL_SHARED bool tmi_pool_pinned(const pool_t *p, ix_t e) { return last_pin(p, e) != 0; }

void *tm_pool_pin(tm_pool_t *p, tm_pool_handle_t handle)
{
    ix_t e = tmi_index(p, handle);
    if (e == 0 || p->npins == p->max_pins) {
        tmi_pool_fail(p, e == 0 ? TM_POOL_BAD_HANDLE : TM_POOL_NO_PINS);
        return NULL;
    }
    tmi_store(p->pins, TMI_WIDTH(p), p->npins++, e);
    return tmi_address(p, tmi_begin(p, TMI_WIDTH(p), e));
}

tm_pool_error_t tm_pool_unpin(tm_pool_t *p, tm_pool_handle_t handle)
{
    const unsigned w = TMI_WIDTH(p);
    ix_t e = tmi_index(p, handle), i;
    if (e == 0)
        return tmi_pool_fail(p, TM_POOL_BAD_HANDLE);
    i = last_pin(p, e);
    if (i == 0)
        return tmi_pool_fail(p, TM_POOL_NOT_PINNED);
    p->npins--;
    tmi_store(p->pins, w, i - 1, tmi_load(p->pins, w, p->npins));
    if (p->blocked) /* an earlier pass met an object that could not move; it may be this one */
        p->low = 0;
    return TM_POOL_OK;
}

bool tm_pool_valid(const tm_pool_t *p, tm_pool_handle_t handle) { return tmi_index(p, handle) != 0; }

void *tm_pool_ptr(const tm_pool_t *p, tm_pool_handle_t handle)
{
    ix_t e = tmi_index(p, handle);
    return e == 0 ? NULL : tmi_address(p, tmi_begin(p, TMI_WIDTH(p), e));
}

size_t tm_pool_sizeof(const tm_pool_t *p, tm_pool_handle_t handle)
{
    const unsigned w = TMI_WIDTH(p);
    ix_t e = tmi_index(p, handle);
    return e == 0 ? 0 : (tmi_end(p, w, e) - tmi_begin(p, w, e)) * p->block_size - TMI_GUARD;
}

tm_pool_error_t tm_pool_check(const tm_pool_t *p, tm_pool_handle_t handle)
{
    ix_t e = tmi_index(p, handle);
    TMI_SHELVE(p);
    return e == 0 ? TM_POOL_BAD_HANDLE : tmi_sides_valid(p, TMI_WIDTH(p), e) ? TM_POOL_OK : TM_POOL_CORRUPT;
}
