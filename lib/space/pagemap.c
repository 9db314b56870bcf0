#include "space/pagemap.h"
#include "host/os.h"

#include <errno.h>
#include <string.h>

tmi_pagemap_t tmi_pagemap;

/* Bytes of `codes` that are made writable at a time: one covers 128 GiB of addresses. A window is a number of granules. */
#define GRANULE ((size_t)2 << 20)
#define ALL_UNITS ((uintptr_t)1 << (TMI_ADDRESS_BITS - TMI_UNIT_SHIFT))
#define SMALLEST_WINDOW ((uintptr_t)8 << 20) // 512 GiB of addresses

_Static_assert(SMALLEST_WINDOW % GRANULE == 0, "a window is a number of granules");
_Static_assert(ALL_UNITS / GRANULE / 64 <= 64, "committed bits fit their array");

static uint64_t committed[ALL_UNITS / GRANULE / 64 + 1];

/* codes, and behind it segments: nunits + nunits / 32 * 8 bytes. */
static size_t window_bytes(uintptr_t nunits) { return nunits + nunits / TMI_SEGMENT_UNITS * sizeof(tmi_segment_t *); }

int tmi_pagemap_init(void)
{
    void *p = NULL;
    int err = ENOMEM;
    uintptr_t nunits = ALL_UNITS;
    size_t share = tmi_os_address_limit() / 16;
    while (nunits > SMALLEST_WINDOW && window_bytes(nunits) > share)
        nunits /= 4;
    while (nunits >= SMALLEST_WINDOW && (err = tmi_os_reserve(window_bytes(nunits), &p)) != 0)
        nunits /= 4;
    if (err != 0)
        return err;
    tmi_pagemap.codes = p;
    tmi_pagemap.segments = (tmi_segment_t **)(void *)((char *)p + nunits);
    tmi_pagemap.nunits = nunits;
    return 0;
}

void *tmi_pagemap_hint(void)
{
    return tmi_pagemap.nunits == ALL_UNITS ? NULL : (void *)(tmi_pagemap.nunits / 4 << TMI_UNIT_SHIFT);
}

static int commit_granule(size_t g)
{
    uint64_t bit = (uint64_t)1 << (g % 64);
    if (committed[g / 64] & bit)
        return 0;
    size_t share = GRANULE / TMI_SEGMENT_UNITS * sizeof(tmi_segment_t *);
    int err = tmi_os_commit(tmi_pagemap.codes + g * GRANULE, GRANULE);
    if (err == 0)
        err = tmi_os_commit((char *)tmi_pagemap.segments + g * share, share);
    if (err == 0 && tmi_pagemap.movable != NULL)
        err = tmi_os_commit(tmi_pagemap.movable + g * GRANULE, GRANULE * sizeof *tmi_pagemap.movable);
    if (err == 0)
        committed[g / 64] |= bit;
    return err;
}

int tmi_pagemap_init_movable(void)
{
    void *p = NULL;
    size_t each = sizeof *tmi_pagemap.movable;
    int err = tmi_pagemap.nunits == 0 ? ENOMEM : tmi_os_reserve(tmi_pagemap.nunits * each, &p);
    for (size_t g = 0; err == 0 && g < tmi_pagemap.nunits / GRANULE; g++)
        if (committed[g / 64] >> (g % 64) & 1)
            err = tmi_os_commit((char *)p + g * GRANULE * each, GRANULE * each);
    if (err == 0)
        tmi_pagemap.movable = p;
    else if (p != NULL)
        (void)tmi_os_unmap(p, tmi_pagemap.nunits * each);
    return err;
}

int tmi_pagemap_prepare(uintptr_t addr, size_t size)
{
    uintptr_t first = addr >> TMI_UNIT_SHIFT;
    uintptr_t last = (addr + size - 1) >> TMI_UNIT_SHIFT;
    if (last < first || last >= tmi_pagemap.nunits)
        return ENOMEM;
    for (size_t g = first / GRANULE; g <= last / GRANULE; g++) {
        int err = commit_granule(g);
        if (err != 0)
            return err;
    }
    return 0;
}

void tmi_pagemap_set_movable(const void *p, size_t nunits, unsigned cls)
{
    uintptr_t u = (uintptr_t)p >> TMI_UNIT_SHIFT;
    for (size_t i = 0; i < nunits; i++)
        tmi_store_relaxed(&tmi_pagemap.movable[u + i], (uint16_t)(cls * 2));
}

void tmi_pagemap_set_class(const void *p, size_t nunits, unsigned cls)
{
    uintptr_t u = (uintptr_t)p >> TMI_UNIT_SHIFT;
    for (size_t i = 0; i < nunits; i++)
        tmi_store_relaxed(&tmi_pagemap.codes[u + i], (uint8_t)(cls * 2));
}

void tmi_pagemap_set_segment(const void *p, tmi_segment_t *segment)
{
    uintptr_t u = (uintptr_t)p >> TMI_UNIT_SHIFT;
    tmi_store_relaxed(&tmi_pagemap.segments[u / TMI_SEGMENT_UNITS], segment);
}

uintptr_t tmi_pagemap_next_segment(uintptr_t from)
{
    uintptr_t per_granule = GRANULE / TMI_SEGMENT_UNITS, end = tmi_pagemap.nunits / TMI_SEGMENT_UNITS;
    while (from < end) {
        size_t g = from / per_granule;
        if (!(committed[g / 64] >> (g % 64) & 1))
            from = (g + 1) * per_granule;
        else if (tmi_load_relaxed(&tmi_pagemap.segments[from]) != NULL)
            return from;
        else
            from++;
    }
    return end;
}
