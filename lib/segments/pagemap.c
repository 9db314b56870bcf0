#include "segments/pagemap.h"
#include "os/os.h"

#include <errno.h>

tmi_pagemap_t tmi_pagemap;
tmi_window_t tmi_windows[TMI_WINDOWS_MAX];
uint32_t tmi_nwindows;

/* Units whose entries are made writable at a time: 64 GiB of addresses, 1 MiB of codes. A window is a number of
 * granules. */
#define GRANULE ((uintptr_t)1 << 20)
#define ALL_UNITS ((uintptr_t)1 << (TMI_ADDRESS_BITS - TMI_UNIT_SHIFT))
#define LARGEST_WINDOW ((uintptr_t)16 * GRANULE) // 1 TiB of addresses, 20 MiB of reservation

_Static_assert(LARGEST_WINDOW / GRANULE <= 32, "a window's granules have a bit each");

static uintptr_t window_units = LARGEST_WINDOW;

/* `codes`, and behind it `segments`. */
static size_t window_bytes(uintptr_t nunits) { return nunits + nunits / TMI_SEGMENT_UNITS * sizeof(tmi_segment_t *); }

void tmi_pagemap_init(void)
{
    size_t share = tmi_os_address_limit() / 16;
    while (window_units > GRANULE && window_bytes(window_units) > share)
        window_units /= 2;
}

/* Units [first, first + nunits) around u, without those of other windows. The kernel maps downwards from the top of the
 * address space, or, if the program has chosen so, upwards from the lower half. Most of the window lies where the next
 * segments will be. */
static void place_window(uintptr_t u, tmi_window_t *w)
{
    uintptr_t first = tmi_round_down(u, GRANULE);
    if (u >= ALL_UNITS / 2)
        first = first > window_units ? first + GRANULE - window_units : 0;
    uintptr_t end = first + window_units < ALL_UNITS ? first + window_units : ALL_UNITS;
    for (uint32_t i = 0; i < tmi_nwindows; i++) {
        const tmi_window_t *other = &tmi_windows[i];
        if (other->first > u && other->first < end)
            end = other->first;
        if (other->first <= u && other->first + other->nunits > first)
            first = other->first + other->nunits;
    }
    w->first = first;
    w->nunits = end - first;
}

static void enter_window(const tmi_window_t *w)
{
    tmi_windows[tmi_nwindows] = *w;
    if (tmi_nwindows == 0) {
        // a thread that frees a block got it after this
        tmi_store_relaxed(&tmi_pagemap.start, w->first << TMI_UNIT_SHIFT);
        tmi_store_relaxed(&tmi_pagemap.codes, w->codes);
        // last, for threads that free foreign pointers
        tmi_store_release(&tmi_pagemap.limit, w->nunits << TMI_SPOTS_SHIFT);
    }
    tmi_store_release(&tmi_nwindows, tmi_nwindows + 1); // pairs: tmi_window_of
}

static int make_window(uintptr_t u)
{
    tmi_window_t w = {0};
    void *p = NULL;
    if (tmi_nwindows == TMI_WINDOWS_MAX)
        return ENOMEM;
    place_window(u, &w);
    int err = tmi_os_reserve(window_bytes(w.nunits), &p);
    if (err != 0)
        return err;
    w.codes = p;
    w.segments = (tmi_segment_t **)(void *)((char *)p + w.nunits);
    enter_window(&w);
    return 0;
}

/* The movable part of one granule. */
static int commit_movable(uintptr_t first)
{
    if (tmi_pagemap.movable == NULL || !tmi_pagemap_covers_movable((void *)(first << TMI_UNIT_SHIFT)))
        return 0;
    return tmi_os_commit(tmi_pagemap.movable + first, GRANULE * sizeof *tmi_pagemap.movable);
}

static int commit_granule(tmi_window_t *w, uintptr_t g)
{
    if (w->committed >> g & 1)
        return 0;
    size_t share = GRANULE / TMI_SEGMENT_UNITS * sizeof(tmi_segment_t *);
    int err = tmi_os_commit(w->codes + g * GRANULE, GRANULE);
    if (err == 0)
        err = tmi_os_commit((char *)w->segments + g * share, share);
    if (err == 0)
        err = commit_movable(w->first + g * GRANULE);
    if (err == 0)
        w->committed |= (uint32_t)1 << g;
    return err;
}

int tmi_pagemap_commit(uintptr_t addr, size_t size)
{
    uintptr_t first = addr >> TMI_UNIT_SHIFT, last = (addr + size - 1) >> TMI_UNIT_SHIFT;
    if (last < first || last >= ALL_UNITS)
        return ENOMEM;
    for (uintptr_t u = first; u <= last; u = tmi_round_down(u, GRANULE) + GRANULE) {
        int err = tmi_window_of(u) != NULL ? 0 : make_window(u);
        if (err != 0)
            return err;
        tmi_window_t *w = &tmi_windows[tmi_window_of(u) - tmi_windows];
        err = commit_granule(w, (u - w->first) / GRANULE);
        if (err != 0)
            return err;
    }
    return 0;
}

/* Without a limit of address space, for all addresses; else for the first window. */
static int reserve_movable(void)
{
    void *p = NULL;
    size_t each = sizeof *tmi_pagemap.movable;
    tmi_pagemap.movable_first = 0;
    tmi_pagemap.movable_units = ALL_UNITS;
    int err = tmi_os_address_limit() == SIZE_MAX ? tmi_os_reserve(ALL_UNITS * each, &p) : ENOMEM;
    if (err != 0) {
        tmi_pagemap.movable_first = tmi_windows[0].first;
        tmi_pagemap.movable_units = tmi_windows[0].nunits;
        err = tmi_os_reserve(tmi_windows[0].nunits * each, &p);
    }
    if (err == 0) // so that a unit's number is its index
        tmi_pagemap.movable = (uint16_t *)((uintptr_t)p - tmi_pagemap.movable_first * each);
    return err;
}

int tmi_pagemap_init_movable(void)
{
    size_t each = sizeof *tmi_pagemap.movable;
    int err = tmi_nwindows == 0 ? ENOMEM : reserve_movable();
    if (err != 0)
        return err;
    for (uint32_t i = 0; err == 0 && i < tmi_nwindows; i++)
        for (uintptr_t g = 0; err == 0 && g * GRANULE < tmi_windows[i].nunits; g++)
            if (tmi_windows[i].committed >> g & 1)
                err = commit_movable(tmi_windows[i].first + g * GRANULE);
    if (err != 0) {
        (void)tmi_os_unmap(tmi_pagemap.movable + tmi_pagemap.movable_first, tmi_pagemap.movable_units * each);
        tmi_pagemap.movable = NULL;
        tmi_pagemap.movable_units = 0;
    }
    return err;
}

void tmi_pagemap_set_movable(const void *p, size_t nunits, unsigned cls)
{
    uintptr_t u = (uintptr_t)p >> TMI_UNIT_SHIFT;
    for (size_t i = 0; i < nunits; i++)
        tmi_store_relaxed(&tmi_pagemap.movable[u + i], (uint16_t)(cls * 2));
}

/* A span may extend from one window into the next. */
void tmi_pagemap_set_class(const void *p, size_t nunits, unsigned cls)
{
    uintptr_t u = (uintptr_t)p >> TMI_UNIT_SHIFT, end = u + nunits;
    while (u < end) {
        const tmi_window_t *w = tmi_window_of(u);
        for (; u < end && u - w->first < w->nunits; u++)
            tmi_store_release(&w->codes[u - w->first], (uint8_t)(cls * 2)); // pairs: tmi_pagemap_class_of_owner
    }
}

void tmi_pagemap_set_segment(const void *p, tmi_segment_t *segment)
{
    uintptr_t u = (uintptr_t)p >> TMI_UNIT_SHIFT;
    const tmi_window_t *w = tmi_window_of(u);
    tmi_store_relaxed(&w->segments[(u - w->first) / TMI_SEGMENT_UNITS], segment);
}

/* The first mapped segment of one window with a number >= from. */
static uintptr_t next_in_window(const tmi_window_t *w, uintptr_t from)
{
    uintptr_t first = w->first / TMI_SEGMENT_UNITS, end = first + w->nunits / TMI_SEGMENT_UNITS,
              per_granule = GRANULE / TMI_SEGMENT_UNITS;
    for (from = tmi_max(from, first); from < end;) {
        uintptr_t g = (from - first) / per_granule;
        if (!(w->committed >> g & 1))
            from = first + (g + 1) * per_granule;
        else if (tmi_load_relaxed(&w->segments[from - first]) != NULL)
            return from;
        else
            from++;
    }
    return TMI_PAGEMAP_SEGMENTS;
}

uintptr_t tmi_pagemap_next_segment(uintptr_t from)
{
    uintptr_t next = TMI_PAGEMAP_SEGMENTS;
    for (uint32_t i = 0; i < tmi_load_acquire(&tmi_nwindows); i++) // pairs: enter_window
        next = tmi_min(next, next_in_window(&tmi_windows[i], from));
    return next;
}

#if TMI_TEST_HOOKS
void tmi_pagemap_set_window(uintptr_t nunits) { window_units = tmi_max(tmi_round_down(nunits, GRANULE), GRANULE); }
#endif
