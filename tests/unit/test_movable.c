/* Movable slabs: slots are disjoint and aligned, one that is being emptied gives none, what is empty goes back to the
 * kernel; the audit V1-V6 holds all the time. */
#include "os/options.h"
#include "os/os.h"
#include "slabs/handle.h"
#include "slabs/movable_impl.h"
#include "support.h"

#include <stdlib.h>
#include <string.h>

static char *slot[20000];

static void audit(unsigned cls)
{
    tmi_lock(&tmi_movable_classes[cls].lock);
    tmi_movable_check(cls);
    tmi_unlock(&tmi_movable_classes[cls].lock);
}

static int by_address(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t) * (char *const *)a, y = (uintptr_t) * (char *const *)b;
    return x < y ? -1 : x > y;
}

static void take_sorted(unsigned cls, size_t n)
{
    assert_int_equal(tmi_movable_take(cls, slot, n, false), n);
    qsort(slot, n, sizeof *slot, by_address);
    audit(cls);
}

static void give(unsigned cls, size_t from, size_t to)
{
    tmi_movable_return(cls, slot + from, to - from);
    audit(cls);
}

static void slots_of_every_class_are_disjoint_and_aligned(void **state)
{
    (void)state;
    for (unsigned c = TMI_MCLASS_FIRST; c <= TMI_MCLASS_LAST; c++) {
        size_t size = tmi_mclasses[c].size, n = tmi_mclasses[c].slots * 2 + 3;
        take_sorted(c, n);
        for (size_t i = 0; i < n; i++) {
            assert_true(i == 0 || slot[i] - slot[i - 1] >= (ptrdiff_t)size);
            assert_int_equal((uintptr_t)slot[i] % (size & -size), 0);
            assert_int_equal(tmi_movable_class(slot[i]), c);
            assert_int_equal(tmi_movable_class(slot[i] + size - 1), c);
            assert_int_equal(tmi_pagemap_class(slot[i]), TMI_CLASS_NONE); // nothing that malloc knows
            fill(slot[i], size, i);
            tmi_movable_set_ref(slot[i], 0);
        }
        audit(c); // no slot has written over the metadata
        for (size_t i = 0; i < n; i++)
            assert_true(intact(slot[i], size, size, i));
        give(c, 0, n);
        assert_int_equal(tmi_movable_classes[c].nslabs, 0);
        assert_int_equal(tmi_movable_classes[c].touched_bytes, 0);
    }
}

static void few_objects_share_a_page_with_their_books(void **state)
{
    (void)state;
    unsigned c = tmi_mclass_of(200);
    (void)tmi_space_purge(SIZE_MAX); // what is left of other tests
    take_sorted(c, 3);
    assert_int_equal(tmi_movable_classes[c].touched_bytes, tmi_os_page_size);
    assert_int_equal(tmi_movable_gain(c), 0);
    give(c, 0, 3);
}

/* Slabs A full, B half, C an eighth: the emptiest is chosen, gives no slots, and goes when it is empty. */
static void the_emptiest_slab_is_emptied(void **state)
{
    (void)state;
    unsigned c = tmi_mclass_of(512);
    size_t k = tmi_mclasses[c].slots;
    take_sorted(c, 3 * k);
    const tmi_movable_slab_t *last = tmi_movable_slab_of(slot[3 * k - 1]),
                             *middle = tmi_movable_slab_of(slot[2 * k - 1]);
    give(c, k, k + k / 2);
    give(c, 2 * k, 3 * k - k / 8);
    tmi_movable_slab_t *chosen = tmi_movable_choose(c, tmi_os_now_ms());
    assert_ptr_equal(chosen, last);
    assert_int_equal(chosen->keep, 0); // there is room for all it has
    assert_true(tmi_movable_busy(c));
    char *other[1];
    for (size_t i = 0; i < k / 2; i++) {
        assert_int_equal(tmi_movable_take(c, other, 1, true), 1);
        assert_ptr_equal(tmi_movable_slab_of(other[0]), middle);
        slot[k + i] = other[0];
    }
    assert_int_equal(tmi_movable_take(c, other, 1, true), 0); // nor when there is no other
    audit(c);
    give(c, 3 * k - k / 8, 3 * k);
    assert_int_equal(tmi_movable_classes[c].nslabs, 3); // its release is the mover's
    assert_true(tmi_movable_finish(chosen, SIZE_MAX, true, tmi_os_now_ms()));
    assert_int_equal(tmi_movable_classes[c].nslabs, 2);
    assert_false(tmi_movable_busy(c));
    audit(c);
    give(c, 0, 2 * k);
    assert_int_equal(tmi_movable_classes[c].nslabs, 0);
}

static void a_slab_alone_is_emptied_downwards(void **state)
{
    (void)state;
    unsigned c = tmi_mclass_of(1000);
    size_t k = tmi_mclasses[c].slots;
    take_sorted(c, k);
    give(c, 0, k - 10); // the ten highest slots are taken
    tmi_movable_slab_t *slab = tmi_movable_choose(c, tmi_os_now_ms());
    assert_non_null(slab);
    assert_int_equal(slab->keep, 10);
    char *below[20];
    assert_int_equal(tmi_movable_take_below(slab, below, 20), 10);
    for (int i = 0; i < 10; i++)
        assert_int_equal(tmi_mslot_index(slab, below[i]), i);
    tmi_movable_return(c, slot + k - 10, 10); // as if they had moved
    assert_true(tmi_movable_finish(slab, 4096, true, tmi_os_now_ms()));
    assert_int_equal(tmi_movable_classes[c].touched_bytes, tmi_movable_slab_bytes(&tmi_mclasses[c], 10));
    assert_int_equal(tmi_movable_gain(c), 0);
    audit(c);
    tmi_movable_return(c, below, 10);
    audit(c);
}

static void a_slab_that_kept_objects_is_left_alone_for_a_while(void **state)
{
    (void)state;
    unsigned c = tmi_mclass_of(300);
    size_t k = tmi_mclasses[c].slots;
    uint32_t now = tmi_os_now_ms();
    take_sorted(c, 2 * k);
    give(c, 0, k - 1);
    give(c, k, 2 * k - 2);
    tmi_movable_slab_t *slab = tmi_movable_choose(c, now);
    assert_true(tmi_movable_finish(slab, 4096, false, now)); // pinned, say
    assert_ptr_not_equal(tmi_movable_choose(c, now), slab);
    tmi_movable_epoch++; // tm_compact asks
    assert_ptr_equal(tmi_movable_choose(c, now), slab);
    (void)tmi_movable_finish(slab, 4096, true, now);
    tmi_movable_slab_t *other = tmi_movable_slab_of(slot[k - 1]) == slab ? tmi_movable_slab_of(slot[2 * k - 1])
                                                                         : tmi_movable_slab_of(slot[k - 1]);
    if (other->emptying)
        (void)tmi_movable_finish(other, 4096, true, now);
    audit(c);
    give(c, k - 1, k);
    give(c, 2 * k - 2, 2 * k);
}

static void empty_pages_of_a_slab_in_use_go_back(void **state)
{
    (void)state;
    unsigned c = tmi_mclass_of(4096);
    size_t k = tmi_mclasses[c].slots, done;
    take_sorted(c, k);
    for (size_t i = 0; i < k; i++)
        memset(slot[i], 1, 4096);
    assert_int_equal(resident_bytes(slot[0], k * 4096), k * 4096);
    give(c, 1, k);
    assert_int_equal(resident_bytes(slot[0], k * 4096), k * 4096);
    assert_true(tmi_movable_tidy(c, 10, &done)); // ten at most, and there are more
    assert_int_equal(done, 10);
    while (tmi_movable_tidy(c, 1000, &done)) {
    }
    assert_int_equal(resident_bytes(slot[0], k * 4096), tmi_round_up(4096, tmi_os_page_size));
    assert_int_equal(tmi_movable_classes[c].touched_bytes, tmi_round_up(4096, tmi_os_page_size));
    audit(c);
    give(c, 0, 1);
}

/* V5: the page map sends frees in a slab with attributes the long way, and only there. */
static void attributes_are_watched(void **state)
{
    (void)state;
    unsigned c = tmi_mclass_of(64);
    take_sorted(c, 2);
    assert_null(tmi_movable_attributes(slot[0], false));
    uint32_t *a = tmi_movable_attributes(slot[1], true);
    assert_non_null(a);
    *a = 6u << TMI_ALIGN_SHIFT;
    tmi_movable_watch(slot[1]);
    assert_int_equal(tmi_pagemap_movable(slot[0]), TMI_MCLASS_WATCHED + tmi_movable_class(slot[0]));
    assert_int_equal(tmi_movable_class(slot[0]), c);
    give(c, 1, 2); // the attributes of a slot end with it
    assert_int_equal(tmi_pagemap_movable(slot[0]), c);
    assert_int_equal(*a, 0);
    give(c, 0, 1);
}

#if TMI_CHECK
/* In a child: one slot of two is given back, and then the slab is read by its address. */
static int read_of_a_slot_not_held(void *held)
{
    unsigned c = tmi_mclass_of(64);
    take_sorted(c, 2);
    give(c, 1, 2);
    (void)tmi_movable_attributes(held != NULL ? slot[0] : slot[1], false);
    return 0;
}

/* V7 */
static void reads_of_slabs_are_held_to_the_rule(void **state)
{
    (void)state;
    outcome_t o = run_child(read_of_a_slot_not_held, NULL, 20);
    assert_true(o.status != 0 && strstr(o.text, "V7 a slab is read that nothing keeps in place") != NULL);
    o = run_child(read_of_a_slot_not_held, &o, 20);
    assert_true(exited(&o, 0));
}
#endif

static void random_use_follows_the_audit(void **state)
{
    (void)state;
    rng_t r = {5};
    unsigned c = tmi_mclass_of(700);
    enum { MOST = 3000 };
    static uint64_t mark[MOST];
    size_t n = 0, size = tmi_mclasses[c].size, done;
    for (size_t step = 0; step < scaled(3000); step++) {
        size_t m = 1 + rng_below(&r, 40);
        if (rng_below(&r, 100) < (step / 500 % 2 ? 35u : 60u) && n + m <= MOST) {
            assert_int_equal(tmi_movable_take(c, slot + n, m, false), m);
            for (; m > 0; m--, n++)
                fill(slot[n], size, mark[n] = rng_next(&r));
        } else {
            for (; m > 0 && n > 0; m--) {
                size_t i = rng_below(&r, n);
                assert_true(intact(slot[i], size, size, mark[i]));
                tmi_movable_return(c, &slot[i], 1);
                slot[i] = slot[--n];
                mark[i] = mark[n];
            }
        }
        if (rng_below(&r, 10) == 0)
            (void)tmi_movable_tidy(c, 1 + rng_below(&r, 100), &done);
        audit(c);
    }
    for (size_t i = 0; i < n; i++)
        assert_true(intact(slot[i], size, size, mark[i]));
    tmi_movable_return(c, slot, n);
    assert_int_equal(tmi_movable_classes[c].nslabs, 0);
}

static int plant(void *unused)
{
    (void)unused;
    unsigned c = tmi_mclass_of(64);
    take_sorted(c, 2);
    tmi_movable_slab_of(slot[0])->nfree++;
    audit(c);
    return 0;
}

static void control_the_audit_sees_a_planted_error(void **state)
{
    (void)state;
    outcome_t o = run_child(plant, NULL, 20);
    assert_true(aborted_saying(&o, "tinymem: check(*): V1 nfree differs from the bitmap"));
}

int main(void)
{
    if (!tmi_os_init())
        return 1;
    tmi_options_parse("huge:off");
    tmi_sizeclass_init();
    tmi_space_init();
    tmi_pagemap_init();
    if (tmi_space_init_movable() != 0 || tmi_handle_init() != 0)
        return 1;
    tmi_movable_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_of_every_class_are_disjoint_and_aligned),
        cmocka_unit_test(few_objects_share_a_page_with_their_books),
        cmocka_unit_test(the_emptiest_slab_is_emptied),
        cmocka_unit_test(a_slab_alone_is_emptied_downwards),
        cmocka_unit_test(a_slab_that_kept_objects_is_left_alone_for_a_while),
        cmocka_unit_test(empty_pages_of_a_slab_in_use_go_back),
        cmocka_unit_test(attributes_are_watched),
#if TMI_CHECK
        cmocka_unit_test(reads_of_slabs_are_held_to_the_rule),
#endif
        cmocka_unit_test(random_use_follows_the_audit),
        cmocka_unit_test(control_the_audit_sees_a_planted_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
