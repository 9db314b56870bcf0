/* config.h - the constants that fix the shape of the heap, and the assertions that relate them.
 *
 * Idea: a number on which two modules must agree stands here. What the machine decides at run time, such as the size of
 * an OS page, is in os/os.h.
 *
 *   unit     64 KiB of address space, aligned to 64 KiB: the grain of slabs, of extents and of the page map. No
 *            supported OS page is larger, so a unit is a whole number of OS pages.
 *   segment  2 MiB, aligned to 2 MiB: the grain in which address space comes from the kernel. It is also the size of a
 *            huge page. */
#ifndef TMI_BASE_CONFIG_H
#define TMI_BASE_CONFIG_H

#include <stddef.h>
#include <stdint.h>

#define TMI_VERSION "0.1.0"

/* Check builds verify preconditions and invariants while they run. */
#ifndef TMI_CHECK
#define TMI_CHECK 0
#endif

/* Builds that can make the kernel fail on demand (os/os.h). */
#ifndef TMI_TEST_HOOKS
#define TMI_TEST_HOOKS 0
#endif

/* User addresses are below 2^TMI_ADDRESS_BITS. A program gets higher ones only by a hint, which the library never
 * gives. */
#if defined(__x86_64__)
#define TMI_ADDRESS_BITS 47
#else
#define TMI_ADDRESS_BITS 48
#endif

#define TMI_KIB ((size_t)1 << 10)
#define TMI_MIB ((size_t)1 << 20)
#define TMI_GIB ((size_t)1 << 30)

#define TMI_UNIT_SHIFT 16
#define TMI_UNIT_SIZE ((size_t)1 << TMI_UNIT_SHIFT)
#define TMI_SEGMENT_SHIFT 21
#define TMI_SEGMENT_SIZE ((size_t)1 << TMI_SEGMENT_SHIFT)
#define TMI_SEGMENT_UNITS (TMI_SEGMENT_SIZE / TMI_UNIT_SIZE)

/* Requests up to this size are served by slots in slabs, larger ones by medium slots or extents. */
#define TMI_SMALL_MAX ((size_t)32 << 10)
/* For requests up to this size malloc's fast path finds the class by one look-up in a table. */
#define TMI_TINY_MAX ((size_t)1024)

/* How many bytes of slots one thread's magazines may hold: at first; at most in a process with one thread, for large
 * slots; at most in a process with several threads. */
#define TMI_THREAD_CACHE_FIRST ((size_t)256 << 10)
#define TMI_THREAD_CACHE_STEP ((size_t)32 << 10)
#define TMI_THREAD_CACHE_ALONE ((size_t)320 << 10)
#define TMI_THREAD_CACHE_MAX ((size_t)512 << 10)

#define TMI_CACHE_LINE 64

_Static_assert(sizeof(void *) == 8, "the page map and the handle word are laid out for 64-bit addresses");
_Static_assert(TMI_SEGMENT_UNITS == 32, "segment.c keeps per-unit sets in one 32-bit word");
_Static_assert(TMI_SMALL_MAX < TMI_UNIT_SIZE, "a slot of the largest class fits a unit");

#endif
