/* request.h - requests of a signal handler, a tool or a clock, which the next slow path serves.
 *
 * Idea: code that cannot do some work where it runs (a signal handler, a tool outside the process, a clock) posts a
 * request. It is served by the next slow path of malloc or of a handle, of free while pages are empty, or by a helper
 * thread. Without a request a slow path pays one load and a branch; fast paths pay nothing. A program that never takes
 * a slow path serves no request, and its heap does not change either.
 *
 *   tmi_requests    | STATS | TRIM | PROFILE | CLOCK |     one word, a byte each, lowest address first
 *
 * Each request has a byte, so one store of 1 posts it. A tool writes the byte with process_vm_writev, which has no
 * read-modify-write. (tm_requests_ is the same word as an exported symbol.) CLOCK stays set from the first request that
 * is due by time: it makes slow paths read the clock.
 *
 * Higher layers put a handler for each request into the table, so that this layer includes none of them. A handler runs
 * in a thread of the program, in malloc or free, or in a helper thread. The caller holds no lock of the library and
 * keeps errno. One request is served at a time. A handler must not need much stack, since some threads have 16 KiB.
 *
 * A request without a handler is dropped, and so are all requests in a child of fork. Locks: none. */
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

/* Set the handler of a request. Called before other threads use the heap, or only once. */
void tmi_request_handle(tmi_request_t which, void (*handler)(void));

/* The records; they stay where they are. */
void tmi_request_show(tmi_request_t which, const void *records);

/* Post a request. Async-signal-safe, any thread. Waits for nothing and wakes no thread. */
void tmi_request_post(tmi_request_t which);

/* Post a request every `ms` milliseconds from now on, whenever slow paths or helpers run. 0: stop that. */
void tmi_request_every(tmi_request_t which, uint32_t ms) TMI_COLD;

/* Post a request at each signal of this number. If `at_once` is not NULL, the signal handler calls that instead; it is
 * async-signal-safe. Several requests may have the same signal. A handler that the program sets later replaces ours.
 * Returns 0, or an errno of tmi_os_on_signal. */
int tmi_request_on_signal(tmi_request_t which, int number, void (*at_once)(void)) TMI_COLD;

/* Serve all posted requests. The caller holds no locks. */
void tmi_request_serve(void) TMI_COLD;

static inline void tmi_request_poll(void)
{
    if (TMI_UNLIKELY(tmi_load_relaxed(&tmi_requests) != 0)) // relaxed: a request that is seen late is served late
        tmi_request_serve();
}

/* How often the request has been served so far, modulo 2^32: for a thread that does a part of the work in a thread of
 * its own. */
uint32_t tmi_request_times(tmi_request_t which);

/* In a child of fork: drop requests that were posted to the parent. */
void tmi_request_after_fork(void);

#endif
