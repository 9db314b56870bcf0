/* preload.h - what the files that make tinymem malloc share. */
#ifndef TMI_PRELOAD_PRELOAD_H
#define TMI_PRELOAD_PRELOAD_H

#include "heap/heap.h"

/* A second exported name for a function of the same file. */
#if __has_attribute(copy)
#define TMI_ALIAS(target) __attribute__((alias(#target), copy(target), visibility("default")))
#else
#define TMI_ALIAS(target) __attribute__((alias(#target), visibility("default")))
#endif

/* The next definition of a symbol after ours, or NULL. May allocate. */
void *tmi_next_symbol(const char *name);

/* Pointers that are not ours: of libc's heap from before start-up or behind RTLD_DEEPBIND, of a library with an
 * allocator of its own. They are passed to the next allocator if they can belong to it. A wild pointer is reported in
 * the name of `function`, then abort. */
void tmi_foreign_free(void *p, const char *function) TMI_COLD;
void *tmi_foreign_realloc(void *p, size_t size) TMI_COLD;
size_t tmi_foreign_usable(void *p, const char *function) TMI_COLD;

/* free, under all of its names. */
static inline void tmi_preload_free(void *p, const char *function)
{
    if (TMI_UNLIKELY(!tmi_heap_free_fast(p)) && TMI_UNLIKELY(!tmi_heap_free(p, function)))
        tmi_foreign_free(p, function);
}

/* Referenced by malloc.c so that a static link pulls the constructor in. */
void tmi_start_anchor(void);

#endif
