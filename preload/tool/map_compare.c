/* Comparing two maps, before and after: the changes of each class, as text and as JSON; and how the two maps are made.
 *
 * Classes are those of the rows, so free spans and purged pages are compared, too. */
#include "map.h"
#include "os/counters.h"
#include "compaction/compact.h"
#include "tool.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- what has changed ---------------------------------------------------------------------------------------- */

typedef struct sided {
    const map_row_t *row;
    unsigned side;
} sided_t;

static int by_class(const void *a, const void *b)
{
    const sided_t *x = a, *y = b;
    if (map_same_class(x->row, y->row) && x->row->part->address == y->row->part->address)
        return (int)x->side - (int)y->side;
    return map_by_class(&x->row, &y->row);
}

static void count(map_class_t *c, const sided_t *s)
{
    c->side[s->side].rows++;
    c->side[s->side].live_blocks += map_live_blocks(s->row);
    c->side[s->side].live += s->row->live;
    c->side[s->side].stranded += s->row->stranded;
    c->side[s->side].resident += map_resident(s->row);
    c->side[s->side].capacity += s->row->bytes;
}

void map_pair_classes(map_pair_t *p)
{
    size_t n = 0, all = p->side[MAP_BEFORE].nrows + p->side[MAP_AFTER].nrows;
    sided_t *rows = tool_alloc(all * sizeof *rows);
    for (unsigned side = 0; side < MAP_SIDES; side++)
        for (size_t i = 0; i < p->side[side].nrows; i++)
            rows[n++] = (sided_t){&p->side[side].rows[i], side};
    if (n > 0)
        qsort(rows, n, sizeof *rows, by_class);
    p->classes = tool_alloc(all * sizeof *p->classes);
    p->nclasses = 0;
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || !map_same_class(rows[i - 1].row, rows[i].row))
            p->classes[p->nclasses++].like = rows[i].row;
        count(&p->classes[p->nclasses - 1], &rows[i]);
    }
    free(rows);
}

bool map_class_changed(const map_class_t *c)
{
    return memcmp(&c->side[MAP_BEFORE], &c->side[MAP_AFTER], sizeof c->side[0]) != 0;
}

typedef struct whole {
    const char *name;
    bool bytes;
    size_t part, offset; // part 0: offset in the statistics; else offset in the statistics of each heap
} whole_t;

#define OF_PART(name) {#name, true, 1, offsetof(tm_heap_part_t, name)}
#define OF_ALL(name, bytes) {#name, bytes, 0, offsetof(tm_heap_stats_t, name)}
static const whole_t wholes[] = {
    OF_ALL(resident, true), OF_PART(live),          OF_PART(cached),       OF_PART(stranded),     OF_PART(empty),
    OF_ALL(mapped, true),   OF_ALL(metadata, true), OF_ALL(purged, true), OF_ALL(moved, true), OF_ALL(batches, false),
};

static size_t value_of(const tmi_sheet_t *s, const whole_t *w)
{
    const tm_heap_part_t *parts[] = {&s->all.raw, &s->all.movable, &s->all.spans};
    size_t sum = 0;
    if (w->part == 0)
        return *(const size_t *)(const void *)((const char *)&s->all + w->offset);
    for (size_t i = 0; i < TMI_COUNT_OF(parts); i++)
        sum += *(const size_t *)(const void *)((const char *)parts[i] + w->offset);
    return sum;
}

bool map_pair_figure(const map_pair_t *p, size_t next, const char **name, size_t values[MAP_SIDES], bool *bytes)
{
    if (next > TMI_COUNT_OF(wholes))
        return false;
    *name = next == 0 ? "rows" : wholes[next - 1].name;
    *bytes = next > 0 && wholes[next - 1].bytes;
    for (unsigned side = 0; side < MAP_SIDES; side++)
        values[side] = next == 0 ? p->side[side].nrows : value_of(p->side[side].sheet, &wholes[next - 1]);
    return true;
}

void map_put_change(char *to, size_t size, size_t before, size_t after, bool bytes)
{
    size_t change = after > before ? after - before : before - after;
    const char *text = bytes ? tool_size(change) : tool_count(change);
    snprintf(to, size, "%s%s", change == 0 ? "" : after > before ? "+" : "-", change == 0 ? "0" : text);
}

/* ---- JSON ---------------------------------------------------------------------------------------------------- */

static void put_class_json(const map_class_t *c, bool first, FILE *to)
{
    const map_row_t *r = c->like;
    fprintf(to, "%s\n{\"heap\":\"%s\",\"kind\":\"%s\",\"size\":%zu", first ? "" : ",", map_heap(r), map_kind(r),
            map_is_large(r) ? 0 : r->size);
    fprintf(to, ",\"rows\":[%zu,%zu],\"live_blocks\":[%zu,%zu]", c->side[0].rows, c->side[1].rows,
            c->side[0].live_blocks, c->side[1].live_blocks);
    fprintf(to, ",\"live\":[%zu,%zu],\"stranded\":[%zu,%zu],\"resident\":[%zu,%zu]}", c->side[0].live, c->side[1].live,
            c->side[0].stranded, c->side[1].stranded, c->side[0].resident, c->side[1].resident);
}

void map_pair_put_json(const map_pair_t *p, FILE *to)
{
    const char *name;
    size_t values[MAP_SIDES];
    bool bytes;
    fputs("{\"change\":{", to);
    for (size_t i = 0; map_pair_figure(p, i, &name, values, &bytes); i++)
        fprintf(to, "\"%s\":[%zu,%zu],", name, values[0], values[1]);
    fputs("\"classes\":[", to);
    for (size_t i = 0; i < p->nclasses; i++)
        put_class_json(&p->classes[i], i == 0, to);
    fputs("]},\n\"before\":", to);
    map_put_json(&p->side[MAP_BEFORE], to);
    fputs(",\"after\":", to);
    map_put_json(&p->side[MAP_AFTER], to);
    fputs("}\n", to);
}

/* ---- text ---------------------------------------------------------------------------------------------------- */

enum { STRIP = 16 };

/* Each cell stands for the same number of slabs, in the order of addresses, and shows how full they are together. */
static void put_strip(const map_pair_t *p, const map_class_t *c, unsigned side, map_style_t style)
{
    const map_t *m = &p->side[side];
    size_t most = tmi_max(c->side[MAP_BEFORE].rows, c->side[MAP_AFTER].rows), each = (most + STRIP - 1) / STRIP;
    size_t n = 0, cells = 0, live = 0, resident = 0;
    putchar('[');
    for (size_t i = 0; i < m->nrows && n < c->side[side].rows; i++) {
        if (!map_same_class(&m->rows[i], c->like))
            continue;
        n++;
        live += m->rows[i].live;
        resident += map_resident(&m->rows[i]);
        if (n % each != 0 && n < c->side[side].rows)
            continue;
        map_put_cell(resident == 0 ? (char)CELL_EMPTY : (char)tmi_max(live * 8 / resident, 1), style);
        live = resident = 0;
        cells++;
    }
    map_end_cells();
    printf("%*s]", (int)(STRIP - cells), "");
}

static unsigned percent(const map_class_t *c, unsigned side)
{
    return c->side[side].resident > 0 ? (unsigned)(c->side[side].live * 100 / c->side[side].resident) : 0;
}

static void put_class(const map_pair_t *p, const map_class_t *c, map_style_t style)
{
    char name[32], change[24];
    map_class_name(c->like, name, sizeof name);
    map_put_change(change, sizeof change, c->side[0].resident, c->side[1].resident, true);
    printf("  %-14s %6zu %6zu %9s %9s %10s", name, c->side[0].rows, c->side[1].rows, tool_size(c->side[0].resident),
           tool_size(c->side[1].resident), change);
    if (!map_is_free(c->like)) {
        printf(" %3u %% %3u %% ", percent(c, 0), percent(c, 1));
        put_strip(p, c, MAP_BEFORE, style);
        putchar(' ');
        put_strip(p, c, MAP_AFTER, style);
    }
    putchar('\n');
}

static void put_sides(const map_pair_t *p)
{
    for (unsigned side = 0; side < MAP_SIDES; side++) {
        const map_t *m = &p->side[side];
        printf("%s: %s (%s, process %d%s)\n", side == MAP_BEFORE ? "before" : "after", p->name[side], m->t->name,
               (int)m->t->pid, m->look.steady ? "" : "; at work: this is no snapshot");
    }
    if (p->note != NULL)
        printf("%s\n", p->note);
}

void map_pair_put_text(const map_pair_t *p, map_style_t style)
{
    const char *name;
    size_t values[MAP_SIDES], same = 0;
    bool bytes;
    char change[24];
    put_sides(p);
    printf("\n  %-10s %12s %12s %12s\n", "", "before", "after", "change");
    for (size_t i = 0; map_pair_figure(p, i, &name, values, &bytes); i++) {
        map_put_change(change, sizeof change, values[0], values[1], bytes);
        printf("  %-10s %12s %12s %12s\n", name, bytes ? tool_size(values[0]) : tool_count(values[0]),
               bytes ? tool_size(values[1]) : tool_count(values[1]), change);
    }
    printf("\n  %-14s %13s %19s %10s %11s %s\n", "class", "rows", "resident", "change", "live of it",
           "slabs by how full they are");
    for (size_t i = 0; i < p->nclasses; i++) {
        if (map_class_changed(&p->classes[i]))
            put_class(p, &p->classes[i], style);
        else
            same++;
    }
    if (same > 0)
        printf("  (%zu class%s as before)\n", same, same == 1 ? " is" : "es are");
}

/* ---- making the two maps ------------------------------------------------------------------------------------- */

static void put_html(const void *p, FILE *to) { map_pair_put_html(p, to); }

void map_put_pair(map_pair_t *p, const map_output_t *o)
{
    map_pair_classes(p);
    if (o->html != NULL)
        map_write_file(o->html, put_html, p);
    if (o->json)
        map_pair_put_json(p, stdout);
    else if (o->html == NULL)
        map_pair_put_text(p, o->style);
}

void map_compare_files(const char *before, const char *after, const map_output_t *o)
{
    map_pair_t p = {.name = {before, after}};
    map_read(&p.side[MAP_BEFORE], before);
    map_read(&p.side[MAP_AFTER], after);
    map_put_pair(&p, o);
}

/* The number of batches that the process has moved so far. */
static size_t batches(const target_t *t)
{
    size_t n = 0;
    uintptr_t at = t->place[TMI_PLACE_tmi_compact_figures] + offsetof(tmi_compact_figures_t, batches);
    (void)target_read(t, at, &n, sizeof n);
    return n;
}

/* Wait until the mover is idle. It begins within its sleep time, and works for a second at most. */
static void wait_for_mover(const target_t *t, unsigned long wait_ms)
{
    enum { REST_MS = 200, LOOK_MS = 10 };
    const struct timespec pause = {0, LOOK_MS * 1000000};
    unsigned long begun = tool_now_ms(), last = begun;
    for (size_t seen = batches(t); tool_now_ms() - begun < wait_ms && tool_now_ms() - last < REST_MS;) {
        size_t now = batches(t);
        if (now != seen)
            last = tool_now_ms();
        seen = now;
        (void)nanosleep(&pause, NULL);
    }
}

void map_compact(const target_t *t, unsigned long wait_ms, const map_output_t *o)
{
    map_pair_t p = {.name = {"as it was", "once it was asked to give memory back"}};
    char note[96];
    map_take(&p.side[MAP_BEFORE], t);
    if (!target_serves(t, TMI_REQUEST_TRIM)) {
        p.note = "the process has not allocated yet: there is nothing to give back";
    } else if (!target_leave(t, TMI_REQUEST_TRIM, wait_ms)) {
        snprintf(note, sizeof note, "the request was not served within %lu ms: %s", wait_ms,
                 target_stopped(t) ? "the process is stopped" : "it will be when the process allocates or frees");
        p.note = note;
    } else {
        wait_for_mover(t, wait_ms);
    }
    map_take(&p.side[MAP_AFTER], t);
    map_put_pair(&p, o);
}
