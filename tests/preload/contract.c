/* The contract of malloc, calloc, realloc and free, as ISO C, POSIX and glibc have it. */
#include "tap.h"

#include <malloc.h>

static const size_t sizes[] = {0,    1,     7,     8,     9,     15,     16,      17,     24,
                               100,  255,   256,   257,   1000,  1024,   1025,    4095,   4096,
                               4097, 10000, 32768, 32769, 65536, 100000, 1048576, 5000000};
enum { SIZES = sizeof sizes / sizeof *sizes };

static bool all_bytes(const void *p, int byte, size_t n)
{
    const unsigned char *c = p;
    for (size_t i = 0; i < n; i++)
        if (c[i] != byte)
            return false;
    return true;
}

static void zero_sized_blocks_are_unique(void)
{
    void *p[100];
    bool unique = true;
    for (int i = 0; i < 100; i++)
        p[i] = i % 3 == 0 ? malloc(0) : i % 3 == 1 ? calloc(0, 5) : calloc(7, 0);
    for (int i = 0; i < 100; i++)
        for (int k = 0; k < i; k++)
            unique &= p[i] != NULL && p[i] != p[k];
    tap(unique, "malloc(0) and calloc of nothing are unique and not NULL");
    for (int i = 0; i < 100; i++)
        free(p[i]);
}

static void blocks_are_aligned_and_disjoint(void)
{
    bool aligned = true, kept = true, small = true;
    char *p[SIZES][8];
    for (int i = 0; i < SIZES; i++)
        for (int k = 0; k < 8; k++) {
            p[i][k] = malloc(sizes[i]);
            aligned &= (uintptr_t)p[i][k] % 16 == 0 || sizes[i] < 16;
            small &= (uintptr_t)p[i][k] % 8 == 0;
            memset(p[i][k], i * 8 + k, sizes[i]);
        }
    for (int i = 0; i < SIZES; i++)
        for (int k = 0; k < 8; k++) {
            kept &= all_bytes(p[i][k], (unsigned char)(i * 8 + k), sizes[i]);
            free(p[i][k]);
        }
    tap(aligned, "blocks of 16 bytes and more are aligned to 16");
    tap(small, "smaller ones to 8");
    tap(kept, "blocks do not overlap");
}

static bool refuses(void *p)
{
    bool good = p == NULL && errno == ENOMEM;
    errno = 0;
    return good;
}

static void impossible_sizes_are_refused(void)
{
    volatile size_t huge[] = {(size_t)PTRDIFF_MAX + 1, SIZE_MAX, SIZE_MAX - 15, SIZE_MAX - 4096, PTRDIFF_MAX};
    bool m = true, c = true, r = true, a = true;
    char *volatile kept = malloc(100); // volatile: compilers warn of what is meant here
    memset(kept, 3, 100);
    errno = 0;
    for (size_t i = 0; i < sizeof huge / sizeof *huge; i++) {
        m &= refuses(malloc(huge[i]));
        c &= refuses(calloc(1, huge[i])) && refuses(calloc(huge[i], 1)) && refuses(calloc(huge[i], 2)) &&
             refuses(calloc(8, huge[i] / 2));
        r &= refuses(realloc(kept, huge[i])) && refuses(realloc(NULL, huge[i])) &&
             refuses(reallocarray(kept, huge[i], 1));
        a &= refuses(memalign(64, huge[i])) && refuses(aligned_alloc(64, huge[i])) && refuses(valloc(huge[i])) &&
             refuses(pvalloc(huge[i]));
    }
    tap(m, "malloc of more than PTRDIFF_MAX is NULL with ENOMEM");
    tap(c, "calloc too, and when the product overflows");
    tap(r && all_bytes(kept, 3, 100), "realloc too, and the block stays");
    tap(a, "memalign, aligned_alloc, valloc and pvalloc too");
    volatile size_t half = (size_t)1 << 32, all = SIZE_MAX;
    tap(refuses(calloc(half, half)) && refuses(calloc(half + 1, half)) && refuses(calloc(all, all)),
        "calloc notices overflow to small products");
    tap(refuses(reallocarray(kept, half, half)) && refuses(reallocarray(NULL, half + 1, half)) &&
            all_bytes(kept, 3, 100),
        "reallocarray notices overflow");
    volatile size_t n = 50;
    kept = reallocarray(kept, n, 8);
    tap(kept != NULL && malloc_usable_size(kept) >= 400 && all_bytes(kept, 3, 100), "reallocarray resizes");
    free(kept);
}

static void errno_is_left_alone(void)
{
    bool kept = true;
    for (int i = 0; i < SIZES; i++) {
        errno = 4711;
        void *p = malloc(sizes[i]);
        p = realloc(p, sizes[i] * 2 + 1);
        void *q = calloc(1, sizes[i]), *r = memalign(256, sizes[i]);
        kept &= errno == 4711 && p && q && r;
        free(p);
        free(q);
        free(r);
        free(NULL);
        kept &= errno == 4711;
    }
    tap(kept, "success and free leave errno alone");
    errno = 4711;
    void *big = malloc((size_t)600 << 20);
    bool good = errno == 4711;
    free(big);
    (void)malloc_trim(0);
    tap(good && errno == 4711, "so they do for large blocks and malloc_trim");
}

static void realloc_does_as_glibc(void)
{
    errno = 0;
    char *p = malloc(100);
    tap(realloc(p, 0) == NULL && errno == 0, "realloc(p, 0) frees and returns NULL");
    p = realloc(NULL, 50);
    tap(p != NULL, "realloc(NULL, n) is malloc");
    bool kept = true;
    memset(p, 1, 50);
    size_t have = 50;
    for (int i = 0; i < 3 * SIZES; i++) {
        size_t size = sizes[(i * 7 + 3) % SIZES] + 1;
        p = realloc(p, size);
        kept &= p != NULL && all_bytes(p, 1, have < size ? have : size);
        memset(p, 1, size);
        have = size;
    }
    free(p);
    tap(kept, "realloc keeps contents, up and down");
}

static void calloc_is_zero_and_lazy(void)
{
    bool zero = true;
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < SIZES; i++) {
            unsigned char *p[5];
            for (int k = 0; k < 5; k++) {
                p[k] = calloc(1, sizes[i]);
                zero &= all_bytes(p[k], 0, sizes[i]);
                memset(p[k], 0xff, sizes[i]);
            }
            for (int k = 0; k < 5; k++)
                free(p[k]);
        }
    tap(zero, "calloc is zero in dirty memory");
    size_t before = tap_proc_kb(0, "smaps_rollup", "Rss:");
    char *p = calloc(1024, 1 << 20);
    size_t after = tap_proc_kb(0, "smaps_rollup", "Rss:");
    tap(p != NULL && after < before + (1 << 20), "calloc of 1 GiB touches no page (%zu KiB more)",
        (after - before) >> 10);
    tap(p != NULL && p[0] == 0 && p[(1 << 30) - 1] == 0 && p[12345678] == 0, "and reads as zero");
    free(p);
}

static void usable_size_is_constant_and_usable(void)
{
    bool constant = true, enough = true, intact = true;
    for (int i = 0; i < SIZES; i++) {
        unsigned char *p = malloc(sizes[i]), *q = malloc(sizes[i]);
        size_t usable = malloc_usable_size(p);
        enough &= usable >= sizes[i];
        memset(p, 1, usable); // all of it is ours
        memset(q, 2, malloc_usable_size(q));
        (void)malloc_trim(0);
        intact &= all_bytes(p, 1, usable);
        constant &= malloc_usable_size(p) == usable;
        free(q);
        constant &= malloc_usable_size(p) == usable;
        free(p);
    }
    tap(constant, "malloc_usable_size is constant for a block's life");
    tap(enough && intact, "and all of it can be used");
    tap(malloc_usable_size(NULL) == 0, "malloc_usable_size(NULL) is 0");
}

int main(void)
{
    zero_sized_blocks_are_unique();
    blocks_are_aligned_and_disjoint();
    impossible_sizes_are_refused();
    errno_is_left_alone();
    realloc_does_as_glibc();
    calloc_is_zero_and_lazy();
    usable_size_is_constant_and_usable();
    return tap_done();
}
