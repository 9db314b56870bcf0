/* large.h - objects above 32 KiB: each an extent of whole units of its own.
 *
 * Idea: address space is rounded up to units, memory only to OS pages, since what is not touched is not resident. The object does not always
 * start at the unit: it is shifted by a varying number of pages within the slack, so that the heads of many large objects do not fall into the same
 * cache sets.
 *
 * E1  The first record of the extent's span holds the object's address (`owner`) and its OS pages (`bytes`, = usable size).
 * E2  owner lies in the first unit; owner + bytes is inside the span.
 *
 * Owner: the record belongs to whoever owns the object; the span to the space layer. Locks: none of its own. */
#ifndef TMI_STORES_LARGE_H
#define TMI_STORES_LARGE_H

#include "space/segment.h"

/* An object of at least `size` bytes (at most PTRDIFF_MAX) aligned to `align` (a power of two), zeroed when asked for. NULL: out
 * of memory. */
void *tmi_large_alloc(size_t size, size_t align, bool zero);

/* Whether p is the address of a large object; its page map class is LARGE. */
bool tmi_large_valid(const void *p);

void tmi_large_free(void *p);
size_t tmi_large_usable(const void *p);

/* Grow or shrink to `size` bytes without copying: in place, or by moving pages. NULL: it takes a copy (or there is no memory);
 * the object is as it was. */
void *tmi_large_resize(void *p, size_t size);

#endif
