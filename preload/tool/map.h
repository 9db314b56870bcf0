/* map.h - every slab, extent and free span of a process as a row, and what its bytes are.
 *
 * Idea: a row's bytes are divided as tmi_account divides a class's, so that the rows of a class sum up to the class in
 * a steady look. What lies in magazines, depots and on shelves, and what is pinned, is found by address.
 *
 *   bytes = live + cached + stranded + slack + books + empty + purged     of a slab; purged: pages that hold nothing
 *
 * Of large objects purged is what is left of their units; of a free span empty is the estimate of what is resident. */
#ifndef TMI_TOOL_MAP_H
#define TMI_TOOL_MAP_H

#include "holders.h"
#include "replica.h"

#include <stdio.h>

enum { MAP_CELLS = 64 };
#define MAP_UNKNOWN SIZE_MAX

/* What a page is: how full of taken slots, in eighths (1 to 8), or one of these. */
enum { CELL_PURGED = 'p', CELL_EMPTY = 'e', CELL_BOOKS = 'b' };

typedef struct map_row {
    const part_t *part;
    size_t size, slots, taken, cached_blocks, pinned; // size of a slot (mixed: 0, and blocks of several); counts
    size_t bytes, live, cached, stranded, slack, books, empty, purged;
    size_t huge;               // bytes in huge pages, or MAP_UNKNOWN
    uint32_t holder;           // who keeps most of `stranded`: 1 + its place among the holders, or 0
    size_t held, held_samples; // bytes of that, and the sampled blocks from which it is known
    char cells[MAP_CELLS + 1]; // pages of a slab, ended by 0
} map_row_t;

typedef struct map {
    const target_t *t;
    map_row_t *rows;
    part_t *parts;      // of the rows: they outlive the look, and have no records then
    size_t nrows;
    tmi_sheet_t *sheet; // what tmi_account says about the same copy
    size_t scopes; // threads that are in one: whatever they look up stays in place
    holders_t holders;
    replica_t look;
} map_t;

/* Take a look and divide it. */
void map_take(map_t *m, const target_t *t);
/* The same from a file that `tinymem map --json` wrote (- for the input), or the end with a line. */
void map_read(map_t *m, const char *path);

static inline bool map_is_free(const map_row_t *r)
{
    return r->part->kind == PART_DIRTY || r->part->kind == PART_CLEAN;
}
static inline bool map_is_large(const map_row_t *r)
{
    return r->part->kind == PART_LARGE || r->part->kind == PART_MOVABLE_LARGE;
}
static inline size_t map_resident(const map_row_t *r) { return r->bytes - r->purged; }
static inline size_t map_live_blocks(const map_row_t *r) { return r->taken - r->cached_blocks; }

/* "raw", "movable" or "spans"; "small", "medium", "large" or "free": as in statistics. */
const char *map_heap(const map_row_t *r);
const char *map_kind(const map_row_t *r);

/* Count what is cached and what is pinned, by row, and scopes. */
void map_count_cached(map_t *m);
void map_count_pinned(map_t *m);
/* The row that has an address, or NULL. */
map_row_t *map_row_at(map_t *m, uintptr_t address);

/* Rows in the order of heaps, kinds, sizes and addresses: compares pointers to pointers to rows, as qsort wants it. */
int map_by_class(const void *a, const void *b);
bool map_same_class(const map_row_t *x, const map_row_t *y);
/* "raw 64", "movable large", ... */
void map_class_name(const map_row_t *r, char *to, size_t size);

/* How a map is drawn on a terminal. */
typedef struct map_style {
    bool color, plain; // plain: without block characters
} map_style_t;

/* With what tm_stats_json would say about the same copy. */
void map_put_json(const map_t *m, FILE *to);
void map_put_text(const map_t *m, map_style_t style);
void map_put_html(const map_t *m, FILE *to);

/* A text without quotes, backslashes and what is below a blank. */
void map_put_plain(const char *text, FILE *to);

/* Pieces of these. A cell is one of CELL_... or eighths; after the last one the colour is reset. */
void map_put_cell(char cell, map_style_t style);
void map_end_cells(void);
void map_put_html_head(const char *title, FILE *to);
void map_put_html_key(FILE *to);
void map_put_bar(const map_t *m, const map_row_t *r, size_t x, size_t y, FILE *to);
void map_put_escaped(const char *text, FILE *to);
/* Of the layout of bars: from column to column and from bar to bar, and how many stand below each other. */
enum { MAP_PITCH_X = 320, MAP_PITCH_Y = 9, MAP_PER_COLUMN = 120 };

/* ---- two maps ------------------------------------------------------------------------------------------------ */

enum { MAP_BEFORE, MAP_AFTER, MAP_SIDES };

/* The rows of a class, before and after. */
typedef struct map_class {
    const map_row_t *like; // one of them
    struct {
        size_t rows, live_blocks, live, stranded, resident, capacity; // capacity: bytes of address space
    } side[MAP_SIDES];
} map_class_t;

typedef struct map_pair {
    map_t side[MAP_SIDES];
    const char *name[MAP_SIDES]; // what the sides are called
    map_class_t *classes;
    size_t nclasses;
    const char *note; // on what happened between them, or NULL
} map_pair_t;

/* Fill the classes in. */
void map_pair_classes(map_pair_t *p);
bool map_class_changed(const map_class_t *c);
/* The figures of the whole, in order; `next` starts at 0. False: there is none left. */
bool map_pair_figure(const map_pair_t *p, size_t next, const char **name, size_t values[MAP_SIDES], bool *bytes);
/* "+12.3 MiB", "-3", or "0". */
void map_put_change(char *to, size_t size, size_t before, size_t after, bool bytes);

void map_pair_put_json(const map_pair_t *p, FILE *to);
void map_pair_put_text(const map_pair_t *p, map_style_t style);
void map_pair_put_html(const map_pair_t *p, FILE *to);

/* The command with --compare and --compact. */
typedef struct map_output {
    bool json;
    const char *html;
    map_style_t style;
} map_output_t;

void map_put_pair(map_pair_t *p, const map_output_t *o);
void map_compare_files(const char *before, const char *after, const map_output_t *o);
/* Between the two looks the process is asked to give back what it can. */
void map_compact(const target_t *t, unsigned long wait_ms, const map_output_t *o);
/* Call put(what, file) for the file of --html. */
void map_write_file(const char *path, void (*put)(const void *what, FILE *to), const void *what);

#endif
