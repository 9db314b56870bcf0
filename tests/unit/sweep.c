#include "sweep.h"
#include "os/os.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#if TMI_TEST_HOOKS

/* Each N up to EACH, then steps of N / WIDTH. The sweep is finest where an attempt is fastest, in the optimized build
 * without audits; under TSan an audit takes 0.1 s. */
enum {
    N_MAX = 3000,
    SLOW = TMI_CHECK || UNDER_SANITIZER,
    EACH = UNDER_TSAN ? 4 : SLOW ? 30 : 60,
    WIDTH = UNDER_TSAN ? 1 : SLOW ? 8 : 20,
};

void sweep_give_up(const char *what, size_t number)
{
    (void)dprintf(STDERR_FILENO, "%s (%zu)\n", what, number);
    _exit(1);
}

bool sweep_run(const sweep_attempt_t *a)
{
    if (a->scenario->before != NULL)
        a->scenario->before();
    tmi_os_fail_at(a->nth, a->sticky);
    a->scenario->run();
    bool fired = tmi_os_fail_fired();
    tmi_os_fail_at(0, false);
    return fired;
}

static unsigned long stride(unsigned long n) { return full_run() || n < EACH ? 1 : n / WIDTH; }

static void sweep_one(const sweep_scenario_t *s, bool sticky, int (*attempt)(void *))
{
    // A single failure of the first call makes the page map small. Low addresses, where segments then belong, are the
    // sanitizers'.
    sweep_attempt_t a = {s, UNDER_SANITIZER && !sticky && s->before == NULL ? 2 : 1, sticky};
    for (; a.nth < N_MAX; a.nth += stride(a.nth)) {
        outcome_t o = run_child(attempt, &a, 60);
        if (exited(&o, SWEEP_NOT_FIRED))
            break;
        if (o.status != 0)
            fail_msg("%s, call %lu fails%s: status %#x, %s", s->name, a.nth, sticky ? " and all after" : "",
                     (unsigned)o.status, o.text);
    }
    print_message("%s, %s failure: fires up to call %lu\n", s->name, sticky ? "lasting" : "single", a.nth - 1);
    assert_in_range(a.nth, 2, N_MAX - 1);
}

void sweep(const sweep_scenario_t *scenarios, size_t n, int (*attempt)(void *))
{
    for (size_t i = 0; i < n; i++) {
        sweep_one(&scenarios[i], false, attempt);
        sweep_one(&scenarios[i], true, attempt);
    }
}

void sweep_must_see(void (*wrong)(void), int (*attempt)(void *), const char *complaint)
{
    sweep_scenario_t s = {"control", NULL, wrong};
    sweep_attempt_t a = {&s, 1000000, false};
    outcome_t o = run_child(attempt, &a, 20);
    assert_true(exited(&o, 1) && strstr(o.text, complaint) != NULL);
}

#endif
