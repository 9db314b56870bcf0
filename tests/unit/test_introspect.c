/* The figures are true: they equal what a reference count says. */
#include "heap/introspect.h"
#include "heap/tally.h"
#include "heapcalls.h"
#include "os/counters.h"
#include "os/options.h"
#include "slabs/mixed.h"
#include "support.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LIVE = 2000 };

typedef struct reference {
    size_t blocks, bytes, large_blocks, large_bytes;
} reference_t;

static void count(reference_t *ref, const void *p, int sign)
{
    size_t usable = h_usable(p);
    ref->blocks += (size_t)sign;
    ref->bytes += (size_t)sign * usable;
    if (usable > TMI_SMALL_MAX) {
        ref->large_blocks += (size_t)sign;
        ref->large_bytes += (size_t)sign * usable;
    }
}

static void assert_figures(const reference_t *ref)
{
    tmi_figures_t f;
    tmi_figures_read(&f);
    assert_int_equal(f.live_blocks, ref->blocks);
    assert_int_equal(f.live, ref->bytes);
    assert_int_equal(f.large_blocks, ref->large_blocks);
    assert_int_equal(f.large, ref->large_bytes);
    assert_true(f.committed >= f.empty && f.mapped >= f.committed);
    size_t blocks = f.large_blocks, bytes = f.large;
    for (unsigned c = TMI_CLASS_FIRST; c <= TMI_CLASS_LAST; c++) {
        tmi_class_figures_t k;
        tmi_figures_of_class(c, &k);
        assert_int_equal(k.live + k.cached + k.free, k.slabs * tmi_classes[c].slots + tmi_mixed.taken[c]);
        blocks += k.live;
        bytes += k.live * tmi_classes[c].size;
    }
    assert_true(blocks == f.live_blocks && bytes == f.live);
}

static void figures_equal_a_reference_count(void **state)
{
    (void)state;
    static void *live[LIVE];
    rng_t r = {61};
    reference_t ref = {0};
    for (size_t step = 0; step < scaled(60000); step++) {
        void **b = &live[rng_below(&r, LIVE)];
        size_t size = rng_below(&r, 50) ? rng_size(&r, 3000) : rng_size(&r, 500000);
        if (*b == NULL) {
            *b = h_malloc(size);
            count(&ref, *b, 1);
        } else {
            count(&ref, *b, -1);
            if (rng_below(&r, 4) == 0) {
                *b = h_realloc(*b, size + 1);
                count(&ref, *b, 1);
            } else {
                h_free(*b);
                *b = NULL;
            }
        }
        if (step % 500 == 0)
            assert_figures(&ref);
    }
    for (size_t i = 0; i < LIVE; i++)
        if (live[i] != NULL) {
            count(&ref, live[i], -1);
            h_free(live[i]);
        }
    assert_figures(&ref);
    assert_int_equal(ref.blocks, 0);
}

static void *leave_blocks(void *out)
{
    void **p = out;
    for (size_t i = 0; i < LIVE / 2; i++)
        p[i] = h_malloc(i % 3000);
    for (size_t i = 0; i < LIVE / 2; i += 2) {
        h_free(p[i]);
        p[i] = NULL;
    }
    return NULL;
}

static void blocks_of_ended_threads_are_counted(void **state)
{
    (void)state;
    static void *left[3][LIVE / 2];
    reference_t ref = {0};
    pthread_t t[3];
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&t[i], NULL, leave_blocks, left[i]), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_join(t[i], NULL), 0);
    for (int i = 0; i < 3; i++)
        for (size_t k = 0; k < LIVE / 2; k++)
            if (left[i][k] != NULL)
                count(&ref, left[i][k], 1);
    assert_figures(&ref);
    for (int i = 0; i < 3; i++)
        for (size_t k = 0; k < LIVE / 2; k++)
            h_free(left[i][k]);
    assert_figures(&(reference_t){0});
}

static void purged_and_committed_tell_of_trim(void **state)
{
    (void)state;
    tmi_figures_t before, after;
    static void *p[1000];
    for (int i = 0; i < 1000; i++)
        memset(p[i] = h_malloc(4096), 1, 4096);
    tmi_figures_read(&before);
    assert_true(before.committed >= 1000 * 4096);
    for (int i = 0; i < 1000; i++)
        h_free(p[i]);
    assert_true(tmi_heap_trim(0));
    tmi_figures_read(&after);
    assert_true(after.purged > before.purged || after.purged >= 1000 * 4096);
    assert_true(after.committed + 900 * 4096 <= before.committed);
    assert_int_equal(after.empty, 0);
}

static void committed_is_close_to_what_is_resident(void **state)
{
    (void)state;
    if (UNDER_SANITIZER) // their shadow is resident too
        skip();
    static void *p[4000];
    tmi_figures_t before, after;
    (void)tmi_heap_trim(0);
    tmi_figures_read(&before);
    size_t rss = rss_bytes();
    for (int i = 0; i < 4000; i++)
        memset(p[i] = h_malloc(3000 + (size_t)i * 10), 1, 3000 + (size_t)i * 10);
    tmi_figures_read(&after);
    size_t grown = rss_bytes() - rss, said = after.committed - before.committed + after.metadata - before.metadata;
    print_message("resident %zu KiB, committed says %zu KiB\n", grown / 1024, said / 1024);
    assert_true(said <= grown + grown / 10 && grown <= said + said / 10);
    for (int i = 0; i < 4000; i++)
        h_free(p[i]);
}

enum { THREADS = 3 };

static void *busy(void *seed)
{
    rng_t r = {(uintptr_t)seed};
    static __thread void *p[100];
    for (size_t i = 0; i < scaled(100000); i++) {
        void **b = &p[rng_below(&r, 100)];
        h_free(*b);
        *b = h_malloc(rng_size(&r, 5000));
    }
    for (int i = 0; i < 100; i++)
        h_free(p[i]);
    return NULL;
}

static void figures_can_be_read_while_threads_work(void **state)
{
    (void)state;
    pthread_t t[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&t[i], NULL, busy, (void *)(i + 1)), 0);
    for (int i = 0; i < 300; i++) {
        tmi_figures_t f;
        tmi_figures_read(&f);
        assert_true(f.live < TMI_GIB); // wild values would be 2^64 less something
        assert_true(f.cached < TMI_GIB);
        sleep_ms(1);
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(t[i], NULL), 0);
    assert_figures(&(reference_t){0});
}

static int tally_in_a_process_with_stats(void *unused)
{
    (void)unused;
    tmi_tally_t a, b;
    tmi_heap_init();
    tmi_tally_read(&a);
    void *p[100];
    size_t usable = 0;
    for (size_t i = 0; i < 100; i++)
        usable += h_usable(p[i] = h_malloc(i * 1000));
    tmi_tally_read(&b);
    if (b.allocs - a.allocs != 100 || b.frees != a.frees || b.live_bytes - a.live_bytes != usable ||
        b.peak_bytes < b.live_bytes)
        return 1;
    for (size_t i = 0; i < 50; i++)
        p[i] = h_realloc(p[i], 10 + i * 3);
    for (size_t i = 0; i < 100; i++)
        h_free(p[i]);
    tmi_tally_read(&b);
    return b.allocs - a.allocs == b.frees - a.frees && b.live_bytes == a.live_bytes &&
                   b.peak_bytes - a.live_bytes >= usable
               ? 0
               : 2;
}

static void with_stats_every_call_is_counted(void **state)
{
    (void)state;
    outcome_t o = run_child(tally_in_a_process_with_stats, NULL, 20);
    assert_true(exited(&o, 0));
}

int main(int argc, char **argv)
{
    if (argc > 1) { // a fresh process, whose heap reads TINYMEM
        const struct CMUnitTest tests[] = {cmocka_unit_test(with_stats_every_call_is_counted)};
        return cmocka_run_group_tests_name("stats", tests, NULL, NULL);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_equal_a_reference_count),
        cmocka_unit_test(blocks_of_ended_threads_are_counted),
        cmocka_unit_test(purged_and_committed_tell_of_trim),
        cmocka_unit_test(committed_is_close_to_what_is_resident),
        cmocka_unit_test(figures_can_be_read_while_threads_work),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (failed != 0)
        return failed;
    (void)setenv("TINYMEM", "stats:on", 1);
    (void)execl("/proc/self/exe", argv[0], "stats", (char *)NULL);
    return 1;
}
