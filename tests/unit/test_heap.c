/* The heap as one piece against a reference model: random operations with checksummed contents, the audit, and sweeps
 * over alignments and sizes. */
#include "heap/introspect.h"
#include "heapcalls.h"
#include "os/options.h"
#include "support.h"

#include <errno.h>
#include <string.h>

enum { LIVE = 1500 };

typedef struct block {
    char *p;
    size_t size, usable;
    uint64_t mark;
} block_t;

static block_t live[LIVE];

static void verify(const block_t *b)
{
    if (!intact(b->p, b->size, b->size, b->mark))
        fail_msg("contents of %p, %zu bytes, are not what was written", (void *)b->p, b->size);
    assert_int_equal(h_usable(b->p), b->usable); // constant for the block's life
}

static void enter(block_t *b, void *p, size_t size, uint64_t mark)
{
    assert_non_null(p);
    *b = (block_t){p, size, h_usable(p), mark};
    assert_true(b->usable >= size);
    assert_int_equal((uintptr_t)p % (size >= 16 ? 16 : 8), 0);
    fill(p, size, mark);
}

/* Mostly small, sometimes up to 200 KiB, rarely megabytes. */
static size_t some_size(rng_t *r)
{
    size_t k = rng_below(r, 1000);
    return k < 900 ? rng_size(r, 4096) : k < 997 ? rng_size(r, 200 * TMI_KIB) : rng_size(r, 6 * TMI_MIB);
}

static void allocate(block_t *b, rng_t *r, uint64_t mark)
{
    size_t size = some_size(r);
    switch (rng_below(r, 4)) {
    case 0: {
        char *p = h_calloc(size);
        assert_non_null(p);
        assert_true(all_zero(p, size));
        enter(b, p, size, mark);
        break;
    }
    case 1: {
        size_t align = (size_t)1 << rng_below(r, 17);
        char *p = h_aligned(align, size);
        assert_int_equal((uintptr_t)p % align, 0);
        enter(b, p, size, mark);
        break;
    }
    default: enter(b, h_malloc(size), size, mark);
    }
}

static void resize(block_t *b, rng_t *r, uint64_t mark)
{
    size_t size = rng_below(r, 3) ? some_size(r) : b->size + rng_below(r, b->size / 2 + 100);
    size = size ? size : 1;
    char *q = h_realloc(b->p, size);
    assert_non_null(q);
    assert_true(intact(q, b->size < size ? b->size : size, b->size, b->mark));
    enter(b, q, size, mark);
}

static void step(rng_t *r, uint64_t number)
{
    size_t n = number / 20000 % 2 ? LIVE / 10 : LIVE; // phases of growing and of shrinking
    block_t *b = &live[rng_below(r, n)];
    if (b->p == NULL) {
        allocate(b, r, number);
        return;
    }
    verify(b);
    if (rng_below(r, 4) == 0) {
        resize(b, r, number);
        return;
    }
    h_free(b->p);
    b->p = NULL;
}

static void random_run(uint64_t seed, size_t steps, size_t audit_every)
{
    rng_t r = {seed};
    for (size_t i = 0; i < steps; i++) {
        errno = 4711;
        step(&r, i);
        assert_int_equal(errno, 4711);
        if (i % audit_every == 0)
            tmi_check_all();
        if (i % 7000 == 6999)
            (void)tmi_heap_trim(0);
    }
    tmi_check_all();
    for (size_t i = 0; i < LIVE; i++)
        if (live[i].p != NULL) {
            verify(&live[i]);
            h_free(live[i].p);
            live[i].p = NULL;
        }
    (void)tmi_heap_trim(0);
    tmi_check_all();
}

static void random_operations_follow_the_model(void **state)
{
    (void)state;
    random_run(51, scaled(200000), UNDER_TSAN ? 5000 : 1000);
}

static void random_operations_with_an_audit_after_each(void **state)
{
    (void)state;
    random_run(52, scaled(UNDER_TSAN ? 400 : 2000), 1); // an audit walks the whole page map: 0.1 s under TSan
}

static void after_everything_is_freed_nothing_is_left(void **state)
{
    (void)state;
    tmi_figures_t f;
    (void)tmi_heap_trim(0);
    tmi_figures_read(&f);
    assert_int_equal(f.live, 0);
    assert_int_equal(f.live_blocks, 0);
    assert_int_equal(f.cached, 0);
    assert_int_equal(f.committed, 0);
}

static void try_aligned(size_t align, size_t size)
{
    char *p = h_aligned(align, size), *q = h_aligned(align, size);
    assert_non_null(p);
    assert_non_null(q);
    assert_ptr_not_equal(p, q);
    if ((uintptr_t)p % align != 0 || (uintptr_t)q % align != 0 || h_usable(p) < size)
        fail_msg("align %zu size %zu: %p %p usable %zu", align, size, (void *)p, (void *)q, h_usable(p));
    fill(p, size, 1);
    fill(q, size, 2);
    assert_true(intact(p, size, size, 1) && intact(q, size, size, 2));
    h_free(q);
    h_free(p);
}

static void every_alignment_goes_with_every_size(void **state)
{
    (void)state;
    rng_t r = {53};
    for (size_t align = 1; align <= TMI_GIB; align *= 2) {
        size_t rise = align <= TMI_SMALL_MAX ? 37 : 4999;
        for (size_t size = 0; size <= 64 * TMI_KIB;
             size += size < 70 ? 1 : 1 + rng_below(&r, rise * (UNDER_SANITIZER ? 16 : 4)))
            try_aligned(align, size);
        for (size_t size = 64 * TMI_KIB; size <= 8 * TMI_MIB; size = size * 3 + 1)
            try_aligned(align, size);
        for (size_t at = align < 16 ? 16 : align; at <= 64 * TMI_KIB; at *= 2) { // around powers of two
            try_aligned(align, at - 1);
            try_aligned(align, at);
            try_aligned(align, at + 1);
        }
    }
    tmi_check_all();
}

static void realloc_keeps_contents_up_and_down(void **state)
{
    (void)state;
    size_t size = 1;
    char *p = h_malloc(size);
    fill(p, size, 1);
    while (size < 40 * TMI_MIB) {
        size_t next = size + size / 3 + 1;
        p = h_realloc(p, next);
        assert_non_null(p);
        assert_true(intact(p, size, size, size)); // the mark is the size it was filled with
        size = next;
        fill(p, size, size);
    }
    while (size > 1) {
        size_t next = size - size / 3 - 1 ? size - size / 3 - 1 : 1;
        p = h_realloc(p, next);
        assert_non_null(p);
        assert_true(intact(p, next, size, size));
        size = next;
        fill(p, size, size);
    }
    h_free(p);
    tmi_check_all();
}

static void realloc_to_less_gives_memory_back(void **state)
{
    (void)state;
    tmi_figures_t f;
    static char *p[200];
    for (int i = 0; i < 200; i++)
        p[i] = h_malloc(30000);
    for (int i = 0; i < 200; i++)
        p[i] = h_realloc(p[i], 100);
    tmi_figures_read(&f);
    assert_true(f.live < 200 * 1000);
    for (int i = 0; i < 200; i++)
        h_free(p[i]);
}

static void calloc_is_zero_in_dirty_memory(void **state)
{
    (void)state;
    rng_t r = {54};
    for (size_t round = 0; round < scaled(60); round++) {
        char *p[64];
        size_t size = some_size(&r);
        for (int i = 0; i < 64 && size < TMI_MIB; i++)
            memset(p[i] = h_malloc(size), 0xff, size);
        for (int i = 0; i < 64 && size < TMI_MIB; i++)
            h_free(p[i]);
        if (round % 4 == 0)
            (void)tmi_heap_trim(0);
        for (int i = 0; i < 64; i++) {
            p[i] = h_calloc(size);
            assert_non_null(p[i]);
            assert_true(all_zero(p[i], size));
            memset(p[i], 0xee, size);
        }
        for (int i = 0; i < 64; i++)
            h_free(p[i]);
    }
}

static void impossible_sizes_are_null_with_enomem(void **state)
{
    (void)state;
    static const size_t sizes[] = {SIZE_MAX,    SIZE_MAX - 4096,     (size_t)PTRDIFF_MAX + 1,
                                   PTRDIFF_MAX, PTRDIFF_MAX - 70000, (size_t)1 << 47};
    char *kept = h_malloc(50000);
    fill(kept, 50000, 9);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        errno = 0;
        assert_null(h_malloc(sizes[i]));
        assert_int_equal(errno, ENOMEM);
        errno = 0;
        assert_null(h_calloc(sizes[i]));
        assert_int_equal(errno, ENOMEM);
        errno = 0;
        assert_null(h_aligned(4096, sizes[i]));
        assert_int_equal(errno, ENOMEM);
        errno = 0;
        assert_null(h_realloc(kept, sizes[i]));
        assert_int_equal(errno, ENOMEM);
        assert_true(intact(kept, 50000, 50000, 9));
    }
    assert_null(h_aligned((size_t)1 << 62, 1));
    h_free(kept);
    tmi_check_all();
}

/* Control: a byte written past a block is seen by the neighbour's verification. */
static int overflow_by_one(void *unused)
{
    (void)unused;
    static char *p[64];
    for (int i = 0; i < 64; i++)
        fill(p[i] = h_malloc(64), 64, (uint64_t)i);
    p[10][64] ^= 1;
    for (int i = 0; i < 64; i++)
        if (!intact(p[i], 64, 64, (uint64_t)i))
            return 42;
    return 0;
}

static void control_an_overflow_is_noticed(void **state)
{
    (void)state;
    outcome_t o = run_child(overflow_by_one, NULL, 20);
    assert_true(exited(&o, 42));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_operations_follow_the_model),
        cmocka_unit_test(random_operations_with_an_audit_after_each),
        cmocka_unit_test(after_everything_is_freed_nothing_is_left),
        cmocka_unit_test(every_alignment_goes_with_every_size),
        cmocka_unit_test(realloc_keeps_contents_up_and_down),
        cmocka_unit_test(realloc_to_less_gives_memory_back),
        cmocka_unit_test(calloc_is_zero_in_dirty_memory),
        cmocka_unit_test(impossible_sizes_are_null_with_enomem),
        cmocka_unit_test(control_an_overflow_is_noticed),
        cmocka_unit_test(after_everything_is_freed_nothing_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
