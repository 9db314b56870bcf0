/* helper.h - a thread of the library's own.
 *
 * Idea: whatever thread of the program comes first starts it, on a slow path, and gives it nothing of its own: no
 * signals, no scheduling class, no affinity, no name. When the system has no thread to give it is asked again a
 * second later; meanwhile the callers do without.
 *
 * Lost in a child of fork, and started again there by whoever needs it. Locks: none may be held, since libc allocates
 * for a thread. */
#ifndef TMI_THREADS_HELPER_H
#define TMI_THREADS_HELPER_H

#include "base/base.h"

typedef struct tmi_helper {
    void *(*work)(void *);  // never returns
    uint32_t runs;          // or is being started
    uint32_t next_try;      // ms | 1 after a failure, else 0
} tmi_helper_t;

/* Start it if need be. False: there is no thread. */
bool tmi_helper_run(tmi_helper_t *h);

/* Whether it has been started. */
bool tmi_helper_runs(const tmi_helper_t *h);

void tmi_helper_after_fork(tmi_helper_t *h);

#endif
