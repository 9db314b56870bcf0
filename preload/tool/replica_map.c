/* Copying the page map and the segments. The tables are large and mostly untouched; only resident pages are read. */
#include "replica_impl.h"
#include "tool.h"

#include <string.h>
#include <sys/mman.h>

#define GRANULE ((uintptr_t)1 << 20) // in units; the same as in pagemap.c
enum { SEGMENTS_PER_GRANULE = GRANULE / TMI_SEGMENT_UNITS };

/* A table that is unmapped when the next one of its kind is made. */
typedef struct table {
    char *at;
    size_t size;
} table_t;

static table_t codes[TMI_WINDOWS_MAX], segments[TMI_WINDOWS_MAX], movable;
static uintptr_t codes_there[TMI_WINDOWS_MAX], segments_there[TMI_WINDOWS_MAX], movable_there;

static _Noreturn void no_sense(const target_t *t)
{
    tool_fail("process %d: its page map makes no sense: it has been overwritten", (int)t->pid);
}

static void *renew(table_t *t, size_t nbytes)
{
    if (t->at != NULL)
        munmap(t->at, t->size);
    t->at = mmap(NULL, nbytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (t->at == MAP_FAILED)
        tool_fail("no address space for a copy of the page map: %s", tool_size(nbytes));
    t->size = nbytes;
    return t->at;
}

static void fill(const target_t *t, uintptr_t from, char *to, size_t nbytes)
{
    if (mprotect(to, nbytes, PROT_READ | PROT_WRITE) != 0)
        tool_fail("no memory for a copy of the page map: %s", tool_size(nbytes));
    char *piece = replica_alloc(TMI_UNIT_SIZE);
    for (size_t at = 0; at < nbytes;
         at += TMI_UNIT_SIZE) { // through a buffer, so that zero pages stay untouched in the copy, too
        size_t n = tmi_min(TMI_UNIT_SIZE, nbytes - at);
        target_read_present(t, from + at, piece, n);
        for (size_t i = 0; i < n; i += sizeof(uint64_t))
            if (*(uint64_t *)(void *)(piece + i) != 0)
                memcpy(to + at + i, piece + i, sizeof(uint64_t));
    }
}

static void copy_granule(const target_t *t, const tmi_window_t *w, unsigned i, uintptr_t g)
{
    size_t share = SEGMENTS_PER_GRANULE * sizeof(tmi_segment_t *), each = sizeof *tmi_pagemap.movable;
    uintptr_t first = w->first + g * GRANULE;
    fill(t, codes_there[i] + g * GRANULE, codes[i].at + g * GRANULE, GRANULE);
    fill(t, segments_there[i] + g * share, segments[i].at + g * share, share);
    if (movable_there != 0 && first - tmi_pagemap.movable_first < tmi_pagemap.movable_units)
        fill(t, movable_there + first * each, (char *)(tmi_pagemap.movable + first), GRANULE * each);
}

static void copy_window(const target_t *t, unsigned i)
{
    tmi_window_t *w = &tmi_windows[i];
    if (w->nunits == 0 || w->nunits > 32 * GRANULE || w->first % GRANULE != 0 ||
        w->first >= TMI_PAGEMAP_SEGMENTS * TMI_SEGMENT_UNITS || w->nunits % GRANULE != 0)
        no_sense(t);
    codes_there[i] = (uintptr_t)w->codes;
    segments_there[i] = (uintptr_t)w->segments;
    w->codes = renew(&codes[i], w->nunits);
    w->segments = renew(&segments[i], w->nunits / TMI_SEGMENT_UNITS * sizeof(tmi_segment_t *));
    for (uintptr_t g = 0; g * GRANULE < w->nunits; g++)
        if (w->committed >> g & 1)
            copy_granule(t, w, i, g);
}

static void renew_movable(const target_t *t)
{
    size_t each = sizeof *tmi_pagemap.movable, all = TMI_PAGEMAP_SEGMENTS * TMI_SEGMENT_UNITS;
    movable_there = (uintptr_t)tmi_pagemap.movable;
    if (movable_there == 0)
        return;
    if (tmi_pagemap.movable_units == 0 || tmi_pagemap.movable_units > all || tmi_pagemap.movable_first > all)
        no_sense(t);
    char *p = renew(&movable, tmi_pagemap.movable_units * each);
    tmi_pagemap.movable = (uint16_t *)((uintptr_t)p - tmi_pagemap.movable_first * each);
}

static tmi_segment_t **entry_of(uintptr_t number)
{
    uintptr_t unit = number * TMI_SEGMENT_UNITS;
    const tmi_window_t *w = tmi_window_of(unit);
    return &w->segments[(unit - w->first) / TMI_SEGMENT_UNITS];
}

static uintptr_t entry_there(uintptr_t number)
{
    uintptr_t unit = number * TMI_SEGMENT_UNITS;
    const tmi_window_t *w = tmi_window_of(unit);
    return segments_there[w - tmi_windows] + (unit - w->first) / TMI_SEGMENT_UNITS * sizeof(tmi_segment_t *);
}

/* Copy the records of all segments, one piece each, and make the page map's entries point to the copies. */
static void copy_segments(const target_t *t)
{
    size_t n = 0, i = 0;
    for (uintptr_t g = tmi_pagemap_next_segment(0); g < TMI_PAGEMAP_SEGMENTS; g = tmi_pagemap_next_segment(g + 1))
        n++;
    struct iovec *pieces = replica_alloc(n * sizeof *pieces);
    void **to = replica_alloc(n * sizeof *to);
    bool *ok = replica_alloc(n * sizeof *ok);
    for (uintptr_t g = tmi_pagemap_next_segment(0); g < TMI_PAGEMAP_SEGMENTS;
         g = tmi_pagemap_next_segment(g + 1), i++) {
        pieces[i] = (struct iovec){*entry_of(g), sizeof(tmi_segment_t)};
        to[i] = *entry_of(g) = replica_alloc(sizeof(tmi_segment_t));
    }
    target_read_many(t, pieces, to, ok, n); // a record that could not be read is all zero: no spans
}

void replica_map(const target_t *t)
{
    if (tmi_nwindows > TMI_WINDOWS_MAX)
        no_sense(t);
    renew_movable(t);
    for (unsigned i = 0; i < tmi_nwindows; i++)
        copy_window(t, i);
    copy_segments(t);
}

bool replica_span_again(const target_t *t, uintptr_t address)
{
    uintptr_t there = 0, number = address >> TMI_SEGMENT_SHIFT;
    tmi_span_t *copy = tmi_span_of((void *)address);
    size_t at = (size_t)((char *)copy - (char *)*entry_of(number));
    return target_read(t, entry_there(number), &there, sizeof there) && there != 0 &&
           target_read(t, there + at, copy, sizeof *copy);
}

/* Clear the pointers from spans to the records of movable slabs: those records have not been copied yet. */
void replica_forget_owners(void)
{
    for (uintptr_t g = tmi_pagemap_next_segment(0); g < TMI_PAGEMAP_SEGMENTS; g = tmi_pagemap_next_segment(g + 1)) {
        const char *start = (const char *)(g << TMI_SEGMENT_SHIFT);
        for (const char *unit = start; unit < start + TMI_SEGMENT_SIZE; unit += TMI_UNIT_SIZE)
            if (tmi_movable_class(unit) != TMI_MCLASS_NONE)
                tmi_span_of(unit)->owner = NULL;
    }
}

void replica_unit_again(const target_t *t, uintptr_t address)
{
    uintptr_t unit = address >> TMI_UNIT_SHIFT;
    const tmi_window_t *w = tmi_window_of(unit);
    (void)target_read(t, codes_there[w - tmi_windows] + (unit - w->first), &w->codes[unit - w->first], 1);
    if (movable_there != 0 && tmi_pagemap_covers_movable((void *)address))
        (void)target_read(t, movable_there + unit * sizeof *tmi_pagemap.movable, &tmi_pagemap.movable[unit],
                          sizeof *tmi_pagemap.movable);
}
