/* Aligned allocation in all its names, every power of two up to 1 GiB, and the errors each promises. */
#include "tap.h"

#include <dlfcn.h>
#include <malloc.h>

static bool good(void *p, size_t align, size_t size)
{
    bool ok = p != NULL && (uintptr_t)p % align == 0 && malloc_usable_size(p) >= size;
    if (p != NULL && size > 0) {
        ((char *)p)[0] = 1;
        ((char *)p)[size - 1] = 1;
    }
    free(p);
    return ok;
}

static void every_power_of_two(void)
{
    static const size_t sizes[] = {0, 1, 8, 24, 100, 1000, 4096, 5000, 32768, 40000, 65536, 1 << 20, 5 << 20};
    bool m = true, a = true, p = true;
    for (size_t align = 1; align <= (size_t)1 << 30; align *= 2)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            void *out = NULL;
            m &= good(memalign(align, sizes[i]), align, sizes[i]);
            a &= good(aligned_alloc(align, sizes[i]), align, sizes[i]);
            if (align >= sizeof(void *))
                p &= posix_memalign(&out, align, sizes[i]) == 0 && good(out, align, sizes[i]);
        }
    tap(m, "memalign keeps every alignment up to 1 GiB");
    tap(a, "aligned_alloc too");
    tap(p, "posix_memalign too");
}

static void many_at_once_do_not_overlap(void)
{
    enum { N = 200 };
    static unsigned char *p[N];
    static size_t sizes[N];
    bool ok = true;
    for (int i = 0; i < N; i++) {
        sizes[i] = (size_t)i * 97 % 9000;
        p[i] = memalign((size_t)1 << i % 15, sizes[i]);
        memset(p[i], i, sizes[i]);
    }
    for (int i = 0; i < N; i++)
        for (size_t k = 0; k < sizes[i]; k++)
            ok &= p[i][k] == (unsigned char)i;
    for (int i = 0; i < N; i += 2)
        p[i] = realloc(p[i], sizes[i] + 5000);
    for (int i = 0; i < N; i++)
        for (size_t k = 0; k < sizes[i]; k++)
            ok &= p[i][k] == (unsigned char)i;
    for (int i = 0; i < N; i++)
        free(p[i]);
    tap(ok, "aligned blocks do not overlap and survive realloc");
}

static void posix_memalign_reports_by_its_result(void)
{
    void *out = (void *)0x1234;
    errno = 4711;
    bool einval = true;
    static const size_t bad[] = {0, 1, 2, 4, 3, 7, 9, 24, 48, 100, SIZE_MAX};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        einval &= posix_memalign(&out, bad[i], 100) == EINVAL;
    tap(errno == 4711, "posix_memalign leaves errno alone when its arguments are wrong");
    tap(einval, "posix_memalign: EINVAL unless a power of two and a multiple of a pointer");
    tap(posix_memalign(&out, 64, SIZE_MAX) == ENOMEM && posix_memalign(&out, 16, (size_t)PTRDIFF_MAX + 1) == ENOMEM,
        "posix_memalign: ENOMEM");
    tap(out == (void *)0x1234, "posix_memalign leaves the result alone on failure");
    tap(errno == ENOMEM, "posix_memalign that lacks memory leaves ENOMEM in errno, as glibc's does");
}

static void other_errors(void)
{
    static const size_t bad[] = {0, 3, 24, 100};
    bool einval = true;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        errno = 0;
        einval &= aligned_alloc(bad[i], 64) == NULL && errno == EINVAL;
    }
    tap(einval, "aligned_alloc: EINVAL unless a power of two");
    bool rounds = true;
    for (size_t align = 0; align < 300; align++) {
        void *p = memalign(align, 10);
        size_t up = 1;
        while (up < align)
            up *= 2;
        rounds &= p != NULL && (uintptr_t)p % up == 0;
        free(p);
    }
    tap(rounds, "memalign rounds its alignment up to a power of two");
    errno = 0;
    tap(memalign((size_t)1 << 62, 1) == NULL && errno == ENOMEM, "memalign of 2^62: ENOMEM");
    errno = 0;
    tap(memalign(SIZE_MAX, 1) == NULL && errno == EINVAL, "memalign of SIZE_MAX: EINVAL");
}

static void whole_pages(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    bool v = true, p = true;
    for (size_t size = 0; size < 5 * page; size += 777) {
        v &= good(valloc(size), page, size);
        p &= good(pvalloc(size), page, (size + page - 1) / page * page);
    }
    tap(v, "valloc is aligned to the page");
    tap(p, "pvalloc is, and rounds the size up to pages");
}

static void sized_frees(void)
{
    void (*free_sized)(void *, size_t) = (void (*)(void *, size_t))dlsym(RTLD_DEFAULT, "free_sized");
    void (*free_aligned_sized)(void *, size_t, size_t) =
        (void (*)(void *, size_t, size_t))dlsym(RTLD_DEFAULT, "free_aligned_sized");
    void (*cfree)(void *) = (void (*)(void *))dlsym(RTLD_DEFAULT, "cfree");
    if (!tap(free_sized && free_aligned_sized && cfree, "free_sized, free_aligned_sized and cfree are there"))
        return;
    errno = 4711;
    for (int round = 0; round < 10000; round++) { // a leak would show in the figures
        size_t size = (size_t)round % 100000;
        free_sized(malloc(size), size);
        free_aligned_sized(aligned_alloc(128, size), 128, size);
        cfree(calloc(1, size));
    }
    free_sized(NULL, 10);
    free_aligned_sized(NULL, 16, 10);
    cfree(NULL);
    size_t live = mallinfo2().uordblks;
    tap(errno == 4711, "they leave errno alone");
    tap(live < 1 << 20, "they free (%zu bytes live)", live);
}

static void libc_names(void)
{
    static const char *const names[][2] = {
        {"__libc_malloc", "malloc"},     {"__libc_calloc", "calloc"},
        {"__libc_realloc", "realloc"},   {"__libc_free", "free"},
        {"__libc_memalign", "memalign"}, {"__libc_valloc", "valloc"},
        {"__libc_pvalloc", "pvalloc"},   {"__posix_memalign", "posix_memalign"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        tap(dlsym(RTLD_DEFAULT, names[i][0]) == dlsym(RTLD_DEFAULT, names[i][1]), "%s is %s", names[i][0], names[i][1]);
}

int main(void)
{
    every_power_of_two();
    many_at_once_do_not_overlap();
    posix_memalign_reports_by_its_result();
    other_errors();
    whole_pages();
    sized_frees();
    libc_names();
    return tap_done();
}
