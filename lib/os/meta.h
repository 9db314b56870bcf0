/* meta.h - memory for the library's own records, which never comes from malloc.
 *
 * Idea: a bump pointer over a static start and then over mappings of 256 KiB; freed records go to a list per size and
 * are reused for that size. Metadata is small (about 0.3 % of the heap), its population follows the heap's, and it is
 * never unmapped, so a stale look-up reads old records and not a fault.
 *
 * Sizes are rounded up to 16 bytes below 1 KiB and to a quarter of their doubling above; blocks are aligned to 16
 * bytes, those of 64 bytes and more to a cache line. Locks: its own, the innermost rank. */
#ifndef TMI_OS_META_H
#define TMI_OS_META_H

#include "os/lock.h"

/* Zeroed memory of nbytes (> 0, at most 256 KiB), or NULL. */
void *tmi_meta_alloc(size_t nbytes);
/* Give back what tmi_meta_alloc(nbytes) returned. */
void tmi_meta_free(void *p, size_t nbytes);
/* Zeroed OS pages for nbytes, of any size, which are never freed; or NULL. */
void *tmi_meta_pages(size_t nbytes);
/* Purge these whole pages, whose contents are not needed. They read as zero then, or as before if they are locked. */
void tmi_meta_rest(void *pages, size_t nbytes);
/* Zeroed memory of nbytes (> 0, at most 64 KiB), aligned to a cache line and never given back, or NULL. Takes no lock,
 * so that a signal handler may call it whatever it has interrupted. */
void *tmi_meta_permanent(size_t nbytes);
/* Address space for the first ones (256 KiB) now, so that it is there when there is none. False: no memory. */
bool tmi_meta_permanent_ready(void);
/* A mapping that permanent records are cut from, first to last. */
typedef struct tmi_meta_run {
    size_t taken; // bytes, this header included; beyond the size of the run when it is used up
} tmi_meta_run_t;

/* For the statistics below; layout.h tells tools where it lies. */
typedef struct tmi_meta_use {
    size_t taken, permanent; // bytes, for records that come back and for the others
    size_t unused;           // of `taken`: never handed out
    tmi_meta_run_t *run;     // the one that is in use
} tmi_meta_use_t;

extern tmi_meta_use_t tmi_meta_use;

/* Bytes taken from the kernel or the static start so far. */
size_t tmi_meta_bytes(void);
/* Those of them that have been handed out at some time: about what is resident. */
size_t tmi_meta_touched(void);

extern tmi_lock_t tmi_meta_lock; // for fork

#endif
