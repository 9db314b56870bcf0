/** <tinymem/profile.h> - which call sites hold memory: a sampled profile of malloc and of handles.
 *
 *  On average one block is sampled in every `interval` bytes that are allocated. Its stack is kept until it is freed.
 *  TINYMEM=profile:on does the same without code in the program; see tinymem(7). A process that does not profile pays
 *  nothing. */
#ifndef TINYMEM_PROFILE_H
#define TINYMEM_PROFILE_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Sample from now on.
 *  @param interval  bytes, on average, from one sample to the next; 1: every block; 0: option profile_interval (512 KiB
 *                   unless set).
 *  @return   0, also if sampling is on already; ENOMEM; EBUSY: the process has samples of another interval.
 *  @thread   any; not in a signal handler. Opens libunwind unless option unwind forbids it. Blocks that were allocated
 *            before are not in the profile. */
int tm_profile_start(size_t interval);

/** Stop sampling. Sampled blocks stay in the profile until they are freed.
 *  @thread   any; not in a signal handler. */
void tm_profile_stop(void);

/** Write the profile, in the form that option profile_format names.
 *  @param path  a file, which is created or replaced; NULL: the one that option profile_file names.
 *  @return   0; EINVAL: nothing has been profiled; ENOMEM; EAGAIN: another thread is writing it; an errno of opening
 *            the file; EIO: not all could be written.
 *  @thread   any. Allocates nothing from the heap. */
int tm_profile_dump(const char *path);

/** Whether moving a block could free a page. For programs that move their data themselves, by
 *  @code if (tm_should_move(p)) { q = malloc(n); memcpy(q, p, n); free(p); } @endcode
 *  for every block. True if p is a small block of malloc that lies in a sparse place, and malloc would put the copy in
 *  a fuller one. A place is sparse if many pages of the block's size class are nearly empty, or if the block shares a
 *  slab with blocks of other sizes and half of that slab is empty. Handles need no such query.
 *  @param p  a block of malloc, or NULL. For any other pointer the answer is false.
 *  @thread   any; not in a signal handler. */
bool tm_should_move(const void *p);

/** The same under the name and with the type of a patched jemalloc, which Redis and its relatives call
 *  (JEMALLOC_FRAG_HINT). See tm_profile(3) for what a build with active defragmentation needs. libtinymem only.
 *  @param p  as for tm_should_move
 *  @return   1 or 0. */
int je_get_defrag_hint(void *p);

#ifdef __cplusplus
}
#endif

#endif
