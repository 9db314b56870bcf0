/* Huge pages (S5): the kernel does not fill again what has been purged, in either heap, whatever lay there; where the
 * heap is dense it may have huge pages, also after it has been thin. What khugepaged would do in minutes is done at
 * once here, with MADV_COLLAPSE. In the control nobody tells the kernel anything. */
#include "heap/heap.h"
#include "heap/introspect.h"
#include "os/options.h"
#include "os/os.h"
#include "compaction/compact.h"
#include "segments/segment.h"
#include "support.h"
#include "tinymem/tinymem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

static void *take(size_t size)
{
    void *p = tmi_heap_malloc(size);
    assert_non_null(p);
    return memset(p, 1, size);
}

static void give(void *p)
{
    if (!tmi_heap_free_fast(p))
        assert_true(tmi_heap_free(p, "free"));
}

/* What /proc/self/smaps says about the mapping of p: 'h' hg, may be huge; 'n' nh, may not; '-' neither. */
static char said_of(const void *p)
{
    char line[512], result = 0;
    bool here = false;
    FILE *f = fopen("/proc/self/smaps", "re");
    assert_non_null(f);
    while (result == 0 && fgets(line, sizeof line, f) != NULL) {
        void *from, *to;
        if (sscanf(line, "%p-%p ", &from, &to) == 2)
            here = p >= from && p < to;
        else if (here && strncmp(line, "VmFlags:", 8) == 0)
            result = strstr(line, " hg") ? 'h' : strstr(line, " nh") ? 'n' : '-';
    }
    (void)fclose(f);
    return result;
}

static bool is_of_heap(char *p) { return tmi_pagemap_segment(p) != NULL; }

/* Make a huge page of each segment that may be one and in which something is resident. */
static void collapse(char *from, char *to)
{
    from = (char *)tmi_round_up((uintptr_t)from, TMI_SEGMENT_SIZE);
    for (char *p = from; p + TMI_SEGMENT_SIZE <= to; p += TMI_SEGMENT_SIZE)
        if (is_of_heap(p) && resident_bytes(p, TMI_SEGMENT_SIZE) > 0)
            (void)madvise(p, TMI_SEGMENT_SIZE, MADV_COLLAPSE);
}

static void collapse_all(void)
{
    enum { MOST = 4096 };
    static char *from[MOST], *to[MOST];
    size_t n = 0;
    char line[512];
    FILE *f = fopen("/proc/self/smaps", "re");
    assert_non_null(f);
    while (n < MOST && fgets(line, sizeof line, f) != NULL) {
        void *a, *b;
        if (sscanf(line, "%p-%p ", &a, &b) == 2) {
            from[n] = a;
            to[n] = b;
        } else if (strncmp(line, "VmFlags:", 8) == 0 && strstr(line, " hg")) {
            n++;
        }
    }
    (void)fclose(f);
    while (n-- > 0)
        collapse(from[n], to[n]);
}

/* How much a heap of these sizes grows when all is made huge that may be, once 31 in 32 blocks are freed. MiB. */
static size_t growth_after_thinning(size_t size, size_t bytes)
{
    size_t n = bytes / size;
    char **p = calloc(n, sizeof *p);
    for (size_t i = 0; i < n; i++)
        p[i] = take(size);
    for (size_t i = 0; i < n; i++)
        if (i % 32 != 0)
            give(p[i]);
    (void)tmi_heap_trim(0);
    size_t purged = rss_bytes();
    collapse_all();
    size_t later = rss_bytes();
    for (size_t i = 0; i < n; i += 32)
        give(p[i]);
    (void)tmi_heap_trim(0);
    free(p);
    return later > purged ? (later - purged) / TMI_MIB : 0;
}

static bool no_huge_pages(void)
{
    return tmi_os_thp() == TMI_THP_NEVER || madvise(NULL, 0, MADV_COLLAPSE) != 0 || tmi_os_page_size != 4096;
}

static void purged_pages_are_not_filled_again(void **state)
{
    (void)state;
    static const size_t sizes[] = {64, 500, 2048, 9000, 30000, 70000, 300000, 1500000};
    if (no_huge_pages())
        skip();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t grown = growth_after_thinning(sizes[i], sizes[i] < 400 ? 16 * TMI_MIB : 64 * TMI_MIB);
        print_message("blocks of %zu bytes: %zu MiB more\n", sizes[i], grown);
        assert_in_range(grown, 0, 3);
    }
    tmi_check_all();
}

static void extents_that_shrink_are_not_filled_again(void **state)
{
    (void)state;
    enum { N = 12 };
    static char *p[N];
    if (no_huge_pages())
        skip();
    for (int i = 0; i < N; i++)
        p[i] = take(5 * TMI_MIB);
    for (int i = 0; i < N; i++)
        p[i] = tmi_heap_realloc(p[i], TMI_MIB + 70000, "realloc");
    (void)tmi_heap_trim(0);
    size_t purged = rss_bytes();
    collapse_all();
    assert_in_range(rss_bytes() / TMI_MIB, 0, purged / TMI_MIB + 3);
    for (int i = 0; i < N; i++)
        give(p[i]);
    tmi_check_all();
}

static void objects_that_moved_away_are_not_filled_again(void **state)
{
    (void)state;
    enum { N = 60000, SIZE = 500 };
    static tm_handle_t h[N];
    if (no_huge_pages())
        skip();
    for (int i = 0; i < N; i++) {
        h[i] = tm_alloc(SIZE);
        TM_PINNED(char, p, h[i]) { memset(p, 1, SIZE); }
    }
    for (int i = 0; i < N; i++)
        if (i % 32 != 0)
            tm_free(h[i]);
    (void)tm_compact();
    (void)tmi_heap_trim(0);
    size_t purged = rss_bytes();
    collapse_all();
    assert_in_range(rss_bytes() / TMI_MIB, 0, purged / TMI_MIB + 3);
    for (int i = 0; i < N; i += 32)
        tm_free(h[i]);
    tmi_check_all();
}

/* How many of these blocks lie where huge pages may be, in percent. */
static size_t share_that_may_be_huge(char *const *p, size_t n)
{
    size_t may = 0, looked = 0;
    for (size_t i = 0; i < n; i += n / 100, looked++)
        may += said_of(p[i]) == 'h';
    return may * 100 / looked;
}

static void what_is_dense_again_may_be_huge_again(void **state)
{
    (void)state;
    static const size_t sizes[] = {2048, 70000};
    if (no_huge_pages())
        skip();
    for (size_t s = 0; s < 2; s++) {
        size_t n = 96 * TMI_MIB / sizes[s];
        char **p = calloc(n, sizeof *p);
        for (size_t i = 0; i < n; i++)
            p[i] = take(sizes[s]);
        assert_in_range(share_that_may_be_huge(p, n), 70, 100);
        for (size_t i = 0; i < n; i++)
            if (i % 8 != 0)
                give(p[i]);
        (void)tmi_heap_trim(0);
        for (size_t i = 0; i < n; i += 8)
            if (i % 64 == 0)
                assert_int_equal(said_of(p[i]), 'n');
        for (size_t i = 0; i < n; i++)
            if (i % 8 != 0)
                p[i] = take(sizes[s]);
        size_t share = share_that_may_be_huge(p, n);
        print_message("dense again, blocks of %zu bytes: %zu %% may be huge\n", sizes[s], share);
        assert_in_range(share, 70, 100);
        for (size_t i = 0; i < n; i++)
            give(p[i]);
        free(p);
    }
    (void)tmi_heap_trim(0);
    tmi_check_all();
}

#if TMI_TEST_HOOKS
static int thin_untold(void *unused)
{
    (void)unused;
    tmi_huge_applies = false;
    return growth_after_thinning(2048, 64 * TMI_MIB) > 20 ? 7 : 0;
}

static void control_untold_the_kernel_fills_it(void **state)
{
    (void)state;
    if (no_huge_pages())
        skip();
    outcome_t o = run_child(thin_untold, NULL, 60);
    assert_true(exited(&o, 7));
}
#endif

int main(void)
{
    tmi_heap_init();
    tmi_options_parse("huge:on,compaction:manual");
    tmi_space_init(); // again, with these
    const struct CMUnitTest tests[] = {
#if TMI_TEST_HOOKS
        cmocka_unit_test(control_untold_the_kernel_fills_it),
#endif
        cmocka_unit_test(purged_pages_are_not_filled_again),
        cmocka_unit_test(extents_that_shrink_are_not_filled_again),
        cmocka_unit_test(objects_that_moved_away_are_not_filled_again),
        cmocka_unit_test(what_is_dense_again_may_be_huge_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
