/* holders.h - which call sites keep stranded memory resident, in a process that takes a profile.
 *
 * Idea: the profile's table of sampled blocks, sites and stacks is copied like all other records. Each sampled block is
 * charged with its share of the free bytes on its pages, by the same functions of the library as in the profile's own
 * report (profile_blame.c), applied to the copies. The blocks that a sampled block stands for lie in other slabs, in
 * which no block may be sampled. Therefore
 *
 *   - the total of a site is the scaled estimate; the totals of all sites are at most the stranded bytes;
 *   - the stranded bytes of a row are divided only among the sites of the blocks sampled in it.
 *
 * If each block is sampled (profile_interval:1) both are exact. Movable objects are not charged, since they can move.
 *
 * Torn reads: the tables are read again, a few times at most, until they did not change during the read and the number
 * of entries is right; otherwise `steady` is false. */
#ifndef TMI_TOOL_HOLDERS_H
#define TMI_TOOL_HOLDERS_H

#include "json.h"
#include "target.h"

#include <stdio.h>

typedef enum holders_state {
    HOLDERS_UNKNOWN,   // the map comes from a file without this information
    HOLDERS_NONE,      // the process takes no profile
    HOLDERS_UNTOLD,    // it takes one, but the library does not publish the address of its tables
    HOLDERS_NONSENSE,  // the tables are invalid
    HOLDERS_FOUND,
} holders_state_t;

typedef struct holder {
    size_t bytes, samples; // stranded bytes that the site keeps; its sampled blocks that keep some
    uint32_t site;         // number of the site in the profile
    char *stack;           // names of its frames, innermost first, each followed by '\n'
} holder_t;

typedef struct holders {
    holders_state_t state;
    bool steady;
    size_t interval, kept, stranded; // stranded: among malloc's small blocks; kept: the part charged to sites
    holder_t *list;                  // sites that keep stranded bytes, the largest first
    size_t n;
} holders_t;

struct map;

/* Find the holders of the rows' stranded bytes. Called within a look, after the rows are divided. Frees the previous
 * list. */
void holders_find(struct map *m);
/* Find the names of the sites' frames. Called after the look. */
void holders_name(struct map *m);

/* The return addresses of a site, innermost first. Valid until the next look. */
const uintptr_t *holders_frames(const holder_t *h, size_t *n);
/* Write the name of the i-th frame. Returns its length; 0: there is no such frame. */
size_t holders_frame(const holder_t *h, size_t i, char *to, size_t size);
/* Write "f < g < h", at most `most` frames, innermost first. */
void holders_stack(const holder_t *h, size_t most, char *to, size_t size);

/* The holders in the map's output: as text, a line and the first sites; as HTML, a table; as JSON, the member
 * "holders"; and reading that member. */
void holders_put_text(const holders_t *h, FILE *to);
void holders_put_html(const holders_t *h, FILE *to);
void holders_put_json(const holders_t *h, FILE *to);
void holders_read(holders_t *h, json_t from);

#endif
