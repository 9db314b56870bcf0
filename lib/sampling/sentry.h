/* sentry.h - guarded blocks: a few of the program's blocks are placed beside inaccessible pages.
 *
 * Idea (as in GWP-ASan and Electric Fence): one in N allocations comes from a separate region, in which only the pages
 * of live blocks are accessible. At random, a block either ends where its pages end or starts where they start. An
 * access to the first byte beyond that edge faults, and so does every access after the free. The handler of SIGSEGV
 * (sentry_fault.c) reports the access. The slot of a freed block is reused as late as possible, in random order.
 *
 *   region   | no access | slot 0: ..... | no access | slot 1: ..... | no access | ...
 *   a slot   | no access            | canary | block  |     ends with the slot, as its alignment allows
 *   or       | block | canary |             no access |     starts with it
 *
 * The rest of the block's pages is filled with canary bytes. free verifies them.
 *
 * Y1  A slot is unused, waiting (freed) or live, or held by a thread that is changing its state. Only the pages of live
 *     blocks are accessible.
 * Y2  nslots = nunused + nwaiting + live slots + slots held by a thread. A waiting slot is reused only if more than a
 *     quarter of all slots wait, so at most three quarters are live.
 * Y3  `start` and `nbytes` are set before the first block is handed out, and never change.
 *
 * Lock: one, the innermost rank, for lists and states. It is not held while stacks are captured or pages are protected.
 * Fails: without a free slot, address space or memory the allocation is an ordinary one and is counted as missed. */
#ifndef TMI_SAMPLING_SENTRY_H
#define TMI_SAMPLING_SENTRY_H

#include "base/atomic.h"
#include "os/lock.h"
#include "sampling/trace.h"

enum { TMI_SENTRY_SLOTS = 1024, TMI_SENTRY_MAX = 64 << 10 }; // the largest block

typedef enum tmi_sentry_state { TMI_SENTRY_UNUSED, TMI_SENTRY_LIVE, TMI_SENTRY_FREED } tmi_sentry_state_t;

typedef struct tmi_sentry_slot {
    uint32_t state; // Y1
    uint32_t size;  // as requested; this and the fields below describe the slot's last block
    char *block;
    char *pages; // the accessible ones, npages bytes
    size_t npages;
    tmi_trace_t allocated, freed;
} tmi_sentry_slot_t;

typedef struct tmi_sentry {
    uintptr_t start; // of slot 0
    size_t nbytes;   // from `start` to the end of the last slot's guard page; 0: there are no guarded blocks
    size_t stride;   // from slot to slot
    uint32_t interval, nslots;
    tmi_sentry_slot_t *slots;
} tmi_sentry_t;

extern tmi_sentry_t tmi_sentry;
extern tmi_lock_t tmi_sentry_lock; // for fork

/* Start guarding one in `interval` allocations. Returns 0 or ENOMEM. Calls tmi_stack_init, with its duties. Later calls
 * do nothing. */
int tmi_sentry_start(uint32_t interval) TMI_COLD;

static inline bool tmi_sentry_on(void) { return tmi_sentry.nbytes != 0; }
static inline bool tmi_sentry_owns(const void *p) { return (uintptr_t)p - tmi_sentry.start < tmi_sentry.nbytes; }

/* Count an allocation of the calling thread. True: guard this one. *left is the thread's counter, 0 at first. */
static inline bool tmi_sentry_count(uint32_t *left) { return *left > 1 ? (--*left, false) : true; }

/* Allocate a guarded block, zeroed, after tmi_sentry_count returned true; restarts the count. NULL: allocate an
 * ordinary block instead. `frame` as for tmi_stack_capture. The caller holds no lock. */
void *tmi_sentry_alloc(uint32_t *left, size_t size, size_t align, void *frame) TMI_COLD;

/* Free p, which lies in the region. Returns its size. Misuse is reported in the name of `function`, then the process
 * aborts. */
size_t tmi_sentry_free(void *p, const char *function, void *frame) TMI_COLD;

/* The requested size of a live block. Misuse is reported as by tmi_sentry_free. */
size_t tmi_sentry_usable(const void *p, const char *function, void *frame) TMI_COLD;

/* ---- within sentry*.c -------------------------------------------------------------------------------------------- */

/* The slot whose block is nearest to the address, which lies in the region. */
tmi_sentry_slot_t *tmi_sentry_nearest(uintptr_t address);
/* The first overwritten canary behind the block, else the last one before it, else NULL. */
const char *tmi_sentry_spoilt(const tmi_sentry_slot_t *slot);

/* Report misuse of p, or of the byte `at` beside a block, by `function`, and abort. */
_Noreturn void tmi_sentry_fatal(const char *function, const void *p, const tmi_trace_t *here) TMI_COLD;
_Noreturn void tmi_sentry_fatal_write(const char *function, const tmi_sentry_slot_t *slot, const char *at,
                                      const tmi_trace_t *here) TMI_COLD;
/* Report an access to an address of the region. False: another thread is reporting. `access`: read, write. */
bool tmi_sentry_report_access(uintptr_t address, const char *access, const tmi_trace_t *here) TMI_COLD;

/* Install the handler of SIGSEGV, unless that was done already. */
void tmi_sentry_catch_faults(void) TMI_COLD;

#endif
