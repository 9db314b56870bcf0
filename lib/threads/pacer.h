/* pacer.h - when empty pages go back to the kernel, and which thread purges them.
 *
 * Idea: empty pages that the program does not need (need.h) are purged at once, in slices of about 0.1 ms for each
 * call. Only the free of a large block may take longer: as long as the kernel needs for that many pages.
 *
 *   one thread          its frees purge, on slow paths. more than one       a helper thread purges some milliseconds
 *   later (background:auto); the mover does so if it runs. The helper starts when there is memory to give back. When
 *   bursts have stopped it also purges what was kept for them, and all of it when nothing has been allocated for 1.5 s.
 *   It ends when nothing is left to do. A program with one thread gets no helper. A child of fork gets none until it
 *   has made a thread of its own. either              growth is paid for with empty pages. An allocation that takes the
 *   sum of live and empty bytes to a new maximum purges as many bytes as the growth (need.h). The empty pages of one
 *   size class pay for what another takes.
 *                       Below its maximum the heap pays nothing, since kept pages do not make the process larger there.
 *                       When a quarter of the heap lies free between live blocks, growth is served from there first
 *                       (slabs/mixed.h).
 *
 * A program that goes quiet may never reach a slow path again, because it frees and allocates the same few slots in its
 * magazines. So while more than 2 MiB is left to purge after a slice, the thread's cache is *armed*: its frees take a
 * short detour, and every 16th purges another slice.
 *
 * A1  At most one thread purges at a time. It holds the pacer lock. Slices only try this lock. malloc_trim and the last
 *     attempt before ENOMEM wait for it. fork waits, too, since a page that is being purged is in no list. */
#ifndef TMI_THREADS_PACER_H
#define TMI_THREADS_PACER_H

#include "threads/thread.h"

extern tmi_lock_t tmi_pacer_lock; // for fork

/* Called on slow paths, without locks: tmi_pacer_freed after a free, where `bytes` is the size of a large block, or 0,
 * and cache may be NULL; tmi_pacer_allocated after an allocation. */
void tmi_pacer_freed(tmi_cache_t *cache, size_t bytes);
void tmi_pacer_allocated(void);

/* Called for each free of an armed cache that takes the slow path. */
void tmi_pacer_armed_free(tmi_cache_t *cache);

/* The program is about to wait. Purges a slice of what is not needed, however long ago the last check was. */
void tmi_pacer_idle(void);

/* Purge all that is not needed. For a thread that has nothing else to do. */
void tmi_pacer_background_pass(void);

/* From now on the mover's thread does the helper's work: it is the server. Any thread calls `call` on a slow path,
 * after a full fence. `call` wakes the server, and returns false if its thread does not exist. A child of fork has no
 * server. */
void tmi_pacer_serve_by(bool (*call)(void));

/* A pass of the server, which has been idle for idle_ms. Returns the milliseconds after which the next pass is due; 0:
 * none until a call. Unlike the helper's, the pass purges below the floor when the program has stopped: with handles
 * nearly all empty pages go back. Until then passes stay due, unless the server has been idle for more than 3 s. */
enum { TMI_PACER_SOON_MS = 20 };
uint32_t tmi_pacer_serve(uint32_t idle_ms);

/* Purge 64 KiB of what is not needed, of a free span, for a caller that must not take long. False: there is nothing to
 * do. */
bool tmi_pacer_step(void);

/* Purge all empty pages now. Returns their bytes. */
size_t tmi_pacer_purge_all(void);

/* In a child of fork, which has no helper thread. Called when the caches of the other threads have been emptied. */
void tmi_pacer_after_fork(void);

#endif
