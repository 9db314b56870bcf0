/* Listing the parts of the address space; copying and verifying the records of slabs. */
#include "replica_impl.h"
#include "slabs/movable_impl.h"
#include "slabs/raw_impl.h"
#include "tool.h"

#include <stdlib.h>
#include <unistd.h>

enum { TRIES = 12 };

static size_t popcount_of(const uint64_t *words, size_t n)
{
    size_t bits = 0;
    for (size_t i = 0; i < n; i++)
        bits += tmi_popcount(words[i]);
    return bits;
}

/* ---- kinds --------------------------------------------------------------------------------------------------- */

static void classify(part_t *p)
{
    const void *at = (const void *)p->address;
    unsigned cls = tmi_pagemap_class(at), mcls = tmi_movable_class(at);
    p->kind = PART_UNKNOWN;
    p->cls = 0;
    if (p->span->state == TMI_SPAN_DIRTY || p->span->state == TMI_SPAN_CLEAN) {
        p->kind = p->span->state == TMI_SPAN_DIRTY ? PART_DIRTY : PART_CLEAN;
    } else if (mcls == TMI_MCLASS_LARGE || cls == TMI_CLASS_LARGE) {
        p->kind = mcls == TMI_MCLASS_LARGE ? PART_MOVABLE_LARGE : PART_LARGE;
    } else if (mcls >= TMI_MCLASS_FIRST && mcls <= TMI_MCLASS_LAST) {
        p->kind = PART_MOVABLE;
        p->cls = mcls;
    } else if (cls == TMI_CLASS_MEDIUM) {
        p->kind = PART_MEDIUM;
    } else if (cls == TMI_CLASS_MIXED) {
        p->kind = PART_MIXED;
    } else if (cls >= TMI_CLASS_FIRST && cls <= TMI_CLASS_LAST) {
        p->kind = PART_RAW;
        p->cls = cls;
    }
}

/* The size of a part's record in bytes; 0: it has none. */
static size_t record_bytes(const part_t *p)
{
    switch (p->kind) {
    case PART_RAW: return sizeof(tmi_raw_slab_t) + tmi_bitmap_words(tmi_classes[p->cls].slots) * sizeof(uint64_t);
    case PART_MOVABLE:
        return sizeof(tmi_movable_slab_t) + tmi_bitmap_words(tmi_mclasses[p->cls].slots) * sizeof(uint64_t);
    case PART_MEDIUM: return sizeof(tmi_medium_slab_t);
    case PART_MIXED: return sizeof(tmi_mixed_slab_t);
    default: return 0;
    }
}

static bool raw_fits(const part_t *p, const tmi_raw_slab_t *s)
{
    return s->cls == p->cls && (uintptr_t)s->base == p->address && s->nfree <= tmi_classes[p->cls].slots &&
           popcount_of(s->free, tmi_bitmap_words(tmi_classes[p->cls].slots)) == s->nfree;
}

static bool movable_fits(const part_t *p, const tmi_movable_slab_t *s)
{
    const tmi_class_info_t *c = &tmi_mclasses[p->cls];
    return s->cls == p->cls && (uintptr_t)s->base - c->start == p->address && s->nfree <= c->slots &&
           popcount_of(s->free, tmi_bitmap_words(c->slots)) == s->nfree;
}

static bool medium_fits(const part_t *p, const tmi_medium_slab_t *s)
{
    return s->cls < TMI_MEDIUM_CLASSES && (uintptr_t)s->base == p->address &&
           ((s->free | s->touched) & ~tmi_low_bits(tmi_medium_info[s->cls].slots)) == 0;
}

static bool mixed_fits(const part_t *p, const tmi_mixed_slab_t *s)
{
    return (uintptr_t)s->base == p->address && popcount_of(s->used, TMI_MIXED_WORDS) + s->nfree == TMI_MIXED_GRANULES;
}

static bool fits(const part_t *p, const void *record)
{
    switch (p->kind) {
    case PART_RAW: return raw_fits(p, record);
    case PART_MOVABLE: return movable_fits(p, record);
    case PART_MEDIUM: return medium_fits(p, record);
    case PART_MIXED: return mixed_fits(p, record);
    default: return false;
    }
}

/* ---- the list ------------------------------------------------------------------------------------------------ */

typedef struct walk {
    part_t *parts;
    size_t n, room;
} walk_t;

static part_t *new_part(walk_t *w)
{
    if (w->n == w->room) {
        w->room = w->room * 2 + 1024;
        part_t *more = realloc(w->parts, w->room * sizeof *more);
        if (more == NULL)
            tool_fail("no memory: %zu parts", w->room);
        w->parts = more;
    }
    return &w->parts[w->n++];
}

/* The length of the span at `address` in units, if its first and last records agree (S1), else 0. */
static size_t length_of(uintptr_t address, const tmi_span_t *s)
{
    const void *last = (const void *)(address + (size_t)(s->nunits - 1) * TMI_UNIT_SIZE);
    if (s->nunits == 0 || s->state == TMI_SPAN_NONE || tmi_pagemap_segment(last) == NULL)
        return 0;
    const tmi_span_t *end = tmi_span_of(last);
    return end->nunits == s->nunits && end->state == s->state ? s->nunits : 0;
}

/* Walk over the spans of adjacent segments: each span starts where the one before it ends. At an invalid record the
 * walk continues with the next unit. */
static walk_t walk_spans(bool all)
{
    walk_t w = {NULL, 0, 0};
    uintptr_t next = 0;
    for (uintptr_t g = tmi_pagemap_next_segment(0); g < TMI_PAGEMAP_SEGMENTS; g = tmi_pagemap_next_segment(g + 1)) {
        uintptr_t start = g << TMI_SEGMENT_SHIFT, end = start + TMI_SEGMENT_SIZE;
        for (next = next > start ? next : start; next < end;) {
            tmi_span_t *s = tmi_span_of((void *)next);
            part_t p = {.address = next, .span = s, .nunits = length_of(next, s)};
            classify(&p);
            if (p.nunits > 0 && (all || p.kind == PART_MOVABLE))
                *new_part(&w) = p;
            next += tmi_max(p.nunits, 1) * TMI_UNIT_SIZE;
        }
    }
    return w;
}

/* ---- records ------------------------------------------------------------------------------------------------- */

/* Read the record of one part again, and the page map's entries that lead to it. */
static bool try_again(const target_t *t, part_t *p, void **record)
{
    uintptr_t owner = 0;
    if (!replica_span_again(t, p->address))
        return false;
    owner = (uintptr_t)p->span->owner;
    p->span->owner = NULL;
    replica_unit_again(t, p->address);
    if (length_of(p->address, p->span) != p->nunits)
        return false;
    classify(p);
    size_t nbytes = record_bytes(p);
    if (nbytes == 0)
        return true; // it is no longer a slab
    *record = replica_alloc(nbytes);
    return target_read(t, owner, *record, nbytes) && fits(p, *record);
}

static void set_record(part_t *p, void *record)
{
    p->record = record;
    bool followed = p->kind == PART_MOVABLE || p->kind == PART_RAW || p->kind == PART_MIXED; // by tmi_raw_stranded_by
    for (size_t i = 0; i < p->nunits && i < 4 && followed; i++) {
        const char *unit = (const char *)p->address + i * TMI_UNIT_SIZE;
        if (tmi_pagemap_segment(unit) != NULL)
            tmi_span_of(unit)->owner = record;
    }
}

static void insist(replica_t *r, part_t *p)
{
    void *record = NULL;
    for (unsigned i = 0; i < TRIES; i++) {
        if (i > 1)
            usleep(20u << i);
        r->retries++;
        if (try_again(r->t, p, &record)) {
            set_record(p, record_bytes(p) > 0 ? record : NULL);
            return;
        }
    }
    r->left_out++;
    set_record(p, NULL);
    p->kind = PART_UNKNOWN;
}

void replica_parts(replica_t *r, bool all)
{
    static part_t *last;
    free(last);
    walk_t w = walk_spans(all);
    last = r->parts = w.parts;
    r->nparts = w.n;
    struct iovec *pieces = replica_alloc(w.n * sizeof *pieces);
    void **to = replica_alloc(w.n * sizeof *to);
    bool *ok = replica_alloc(w.n * sizeof *ok);
    size_t n = 0;
    for (size_t i = 0; i < w.n; i++) {
        size_t nbytes = record_bytes(&w.parts[i]);
        if (nbytes == 0)
            continue;
        pieces[n] = (struct iovec){w.parts[i].span->owner, nbytes};
        to[n++] = replica_alloc(nbytes);
    }
    replica_forget_owners();
    target_read_many(r->t, pieces, to, ok, n);
    n = 0;
    for (size_t i = 0; i < w.n; i++) {
        if (record_bytes(&w.parts[i]) == 0)
            continue;
        size_t k = n++;
        if (ok[k] && fits(&w.parts[i], to[k]))
            set_record(&w.parts[i], to[k]);
        else
            insist(r, &w.parts[i]);
    }
}
