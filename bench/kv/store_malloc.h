/* store_malloc.h - the store on malloc, whichever the program runs on: a reference is a pointer. See store.h. */
#ifndef KV_STORE_MALLOC_H
#define KV_STORE_MALLOC_H

#include <stdlib.h>

typedef void *store_ref;

#define STORE_NONE NULL
#define STORE_NAME "malloc"

static inline void store_begin(void) {}
static inline void store_end(void) {}

static inline store_ref store_alloc(size_t size) { return malloc(size); }
static inline store_ref store_alloc_zero(size_t size) { return calloc(1, size); }
static inline void store_free(store_ref r) { free(r); }
static inline void *store_at(store_ref r) { return r; }
static inline store_ref store_resize(store_ref r, size_t size) { return realloc(r, size); }
static inline void store_idle(void) {}
static inline void store_words(size_t *bytes, size_t *live) { *bytes = *live = 0; }

#endif
