/* Mixed slabs: blocks of all sizes are disjoint, aligned and intact, beside those that were there before; what is
 * freed coalesces and goes back; misuse is reported; the audit X1-X5 holds all the time. And raw slabs that become
 * mixed under their owners. */
#include "heap/heap.h"
#include "heap/introspect.h"
#include "os/counters.h"
#include "os/options.h"
#include "os/os.h"
#include "slabs/mixed_impl.h"
#include "slabs/raw.h"
#include "support.h"
#include "threads/pacer.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

enum { SURVIVORS_ONE_IN = 40, SLABS = 40 };

static void purge_all(void)
{
    (void)tmi_pacer_purge_all();
    tmi_check_all();
}

/* SLABS slabs of slots of `size` of which few are taken: the survivors. */
typedef struct thinned {
    void **kept;
    size_t nkept, size;
    unsigned cls;
} thinned_t;

static thinned_t thin(size_t size, uint64_t seed)
{
    thinned_t t = {.size = size, .cls = tmi_class_of(size)};
    size_t n = tmi_classes[t.cls].slots * (size_t)SLABS;
    void **all = calloc(n, sizeof *all);
    rng_t r = {seed};
    t.kept = calloc(n, sizeof *t.kept);
    assert_int_equal(tmi_raw_take(t.cls, all, n), n);
    for (size_t i = 0; i < n; i++) {
        fill(all[i], size, i);
        if (rng_below(&r, SURVIVORS_ONE_IN) == 0)
            t.kept[t.nkept++] = all[i];
        else
            tmi_raw_return(t.cls, &all[i], 1, "free");
    }
    for (size_t i = 0; i < t.nkept; i++)
        fill(t.kept[i], size, ~i);
    free(all);
    return t;
}

static void free_thinned(thinned_t *t)
{
    for (size_t i = 0; i < t->nkept; i++) {
        assert_true(intact(t->kept[i], t->size, t->size, ~i));
        tmi_raw_return(t->cls, &t->kept[i], 1, "free");
    }
    free(t->kept);
}

static size_t mix_all(void)
{
    size_t total = 0, n;
    while ((n = tmi_raw_mix(SIZE_MAX)) > 0)
        total += n;
    return total;
}

static void nothing_is_mixed_any_more(void)
{
    assert_int_equal(tmi_mixed.nslabs, 0);
    assert_int_equal(tmi_mixed.room, 0);
    purge_all();
}

static void survivors_stay_what_they_are(void **state)
{
    (void)state;
    for (size_t size = 16; size <= 2048; size = size * 3 / 16 * 16 + 16) {
        thinned_t t = thin(size, size);
        size_t before = tmi_counter(slab_bytes) - tmi_counter(slab_empty_bytes);
        size_t *stranded = calloc(t.nkept, sizeof *stranded);
        for (size_t i = 0; i < t.nkept; i++)
            stranded[i] = tmi_raw_stranded_by(t.kept[i]);
        assert_true(mix_all() > 0);
        tmi_check_all();
        assert_int_equal(tmi_counter(slab_bytes) - tmi_counter(slab_empty_bytes), before);
        size_t mixed = 0;
        for (size_t i = 0; i < t.nkept; i++)
            if (tmi_pagemap_class(t.kept[i]) == TMI_CLASS_MIXED) {
                assert_true(tmi_raw_stranded_by(t.kept[i]) == stranded[i] || size > tmi_os_page_size / 2);
                assert_int_equal(tmi_mixed_class_at(t.kept[i]), t.cls);
                assert_int_equal(tmi_heap_usable(t.kept[i], "test"), tmi_classes[t.cls].size);
                assert_null(tmi_raw_complaint(t.cls, t.kept[i]));
                mixed++;
            }
        assert_true(mixed > 0);
        free(stranded);
        free_thinned(&t);
        nothing_is_mixed_any_more();
    }
}

/* Blocks of other sizes go between the survivors: no page more is touched. */
static void room_serves_other_sizes_without_a_page_more(void **state)
{
    (void)state;
    thinned_t t = thin(32, 1);
    (void)mix_all();
    static void *p[4096];
    for (size_t size = 48; size <= 1024; size *= 2) {
        unsigned cls = tmi_class_of(size);
        size_t before = tmi_counter(slab_bytes), n = tmi_min(TMI_COUNT_OF(p), ((size_t)1 << 20) / size);
        assert_int_equal(tmi_raw_take(cls, p, n), n);
        assert_int_equal(tmi_counter(slab_bytes), before);
        for (size_t i = 0; i < n; i++) {
            assert_int_equal((uintptr_t)p[i] % (size & -size), 0);
            fill(p[i], size, i);
        }
        tmi_check_all();
        for (size_t i = 0; i < n; i++)
            assert_true(intact(p[i], size, size, i));
        tmi_raw_return(cls, p, n, "free");
    }
    free_thinned(&t);
    nothing_is_mixed_any_more();
}

typedef struct live {
    char *p;
    unsigned cls;
    size_t usable;
    uint64_t mark;
} live_t;

/* Random takes and returns of all classes, purges and further slabs between; every block keeps what is in it. */
static void random_blocks_keep_their_contents(void **state)
{
    (void)state;
    enum { LIVE = 3000 };
    live_t *live = calloc(LIVE, sizeof *live);
    rng_t r = {7};
    thinned_t a = thin(48, 2), b = thin(160, 3);
    for (size_t step = 0; step < scaled(60000); step++) {
        live_t *l = &live[rng_below(&r, LIVE)];
        if (step % 1000 == 0) {
            (void)tmi_raw_mix((size_t)256 << 10);
            (void)tmi_mixed_purge(rng_below(&r, 64) << 12);
            tmi_check_all();
        }
        if (l->p == NULL) {
            void *p;
            l->cls = tmi_class_of(16 + rng_below(&r, rng_below(&r, 8) == 0 ? 6000 : 400));
            assert_int_equal(tmi_raw_take(l->cls, &p, 1), 1);
            *l = (live_t){.p = p, .cls = l->cls, .mark = step};
            fill(l->p, tmi_classes[l->cls].size, step);
            continue;
        }
        assert_true(intact(l->p, tmi_classes[l->cls].size, tmi_classes[l->cls].size, l->mark));
        tmi_raw_return(l->cls, (void *const *)(void *)&l->p, 1, "free");
        l->p = NULL;
    }
    for (size_t i = 0; i < LIVE; i++)
        if (live[i].p != NULL)
            tmi_raw_return(live[i].cls, (void *const *)(void *)&live[i].p, 1, "free");
    free(live);
    free_thinned(&a);
    free_thinned(&b);
    nothing_is_mixed_any_more();
}

/* Empty pages go back and read as zero; the pages of survivors stay. */
static void empty_pages_are_purged(void **state)
{
    (void)state;
    thinned_t t = thin(1024, 4);
    (void)mix_all();
    assert_true(tmi_mixed.empty_pages > 0);
    size_t empty = tmi_mixed_figures().empty, purged = tmi_counter(purged_bytes);
    assert_int_equal(tmi_mixed_purge(SIZE_MAX), empty);
    assert_int_equal(tmi_counter(purged_bytes), purged + empty);
    assert_int_equal(tmi_mixed.empty_pages, 0);
    tmi_check_all();
    free_thinned(&t);
    nothing_is_mixed_any_more();
}

#if TMI_TEST_HOOKS
/* A kernel that takes nothing: pages that could not go are there as before. */
static void pages_that_cannot_go_stay(void **state)
{
    (void)state;
    thinned_t t = thin(1024, 5);
    (void)mix_all();
    size_t empty = tmi_mixed_figures().empty, room = tmi_mixed.room;
    tmi_os_fail_at(1, true);
    assert_int_equal(tmi_mixed_purge(1), 0);
    tmi_os_fail_at(0, false);
    assert_int_equal(tmi_mixed_figures().empty, empty);
    assert_int_equal(tmi_mixed.room, room);
    tmi_check_all();
    free_thinned(&t);
    nothing_is_mixed_any_more();
}
#endif

/* ---- through malloc -------------------------------------------------------------------------------------------- */

enum { THREADS = 4, OWN = 4000, PHASE = 10000 };

static uint32_t stop;

/* Blocks of one thread, while another mixes the slabs that they lie in: resized, measured, freed. */
static void *own_blocks(void *seed)
{
    rng_t r = {(uintptr_t)seed + 11};
    live_t *live = calloc(OWN, sizeof *live);
    for (size_t step = 0; step < scaled(200000); step++) {
        live_t *l = &live[rng_below(&r, OWN)];
        size_t size = ((size_t)16 << (step / PHASE + (uintptr_t)seed) % 6) + rng_below(&r, 100);
        for (size_t look = 0; look < 8; look++) { // while others cut blocks beside it
            live_t *other = &live[rng_below(&r, OWN)];
            assert_true(other->p == NULL || tmi_heap_usable(other->p, "test") == other->usable);
        }
        if (l->p == NULL) {
            l->p = tmi_heap_malloc(size);
        } else {
            assert_true(intact(l->p, 16, 16, l->mark));
            if (step % 3 != 0) {
                if (!tmi_heap_free_fast(l->p))
                    assert_true(tmi_heap_free(l->p, "free"));
                l->p = NULL;
                continue;
            }
            assert_true(tmi_heap_usable(l->p, "test") >= 16);
            l->p = tmi_heap_realloc(l->p, size, "realloc");
        }
        l->mark = step;
        l->usable = tmi_heap_usable(l->p, "test");
        fill(l->p, 16, step);
    }
    for (size_t i = 0; i < OWN; i++)
        if (live[i].p != NULL && !tmi_heap_free_fast(live[i].p))
            assert_true(tmi_heap_free(live[i].p, "free"));
    free(live);
    return NULL;
}

static void *mix_for_ever(void *unused)
{
    while (!tmi_load_relaxed(&stop)) {
        (void)tmi_raw_mix((size_t)1 << 20);
        (void)tmi_pacer_purge_all();
    }
    return unused;
}

#if TMI_TEST_HOOKS
/* Sometimes a thread yields before an atomic access, in the middle of what it does. */
static void give_way(void)
{
    static uint32_t n;
    if (__atomic_fetch_add(&n, 1, __ATOMIC_RELAXED) % 61 == 0)
        (void)sched_yield();
}
#endif

static void slabs_are_mixed_under_their_owners(void **state)
{
    enum { ROUNDS = 50, MIXED_MIN = 10 };
    (void)state;
    pthread_t owner[THREADS], mixer;
    uint32_t before = tmi_load_relaxed(&tmi_mixed.epoch);
    tmi_store_relaxed(&stop, 0);
#if TMI_TEST_HOOKS
    tmi_atomic_point = give_way;
#endif
    assert_int_equal(pthread_create(&mixer, NULL, mix_for_ever, NULL), 0);
    // a busy machine may give the mixer no time before the owners are done
    for (int round = 0; round < ROUNDS && tmi_load_relaxed(&tmi_mixed.epoch) - before <= MIXED_MIN; round++) {
        for (uintptr_t i = 0; i < THREADS; i++)
            assert_int_equal(pthread_create(&owner[i], NULL, own_blocks, (void *)i), 0);
        for (int i = 0; i < THREADS; i++)
            assert_int_equal(pthread_join(owner[i], NULL), 0);
    }
    tmi_store_relaxed(&stop, 1);
    assert_int_equal(pthread_join(mixer, NULL), 0);
#if TMI_TEST_HOOKS
    tmi_atomic_point = NULL;
#endif
    print_message("slabs mixed or emptied: %u times\n", tmi_load_relaxed(&tmi_mixed.epoch) - before);
    assert_true(tmi_load_relaxed(&tmi_mixed.epoch) - before > MIXED_MIN); // else it has looked at nothing
    purge_all();
    assert_int_equal(tmi_mixed.nslabs, 0);
}

/* A dense slab of the class is there to move to. */
static void blocks_had_better_leave_mixed_slabs(void **state)
{
    (void)state;
    unsigned cls = tmi_class_of(64);
    size_t n = tmi_classes[cls].slots + tmi_classes[cls].slots * 3 / 4, mixed = 0, leave = 0;
    void **dense = calloc(n, sizeof *dense);
    assert_int_equal(tmi_raw_take(cls, dense, n), n);
    thinned_t t = thin(64, 9);
    assert_true(mix_all() > 0);
    for (size_t i = 0; i < t.nkept; i++)
        if (tmi_pagemap_class(t.kept[i]) == TMI_CLASS_MIXED) {
            mixed++;
            leave += tmi_raw_should_move(t.kept[i]);
            assert_false(tmi_raw_should_move((char *)t.kept[i] + 16)); // no block
        }
    assert_true(mixed > 0 && leave == mixed);
    for (size_t i = 0; i < n; i++)
        assert_false(tmi_raw_should_move(dense[i]));
    static void *p[65536]; // the control: mixed slabs that are full
    void **end = p + TMI_COUNT_OF(p);
    size_t got = 0, more;
    while ((more = tmi_mixed_take(cls, end - got, TMI_COUNT_OF(p) - got)) > 0)
        got += more;
    for (size_t i = 0; i < t.nkept; i++)
        if (tmi_pagemap_class(t.kept[i]) == TMI_CLASS_MIXED)
            leave -= tmi_raw_should_move(t.kept[i]);
    assert_true(got > 1000 && leave > mixed / 2);
    tmi_raw_return(cls, end - got, got, "free");
    tmi_raw_return(cls, dense, n, "free");
    free(dense);
    free_thinned(&t);
    nothing_is_mixed_any_more();
}

/* ---- misuse ------------------------------------------------------------------------------------------------------ */

typedef enum misuse { TWICE, INTERIOR, OFF_GRANULE, OTHER_SIZE, FREED } misuse_t;

static int misuse(void *how)
{
    thinned_t t = thin(64, 6);
    (void)mix_all();
    char *p = NULL;
    for (size_t i = 0; i < t.nkept && p == NULL; i++)
        if (tmi_pagemap_class(t.kept[i]) == TMI_CLASS_MIXED)
            p = t.kept[i];
    switch ((misuse_t)(uintptr_t)how) {
    case TWICE:
        tmi_mixed_return(t.cls, p, "free");
        tmi_mixed_return(t.cls, p, "free");
        break;
    case INTERIOR:
        (void)tmi_heap_free(p + 16, "free");
        break;
    case OFF_GRANULE:
        (void)tmi_heap_free(p + 8, "free");
        break;
    case OTHER_SIZE:
        tmi_mixed_return(tmi_class_of(48), p, "free");
        break;
    case FREED:
        tmi_mixed_return(t.cls, p, "free");
        (void)tmi_heap_usable(p, "malloc_usable_size");
        break;
    }
    return 0;
}

static void misuse_is_reported(void **state)
{
    (void)state;
    static const char *const expected[] = {
        [TWICE] = "tinymem: free(*): double free, or a block that was never allocated",
        [INTERIOR] = "tinymem: free(*): not the start of a block",
        [OFF_GRANULE] = "tinymem: free(*): not the start of a block",
        [OTHER_SIZE] = "tinymem: free(*): a block of another size",
        [FREED] = "tinymem: malloc_usable_size(*): double free, or a block that was never allocated",
    };
    for (size_t i = 0; i < TMI_COUNT_OF(expected); i++) {
        outcome_t o = run_child(misuse, (void *)i, 20);
        if (!aborted_saying(&o, expected[i]))
            fail_msg("%zu: %s", i, o.text);
    }
}

/* The control: an audit of a slab with a wrong bit fails. */
static int spoil(void *how)
{
    (void)thin(64, 6);
    (void)mix_all();
    tmi_mixed_slab_t *slab = TMI_CONTAINER_OF(tmi_mixed.ring.next, tmi_mixed_slab_t, link);
    size_t taken = tmi_granules_next(slab->used, 0, 0);
    if (how == NULL)
        tmi_granules_set(slab->used, taken, 1, false);
    else
        slab->empty ^= 1;
    tmi_check_all();
    return 0;
}

static void the_audit_finds_a_wrong_bit(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        outcome_t o = run_child(spoil, i == 0 ? NULL : (void *)1, 20);
        assert_false(exited(&o, 0));
        assert_non_null(strstr(o.text, "X"));
    }
}

static int ready(void **state)
{
    (void)state;
    tmi_heap_init();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(survivors_stay_what_they_are),
        cmocka_unit_test(room_serves_other_sizes_without_a_page_more),
        cmocka_unit_test(random_blocks_keep_their_contents),
        cmocka_unit_test(empty_pages_are_purged),
        cmocka_unit_test(blocks_had_better_leave_mixed_slabs),
#if TMI_TEST_HOOKS
        cmocka_unit_test(pages_that_cannot_go_stay),
#endif
        cmocka_unit_test(misuse_is_reported),
        cmocka_unit_test(the_audit_finds_a_wrong_bit),
        cmocka_unit_test(slabs_are_mixed_under_their_owners),
    };
    return cmocka_run_group_tests(tests, ready, NULL);
}
