/* replay.c - what each policy would have cost on a trace, and what the regret policy would cost with other constants.
 *
 * usage: need-replay TRACE      a name of trace.c, or a file that the recorder has written
 *
 * A table with tabs goes to stdout: MiB that are fetched again, MiB that are empty in the mean and at most, most live
 * and empty over most live, and the cost as a multiple of the oracle's (heap.h). "regret, interval_ms 2500" has a
 * constant changed. */
#include "policy.h"

#include <stdio.h>
#include <string.h>

#define MIB 1048576.0
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define LAST SIZE_MAX
enum { HORIZON_MS = 5000 };

static double least; // the oracle's cost

static void row(const char *name, outcome_t o)
{
    printf("%s\t%.6g\t%.6g\t%.6g\t%.6g\t%.6g\n", name, o.again / MIB, o.mean_empty / MIB, o.peak_empty / MIB,
           o.peak_to_live, least > 0 ? o.cost / least : 1);
}

static void plain_policies(const trace_t *t)
{
    static const size_t keeps[] = {0, 4, 16, 64};
    static const uint32_t ages[] = {100, 1000, 5000, 10000};
    static const double horizons[] = {100, 1000, HORIZON_MS, 20000};
    char name[64];
    for (unsigned i = 0; i < COUNT_OF(keeps); i++) {
        snprintf(name, sizeof name, "constant %zu MiB", keeps[i]);
        row(name, policy_constant(t, keeps[i] << 20, HORIZON_MS));
    }
    row("constant, all", policy_constant(t, SIZE_MAX, HORIZON_MS));
    for (unsigned i = 0; i < 2 * COUNT_OF(ages); i++) {
        snprintf(name, sizeof name, "age %u ms%s", ages[i / 2], i % 2 == 1 ? ", helper" : "");
        row(name, policy_age(t, ages[i / 2], i % 2 == 1, HORIZON_MS));
    }
    for (unsigned i = 0; i < COUNT_OF(horizons); i++) {
        snprintf(name, sizeof name, "oracle %g ms", horizons[i]);
        row(name, heap_oracle(t, horizons[i]));
    }
}

static void regret(const trace_t *t, const char *name, const constants_t *c)
{
    char full[160];
    row(name, policy_regret(t, c, false, HORIZON_MS));
    snprintf(full, sizeof full, "%s, helper", name);
    row(full, policy_regret(t, c, true, HORIZON_MS));
}

/* Of the first TOGETHER the first two values are tried in all combinations; the other values one at a time. */
enum { TOGETHER = 4, NEAREST = 2, VALUES = 6 };
static const struct {
    const char *name;
    size_t field, values[VALUES]; // values up to the first LAST
} varied[] = {
    {"interval_ms", offsetof(constants_t, interval_ms), {2500, 10000, 500, 1000, 20000, LAST}},
    {"floor_kib", offsetof(constants_t, floor_kib), {512, 1024, 0, 4096, 8192, LAST}},
    {"regret_ms", offsetof(constants_t, regret_ms), {2500, 10000, 1000, 20000, LAST}},
    {"stopped_ms", offsetof(constants_t, stopped_ms), {1000, 3000, 500, 10000, LAST}},
    {"keep_percent", offsetof(constants_t, keep_percent), {0, 1, 4, 8, LAST}},
    {"fade", offsetof(constants_t, fade), {1, 4, 8, LAST}},
    {"past_peak", offsetof(constants_t, past_peak), {7, 14, 56, 1000, LAST}},
    {"look_ms", offsetof(constants_t, look_ms), {10, 25, 100, 200, 1000, LAST}},
    {"gap_ms", offsetof(constants_t, gap_ms), {25, 50, 200, 1000, 5000, LAST}},
};

/* `name` gets the change appended. */
static constants_t changed(constants_t c, unsigned row, size_t value, const char *name, char *longer, size_t room)
{
    memcpy((char *)&c + varied[row].field, &value, sizeof value);
    snprintf(longer, room, "%s, %s %zu", name, varied[row].name, value);
    return c;
}

static void combine(const trace_t *t, const constants_t *c, unsigned row, const char *name)
{
    char longer[128];
    if (row == TOGETHER) {
        regret(t, name, c);
        return;
    }
    combine(t, c, row + 1, name);
    for (unsigned i = 0; i < NEAREST; i++) {
        constants_t other = changed(*c, row, varied[row].values[i], name, longer, sizeof longer);
        combine(t, &other, row + 1, longer);
    }
}

static void sweep(const trace_t *t)
{
    char name[128];
    combine(t, &policy_chosen, 0, "regret");
    for (unsigned row = 0; row < COUNT_OF(varied); row++)
        for (unsigned i = row < TOGETHER ? NEAREST : 0; varied[row].values[i] != LAST; i++) {
            constants_t other = changed(policy_chosen, row, varied[row].values[i], "regret", name, sizeof name);
            regret(t, name, &other);
        }
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fputs("usage: need-replay TRACE\n", stderr);
        return 2;
    }
    trace_t t = trace_get(argv[1]);
    least = heap_oracle(&t, HORIZON_MS).cost;
    puts("policy\tagain\tmean empty\tpeak empty\tpeak to live\tcost to oracle");
    plain_policies(&t);
    constants_t forgetful = policy_chosen;
    forgetful.regret_ms = 1;
    regret(&t, "no regret", &forgetful); // control: the rule without what it is about
    sweep(&t);
    return 0;
}
