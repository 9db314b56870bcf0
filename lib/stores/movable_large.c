#include "stores/movable_large.h"
#include "host/counters.h"

/* From malloc's books to ours; back when it goes to large.c again. */
static void adopt(void *p, size_t count)
{
    size_t bytes = tmi_large_usable(p);
    tmi_pagemap_set_class(tmi_unit_start(p), tmi_span_of(p)->nunits, TMI_CLASS_NONE);
    tmi_pagemap_set_movable(p, 1, TMI_MCLASS_LARGE);
    tmi_discount(large_bytes, bytes);
    tmi_discount(large_count, count);
    tmi_count(extent_bytes, bytes);
    tmi_count(extent_count, count);
}

static void hand_back(void *p, size_t count)
{
    size_t bytes = tmi_large_usable(p);
    tmi_pagemap_set_movable(p, 1, TMI_MCLASS_NONE);
    tmi_discount(extent_bytes, bytes);
    tmi_discount(extent_count, count);
    tmi_count(large_bytes, bytes);
    tmi_count(large_count, count);
}


void *tmi_movable_large_alloc(size_t size, size_t align, bool zero, uint32_t index)
{
    void *p = tmi_large_alloc(size, align, zero);
    if (p == NULL)
        return NULL;
    tmi_span_t *span = tmi_span_of(p);
    span->index = index;
    tmi_store_relaxed(&span->attributes, (uint32_t)tmi_log2(tmi_max(align, 1)) << TMI_ALIGN_SHIFT); // published with the word
    adopt(p, 1);
    return p;
}

void tmi_movable_large_free(void *p)
{
    hand_back(p, 1);
    tmi_large_free(p);
}

void *tmi_movable_large_resize(void *p, size_t size, size_t align)
{
    uint32_t index = tmi_span_of(p)->index, attributes = tmi_load_relaxed(&tmi_span_of(p)->attributes);
    if (align > TMI_UNIT_SIZE && size > tmi_large_usable(p))
        return NULL; // the pages might go to a place that is aligned less
    hand_back(p, 0);
    void *q = tmi_large_resize(p, size), *now = q ? q : p;
    tmi_span_of(now)->index = index;
    tmi_store_relaxed(&tmi_span_of(now)->attributes, attributes);
    adopt(now, 0);
    return q;
}
