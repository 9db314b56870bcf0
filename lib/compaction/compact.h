/* compact.h - moves objects, so that emptied slabs can go back to the kernel.
 *
 * Idea: one *batch* at a time. The mover chooses the emptiest slab of a class and marks its live objects in their
 * words. A fence and a scan find the objects in use. The mover copies the others to free slots of the fullest slabs,
 * and publishes each new address by a compare-and-swap of the word, which fails if a thread has touched the object
 * since it was marked. No mutator waits for any of this. A mutator that finds a mark clears it and continues.
 *
 *   IDLE ─ choose ─→ MARK ─→ FENCE ─ scan ─→ SCOPES ─ all left ─→ COPY ─→ PUBLISH ─→ GIVE ─ pages back ─→ IDLE
 *                                              └─ one stays open too long: dropped ─────────→┘
 *
 * The batch is data, not a thread: every function here does one bounded piece of it under the mover's lock. Another
 * thread may do the next piece. Marks stay set between pieces.
 *
 * B1  Only a holder of the mover's lock sets M, and only in state MARK; an entry's word is old|M then. So if publishing
 *     finds old|M, no thread has touched the object since: a touch clears M, a free or a new life changes the
 *     generation, a resize changes the address.
 * B2  Between FENCE and PUBLISH an entry whose word still is old|M has no pin, no lock, and no scope that was open at
 *     the scan.
 * B3  An entry's target slot is taken, belongs to the batch, and is not in the word of any index before PUBLISH.
 * B4  The slabs in `sources` are being emptied (V2) by this batch.
 *
 * Memory of sources stays readable until GIVE, even if a thread frees objects in them.
 * Lock: the mover's, the outermost rank; mutators never take it. Under it, locks of classes are held for short times.
 * Fails: without memory for its records, or without free slots, a batch moves less. */
#ifndef TMI_COMPACTION_COMPACT_H
#define TMI_COMPACTION_COMPACT_H

#include "os/os.h"
#include "compaction/pin.h"

extern tmi_lock_t tmi_compact_lock; // for fork, and for callers of tmi_compact_piece

#define TMI_COMPACT_NO_DEADLINE UINT64_MAX

typedef struct tmi_compact_limits {
    uint64_t deadline_ns;   // stop soon after it, but not before one small piece is done; or TMI_COMPACT_NO_DEADLINE
    size_t objects, bytes;  // of a batch
    size_t min_gain;        // a class is chosen only if moving could free at least that many bytes
    size_t purge_pages;     // the most pages to purge at a time
    bool tidy;              // also purge empty pages of partly used slabs
    bool purge_table;       // also purge pages of the handle table; otherwise the pacer does
} tmi_compact_limits_t;

typedef enum tmi_compact_result {
    TMI_COMPACT_NOTHING,    // nothing to gain now
    TMI_COMPACT_MORE,       // a piece was done, or the next one can be done at once
    TMI_COMPACT_FENCE,      // call tmi_compact_fence; or fence without the lock, and call tmi_compact_fenced
    TMI_COMPACT_WAIT,       // a scope is open: call again in a moment
} tmi_compact_result_t;

/* Make room for the records of a batch. False: no memory. */
bool tmi_compact_ready(void);

/* Purge the memory of the records, since no batch is expected for some time. The caller holds the lock. */
void tmi_compact_purge_records(void);

/* Do the next piece of work. The caller holds the lock. */
tmi_compact_result_t tmi_compact_piece(const tmi_compact_limits_t *limits);

/* Move an object that is about to be locked to a slab that is set apart: see compact_apart.c. `self` as in
 * tmi_compact_fence. The caller holds no lock. An object that the caller has pinned stays where it is. */
void tmi_compact_set_apart(const tm_pins_t_ *self, tm_handle_t h);

/* Forget what could not be moved before, so that it is tried again. The caller holds the lock. */
void tmi_compact_afresh(void);

/* Whether no batch is under way; whether no batch is past state MARK. */
bool tmi_compact_idle(void);
bool tmi_compact_marking(void);

/* In state FENCE: the number of the batch, for tmi_compact_fenced. */
uint64_t tmi_compact_batch(void);
/* Execute the fence that the batch waits for, by the quickest means. If no other thread uses handles, that is no fence.
 * The caller holds the lock. */
void tmi_compact_fence(const tm_pins_t_ *self);
/* Tell the batch of a full fence of every thread that began when the batch was in state FENCE. `err` != 0: the fence
 * failed. The caller holds the lock. */
void tmi_compact_fenced(uint64_t batch, tmi_fence_t kind, int err);

/* Nothing moves from the return of tmi_compact_pause until the matching tmi_compact_resume. Both take the lock. False:
 * the count of pauses would overflow; there was no pause. */
bool tmi_compact_pause(void);
bool tmi_compact_resume(void);
/* Set the mode, TMI_COMPACTION_..., and drop a batch that the new mode forbids. Takes the lock. */
void tmi_compact_set_mode(uint32_t mode);

/* Clear the batch's marks and forget it. The caller holds the lock. */
void tmi_compact_drop(void);

/* Bytes that moving could free, over all classes. */
size_t tmi_compact_gain(size_t min_gain);

typedef struct tmi_compact_figures {
    size_t moved_objects, moved_bytes, marked, by_touch, by_scan, by_free, by_lock /* of by_scan */, batches, dropped;
    size_t fences_global, fences_expedited, fences_none;
    uint64_t longest_batch_ns, time_ns;
    size_t mode, paused; // the present mode, TMI_COMPACTION_..., and the number of pauses
} tmi_compact_figures_t;

/* Written under the lock; any thread reads it. */
extern tmi_compact_figures_t tmi_compact_figures;
#define tmi_compact_figure(name) tmi_load_relaxed(&tmi_compact_figures.name)

#if TMI_TEST_HOOKS
/* Called before and after each step of a batch with the step's name, under the lock. It may block. NULL: no hook. */
extern void (*tmi_compact_hook)(const char *step);
/* Control: the protocol without the scan. */
extern bool tmi_compact_no_scan;
#endif

#endif
