/* cxx.c - the C++ allocation operators, under their mangled names, from C: the library must not need libstdc++.
 *
 * A program may replace some of them. The standard says what the others do then: an array, sized or nothrow form calls
 * the basic one that the program has replaced. So these forms call the basic form through the dynamic linker, which
 * finds the first definition. That is mostly the one in this file, and the call is one jump. All operators are weak, so
 * that a program linked with the archive may replace some, too.
 *
 * When memory runs out, an operator calls the next definition of itself, which is the C++ runtime's. That one calls
 * malloc (ours) again, calls the new-handler in its loop and throws std::bad_alloc, as the standard requires. The
 * nothrow form returns NULL. The exception passes through our frame, which has unwind tables and nothing to clean
 * up. */
#include "os/report.h"
#include "preload.h"

#include <stdlib.h>

typedef void *(*new_fn)(size_t);
typedef void *(*new_nothrow_fn)(size_t, const void *);
typedef void *(*new_aligned_fn)(size_t, size_t);
typedef void *(*new_aligned_nothrow_fn)(size_t, size_t, const void *);

static TMI_COLD void *next_operator(const char *name)
{
    void *next = tmi_next_symbol(name);
    if (next != NULL)
        return next;
    tmi_report("%s: out of memory, and no C++ runtime to throw std::bad_alloc", name);
    abort();
}

static inline void *aligned(size_t align, size_t size, void *frame)
{
    return tmi_is_pow2(align) ? tmi_heap_alloc_for(size, tmi_max(align, 16), frame) : NULL;
}

/* A definition that another one may precede. The compiler must not assume that a call reaches the definition here.
 * Calls need no stub. */
#if __has_attribute(noplt)
#define REPLACEABLE __attribute__((weak, noplt, visibility("default")))
#else
#define REPLACEABLE __attribute__((weak, visibility("default")))
#endif

/* ---- new: the basic forms ---------------------------------------------------------------------------------------- */

REPLACEABLE void *_Znwm(size_t size);                     // operator new(size_t)
REPLACEABLE void *_ZnwmSt11align_val_t(size_t size, size_t align); // operator new(size_t, align_val_t)

/* Entered by a jump, so that a stack captured here begins with the caller of the operator. */
static TMI_NOINLINE void *new_slowly(size_t size)
{
    void *p = tmi_heap_alloc_for(size, 1, __builtin_frame_address(0));
    return TMI_LIKELY(p != NULL) ? p : ((new_fn)next_operator("_Znwm"))(size);
}

static void *own_new(size_t size)
{
    void *p = tmi_heap_pop(size);
    return TMI_LIKELY(p != NULL) ? p : new_slowly(size);
}

static TMI_NOINLINE void *own_new_aligned(size_t size, size_t align)
{
    void *p = aligned(align, size, __builtin_frame_address(0));
    return TMI_LIKELY(p != NULL) ? p : ((new_aligned_fn)next_operator("_ZnwmSt11align_val_t"))(size, align);
}

void *_Znwm(size_t size) { return own_new(size); }
void *_ZnwmSt11align_val_t(size_t size, size_t align) { return own_new_aligned(size, align); }

/* ---- new: what calls them ---------------------------------------------------------------------------------------- */

REPLACEABLE void *_Znam(size_t size);                     // operator new[](size_t)
REPLACEABLE void *_ZnamSt11align_val_t(size_t size, size_t align);
REPLACEABLE void *_ZnwmRKSt9nothrow_t(size_t size, const void *nothrow);
REPLACEABLE void *_ZnamRKSt9nothrow_t(size_t size, const void *nothrow);
REPLACEABLE void *_ZnwmSt11align_val_tRKSt9nothrow_t(size_t size, size_t align, const void *nothrow);
REPLACEABLE void *_ZnamSt11align_val_tRKSt9nothrow_t(size_t size, size_t align, const void *nothrow);

void *_Znam(size_t size) { return _Znwm(size); }
void *_ZnamSt11align_val_t(size_t size, size_t align) { return _ZnwmSt11align_val_t(size, align); }

/* Names of the definitions in this file that the dynamic linker does not know. */
static void *here_new(size_t size) __attribute__((alias("_Znwm")));
static void *here_new_array(size_t size) __attribute__((alias("_Znam")));
static void *here_new_aligned(size_t size, size_t align) __attribute__((alias("_ZnwmSt11align_val_t")));
static void *here_new_array_aligned(size_t size, size_t align) __attribute__((alias("_ZnamSt11align_val_t")));

static bool own_basic(void) { return _Znwm == here_new; }
static bool own_array(void) { return own_basic() && _Znam == here_new_array; }
static bool own_aligned(void) { return _ZnwmSt11align_val_t == here_new_aligned; }
static bool own_array_aligned(void) { return own_aligned() && _ZnamSt11align_val_t == here_new_array_aligned; }

/* A nothrow form must call a replaced basic form and catch its exception. Only C++ code can do that, so the runtime's
 * own nothrow form is called. A program without that runtime throws nothing. If the basic form is ours, `replaced` is
 * NULL, and the result is NULL. */
static TMI_COLD void *nothrow_of_runtime(const char *name, void *(*replaced)(size_t), size_t size, const void *nothrow)
{
    new_nothrow_fn next = (new_nothrow_fn)tmi_next_symbol(name);
    if (next != NULL)
        return next(size, nothrow);
    return replaced != NULL ? replaced(size) : NULL;
}

static TMI_COLD void *aligned_nothrow_of_runtime(const char *name, void *(*replaced)(size_t, size_t), size_t size,
                                                 size_t align, const void *nothrow)
{
    new_aligned_nothrow_fn next = (new_aligned_nothrow_fn)tmi_next_symbol(name);
    if (next != NULL)
        return next(size, align, nothrow);
    return replaced != NULL ? replaced(size, align) : NULL;
}

#define NEW_NOTHROW(name, is_own, basic)                                                                              \
    static TMI_NOINLINE void *name##slowly(size_t size, const void *nothrow)                                           \
    {                                                                                                                 \
        void *p = TMI_LIKELY(is_own()) ? tmi_heap_alloc_for(size, 1, __builtin_frame_address(0)) : NULL;               \
        return TMI_LIKELY(p != NULL) ? p : nothrow_of_runtime(#name, is_own() ? NULL : basic, size, nothrow);          \
    }                                                                                                                 \
    void *name(size_t size, const void *nothrow)                                                                      \
    {                                                                                                                 \
        void *p = TMI_LIKELY(is_own()) ? tmi_heap_pop(size) : NULL;                                                    \
        return TMI_LIKELY(p != NULL) ? p : name##slowly(size, nothrow);                                                \
    }

#define NEW_ALIGNED_NOTHROW(name, is_own, basic)                                                                      \
    void *name(size_t size, size_t align, const void *nothrow)                                                        \
    {                                                                                                                 \
        void *p = TMI_LIKELY(is_own()) ? aligned(align, size, __builtin_frame_address(0)) : NULL;                      \
        if (TMI_LIKELY(p != NULL))                                                                                     \
            return p;                                                                                                 \
        return aligned_nothrow_of_runtime(#name, is_own() ? NULL : basic, size, align, nothrow);                      \
    }

NEW_NOTHROW(_ZnwmRKSt9nothrow_t, own_basic, _Znwm)
NEW_NOTHROW(_ZnamRKSt9nothrow_t, own_array, _Znam)
NEW_ALIGNED_NOTHROW(_ZnwmSt11align_val_tRKSt9nothrow_t, own_aligned, _ZnwmSt11align_val_t)
NEW_ALIGNED_NOTHROW(_ZnamSt11align_val_tRKSt9nothrow_t, own_array_aligned, _ZnamSt11align_val_t)

/* ---- delete: size and alignment come from the page map, so two functions serve all forms ------------------------- */

REPLACEABLE void _ZdlPv(void *p);                         // operator delete(void*)
REPLACEABLE void _ZdlPvSt11align_val_t(void *p, size_t align);
REPLACEABLE void _ZdaPv(void *p);                         // operator delete[](void*)
REPLACEABLE void _ZdaPvSt11align_val_t(void *p, size_t align);

void _ZdlPv(void *p) { tmi_preload_free(p, "operator delete"); }

void _ZdlPvSt11align_val_t(void *p, size_t align)
{
    (void)align;
    tmi_preload_free(p, "operator delete");
}

void _ZdaPv(void *p) { _ZdlPv(p); }
void _ZdaPvSt11align_val_t(void *p, size_t align) { _ZdlPvSt11align_val_t(p, align); }

#define DELETE(name, call, ...)              \
    REPLACEABLE void name(void *p, __VA_ARGS__); \
    void name(void *p, __VA_ARGS__) { call; }

#define SIZE size_t size __attribute__((unused))
#define NOTHROW const void *nothrow __attribute__((unused))

DELETE(_ZdlPvm, _ZdlPv(p), SIZE)
DELETE(_ZdaPvm, _ZdaPv(p), SIZE)
DELETE(_ZdlPvRKSt9nothrow_t, _ZdlPv(p), NOTHROW)
DELETE(_ZdaPvRKSt9nothrow_t, _ZdaPv(p), NOTHROW)
DELETE(_ZdlPvmSt11align_val_t, _ZdlPvSt11align_val_t(p, align), SIZE, size_t align)
DELETE(_ZdaPvmSt11align_val_t, _ZdaPvSt11align_val_t(p, align), SIZE, size_t align)
DELETE(_ZdlPvSt11align_val_tRKSt9nothrow_t, _ZdlPvSt11align_val_t(p, align), size_t align, NOTHROW)
DELETE(_ZdaPvSt11align_val_tRKSt9nothrow_t, _ZdaPvSt11align_val_t(p, align), size_t align, NOTHROW)
