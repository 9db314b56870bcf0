/* calls.c - how long single calls take, when a heap is built, thinned to 1 in 20 at random, and filled again.
 *
 * Idea: a log-linear histogram, 32 steps to a doubling, so that a percentile errs by at most 1/32 (after Gil Tene's
 * HdrHistogram). Blocks are written after the clock has been read: no first touch of a page is in a call's time.
 *
 * usage: need-calls BLOCKS SIZE */
#include "needkit.h"

enum { STEPS = 32, BUCKETS = 64 * STEPS };

typedef struct {
    uint64_t counts[BUCKETS], n;
    double most;
} histogram_t;

static histogram_t allocs, frees;

static unsigned bucket_of(uint64_t ns)
{
    unsigned doubling = ns < STEPS ? 5 : 63u - (unsigned)__builtin_clzll(ns);
    return ns < STEPS ? (unsigned)ns : (doubling - 4) * STEPS + (unsigned)((ns >> (doubling - 5)) & (STEPS - 1));
}

static double top_of(unsigned bucket)
{
    unsigned doubling = bucket / STEPS + 4;
    return bucket < STEPS ? bucket : (double)((uint64_t)(STEPS + bucket % STEPS + 1) << (doubling - 5)) - 1;
}

static void note(histogram_t *h, double ns)
{
    h->counts[bucket_of((uint64_t)ns)]++;
    h->n++;
    h->most = ns > h->most ? ns : h->most;
}

static double percentile(const histogram_t *h, double part)
{
    uint64_t wanted = (uint64_t)(part * (double)h->n), seen = 0;
    for (unsigned b = 0; b < BUCKETS; b++)
        if ((seen += h->counts[b]) > wanted)
            return top_of(b) < h->most ? top_of(b) : h->most;
    return h->most;
}

static void print(const char *what, const histogram_t *h)
{
    static const struct { const char *name; double part; } rows[] = {{"p50", 0.5}, {"p99", 0.99}, {"p99.99", 0.9999}};
    char name[64];
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        snprintf(name, sizeof name, "%s %s, ns", what, rows[i].name);
        figure(name, percentile(h, rows[i].part));
    }
    snprintf(name, sizeof name, "%s longest, us", what);
    figure(name, h->most / 1e3);
}

/* What the histogram says about numbers whose percentiles are known. */
static int histogram_is_right(void)
{
    static histogram_t h;
    for (uint64_t i = 1; i <= 100000; i++)
        note(&h, (double)(i * 7));
    for (double part = 0.1; part < 1; part += 0.1) {
        double is = percentile(&h, part), should = part * 700000;
        if (is < should * 31 / 32 || is > should * 33 / 32 + 8)
            return 0;
    }
    return h.most == 700000;
}

static char *timed_alloc(size_t size)
{
    double begun = now_ns();
    char *p = get(size);
    note(&allocs, now_ns() - begun);
    memset(p, 1, size);
    return p;
}

static void timed_free(char *p)
{
    double begun = now_ns();
    free(p);
    note(&frees, now_ns() - begun);
}

int main(int argc, char **argv)
{
    long n = argument(argc, argv, 1, 120000), size = argument(argc, argv, 2, 2048);
    char **block = table((size_t)n * sizeof *block);
    rng_t r = {3};
    if (!histogram_is_right())
        return 1;
    for (int round = 0; round < 2; round++) {
        for (long i = 0; i < n; i++)
            if (block[i] == NULL)
                block[i] = timed_alloc((size_t)size);
        for (long i = 0; i < n; i++)
            if (rng_below(&r, 20) != 0) {
                timed_free(block[i]);
                block[i] = NULL;
            }
    }
    print("malloc", &allocs);
    print("free", &frees);
    return 0;
}
