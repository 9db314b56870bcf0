/* The first handle of a process is made while other threads look up TM_NULL: the table of words comes under their
 * hands. ThreadSanitizer finds every access to it that is not atomic; the control is such an access. */
#include "support.h"
#include "tinymem/tinymem.h"

#include <pthread.h>

enum { READERS = 2, RACE = 66 /* what ThreadSanitizer exits with */ };

static bool over;
static int looked; // how many threads have looked up TM_NULL at least once

/* As a program calls them, inlined, and as other languages do, in the library. */
static void *(*volatile pin)(tm_handle_t) = tm_pin;
static void *(*volatile try_pin)(tm_handle_t) = tm_try_pin;
static void (*volatile unpin)(tm_handle_t) = tm_unpin;
static void *(*volatile deref_ref)(tm_ref_t) = tm_deref_ref;

static void *look_up_nothing(void *unused)
{
    void *found = unused;
    for (bool first = true; !__atomic_load_n(&over, __ATOMIC_RELAXED); first = false) {
        found = tm_pin(TM_NULL) != NULL || pin(TM_NULL) != NULL ? &over : found;
        unpin(TM_NULL);
        tm_unpin(TM_NULL);
        found = tm_try_pin(TM_NULL) != NULL || try_pin(TM_NULL) != NULL ? &over : found;
        tm_scope_enter();
        found = tm_deref(TM_NULL) != NULL || tm_deref_ref(0) != NULL || deref_ref(0) != NULL ? &over : found;
        tm_scope_exit();
        if (first)
            (void)__atomic_add_fetch(&looked, 1, __ATOMIC_RELAXED);
    }
    return found;
}

static void *look_at_the_table(void *unused)
{
    (void)unused;
    while (*(uint64_t *volatile *)&tm_words_ == NULL) {
    }
    (void)__atomic_add_fetch(&looked, READERS, __ATOMIC_RELAXED);
    return NULL;
}

static int first_handle_beside(void *reader)
{
    pthread_t t[READERS];
    void *found;
    int wrong = 0;
    for (int i = 0; i < READERS; i++)
        if (pthread_create(&t[i], NULL, *(void *(**)(void *))reader, NULL) != 0)
            return 1;
    while (__atomic_load_n(&looked, __ATOMIC_RELAXED) < READERS)
        sleep_ms(1);
    tm_handle_t h = tm_alloc(100);
    sleep_ms(20);
    __atomic_store_n(&over, true, __ATOMIC_RELAXED);
    for (int i = 0; i < READERS; i++)
        wrong += pthread_join(t[i], &found) != 0 || found != NULL;
    tm_free(h);
    return wrong;
}

static void first_handle_comes_while_threads_look_up_nothing(void **state)
{
    (void)state;
    void *(*reader)(void *) = look_up_nothing;
    outcome_t o = run_child(first_handle_beside, &reader, 60);
    assert_true(exited(&o, 0));
}

static void control_a_plain_look_at_the_table_is_a_race(void **state)
{
    (void)state;
    if (!UNDER_TSAN)
        skip(); // nobody would notice
    void *(*reader)(void *) = look_at_the_table;
    outcome_t o = run_child(first_handle_beside, &reader, 60);
    assert_true(exited(&o, RACE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_handle_comes_while_threads_look_up_nothing),
        cmocka_unit_test(control_a_plain_look_at_the_table_is_a_race),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
