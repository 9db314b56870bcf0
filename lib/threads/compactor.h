/* compactor.h - when compaction runs: by a thread of its own, by steps, or until nothing is left to gain.
 *
 * Idea: waste is measured, not guessed: what moving could free, from the counts of the classes. The background thread
 * is started when that first exceeds what a busy program is left with (compact_churn), and works batch by batch,
 * sleeping in proportion (compact_cpu). When the program has been quiet for a moment it empties the caches of threads
 * that sleep, goes down to compact_target, and then sleeps until a slow path of the program wakes it. It is the pacer's
 * helper as well (pacer.h): passes of the pacer go on while it sleeps, until the program has stopped and nearly all
 * that is empty has gone back; from then on it has no clock. While pins or scopes keep it from what there is to gain it
 * looks at them now and then, so that a heap does not stay as it is because of a pin that outlived the last free.
 * After a request to give memory back (TMI_REQUEST_TRIM) it moves all that there is to gain, for a second at most.
 *
 * Q1  The thread holds the mover's lock for one piece of a batch at a time, and not while membarrier(GLOBAL) waits.
 * Q2  A batch that another thread finds pending it may carry on.
 *
 * The thread (helper.h) has no record; it is lost in a child of fork and started again when there is work. When the
 * system has no thread to give the slow paths of the program do steps instead, of 20 us. */
#ifndef TMI_THREADS_COMPACTOR_H
#define TMI_THREADS_COMPACTOR_H

#include "compaction/compact.h"
#include "threads/thread.h"

/* Called on slow paths, without locks held. */
void tmi_compactor_poll(void);

/* An object was locked and is not any more. */
void tmi_compactor_unlocked(void);

/* All that can be gained now; waits for a mover at work. `self` as in tmi_compact_fence. */
void tmi_compactor_all(const tm_pins_t_ *self);
/* The same, but nothing while another thread moves: for who is out of memory. */
void tmi_compactor_try_all(const tm_pins_t_ *self);

/* One step of about budget_us microseconds; true while another could gain something now. */
bool tmi_compactor_step(const tm_pins_t_ *self, unsigned budget_us);
uint64_t tmi_compactor_longest_step_ns(void);

/* Tell the program of batches since the last time, if it wants to know. Called without locks. */
void tmi_compactor_tell(void);
/* Who is told from now on; waits while the one before is being told, unless that is the caller. */
void tmi_compactor_tell_to(tm_batch_call_t *call, void *context);
void tmi_compactor_told_after_fork(void);

/* Before fork, with the mover's lock: no batch is pending. In the child: the thread is gone, and fences must be asked
 * for anew. */
void tmi_compactor_before_fork(void);
void tmi_compactor_after_fork(void);

#endif
