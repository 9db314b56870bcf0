/* history.h - the sampled blocks that were freed last, for reports of misuse.
 *
 * Idea: a ring. An entry has the block, where it was allocated and the stack of its free. It is looked at when a double
 * free or a stale handle has been found, so that the report can tell who freed the block first.
 *
 * Lock: one, the innermost rank; a reader only tries it. Fails: without memory nothing is kept. */
#ifndef TMI_SAMPLING_HISTORY_H
#define TMI_SAMPLING_HISTORY_H

#include "os/lock.h"
#include "sampling/trace.h"

enum { TMI_HISTORY_ENTRIES = 512 };

typedef struct tmi_past {
    uint64_t key, size; // as of tmi_sample_t
    tmi_trace_t allocated, freed;
} tmi_past_t;

extern tmi_lock_t tmi_history_lock; // for fork

/* A sampled block is being freed by the calling thread, which holds no lock. `frames` are those of its allocation. */
void tmi_history_note(uint64_t key, uint64_t size, const uintptr_t *frames, uint32_t depth);

/* The last freed block that holds the key, an address, or has it, an index. False: none is known. */
bool tmi_history_find(uint64_t key, tmi_past_t *out);

#endif
