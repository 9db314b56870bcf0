/* trace.h - a stack that is stored for a later report, and printing it.
 *
 * Idea: the allocation and the free of a sampled or guarded block record their thread and stack. A report of misuse
 * prints them, one frame a line. A higher layer sets tmi_trace_namer to a function that finds names; without it only
 * addresses are printed.
 *
 * Takes no locks and allocates nothing. Signal-safe if the namer is. */
#ifndef TMI_SAMPLING_TRACE_H
#define TMI_SAMPLING_TRACE_H

#include "sampling/stack.h"

typedef struct tmi_trace {
    uint32_t thread; // the kernel's thread ID; 0: not known
    uint32_t depth;  // 0: nothing is stored
    uintptr_t frames[TMI_STACK_MAX]; // innermost first
} tmi_trace_t;

/* Writes "function (file+offset)" of a return address; false: not known. Set once, before the first report. */
extern bool (*tmi_trace_namer)(uintptr_t address, char *out, size_t size);

/* The calling thread's stack; `frame` as for tmi_stack_capture, whose duties are the caller's. */
void tmi_trace_capture(tmi_trace_t *out, void *frame);

/* The same from a function deep inside the library; `frame` is that function's own. The library's own frames are left
 * out where they can be recognized. `tables`: libunwind may be used, with the duties of tmi_trace_capture. Otherwise
 * the caller may hold locks. */
void tmi_trace_capture_inside(tmi_trace_t *out, void *frame, bool tables);

/* Print "tinymem:   WHAT by thread N:" (no thread if it is unknown) and one line for each frame to stderr. Prints
 * nothing for a trace of depth 0. */
void tmi_trace_print(const char *what, const tmi_trace_t *trace) TMI_COLD;

#endif
