/* large.h - objects above 256 KiB, and those above 32 KiB that medium.h does not serve: each an extent of whole units
 * of its own.
 *
 * Idea: address space is rounded up to units, memory only to OS pages, since untouched pages are not resident. The
 * object does not always start at the unit. It is shifted by a varying number of pages within the slack, so that the
 * first lines of many large objects do not fall into the same cache sets. An object that realloc has moved gets
 * additional address space to grow into: twice its size, at most 16 MiB. Bytes that a former object has left behind a
 * movable object are purged. So are those that a zeroed object of 32 MiB or more would have to clear. Both heaps have
 * extents; their *kind* determines their entry in the page map and the counters that count them.
 *
 * E1  The first record of the extent's span holds the object's address (`owner`) and its OS pages (`bytes`, = usable
 *     size).
 * E2  owner lies in the first unit, and owner + bytes is always inside the span. An object that grows gets its units
 *     before its size changes; one that shrinks loses them afterwards. So a child of fork sees the old size or the new
 *     one.
 *
 * Owner: the record belongs to the owner of the object, the span to segments. Locks: none of its own. */
#ifndef TMI_SLABS_LARGE_H
#define TMI_SLABS_LARGE_H

#include "segments/segment.h"

/* ---- the raw heap's ---------------------------------------------------------------------------------------------- */

/* An object of at least `size` bytes (at most PTRDIFF_MAX) aligned to `align` (a power of two), zeroed if `zero`. NULL:
 * out of memory. */
void *tmi_large_alloc(size_t size, size_t align, bool zero);

/* Whether p is the address of a large object; its page map class is LARGE. */
bool tmi_large_valid(const void *p);

void tmi_large_free(void *p);
size_t tmi_large_usable(const void *p);

/* Grow or shrink to `size` bytes without copying: in place, or by moving pages. NULL: it takes a copy, or there is no
 * memory. The object is unchanged. */
void *tmi_large_resize(void *p, size_t size);

/* ---- of both heaps ----------------------------------------------------------------------------------------------- */

typedef enum tmi_extent_kind { TMI_EXTENT_RAW, TMI_EXTENT_MOVABLE } tmi_extent_kind_t;

/* As tmi_large_alloc and tmi_large_free, for a kind. */
void *tmi_extent_alloc(tmi_extent_kind_t kind, size_t size, size_t align, bool zero);
void tmi_extent_free(tmi_extent_kind_t kind, void *p);
/* Grow or shrink in place. False: it cannot be done, and the object is unchanged. */
bool tmi_extent_resize(tmi_extent_kind_t kind, void *p, size_t size);

/* Moving by pages, in three steps: find room for `size` bytes (NULL: it takes a copy, or there is no memory), move the
 * pages, free the old place, which is empty then. If the pages cannot be moved, the second step frees the room, and the
 * object is unchanged. */
void *tmi_extent_room(tmi_extent_kind_t kind, const void *p, size_t size);
bool tmi_extent_move(tmi_extent_kind_t kind, void *p, void *room);
void tmi_extent_free_moved(tmi_extent_kind_t kind, void *p);

#endif
