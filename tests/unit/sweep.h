/* sweep.h - the kernel fails at its Nth call, for N = 1, 2, ... until an N is reached that no longer fires: once, and
 * from then on for good.
 *
 * Each attempt is a child of its own, with a heap that was never used. What must hold then is the caller's: its attempt
 * exits with 0, with SWEEP_NOT_FIRED when there were fewer calls than N, or says what is wrong by sweep_give_up. */
#ifndef TESTS_UNIT_SWEEP_H
#define TESTS_UNIT_SWEEP_H

#include "support.h"

typedef struct sweep_scenario {
    const char *name;
    void (*before)(void); // while the kernel still gives; NULL: the failure comes at the first use of the process
    void (*run)(void);    // while it fails
} sweep_scenario_t;

typedef struct sweep_attempt {
    const sweep_scenario_t *scenario;
    unsigned long nth;
    bool sticky;
} sweep_attempt_t;

enum { SWEEP_NOT_FIRED = 77 };

_Noreturn void sweep_give_up(const char *what, size_t number);

/* Runs the scenario's two functions, the second with the failure armed. Returns whether it fired; afterwards the kernel
 * gives again. */
bool sweep_run(const sweep_attempt_t *attempt);

/* A cmocka assertion fails, naming the call, when an attempt does. `attempt` gets a sweep_attempt_t. */
void sweep(const sweep_scenario_t *scenarios, size_t n, int (*attempt)(void *));

/* Controls: an attempt at this scenario, which goes wrong by itself, must say `complaint`. */
void sweep_must_see(void (*wrong)(void), int (*attempt)(void *), const char *complaint);

#endif
