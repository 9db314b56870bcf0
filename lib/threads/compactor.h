/* compactor.h - when compaction runs: in a thread of its own, in steps, or until nothing is left to gain.
 *
 * Idea: waste is the number of bytes that moving could free. It is computed from the counts of the classes. The
 * background thread starts when waste first exceeds compact_churn, the waste that a busy program is left with. It works
 * batch by batch and sleeps in proportion to its work (compact_cpu). When the program has been quiet for a moment, the
 * thread empties the caches of sleeping threads, compacts until waste is at most compact_target, and then sleeps until
 * a slow path of the program wakes it. The thread is the pacer's helper, too (pacer.h): it continues the pacer's passes
 * while it sleeps, until the program has stopped and nearly all empty pages are purged. From then on it sleeps without
 * a time limit. While pins or scopes prevent moves, the thread checks them at intervals. Otherwise a pin that outlived
 * the program's last free would leave the heap uncompacted. After a request to give memory back (TMI_REQUEST_TRIM) the
 * thread moves all that there is to gain, for at most a second.
 *
 * Q1  The thread holds the mover's lock for one piece of a batch at a time. It does not hold the lock while
 *     membarrier(GLOBAL) waits.
 * Q2  Any thread may continue a batch that another thread has begun.
 *
 * The thread (helper.h) has no thread record. A forked child does not inherit it, and starts it again when there is
 * work. If the system refuses to start a thread, slow paths of the program do steps of 20 us instead. */
#ifndef TMI_THREADS_COMPACTOR_H
#define TMI_THREADS_COMPACTOR_H

#include "compaction/compact.h"
#include "threads/thread.h"

/* Called on slow paths, without locks held. */
void tmi_compactor_poll(void);

/* The last lock of an object has ended. */
void tmi_compactor_unlocked(void);

/* Compact until nothing is left to gain. Waits while another thread moves. `self` as in tmi_compact_fence. */
void tmi_compactor_all(const tm_pins_t_ *self);
/* The same for a caller that is out of memory. Does nothing if another thread moves. */
void tmi_compactor_try_all(const tm_pins_t_ *self);

/* One step of about budget_us microseconds. True: another step could gain something now. */
bool tmi_compactor_step(const tm_pins_t_ *self, unsigned budget_us);
uint64_t tmi_compactor_longest_step_ns(void);

/* Call the program's callback, if there is one, with the figures of the batches since its last call. The caller holds
 * no lock. */
void tmi_compactor_notify(void);
/* Set the program's callback. Waits while the former one runs, unless the caller is that callback. */
void tmi_compactor_set_callback(tm_batch_call_t *call, void *context);
void tmi_compactor_callback_after_fork(void);

/* Before fork, under the mover's lock: drop the pending batch. In the child: it has no mover thread, and must register
 * for fences again. */
void tmi_compactor_before_fork(void);
void tmi_compactor_after_fork(void);

#endif
