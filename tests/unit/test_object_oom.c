/* The kernel fails at any of its calls (sweep.h): a request for an object that fails is TM_NULL with ENOMEM, one that
 * succeeds leaves errno alone, contents stay, the audit passes, and when the kernel gives again everything works. Where
 * membarrier is what fails, pins fence for themselves or moving stops, and nothing is lost. */
#include "heap/heap.h"
#include "heap/introspect.h"
#include "os/options.h"
#include "os/os.h"
#include "sweep.h"
#include "tinymem/tinymem.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#if TMI_TEST_HOOKS

enum { OBJECTS = UNDER_TSAN ? 120 : 400, UNTOUCHED = 4711 };

typedef struct object {
    tm_handle_t h;
    size_t size;
} object_t;

static object_t objects[OBJECTS];
static size_t nulls;

static size_t size_of(size_t i)
{
    static const size_t sizes[] = {0,    1,     16,    100,   700,   1024,   1500,   4096,
                                   9000, 20000, 32768, 40000, 65536, 100000, 300000, 1300000};
    return sizes[i % (sizeof sizes / sizeof *sizes)] + i / 7 % 3;
}

/* A pin in a thread without memory for its record yields NULL, with a report. */
static bool filled(tm_handle_t h, size_t size, size_t mark)
{
    bool there = false;
    TM_PINNED(char, p, h)
    {
        there = p != NULL;
        if (there)
            fill(p, size, mark);
    }
    return there;
}

static void accept(size_t i, tm_handle_t h, size_t size, int err)
{
    if (h == TM_NULL && err != ENOMEM)
        sweep_give_up("TM_NULL without ENOMEM", i);
    if (h != TM_NULL && err != UNTOUCHED)
        sweep_give_up("success touched errno", i);
    nulls += h == TM_NULL;
    objects[i] = (object_t){h, size};
    if (h != TM_NULL && !filled(h, size, i))
        sweep_give_up("an object cannot be pinned", i);
}

static void try_alloc(size_t i)
{
    errno = UNTOUCHED;
    tm_handle_t h = tm_alloc(size_of(i));
    accept(i, h, size_of(i), errno);
}

static void try_calloc(size_t i)
{
    errno = UNTOUCHED;
    tm_handle_t h = tm_calloc(1, size_of(i));
    int err = errno;
    TM_PINNED(char, p, h)
    {
        if (p != NULL && !all_zero(p, size_of(i)))
            sweep_give_up("calloc is not zero", i);
    }
    accept(i, h, size_of(i), err);
}

static void try_aligned(size_t i)
{
    size_t align = (size_t)16 << i % 18;
    errno = UNTOUCHED;
    tm_handle_t h = tm_alloc_aligned(align, size_of(i));
    int err = errno;
    TM_PINNED(char, p, h)
    {
        if ((uintptr_t)p % align != 0)
            sweep_give_up("misaligned", i);
    }
    accept(i, h, size_of(i), err);
}

static void verify_all(const char *when)
{
    for (size_t i = 0; i < OBJECTS; i++)
        TM_PINNED(char, p, objects[i].h)
        {
            if (p != NULL && !intact(p, objects[i].size, objects[i].size, i))
                sweep_give_up(when, i);
            if (p == NULL && objects[i].h != TM_NULL)
                sweep_give_up("an object is gone", i);
        }
}

static void try_realloc(size_t i, size_t size)
{
    if (objects[i].h == TM_NULL)
        return;
    size_t kept = objects[i].size < size ? objects[i].size : size;
    errno = UNTOUCHED;
    tm_handle_t h = tm_realloc(objects[i].h, size);
    int err = errno;
    if (h == TM_NULL) { // the object must be as it was: verify_all checks that
        if (err != ENOMEM)
            sweep_give_up("realloc: TM_NULL without ENOMEM", i);
        nulls++;
        return;
    }
    TM_PINNED(char, p, h)
    {
        if (h != objects[i].h || !intact(p, kept / 8 * 8, objects[i].size, i))
            sweep_give_up("realloc lost handle or contents", i);
    }
    accept(i, h, size, err);
}

static void free_object(size_t i)
{
    errno = UNTOUCHED;
    tm_free(objects[i].h);
    if (errno != UNTOUCHED)
        sweep_give_up("free touched errno", i);
    objects[i].h = TM_NULL;
}

static void each(void (*f)(size_t i))
{
    for (size_t i = 0; i < OBJECTS; i++)
        if (objects[i].h == TM_NULL)
            f(i);
}

static void alloc_all(void) { each(try_alloc); }
static void calloc_all(void) { each(try_calloc); }
static void aligned_all(void) { each(try_aligned); }

static void alloc_some(void)
{
    for (size_t i = 0; i < OBJECTS; i += 3)
        try_alloc(i);
}

static void ready_only(void) { tm_free(tm_alloc(1)); }

static void realloc_all(void)
{
    for (size_t i = 0; i < OBJECTS; i++)
        try_realloc(i, size_of(i) * 3 + 5000);
    for (size_t i = 0; i < OBJECTS; i += 2)
        try_realloc(i, size_of(i) / 3 + 1);
}

/* The first lock of a slab makes its attributes. */
static void lock_all(void)
{
    static void *at[OBJECTS];
    for (size_t i = 0; i < OBJECTS; i++) {
        errno = UNTOUCHED;
        at[i] = tm_lock(objects[i].h);
        if (at[i] == NULL && objects[i].h != TM_NULL) {
            if (errno != ENOMEM)
                sweep_give_up("lock: NULL without ENOMEM", i);
            nulls++;
        } else if (errno != UNTOUCHED) {
            sweep_give_up("lock touched errno", i);
        }
    }
    (void)tm_compact();
    for (size_t i = 0; i < OBJECTS; i++)
        if (at[i] != NULL) {
            if (!intact(at[i], objects[i].size, objects[i].size, i))
                sweep_give_up("a locked object has moved", i);
            tm_unlock(objects[i].h);
        }
}

/* More than both the stack and the memory that is kept ready for a second one hold. */
static void pin_too_often(void)
{
    enum { MANY = 50000 };
    for (int k = 0; k < MANY; k++) {
        size_t i = (size_t)k % OBJECTS;
        void *p = tm_pin(objects[i].h);
        if (p == NULL) { // reported; this pin does not exist
            nulls += objects[i].h != TM_NULL;
            while (k-- > 0)
                tm_unpin(objects[(size_t)k % OBJECTS].h);
            return;
        }
    }
    for (int k = MANY; k-- > 0;)
        tm_unpin(objects[(size_t)k % OBJECTS].h);
}

static void *use_in_a_thread(void *unused)
{
    for (size_t i = 0; i < OBJECTS; i++) { // its first call is a pin
        void *p = tm_pin(objects[i].h);
        if (p != NULL && !intact(p, objects[i].size, objects[i].size, i))
            sweep_give_up("contents lost in a thread", i);
        nulls += p == NULL && objects[i].h != TM_NULL;
        if (p != NULL || tm_pin_mark() > 0)
            tm_unpin(objects[i].h);
    }
    alloc_all();
    return unused;
}

static void first_use_in_threads(void)
{
    for (int i = 0; i < 3; i++) {
        pthread_t t;
        if (pthread_create(&t, NULL, use_in_a_thread, NULL) != 0 || pthread_join(t, NULL) != 0)
            sweep_give_up("no thread", 0);
    }
}

static pthread_barrier_t barrier;

static void *bystander(void *unused)
{
    ready_only();
    (void)pthread_barrier_wait(&barrier);
    (void)pthread_barrier_wait(&barrier);
    return unused;
}

/* Beside a thread with handles, so that fences are asked for. */
static void thin_and_compact(void)
{
    pthread_t t;
    (void)pthread_barrier_init(&barrier, NULL, 2);
    if (pthread_create(&t, NULL, bystander, NULL) != 0)
        sweep_give_up("no thread", 0);
    (void)pthread_barrier_wait(&barrier);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < OBJECTS; i++)
            if ((i + (size_t)round) % 4 != 0)
                free_object(i);
        errno = UNTOUCHED;
        (void)tm_compact();
        for (int k = 0; k < 200 && tm_compact_step(20); k++) {
        }
        if (errno != UNTOUCHED)
            sweep_give_up("compact touched errno", 0);
        verify_all("contents lost by compaction");
        calloc_all();
    }
    (void)pthread_barrier_wait(&barrier);
    (void)pthread_join(t, NULL);
}

static void fork_and_use(void)
{
    pid_t pid = fork();
    if (pid < 0)
        return; // the kernel has no memory for that
    calloc_all();
    (void)tm_compact();
    if (pid == 0) {
        verify_all("in the child");
        tmi_os_fail_at(0, false);
        tmi_check_all();
        _exit(tm_alloc(100) != TM_NULL ? 0 : 1);
    }
    int status;
    (void)waitpid(pid, &status, 0);
    if (status != 0)
        sweep_give_up("child of fork", (size_t)status);
}

static const sweep_scenario_t scenarios[] = {
    {"first alloc of the process and others", NULL, alloc_all},
    {"first calloc of the process and others", NULL, calloc_all},
    {"alloc", alloc_some, alloc_all},
    {"aligned up to 2 MiB", alloc_some, aligned_all},
    {"realloc", alloc_all, realloc_all},
    {"locks", alloc_all, lock_all},
    {"more pins than slots", alloc_all, pin_too_often},
    {"first use in a thread", alloc_some, first_use_in_threads},
    {"compaction", alloc_all, thin_and_compact},
    {"fork", alloc_some, fork_and_use},
};

/* In a child. 0: fired and all is well; SWEEP_NOT_FIRED: all is well, and there were fewer calls. */
static int attempt(void *arg)
{
    bool fired = sweep_run(arg);
    if (nulls > 0 && !fired)
        sweep_give_up("TM_NULL though the kernel did not fail", nulls);
    verify_all("contents lost");
    if (!UNDER_TSAN)
        tmi_check_all();
    alloc_all(); // the kernel gives again: everything succeeds
    for (size_t i = 0; i < OBJECTS; i++)
        if (objects[i].h == TM_NULL)
            sweep_give_up("TM_NULL though the kernel gives again", i);
    verify_all("contents lost later");
    for (size_t i = 0; i < OBJECTS; i++)
        if (i % 5 != 0)
            free_object(i);
    (void)tm_compact();
    verify_all("contents lost by compaction later");
    for (size_t i = 0; i < OBJECTS; i++)
        free_object(i);
    (void)tm_compact();
    tmi_check_all();
    tm_stats_t s = {.struct_size = sizeof s};
    tm_stats(&s);
    if (s.live_objects != 0 || s.pins != 0)
        sweep_give_up("objects or pins are left", s.live_objects + s.pins);
    return fired ? 0 : SWEEP_NOT_FIRED;
}

static void every_kernel_failure_is_survived(void **state)
{
    (void)state;
    sweep(scenarios, sizeof scenarios / sizeof *scenarios, attempt);
}

static void plant_a_lost_byte(void)
{
    alloc_all();
    TM_PINNED(char, p, objects[3].h) { p[0] = (char)(p[0] ^ 1); }
}

static void plant_wrong_errno(void)
{
    errno = UNTOUCHED;
    accept(0, TM_NULL, 1, errno);
}

static void control_the_sweep_sees_losses(void **state)
{
    (void)state;
    sweep_must_see(plant_a_lost_byte, attempt, "contents lost");
    sweep_must_see(plant_wrong_errno, attempt, "TM_NULL without ENOMEM");
}

int main(void)
{
    tmi_heap_init();
    tmi_options_parse("compaction:manual");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(control_the_sweep_sees_losses),
        cmocka_unit_test(every_kernel_failure_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else
int main(void) { return 0; } // without hooks there is nothing to fail
#endif
