/* policy.h - how much of what is empty stays.
 *
 *   constant   at most `keep` bytes
 *   age        what has been empty for less than `age` ms (jemalloc's decay without its curve)
 *   regret     the library's: the functions of lib/threads/need.c, with constants that can be changed, called as
 *              lib/threads/pacer.c calls them, without slices and locks
 *
 * `helper`: there is a thread that looks while the program sleeps. Without it the program's own calls do all. */
#ifndef BENCH_REPLAY_POLICY_H
#define BENCH_REPLAY_POLICY_H

#include "heap.h"

#include <stdbool.h>

/* The regret policy's constants: those of need.h, pacer.c and regret.h, and the defaults of options. */
typedef struct {
    size_t floor_kib, fade, past_peak;  // need.h
    size_t keep_percent, interval_ms;   // options purge_keep, purge_delay
    size_t look_ms, gap_ms, stopped_ms; // pacer.c
    size_t regret_ms;                   // regret.h
} constants_t;

extern const constants_t policy_chosen; // the library's

outcome_t policy_constant(const trace_t *t, size_t keep, double horizon_ms);
outcome_t policy_age(const trace_t *t, uint32_t age_ms, bool helper, double horizon_ms);
outcome_t policy_regret(const trace_t *t, const constants_t *constants, bool helper, double horizon_ms);

#endif
