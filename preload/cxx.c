/* cxx.c - the C++ allocation operators, under their mangled names, from C: the library must not need libstdc++.
 *
 * When memory runs out, an operator calls the next definition of itself, which is the C++ runtime's: that one asks malloc again (ours), calls
 * the new-handler in its loop and throws std::bad_alloc, all as the standard wants it; nothrow returns NULL. The exception passes
 * through our frame, which has unwind tables and nothing to clean up. */
#include "host/report.h"
#include "preload.h"

#include <stdlib.h>

typedef void *(*new_fn)(size_t);
typedef void *(*new_nothrow_fn)(size_t, const void *);
typedef void *(*new_aligned_fn)(size_t, size_t);
typedef void *(*new_aligned_nothrow_fn)(size_t, size_t, const void *);

static TM_COLD void *next_operator(const char *name)
{
    void *next = tmi_next_symbol(name);
    if (next != NULL)
        return next;
    tmi_report("%s: out of memory, and no C++ runtime to throw std::bad_alloc", name);
    abort();
}

static void *aligned(size_t align, size_t size)
{
    return tmi_is_pow2(align) ? tmi_heap_alloc_aligned(tmi_max(align, 16), size) : NULL;
}

#define NEW(name)                                                           \
    void *name(size_t size);                                                \
    TM_EXPORT void *name(size_t size)                                       \
    {                                                                       \
        void *p = tmi_heap_malloc(size);                                    \
        return TM_LIKELY(p != NULL) ? p : ((new_fn)next_operator(#name))(size); \
    }

#define NEW_NOTHROW(name)                                                                   \
    void *name(size_t size, const void *nothrow);                                           \
    TM_EXPORT void *name(size_t size, const void *nothrow)                                  \
    {                                                                                       \
        void *p = tmi_heap_malloc(size);                                                    \
        return TM_LIKELY(p != NULL) ? p : ((new_nothrow_fn)next_operator(#name))(size, nothrow); \
    }

#define NEW_ALIGNED(name)                                                                   \
    void *name(size_t size, size_t align);                                                  \
    TM_EXPORT void *name(size_t size, size_t align)                                         \
    {                                                                                       \
        void *p = aligned(align, size);                                                     \
        return TM_LIKELY(p != NULL) ? p : ((new_aligned_fn)next_operator(#name))(size, align); \
    }

#define NEW_ALIGNED_NOTHROW(name)                                                           \
    void *name(size_t size, size_t align, const void *nothrow);                             \
    TM_EXPORT void *name(size_t size, size_t align, const void *nothrow)                    \
    {                                                                                       \
        void *p = aligned(align, size);                                                     \
        return TM_LIKELY(p != NULL) ? p                                                     \
                                    : ((new_aligned_nothrow_fn)next_operator(#name))(size, align, nothrow); \
    }

NEW(_Znwm)                                                  // operator new(size_t)
NEW(_Znam)                                                  // operator new[](size_t)
NEW_NOTHROW(_ZnwmRKSt9nothrow_t)                            // (size_t, nothrow_t const&)
NEW_NOTHROW(_ZnamRKSt9nothrow_t)
NEW_ALIGNED(_ZnwmSt11align_val_t)                           // (size_t, align_val_t)
NEW_ALIGNED(_ZnamSt11align_val_t)
NEW_ALIGNED_NOTHROW(_ZnwmSt11align_val_tRKSt9nothrow_t)     // (size_t, align_val_t, nothrow_t const&)
NEW_ALIGNED_NOTHROW(_ZnamSt11align_val_tRKSt9nothrow_t)

/* The page map knows size and alignment; what the caller says of them is not needed. */
#define DELETE(name, ...)                                        \
    void name(void *p, ##__VA_ARGS__);                           \
    TM_EXPORT void name(void *p, ##__VA_ARGS__) { tmi_preload_free(p, "operator delete"); }

#define SIZE size_t size __attribute__((unused))
#define ALIGN size_t align __attribute__((unused))
#define NOTHROW const void *nothrow __attribute__((unused))

DELETE(_ZdlPv)                                              // operator delete(void*)
DELETE(_ZdaPv)                                              // operator delete[](void*)
DELETE(_ZdlPvm, SIZE)
DELETE(_ZdaPvm, SIZE)
DELETE(_ZdlPvSt11align_val_t, ALIGN)
DELETE(_ZdaPvSt11align_val_t, ALIGN)
DELETE(_ZdlPvmSt11align_val_t, SIZE, ALIGN)
DELETE(_ZdaPvmSt11align_val_t, SIZE, ALIGN)
DELETE(_ZdlPvRKSt9nothrow_t, NOTHROW)
DELETE(_ZdaPvRKSt9nothrow_t, NOTHROW)
DELETE(_ZdlPvSt11align_val_tRKSt9nothrow_t, ALIGN, NOTHROW)
DELETE(_ZdaPvSt11align_val_tRKSt9nothrow_t, ALIGN, NOTHROW)
