/* stack.h - capture the return addresses of the calling thread, innermost first.
 *
 * Idea: frame pointers are followed first, at a few ns a frame. Each frame must lie above the one before it, on a
 * readable page (the kernel is asked once a page, so a wrong pointer cannot fault), and each return address must follow
 * a call instruction in a loaded file. In a program built without frame pointers one of these tests soon fails. If the
 * option `unwind` allows, libunwind then reads the unwind tables. libunwind is opened when a profile starts; if libc is
 * not ready then, the first capture that needs libunwind opens it.
 *
 * K1  Nothing here takes a lock of the library. libunwind, and opening it, take the dynamic linker's lock and may
 *     allocate. So the caller holds no lock, and allocations made meanwhile are not sampled.
 *
 * K2  Of what words on the stack point to, only loaded files are read. _dl_find_object tells which those are, without
 *     a lock; where it is missing, they are the segments that were loaded when the profile began. Other memory may be
 *     unmapped by another thread at any instant. So a stack ends at code that was generated at run time.
 *
 * Signal-safe with frame pointers. Fails: a shorter stack. */
#ifndef TMI_SAMPLING_STACK_H
#define TMI_SAMPLING_STACK_H

#include "base/base.h"

enum { TMI_STACK_MAX = 64 };

/* Open libunwind if the option `unwind` requires it. Calls the dynamic linker, so the caller may hold no lock. */
void tmi_stack_init(void) TMI_COLD;

/* Called in a child of fork. Another thread of the parent may have held the dynamic linker's lock, so the child uses
 * frame pointers only. */
void tmi_stack_after_fork(void);

/* Capture up to TMI_STACK_MAX return addresses; returns how many, at least 1. `frame` is __builtin_frame_address(0) of
 * a function that saved its caller's frame pointer. The first address captured is that function's return address. */
size_t tmi_stack_capture(void *frame, uintptr_t *out);

/* The same for a function deep inside the library; `frame` is that function's own. Frames of the library are left out
 * where they can be told from the program's, that is in a shared library. `tables`: the caller meets K1, so libunwind
 * may be used. */
size_t tmi_stack_capture_inside(void *frame, uintptr_t *out, bool tables);

/* The same for a thread that a signal interrupted at `pc` with frame pointer `fp`; called in the handler. `caller` is
 * the return address if the interrupted function has made no frame yet; it is used if it is plausible. The first
 * address is pc + 1, so that subtracting 1 gives an address inside the instruction, as for all return addresses. */
size_t tmi_stack_interrupted(uintptr_t pc, uintptr_t fp, uintptr_t caller, uintptr_t *out);

/* Returns p. Keeps the compiler from turning the call that produced p into a tail call, which would discard the
 * caller's frame too early. */
static inline size_t tmi_stack_kept(size_t p)
{
    __asm__ volatile("" : "+r"(p));
    return p;
}

/* Whether p follows a call instruction. */
bool tmi_stack_is_return(uintptr_t p);

#endif
