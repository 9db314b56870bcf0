/* map.h - a row for every slab, extent and free span of a process, with its bytes divided by use.
 *
 * Idea: the bytes of a row are divided as tmi_account divides those of a class. In a steady look the rows of a class
 * therefore sum up to the class. Blocks in magazines, in depots and on shelves, and pinned objects, are assigned to
 * their rows by address.
 *
 *   bytes = live + cached + stranded + slack + books + empty + purged
 *
 * `books` is metadata inside a slab, `purged` pages that are not resident. For a large object `purged` is the rest of
 * its last unit. For a free span `empty` is the estimate of its resident bytes. */
#ifndef TMI_TOOL_MAP_H
#define TMI_TOOL_MAP_H

#include "holders.h"
#include "replica.h"

#include <stdio.h>

enum { MAP_CELLS = 64 };
#define MAP_UNKNOWN SIZE_MAX

/* The state of a page: the share of taken slots in eighths (1 to 8), or one of these. */
enum { CELL_PURGED = 'p', CELL_EMPTY = 'e', CELL_BOOKS = 'b' };

typedef struct map_row {
    const part_t *part;
    size_t size, slots, taken, cached_blocks, pinned; // bytes of a slot, 0 for a mixed slab; the others are counts
    size_t bytes, live, cached, stranded, slack, books, empty, purged;
    size_t huge;               // bytes in huge pages, or MAP_UNKNOWN
    uint32_t holder;           // the site that keeps most of `stranded`: 1 + its position in the list; 0: unknown
    size_t held, held_samples; // the bytes that it keeps, and the number of its blocks sampled in this row
    char cells[MAP_CELLS + 1]; // the pages of a slab, ended by NUL
} map_row_t;

typedef struct map {
    const target_t *t;
    map_row_t *rows;
    part_t *parts;      // the rows' parts. They outlive the look; their records do not
    size_t nrows;
    tmi_sheet_t *sheet; // the statistics of the same copy
    size_t scopes; // threads inside a scope: objects that they look up do not move
    holders_t holders;
    replica_t look;
} map_t;

/* Copy the records of the process and make the map. */
void map_take(map_t *m, const target_t *t);
/* Read a map from the output of `tinymem map --json` ("-": standard input). Exits with a message if that fails. */
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

/* Count cached blocks and pinned objects in each row, and threads inside scopes. */
void map_count_cached(map_t *m);
void map_count_pinned(map_t *m);
/* The row that contains an address, or NULL. */
map_row_t *map_row_at(map_t *m, uintptr_t address);

/* Order of rows by heap, kind, size and address. A comparison function for qsort: a and b point to pointers to rows. */
int map_by_class(const void *a, const void *b);
bool map_same_class(const map_row_t *x, const map_row_t *y);
/* "raw 64", "movable large", ... */
void map_class_name(const map_row_t *r, char *to, size_t size);

/* How a map is drawn on a terminal. */
typedef struct map_style {
    bool color, plain; // plain: without block characters
} map_style_t;

/* The JSON includes the statistics of the same copy, in the form of tm_stats_json. */
void map_put_json(const map_t *m, FILE *to);
void map_put_text(const map_t *m, map_style_t style);
void map_put_html(const map_t *m, FILE *to);

/* Write a text without its quotes, backslashes and control characters. */
void map_put_plain(const char *text, FILE *to);

/* Parts of these outputs. A cell is one of CELL_... or a number of eighths; map_end_cells resets the colour. */
void map_put_cell(char cell, map_style_t style);
void map_end_cells(void);
void map_put_html_head(const char *title, FILE *to);
void map_put_html_key(FILE *to);
void map_put_bar(const map_t *m, const map_row_t *r, size_t x, size_t y, FILE *to);
void map_put_escaped(const char *text, FILE *to);
/* The layout of bars: distance of columns, distance of bars, bars in a column. */
enum { MAP_PITCH_X = 320, MAP_PITCH_Y = 9, MAP_PER_COLUMN = 120 };

/* ---- two maps ------------------------------------------------------------------------------------------------ */

enum { MAP_BEFORE, MAP_AFTER, MAP_SIDES };

/* The rows of a class, before and after. */
typedef struct map_class {
    const map_row_t *like; // one of the rows, for the name of the class
    struct {
        size_t rows, live_blocks, live, stranded, resident, capacity; // capacity: bytes of address space
    } side[MAP_SIDES];
} map_class_t;

typedef struct map_pair {
    map_t side[MAP_SIDES];
    const char *name[MAP_SIDES]; // names of the two sides in the output
    map_class_t *classes;
    size_t nclasses;
    const char *note; // a remark about the time between the two maps, or NULL
} map_pair_t;

/* Compute `classes` from the two maps. */
void map_pair_classes(map_pair_t *p);
bool map_class_changed(const map_class_t *c);
/* The figures of the whole heap, one a call; `next` counts from 0. False: there are no more. */
bool map_pair_figure(const map_pair_t *p, size_t next, const char **name, size_t values[MAP_SIDES], bool *bytes);
/* "+12.3 MiB", "-3", or "0". */
void map_put_change(char *to, size_t size, size_t before, size_t after, bool bytes);

void map_pair_put_json(const map_pair_t *p, FILE *to);
void map_pair_put_text(const map_pair_t *p, map_style_t style);
void map_pair_put_html(const map_pair_t *p, FILE *to);

/* Output options of the command with --compare and --compact. */
typedef struct map_output {
    bool json;
    const char *html;
    map_style_t style;
} map_output_t;

void map_put_pair(map_pair_t *p, const map_output_t *o);
void map_compare_files(const char *before, const char *after, const map_output_t *o);
/* Make a map, ask the process to compact and purge, and make a second map. */
void map_compact(const target_t *t, unsigned long wait_ms, const map_output_t *o);
/* Call put(what, file) for the file of --html. */
void map_write_file(const char *path, void (*put)(const void *what, FILE *to), const void *what);

#endif
