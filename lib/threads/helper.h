/* helper.h - a thread of the library's own.
 *
 * Idea: a thread of the program starts the helper on a slow path. The helper inherits nothing from that thread: no
 * signals, no scheduling class, no affinity, no name. If the system refuses to start a thread, the next attempt is a
 * second later, and callers do without a helper meanwhile.
 *
 * If main has ended by pthread_exit, a process ends with its last thread. The library's threads must not keep it alive.
 * They therefore check at intervals whether they are the last, and end the process as libc would have done.
 *
 * A forked child does not inherit the helper, and starts one when it needs it. Locks: the caller holds none, since libc
 * allocates for a thread. */
#ifndef TMI_THREADS_HELPER_H
#define TMI_THREADS_HELPER_H

#include "base/base.h"

typedef struct tmi_helper {
    const char *name;       // at most 15 characters; NULL: tinymem
    void *(*work)(void *);  // if it returns, after tmi_helper_leave
    uint32_t runs;          // 1 while the thread runs or is being started
    uint32_t next_try;      // ms | 1 after a failure, else 0
} tmi_helper_t;

/* Start the helper if it does not run. False: there is no thread. */
bool tmi_helper_run(tmi_helper_t *h);

/* Whether the helper has been started. */
bool tmi_helper_runs(const tmi_helper_t *h);

/* Called by the helper before it returns, when it has nothing to do. A thread that finds work from now on starts
 * another helper. False: the helper must stay, since there is new work. */
bool tmi_helper_leave(tmi_helper_t *h, bool (*work)(void));

/* Ends the process if only threads of the library are left. Each of these threads calls it repeatedly, at least every
 * TMI_HELPER_LOOK_MS when main has left. */
enum { TMI_HELPER_LOOK_MS = 100 };
void tmi_helper_end_if_last(void);

void tmi_helper_after_fork(tmi_helper_t *h);

#endif
