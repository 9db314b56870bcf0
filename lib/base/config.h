/* config.h - the constants that fix the shape of the heap, and the assertions that relate them.
 *
 * Idea: everything that two modules must agree on is a number here. Whatever a machine decides at run time (the
 * OS page size above all) is not here but in os/os.h.
 *
 *   unit     64 KiB of address space, aligned to it: the grain in which address space is given to slabs and extents,
 *            and of the page map. No OS page that we support is larger, so a unit is a whole number of OS pages.
 *   segment  2 MiB, aligned to it: the grain in which address space comes from the kernel, and of the huge page. */
#ifndef TMI_BASE_CONFIG_H
#define TMI_BASE_CONFIG_H

#include <stddef.h>
#include <stdint.h>

#define TMI_VERSION "0.1.0"

/* Debug builds verify preconditions and invariants as they go. */
#ifndef TMI_CHECK
#define TMI_CHECK 0
#endif

/* Builds that can make the kernel fail on demand (os/os.h). */
#ifndef TMI_TEST_HOOKS
#define TMI_TEST_HOOKS 0
#endif

/* User addresses are below 2^TMI_ADDRESS_BITS unless a program requests more by a hint, which the library never does.
 * */
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

/* Requests up to this size are slots in slabs, larger ones are extents. */
#define TMI_SMALL_MAX ((size_t)32 << 10)
/* Requests up to this size find their class by one table look-up in malloc's fast path. */
#define TMI_TINY_MAX ((size_t)1024)

/* What one thread's magazines may hold, in bytes of slots: at first; when all of them are in demand, of a thread alone
 * that needs large ones; and of one among others. */
#define TMI_THREAD_CACHE_FIRST ((size_t)256 << 10)
#define TMI_THREAD_CACHE_STEP ((size_t)32 << 10)
#define TMI_THREAD_CACHE_ALONE ((size_t)320 << 10)
#define TMI_THREAD_CACHE_MAX ((size_t)512 << 10)

#define TMI_CACHE_LINE 64

_Static_assert(sizeof(void *) == 8, "the page map and the handle word are laid out for 64-bit addresses");
_Static_assert(TMI_SEGMENT_UNITS == 32, "segment.c keeps per-unit sets in one 32-bit word");
_Static_assert(TMI_SMALL_MAX < TMI_UNIT_SIZE, "a slot of the largest class fits a unit");

#endif
