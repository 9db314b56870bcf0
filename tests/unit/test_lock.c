/* The futex lock: one holder at a time, in the order of ranks, no sleeper is forgotten, and the thread between fork
 * handlers passes through what it holds. */
#include "os/lock.h"
#include "support.h"

#include <pthread.h>
#include <unistd.h>

enum { THREADS = 4 };

static tmi_lock_t lock;
static size_t counter;
static bool with_lock;

static void *count_up(void *unused)
{
    for (size_t i = 0; i < scaled(200000); i++) {
        if (with_lock)
            tmi_lock(&lock);
        size_t seen = __atomic_load_n(&counter, __ATOMIC_RELAXED);
        if (i % 64 == 0)
            tmi_cpu_relax();
        __atomic_store_n(&counter, seen + 1, __ATOMIC_RELAXED);
        if (with_lock)
            tmi_unlock(&lock);
    }
    return unused;
}

static size_t count_by_all(bool locked)
{
    pthread_t t[THREADS];
    counter = 0;
    with_lock = locked;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&t[i], NULL, count_up, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(t[i], NULL), 0);
    return counter;
}

static void nothing_is_lost_under_the_lock(void **state)
{
    (void)state;
    assert_int_equal(count_by_all(true), THREADS * scaled(200000));
    assert_int_equal(lock.word, 0);
}

static void control_without_the_lock_counts_are_lost(void **state)
{
    (void)state;
    bool lost = false;
    for (int i = 0; i < 50 && !lost; i++)
        lost = count_by_all(false) < THREADS * scaled(200000);
    assert_true(lost);
}

/* Holders that sleep make the others sleep too. */
static void *hold_and_sleep(void *unused)
{
    for (size_t i = 0; i < scaled(2000); i++) {
        tmi_lock(&lock);
        counter++;
        if (i % 4 == 0)
            (void)usleep(20);
        tmi_unlock(&lock);
    }
    return unused;
}

static void no_sleeper_is_forgotten(void **state)
{
    (void)state;
    pthread_t t[THREADS];
    counter = 0;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&t[i], NULL, hold_and_sleep, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(t[i], NULL), 0); // hangs if one is
    assert_int_equal(counter, THREADS * scaled(2000));
}

static void trylock_fails_while_it_is_held(void **state)
{
    (void)state;
    assert_true(tmi_trylock(&lock));
    assert_false(tmi_trylock(&lock));
    tmi_unlock(&lock);
    assert_true(tmi_trylock(&lock));
    tmi_unlock(&lock);
    assert_int_equal(lock.word, 0);
}

static bool other_got_it;

static void *take_it(void *unused)
{
    tmi_lock(&lock);
    __atomic_store_n(&other_got_it, true, __ATOMIC_RELEASE);
    tmi_unlock(&lock);
    return unused;
}

/* As in fork: everything is locked, then handlers of others allocate on this thread, while other threads must wait. */
static void the_forking_thread_passes_and_others_wait(void **state)
{
    (void)state;
    pthread_t t;
    other_got_it = false;
    tmi_lock(&lock);
    tmi_store_relaxed(&tmi_lock_fork_owner, (uintptr_t)pthread_self());
    assert_int_equal(pthread_create(&t, NULL, take_it, NULL), 0);
    for (int i = 0; i < 200; i++) {
        tmi_lock(&lock); // returns
        tmi_unlock(&lock); // and this does not let the other in
        if (i % 20 == 0)
            sleep_ms(1);
        assert_false(__atomic_load_n(&other_got_it, __ATOMIC_ACQUIRE));
    }
    tmi_store_relaxed(&tmi_lock_fork_owner, 0);
    tmi_unlock(&lock);
    assert_int_equal(pthread_join(t, NULL), 0);
    assert_true(other_got_it);
    assert_int_equal(lock.word, 0);
}

static bool stop;

static void *lock_and_unlock(void *unused)
{
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        tmi_lock(&lock);
        counter++;
        tmi_unlock(&lock);
    }
    return unused;
}

/* The owner comes and goes while others contend: no wake-up is lost, and nobody slips in. */
static void fork_owners_come_and_go_among_contenders(void **state)
{
    (void)state;
    pthread_t t[THREADS];
    stop = false;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&t[i], NULL, lock_and_unlock, NULL), 0);
    for (size_t i = 0; i < scaled(20000); i++) {
        tmi_lock(&lock);
        tmi_store_relaxed(&tmi_lock_fork_owner, (uintptr_t)pthread_self());
        size_t seen = counter;
        tmi_lock(&lock);
        counter = seen + 1;
        tmi_unlock(&lock);
        for (int k = 0; k < 20; k++)
            tmi_cpu_relax();
        assert_int_equal(counter, seen + 1);
        tmi_store_relaxed(&tmi_lock_fork_owner, 0);
        tmi_unlock(&lock);
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(t[i], NULL), 0);
    assert_int_equal(lock.word, 0);
}

#if TMI_CHECK
static tmi_lock_t outer = TMI_LOCK_OF(TMI_RANK_SLABS), inner = TMI_LOCK_OF(TMI_RANK_SPACE),
                  neighbour = TMI_LOCK_OF(TMI_RANK_SLABS);

static void *hold_inner(void *unused)
{
    tmi_lock(&inner);
    __atomic_store_n(&other_got_it, true, __ATOMIC_RELEASE);
    while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE))
        sleep_ms(1);
    tmi_unlock(&inner);
    return unused;
}

typedef enum { IN_ORDER, BY_TRYING, REVERSED, TWICE, NUMBERS_REVERSED, OF_ANOTHER_THREAD, AFTER_RELEASE } order_t;

static int lock_in_order(void *how)
{
    pthread_t t;
    tmi_lock_set_place(&neighbour, TMI_RANK_SLABS, 1);
    other_got_it = stop = false;
    switch ((order_t)(uintptr_t)how) {
    case IN_ORDER: tmi_lock(&outer), tmi_lock(&neighbour), tmi_lock(&inner); break;
    case BY_TRYING: tmi_lock(&inner), (void)tmi_trylock(&outer); break;
    case REVERSED: tmi_lock(&inner), tmi_lock(&outer); break;
    case TWICE: tmi_lock(&outer), tmi_lock(&outer); break;
    case NUMBERS_REVERSED: tmi_lock(&neighbour), tmi_lock(&outer); break;
    case OF_ANOTHER_THREAD: // which holds the inner one: no concern of ours
        (void)pthread_create(&t, NULL, hold_inner, NULL);
        while (!__atomic_load_n(&other_got_it, __ATOMIC_ACQUIRE))
            sleep_ms(1);
        tmi_lock(&outer);
        __atomic_store_n(&stop, true, __ATOMIC_RELEASE);
        tmi_lock(&inner); // waits
        (void)pthread_join(t, NULL);
        break;
    case AFTER_RELEASE:
        tmi_lock(&outer), tmi_lock(&inner), tmi_unlock(&outer), tmi_unlock(&inner), tmi_lock(&outer);
        break;
    }
    return 0;
}

static void a_wrong_order_is_reported(void **state)
{
    (void)state;
    static const order_t wrong[] = {REVERSED, TWICE, NUMBERS_REVERSED};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        outcome_t o = run_child(lock_in_order, (void *)(uintptr_t)wrong[i], 20);
        assert_true(aborted_saying(&o, "tinymem: lock(*): K2 locks are taken by rank, and within one by class number"));
    }
}

static void control_a_right_order_is_not(void **state)
{
    (void)state;
    static const order_t right[] = {IN_ORDER, BY_TRYING, OF_ANOTHER_THREAD, AFTER_RELEASE};
    for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
        outcome_t o = run_child(lock_in_order, (void *)(uintptr_t)right[i], 20);
        assert_true(exited(&o, 0) && o.text[0] == 0);
    }
}

static int release_anothers(void *unused)
{
    pthread_t t;
    (void)unused;
    (void)pthread_create(&t, NULL, hold_inner, NULL);
    while (!__atomic_load_n(&other_got_it, __ATOMIC_ACQUIRE))
        sleep_ms(1);
    tmi_unlock(&inner);
    return 0;
}

static void releasing_another_threads_lock_is_reported(void **state)
{
    (void)state;
    other_got_it = stop = false;
    outcome_t o = run_child(release_anothers, NULL, 20);
    assert_true(aborted_saying(&o, "tinymem: unlock(*): K2 a lock is released by the thread that holds it"));
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost_under_the_lock),
        cmocka_unit_test(control_without_the_lock_counts_are_lost),
        cmocka_unit_test(no_sleeper_is_forgotten),
        cmocka_unit_test(trylock_fails_while_it_is_held),
        cmocka_unit_test(the_forking_thread_passes_and_others_wait),
        cmocka_unit_test(fork_owners_come_and_go_among_contenders),
#if TMI_CHECK
        cmocka_unit_test(a_wrong_order_is_reported),
        cmocka_unit_test(control_a_right_order_is_not),
        cmocka_unit_test(releasing_another_threads_lock_is_reported),
#endif
    };
    (void)alarm(120); // a forgotten sleeper
    return cmocka_run_group_tests(tests, NULL, NULL);
}
