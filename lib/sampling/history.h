/* history.h - the most recently freed sampled blocks, for reports of misuse.
 *
 * Idea: a ring of the last TMI_HISTORY_ENTRIES frees. An entry holds the block and the stacks of its allocation and of
 * its free. When a double free or a stale handle is found, the report uses the entry to show who freed the block first.
 *
 * Lock: one, the innermost rank; a reader only tries it. Fails: if the ring cannot be mapped, nothing is recorded. */
#ifndef TMI_SAMPLING_HISTORY_H
#define TMI_SAMPLING_HISTORY_H

#include "os/lock.h"
#include "sampling/trace.h"

enum { TMI_HISTORY_ENTRIES = 512 };

typedef struct tmi_past {
    uint64_t key, size; // as in tmi_sample_t
    tmi_trace_t allocated, freed;
} tmi_past_t;

extern tmi_lock_t tmi_history_lock; // for fork

/* Record that the calling thread frees a sampled block. `frames` is the stack of its allocation. The caller holds no
 * lock. */
void tmi_history_note(uint64_t key, uint64_t size, const uintptr_t *frames, uint32_t depth);

/* The block that was freed last among those that contain `key`, an address, or have it as their index. False: none is
 * known. */
bool tmi_history_find(uint64_t key, tmi_past_t *out);

#endif
