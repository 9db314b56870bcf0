/* mutator.c - a program that works on its objects while background compaction does, or (option compaction:off) does
 * not.
 *
 * Idea: each thread has a cache of constant volume whose object sizes climb from 64 B to 2 KiB and come down again, so
 * that compaction has work all the time. An operation pins an object at random, reads and writes it; every eighth
 * replaces one. The first thread takes the time after each operation: what lies between two readings is a gap.
 * Throughput is taken over all threads.
 *
 * usage: handles-mutator [THOUSANDS OF OPERATIONS] [THREADS] [MEGABYTES] */
#include "handlekit.h"

enum { SMALLEST = 64, STEPS = 5, THREADS_MAX = 8 };

typedef struct {
    pthread_t thread;
    size_t operations, bound;
    uint64_t seed, sum;
    histogram_t *gaps; /* NULL: takes no times */
} mutator_t;

typedef struct {
    tm_handle_t h;
    size_t size;
} object_t;

/* Cycle counter where there is one: reading the clock would be most of the work. */
static inline uint64_t ticks(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#else
    return now_ns();
#endif
}

static double ns_a_tick = 1;

static void calibrate(void)
{
    uint64_t t = ticks(), start = now_ns();
    while (now_ns() - start < 20000000) {
    }
    ns_a_tick = (double)(now_ns() - start) / (double)(ticks() - t);
}

static size_t size_at(size_t done, size_t operations, rng_t *r)
{
    size_t position = done * 2 * STEPS / operations, step = position < STEPS ? position : 2 * STEPS - 1 - position;
    return rng_between(r, (uint32_t)(SMALLEST << step), (uint32_t)((SMALLEST << step) * 3 / 2));
}

static void *mutate(void *arg)
{
    mutator_t *m = arg;
    rng_t r = { m->seed };
    size_t n = 0, live = 0, room = m->bound / SMALLEST + 1;
    object_t *object = must(malloc(room * sizeof *object));
    while (live + 2 * SMALLEST < m->bound) {
        size_t size = size_at(0, m->operations, &r);
        object[n++] = (object_t){ make_object(size), size };
        live += size;
    }
    uint64_t last = ticks();
    for (size_t done = 0; done < m->operations; done++) {
        if (done % 8 == 0) {
            size_t size = size_at(done, m->operations, &r);
            while (live + size > m->bound) {
                size_t i = (size_t)(rng_next(&r) % n);
                tm_free(object[i].h);
                live -= object[i].size;
                object[i] = object[--n];
            }
            object[n++] = (object_t){ make_object(size), size };
            live += size;
        }
        TM_PINNED(uint64_t, p, object[rng_next(&r) % n].h) {
            m->sum += *p;
            *p = done;
        }
        if (m->gaps) {
            uint64_t now = ticks();
            histogram_add(m->gaps, (uint64_t)((double)(now - last) * ns_a_tick));
            last = now;
        }
    }
    for (size_t i = 0; i < n; i++)
        tm_free(object[i].h);
    free(object);
    return NULL;
}

int main(int argc, char **argv)
{
    size_t operations = (size_t)argument(argc, argv, 1, 10000) * 1000, threads = (size_t)argument(argc, argv, 2, 1);
    size_t bound = (size_t)argument(argc, argv, 3, 64) * MIB;
    static histogram_t gaps;
    mutator_t m[THREADS_MAX];
    calibrate();
    uint64_t start = now_ns();
    for (size_t i = 0; i < threads && i < THREADS_MAX; i++) {
        m[i] = (mutator_t){
            .operations = operations, .bound = bound / threads, .seed = i + 61, .gaps = i == 0 ? &gaps : NULL};
        m[i].thread = start_thread(mutate, &m[i]);
    }
    for (size_t i = 0; i < threads && i < THREADS_MAX; i++)
        pthread_join(m[i].thread, NULL);
    double seconds = (double)(now_ns() - start) / 1e9;
    tm_stats_t s = statistics();
    figure("million operations a second", (double)(operations * threads) / 1e6 / seconds);
    figure("gap p99 us", histogram_quantile(&gaps, 0.99) / 1e3);
    figure("gap p99.9 us", histogram_quantile(&gaps, 0.999) / 1e3);
    figure("gap p99.99 us", histogram_quantile(&gaps, 0.9999) / 1e3);
    figure("gap p99.999 us", histogram_quantile(&gaps, 0.99999) / 1e3);
    figure("gap max us", (double)gaps.max / 1e3);
    figure("moved MiB", (double)s.moved_bytes / MIB);
    figure("mover's share of the time, %", (double)s.time_ns / 1e7 / seconds);
    figure("global fences", (double)s.fences_global);
    figure("expedited fences", (double)s.fences_expedited);
    figure("aborted moves", (double)s.aborted_moves);
    return 0;
}
