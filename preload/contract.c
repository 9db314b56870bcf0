/* contract.c - the rest of the allocation contract of ISO C, POSIX and glibc: alignment, C23's sized frees, arrays. */
#include "os/os.h"
#include "preload.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>

int __posix_memalign(void **out, size_t align, size_t size);
void *__libc_memalign(size_t align, size_t size);
void *__libc_valloc(size_t size);
void *__libc_pvalloc(size_t size);
void cfree(void *p);
void free_sized(void *p, size_t size);
void free_aligned_sized(void *p, size_t align, size_t size);

static void *fail(int err)
{
    errno = err;
    return NULL;
}

static size_t page_size(void)
{
    tmi_heap_init();
    return tmi_os_page_size;
}

/* As in glibc, an alignment that is not a power of two is rounded up to one. */
TMI_EXPORT void *memalign(size_t align, size_t size)
{
    if (align > PTRDIFF_MAX)
        return fail(align > (size_t)PTRDIFF_MAX + 1 ? EINVAL : ENOMEM);
    if (!tmi_is_pow2(align))
        align = align == 0 ? 1 : (size_t)2 << tmi_log2(align);
    return tmi_heap_alloc_aligned(tmi_max(align, 16), size);
}

TMI_EXPORT void *aligned_alloc(size_t align, size_t size)
{
    return tmi_is_pow2(align) ? memalign(align, size) : fail(EINVAL);
}

TMI_EXPORT int posix_memalign(void **out, size_t align, size_t size)
{
    if (!tmi_is_pow2(align) || align % sizeof(void *) != 0)
        return EINVAL;
    void *p = tmi_heap_alloc_for(size, tmi_max(align, 16), __builtin_frame_address(0));
    if (p == NULL)
        return ENOMEM; // errno is set, too, as in glibc
    *out = p;
    return 0;
}

TMI_EXPORT void *valloc(size_t size) { return tmi_heap_alloc_aligned(page_size(), size); }

TMI_EXPORT void *pvalloc(size_t size)
{
    size_t page = page_size();
    return size > PTRDIFF_MAX ? fail(ENOMEM) : tmi_heap_alloc_aligned(page, tmi_round_up(size, page));
}

TMI_EXPORT void *reallocarray(void *p, size_t n, size_t size)
{
    size_t total;
    return __builtin_mul_overflow(n, size, &total) ? fail(ENOMEM) : realloc(p, total);
}

TMI_EXPORT size_t malloc_usable_size(void *p)
{
    if (p == NULL)
        return 0;
    return tmi_heap_owns(p) ? tmi_heap_usable(p, "malloc_usable_size") : tmi_foreign_usable(p, "malloc_usable_size");
}

TMI_EXPORT void cfree(void *p) { tmi_preload_free(p, "cfree"); }

TMI_EXPORT void free_sized(void *p, size_t size)
{
    (void)size; // the page map gives the size
    tmi_preload_free(p, "free_sized");
}

TMI_EXPORT void free_aligned_sized(void *p, size_t align, size_t size)
{
    (void)align;
    (void)size;
    tmi_preload_free(p, "free_aligned_sized");
}

int __posix_memalign(void **out, size_t align, size_t size) TMI_ALIAS(posix_memalign);
void *__libc_memalign(size_t align, size_t size) TMI_ALIAS(memalign);
void *__libc_valloc(size_t size) TMI_ALIAS(valloc);
void *__libc_pvalloc(size_t size) TMI_ALIAS(pvalloc);
