/* trace.h - a stack that is kept for a report, and how it is printed.
 *
 * Idea: what allocates or frees a watched block leaves its thread and its stack; a report of misuse prints them, a line
 * a frame. Names of functions come from a layer above, which puts a function in tmi_trace_namer; without one the
 * address stands alone.
 *
 * No locks, no memory. Signal-safe as far as the namer is. */
#ifndef TMI_SAMPLING_TRACE_H
#define TMI_SAMPLING_TRACE_H

#include "sampling/stack.h"

typedef struct tmi_trace {
    uint32_t thread; // the kernel's number; 0: not known
    uint32_t depth;  // 0: nothing has been kept
    uintptr_t frames[TMI_STACK_MAX]; // innermost first
} tmi_trace_t;

/* Writes "function (file+offset)" of a return address; false: not known. Set once, before the first report. */
extern bool (*tmi_trace_namer)(uintptr_t address, char *out, size_t size);

/* The calling thread's stack; `frame` as for tmi_stack_capture, whose duties are the caller's. */
void tmi_trace_capture(tmi_trace_t *out, void *frame);

/* The same in a function that the library has come to by ordinary calls; `frame` is its own. As far as can be told,
 * the library's own frames are left out. `tables`: libunwind may be used, as by tmi_trace_capture; else locks may be
 * held. */
void tmi_trace_capture_inside(tmi_trace_t *out, void *frame, bool tables);

/* "tinymem:   WHAT by thread N:", or without the thread, and a line a frame, on stderr; nothing if nothing has been
 * kept. */
void tmi_trace_print(const char *what, const tmi_trace_t *trace) TMI_COLD;

#endif
