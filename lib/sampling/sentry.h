/* sentry.h - guarded blocks: a few of the program's blocks lie beside inaccessible pages.
 *
 * Idea (as in GWP-ASan and Electric Fence): one in N allocations comes from a region of its own, where all is
 * inaccessible but the pages of live blocks. A block ends where its pages end, or starts where they start, by chance.
 * The first byte beyond is a fault, and so is every access after the free: the handler of SIGSEGV (sentry_fault.c)
 * tells what it was. The place of a freed block is used again as late as can be, and then by chance.
 *
 *   region   | no access | slot 0: ..... | no access | slot 1: ..... | no access | ...
 *   a slot   | no access            | canary | block  |     ends with the slot, as its alignment allows
 *   or       | block | canary |             no access |     starts with it
 *
 * Bytes between the block and the end of its pages are canaries, which free looks at.
 *
 * Y1  A slot is unused, waiting (freed) or live, or the thread that changes this has it. Only the pages of live blocks
 *     are accessible.
 * Y2  nunused + nwaiting + live slots, and those that a thread has, are nslots. At least a quarter of the slots wait
 *     before one is used again, so that at most three quarters are live.
 * Y3  `start` and `nbytes` are set before the first block is handed out, and never change.
 *
 * Lock: one, the innermost rank, for lists and states. Stacks are captured and pages changed without it.
 * Fails: without a free slot, address space or memory an allocation is an ordinary one, and counted as missed. */
#ifndef TMI_SAMPLING_SENTRY_H
#define TMI_SAMPLING_SENTRY_H

#include "base/atomic.h"
#include "os/lock.h"
#include "sampling/trace.h"

enum { TMI_SENTRY_SLOTS = 1024, TMI_SENTRY_MAX = 64 << 10 }; // the largest block

typedef enum tmi_sentry_state { TMI_SENTRY_UNUSED, TMI_SENTRY_LIVE, TMI_SENTRY_FREED } tmi_sentry_state_t;

typedef struct tmi_sentry_slot {
    uint32_t state; // Y1
    uint32_t size;  // as asked for; of the last block, as is all below
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

/* From now on guard one in `interval` allocations: 0 or ENOMEM. Opens libunwind as tmi_stack_init. Once. */
int tmi_sentry_start(uint32_t interval) TMI_COLD;

static inline bool tmi_sentry_on(void) { return tmi_sentry.nbytes != 0; }
static inline bool tmi_sentry_owns(const void *p) { return (uintptr_t)p - tmi_sentry.start < tmi_sentry.nbytes; }

/* Count an allocation of the calling thread; true: it is one to be guarded. *left is the thread's, 0 at first. */
static inline bool tmi_sentry_count(uint32_t *left) { return *left > 1 ? (--*left, false) : true; }

/* A guarded block, zeroed, when tmi_sentry_count has said so; starts the next count. NULL: make it an ordinary one.
 * `frame` as for tmi_stack_capture. No lock is held. */
void *tmi_sentry_alloc(uint32_t *left, size_t size, size_t align, void *frame) TMI_COLD;

/* Free p, which the region owns; returns its size. Misuse is reported in the name of `function`, then abort. */
size_t tmi_sentry_free(void *p, const char *function, void *frame) TMI_COLD;

/* The size asked for of a live block; misuse is reported as by tmi_sentry_free. */
size_t tmi_sentry_usable(const void *p, const char *function, void *frame) TMI_COLD;

/* ---- within sentry*.c -------------------------------------------------------------------------------------------- */

/* The slot whose block is nearest to the address, which lies in the region. */
tmi_sentry_slot_t *tmi_sentry_nearest(uintptr_t address);
/* The byte beside the block that is no canary any more and nearest behind it, or else before it; or NULL. */
const char *tmi_sentry_spoilt(const tmi_sentry_slot_t *slot);

/* Report misuse of p, or of the byte `at` beside a block, by `function`, and abort. */
_Noreturn void tmi_sentry_fatal(const char *function, const void *p, const tmi_trace_t *here) TMI_COLD;
_Noreturn void tmi_sentry_fatal_write(const char *function, const tmi_sentry_slot_t *slot, const char *at,
                                      const tmi_trace_t *here) TMI_COLD;
/* Report an access to an address of the region. False: another thread is reporting. `access`: read, write. */
bool tmi_sentry_report_access(uintptr_t address, const char *access, const tmi_trace_t *here) TMI_COLD;

/* Set the handler, unless it has been set. */
void tmi_sentry_catch_faults(void) TMI_COLD;

#endif
