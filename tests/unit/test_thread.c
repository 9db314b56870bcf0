/* Thread records: reused, their number bounded by the threads alive at once; an ended thread gives everything back. */
#include "heap/heap.h"
#include "heap/introspect.h"
#include "os/counters.h"
#include "support.h"
#include "threads/thread.h"

#include <pthread.h>
#include <string.h>

enum { BLOCKS = 2000 };

static size_t records(void)
{
    size_t n = 0;
    for (tmi_thread_t *t = tmi_thread_list(); t != NULL; t = t->next)
        n++;
    return n;
}

static void *use_the_heap(void *seed)
{
    rng_t r = {(uintptr_t)seed};
    static __thread void *p[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
        p[i] = tmi_heap_malloc(rng_size(&r, 40000));
        if (p[i] == NULL)
            return NULL;
        memset(p[i], 1, 1);
    }
    for (int i = 0; i < BLOCKS; i++)
        if (!tmi_heap_free_fast(p[i]))
            (void)tmi_heap_free(p[i], "free");
    return tmi_self();
}

static void *in_a_thread(void *(*body)(void *), void *arg)
{
    pthread_t t;
    void *result;
    assert_int_equal(pthread_create(&t, NULL, body, arg), 0);
    assert_int_equal(pthread_join(t, &result), 0);
    return result;
}

static void records_are_reused(void **state)
{
    (void)state;
    void *first = in_a_thread(use_the_heap, (void *)1);
    size_t n = records();
    for (uintptr_t i = 0; i < scaled(200); i++)
        assert_ptr_equal(in_a_thread(use_the_heap, (void *)(i + 2)), first);
    assert_int_equal(records(), n);
}

static void an_ended_thread_gives_everything_back(void **state)
{
    (void)state;
    (void)tmi_heap_trim(0);
    tmi_figures_t before, after;
    tmi_figures_read(&before);
    for (uintptr_t i = 0; i < 20; i++)
        (void)in_a_thread(use_the_heap, (void *)(i + 100));
    for (tmi_thread_t *t = tmi_thread_list(); t != NULL; t = t->next)
        for (unsigned c = TMI_CLASS_FIRST; c <= TMI_CLASS_LAST && t != tmi_self(); c++) {
            assert_int_equal(tmi_cache_count(&t->cache, c), 0);
            assert_null(t->cache.info[c].buffer);
        }
    (void)tmi_heap_trim(0); // what the depot kept for the next thread
    tmi_figures_read(&after);
    assert_int_equal(after.live, before.live);
    assert_int_equal(after.cached, before.cached);
    assert_true(after.empty <= before.empty);
    assert_true(after.committed <= before.committed);
    tmi_check_all();
}

static void metadata_does_not_grow_with_threads(void **state)
{
    (void)state;
    (void)in_a_thread(use_the_heap, (void *)1);
    tmi_figures_t before, after;
    tmi_figures_read(&before);
    for (uintptr_t i = 0; i < scaled(300); i++)
        (void)in_a_thread(use_the_heap, (void *)1);
    tmi_figures_read(&after);
    assert_true(after.metadata <= before.metadata + 512 * TMI_KIB);
}

static pthread_key_t early_key, late_key;
static int freed_late;

static void use_after_departure(void *p)
{
    char *q = tmi_heap_malloc(100);
    memset(q, 1, 100);
    (void)tmi_heap_free(q, "free");
    memset(p, 2, 300);
    (void)tmi_heap_free(p, "free");
    freed_late++;
}

static void *leave_blocks_to_destructors(void *unused)
{
    (void)unused;
    (void)pthread_setspecific(early_key, tmi_heap_malloc(300));
    (void)pthread_setspecific(late_key, tmi_heap_malloc(300));
    return NULL;
}

static void destructors_of_other_keys_may_allocate_and_free(void **state)
{
    (void)state;
    assert_int_equal(pthread_key_create(&late_key, use_after_departure), 0); // after ours, which was made at first use
    freed_late = 0;
    tmi_figures_t before, after;
    tmi_figures_read(&before);
    for (int i = 0; i < 50; i++)
        (void)in_a_thread(leave_blocks_to_destructors, NULL);
    tmi_figures_read(&after);
    assert_int_equal(freed_late, 100);
    assert_int_equal(after.live_blocks, before.live_blocks);
    tmi_check_all();
}

static void *remember_self(void *out)
{
    void *p = tmi_heap_malloc(1);
    *(tmi_thread_t **)out = tmi_self();
    (void)tmi_heap_free(p, "free");
    return NULL;
}

static void threads_at_once_have_records_of_their_own(void **state)
{
    (void)state;
    enum { N = 8 };
    tmi_thread_t *mine = NULL, *theirs = NULL;
    (void)remember_self(&mine);
    (void)in_a_thread(remember_self, &theirs);
    assert_non_null(mine);
    assert_non_null(theirs);
    assert_ptr_not_equal(mine, theirs);
    assert_ptr_not_equal(theirs, &tmi_nobody);
    assert_ptr_not_equal(theirs, &tmi_departed);
    assert_true(mine->used);
    assert_false(theirs->used);
}

static void many_threads_at_once_come_and_go(void **state)
{
    (void)state;
    enum { N = 16 };
    pthread_t t[N];
    for (int round = 0; round < 10; round++) {
        for (uintptr_t i = 0; i < N; i++)
            assert_int_equal(pthread_create(&t[i], NULL, use_the_heap, (void *)(i + 7)), 0);
        for (uintptr_t i = 0; i < N; i++) {
            void *result;
            assert_int_equal(pthread_join(t[i], &result), 0);
            assert_non_null(result);
        }
    }
    assert_true(records() <= N + 4);
    tmi_check_all();
}

int main(void)
{
    if (pthread_key_create(&early_key, use_after_departure) != 0) // before the heap's own key
        return 1;
    tmi_heap_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_reused),
        cmocka_unit_test(an_ended_thread_gives_everything_back),
        cmocka_unit_test(metadata_does_not_grow_with_threads),
        cmocka_unit_test(destructors_of_other_keys_may_allocate_and_free),
        cmocka_unit_test(threads_at_once_have_records_of_their_own),
        cmocka_unit_test(many_threads_at_once_come_and_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
