#include "heap.h"

#include <stdio.h>
#include <stdlib.h>

/* The library's own debts, on the clock of the replay. It runs faster or slower, so that TMI_REGRET_MS of it are the
 * time that is asked for. */
#define TMI_OS_COUNTERS_H
#define TMI_OS_OS_H
#include "base/atomic.h"
#include "base/base.h"
static size_t regretted_bytes;
static uint32_t debt_clock;
#define tmi_count(counter, n) ((void)((counter) += (n)))
static inline uint32_t tmi_os_now_ms(void) { return debt_clock; }
#include "segments/regret.h"
uint32_t tmi_regret_epoch;

typedef struct {
    size_t bytes, moment; // of the trace, at which they became empty
} layer_t;

/* Empty bytes of a class, the oldest first. */
typedef struct {
    layer_t *at;
    size_t head, n, room;
} stack_t;

static stack_t stack[CLASSES];
static tmi_debt_t debt[CLASSES];

static void push(stack_t *s, size_t bytes, size_t moment)
{
    if (s->n == s->room) {
        s->room = s->room == 0 ? 64 : 2 * s->room;
        s->at = realloc(s->at, s->room * sizeof *s->at);
        if (s->at == NULL) {
            fputs("need-replay: out of memory\n", stderr);
            exit(3);
        }
    }
    s->at[s->n++] = (layer_t){bytes, moment};
}

/* Takes at most `bytes` of the layer, which is the youngest or the oldest; the rest stays. */
static size_t take_of(stack_t *s, layer_t *l, size_t bytes)
{
    size_t n = tmi_min(l->bytes, bytes);
    l->bytes -= n;
    if (l->bytes == 0 && l == &s->at[s->n - 1])
        s->n--;
    else if (l->bytes == 0)
        s->head++;
    if (s->head == s->n)
        s->head = s->n = 0;
    return n;
}

static void grow(heap_t *h, int c, size_t bytes)
{
    stack_t *s = &stack[c];
    h->live += bytes;
    while (bytes > 0 && s->head < s->n) {
        size_t n = take_of(s, &s->at[s->n - 1], bytes);
        h->empty -= n;
        bytes -= n;
    }
    h->fetched += bytes;
    size_t regretted = tmi_debt_pay(&debt[c], bytes);
    h->regretted += regretted;
    h->regretted_spans += c == SPANS ? regretted : 0;
}

static void give_back_of(heap_t *h, int c, size_t bytes)
{
    h->empty -= take_of(&stack[c], &stack[c].at[stack[c].head], bytes);
    tmi_debt_add(&debt[c], bytes);
}

void heap_give_back(heap_t *h, size_t kept)
{
    for (int c = SPANS; c >= 0; c--)
        while (h->empty > kept && stack[c].head < stack[c].n)
            give_back_of(h, c, tmi_min(h->empty - kept, stack[c].at[stack[c].head].bytes));
}

void heap_give_back_older(heap_t *h, uint32_t ms)
{
    for (int c = 0; c < CLASSES; c++)
        for (stack_t *s = &stack[c]; s->head < s->n && h->now - h->trace->at[s->at[s->head].moment].ms >= ms;)
            give_back_of(h, c, s->at[s->head].bytes);
}

static void note_peaks(heap_t *h)
{
    h->most_live = tmi_max(h->most_live, h->live);
    h->peak_empty = tmi_max(h->peak_empty, h->empty);
    h->peak_resident = tmi_max(h->peak_resident, h->live + h->empty);
}

static void advance(heap_t *h, uint32_t ms, uint32_t regret_ms)
{
    h->live_ms += (double)h->live * (ms - h->now);
    h->empty_ms += (double)h->empty * (ms - h->now);
    h->now = ms;
    debt_clock = (uint32_t)((uint64_t)ms * TMI_REGRET_MS / regret_ms);
}

/* The moment's change, allocations first. */
static void step(heap_t *h, size_t moment, const policy_ops_t *policy)
{
    static const size_t none[CLASSES];
    const size_t *now = h->trace->at[moment].live, *before = moment > 0 ? h->trace->at[moment - 1].live : none;
    bool grew = false, shrank = false;
    for (int c = 0; c < CLASSES; c++) {
        h->peak_live[c] = tmi_max(h->peak_live[c], now[c]);
        if (now[c] > before[c]) {
            grow(h, c, now[c] - before[c]);
            grew = true;
        }
    }
    if (grew) {
        policy->allocated(h);
        note_peaks(h);
    }
    for (int c = 0; c < CLASSES; c++)
        if (now[c] < before[c]) {
            push(&stack[c], before[c] - now[c], moment);
            h->live -= before[c] - now[c];
            h->empty += before[c] - now[c];
            shrank = true;
        }
    if (shrank || !grew)
        policy->freed(h);
    note_peaks(h);
}

static void forget_all(void)
{
    for (int c = 0; c < CLASSES; c++) {
        stack[c].head = stack[c].n = 0;
        debt[c] = (tmi_debt_t){0, 0, 0};
    }
}

static double duration(const trace_t *t) { return tmi_max(t->at[t->n - 1].ms - t->at[0].ms, 1); }

outcome_t heap_replay(const trace_t *t, const policy_ops_t *policy, uint32_t regret_ms, double horizon_ms)
{
    heap_t h = {.trace = t, .now = t->at[0].ms};
    forget_all();
    policy->start();
    for (size_t i = 0; i < t->n; i++) {
        while (*policy->due < t->at[i].ms) {
            advance(&h, *policy->due, regret_ms);
            policy->poll(&h);
        }
        advance(&h, t->at[i].ms, regret_ms);
        step(&h, i, policy);
    }
    size_t first = 0;
    for (int c = 0; c < CLASSES; c++)
        first += h.peak_live[c];
    double again = (double)(h.fetched - first);
    return (outcome_t){again, h.empty_ms / duration(t), (double)h.peak_empty,
                       (double)h.peak_resident / (double)tmi_max(h.most_live, 1),
                       again * horizon_ms + h.live_ms + h.empty_ms};
}

/* `change` becomes by how much the empty bytes change at each moment. Returns the bytes fetched again. */
static double foresee(const trace_t *t, double horizon_ms, double *change)
{
    double again = 0;
    for (size_t i = 1; i < t->n; i++)
        for (int c = 0; c < CLASSES; c++) {
            size_t now = t->at[i].live[c], before = t->at[i - 1].live[c];
            if (now < before)
                push(&stack[c], before - now, i);
            for (size_t wanted = now > before ? now - before : 0; wanted > 0 && stack[c].head < stack[c].n;) {
                layer_t *top = &stack[c].at[stack[c].n - 1];
                size_t then = top->moment, n = take_of(&stack[c], top, wanted);
                wanted -= n;
                if (t->at[i].ms - t->at[then].ms > horizon_ms)
                    again += (double)n;
                else {
                    change[then] += (double)n;
                    change[i] -= (double)n;
                }
            }
        }
    return again;
}

outcome_t heap_oracle(const trace_t *t, double horizon_ms)
{
    double *change = calloc(t->n, sizeof *change);
    double empty = 0, most = 0, resident = 0, live = 0, empty_ms = 0, live_ms = 0;
    if (change == NULL) {
        fputs("need-replay: out of memory\n", stderr);
        exit(3);
    }
    forget_all();
    double again = foresee(t, horizon_ms, change);
    for (size_t i = 0; i < t->n; i++) {
        double now = 0;
        for (int c = 0; c < CLASSES; c++)
            now += (double)t->at[i].live[c];
        empty += change[i];
        most = empty > most ? empty : most;
        live = now > live ? now : live;
        resident = now + empty > resident ? now + empty : resident;
        double ms = i + 1 < t->n ? t->at[i + 1].ms - t->at[i].ms : 0;
        empty_ms += empty * ms;
        live_ms += now * ms;
    }
    free(change);
    return (outcome_t){again, empty_ms / duration(t), most, live > 0 ? resident / live : 1,
                       again * horizon_ms + live_ms + empty_ms};
}
