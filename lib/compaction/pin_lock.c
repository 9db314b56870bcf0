/* Locks: pins whose count is kept with the object, in the attributes of its slot or extent. */
#include "compaction/pin.h"
#include "slabs/movable.h"

#include <errno.h>

static bool in_slab(const void *object) { return tmi_pagemap_movable(object) != TMI_MCLASS_LARGE; }

static uint32_t *attributes_of(const void *object, bool make)
{
    if (!in_slab(object)) {
        tmi_extent_require_held(object);
        return &tmi_span_of(object)->attributes;
    }
    return tmi_movable_attributes(object, make);
}

int tmi_pin_lock(const void *object)
{
    uint32_t *a = attributes_of(object, true);
    if (a == NULL)
        return ENOMEM;
    uint32_t old = tmi_load_relaxed(a); // relaxed: the compare-and-swap decides
    do
        if ((old & TMI_LOCKS_MASK) == TMI_LOCKS_MASK)
            return EOVERFLOW;
    while (!tmi_cas_acq_rel(a, &old, old + 1)); // [model: lock_count] before the pin ends, P6; pairs: scan_count
    if (old == 0 && in_slab(object))
        tmi_movable_watch(object);
    return 0;
}

bool tmi_pin_unlock(const void *object, bool pinned)
{
    uint32_t *a = attributes_of(object, false);
    if (a == NULL)
        return false;
    uint32_t old = tmi_load_relaxed(a); // relaxed: the compare-and-swap decides
    do
        if ((old & TMI_LOCKS_MASK) == 0)
            return false;
    // [model: unlock_count] our accesses before the count falls; pairs: scan_count
    while (!tmi_cas_release(a, &old, old - 1));
    if (old == 1 && pinned && in_slab(object)) // without a pin the slab may have been released by now
        tmi_movable_unwatch(object);
    return true;
}

uint32_t tmi_pin_locks(const void *object)
{
    const uint32_t *a = attributes_of(object, false);
    // [model: scan_count] after the slots; pairs: lock_count, unlock_count
    return a == NULL ? 0 : tmi_load_acquire(a) & TMI_LOCKS_MASK;
}
