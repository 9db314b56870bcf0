/* early.h - allocation before the process is relocated.
 *
 * Idea: the dynamic linker calls resolvers of IFUNC symbols while it relocates, and these may allocate. The library
 * may not be relocated itself then, and thread-local storage has no contents: pointer variables, functions of other
 * libraries and the heap cannot be used. So these blocks are cut from a static array, and are never reused.
 *
 * `tmi_heap_tiny` is a variable for this: malloc's fast path compares the size with it, and it is 0 until the heap is
 * ready. Then it is TMI_HEAP_TINY, or TMI_HEAP_TINY_WATCHED while allocations are counted for the samples.
 * Nothing here may need a relocation. Thread safety: any thread. Fails: NULL when the array is used up; errno does not
 * change. */
#ifndef TMI_HEAP_EARLY_H
#define TMI_HEAP_EARLY_H

#include "base/base.h"

/* Sizes that malloc's fast path serves: less than that. */
extern size_t tmi_heap_tiny;
#define TMI_HEAP_TINY (TMI_TINY_MAX + 1)
#define TMI_HEAP_TINY_WATCHED TMI_TINY_MAX // another value, which costs the fast path one size

/* Whether everything is relocated, and thread-local storage is ready. */
bool tmi_early_is_over(void);

/* Zeroed. */
void *tmi_early_alloc(size_t size, size_t align);

bool tmi_early_owns(const void *p);
size_t tmi_early_usable(const void *p);

/* As memcpy, which belongs to another library. */
void tmi_early_copy(void *to, const void *from, size_t nbytes);

#endif
