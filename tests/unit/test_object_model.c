/* Random operations on objects against a model, with the whole audit in between; then the ends of things: an index's
 * last lives, a table that is full, and table pages that were given back. A stale handle is never accepted, and nothing
 * is lost. */
#include "heap/heap.h"
#include "heap/introspect.h"
#include "os/options.h"
#include "slabs/handle.h"
#include "support.h"
#include "tinymem/tinymem.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#if TMI_TEST_HOOKS

enum { N = 1500, OLD = 20000, LOCKS_MAX = 3, LAST_LIVES = 3 };

typedef struct object {
    tm_handle_t h;
    size_t size, align;
    uint64_t mark;
    unsigned locks;
    uintptr_t at; // while it is locked
} object_t;

static object_t model[N];
static tm_handle_t old[OLD];
static size_t nold;

static void remember(tm_handle_t h)
{
    old[nold++ % OLD] = h;
}

static void verify(const object_t *o)
{
    char *p = tm_pin(o->h);
    assert_true(intact(p, o->size, o->size, o->mark));
    assert_true((uintptr_t)p % o->align == 0);
    assert_true(o->locks == 0 || (uintptr_t)p == o->at);
    assert_true(tm_handle_of(p) == o->h);
    tm_unpin(o->h);
    assert_true(tm_valid(o->h) && tm_check(o->h, o->size) && tm_from_ref(tm_ref(o->h)) == o->h);
}

static void enter(object_t *o, tm_handle_t h, size_t size, size_t align, rng_t *r)
{
    *o = (object_t){h, size, align, rng_next(r), 0, 0};
    TM_PINNED(char, p, h) { fill(p, size, o->mark); }
}

static size_t any_size(rng_t *r) { return rng_below(r, 200) ? rng_size(r, 4000) : rng_size(r, 300000); }

static void alloc_one(object_t *o, rng_t *r)
{
    size_t size = any_size(r), align = rng_below(r, 8) ? 16 : (size_t)16 << rng_below(r, 9);
    tm_handle_t h = align > 16 ? tm_alloc_aligned(align, size) : rng_below(r, 4) ? tm_alloc(size) : tm_calloc(1, size);
    assert_true(h != TM_NULL);
    enter(o, h, size, align, r);
}

static void free_one(object_t *o)
{
    while (o->locks > 0)
        tm_unlock(o->h), o->locks--;
    verify(o);
    tm_free(o->h);
    remember(o->h);
    o->h = TM_NULL;
}

static void resize_one(object_t *o, rng_t *r)
{
    size_t size = 1 + any_size(r), kept = (size < o->size ? size : o->size) / 8 * 8;
    assert_true(tm_realloc(o->h, size) == o->h);
    TM_PINNED(char, p, o->h)
    {
        assert_true(intact(p, kept, o->size, o->mark));
        fill(p, size, o->mark);
    }
    o->size = size;
}

static void lock_or_unlock(object_t *o)
{
    if (o->locks == LOCKS_MAX) {
        for (; o->locks > 0; o->locks--)
            tm_unlock(o->h);
        return;
    }
    o->at = (uintptr_t)tm_lock(o->h);
    o->locks++;
}

/* Its index is near its end: a few lives later it is given up. */
static void age(object_t *o, rng_t *r)
{
    uint32_t generation = (uint32_t)rng_below(r, LAST_LIVES);
    if (generation >= tmi_generation_of(o->h))
        return;
    remember(o->h);
    o->h = tmi_handle_age(o->h, generation);
}

static void old_ones_are_refused(void)
{
    for (size_t i = 0; i < nold && i < OLD; i++)
        assert_false(tm_valid(old[i]) || tm_check(old[i], 16));
}

static void one_step(rng_t *r)
{
    object_t *o = &model[rng_below(r, N)];
    size_t what = rng_below(r, 20);
    if (o->h == TM_NULL)
        alloc_one(o, r);
    else if (what < 9)
        free_one(o);
    else if (what < 12 && o->locks == 0)
        resize_one(o, r);
    else if (what < 14)
        lock_or_unlock(o);
    else if (what == 14)
        age(o, r);
    else if (what == 15)
        (void)tm_compact_step((unsigned)rng_below(r, 50));
    else
        verify(o);
}

static void check_everything(void)
{
    tm_stats_t s = {.struct_size = sizeof s};
    size_t live = 0;
    for (int i = 0; i < N; i++)
        if (model[i].h != TM_NULL) {
            verify(&model[i]);
            live++;
        }
    old_ones_are_refused();
    tmi_check_all();
    tm_stats(&s);
    assert_int_equal(s.live_objects, live);
    assert_int_equal(s.pins, 0);
}

static void random_operations_agree_with_the_model(void **state)
{
    (void)state;
    rng_t r = {4};
    size_t steps = scaled(200000);
    for (size_t i = 0; i < steps; i++) {
        one_step(&r);
        if (i % 5000 == 4999) {
            (void)tm_compact();
            check_everything();
        }
    }
    for (int i = 0; i < N; i++)
        if (model[i].h != TM_NULL)
            free_one(&model[i]);
    check_everything();
}

/* The last lives of one index, followed to its end: then no handle has that index. */
static void an_index_is_given_up_after_its_last_life(void **state)
{
    (void)state;
    tm_handle_t h = tmi_handle_age(tm_alloc(100), LAST_LIVES), lives[LAST_LIVES + 1];
    tm_ref_t index = tm_ref(h);
    for (int left = LAST_LIVES; left >= 0; left--) {
        lives[left] = h;
        assert_int_equal(tmi_generation_of(h), left);
        tm_free(h);
        for (int k = left; k <= LAST_LIVES; k++)
            assert_false(tm_valid(lives[k]));
        tm_handle_t others[1000];
        size_t n = 0;
        do
            h = others[n++] = tm_alloc(100);
        while (tm_ref(h) != index && n < 1000);
        assert_true((tm_ref(h) == index) == (left > 0));
        for (size_t k = 0; k < n; k++)
            if (others[k] != h || left == 0)
                tm_free(others[k]);
    }
    assert_true(tm_from_ref(index) == TM_NULL);
    tmi_check_all();
}

/* Pages of the table go when all their objects have gone; handles of then stay stale when the pages are used again. */
static void dropped_table_pages_accept_no_old_handle(void **state)
{
    (void)state;
    enum { MANY = 6000 };
    static tm_handle_t first[MANY], second[MANY];
    tm_stats_t full = {.struct_size = sizeof full}, empty = full;
    for (int i = 0; i < MANY; i++)
        first[i] = tm_alloc(32);
    tm_stats(&full);
    for (int i = 0; i < MANY; i++)
        tm_free(first[i]);
    (void)tm_compact();
    tm_stats(&empty);
    assert_true(empty.table_bytes < full.table_bytes);
    for (int i = 0; i < MANY; i++)
        assert_false(tm_valid(first[i]));
    for (int i = 0; i < MANY; i++)
        second[i] = tm_alloc(32);
    for (int i = 0; i < MANY; i++)
        assert_false(tm_valid(first[i]));
    for (int i = 0; i < MANY; i++)
        assert_true(tm_valid(second[i]));
    for (int i = 0; i < MANY; i++)
        tm_free(second[i]);
    tmi_check_all();
}

#define MUST(condition)                                                     \
    do {                                                                    \
        if (!(condition)) {                                                 \
            (void)dprintf(STDERR_FILENO, "line %d: %s\n", __LINE__, #condition); \
            return 1;                                                       \
        }                                                                   \
    } while (0)

/* A child of its own, whose table has lost no index to age. */
static int fill_the_table(void *unused)
{
    enum { LIMIT = 16384, MORE = 20000 };
    static tm_handle_t h[MORE];
    size_t n = 0;
    (void)unused;
    tm_free(tm_alloc(48)); // the table is there
    tmi_handle_set_limit(LIMIT);
    errno = 0;
    while (n < MORE && (h[n] = tm_alloc(48)) != TM_NULL) {
        TM_PINNED(char, p, h[n]) { fill(p, 48, n); }
        n++;
    }
    MUST(n >= LIMIT - 64 && n < LIMIT && errno == ENOMEM);
    tmi_check_all();
    for (size_t i = 0; i < n; i++) {
        TM_PINNED(char, p, h[i]) { MUST(intact(p, 48, 48, i)); }
        if (i % 2)
            tm_free(h[i]);
    }
    for (size_t i = 1; i < n; i += 2) {
        MUST(!tm_valid(h[i]));
        h[i] = tm_alloc(48);
        MUST(h[i] != TM_NULL);
    }
    for (size_t i = 0; i < n; i++)
        tm_free(h[i]);
    tmi_check_all();
    return 0;
}

/* A table of one group of indices, most of which have had all their lives more than once at the end. Some objects
 * live all the time. A handle is known for stale for as long as there are lives that nobody has had. */
static int lives_begin_anew(void *unused)
{
    enum { KEPT = 64, RECENT = 256, OBJECTS = 512 * 16384 * 3 / 2 };
    tm_handle_t kept[KEPT], recent[RECENT] = {TM_NULL};
    tm_stats_t s = {.struct_size = sizeof s};
    (void)unused;
    tm_free(tm_alloc(48));
    tmi_handle_set_limit(1);
    for (size_t i = 0; i < KEPT; i++) {
        kept[i] = tm_alloc(48);
        TM_PINNED(char, p, kept[i]) { fill(p, 48, i); }
    }
    for (size_t i = 0; i < OBJECTS; i++) {
        tm_handle_t h = tm_alloc(i % 1000 == 0 ? 100000 : 40);
        MUST(h != TM_NULL);
        tm_free(h);
        MUST(!tm_valid(recent[i % RECENT]));
        recent[i % RECENT] = h;
        if (i % (1 << 20) == 0)
            (void)tm_compact();
    }
    tm_stats(&s);
    MUST(s.revived_indices > 64);
    for (size_t i = 0; i < KEPT; i++) {
        TM_PINNED(char, p, kept[i]) { MUST(intact(p, 48, 48, i)); }
        tm_free(kept[i]);
    }
    tmi_check_all();
    return 0;
}

static void lives_do_not_run_out(void **state)
{
    (void)state;
    outcome_t o = run_child(lives_begin_anew, NULL, 120);
    assert_string_equal(o.text, "");
    assert_true(exited(&o, 0));
}

static void a_full_table_is_enomem(void **state)
{
    (void)state;
    outcome_t o = run_child(fill_the_table, NULL, 60);
    assert_true(exited(&o, 0));
}

int main(void)
{
    tmi_heap_init();
    tmi_options_parse("compaction:manual");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_table_is_enomem), // first: in a child of a process that has used no handle
        cmocka_unit_test(lives_do_not_run_out),
        cmocka_unit_test(random_operations_agree_with_the_model),
        cmocka_unit_test(an_index_is_given_up_after_its_last_life),
        cmocka_unit_test(dropped_table_pages_accept_no_old_handle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else
int main(void) { return 0; } // without hooks no index grows old
#endif
