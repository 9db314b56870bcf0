/* maps.h - which files the process's code comes from, and the name of the function at a return address.
 *
 * /proc/self/maps is read into a mapping of its own. A function's name comes from the symbol table of its file
 * (.symtab, or else .dynsym). The table is read from the file. So the program need not export the name, and the dynamic
 * linker, which takes locks, is not called.
 *
 * Locks: none; each reader has its own tmi_maps_t. Fails: without /proc or memory there are no names. */
#ifndef TMI_INSIGHT_MAPS_H
#define TMI_INSIGHT_MAPS_H

#include "base/base.h"

typedef struct tmi_map {
    uintptr_t start, end, offset; // of executable pages
    const char *path;             // "" for anonymous memory
    const char *read_from;        // where the file is read if not at `path`, or NULL
    const unsigned char *file;    // contents; NULL: not read yet, or not readable
    size_t file_bytes;
    bool looked;
} tmi_map_t;

typedef struct tmi_maps {
    char *text;      // with NUL after each line
    size_t ntext, nbytes;
    tmi_map_t *rows; // by address
    size_t nrows;
} tmi_maps_t;

/* False: no memory, or no /proc; then there are no rows. */
bool tmi_maps_read(tmi_maps_t *maps);
/* The same of another process, from its /proc/PID/maps. A caller that needs names sets `read_from` first, since the
 * paths are those that the other process sees. */
bool tmi_maps_read_from(tmi_maps_t *maps, const char *path);
void tmi_maps_close(tmi_maps_t *maps);
/* A mapping of any kind. */
typedef struct tmi_mapping {
    uintptr_t start, end;
    const char *access; // "rwxp", not terminated
} tmi_mapping_t;
/* Call `each` for every mapping, in the order of addresses. */
void tmi_maps_each(const tmi_maps_t *maps, void (*each)(void *context, const tmi_mapping_t *m), void *context);
/* The row that contains a code address, or NULL. */
tmi_map_t *tmi_maps_find(tmi_maps_t *maps, uintptr_t address);
/* Write the name of the function that contains the address to `out`. False: it is not known. */
bool tmi_maps_name(tmi_map_t *map, uintptr_t address, char *out, size_t size);

#endif
