/* movable_large.h - extents of the movable arena: objects above 64 KiB, or aligned to more. Compaction never moves
 * them: a hole in address space costs nothing. The record of an extent's span holds the index of the handle, and the
 * attributes that movable.h describes.
 *
 * They are not in malloc's part of the page map (M1), so that free reports them.
 *
 * E3  At every instant at which fork can happen, an extent that is moved by its pages is at the place that its word
 *     gives: moving and publishing are one step under tmi_extent_lock, which fork takes. */
#ifndef TMI_SLABS_MOVABLE_LARGE_H
#define TMI_SLABS_MOVABLE_LARGE_H

#include "os/os.h"
#include "slabs/large.h"
#include "slabs/movable.h"

extern tmi_lock_t tmi_extent_lock; // for fork

void *tmi_movable_large_alloc(size_t size, size_t align, bool zero, uint32_t index);
static inline void tmi_movable_large_free(void *p) { tmi_extent_free(TMI_EXTENT_MOVABLE, p); }

/* Resize and keep contents and attributes, by moving pages if necessary; then `publish(context, to)` stores the new
 * address in the object's word. `align` is the requested alignment. False: the object is unchanged, since it must be
 * copied or memory is short. */
bool tmi_movable_large_resize(void *p, size_t size, size_t align, void (*publish)(void *context, char *to),
                              void *context);

/* Usable bytes of an extent for `size`. */
static inline size_t tmi_movable_large_usable(size_t size) { return tmi_round_up(size, tmi_os_page_size); }

#endif
