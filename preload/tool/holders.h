/* holders.h - which call sites keep stranded memory from going, in a process that keeps a profile.
 *
 * Idea: the profile's table of sampled blocks is read like all other records, with the sites and their stacks. A block
 * is charged with its share of what its pages have free, as the profile's own report does (profile_blame.c): here by
 * the library's functions on the copies. What a block stands for is spread over slabs that nobody has sampled; so
 *
 *   - all sites together keep what the estimate says, at most what is stranded;
 *   - of a row, what is stranded there is divided among the sites of the blocks sampled in it.
 *
 * With a sample for each block (profile_interval:1) both are exact. Movable objects keep nothing: they can be moved.
 *
 * Torn reads: the tables are read until nothing of them has changed meanwhile and as many entries are found as there
 * are, a few times at most; otherwise `steady` is false. */
#ifndef TMI_TOOL_HOLDERS_H
#define TMI_TOOL_HOLDERS_H

#include "json.h"
#include "target.h"

#include <stdio.h>

typedef enum holders_state {
    HOLDERS_UNKNOWN,   // a map from a file that does not tell
    HOLDERS_NONE,      // no profile is kept
    HOLDERS_UNTOLD,    // one is kept, and the library does not say where its tables are
    HOLDERS_NONSENSE,  // tables that make no sense
    HOLDERS_FOUND,
} holders_state_t;

typedef struct holder {
    size_t bytes, samples; // kept in all; sampled blocks that keep something
    uint32_t site;         // of the profile
    char *stack;           // names of its frames, innermost first, each ended by '\n'
} holder_t;

typedef struct holders {
    holders_state_t state;
    bool steady;
    size_t interval, kept, stranded; // kept: of `stranded`, that of malloc's small blocks, by all sites
    holder_t *list;                  // those that keep something, the largest first
    size_t n;
} holders_t;

struct map;

/* Within a look, when rows have been divided: find who keeps them. Frees what was found before. */
void holders_find(struct map *m);
/* Give the sites their names, afterwards. */
void holders_name(struct map *m);

/* The return addresses of a site, innermost first, until the next look. */
const uintptr_t *holders_frames(const holder_t *h, size_t *n);
/* The name of the i-th frame; returns its length, 0: there is none. */
size_t holders_frame(const holder_t *h, size_t i, char *to, size_t size);
/* "f < g < h", `most` of them at most, innermost first. */
void holders_stack(const holder_t *h, size_t most, char *to, size_t size);

/* How the map tells it: a line and the first sites, a table, the member "holders"; and that read again. */
void holders_put_text(const holders_t *h, FILE *to);
void holders_put_html(const holders_t *h, FILE *to);
void holders_put_json(const holders_t *h, FILE *to);
void holders_read(holders_t *h, json_t from);

#endif
