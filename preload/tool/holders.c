/* Reading the samples of another process, and charging their blocks. */
#include "map.h"
#include "sampling/samples.h"
#include "slabs/raw_impl.h"
#include "tool.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TRIES = 8, FRAMES_MAX = 1 << 21, ENTRIES_MAX = 1 << 26 };

/* A copy of the tables. Its memory is reused for the next look. */
static struct {
    tmi_sample_view_t view;
    tmi_site_t *sites;
    tmi_sample_t *entries; // nentries of them
    uintptr_t *frames;
    size_t nentries;
} copy;

/* ---- reading ------------------------------------------------------------------------------------------------- */

static bool makes_sense(const tmi_sample_view_t *v)
{
    return v->interval > 0 && v->nsites > 0 && v->nsites <= TMI_SITES_MAX && v->nframes <= FRAMES_MAX &&
           tmi_is_pow2(v->capacity) && v->capacity <= ENTRIES_MAX && v->nentries < v->capacity;
}

/* Replace `old` by a buffer of nbytes that is filled from address `from` of the process. Returns the buffer. */
static void *renew(void *old, const target_t *t, const void *from, size_t nbytes)
{
    free(old);
    void *to = tool_alloc(nbytes);
    target_read_present(t, (uintptr_t)from, to, nbytes);
    return to;
}

/* Move the entries in use to the front. Returns their number. */
static size_t squeeze(tmi_sample_t *entries, size_t capacity)
{
    size_t n = 0;
    for (size_t i = 0; i < capacity; i++)
        if (entries[i].key != 0)
            entries[n++] = entries[i];
    return n;
}

/* The address of the tmi_sample_view_t in the process, or 0. */
static uintptr_t view_of(const target_t *t)
{
    tmi_request_client_t client;
    uintptr_t at = t->place[TMI_PLACE_tmi_request_clients] + TMI_REQUEST_PROFILE * sizeof client;
    return target_read(t, at, &client, sizeof client) ? (uintptr_t)client.records : 0;
}

/* False: the tables are invalid. *steady: they did not change while they were read. */
static bool read_tables(const target_t *t, uintptr_t at, bool *steady)
{
    tmi_sample_view_t *v = &copy.view, after;
    *steady = false;
    for (unsigned i = 0; i < TRIES && !*steady; i++) {
        if (i > 0)
            usleep(100u << i);
        if (!target_read(t, at, v, sizeof *v) || !makes_sense(v))
            continue;
        copy.sites = renew(copy.sites, t, v->sites, v->nsites * sizeof *v->sites);
        copy.frames = renew(copy.frames, t, v->frames, v->nframes * sizeof *v->frames);
        copy.entries = renew(copy.entries, t, v->entries, v->capacity * sizeof *v->entries);
        copy.nentries = squeeze(copy.entries, v->capacity);
        *steady = target_read(t, at, &after, sizeof after) && memcmp(v, &after, sizeof after) == 0 &&
                  copy.nentries == v->nentries;
    }
    return copy.entries != NULL && makes_sense(v);
}

/* ---- charging ------------------------------------------------------------------------------------------------ */

/* A sampled block that keeps stranded bytes resident. */
typedef struct charge {
    map_row_t *row;
    uint32_t site;
    size_t each; // bytes that the block itself keeps
    double all;  // bytes that all blocks it stands for keep
} charge_t;

static bool charge_block(map_t *m, const tmi_sample_t *e, charge_t *out)
{
    uint32_t index;
    uint64_t blocks, bytes;
    map_row_t *row = !tmi_samples_is_index(e->key, &index) ? map_row_at(m, e->key) : NULL;
    const void *p = (const void *)e->key; // NOLINT: an address of the other process
    if (row == NULL || row->part->record == NULL || e->site >= copy.view.nsites)
        return false;
    unsigned cls = row->part->kind == PART_RAW ? row->part->cls : TMI_CLASS_MIXED;
    if ((row->part->kind != PART_RAW && row->part->kind != PART_MIXED) || tmi_pagemap_class(p) != cls)
        return false;
    tmi_samples_weigh(e->size, copy.view.interval, &blocks, &bytes);
    *out = (charge_t){row, e->site, tmi_raw_stranded_by(p), 0};
    out->all = (double)out->each * ((double)blocks / TMI_SAMPLES_BLOCK);
    return out->each > 0;
}

static int by_row(const void *a, const void *b)
{
    const charge_t *x = a, *y = b;
    return x->row != y->row ? (x->row < y->row ? -1 : 1) : (x->site > y->site) - (x->site < y->site);
}

/* Find the site that keeps most of the row's stranded bytes. c is the row's n charges, sorted by site. */
static void set_holder(const charge_t *c, size_t n)
{
    map_row_t *row = c->row;
    double sum = 0, most = 0;
    for (size_t i = 0, k; i < n; i += k) {
        double mine = 0;
        for (k = 0; i + k < n && c[i + k].site == c[i].site; k++)
            mine += c[i + k].all;
        sum += mine;
        if (mine <= most)
            continue;
        most = mine;
        row->holder = c[i].site + 1;
        row->held_samples = k;
    }
    double scale = sum > (double)row->stranded ? (double)row->stranded / sum : 1;
    row->held = (size_t)(most * scale);
    if (row->held == 0)
        row->holder = 0;
}

typedef struct total {
    uint32_t site;
    double bytes;
    size_t samples;
} total_t;

static int by_bytes(const void *a, const void *b)
{
    const total_t *x = a, *y = b;
    return x->bytes != y->bytes ? (x->bytes < y->bytes ? 1 : -1) : (x->site > y->site) - (x->site < y->site);
}

/* List the sites that keep stranded bytes, the largest first, and change the rows' `holder` to positions in the list.
 */
static void rank(map_t *m, total_t *totals)
{
    holders_t *h = &m->holders;
    double kept = 0;
    uint32_t *place = tool_alloc(copy.view.nsites * sizeof *place);
    qsort(totals, copy.view.nsites, sizeof *totals, by_bytes);
    for (size_t i = 0; i < copy.view.nsites && totals[i].samples > 0; i++)
        h->n++;
    h->list = tool_alloc(h->n * sizeof *h->list);
    for (size_t i = 0; i < h->n; i++)
        kept += totals[i].bytes;
    for (size_t i = 0; i < m->nrows; i++)
        if (m->rows[i].part->kind == PART_RAW || m->rows[i].part->kind == PART_MIXED)
            h->stranded += m->rows[i].stranded;
    double scale = kept > (double)h->stranded ? (double)h->stranded / kept : 1;
    for (size_t i = 0; i < h->n; i++) {
        h->list[i] = (holder_t){(size_t)(totals[i].bytes * scale), totals[i].samples, totals[i].site, NULL};
        h->kept += h->list[i].bytes;
        place[totals[i].site] = (uint32_t)i + 1;
    }
    for (size_t i = 0; i < m->nrows; i++)
        if (m->rows[i].holder != 0)
            m->rows[i].holder = place[m->rows[i].holder - 1];
    free(place);
}

static void charge_all(map_t *m)
{
    size_t n = 0;
    charge_t *charges = tool_alloc(copy.nentries * sizeof *charges);
    total_t *totals = tool_alloc(copy.view.nsites * sizeof *totals);
    for (size_t i = 0; i < copy.view.nsites; i++)
        totals[i].site = (uint32_t)i;
    for (size_t i = 0; i < copy.nentries; i++) {
        if (!charge_block(m, &copy.entries[i], &charges[n]))
            continue;
        totals[charges[n].site].bytes += charges[n].all;
        totals[charges[n].site].samples++;
        n++;
    }
    if (n > 0)
        qsort(charges, n, sizeof *charges, by_row);
    for (size_t i = 0, k; i < n; i += k) {
        for (k = 1; i + k < n && charges[i + k].row == charges[i].row; k++)
            continue;
        set_holder(charges + i, k);
    }
    rank(m, totals);
    free(totals);
    free(charges);
}

void holders_find(map_t *m)
{
    uintptr_t at = view_of(m->t);
    holders_t *h = &m->holders;
    for (size_t i = 0; i < h->n; i++)
        free(h->list[i].stack);
    free(h->list);
    *h = (holders_t){.state = HOLDERS_NONE};
    if (!target_serves(m->t, TMI_REQUEST_PROFILE))
        return;
    h->state = at == 0 ? HOLDERS_UNTOLD : read_tables(m->t, at, &h->steady) ? HOLDERS_FOUND : HOLDERS_NONSENSE;
    if (h->state != HOLDERS_FOUND)
        return;
    h->interval = copy.view.interval;
    charge_all(m);
}

const uintptr_t *holders_frames(const holder_t *h, size_t *n)
{
    const tmi_site_t *s = &copy.sites[h->site];
    bool inside = s->first <= copy.view.nframes && s->depth <= copy.view.nframes - s->first;
    *n = inside && h->site > 0 ? s->depth : 0;
    return copy.frames + (inside ? s->first : 0);
}
