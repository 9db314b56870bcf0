/* compact.h - moving objects so that emptied slabs can go back to the kernel.
 *
 * Idea: one *batch* at a time. The emptiest slab of a class is chosen, its live objects are marked in their words,
 * fences and a scan find those in use, the others are copied to free slots of the fullest slabs, and each word is
 * published by a compare-and-swap that fails if anybody has touched the object since it was marked. No mutator waits
 * for any of this; whoever finds a mark takes it away and goes on.
 *
 *   IDLE ─ choose ─→ MARK ─→ FENCE ─ scan ─→ SCOPES ─ all left ─→ COPY ─→ PUBLISH ─→ GIVE ─ pages back ─→ IDLE
 *                                              └─ one stays open too long: dropped ─────────→┘
 *
 * The batch is data, not a thread: every function here does one bounded piece of it under the mover's lock, and the
 * next piece may be done by another thread. Marks stay set in between.
 *
 * B1  Only a holder of the mover's lock sets M, and only in state MARK; an entry's word is old|M then. So when
 *     publishing finds old|M, nobody has touched the object since: a touch clears M, a free or a new life changes the
 *     generation, a resize the address.
 * B2  Between FENCE and PUBLISH an entry whose word still is old|M has no pin, no lock, and no scope that was open at
 *     the scan.
 * B3  An entry's target slot is taken, belongs to the batch, and is not in the word of any index before PUBLISH.
 * B4  The slabs in `sources` are being emptied (V2) by this batch.
 *
 * Memory of sources stays readable until GIVE, whoever frees objects in them.
 * Lock: the mover's, the outermost rank; mutators never take it. Class locks for short times inside.
 * Fails: without memory for its records, or without free slots, it moves less. */
#ifndef TMI_COMPACTION_COMPACT_H
#define TMI_COMPACTION_COMPACT_H

#include "os/os.h"
#include "compaction/pin.h"

extern tmi_lock_t tmi_compact_lock; // for fork, and for who calls tmi_compact_piece

#define TMI_COMPACT_NO_DEADLINE UINT64_MAX

typedef struct tmi_compact_limits {
    uint64_t deadline_ns;   // stop soon after, or TMI_COMPACT_NO_DEADLINE; at least one small piece is done
    size_t objects, bytes;  // of a batch
    size_t min_gain;        // bytes that a class must promise to be chosen
    size_t purge_pages;     // at a time
    bool tidy;              // give empty pages of partly used slabs back too
    bool purge_table;       // and of the handle table; else the pacer does
} tmi_compact_limits_t;

typedef enum tmi_compact_result {
    TMI_COMPACT_NOTHING,    // nothing to gain now
    TMI_COMPACT_MORE,       // a piece was done, or can be done at once
    TMI_COMPACT_FENCE,      // marked: tmi_compact_fence, or fence without the lock and tmi_compact_fenced
    TMI_COMPACT_WAIT,       // a scope is open: come back in a moment
} tmi_compact_result_t;

/* Room for the records of a batch. False: no memory. */
bool tmi_compact_ready(void);

/* No batch will be made for some time: the memory of its records is purged. Caller holds the lock. */
void tmi_compact_rest(void);

/* The next piece of work. Caller holds the lock. */
tmi_compact_result_t tmi_compact_piece(const tmi_compact_limits_t *limits);

/* Move an object to a slab that is set apart, since it is about to be locked: see compact_apart.c. `self` as in
 * tmi_compact_fence. The caller holds no lock, and no pin of the object, or it stays. */
void tmi_compact_set_apart(const tm_pins_t_ *self, tm_handle_t h);

/* What could not be moved a moment ago is tried again. Caller holds the lock. */
void tmi_compact_afresh(void);

/* No batch is under way; one is in state MARK or about to be. */
bool tmi_compact_idle(void);
bool tmi_compact_marking(void);

/* In state FENCE: the number of the batch, for tmi_compact_fenced. */
uint64_t tmi_compact_batch(void);
/* The fence that the batch waits for, by the quickest means: none when alone. Caller holds the lock. */
void tmi_compact_fence(const tm_pins_t_ *self);
/* A full fence of every thread began after state FENCE of this batch was reached; `err`: it failed. Caller holds the
 * lock. */
void tmi_compact_fenced(uint64_t batch, tmi_fence_t kind, int err);

/* From the return of the first until as many calls of the second nothing moves. Both take the lock. False: so many
 * pauses cannot be counted; there was none. */
bool tmi_compact_pause(void);
bool tmi_compact_resume(void);
/* The mode from now on, TMI_COMPACTION_...; a batch that it forbids is dropped. Takes the lock. */
void tmi_compact_set_mode(uint32_t mode);

/* Take the marks away and forget the batch. Caller holds the lock. */
void tmi_compact_drop(void);

/* Bytes that moving could free, over all classes. */
size_t tmi_compact_gain(size_t min_gain);

typedef struct tmi_compact_figures {
    size_t moved_objects, moved_bytes, marked, by_touch, by_scan, by_free, by_lock /* of by_scan */, batches, dropped;
    size_t fences_global, fences_expedited, fences_none;
    uint64_t longest_batch_ns, time_ns;
    size_t mode, paused; // now: TMI_COMPACTION_..., and pauses
} tmi_compact_figures_t;

/* One writer, under the lock; read by anybody. */
extern tmi_compact_figures_t tmi_compact_figures;
#define tmi_compact_figure(name) tmi_load_relaxed(&tmi_compact_figures.name)

#if TMI_TEST_HOOKS
/* Called before and after each step of a batch with the step's name, the lock held; may block. NULL: none. */
extern void (*tmi_compact_hook)(const char *step);
/* Control: the protocol without the scan. */
extern bool tmi_compact_no_scan;
#endif

#endif
