/* tally.h - exact counts of calls and live bytes, when the option `stats` asks for them (every call takes the slow path
 * then).
 *
 * Each thread counts in its record. Calls of threads without a record are counted here. */
#ifndef TMI_HEAP_TALLY_H
#define TMI_HEAP_TALLY_H

#include "threads/thread.h"

typedef struct tmi_tally {
    size_t allocs, frees;          // calls served by this process since its start or fork
    size_t live_bytes, peak_bytes; // usable bytes
} tmi_tally_t;

void tmi_tally_alloc(tmi_thread_t *t, size_t usable);
void tmi_tally_free(tmi_thread_t *t, size_t usable);
void tmi_tally_read(tmi_tally_t *out);
/* In a child of fork: count calls from zero. Live bytes stay as they were. */
void tmi_tally_after_fork(void);

#endif
