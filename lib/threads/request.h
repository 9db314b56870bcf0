/* request.h - work that a signal handler, a tool or a clock requests, done on the next slow path.
 *
 * Idea: a piece of code that cannot do some work where it runs (a signal handler, a tool outside the process, a clock)
 * leaves a request. The next slow path of malloc or of a handle, or of free while pages are empty, serves it, or a
 * helper thread at its rounds. With nothing left a slow path pays one load and a branch; fast paths know nothing of it.
 * A program that never takes a slow path serves nothing, and its heap has not changed either.
 *
 *   tmi_requests    | STATS | TRIM | PROFILE | CLOCK |     one word, a byte each, lowest address first
 *
 * Each request has a byte, so that it can be left by one store of 1: a tool writes it with process_vm_writev, which
 * has no read-modify-write. (tm_requests_ is the same word as an exported symbol.) CLOCK is set for good once a
 * request is due by time: it sends slow paths to the clock.
 *
 * The layers above say what is done: they put a handler in the table. Nothing is called upwards. A handler runs in a
 * thread of the program, in malloc or free, or in a helper thread: no lock of ours is held, errno is kept, one request
 * is served at a time. It must not count on much stack (16 KiB threads exist).
 *
 * A request is dropped when it has no handler, and in a child of fork. Locks: none. */
#ifndef TMI_THREADS_REQUEST_H
#define TMI_THREADS_REQUEST_H

#include "base/atomic.h"
#include "base/base.h"

typedef enum tmi_request {
    TMI_REQUEST_STATS,
    TMI_REQUEST_TRIM,
    TMI_REQUEST_PROFILE,
    TMI_REQUEST_CLOCK,
    TMI_REQUESTS,
} tmi_request_t;

extern uint32_t tmi_requests;
_Static_assert(TMI_REQUESTS == sizeof(uint32_t), "a byte for each request");

typedef struct tmi_request_client {
    void (*handler)(void);
    uint32_t every, due; // ms; every is 0 without a clock
    int signal;          // 0: none
    void (*at_once)(void);
    const void *records; // that a tool may read instead of leaving a request, or NULL: of PROFILE a tmi_sample_view_t
} tmi_request_client_t;

/* Private to this module; layout.h tells tools where they lie. */
extern tmi_request_client_t tmi_request_clients[TMI_REQUESTS];
extern uint32_t tmi_request_serving; // 1 while a thread serves

/* What serves the request from now on. Before other threads use the heap, or once. */
void tmi_request_handle(tmi_request_t which, void (*handler)(void));

/* The records; they stay where they are. */
void tmi_request_show(tmi_request_t which, const void *records);

/* Post a request. Async-signal-safe, any thread. Waits for nothing and wakes no thread. */
void tmi_request_post(tmi_request_t which);

/* Leave it every `ms` milliseconds from now on, as far as slow paths and helpers run. 0: no longer. */
void tmi_request_every(tmi_request_t which, uint32_t ms) TMI_COLD;

/* Leave it at each signal of this number: 0, or an errno as of tmi_os_on_signal. Or, if `at_once` is not NULL, call
 * that in the signal handler instead: it is async-signal-safe. Several requests may have one signal. A handler that
 * the program sets later replaces ours. */
int tmi_request_on_signal(tmi_request_t which, int number, void (*at_once)(void)) TMI_COLD;

/* Serve what has been left, without locks held. */
void tmi_request_serve(void) TMI_COLD;

static inline void tmi_request_poll(void)
{
    if (TMI_UNLIKELY(tmi_load_relaxed(&tmi_requests) != 0)) // relaxed: seen late, it is served late
        tmi_request_serve();
}

/* How often it has been served so far, modulo 2^32: for a thread that does a part of the work in a thread of its
 * own. */
uint32_t tmi_request_times(tmi_request_t which);

/* In a child of fork: what was left for the parent is not the child's. */
void tmi_request_after_fork(void);

#endif
