/* Making the rows: dividing the bytes of each span by use. */
#include "map.h"
#include "slabs/movable_impl.h"
#include "slabs/raw_impl.h"
#include "tool.h"

#include <fcntl.h>
#include <linux/types.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

const char *map_heap(const map_row_t *r)
{
    part_kind_t k = r->part->kind;
    return k == PART_MOVABLE || k == PART_MOVABLE_LARGE ? "movable"
           : map_is_free(r) || k == PART_UNKNOWN        ? "spans"
                                                        : "raw";
}

const char *map_kind(const map_row_t *r)
{
    static const char *const names[] = {
        [PART_RAW] = "small",     [PART_MEDIUM] = "medium",       [PART_MIXED] = "mixed", [PART_LARGE] = "large",
        [PART_MOVABLE] = "small", [PART_MOVABLE_LARGE] = "large", [PART_DIRTY] = "free",  [PART_CLEAN] = "free",
        [PART_UNKNOWN] = "unknown"};
    return names[r->part->kind];
}

map_row_t *map_row_at(map_t *m, uintptr_t address)
{
    size_t low = 0, high = m->nrows;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (m->rows[middle].part->address + m->rows[middle].bytes <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low < m->nrows && m->rows[low].part->address <= address ? &m->rows[low] : NULL;
}

/* ---- slabs of slots ------------------------------------------------------------------------------------------ */

typedef struct slab_view {
    const tmi_class_info_t *c;
    const uint64_t *free;
    uint64_t touched, empty;
} slab_view_t;

static bool is_taken(const slab_view_t *v, size_t i) { return !(v->free[i / 64] >> (i % 64) & 1); }

/* The share of a page that taken slots occupy, in eighths, at least 1. */
static char fullness(const slab_view_t *v, unsigned page)
{
    size_t from = (size_t)page << tmi_os_page_shift, to = from + tmi_os_page_size, taken = 0;
    size_t i = from > v->c->start ? (from - v->c->start) / v->c->size : 0;
    for (; i < v->c->slots && v->c->start + i * v->c->size < to; i++) {
        size_t first = v->c->start + i * v->c->size, last = first + v->c->size;
        if (is_taken(v, i))
            taken += tmi_min(last, to) - tmi_max(first, from);
    }
    if (taken == 0 && from < v->c->start)
        return CELL_BOOKS;
    return (char)tmi_max((taken * 8 + tmi_os_page_size / 2) / tmi_os_page_size, 1);
}

static void set_cells(map_row_t *r, const slab_view_t *v)
{
    size_t pages = tmi_min(r->bytes >> tmi_os_page_shift, MAP_CELLS);
    for (unsigned page = 0; page < pages; page++) {
        if (!(v->touched >> page & 1))
            r->cells[page] = CELL_PURGED;
        else if (v->empty >> page & 1)
            r->cells[page] = CELL_EMPTY;
        else
            r->cells[page] = fullness(v, page);
    }
}

/* Divide the bytes of a slab of slots. `known`: its empty pages are known, so its slack can be computed. */
static void divide(map_row_t *r, const slab_view_t *v, uint32_t nfree, bool known)
{
    const tmi_class_info_t *c = v->c;
    size_t end = c->start + (size_t)c->slots * c->size, page = tmi_os_page_size;
    uint64_t used = v->touched & ~v->empty;
    r->size = c->size;
    r->slots = c->slots;
    r->taken = c->slots - nfree;
    r->empty = tmi_popcount(v->touched & v->empty) * page;
    r->purged = r->bytes - tmi_popcount(v->touched) * page;
    if (known && (used >> ((end - 1) >> tmi_os_page_shift) & 1))
        r->slack = tmi_round_up(end, page) - end;
    r->books = c->start;
    r->stranded = tmi_popcount(used) * page; // finish_row subtracts all that is not stranded
    set_cells(r, v);
}

static void divide_raw(map_row_t *r, const tmi_raw_slab_t *s)
{
    slab_view_t v = {&tmi_classes[s->cls], s->free, s->touched, s->empty};
    divide(r, &v, s->nfree, true);
}

static void divide_movable(map_row_t *r, const tmi_movable_slab_t *s)
{
    slab_view_t v = {&tmi_mclasses[s->cls], s->free, s->touched, s->emptying ? 0 : tmi_movable_slab_empty_pages(s)};
    divide(r, &v, s->nfree, !s->emptying);
}

static void divide_medium(map_row_t *r, const tmi_medium_slab_t *s)
{
    const tmi_medium_info_t *c = &tmi_medium_info[s->cls];
    r->size = c->size;
    r->slots = c->slots;
    r->taken = c->slots - tmi_popcount(s->free);
    r->empty = tmi_popcount(s->free & s->touched) * (size_t)c->size;
    r->stranded = r->taken * c->size;
    r->purged = r->bytes - r->empty - r->stranded;
    for (unsigned i = 0; i < tmi_min(c->slots, MAP_CELLS); i++)
        r->cells[i] = !(s->free >> i & 1) ? 8 : s->touched >> i & 1 ? CELL_EMPTY : CELL_PURGED;
}

/* Divide the bytes of a mixed slab, which has no slots. */
static void divide_mixed(map_row_t *r, const tmi_mixed_slab_t *s)
{
    size_t n = tmi_granules_of_page(), page = tmi_os_page_size;
    r->taken = s->nblocks;
    r->empty = tmi_popcount(s->touched & s->empty) * page;
    r->purged = r->bytes - tmi_popcount(s->touched) * page;
    r->live = r->bytes - r->purged - ((size_t)s->nfree << TMI_MIXED_SHIFT); // cached blocks are subtracted later
    r->stranded = tmi_popcount(s->touched & ~s->empty) * page;
    for (unsigned i = 0; i < tmi_min(r->bytes >> tmi_os_page_shift, MAP_CELLS); i++) {
        size_t taken = 0;
        for (size_t g = i * n; g < (i + 1) * n; g++)
            taken += tmi_granule(s->used, g);
        bool there = s->touched >> i & 1, empty = s->empty >> i & 1;
        char full = (char)tmi_max((taken * 8 + n / 2) / n, 1);
        r->cells[i] = (char)(!there ? CELL_PURGED : empty ? CELL_EMPTY : full);
    }
}

static void divide_large(map_row_t *r)
{
    size_t slack = (size_t)r->part->span->slack << tmi_os_page_shift;
    r->slots = r->taken = 1;
    r->stranded = tmi_min(r->part->span->bytes, r->bytes);
    r->size = r->stranded;
    r->slack = tmi_min(slack, r->bytes - r->stranded);
    r->purged = r->bytes - r->stranded - r->slack;
    r->cells[0] = 8;
}

static void divide_row(map_row_t *r)
{
    const part_t *p = r->part;
    switch (p->kind) {
    case PART_RAW: divide_raw(r, p->record); break;
    case PART_MOVABLE: divide_movable(r, p->record); break;
    case PART_MEDIUM: divide_medium(r, p->record); break;
    case PART_MIXED: divide_mixed(r, p->record); break;
    case PART_LARGE:
    case PART_MOVABLE_LARGE: divide_large(r); break;
    case PART_DIRTY: r->empty = tmi_min(p->span->bytes, r->bytes); // fall through
    default: r->purged = r->bytes - r->empty;
    }
}

/* Bytes of pages in use that belong to no other part are stranded. */
static void finish_row(map_row_t *r)
{
    bool large = map_is_large(r);
    size_t used = r->stranded;
    r->cached_blocks = tmi_min(r->cached_blocks, r->taken);
    if (r->part->kind == PART_MIXED) {
        r->cached = tmi_min(r->cached, r->live);
        r->live -= r->cached;
    } else {
        r->cached = r->cached_blocks * r->size;
        r->live = large ? used : map_live_blocks(r) * r->size;
    }
    size_t known = r->live + r->cached + r->books + (large ? 0 : r->slack);
    r->stranded = used > known ? used - known : 0;
}

/* ---- huge pages ---------------------------------------------------------------------------------------------- */

/* As in the kernel's <linux/fs.h> since 6.8. */
typedef struct page_range {
    uint64_t start, end, categories;
} page_range_t;

typedef struct scan {
    uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
    uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
} scan_t;

#define SCAN _IOWR('f', 16, scan_t)
#define SCAN_HUGE ((uint64_t)1 << 6)

/* Add the huge pages in [from, to) to their rows. */
static void spread(map_t *m, uintptr_t from, uintptr_t to)
{
    for (map_row_t *r = map_row_at(m, from); r != NULL && r < m->rows + m->nrows && r->part->address < to; r++) {
        uintptr_t first = r->part->address > from ? r->part->address : from, end = r->part->address + r->bytes;
        r->huge += (end < to ? end : to) - first;
    }
}

/* Find the huge pages in [from, to). False: this kernel does not support the request. */
static bool scan_range(map_t *m, uintptr_t from, uintptr_t to)
{
    page_range_t found[64];
    while (from < to) {
        scan_t s = {.size = sizeof s,
                    .start = from,
                    .end = to,
                    .vec = (uintptr_t)found,
                    .vec_len = TMI_COUNT_OF(found),
                    .category_mask = SCAN_HUGE,
                    .return_mask = SCAN_HUGE};
        int n = ioctl(m->t->pagemap, SCAN, &s);
        if (n < 0)
            return false;
        for (int i = 0; i < n; i++)
            spread(m, found[i].start, found[i].end);
        from = s.walk_end > from ? s.walk_end : to;
    }
    return true;
}

/* Adjacent rows are examined with one request. */
static void find_huge(map_t *m)
{
    bool known = m->t->pagemap >= 0;
    for (size_t i = 0; i < m->nrows && known;) {
        uintptr_t from = m->rows[i].part->address, to = from;
        for (; i < m->nrows && m->rows[i].part->address == to; i++)
            to += m->rows[i].bytes;
        known = scan_range(m, from, to);
    }
    for (size_t i = 0; i < m->nrows && !known; i++)
        m->rows[i].huge = MAP_UNKNOWN;
}

/* Make the rows from the copied records. Called within a look. */
static void make_rows(void *context)
{
    map_t *m = context;
    free(m->rows);
    free(m->parts);
    m->rows = tool_alloc(m->look.nparts * sizeof *m->rows);
    m->parts = tool_alloc(m->look.nparts * sizeof *m->parts);
    m->nrows = m->look.nparts;
    if (m->nrows > 0)
        memcpy(m->parts, m->look.parts, m->nrows * sizeof *m->parts);
    for (size_t i = 0; i < m->nrows; i++) {
        map_row_t *r = &m->rows[i];
        r->part = &m->parts[i];
        r->bytes = r->part->nunits * TMI_UNIT_SIZE;
        divide_row(r);
    }
    map_count_cached(m);
    map_count_pinned(m);
    for (size_t i = 0; i < m->nrows; i++)
        finish_row(&m->rows[i]);
    holders_find(m);
}

void map_take(map_t *m, const target_t *t)
{
    enum { LOOKS = 4 };
    *m = (map_t){.t = t};
    replica_take_all(&m->look, t, LOOKS, make_rows, m);
    m->sheet = tool_alloc(sizeof *m->sheet);
    replica_sheet(&m->look, m->sheet);
    find_huge(m);
    holders_name(m);
    for (size_t i = 0; i < m->nrows; i++) { // the replica's parts are freed by the next look: copy them
        m->parts[i].record = NULL;
        m->parts[i].span = NULL;
    }
}
