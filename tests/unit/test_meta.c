/* Metadata memory: zeroed, aligned, disjoint, reused, and NULL when the kernel has nothing. */
#include "os/meta.h"
#include "os/os.h"
#include "support.h"

#include <pthread.h>
#include <string.h>

enum { LIVE = 400, LARGEST = 256 << 10 };

static size_t random_size(rng_t *r) { return 1 + (rng_below(r, 50) == 0 ? rng_below(r, LARGEST) : rng_below(r, 3000)); }

static void records_are_zero_aligned_and_disjoint(void **state)
{
    (void)state;
    rng_t r = {3};
    struct { char *p; size_t size; uint64_t mark; } live[LIVE] = {{0}};
    for (size_t step = 0; step < scaled(40000); step++) {
        size_t i = rng_below(&r, LIVE);
        if (live[i].p != NULL) {
            assert_true(intact(live[i].p, live[i].size, live[i].size, live[i].mark));
            tmi_meta_free(live[i].p, live[i].size);
            live[i].p = NULL;
            continue;
        }
        live[i].size = random_size(&r);
        live[i].mark = step;
        live[i].p = tmi_meta_alloc(live[i].size);
        assert_non_null(live[i].p);
        assert_true(all_zero(live[i].p, live[i].size));
        assert_int_equal((uintptr_t)live[i].p % (live[i].size > 48 ? 64 : 16), 0);
        fill(live[i].p, live[i].size, live[i].mark);
    }
    for (size_t i = 0; i < LIVE; i++) {
        assert_true(live[i].p == NULL || intact(live[i].p, live[i].size, live[i].size, live[i].mark));
        tmi_meta_free(live[i].p, live[i].size);
    }
}

static void a_freed_record_is_reused_for_its_size(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 16, 17, 1000, 1024, 1025, 5000, LARGEST};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        void *p = tmi_meta_alloc(sizes[i]);
        assert_non_null(p);
        tmi_meta_free(p, sizes[i]);
        size_t before = tmi_meta_bytes();
        assert_ptr_equal(tmi_meta_alloc(sizes[i]), p);
        assert_int_equal(tmi_meta_bytes(), before);
        tmi_meta_free(p, sizes[i]);
    }
}

static void steady_use_takes_nothing_from_the_kernel(void **state)
{
    (void)state;
    void *p[64];
    size_t after_first = 0;
    for (int round = 0; round < 1000; round++) {
        for (int i = 0; i < 64; i++)
            p[i] = tmi_meta_alloc(100 + (size_t)i * 30);
        for (int i = 0; i < 64; i++)
            tmi_meta_free(p[i], 100 + (size_t)i * 30);
        if (round == 0)
            after_first = tmi_meta_bytes();
    }
    assert_int_equal(tmi_meta_bytes(), after_first);
}

static void what_is_too_large_is_refused(void **state)
{
    (void)state;
    assert_null(tmi_meta_alloc(LARGEST + 1));
    assert_null(tmi_meta_alloc(SIZE_MAX));
    tmi_meta_free(NULL, 16);
}

#if TMI_TEST_HOOKS
static void without_a_kernel_it_returns_null_and_recovers(void **state)
{
    (void)state;
    void *held[64];
    size_t n = 0;
    tmi_os_fail_at(1, true);
    while (n < 64 && (held[n] = tmi_meta_alloc(LARGEST)) != NULL)
        n++;
    assert_true(tmi_os_fail_fired());
    assert_null(tmi_meta_alloc(LARGEST));
    tmi_os_fail_at(0, false);
    void *p = tmi_meta_alloc(LARGEST);
    assert_non_null(p);
    assert_true(all_zero(p, LARGEST));
    tmi_meta_free(p, LARGEST);
    while (n > 0)
        tmi_meta_free(held[--n], LARGEST);
}
#endif

static void *use_for_a_while(void *seed)
{
    rng_t r = {(uintptr_t)seed};
    struct { char *p; size_t size; } live[50] = {{0}};
    bool ok = true;
    for (size_t step = 0; step < scaled(30000); step++) {
        size_t i = rng_below(&r, 50);
        if (live[i].p != NULL) {
            ok = ok && intact(live[i].p, live[i].size, live[i].size, (uintptr_t)live[i].p ^ (uintptr_t)seed);
            tmi_meta_free(live[i].p, live[i].size);
            live[i].p = NULL;
        } else {
            live[i].size = 1 + rng_below(&r, 3000);
            live[i].p = tmi_meta_alloc(live[i].size);
            fill(live[i].p, live[i].size, (uintptr_t)live[i].p ^ (uintptr_t)seed);
        }
    }
    return ok ? seed : NULL;
}

static void threads_share_it(void **state)
{
    (void)state;
    pthread_t t[3];
    for (uintptr_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&t[i], NULL, use_for_a_while, (void *)(i + 1)), 0);
    for (uintptr_t i = 0; i < 3; i++) {
        void *result;
        assert_int_equal(pthread_join(t[i], &result), 0);
        assert_non_null(result);
    }
}

int main(void)
{
    if (!tmi_os_init())
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_zero_aligned_and_disjoint),
        cmocka_unit_test(a_freed_record_is_reused_for_its_size),
        cmocka_unit_test(steady_use_takes_nothing_from_the_kernel),
        cmocka_unit_test(what_is_too_large_is_refused),
#if TMI_TEST_HOOKS
        cmocka_unit_test(without_a_kernel_it_returns_null_and_recovers),
#endif
        cmocka_unit_test(threads_share_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
