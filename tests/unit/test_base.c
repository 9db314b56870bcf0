/* Bits and alignment, and the intrusive list. */
#include "base/base.h"
#include "base/dlist.h"
#include "support.h"

static void pow2_is_told_from_its_neighbours(void **state)
{
    (void)state;
    assert_false(tmi_is_pow2(0));
    for (unsigned k = 0; k < 64; k++) {
        size_t n = (size_t)1 << k;
        assert_true(tmi_is_pow2(n));
        assert_true(k < 1 || !tmi_is_pow2(n + 1));
        assert_true(k < 2 || !tmi_is_pow2(n - 1));
    }
}

static void rounding_is_the_nearest_multiple(void **state)
{
    (void)state;
    for (size_t align = 1; align <= 256; align *= 2)
        for (size_t n = 0; n <= 1024; n++) {
            size_t up = tmi_round_up(n, align), down = tmi_round_down(n, align);
            assert_true(up >= n && up - n < align && up % align == 0);
            assert_true(down <= n && n - down < align && down % align == 0);
        }
}

static void log2_is_exact_around_powers(void **state)
{
    (void)state;
    for (unsigned k = 0; k < 64; k++) {
        assert_int_equal(tmi_log2((size_t)1 << k), k);
        if (k > 0)
            assert_int_equal(tmi_log2(((size_t)1 << k) - 1), k - 1);
    }
    assert_int_equal(tmi_log2(~(size_t)0), 63);
}

static void low_bits_works_at_both_ends(void **state)
{
    (void)state;
    assert_true(tmi_low_bits(0) == 0);
    assert_true(tmi_low_bits(64) == ~(uint64_t)0);
    for (unsigned n = 0; n <= 64; n++) {
        assert_int_equal(tmi_popcount(tmi_low_bits(n)), n);
        assert_true(n == 0 || tmi_lowest_bit(tmi_low_bits(n)) == 0);
    }
    for (unsigned k = 0; k < 64; k++)
        assert_int_equal(tmi_lowest_bit(~tmi_low_bits(k)), k);
}

enum { NODES = 100 };

/* L1 around the ring, and as many nodes as the model says. */
static void check_ring(const tmi_dlist_t *head, size_t expected)
{
    size_t n = 0;
    const tmi_dlist_t *p = head;
    do {
        assert_ptr_equal(p->next->prev, p);
        assert_ptr_equal(p->prev->next, p);
        p = p->next;
        n++;
    } while (p != head);
    assert_int_equal(n - 1, expected);
    assert_int_equal(tmi_dlist_empty(head), expected == 0);
}

static void dlist_keeps_its_links_under_random_use(void **state)
{
    (void)state;
    rng_t r = {1};
    tmi_dlist_t head, nodes[NODES];
    bool in[NODES] = {false};
    size_t count = 0;
    tmi_dlist_init(&head);
    for (size_t i = 0; i < NODES; i++)
        tmi_dlist_init(&nodes[i]);
    for (int step = 0; step < 20000; step++) {
        size_t i = rng_below(&r, NODES);
        if (in[i] || rng_below(&r, 8) == 0) { // L2: removing what is in no list does nothing
            tmi_dlist_remove(&nodes[i]);
            count -= in[i];
            in[i] = false;
            assert_true(nodes[i].next == &nodes[i] && nodes[i].prev == &nodes[i]);
        } else {
            if (step % 2)
                tmi_dlist_push_front(&head, &nodes[i]);
            else
                tmi_dlist_push_back(&head, &nodes[i]);
            assert_ptr_equal(step % 2 ? head.next : head.prev, &nodes[i]);
            in[i] = true;
            count++;
        }
        check_ring(&head, count);
    }
}

static void dlist_push_back_is_first_in_first_out(void **state)
{
    (void)state;
    tmi_dlist_t head, nodes[NODES];
    tmi_dlist_init(&head);
    for (size_t i = 0; i < NODES; i++)
        tmi_dlist_push_back(&head, &nodes[i]);
    for (size_t i = 0; i < NODES; i++) {
        assert_ptr_equal(head.next, &nodes[i]);
        tmi_dlist_remove(head.next);
    }
    assert_true(tmi_dlist_empty(&head));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pow2_is_told_from_its_neighbours),
        cmocka_unit_test(rounding_is_the_nearest_multiple),
        cmocka_unit_test(log2_is_exact_around_powers),
        cmocka_unit_test(low_bits_works_at_both_ends),
        cmocka_unit_test(dlist_keeps_its_links_under_random_use),
        cmocka_unit_test(dlist_push_back_is_first_in_first_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
