/* pacer.h - when empty pages go back to the kernel, and who sees to it.
 *
 * Idea: what is empty beyond the need of the program (need.h) goes at once, in slices: no call takes much longer than
 * 0.1 ms for it, but for a free of a large block, which may take as long as the kernel needs for as many pages.
 *
 *   one thread          its frees do the work, on slow paths.
 *   more than one       a helper thread does (background:auto), or the mover where it runs, some milliseconds later; it
 *                       is started when there is something to give back, lets go of what was kept for bursts when they
 *                       have stopped (when nothing has been allocated for 1.5 s all of it), and ends when there is
 *                       nothing left to do. A program with one thread never gets a second one by it, nor does a child
 *                       of fork before it has made a thread of its own.
 *   either              growth is paid from what is empty: an allocation that takes the heap to more live and empty
 *                       bytes than there ever were gives back as much (need.h). What lies empty in one size class pays
 *                       for what another takes.
 *                       Below its peak the heap pays nothing: what is kept there costs no memory. And when a quarter of
 *                       the heap lies free between survivors, growth is served from there first (slabs/mixed.h).
 *
 * A program that goes quiet may never reach a slow path again: it frees and allocates the same few slots in its
 * magazines. So while more than 2 MiB is left to give back after a slice the cache of the thread is *armed*: its frees
 * take a short detour, and every 16th does another slice.
 *
 * A1  At most one thread purges at a time (pacer lock, which slices only try; malloc_trim and the last resort before
 *     ENOMEM wait for it, and so does fork: a page that is being purged is in no list). */
#ifndef TMI_THREADS_PACER_H
#define TMI_THREADS_PACER_H

#include "threads/thread.h"

extern tmi_lock_t tmi_pacer_lock; // for fork

/* Called on slow paths, without locks held; cache may be NULL. After a free, of a large block of so many bytes or 0;
 * and after an allocation. */
void tmi_pacer_freed(tmi_cache_t *cache, size_t bytes);
void tmi_pacer_allocated(void);

/* Called for each free of an armed cache that is not just counted. */
void tmi_pacer_armed_free(tmi_cache_t *cache);

/* The program is about to wait: a slice of what is not needed, with all the time gone by since the last look. */
void tmi_pacer_idle(void);

/* All that is not needed, by a thread that has nothing else to do. */
void tmi_pacer_background_pass(void);

/* A thread that is there anyway, the mover, does what the helper would. `call` wakes it, and returns false if it is not
 * there after all: on slow paths, by any thread, after a full fence. In a child of fork there is no server any more. */
void tmi_pacer_serve_by(bool (*call)(void));

/* A pass of it. Returns the milliseconds after which the next one is due; 0: none before a call. Unlike the helper's it
 * goes below the floor when the program has stopped: with handles nearly all that is empty goes. It waits for that
 * while the thread has not been idle for more than 3 s. */
enum { TMI_PACER_SOON_MS = 20 };
uint32_t tmi_pacer_serve(uint32_t idle_ms);

/* 64 KiB of that, of a free span: for who must not take long. False: there is nothing to do. */
bool tmi_pacer_step(void);

/* Give back all that is empty, now. Returns the bytes. */
size_t tmi_pacer_purge_all(void);

/* In a child of fork, when the other threads' caches have been emptied: the helper thread is gone. */
void tmi_pacer_after_fork(void);

#endif
