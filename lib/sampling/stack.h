/* stack.h - who calls: the return addresses of the calling thread, innermost first.
 *
 * Idea: frame pointers are followed first, at a few ns a frame. Each frame must lie above the one before, on a page
 * that can be read (the kernel is asked once a page, so that a wrong pointer is no fault), and each return address
 * must follow a call instruction. A program built without frame pointers fails one of these tests at once. Then, where
 * the option `unwind` allows it, libunwind reads the unwind tables. It is opened when a profile starts; or, where that
 * is before libc is ready, by the first stack that needs it.
 *
 * K1  Nothing here takes a lock of ours. libunwind, and opening it, take the dynamic linker's and may allocate: so the
 *     caller holds no lock, and what is allocated here is not sampled.
 *
 * Signal-safe with frame pointers. Fails: a shorter stack. */
#ifndef TMI_SAMPLING_STACK_H
#define TMI_SAMPLING_STACK_H

#include "base/base.h"

enum { TMI_STACK_MAX = 64 };

/* Open libunwind if the option wants it. Calls the dynamic linker: no lock may be held. */
void tmi_stack_init(void) TMI_COLD;

/* In a child of fork of a process with threads: one of them may have been in the dynamic linker. */
void tmi_stack_after_fork(void);

/* Up to TMI_STACK_MAX return addresses. `frame` is __builtin_frame_address(0) of the function whose caller is the
 * innermost one; it has kept the frame pointer of that caller. Returns how many, at least 1. */
size_t tmi_stack_capture(void *frame, uintptr_t *out);

/* The same anywhere in the library, of which `frame` is a function's own frame: its frames are left out where they can
 * be told from the program's, which is in a shared library. `tables`: K1's duties are kept, libunwind may be used. */
size_t tmi_stack_capture_inside(void *frame, uintptr_t *out, bool tables);

/* The same for a thread that a signal has interrupted at `pc` with frame pointer `fp`; called in the handler. `caller`
 * is where a function that has made no frame would return to; it is taken if it can be that. The first address is
 * pc + 1, so that one less lies in the instruction, as with all others. */
size_t tmi_stack_interrupted(uintptr_t pc, uintptr_t fp, uintptr_t caller, uintptr_t *out);

/* Returns p, and keeps the compiler from ending a function with the call that p comes from: the function's frame is
 * needed until then. */
static inline size_t tmi_stack_kept(size_t p)
{
    __asm__ volatile("" : "+r"(p));
    return p;
}

/* Whether p follows a call instruction. */
bool tmi_stack_is_return(uintptr_t p);

#endif
