/* probe.h - static tracepoints (USDT) for eBPF tools, perf and gdb.
 *
 * Idea: a probe is a no-op instruction and an ELF note. The note tells the probe's address, its name and where its
 * arguments are. A tracer adds 1 to the probe's semaphore, a word in the library's data, and then puts a breakpoint at
 * the address. While the semaphore is 0 the probe costs a load and a branch, and its arguments are not computed. Probes
 * stand on slow paths only. probe.def lists them with the meaning of their arguments.
 *
 * The note has SystemTap's format (type 3, owner "stapsdt"): address, base and semaphore; then provider, name and
 * arguments. Each argument is "8@REGISTER", unsigned. With the base, tools correct the addresses of a file whose
 * sections have been moved.
 *
 * Locks: none. Any thread; also under locks. */
#ifndef TMI_BASE_PROBE_H
#define TMI_BASE_PROBE_H

#include "base/atomic.h"

/* The semaphores. Tracers write them. Relaxed: a probe that is enabled a little late is hit a little late. They are in
 * a file of their own, compiled without link-time optimization, which does not see the names in assembler code. */
#define TMI_PROBE_ROW(provider, name, arguments, meaning) \
    extern uint16_t tmi_probe_##name __attribute__((visibility("hidden")));
#include "base/probe.def"
#undef TMI_PROBE_ROW

/* Whether a tracer is attached to the probe. */
#define TMI_PROBE_ON(name) __builtin_expect(tmi_load_relaxed(&tmi_probe_##name) != 0, 0)

#define TMI_PROBE_NOTE(provider, name, arguments)                                                   \
    "990: nop\n"                                                                                    \
    ".pushsection .note.stapsdt,\"\",\"note\"\n"                                                    \
    ".balign 4\n"                                                                                   \
    ".4byte 992f-991f, 994f-993f, 3\n"                                                              \
    "991: .asciz \"stapsdt\"\n"                                                                     \
    "992: .balign 4\n"                                                                              \
    "993: .8byte 990b, _.stapsdt.base, tmi_probe_" name "\n"                                        \
    ".asciz \"" provider "\"\n"                                                                     \
    ".asciz \"" name "\"\n"                                                                         \
    ".asciz \"" arguments "\"\n"                                                                    \
    "994: .balign 4\n"                                                                              \
    ".popsection\n"                                                                                 \
    ".ifndef _.stapsdt.base\n"                                                                      \
    ".pushsection .stapsdt.base,\"aG\",\"progbits\",.stapsdt.base,comdat\n"                         \
    ".weak _.stapsdt.base\n"                                                                        \
    ".hidden _.stapsdt.base\n"                                                                      \
    "_.stapsdt.base: .space 1\n"                                                                    \
    ".size _.stapsdt.base, 1\n"                                                                     \
    ".popsection\n"                                                                                 \
    ".endif\n"

/* A probe with two or three arguments, integers or pointers. */
#define TMI_PROBE2(provider, name, a, b)                                                                  \
    do {                                                                                                  \
        if (TMI_PROBE_ON(name))                                                                           \
            __asm__ volatile(TMI_PROBE_NOTE(#provider, #name, "8@%0 8@%1")                                \
                             : : "r"((uint64_t)(a)), "r"((uint64_t)(b)));                                 \
    } while (0)
#define TMI_PROBE3(provider, name, a, b, c)                                                               \
    do {                                                                                                  \
        if (TMI_PROBE_ON(name))                                                                           \
            __asm__ volatile(TMI_PROBE_NOTE(#provider, #name, "8@%0 8@%1 8@%2")                           \
                             : : "r"((uint64_t)(a)), "r"((uint64_t)(b)), "r"((uint64_t)(c)));             \
    } while (0)

#endif
