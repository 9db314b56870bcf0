/* alloc.c - allocate and free. */
#include "pool/place.h"
#include "pool/quick.h"

TMI_POOL_SHARED TMI_COLD tm_pool_error_t tmi_pool_fail(pool_t *p, tm_pool_error_t error)
{
    p->error = (uint8_t)error;
    return error;
}

TMI_POOL_SHARED TMI_COLD tm_pool_error_t tmi_pool_why(const pool_t *p, ix_t need, ix_t freed)
{
    const bool compacted =
        p->swept == tmi_none(TMI_WIDTH(p)) && p->low == tmi_none(TMI_WIDTH(p)) && p->skipped == (size_t)-1;
    return need > (ix_t)(p->limit - p->used) + freed || compacted ? TM_POOL_NO_MEMORY : TM_POOL_FRAGMENTED;
}

TMI_POOL_SHARED bool tmi_pool_relieve(pool_t *p, tm_pool_error_t error)
{
    if (error != TM_POOL_FRAGMENTED || !(p->options & TM_POOL_COMPACT))
        return false;
    tm_pool_compact(p);
    return true;
}

/* Take a handle. The caller knows that not all are in use: one is unused, or a name can give up its handle (P7). */
TMI_HOT ix_t tmi_take_handle(pool_t *p, unsigned w)
{
    ix_t e = p->unused;
    if (TMI_UNLIKELY(e == 0)) {
        if (p->fresh < p->handles)
            return ++p->fresh;
        tmi_pool_recover(p);
        e = p->unused;
    }
    p->unused = (tm_pool_index_t)tmi_next(p, w, e);
    return e;
}

/* Allocate an object of `size` bytes. 0: failure, and *error is set. */
TMI_HOT ix_t alloc_size(pool_t *p, unsigned w, size_t size, tm_pool_error_t *error)
{
    ix_t need = tmi_blocks(p, size), e;
    tmi_place_t place;
    *error = need == 0               ? TM_POOL_BAD_SIZE
             : p->live == p->handles ? TM_POOL_NO_HANDLES
                                     : tmi_find(p, w, need, &place, 0);
    if (TMI_UNLIKELY(*error != TM_POOL_OK))
        return 0;
    e = place.owner;
    if (tmi_state(p, e) != NAME) {
        e = tmi_take_handle(p, w);
        place.owner = place.gap ? place.owner : p->tail; /* taking the handle may have changed the tail */
    }
    if (place.gap && TMI_UNLIKELY(p->blocked))
        p->low = 0; /* the new object may fit a hole that a pass could not fill */
    if (place.gap)
        tmi_gap_unlink(p, w, place.begin, place.end, tmi_next(p, w, place.owner));
    tmi_occupy(p, w, e, place.owner, place.begin, need);
    p->used = (tm_pool_index_t)(p->used + need);
    p->live++;
    if (p->used > p->peak)
        p->peak = p->used;
    return e;
}

/* The general case of allocation. */
static TMI_NOINLINE tm_pool_handle_t alloc_any(pool_t *p, size_t size)
{
    tm_pool_error_t error = TM_POOL_OK;
    ix_t e = TMI_BY_WIDTH(p, alloc_size, size, &error);
    if (e == 0 && tmi_pool_relieve(p, error))
        e = TMI_BY_WIDTH(p, alloc_size, size, &error);
    if (e == 0) {
        tmi_pool_fail(p, error);
        return 0;
    }
    return tmi_handle(p, e);
}

#if TMI_FAST
TMI_POOL_SHARED TMI_COLD void tmi_pool_shelve(pool_t *p) { TMI_BY_WIDTH(p, tmi_shelve, p->recent); }

/* Allocate when no recent object has the right length. */
static TMI_NOINLINE tm_pool_handle_t alloc_other(pool_t *p, size_t size)
{
    ix_t e = 0;
    if (p->recent)
        tmi_pool_shelve(p);
    else
        e = TMI_BY_WIDTH(p, tmi_alloc_first, size);
    return TMI_LIKELY(e != 0) ? tmi_handle(p, e) : alloc_any(p, size);
}

tm_pool_handle_t tm_pool_alloc(pool_t *p, size_t size)
{
    ix_t e = TMI_BY_WIDTH(p, tmi_alloc_recent, size);
    return TMI_LIKELY(e != 0) ? tmi_handle(p, e) : alloc_other(p, size);
}
#else
tm_pool_handle_t tm_pool_alloc(pool_t *p, size_t size) { return alloc_any(p, size); }
#endif

tm_pool_handle_t tm_pool_calloc(pool_t *p, size_t n, size_t size)
{
    tm_pool_handle_t handle;
    if (size != 0 && n > (size_t)-1 / size) {
        tmi_pool_fail(p, TM_POOL_BAD_SIZE);
        return 0;
    }
    handle = tm_pool_alloc(p, n * size);
    if (handle != 0)
        memset(tm_pool_at(p, handle), 0, tm_pool_sizeof(p, handle));
    return handle;
}

/* The general case of free. */
TMI_HOT tm_pool_error_t free_in(pool_t *p, unsigned w, tm_pool_handle_t handle)
{
    ix_t e = tmi_index(p, handle);
    if (TMI_UNLIKELY(e == 0))
        return tmi_pool_fail(p, TM_POOL_BAD_HANDLE);
    if (TMI_UNLIKELY(p->npins != 0) && tmi_pool_pinned(p, e))
        return tmi_pool_fail(p, TM_POOL_PINNED);
    if (TMI_UNLIKELY(!tmi_sides_valid(p, w, e)))
        return tmi_pool_fail(p, TM_POOL_CORRUPT);
    if (tmi_vacate(p, w, e, tmi_none(w)) == e)
        tmi_set_state(p, e, NAME);
    else
        tmi_release(p, w, e);
#if TM_POOL_GENERATIONS
    p->generations[e]++;
#endif
    p->live--;
    return TM_POOL_OK;
}

static TMI_NOINLINE tm_pool_error_t free_any(pool_t *p, tm_pool_handle_t handle)
{
    return TMI_BY_WIDTH(p, free_in, handle);
}

#if TMI_FAST
/* Free when the object cannot become the recent one at once: shelve the recent one and try again. */
static TMI_NOINLINE tm_pool_error_t free_other(pool_t *p, tm_pool_handle_t handle)
{
    TMI_SHELVE(p);
    return TMI_BY_WIDTH(p, tmi_free_recent, handle) ? TM_POOL_OK : free_any(p, handle);
}

tm_pool_error_t tm_pool_free(pool_t *p, tm_pool_handle_t handle)
{
    return TMI_LIKELY(TMI_BY_WIDTH(p, tmi_free_recent, handle)) ? TM_POOL_OK : free_other(p, handle);
}
#else
tm_pool_error_t tm_pool_free(pool_t *p, tm_pool_handle_t handle) { return free_any(p, handle); }
#endif
