/* trace.c - traces made by formula, and traces from files. A formula says what is live at a given millisecond. */
#include "trace.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB 1048576.0
#define TURN 6.283185307179586

/* Fills in the live bytes; true if the program runs at this moment, false if it sleeps. */
typedef bool formula_t(double ms, double parameter, size_t *live);

/* 0, up to 1, 1, and down to 0 again. */
static double hill(double ms, double up, double top, double down)
{
    if (ms <= 0 || ms >= up + top + down)
        return 0;
    return ms < up ? ms / up : ms <= up + top ? 1 : (up + top + down - ms) / down;
}

static bool first_burst(double ms, double ticks, size_t *live)
{
    live[2] = (size_t)(4 * MIB + 192 * MIB * hill(ms - 500, 200, 800, 200));
    live[5] = (size_t)(64 * MIB * hill(ms - 500, 200, 800, 200));
    return ms < 1750 || ticks > 0;
}

/* A heap with a collector: it grows for `period` ms, and falls to an eighth. */
static bool sawtooth(double ms, double period, size_t *live)
{
    live[1] = (size_t)(16 * MIB + 112 * MIB * fmod(ms, period) / period);
    return true;
}

static bool growth(double ms, double mib_a_second, size_t *live)
{
    live[2] = (size_t)(4 * MIB + ms / 1000 * mib_a_second * MIB);
    return true;
}

/* Each phase has blocks of another size, and leaves a fiftieth. */
static bool phases(double ms, double length, size_t *live)
{
    int phase = (int)(ms / length);
    double height = hill(ms - phase * length, length * 0.4, length * 0.5, length * 0.1);
    for (int i = 0; i <= phase; i++)
        live[i % CLASSES] += (size_t)(48 * MIB * (i < phase ? 0.02 : height));
    return true;
}

/* splitmix64, 0 to 1. */
static double chance(uint64_t z)
{
    z = (z + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

/* One burst a period, early or late in it, so that nothing falls into step; for 30 s, at least five. Then it sleeps. */
static bool bursts(double ms, double period, size_t *live)
{
    double turn = floor(ms / period), early = chance((uint64_t)turn) * (period - 40) / 2;
    double height = turn < fmax(5, 30000 / period) ? hill(ms - turn * period - early, 10, 20, 10) : 0;
    live[2] = (size_t)(8 * MIB);
    live[6] = (size_t)(64 * MIB * height);
    return height > 0;
}

/* Sessions come and go with the hour; requests of many sizes last 100 ms each, more of them by day. */
static bool day(double ms, double length, size_t *live)
{
    double hour = 0.5 - 0.5 * cos(TURN * ms / length);
    uint64_t slot = (uint64_t)(ms / 100) * 16;
    live[3] = (size_t)(16 * MIB + 96 * MIB * hour);
    for (uint64_t i = 0; i < 8; i++)
        if (chance(slot + i) < hour)
            live[2 + i % 6] += (size_t)(24 * MIB * pow(chance(slot + 8 + i), 3) * hill(fmod(ms, 100), 20, 60, 20));
    return hour > 0.02 || fmod(ms, 1000) < 10;
}

/* 200 MiB whose sizes wander: each class shrinks and grows, the sum stays. */
static bool cache(double ms, double period, size_t *live)
{
    double weight[CLASSES], sum = 0;
    for (int c = 0; c < CLASSES; c++)
        sum += weight[c] = 1.2 + sin(TURN * ms * (1 + 0.37 * c) / period + c);
    for (int c = 0; c < CLASSES; c++)
        live[c] = (size_t)(200 * MIB * fmin(1, ms / 2000) * weight[c] / sum);
    return true;
}

static const struct {
    const char *name;
    uint32_t length; // ms
    formula_t *formula;
    double parameter;
} made[] = {
    {"first-burst", 60000, first_burst, 0},   {"first-burst-ticking", 60000, first_burst, 1},
    {"bursts-150ms", 60000, bursts, 150},     {"bursts-300ms", 60000, bursts, 300},
    {"bursts-600ms", 60000, bursts, 600},     {"bursts-1200ms", 60000, bursts, 1200},
    {"bursts-2400ms", 60000, bursts, 2400},   {"bursts-4800ms", 60000, bursts, 4800},
    {"bursts-9600ms", 80000, bursts, 9600},   {"bursts-19200ms", 130000, bursts, 19200},
    {"sawtooth-500ms", 30000, sawtooth, 500}, {"sawtooth-3s", 60000, sawtooth, 3000},
    {"growth", 60000, growth, 4},             {"phases-1s", 40000, phases, 1000},
    {"phases-6s", 96000, phases, 6000},       {"day", 120000, day, 120000},
    {"cache", 60000, cache, 20000},
};

static void add(trace_t *t, const moment_t *m)
{
    if ((t->n & (t->n - 1)) == 0)
        t->at = realloc(t->at, (t->n == 0 ? 1 : 2 * t->n) * sizeof *m);
    if (t->at == NULL) {
        fputs("need-replay: out of memory\n", stderr);
        exit(3);
    }
    t->at[t->n++] = *m;
}

static bool is_news(const moment_t *last, const moment_t *now, bool running)
{
    for (int c = 0; c < CLASSES; c++)
        if (now->live[c] - last->live[c] + GRANULE > 2 * GRANULE || (now->live[c] == 0 && last->live[c] != 0))
            return true;
    return running && now->ms - last->ms >= 10;
}

static trace_t make(unsigned which)
{
    trace_t t = {NULL, 0};
    for (uint32_t ms = 0; ms <= made[which].length; ms++) {
        moment_t m = {.ms = ms};
        bool running = made[which].formula(ms, made[which].parameter, m.live);
        if (t.n == 0 || is_news(&t.at[t.n - 1], &m, running) || ms == made[which].length)
            add(&t, &m);
    }
    return t;
}

static _Noreturn void refuse(const char *path, size_t line)
{
    fprintf(stderr, "need-replay: %s, line %zu: not eight counts of bytes after a time in order\n", path, line);
    exit(2);
}

static trace_t read_file(const char *path, FILE *f)
{
    trace_t t = {NULL, 0};
    char text[512];
    while (fgets(text, sizeof text, f) != NULL) {
        moment_t m;
        int end = 0;
        size_t *l = m.live;
        int got = sscanf(text, "%u %zu %zu %zu %zu %zu %zu %zu %zu %n", &m.ms, l, l + 1, l + 2, l + 3, l + 4, l + 5,
                         l + 6, l + 7, &end);
        bool in_order = t.n == 0 || m.ms >= t.at[t.n - 1].ms;
        if (got != CLASSES + 1 || text[end] != '\0' || strchr(text, '-') != NULL || !in_order)
            refuse(path, t.n + 1);
        add(&t, &m);
    }
    if (t.n == 0)
        refuse(path, 1);
    return t;
}

trace_t trace_get(const char *name)
{
    for (unsigned i = 0; i < sizeof made / sizeof *made; i++)
        if (strcmp(name, made[i].name) == 0)
            return make(i);
    FILE *f = fopen(name, "r");
    if (f == NULL) {
        fprintf(stderr, "need-replay: no trace and no file is called '%s'; made by formula:", name);
        for (unsigned i = 0; i < sizeof made / sizeof *made; i++)
            fprintf(stderr, " %s", made[i].name);
        fputs("\n", stderr);
        exit(2);
    }
    trace_t t = read_file(name, f);
    fclose(f);
    return t;
}
