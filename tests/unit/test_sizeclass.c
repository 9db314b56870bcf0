/* C1-C5, exhaustively: every size, every class, every offset. */
#include "segments/sizeclass_movable.h"
#include "support.h"

static void class_is_the_least_that_holds_the_size(void **state)
{
    (void)state;
    for (size_t size = 0; size <= TMI_SMALL_MAX; size++) {
        unsigned c = tmi_class_of(size);
        assert_in_range(c, TMI_CLASS_FIRST, TMI_CLASS_LAST);
        assert_true(tmi_classes[c].size >= size);
        assert_true(c == TMI_CLASS_FIRST || tmi_classes[c - 1].size < size);
    }
    assert_int_equal(tmi_class_of(TMI_SMALL_MAX), TMI_CLASS_LAST);
    assert_int_equal(tmi_classes[TMI_CLASS_LAST].size, TMI_SMALL_MAX);
}

static void sizes_rise_in_multiples_of_16(void **state)
{
    (void)state;
    for (unsigned c = TMI_CLASS_FIRST; c <= TMI_CLASS_LAST; c++) {
        assert_true(c == TMI_CLASS_FIRST || tmi_classes[c].size % 16 == 0);
        assert_true(c == TMI_CLASS_FIRST || tmi_classes[c].size > tmi_classes[c - 1].size);
    }
}

static void rounding_loses_at_most_a_ninth(void **state)
{
    (void)state;
    for (size_t size = 257; size <= TMI_SMALL_MAX; size++) {
        size_t usable = tmi_classes[tmi_class_of(size)].size;
        assert_true((usable - size) * 9 <= usable);
    }
}

static void every_power_of_two_is_a_class(void **state)
{
    (void)state;
    for (size_t size = 8; size <= TMI_SMALL_MAX; size *= 2)
        assert_int_equal(tmi_classes[tmi_class_of(size)].size, size);
}

static void slots_fill_their_slab(void **state)
{
    (void)state;
    for (unsigned c = TMI_CLASS_FIRST; c <= TMI_CLASS_LAST; c++) {
        const tmi_class_info_t *k = &tmi_classes[c];
        size_t bytes = k->units * TMI_UNIT_SIZE;
        assert_true(k->slots >= 2);
        assert_true((size_t)k->slots * k->size <= bytes && bytes - (size_t)k->slots * k->size < k->size);
        assert_true(bytes >> 12 <= 64); // a bit for each OS page of 4 KiB in one word
    }
}

static void slot_index_is_division(void **state)
{
    (void)state;
    for (unsigned c = TMI_CLASS_FIRST; c <= TMI_CLASS_LAST; c++) {
        const tmi_class_info_t *k = &tmi_classes[c];
        size_t expected = 0, inside = 0;
        for (size_t offset = 0; offset < k->units * TMI_UNIT_SIZE; offset++) {
            if (tmi_slot_index(k, offset) != expected) // quicker than an assert of every step
                fail_msg("class %u offset %zu: %zu, not %zu", c, offset, tmi_slot_index(k, offset), expected);
            if (++inside == k->size) {
                inside = 0;
                expected++;
            }
        }
    }
}

static void aligned_classes_hold_and_align(void **state)
{
    (void)state;
    for (size_t align = 1; align <= TMI_SMALL_MAX; align *= 2)
        for (size_t size = 0; size <= TMI_SMALL_MAX; size += size < 2200 ? 1 : 61) {
            unsigned c = tmi_class_of_aligned(size, align);
            assert_in_range(c, TMI_CLASS_FIRST, TMI_CLASS_LAST);
            assert_true(tmi_classes[c].size >= size && tmi_classes[c].size % align == 0);
            for (unsigned lower = tmi_class_of(size); lower < c; lower++)
                assert_true(tmi_classes[lower].size % align != 0); // none is skipped
        }
    for (size_t align = 1; align <= TMI_SMALL_MAX; align *= 2)
        assert_int_equal(tmi_class_of_aligned(TMI_SMALL_MAX, align), TMI_CLASS_LAST);
}

/* ---- movable ----------------------------------------------------------------------------------------------------- */

enum { RECORD = 128 };

static void movable_class_is_the_least_that_holds_the_size(void **state)
{
    (void)state;
    for (size_t size = 1; size <= TMI_MOVABLE_MAX; size++) {
        unsigned c = tmi_mclass_of(size);
        assert_in_range(c, TMI_MCLASS_FIRST, TMI_MCLASS_LAST);
        assert_true(tmi_mclasses[c].size >= size && tmi_mclasses[c].size % 16 == 0);
        assert_true(c == TMI_MCLASS_FIRST || tmi_mclasses[c - 1].size < size);
        assert_true(size <= 512 || (tmi_mclasses[c].size - size) * 17 <= tmi_mclasses[c].size);
    }
    assert_int_equal(tmi_mclass_of(TMI_MOVABLE_MAX), TMI_MCLASS_LAST);
    assert_int_equal(tmi_mclasses[TMI_MCLASS_LAST].size, TMI_MOVABLE_MAX);
}

static void movable_slots_and_books_fill_their_slab(void **state)
{
    (void)state;
    for (unsigned c = TMI_MCLASS_FIRST; c <= TMI_MCLASS_LAST; c++) {
        const tmi_class_info_t *k = &tmi_mclasses[c];
        size_t bytes = k->units * TMI_UNIT_SIZE, end = k->start + (size_t)k->slots * k->size,
               books = k->slots * 4 + RECORD + (k->slots + 63) / 64 * 8;
        assert_true(end <= bytes && bytes - end < 2 * (size_t)k->size);
        assert_true(k->start == 0 ? k->size > TMI_MOVABLE_INLINE_MAX
                                  : k->start >= books && k->start < books + 8 + k->size);
        assert_true(bytes >> 12 <= 64);
    }
}

static void movable_slots_are_as_aligned_as_their_size(void **state)
{
    (void)state;
    for (unsigned c = TMI_MCLASS_FIRST; c <= TMI_MCLASS_LAST; c++) {
        const tmi_class_info_t *k = &tmi_mclasses[c];
        assert_true(k->start % (k->size & -k->size) == 0);
    }
}

static void movable_slot_index_is_division(void **state)
{
    (void)state;
    for (unsigned c = TMI_MCLASS_FIRST; c <= TMI_MCLASS_LAST; c++) {
        const tmi_class_info_t *k = &tmi_mclasses[c];
        for (size_t offset = 0; offset < k->units * TMI_UNIT_SIZE; offset++)
            if (tmi_slot_index(k, offset) != offset / k->size)
                fail_msg("class %u offset %zu: %zu, not %zu", c, offset, tmi_slot_index(k, offset), offset / k->size);
    }
}

static void movable_aligned_classes_hold_and_align(void **state)
{
    (void)state;
    for (size_t align = 1; align <= TMI_MOVABLE_MAX; align *= 2)
        for (size_t size = 1; size <= TMI_MOVABLE_MAX; size += size < 2200 ? 1 : 61) {
            unsigned c = tmi_mclass_of_aligned(size, align);
            assert_in_range(c, TMI_MCLASS_FIRST, TMI_MCLASS_LAST);
            assert_true(tmi_mclasses[c].size >= size && tmi_mclasses[c].size % align == 0);
        }
}

int main(void)
{
    tmi_sizeclass_init();
    tmi_sizeclass_movable_init(RECORD);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(class_is_the_least_that_holds_the_size),
        cmocka_unit_test(sizes_rise_in_multiples_of_16),
        cmocka_unit_test(rounding_loses_at_most_a_ninth),
        cmocka_unit_test(every_power_of_two_is_a_class),
        cmocka_unit_test(slots_fill_their_slab),
        cmocka_unit_test(slot_index_is_division),
        cmocka_unit_test(aligned_classes_hold_and_align),
        cmocka_unit_test(movable_class_is_the_least_that_holds_the_size),
        cmocka_unit_test(movable_slots_and_books_fill_their_slab),
        cmocka_unit_test(movable_slots_are_as_aligned_as_their_size),
        cmocka_unit_test(movable_slot_index_is_division),
        cmocka_unit_test(movable_aligned_classes_hold_and_align),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
