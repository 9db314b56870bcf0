/* S7: units in which sampled blocks begin. */
#include "segments/segment.h"

unsigned tmi_pagemap_watched_class(const void *p)
{
    return tmi_load_acquire(&tmi_span_of(p)->watched); // never taken back; pairs: tmi_space_set_class
}

static bool is_watched(const void *p) { return tmi_pagemap_code(p) / 2 == TMI_CLASS_WATCHED; }

void tmi_space_watch(const void *p)
{
    tmi_lock(&tmi_space_lock);
    tmi_span_t *unit = tmi_span_of(p);
    if (is_watched(p)) {
        unit->nsampled++;
    } else {
        unit->nsampled = 1;
        tmi_store_relaxed(&unit->watched, (uint8_t)tmi_pagemap_class(p)); // relaxed: the next store releases it
        tmi_pagemap_set_class(p, 1, TMI_CLASS_WATCHED);
    }
    tmi_unlock(&tmi_space_lock);
}

void tmi_space_unwatch(const void *p)
{
    tmi_lock(&tmi_space_lock);
    tmi_span_t *unit = tmi_span_of(p);
    if (is_watched(p) && --unit->nsampled == 0)
        tmi_pagemap_set_class(p, 1, unit->watched);
    tmi_unlock(&tmi_space_lock);
}

void tmi_space_set_class(const void *p, unsigned cls)
{
    tmi_lock(&tmi_space_lock);
    if (is_watched(p))
        tmi_store_release(&tmi_span_of(p)->watched, (uint8_t)cls); // pairs: tmi_pagemap_watched_class
    else
        tmi_pagemap_set_class(p, 1, cls);
    tmi_unlock(&tmi_space_lock);
}
