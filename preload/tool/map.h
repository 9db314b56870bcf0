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
    char cells[MAP_CELLS + 1]; // pages of a slab, ended by 0
} map_row_t;

typedef struct map {
    const target_t *t;
    map_row_t *rows;
    size_t nrows;
    size_t scopes; // threads that are in one: whatever they look up stays in place
    replica_t look;
} map_t;

/* Take a look and divide it. */
void map_take(map_t *m, const target_t *t);

static inline bool map_is_free(const map_row_t *r)
{
    return r->part->kind == PART_DIRTY || r->part->kind == PART_CLEAN;
}
static inline size_t map_live_blocks(const map_row_t *r) { return r->taken - r->cached_blocks; }

/* "raw", "movable" or "spans"; "small", "medium", "large" or "free": as in statistics. */
const char *map_heap(const map_row_t *r);
const char *map_kind(const map_row_t *r);

/* Count what is cached and what is pinned, by row, and scopes. */
void map_count_cached(map_t *m);
void map_count_pinned(map_t *m);
/* The row that has an address, or NULL. */
map_row_t *map_row_at(map_t *m, uintptr_t address);

/* With what tm_stats_json would say about the same copy. */
void map_put_json(const map_t *m, FILE *to);
void map_put_text(const map_t *m, bool color, bool plain);
void map_put_html(const map_t *m, FILE *to);

#endif
