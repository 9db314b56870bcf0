#include "slabs/movable_large.h"

tmi_lock_t tmi_extent_lock = TMI_LOCK_OF(TMI_RANK_EXTENT);

void *tmi_movable_large_alloc(size_t size, size_t align, bool zero, uint32_t index)
{
    void *p = tmi_extent_alloc(TMI_EXTENT_MOVABLE, size, align, zero);
    if (p == NULL)
        return NULL;
    tmi_span_t *span = tmi_span_of(p);
    // published with the word
    tmi_store_relaxed(&span->index, index);
    tmi_store_relaxed(&span->attributes, (uint32_t)tmi_log2(tmi_max(align, 1)) << TMI_ALIGN_SHIFT); // the same
    return p;
}

bool tmi_movable_large_resize(void *p, size_t size, size_t align, void (*publish)(void *context, char *to),
                              void *context)
{
    if (tmi_extent_resize(TMI_EXTENT_MOVABLE, p, size))
        return true;
    // the new place would be aligned to a unit only
    void *room = align > TMI_UNIT_SIZE ? NULL : tmi_extent_room(TMI_EXTENT_MOVABLE, p, size);
    if (room == NULL)
        return false;
    const tmi_span_t *from = tmi_span_of(p);
    tmi_store_relaxed(&tmi_span_of(room)->index, from->index); // published with the word
    tmi_store_relaxed(&tmi_span_of(room)->attributes, tmi_load_relaxed(&from->attributes));
    tmi_lock(&tmi_extent_lock);
    bool moved = tmi_extent_move(TMI_EXTENT_MOVABLE, p, room);
    if (moved)
        publish(context, room);
    tmi_unlock(&tmi_extent_lock);
    if (moved)
        tmi_extent_free_moved(TMI_EXTENT_MOVABLE, p);
    return moved;
}
