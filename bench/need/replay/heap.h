/* heap.h - a model of a heap whose empty bytes a policy keeps or gives back, and what it costs on a trace.
 *
 * Idea: what a class of size frees becomes empty in it, and serves only that class again, the last freed first. What a
 * class wants beyond that is fetched from the kernel. What is given back is what has been empty for longest. So the
 * model has no fragmentation: it errs in the same direction for all policies.
 *
 *   fetched again = fetched - the most that each class ever had live: by that a heap that keeps all is at 0
 *   cost          = fetched again * H + integral over time of live and empty bytes
 *
 * Fetching a byte costs as much as keeping it for H ms. The oracle knows how long each byte will be empty, and keeps
 * it if that is at most H. As the bytes of a class are used last in, first out, it chooses for each one apart, and no
 * policy costs less. (It is the optimum of ski rental: Karlin, Manasse, Rudolph and Sleator, Algorithmica 3, 1988.
 * They also show that keeping each byte for H ms, the policy `age`, costs at most twice as much; here, what is never
 * wanted again aside.) */
#ifndef BENCH_REPLAY_HEAP_H
#define BENCH_REPLAY_HEAP_H

#include "trace.h"

typedef struct heap {
    const trace_t *trace;
    uint32_t now;                      // ms
    size_t live, empty;                // bytes
    size_t regretted, regretted_spans; // bytes, counters, as the library's
    size_t fetched, peak_live[CLASSES], peak_empty, peak_resident, most_live;
    double live_ms, empty_ms; // bytes * ms
} heap_t;

/* What a policy does when the heap tells it something; each may call heap_give_back. */
typedef struct {
    void (*start)(void);
    void (*allocated)(heap_t *h);
    void (*freed)(heap_t *h); // also if the program has just run
    void (*poll)(heap_t *h);  // when *due has come; sets the next one
    const uint32_t *due;      // ms, or UINT32_MAX
} policy_ops_t;

typedef struct {
    double again, mean_empty, peak_empty; // bytes
    double peak_to_live;                  // most live and empty over most live
    double cost;                          // bytes * ms
} outcome_t;

/* regret_ms: how long it is regretted that a byte was given back (TMI_REGRET_MS). */
outcome_t heap_replay(const trace_t *t, const policy_ops_t *policy, uint32_t regret_ms, double horizon_ms);
outcome_t heap_oracle(const trace_t *t, double horizon_ms);

/* Until at most `kept` bytes are empty: those of the spans first, as the library does. */
void heap_give_back(heap_t *h, size_t kept);

/* All that has been empty for `ms`. */
void heap_give_back_older(heap_t *h, uint32_t ms);

#endif
