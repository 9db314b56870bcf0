/* movable_large.h - extents of the movable arena: objects above 64 KiB, or aligned to more. They are never moved for memory's sake: a hole in address
 * space costs nothing. Their span keeps the index of the handle, and the attributes that movable.h describes.
 *
 * To the page map they are not malloc's (M1), so that free reports them. Locks and failures as large.h. */
#ifndef TMI_STORES_MOVABLE_LARGE_H
#define TMI_STORES_MOVABLE_LARGE_H

#include "host/os.h"
#include "stores/large.h"
#include "stores/movable.h"

void *tmi_movable_large_alloc(size_t size, size_t align, bool zero, uint32_t index);
void tmi_movable_large_free(void *p);
/* The new place, contents and attributes kept; NULL: it cannot be done by pages, or not enough memory. `align` is what was asked for. */
void *tmi_movable_large_resize(void *p, size_t size, size_t align);

/* Usable bytes of an extent for `size`. */
static inline size_t tmi_movable_large_usable(size_t size) { return tmi_round_up(size, tmi_os_page_size); }

#endif
