/* store_handles.h - the store on handles: a reference is 4 bytes, and a batch is a scope. See store.h. */
#ifndef KV_STORE_HANDLES_H
#define KV_STORE_HANDLES_H

#include <tinymem/tinymem.h>

typedef tm_ref_t store_ref;

#define STORE_NONE ((store_ref)0)
#define STORE_NAME "handles"

static inline void store_begin(void) { tm_scope_enter(); }
static inline void store_end(void) { tm_scope_exit(); }

static inline store_ref store_alloc(size_t size) { return tm_alloc_ref(size); }
static inline store_ref store_alloc_zero(size_t size) { return tm_ref(tm_calloc(1, size)); }
static inline void store_free(store_ref r) { tm_free_ref(r); }
static inline void *store_at(store_ref r) { return tm_deref_ref(r); }
static inline store_ref store_resize(store_ref r, size_t size) { return tm_ref(tm_realloc(tm_from_ref(r), size)); }

/* Nothing to do for now: a good moment to give memory back. */
static inline void store_idle(void) { tm_idle(); }

/* What the library's words of handles take, in bytes, and how many of the handles are live. */
static inline void store_words(size_t *bytes, size_t *live)
{
    tm_stats_t stats = {.struct_size = sizeof stats};
    tm_stats(&stats);
    *bytes = stats.table_bytes;
    *live = stats.live_objects;
}

#endif
