/* The samples: weights and distances as the exponential distribution has them, and a table that forgets nothing. */
#include "os/options.h"
#include "os/os.h"
#include "insight/profile.h"
#include "sampling/samples.h"
#include "sampling/stack.h"
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int setup(void **state)
{
    (void)state;
    assert_true(tmi_os_init());
    tmi_options_parse("unwind:none");
    return 0;
}

static void weights_are_inverse_probabilities(void **state)
{
    (void)state;
    static const double sizes[] = {1, 8, 100, 4096, 65536, 524288, 1e6, 1e7, 1e9, 1e12};
    static const uint64_t intervals[] = {2, 1000, 524288, 1000000000};
    for (size_t i = 0; i < TMI_COUNT_OF(sizes); i++)
        for (size_t k = 0; k < TMI_COUNT_OF(intervals); k++) {
            uint64_t blocks, bytes;
            double want = -1 / expm1(-sizes[i] / (double)intervals[k]);
            tmi_samples_weigh((uint64_t)sizes[i], intervals[k], &blocks, &bytes);
            assert_true(fabs((double)blocks / TMI_SAMPLES_BLOCK - want) <= want * 1e-9 + 1.0 / TMI_SAMPLES_BLOCK);
            assert_true(fabs((double)bytes - want * sizes[i]) <= want * sizes[i] * 1e-9 + 1);
        }
}

static void an_interval_of_one_is_exact(void **state)
{
    (void)state;
    uint64_t blocks, bytes, random = 0;
    for (uint64_t size = 0; size < 100; size++) {
        tmi_samples_weigh(size, 1, &blocks, &bytes);
        assert_true(blocks == TMI_SAMPLES_BLOCK && bytes == size);
    }
    assert_int_equal(tmi_samples_distance(&random, 1), 0);
}

/* Kolmogorov's distance between N distances and 1 - exp(-x / interval), times sqrt N: above 2.2 once in 10,000
 * times. */
static int ascending(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static double kolmogorov(int64_t *distances, size_t n, double interval)
{
    double worst = 0;
    qsort(distances, n, sizeof *distances, ascending);
    for (size_t i = 0; i < n; i++) {
        double f = -expm1(-(double)distances[i] / interval);
        worst = fmax(worst, fmax(fabs(f - (double)i / (double)n), fabs(f - (double)(i + 1) / (double)n)));
    }
    return worst * sqrt((double)n);
}

static void distances_are_exponential(void **state)
{
    (void)state;
    enum { N = 20000, INTERVAL = 1 << 19 };
    static int64_t distances[N];
    uint64_t random = 0;
    for (size_t i = 0; i < N; i++)
        distances[i] = tmi_samples_distance(&random, INTERVAL);
    assert_true(kolmogorov(distances, N, INTERVAL) < 2.2);
    for (size_t i = 0; i < N; i++) // control: uniform ones have the same mean
        distances[i] = (int64_t)(2.0 * INTERVAL * (double)i / N);
    assert_true(kolmogorov(distances, N, INTERVAL) > 2.2);
}

/* ---- the table, against an array ------------------------------------------------------------------------------- */

enum { KEYS = 5000, STEPS = 200000 };

static TMI_NOINLINE void allocate(tmi_sampler_t *s, uint64_t key, size_t size)
{
    if (tmi_samples_count(s, size))
        (void)tmi_samples_enter(s, key, size, __builtin_frame_address(0));
}

static uint64_t key_of(size_t i)
{
    return i % 3 == 0 ? tmi_samples_key_of_index((uint32_t)i) : 0x7f0000000000 + i * 48;
}

static void the_table_agrees_with_an_array(void **state)
{
    (void)state;
    static size_t sizes[KEYS]; // 0: not there
    tmi_sampler_t s = {0};
    tmi_snapshot_t snap;
    rng_t r = {7};
    uint64_t live = 0, nlive = 0, total = 0;
    assert_int_equal(tmi_samples_snapshot(&snap, true, true), ENOMEM); // there is none yet
    assert_int_equal(tmi_samples_start(1), 0);
    assert_int_equal(tmi_samples_start(1), 0);
    for (size_t step = 0; step < STEPS; step++) {
        size_t i = rng_below(&r, KEYS);
        tmi_sample_t out = {0, 0, 0};
        if (sizes[i] == 0) {
            sizes[i] = 1 + rng_below(&r, 10000);
            allocate(&s, key_of(i), sizes[i]);
            live += sizes[i], total += sizes[i], nlive++;
        } else {
            assert_true(tmi_samples_take(key_of(i), &out) && out.key == key_of(i) && out.size == sizes[i]);
            assert_false(tmi_samples_take(key_of(i), &out));
            live -= sizes[i], sizes[i] = 0, nlive--;
        }
    }
    assert_int_equal(tmi_samples_snapshot(&snap, true, true), 0);
    tmi_amount_t sum = {0}, all = {0};
    for (size_t i = 0; i < snap.nsites; i++) {
        sum.samples += snap.sites[i].live.samples, sum.bytes += snap.sites[i].live.bytes;
        sum.sampled += snap.sites[i].live.sampled, all.bytes += snap.sites[i].total.bytes;
    }
    assert_true(sum.samples == nlive && sum.bytes == live && sum.sampled == live && all.bytes == total);
    assert_int_equal(snap.nentries, nlive);
    assert_int_equal(snap.nsites, 2); // one caller
    tmi_samples_release(&snap);
    assert_int_equal(tmi_samples_start(2), EBUSY);
}

static void a_key_that_comes_again_replaces_the_block(void **state)
{
    (void)state;
    tmi_sampler_t s = {0};
    tmi_sample_t out;
    allocate(&s, 0x7e0000000000, 100);
    allocate(&s, 0x7e0000000000, 200);
    assert_true(tmi_samples_take(0x7e0000000000, &out) && out.size == 200);
    tmi_samples_put_back(&out);
    assert_true(tmi_samples_take(0x7e0000000000, &out) && out.size == 200);
    assert_false(tmi_samples_take(0x7e0000000000, &out));
    s.quiet = 1;
    allocate(&s, 0x7e0000000000, 100);
    assert_false(tmi_samples_take(0x7e0000000000, &out));
}

/* ---- stacks ------------------------------------------------------------------------------------------------------ */

static void wrong_frames_end_a_stack(void **state)
{
    (void)state;
    uintptr_t out[TMI_STACK_MAX];
    uintptr_t here = (uintptr_t)__builtin_return_address(0);
    static uintptr_t frames[8] TMI_ALIGNED(16);
    tmi_options_parse("unwind:fp");
    tmi_stack_init();
    assert_true(tmi_stack_is_return(here));
    assert_false(tmi_stack_is_return(here + 1) && tmi_stack_is_return(here + 2) && tmi_stack_is_return(here + 3));
    assert_false(tmi_stack_is_return(0));
    assert_false(tmi_stack_is_return(8));
    static const uintptr_t wrong[] = {0, 1, 8, 4096, (uintptr_t)1 << 46, UINTPTR_MAX - 7, UINTPTR_MAX};
    for (size_t i = 0; i < TMI_COUNT_OF(wrong); i++) {
        frames[0] = wrong[i], frames[1] = here;
        assert_int_equal(tmi_stack_capture(frames, out), 1);
        assert_int_equal(out[0], here);
    }
    frames[0] = (uintptr_t)frames; // a loop
    assert_int_equal(tmi_stack_capture(frames, out), 1);
    frames[0] = (uintptr_t)&frames[2], frames[2] = (uintptr_t)&frames[4], frames[3] = here;
    frames[4] = 0, frames[5] = here + 1;
    size_t n = tmi_stack_capture(frames, out); // the last return address follows no call
    assert_true(n == 2 || (n == 3 && tmi_stack_is_return(here + 1)));
    tmi_options_parse("unwind:none");
}

/* ---- forms ------------------------------------------------------------------------------------------------------- */

static char text[4096];

/* What a form writes of two sites that are made up; without maps. */
static size_t written(void (*form)(tmi_profile_t *))
{
    static uintptr_t frames[] = {0x1001, 0x2002, 0x1001};
    static tmi_site_t sites[] = {
        {.depth = 0},
        {.live = {1, 100, 65536, 100}, .total = {2, 300, 131072, 300}, .first = 0, .depth = 2},
        {.live = {0, 0, 0, 0}, .total = {3, 3, 3 * 65536, 3}, .first = 2, .depth = 1},
    };
    char path[] = "/tmp/tinymem-test.XXXXXX";
    tmi_writer_t out;
    tmi_profile_t p = {.out = &out};
    p.samples = (tmi_snapshot_t){.sites = sites, .frames = frames, .nsites = 3, .interval = 512};
    int fd = mkstemp(path);
    assert_true(fd >= 0 && tmi_writer_open(&out, path) == 0);
    form(&p);
    assert_true(tmi_writer_close(&out));
    ssize_t n = read(fd, text, sizeof text - 1);
    (void)close(fd);
    (void)unlink(path);
    assert_true(n >= 0);
    text[n] = '\0';
    return (size_t)n;
}

static void profile_proto_is_encoded_byte_by_byte(void **state)
{
    (void)state;
    static const char want[] = "\x0a\x04\x08\x01\x10\x02\x0a\x04\x08\x03\x10\x04\x0a\x04\x08\x05\x10\x02"
                               "\x0a\x04\x08\x06\x10\x04"
                               "\x0a\x04\x08\x08\x10\x04"
                               "\x12\x0c\x0a\x02\x01\x02\x12\x06\x02\xac\x02\x01\x64\x00"
                               "\x12\x0a\x0a\x01\x01\x12\x05\x03\x03\x00\x00\x00"
                               "\x22\x05\x08\x01\x18\x80\x20\x22\x05\x08\x02\x18\x81\x40"
                               "\x32\x00\x32\x0d"
                               "alloc_objects";
    size_t n = written(tmi_profile_pprof);
    assert_true(n > sizeof want);
    assert_memory_equal(text, want, sizeof want - 1);
    assert_memory_equal(text + n - 11, "\x5a\x04\x08\x07\x10\x04\x60\x80\x04\x70\x06", 11);
}

static void the_text_is_as_documented(void **state)
{
    (void)state;
    static const char want[] = "heap profile: 1: 100 [5: 303] @ heap_v2/512\n"
                               "1: 100 [2: 300] @ 0x1001 0x2002\n"
                               "0: 0 [3: 3] @ 0x1001\n"
                               "\nMAPPED_LIBRARIES:\n";
    (void)written(tmi_profile_heap);
    assert_memory_equal(text, want, sizeof want - 1);
    (void)written(tmi_profile_folded);
    assert_string_equal(text, "0x2002;0x1001 100\n");
}

static void json_is_escaped(void **state)
{
    (void)state;
    char path[] = "/tmp/tinymem-test.XXXXXX";
    tmi_writer_t out;
    int fd = mkstemp(path);
    assert_true(fd >= 0 && tmi_writer_open(&out, path) == 0);
    tmi_writer_json(&out, "a\"b\\c\n\x01\xff");
    assert_true(tmi_writer_close(&out));
    ssize_t n = read(fd, text, sizeof text - 1);
    (void)close(fd);
    (void)unlink(path);
    text[n > 0 ? n : 0] = '\0';
    assert_string_equal(text, "\"a\\\"b\\\\c\\u000a\\u0001\\u00ff\"");
    assert_int_equal(tmi_writer_open(&out, "/nonexistent/x"), ENOENT);
    assert_int_equal(tmi_writer_open(&out, "/dev/full"), 0);
    tmi_writer_text(&out, "%u", 1);
    assert_false(tmi_writer_close(&out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_are_inverse_probabilities),
        cmocka_unit_test(an_interval_of_one_is_exact),
        cmocka_unit_test(distances_are_exponential),
        cmocka_unit_test(the_table_agrees_with_an_array),
        cmocka_unit_test(a_key_that_comes_again_replaces_the_block),
        cmocka_unit_test(wrong_frames_end_a_stack),
        cmocka_unit_test(profile_proto_is_encoded_byte_by_byte),
        cmocka_unit_test(the_text_is_as_documented),
        cmocka_unit_test(json_is_escaped),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
