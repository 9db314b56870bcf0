/* object_impl.h - what the files of this module share. */
#ifndef TMI_HEAP_OBJECT_IMPL_H
#define TMI_HEAP_OBJECT_IMPL_H

#include "heap/object.h"
#include "slabs/movable_large.h"

/* Make the movable heap ready. False: no memory for its tables. */
bool tmi_object_init(void);
/* The same for callers that may not wait for a lock, such as pins and scopes. If a lock is taken, the tables are made
 * by a later call. Until the first object exists every handle is wrong, so no pin needs them. */
void tmi_object_try_init(void);

/* Count a new object among the samples; `frame`: see tmi_stack_capture. */
void tmi_object_sampled(tm_handle_t h, size_t size, void *frame) TMI_COLD;

/* h is not a live handle. Do what the option `stale` says. Returns unless that is abort. */
void tmi_object_stale(const char *function, tm_handle_t h);

/* Whether h is live: it equals its word except for a mark. *w becomes the word. TM_NULL is not live. Neither is a
 * number without the form of a handle, such as an address, even if it equals a word that was never used. */
static inline bool tmi_object_live(tm_handle_t h, uint64_t *w)
{
    *w = 0;
    if (!tmi_handle_formed(h) || !tmi_object_ready() || !tmi_handle_readable(tmi_handle_index(h)))
        return false;
    *w = tmi_load_acquire(tm_word_of_(h)); // pairs: mover_publish
    return tm_word_differs_(*w & ~TMI_WORD_MOVING, h) == 0;
}

/* Usable bytes of the object at p. The caller keeps the object in place. */
static inline size_t tmi_object_usable(const void *p)
{
    unsigned cls = tmi_movable_class(p);
    if (cls != TMI_MCLASS_LARGE)
        return tmi_mclasses[cls].size;
    tmi_extent_require_held(p);
    return tmi_large_usable(p);
}

static inline bool tmi_object_is_large(size_t size, size_t align)
{
    return size > TMI_MOVABLE_MAX || align > TMI_MOVABLE_MAX;
}

/* The class for a small request. */
static inline unsigned tmi_object_class(size_t size, size_t align)
{
    size += size == 0;
    return align <= 16 ? tmi_mclass_of(size) : tmi_mclass_of_aligned(size, align);
}

/* The alignment that was requested for the object at p, or 1. The caller keeps the object in place. */
size_t tmi_object_align(const void *p);

/* Report a free or resize of an object that this thread has pinned; with check:full also of one that another thread has
 * pinned. */
void tmi_object_require_unpinned(tm_handle_t h, const char *function);

/* Reserve an index with a slot or extent for an object that is not live yet. The requested alignment is recorded.
 * TM_NULL: errno is set. */
tm_handle_t tmi_object_reserve(size_t size, size_t align);

#endif
