/* pacer.h - when empty pages go back to the kernel.
 *
 * Idea: frees pay for it. Work is *pending* while empty pages (of slabs and of free spans) exceed what may be kept: max(256 KiB, purge_keep % of live
 * memory). The slow paths poll; a pass runs at most every quarter of purge_delay, and purges what has been empty for purge_delay ms, oldest
 * first, at most 64 MiB at a time. Of what exceeds max(16 MiB, an eighth of live memory) a quarter of purge_delay is enough.
 *
 * A program that goes quiet may never reach a slow path again: it frees and allocates the same few slots in its
 * magazines. So while more than 2 MiB of work is pending the cache of the thread that polled is *armed*: its frees take
 * a short detour that counts them and looks at the clock at every 16th. After 1,024 of them without an exchange with the
 * depot the thread works on a few slots only and has no use for the empty pages: they go at once.
 *
 * A1  At most one pass runs at a time (pacer lock, which passes only try; malloc_trim and the last resort before ENOMEM wait for it).
 *
 * With background:on a thread (helper.h) does the same on a clock. It is started by the first poll that finds
 * work, in a child of fork too; while there is none the polls go on as without. */
#ifndef TMI_THREADS_PACER_H
#define TMI_THREADS_PACER_H

#include "threads/thread.h"

extern tmi_lock_t tmi_pacer_lock; // for fork

/* Called on slow paths, without locks held; cache may be NULL. */
void tmi_pacer_poll(tmi_cache_t *cache);

/* Called for each free of an armed cache. */
void tmi_pacer_armed_free(tmi_cache_t *cache);

/* A pass over what is at least min_age ms old, by a thread that has nothing else to do. */
void tmi_pacer_background_pass(uint32_t min_age);

/* 64 KiB of that, of a free span: for who must not take long. False: there is nothing to do. */
bool tmi_pacer_step(void);

/* Give back all that is empty, now. Returns the bytes. */
size_t tmi_pacer_purge_all(void);

/* In a child of fork: the helper thread is gone. */
void tmi_pacer_after_fork(void);

#endif
