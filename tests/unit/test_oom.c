/* The kernel fails at any of its calls (sweep.h): a request that fails is NULL with ENOMEM, one that succeeds leaves
 * errno alone, every live block is intact, the audit passes, and when the kernel gives again the heap goes on. */
#include "heap/introspect.h"
#include "heapcalls.h"
#include "os/os.h"
#include "sweep.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#if TMI_TEST_HOOKS

enum { BLOCKS = UNDER_TSAN ? 84 : 210 };

typedef struct block {
    char *p;
    size_t size;
} block_t;

static block_t blocks[BLOCKS];
static size_t nulls;

static size_t size_of(size_t i)
{
    static const size_t sizes[] = {1,    16,    100,   700,   1024,   1500,   4096,
                                   9000, 20000, 32768, 40000, 100000, 300000, 1300000};
    return sizes[i % (sizeof sizes / sizeof *sizes)] + i / 7 % 3;
}

/* The promise about every result; then the block is entered. */
static void accept(size_t i, void *p, size_t size, int err)
{
    if (p == NULL && err != ENOMEM)
        sweep_give_up("NULL without ENOMEM", i);
    if (p != NULL && err != 4711)
        sweep_give_up("success touched errno", i);
    if (p == NULL) {
        nulls++;
        return;
    }
    blocks[i] = (block_t){p, size};
    fill(p, size, i);
}

static void try_malloc(size_t i)
{
    errno = 4711;
    void *p = h_malloc(size_of(i));
    accept(i, p, size_of(i), errno);
}

static void try_calloc(size_t i)
{
    errno = 4711;
    void *p = h_calloc(size_of(i));
    int err = errno;
    if (p != NULL && !all_zero(p, size_of(i)))
        sweep_give_up("calloc is not zero", i);
    accept(i, p, size_of(i), err);
}

static void verify_all(const char *when)
{
    for (size_t i = 0; i < BLOCKS; i++)
        if (blocks[i].p != NULL && !intact(blocks[i].p, blocks[i].size, blocks[i].size, i))
            sweep_give_up(when, i);
}

static void try_realloc(size_t i, size_t size)
{
    if (blocks[i].p == NULL)
        return;
    size_t kept = blocks[i].size < size ? blocks[i].size : size;
    errno = 4711;
    void *q = h_realloc(blocks[i].p, size);
    int err = errno;
    if (q == NULL) { // the old block must be as it was: verify_all checks that
        if (err != ENOMEM)
            sweep_give_up("realloc: NULL without ENOMEM", i);
        nulls++;
        return;
    }
    if (!intact(q, kept, blocks[i].size, i))
        sweep_give_up("realloc lost contents", i);
    accept(i, q, size, err);
}

static void free_block(size_t i)
{
    errno = 4711;
    if (blocks[i].p != NULL)
        h_free(blocks[i].p);
    if (errno != 4711)
        sweep_give_up("free touched errno", i);
    blocks[i].p = NULL;
}

static void malloc_all(void)
{
    for (size_t i = 0; i < BLOCKS; i++)
        if (blocks[i].p == NULL)
            try_malloc(i);
}

static void calloc_all(void)
{
    for (size_t i = 0; i < BLOCKS; i++)
        if (blocks[i].p == NULL)
            try_calloc(i);
}

static void malloc_some(void)
{
    for (size_t i = 0; i < BLOCKS; i += 3)
        if (blocks[i].p == NULL)
            try_malloc(i);
}

static void ready_only(void) { h_free(h_malloc(1)); }

static void realloc_all(void)
{
    for (size_t i = 0; i < BLOCKS; i++)
        try_realloc(i, size_of(i) * 3 + 5000);
    for (size_t i = 0; i < BLOCKS; i += 2)
        try_realloc(i, size_of(i) / 3 + 1);
}

static void aligned_all(void)
{
    size_t i = 0;
    for (size_t align = 16; align <= TMI_GIB; align *= 2, i++) {
        free_block(i);
        errno = 4711;
        void *p = h_aligned(align, size_of(i));
        int err = errno;
        if ((uintptr_t)p % align != 0)
            sweep_give_up("misaligned", i);
        accept(i, p, size_of(i), err);
    }
}

static void *use_in_a_thread(void *unused)
{
    malloc_all();
    for (size_t i = 0; i < BLOCKS; i += 2)
        free_block(i);
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

static void free_and_trim(void)
{
    for (size_t i = 0; i < BLOCKS; i++)
        if (i % 10 != 0)
            free_block(i);
    errno = 4711;
    (void)tmi_heap_trim(0);
    if (errno != 4711)
        sweep_give_up("trim touched errno", 0);
    calloc_all();
    for (size_t i = 0; i < BLOCKS; i++)
        if (i % 7 != 0)
            free_block(i);
    for (int tick = 0; tick < 3000; tick++) // the pacer's own passes
        h_free(h_malloc(100));
}

static void fork_and_use(void)
{
    pid_t pid = fork();
    if (pid < 0)
        return; // the kernel has no memory for that
    calloc_all();
    if (pid == 0) {
        verify_all("in the child");
        tmi_os_fail_at(0, false);
        tmi_check_all();
        _exit(h_malloc(100) != NULL ? 0 : 1);
    }
    int status;
    (void)waitpid(pid, &status, 0);
    if (status != 0)
        sweep_give_up("child of fork", (size_t)status);
}

static const sweep_scenario_t scenarios[] = {
    {"first malloc of the process and others", NULL, malloc_all},
    {"first calloc of the process and others", NULL, calloc_all},
    {"malloc", malloc_some, malloc_all},
    {"calloc", malloc_some, calloc_all},
    {"realloc", malloc_all, realloc_all},
    {"aligned up to 1 GiB", malloc_some, aligned_all},
    {"first use in a thread", ready_only, first_use_in_threads},
    {"purge", malloc_all, free_and_trim},
    {"fork", malloc_some, fork_and_use},
};

/* In a child. 0: fired and all is well; SWEEP_NOT_FIRED: all is well, and there were fewer calls. */
static int attempt(void *arg)
{
    bool fired = sweep_run(arg);
    if (nulls > 0 && !fired)
        sweep_give_up("NULL though the kernel did not fail", nulls);
    verify_all("contents lost");
    if (!UNDER_TSAN)
        tmi_check_all();
    malloc_all(); // the kernel gives again: everything succeeds
    for (size_t i = 0; i < BLOCKS; i++)
        if (blocks[i].p == NULL)
            sweep_give_up("NULL though the kernel gives again", i);
    verify_all("contents lost later");
    for (size_t i = 0; i < BLOCKS; i++)
        free_block(i);
    (void)tmi_heap_trim(0);
    tmi_check_all();
    tmi_figures_t f;
    tmi_figures_read(&f);
    if (f.live_blocks != 0)
        sweep_give_up("blocks were lost", f.live_blocks);
    return fired ? 0 : SWEEP_NOT_FIRED;
}

static void every_kernel_failure_is_survived(void **state)
{
    (void)state;
    sweep(scenarios, sizeof scenarios / sizeof *scenarios, attempt);
}

static void plant_a_lost_byte(void)
{
    malloc_all();
    blocks[3].p[0] ^= 1;
}

static void plant_wrong_errno(void)
{
    errno = 4711;
    accept(0, NULL, 1, errno);
}

static void control_the_sweep_sees_losses(void **state)
{
    (void)state;
    sweep_must_see(plant_a_lost_byte, attempt, "contents lost");
    sweep_must_see(plant_wrong_errno, attempt, "NULL without ENOMEM");
}

static int all_fails(void *unused)
{
    (void)unused;
    tmi_os_fail_at(1, true);
    malloc_all();
    return nulls > 0 && tmi_os_fail_fired() ? 0 : 1;
}

static void control_a_lasting_failure_makes_requests_fail(void **state)
{
    (void)state;
    outcome_t o = run_child(all_fails, NULL, 20);
    assert_true(exited(&o, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(control_a_lasting_failure_makes_requests_fail),
        cmocka_unit_test(control_the_sweep_sees_losses),
        cmocka_unit_test(every_kernel_failure_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else
int main(void) { return 0; } // without hooks there is nothing to fail
#endif
