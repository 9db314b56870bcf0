/* guard.h - the raw heap under check:full: what was written where it must not be.
 *
 * Idea: a block is 16 bytes longer than asked for, at least, and all that follows the size asked for is known:
 *
 *   slot   | the program's bytes, `size` of them | canary ...  | seal, 8 bytes |
 *
 * The seal is the size, mixed with the address and a secret of the process, and ends the slot (or the pages of a
 * large block). A write past the end changes the canary or the seal, one before the start those of the slot before: a
 * free looks at both. A freed slot is filled with poison and waits in a queue behind 512 others (4 MiB at most)
 * before it can be handed out again; whatever has been written to it meanwhile is seen when it leaves the queue, when
 * it is handed out, and at the end of the process. A second free finds the poison. The size that malloc_usable_size
 * tells is the one asked for.
 *
 * U1  Of a slot that is handed out canary and seal are as above. A slot in the queue is all poison; a free one is
 *     poison and zeroes (of a new slab, and of pages that went back to the kernel).
 *
 * Lock: one, before all others of the raw heap; it is held from taking a slot until it is sealed, so that a check of a
 * neighbour finds U1. */
#ifndef TMI_HEAP_GUARD_H
#define TMI_HEAP_GUARD_H

#include "os/lock.h"

extern tmi_lock_t tmi_guard_lock; // for fork

/* As the heap's, but guarded; small ones come from the slabs directly. NULL: out of memory. */
void *tmi_guard_alloc(size_t size, size_t align, bool zero);

/* A block of the class (TMI_CLASS_LARGE included), which the caller has found to be the start of one. Damage is
 * reported in the name of `function`, then abort. */
void tmi_guard_free(void *p, unsigned cls, const char *function);

/* The size that was asked for. */
size_t tmi_guard_size(const void *p, unsigned cls, const char *function);

/* Check all blocks in the queue. */
void tmi_guard_check(const char *function);

#endif
