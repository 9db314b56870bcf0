/* guard.h - the raw heap under check:full, which finds writes outside of blocks and to freed blocks.
 *
 * Idea: a block is at least 16 bytes longer than requested, and the content of the bytes behind the requested ones is
 * known:
 *
 *   slot   | the program's bytes, `size` of them | canary ...  | seal, 8 bytes |
 *
 * The seal is the size, mixed with the address and a secret of the process, and ends the slot (or the pages of a
 * large block). A write past the end changes the canary or the seal. A write before the start changes those of the slot
 * before. A free checks both. A freed slot is filled with poison and waits in a queue behind 512 others (4 MiB at most)
 * before it can be handed out again. A write to it is found when it leaves the queue, when it is handed out, or at the
 * end of the process. A second free finds the poison. malloc_usable_size returns the requested size.
 *
 * U1  A slot that is handed out has canary and seal as above. A slot in the queue is all poison. A free slot is poison
 *     or zeroes (in a new slab, and in pages that went back to the kernel).
 *
 * Lock: one, before all others of the raw heap; it is held from taking a slot until it is sealed, so that a check of a
 * neighbour finds U1. */
#ifndef TMI_HEAP_GUARD_H
#define TMI_HEAP_GUARD_H

#include "os/lock.h"

extern tmi_lock_t tmi_guard_lock; // for fork

/* As the heap's function, but the block is guarded. Small blocks come directly from the slabs. NULL: out of memory. */
void *tmi_guard_alloc(size_t size, size_t align, bool zero);

/* Free a block of the class (or of TMI_CLASS_LARGE). The caller has checked that p is the start of a block. Damage is
 * reported in the name of `function`, then abort. */
void tmi_guard_free(void *p, unsigned cls, const char *function);

/* The requested size. */
size_t tmi_guard_size(const void *p, unsigned cls, const char *function);

/* Check all blocks in the queue. */
void tmi_guard_check(const char *function);

#endif
