#include "slabs/large.h"
#include "os/counters.h"
#include "os/os.h"
#include "segments/sizeclass_movable.h"

#include <string.h>

// for smaller objects copying is cheaper than mremap with its TLB flushes
#define MOVE_MIN ((size_t)1 << 20)
// larger objects are worth a further entry in the process's list of mappings
#define MOVE_ALWAYS ((size_t)32 << 20)
enum { MOVES_OF_SMALLER = 4096 };          // how many moves of smaller objects may split a mapping
#define PURGE_MIN ((size_t)32 << 20)       // as in glibc, where so large a block is a mapping of its own
#define TAIL_MIN ((size_t)16 << 10)        // bytes behind an object in its last unit: fewer are not worth a system call
#define HEADROOM_UNITS_MAX ((size_t)256)   // 16 MiB

static size_t pages_of(size_t size) { return tmi_round_up(size, tmi_os_page_size); }
static size_t units_of(size_t bytes) { return tmi_round_up(bytes, TMI_UNIT_SIZE) >> TMI_UNIT_SHIFT; }

/* The class of the extent's units in malloc's part of the page map. */
static unsigned class_of(tmi_extent_kind_t kind) { return kind == TMI_EXTENT_RAW ? TMI_CLASS_LARGE : TMI_CLASS_NONE; }
static unsigned tail_of(tmi_extent_kind_t kind)
{
    return kind == TMI_EXTENT_RAW ? TMI_CLASS_LARGE_TAIL : TMI_CLASS_NONE;
}

/* Add to the counters, modulo 2^64: negated numbers subtract. */
static void count(tmi_extent_kind_t kind, size_t bytes, size_t objects)
{
    if (kind == TMI_EXTENT_RAW) {
        tmi_count(large_bytes, bytes);
        tmi_count(large_count, objects);
    } else {
        tmi_count(extent_bytes, bytes);
        tmi_count(extent_count, objects);
    }
}

/* Relaxed: other threads read it under the space lock, to answer questions about pointers. */
static void set_bytes(tmi_extent_kind_t kind, tmi_span_t *span, size_t bytes)
{
    count(kind, bytes - span->bytes, 0);
    tmi_store_relaxed(&span->bytes, bytes);
}

static size_t slack_of(const tmi_span_t *span) { return (size_t)span->slack << tmi_os_page_shift; }

/* Set how many bytes of the span, beside the object, may be resident. */
static void set_slack(tmi_extent_kind_t kind, tmi_span_t *span, size_t bytes)
{
    size_t pages = tmi_min(bytes >> tmi_os_page_shift, UINT16_MAX), more = (pages - span->slack) << tmi_os_page_shift;
    if (TMI_LIKELY(more == 0))
        return;
    span->slack = (uint16_t)pages;
    if (kind == TMI_EXTENT_RAW)
        tmi_count(large_slack_bytes, more); // modulo 2^64: also downwards
    else
        tmi_count(extent_slack_bytes, more);
}

/* Set that number to `bytes`, or to all bytes beside the object if they are fewer. */
static void limit_slack(tmi_extent_kind_t kind, tmi_span_t *span, size_t bytes)
{
    set_slack(kind, span, tmi_min(bytes, span->nunits * TMI_UNIT_SIZE - span->bytes));
}

/* The offset of the next object in its slack: successive objects start at successive pages. */
static size_t next_shift(size_t slack)
{
    static uint32_t turn;
    size_t steps = slack / tmi_os_page_size + 1;
    return tmi_add_relaxed(&turn, 1) % steps * tmi_os_page_size; // relaxed: any value will do
}

static void *make_extent(tmi_extent_kind_t kind, char *base, size_t shift, size_t bytes)
{
    tmi_span_t *span = tmi_span_of(base);
    span->slack = 0;
    tmi_store_relaxed(&span->owner, (void *)(base + shift)); // relaxed: see set_bytes
    tmi_store_relaxed(&span->bytes, bytes);
    count(kind, bytes, 1);
    if (kind == TMI_EXTENT_MOVABLE)
        tmi_pagemap_set_movable(base, 1, TMI_MCLASS_LARGE);
    return base + shift;
}

/* Free the span. `resident` bytes of the object may be resident. */
static void give_back(tmi_extent_kind_t kind, void *p, size_t resident)
{
    tmi_span_t *span = tmi_span_of(p);
    resident += slack_of(span);
    set_slack(kind, span, 0);
    count(kind, -span->bytes, -(size_t)1);
    if (kind == TMI_EXTENT_MOVABLE)
        tmi_pagemap_set_movable(p, 1, TMI_MCLASS_NONE);
    tmi_store_relaxed(&span->owner, NULL);
    tmi_space_free(tmi_unit_of(p), span->nunits, resident);
}

/* A span. NULL: out of memory, or movable objects may not lie there. */
static char *new_span(tmi_extent_kind_t kind, size_t nunits, size_t align_units, bool *dirty)
{
    char *base = tmi_space_alloc(nunits, align_units, class_of(kind), tail_of(kind), dirty);
    if (base == NULL)
        return NULL;
    if (kind == TMI_EXTENT_RAW || tmi_pagemap_covers_movable(base)) {
        tmi_space_filled(base, nunits);
        return base;
    }
    tmi_space_free_noted(base, nunits);
    return NULL;
}

/* From PURGE_MIN on, pages are purged instead of cleared, since a program may write to few pages of a large block. */
static void clear(char *p, size_t size, size_t bytes)
{
    if (size < PURGE_MIN || tmi_os_purge(p, bytes) != 0)
        memset(p, 0, size);
}

void *tmi_extent_alloc(tmi_extent_kind_t kind, size_t size, size_t align, bool zero)
{
    size_t bytes = pages_of(tmi_max(size, 1)), nunits = units_of(bytes);
    size_t align_units = align > TMI_UNIT_SIZE ? align >> TMI_UNIT_SHIFT : 1;
    bool dirty;
    char *base = new_span(kind, nunits, align_units, &dirty);
    if (base == NULL)
        return NULL;
    size_t slack = nunits * TMI_UNIT_SIZE - bytes;
    bool cut = kind == TMI_EXTENT_MOVABLE && dirty && slack >= TAIL_MIN; // a small extent, whose slack would count
    size_t shift = align > tmi_os_page_size || cut ? 0 : next_shift(slack);
    char *p = make_extent(kind, base, shift, bytes);
    if (dirty && (!cut || tmi_space_purge_pages(p + bytes, slack) != 0)) // not cut, or the kernel refused
        set_slack(kind, tmi_span_of(p), slack);
    if (zero && dirty)
        clear(p, size, bytes);
    return p;
}

void tmi_extent_free(tmi_extent_kind_t kind, void *p) { give_back(kind, p, tmi_span_of(p)->bytes); }

static void shrink(tmi_extent_kind_t kind, void *p, tmi_span_t *span, size_t bytes)
{
    char *base = tmi_unit_of(p);
    size_t before = (size_t)((char *)p - base), keep = units_of(before + bytes), less = span->bytes - bytes;
    // bytes behind the object in the units it keeps, and how many of them it used before
    size_t rest = keep * TMI_UNIT_SIZE - before - bytes, left = tmi_min(less, rest);
    set_bytes(kind, span, bytes); // first: E2
    if (keep < span->nunits)
        tmi_space_shorten(base, span->nunits, keep, less > left ? less - left : tmi_min(less, tmi_os_page_size));
    bool purge = less >= (kind == TMI_EXTENT_MOVABLE ? TAIL_MIN : TMI_UNIT_SIZE) && rest >= TAIL_MIN;
    if (purge && tmi_space_purge_pages((char *)p + bytes, rest) == 0) // if the kernel refuses, they stay resident
        limit_slack(kind, span, tmi_min(slack_of(span), before));
    else
        limit_slack(kind, span, slack_of(span) + left);
}

bool tmi_extent_resize(tmi_extent_kind_t kind, void *p, size_t size)
{
    tmi_span_t *span = tmi_span_of(p);
    size_t bytes = pages_of(size);
    if (bytes <= span->bytes) {
        shrink(kind, p, span, bytes);
        return true;
    }
    char *base = tmi_unit_of(p);
    size_t wanted = units_of((size_t)((char *)p - base) + bytes);
    bool longer = wanted > span->nunits, dirty;
    if (longer && !tmi_space_extend(base, span->nunits, wanted, tail_of(kind), &dirty))
        return false;
    if (longer)
        tmi_space_filled(base, wanted);
    set_bytes(kind, span, bytes); // last: E2
    limit_slack(kind, span, longer && dirty ? SIZE_MAX : slack_of(span));
    return true;
}

/* ---- moving by pages --------------------------------------------------------------------------------------------- */

static bool worth_moving(size_t bytes)
{
    return bytes >= MOVE_ALWAYS || (bytes >= MOVE_MIN && tmi_counter(moves) < MOVES_OF_SMALLER);
}

/* Reserve additional address space, since the object is likely to grow further. It is not resident. */
static char *span_with_headroom(tmi_extent_kind_t kind, size_t bytes)
{
    bool dirty;
    size_t nunits = units_of(bytes) + tmi_min(units_of(bytes) * 2, HEADROOM_UNITS_MAX);
    char *base = new_span(kind, nunits, 1, &dirty);
    if (base == NULL)
        return new_span(kind, units_of(bytes), 1, &dirty);
    if (dirty)
        (void)tmi_space_purge_pages(base + bytes, nunits * TMI_UNIT_SIZE - bytes); // if refused, pages stay resident
    return base;
}

void *tmi_extent_room(tmi_extent_kind_t kind, const void *p, size_t size)
{
    size_t bytes = pages_of(size);
    if (!worth_moving(tmi_span_of(p)->bytes))
        return NULL;
    char *base = span_with_headroom(kind, bytes);
    return base == NULL ? NULL : make_extent(kind, base, 0, bytes);
}

bool tmi_extent_move(tmi_extent_kind_t kind, void *p, void *room)
{
    if (tmi_os_move(p, room, tmi_span_of(p)->bytes) != 0) {
        give_back(kind, room, tmi_span_of(room)->bytes); // the span may be dirty
        return false;
    }
    tmi_count(moves, 1);
    return true;
}

/* Free the span that the object was moved out of. It has no resident pages, except perhaps pages of a former object in
 * the slack. */
void tmi_extent_free_moved(tmi_extent_kind_t kind, void *p)
{
    const tmi_span_t *span = tmi_span_of(p);
    bool filled = span->nunits * TMI_UNIT_SIZE == span->bytes;
    give_back(kind, p, filled ? 0 : tmi_os_page_size);
}

/* ---- the raw heap's ---------------------------------------------------------------------------------------------- */

void *tmi_large_alloc(size_t size, size_t align, bool zero)
{
    return tmi_extent_alloc(TMI_EXTENT_RAW, size, align, zero);
}
// relaxed: a guess is enough to describe misuse
bool tmi_large_valid(const void *p) { return tmi_load_relaxed(&tmi_span_of(p)->owner) == p; }
// relaxed: the caller's object
size_t tmi_large_usable(const void *p) { return tmi_load_relaxed(&tmi_span_of(p)->bytes); }
void tmi_large_free(void *p) { tmi_extent_free(TMI_EXTENT_RAW, p); }

void *tmi_large_resize(void *p, size_t size)
{
    if (tmi_extent_resize(TMI_EXTENT_RAW, p, size))
        return p;
    void *room = tmi_extent_room(TMI_EXTENT_RAW, p, size);
    if (room == NULL || !tmi_extent_move(TMI_EXTENT_RAW, p, room))
        return NULL;
    tmi_extent_free_moved(TMI_EXTENT_RAW, p);
    return room;
}
