/* meta.h - memory for the library's own records. It never comes from malloc.
 *
 * Idea: a bump pointer over a static buffer and then over mappings of 256 KiB. A freed record goes to the list of its
 * size and is reused for that size. Metadata is small, about 0.3 % of the heap, and grows with the heap. It is never
 * unmapped, so a stale look-up reads an old record instead of faulting.
 *
 * Sizes are rounded up to 16 bytes below 1 KiB and to a quarter of their doubling above; blocks are aligned to 16
 * bytes, those of 64 bytes and more to a cache line. Locks: its own, the innermost rank. */
#ifndef TMI_OS_META_H
#define TMI_OS_META_H

#include "os/lock.h"

/* Zeroed memory of nbytes (> 0, at most 256 KiB), or NULL. */
void *tmi_meta_alloc(size_t nbytes);
/* Free what tmi_meta_alloc(nbytes) returned. */
void tmi_meta_free(void *p, size_t nbytes);
/* Zeroed OS pages for nbytes, of any size, which are never freed; or NULL. */
void *tmi_meta_pages(size_t nbytes);
/* Purge these whole pages. Their contents are lost: they read as zero, or as before if the program has locked them. */
void tmi_meta_purge(void *pages, size_t nbytes);
/* Zeroed memory of nbytes (> 0, at most 64 KiB), aligned to a cache line, or NULL. It cannot be freed. Takes no lock,
 * so a signal handler may call it, whatever code the handler has interrupted. */
void *tmi_meta_permanent(size_t nbytes);
/* Reserve 256 KiB for the first permanent records now, so that they do not fail later for want of address space. False:
 * no memory. */
bool tmi_meta_permanent_ready(void);
/* A mapping out of which permanent records are cut, from its start to its end. */
typedef struct tmi_meta_run {
    size_t taken; // bytes, with this header; larger than the run when it is used up
} tmi_meta_run_t;

/* For the statistics below. layout.h tells tools where it lies. */
typedef struct tmi_meta_use {
    size_t taken, permanent; // bytes: for records that can be freed, and for permanent ones
    size_t unused;           // of `taken`: never handed out
    tmi_meta_run_t *run;     // the one that is in use
} tmi_meta_use_t;

extern tmi_meta_use_t tmi_meta_use;

/* Bytes taken from the kernel or the static start so far. */
size_t tmi_meta_bytes(void);
/* How many of them have been handed out at least once. About as many are resident. */
size_t tmi_meta_touched(void);

extern tmi_lock_t tmi_meta_lock; // for fork

#endif
