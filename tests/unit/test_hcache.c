/* Magazines of handles: a popped handle has a slot of its class, a full magazine returns its older half, the magazines
 * of sizes that are no longer used return everything, and a claimed cache is empty and holds no memory. */
#include "os/options.h"
#include "os/os.h"
#include "support.h"
#include "threads/hcache.h"

#include <sys/mman.h>

enum { CAPACITY = 64 }; // of a class up to 1 KiB

static tmi_hcache_t cache;
static tm_handle_t h[4096];

static size_t taken(unsigned cls)
{
    return tmi_movable_classes[cls].nslabs * tmi_mclasses[cls].slots - tmi_movable_classes[cls].nfree;
}

static void alloc_n(unsigned cls, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        h[i] = tmi_hcache_alloc(&cache, cls);
        assert_true(h[i] != TM_NULL);
    }
}

static void free_n(unsigned cls, size_t n)
{
    for (size_t i = 0; i < n; i++)
        tmi_hcache_free(&cache, cls, h[i]);
}

static void handles_have_slots_of_their_class(void **state)
{
    (void)state;
    for (unsigned c = TMI_MCLASS_FIRST; c <= TMI_MCLASS_LAST; c += 7) {
        alloc_n(c, 100);
        for (size_t i = 0; i < 100; i++) { // N2
            uint64_t w = tmi_load_relaxed(tmi_word(tmi_handle_index(h[i])));
            assert_int_equal(w & (TMI_WORD_LIVE | TMI_WORD_MOVING), 0);
            assert_int_equal(w & TMI_WORD_GENERATION, h[i] & TMI_WORD_GENERATION);
            assert_int_equal(tmi_movable_class(tmi_word_address(w)), c);
            assert_int_equal(tmi_movable_slab_of(tmi_word_address(w))
                                 ->refs[tmi_mslot_index(tmi_movable_slab_of(tmi_word_address(w)), tmi_word_address(w))],
                             tmi_handle_index(h[i]));
        }
        free_n(c, 100);
    }
    assert_true(tmi_hcache_flush(&cache) > 0);
    for (unsigned c = TMI_MCLASS_FIRST; c <= TMI_MCLASS_LAST; c++)
        assert_int_equal(taken(c), 0);
}

static void the_fast_path_and_the_slow_one_see_the_same_magazine(void **state)
{
    (void)state;
    unsigned c = tmi_mclass_of(64);
    assert_true(tmi_hcache_pop(&cache, (c - 1) * 16) == TM_NULL); // N1: nothing in it
    tm_handle_t first = tmi_hcache_alloc(&cache, c);
    assert_int_equal(tmi_hcache_count(&cache, c), 3); // of four
    assert_true(tmi_hcache_push(&cache, c * 2, first));
    assert_true(tmi_hcache_pop(&cache, (c - 1) * 16) == first);
    tmi_hcache_free(&cache, c, first);
    assert_int_equal(tmi_hcache_flush(&cache), 4);
}

static void refills_grow_and_a_full_magazine_gives_half_back(void **state)
{
    (void)state;
    unsigned c = tmi_mclass_of(128);
    size_t before = 0, refill[8], nrefills = 0;
    for (size_t i = 0; i < 200; i++) {
        h[i] = tmi_hcache_alloc(&cache, c);
        if (taken(c) != before && nrefills < 8)
            refill[nrefills++] = taken(c) - before;
        before = taken(c);
    }
    for (size_t i = 0; i < nrefills; i++)
        assert_int_equal(refill[i], i < 3 ? 4 << i : 32);
    (void)tmi_hcache_flush(&cache);
    free_n(c, CAPACITY);
    assert_int_equal(tmi_hcache_count(&cache, c), CAPACITY);
    assert_false(tmi_hcache_push(&cache, c * 2, h[CAPACITY])); // N1: full
    tmi_hcache_free(&cache, c, h[CAPACITY]);
    assert_int_equal(tmi_hcache_count(&cache, c), CAPACITY / 2 + 1);
    for (size_t i = CAPACITY + 1; i < 200; i++)
        tmi_hcache_free(&cache, c, h[i]);
    (void)tmi_hcache_flush(&cache);
    assert_int_equal(taken(c), 0);
}

static void a_class_left_behind_gives_its_slots_back(void **state)
{
    (void)state;
    unsigned old = tmi_mclass_of(256), now = tmi_mclass_of(400);
    alloc_n(old, 40);
    free_n(old, 40);
    size_t held = tmi_hcache_count(&cache, old);
    assert_true(held >= 40);
    // N4: at most a round to forget that it was used, and another to find it idle
    for (size_t turned = 0; turned <= 2 * TMI_MCLASS_LAST;) {
        unsigned hand = cache.own->hand;
        alloc_n(now, CAPACITY + CAPACITY / 2); // more than a magazine: it is refilled and flushed
        free_n(now, CAPACITY + CAPACITY / 2);
        turned += (cache.own->hand + TMI_MCLASS_LAST - hand) % TMI_MCLASS_LAST;
        if (turned <= TMI_MCLASS_LAST)
            assert_int_equal(tmi_hcache_count(&cache, old), held); // control: not before
    }
    assert_int_equal(tmi_hcache_count(&cache, old), 0);
    assert_int_equal(taken(old), 0);
    assert_true(tmi_hcache_count(&cache, now) > 0);
    (void)tmi_hcache_flush(&cache);
}

static size_t resident_pages(const tm_handle_t *from, size_t nbytes)
{
    unsigned char page[16];
    size_t n = 0, npages = (nbytes + tmi_os_page_size - 1) / tmi_os_page_size;
    void *start = (void *)tmi_round_down((uintptr_t)from, tmi_os_page_size);
    assert_true(npages <= sizeof page);
    assert_int_equal(mincore(start, npages * tmi_os_page_size, page), 0);
    for (size_t i = 0; i < npages; i++)
        n += page[i] & 1;
    return n;
}

static void a_claimed_cache_is_empty_and_takes_no_memory(void **state)
{
    (void)state;
    unsigned c = tmi_mclass_of(96);
    alloc_n(c, 50);
    free_n(c, 50);
    const tm_handle_t *buffer = cache.own->buffers[c];
    assert_true(resident_pages(buffer, 4096) > 0);
    tmi_hcache_claim(&cache);
    assert_true(tmi_hcache_pop(&cache, (c - 1) * 16) == TM_NULL); // N3: its owner finds nothing, and does without
    h[0] = tmi_hcache_alloc(&cache, c);
    assert_true(h[0] != TM_NULL && tmi_hcache_count(&cache, c) >= 50);
    tmi_hcache_free(&cache, c, h[0]);
    assert_true(tmi_hcache_flush_claimed(&cache) >= 50);
    assert_int_equal(taken(c), 0);
    assert_int_equal(resident_pages(buffer, 4096), 0);
    tmi_hcache_unclaim(&cache);
    assert_int_equal(tmi_hcache_count(&cache, c), 0);
    assert_true(tmi_hcache_pop(&cache, (c - 1) * 16) == TM_NULL); // N1: the zero at the bottom is still there
    alloc_n(c, 100);
    free_n(c, 100);
    assert_true(tmi_hcache_flush(&cache) > 0);
    assert_int_equal(taken(c), 0);
}

static void a_cache_in_use_is_left_alone(void **state)
{
    (void)state;
    unsigned c = tmi_mclass_of(96);
    alloc_n(c, 10);
    free_n(c, 10);
    size_t held = tmi_hcache_count(&cache, c);
    (void)tmi_hcache_begin(&cache); // its owner is inside
    tmi_hcache_claim(&cache);
    assert_int_equal(tmi_hcache_flush_claimed(&cache), 0);
    tmi_hcache_unclaim(&cache);
    tmi_hcache_end(&cache);
    assert_int_equal(tmi_hcache_count(&cache, c), held);
    assert_int_equal(tmi_hcache_flush(&cache), held);
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
    cache.current = &tmi_hcache_none;
    if (!tmi_hcache_make(&cache))
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handles_have_slots_of_their_class),
        cmocka_unit_test(the_fast_path_and_the_slow_one_see_the_same_magazine),
        cmocka_unit_test(refills_grow_and_a_full_magazine_gives_half_back),
        cmocka_unit_test(a_class_left_behind_gives_its_slots_back),
        cmocka_unit_test(a_claimed_cache_is_empty_and_takes_no_memory),
        cmocka_unit_test(a_cache_in_use_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
