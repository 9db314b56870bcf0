/* What the two kinds of slab share: bitmaps, page sets and levels, beside the slow and obvious way. */
#include "heap/heap.h"
#include "slabs/slab_bitmap.h"
#include "slabs/slab_levels.h"
#include "slabs/slab_pages.h"
#include "support.h"

#include <stdlib.h>

enum { BITS = 200, WORDS = (BITS + 63) / 64 };

static void a_filled_bitmap_has_its_bits_and_no_others(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= BITS; n++) {
        uint64_t bits[WORDS + 1] = {0};
        tmi_bitmap_fill(bits, n);
        for (unsigned i = 0; i < 64 * tmi_bitmap_words(n); i++)
            assert_true(tmi_bitmap_get(bits, i) == (i < n));
        assert_int_equal(tmi_bitmap_count(bits, n), n);
        assert_false(tmi_bitmap_set_past(bits, n));
        assert_true(bits[tmi_bitmap_words(n)] == 0);
        if (n % 64 != 0) { // control
            bits[n / 64] |= (uint64_t)1 << (n % 64);
            assert_true(tmi_bitmap_set_past(bits, n));
        }
    }
}

static void a_range_is_all_set_unless_one_bit_is_not(void **state)
{
    (void)state;
    rng_t r = {51};
    for (int k = 0; k < 2000; k++) {
        size_t from = rng_below(&r, BITS), to = from + rng_below(&r, BITS - from), hole = rng_below(&r, BITS);
        uint64_t bits[WORDS];
        tmi_bitmap_fill(bits, BITS);
        assert_true(tmi_bitmap_all_set(bits, from, to));
        bits[hole / 64] &= ~((uint64_t)1 << (hole % 64));
        assert_true(tmi_bitmap_all_set(bits, from, to) == (hole < from || hole > to));
    }
}

static void bits_before_a_word_are_seen(void **state)
{
    (void)state;
    uint64_t bits[WORDS] = {0};
    bits[2] = 4;
    assert_false(tmi_bitmap_set_before(bits, 0) || tmi_bitmap_set_before(bits, 2));
    assert_true(tmi_bitmap_set_before(bits, 3));
}

/* A page is free when no byte of it belongs to a slot whose bit is clear. */
static bool page_is_free_slowly(const tmi_class_info_t *c, size_t start, const uint64_t *bits, unsigned page)
{
    for (size_t i = 0; i < c->slots; i++)
        if (!tmi_bitmap_get(bits, i) && tmi_pages_of_slot(c, start, i) >> page & 1)
            return false;
    return true;
}

static void pages_are_free_when_all_their_slots_are(void **state)
{
    (void)state;
    rng_t r = {52};
    for (unsigned cls = TMI_CLASS_FIRST; cls <= TMI_CLASS_LAST; cls += 7) {
        tmi_class_info_t c = tmi_classes[cls];
        unsigned npages = tmi_popcount(tmi_pages_of_units(c.units));
        size_t start = cls % 2 * 6000; // of slabs that have their metadata first
        c.slots -= (uint32_t)(start / c.size + (start > 0));
        if (c.slots == 0 || c.slots > tmi_classes[cls].slots)
            continue;
        uint64_t *bits = calloc(tmi_bitmap_words(c.slots), sizeof *bits);
        for (int round = 0; round < 4; round++) {
            tmi_bitmap_fill(bits, c.slots);
            for (int k = 0; k < round * 3; k++) {
                size_t i = rng_below(&r, c.slots);
                bits[i / 64] &= ~((uint64_t)1 << (i % 64));
            }
            for (unsigned page = 0; page < npages; page++)
                assert_true(tmi_page_is_free(&c, start, bits, page) == page_is_free_slowly(&c, start, bits, page));
        }
        free(bits);
    }
}

static void pages_of_bytes_are_those_they_touch(void **state)
{
    (void)state;
    size_t page = tmi_os_page_size;
    assert_true(tmi_pages_of_bytes(0, 1) == 1 && tmi_pages_of_bytes(0, page) == 1);
    assert_true(tmi_pages_of_bytes(0, page + 1) == 3 && tmi_pages_of_bytes(page - 1, page + 1) == 3);
    assert_true(tmi_pages_of_bytes(page, 3 * page) == 6);
    assert_true(tmi_pages_bytes(6) == 2 * page);
}

typedef struct item {
    tmi_dlist_t link;
    uint8_t level;
} item_t;

/* The level changes when tmi_level_is_over says so, and only then. */
static void a_level_is_an_eighth(void **state)
{
    (void)state;
    for (uint32_t slots = 1; slots < 300; slots += 7)
        for (uint32_t nfree = 1; nfree < slots; nfree++) {
            unsigned level = tmi_level_for(nfree, slots);
            assert_true(level < TMI_LEVELS && nfree * TMI_LEVELS / slots == level);
            for (unsigned l = 0; l <= TMI_LEVELS; l++)
                assert_true(tmi_level_is_over(l, nfree, slots) == (l != level));
        }
    assert_int_equal(tmi_level_for(0, 100), TMI_LEVELS);
    assert_int_equal(tmi_level_for(100, 100), TMI_LEVELS - 1);
}

static void the_fullest_and_the_emptiest_are_found(void **state)
{
    (void)state;
    enum { N = 30 };
    item_t items[N];
    tmi_levels_t levels = {0};
    rng_t r = {53};
    tmi_levels_init(&levels);
    for (int i = 0; i < N; i++) {
        tmi_dlist_init(&items[i].link);
        items[i].level = TMI_LEVELS;
    }
    for (int k = 0; k < 3000; k++) {
        item_t *item = &items[rng_below(&r, N)];
        unsigned to = (unsigned)rng_below(&r, k % 500 < 400 ? TMI_LEVELS + 1 : 2) + (k % 500 < 400 ? 0 : 7);
        tmi_levels_move(&levels, &item->link, &item->level, to);
        tmi_levels_check(&levels, NULL);
        unsigned least = TMI_LEVELS, most = 0;
        for (int i = 0; i < N; i++) {
            assert_true(tmi_levels_has(&levels, &items[i].link, items[i].level) == (items[i].level < TMI_LEVELS));
            least = (unsigned)tmi_min(least, items[i].level);
            most = items[i].level < TMI_LEVELS ? (unsigned)tmi_max(most, items[i].level) : most;
        }
        assert_true((levels.nonempty == 0) == (least == TMI_LEVELS));
        if (levels.nonempty == 0)
            continue;
        assert_int_equal(TMI_CONTAINER_OF(tmi_levels_fullest(&levels), item_t, link)->level, least);
        assert_int_equal(TMI_CONTAINER_OF(tmi_levels_emptiest(&levels), item_t, link)->level, most);
    }
}

int main(void)
{
    tmi_heap_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_filled_bitmap_has_its_bits_and_no_others),
        cmocka_unit_test(a_range_is_all_set_unless_one_bit_is_not),
        cmocka_unit_test(bits_before_a_word_are_seen),
        cmocka_unit_test(pages_are_free_when_all_their_slots_are),
        cmocka_unit_test(pages_of_bytes_are_those_they_touch),
        cmocka_unit_test(a_level_is_an_eighth),
        cmocka_unit_test(the_fullest_and_the_emptiest_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
