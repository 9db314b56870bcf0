/* object_impl.h - what the files of the module share. */
#ifndef TMI_HEAP_OBJECT_IMPL_H
#define TMI_HEAP_OBJECT_IMPL_H

#include "heap/object.h"
#include "slabs/movable_large.h"

/* Ready the movable heap; false: no memory for its tables. */
bool tmi_object_init(void);
/* The same where no lock may be waited for: before the first object a pin or a scope can have no handle but a wrong
 * one, which is looked up and reported when the tables are there. */
void tmi_object_try_init(void);

/* Count a new object among the samples; `frame`: see tmi_stack_capture. */
void tmi_object_sampled(tm_handle_t h, size_t size, void *frame) TMI_COLD;

/* h is no live handle: what the option `stale` says. Returns only where that is not abort. */
void tmi_object_stale(const char *function, tm_handle_t h);

/* h equals its word but for a mark; *w is the word then. TM_NULL is not live, nor is a number that has not the form of
 * a handle, such as an address, which may equal a word that was never used. */
static inline bool tmi_object_live(tm_handle_t h, uint64_t *w)
{
    *w = 0;
    if (!tmi_handle_formed(h) || !tmi_object_ready() || !tmi_handle_readable(tmi_handle_index(h)))
        return false;
    *w = tmi_load_acquire(tm_word_of_(h)); // pairs: mover_publish
    return tm_word_differs_(*w & ~TMI_WORD_MOVING, h) == 0;
}

/* Usable bytes of the object at p, which the caller keeps in place. */
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

/* Class for a small request. */
static inline unsigned tmi_object_class(size_t size, size_t align)
{
    size += size == 0;
    return align <= 16 ? tmi_mclass_of(size) : tmi_mclass_of_aligned(size, align);
}

/* The alignment that was asked for the object at p, which the caller keeps in place, or 1. */
size_t tmi_object_align(const void *p);

/* Report a free or resize of what this thread has pinned; with check:full also of what another thread has. */
void tmi_object_require_unpinned(tm_handle_t h, const char *function);

/* A bound handle that is not live yet, asked alignment noted; errno is set when it is TM_NULL. */
tm_handle_t tmi_object_bound(size_t size, size_t align);

#endif
