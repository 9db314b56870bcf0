/* helper.h - a thread of the library's own.
 *
 * Idea: whatever thread of the program comes first starts it, on a slow path, and gives it nothing of its own: no
 * signals, no scheduling class, no affinity, no name. When the system has no thread to give it is asked again a
 * second later; meanwhile the callers do without.
 *
 * A process ends when the last of its threads does, if main has ended by pthread_exit. Threads of ours must not keep
 * it: they look at intervals then whether they are the last, and end it as libc would have done.
 *
 * Lost in a child of fork, and started again there when it is needed. Locks: none may be held, since libc allocates for
 * a thread. */
#ifndef TMI_THREADS_HELPER_H
#define TMI_THREADS_HELPER_H

#include "base/base.h"

typedef struct tmi_helper {
    const char *name;       // at most 15 characters; NULL: tinymem
    void *(*work)(void *);  // returns after tmi_helper_leave, if ever
    uint32_t runs;          // or is being started
    uint32_t next_try;      // ms | 1 after a failure, else 0
} tmi_helper_t;

/* Start it if need be. False: there is no thread. */
bool tmi_helper_run(tmi_helper_t *h);

/* Whether it has been started. */
bool tmi_helper_runs(const tmi_helper_t *h);

/* Called by the thread when it has nothing to do, before it returns: a thread that finds work from now on starts
 * another. False: stay, for `work` has come up meanwhile. */
bool tmi_helper_leave(tmi_helper_t *h, bool (*work)(void));

/* Ends the process if only threads of the library are left. Each of these threads calls it repeatedly, at least every
 * TMI_HELPER_LOOK_MS when main has left. */
enum { TMI_HELPER_LOOK_MS = 100 };
void tmi_helper_end_if_last(void);

void tmi_helper_after_fork(tmi_helper_t *h);

#endif
