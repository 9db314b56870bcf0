/* steps.c - how long tm_compact_step takes, beside a control that only takes the time.
 *
 * Idea: a heap of mixed sizes is thinned out and compacted by steps of the given budget until nothing is left to gain,
 * again and again. After each step the control spins, reading the clock, until the same budget has passed: what it
 * overshoots is the machine's. The thread's processor time (of the step and two readings of that clock) is a second
 * control: it leaves out what other programs take. A step or a spin counts as late when it is over the budget by more
 * than the tolerance. Option: compaction:manual.
 *
 * usage: handles-steps [THOUSANDS OF STEPS] [BUDGET us] [TOLERANCE us] [BUSY THREADS] */
#include "handlekit.h"

enum { HEAP = 64 * MIB, LOW = 4, HIGH = 12 };

static volatile int stop;

/* A thread that pins its own objects, reads and writes them. */
static void *be_busy(void *unused)
{
    tm_handle_t h[256];
    for (size_t i = 0; i < 256; i++)
        h[i] = make_object(64);
    for (size_t i = 0; !stop; i++)
        TM_PINNED(uint64_t, p, h[i % 256]) {
            *p += i;
        }
    for (size_t i = 0; i < 256; i++)
        tm_free(h[i]);
    return unused;
}

static tm_handle_t object[HEAP / 500];
static size_t nobjects;
static rng_t rng = { 51 };

static void refill(void)
{
    size_t live = 0;
    nobjects = thin_out(object, nobjects, 0, &rng);
    while (live + (1 << HIGH) < HEAP && nobjects < HEAP / 500) {
        size_t size = rng_log_size(&rng, LOW, HIGH);
        object[nobjects++] = make_object(size);
        live += size;
    }
    nobjects = thin_out(object, nobjects, nobjects / 3, &rng);
}

/* What the thread itself has used: others that take its processor do not count. */
static uint64_t own_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t spin(uint64_t budget_ns)
{
    uint64_t start = now_ns(), now;
    while ((now = now_ns()) - start < budget_ns) {
    }
    return now - start;
}

int main(int argc, char **argv)
{
    size_t steps = (size_t)argument(argc, argv, 1, 100) * 1000;
    uint64_t budget = (uint64_t)argument(argc, argv, 2, 5),
             bound = (budget + (uint64_t)argument(argc, argv, 3, 2)) * 1000;
    int nbusy = argc > 4 ? atoi(argv[4]) : 0;
    static histogram_t step, control;
    size_t late = 0, own_late = 0, control_late = 0;
    pthread_t busy[4];
    for (int i = 0; i < nbusy && i < 4; i++)
        busy[i] = start_thread(be_busy, NULL);
    for (size_t done = 0; done < steps;) {
        refill();
        for (bool more = true; more && done < steps; done++) {
            uint64_t own = own_ns(), start = now_ns();
            more = tm_compact_step((unsigned)budget);
            uint64_t ns = now_ns() - start;
            own = own_ns() - own;
            histogram_add(&step, ns);
            late += ns > bound;
            own_late += own > bound;
            ns = spin(budget * 1000);
            histogram_add(&control, ns);
            control_late += ns > bound;
        }
    }
    stop = 1;
    for (int i = 0; i < nbusy && i < 4; i++)
        pthread_join(busy[i], NULL);
    tm_stats_t s = statistics();
    figure("steps", (double)step.n);
    figure("late, %", 100.0 * (double)late / (double)step.n);
    figure("late by the thread's own time, %", 100.0 * (double)own_late / (double)step.n);
    figure("control late, %", 100.0 * (double)control_late / (double)control.n);
    figure("median us", histogram_quantile(&step, 0.5) / 1e3);
    figure("p99 us", histogram_quantile(&step, 0.99) / 1e3);
    figure("p99.9 us", histogram_quantile(&step, 0.999) / 1e3);
    figure("max us", (double)step.max / 1e3);
    figure("control p99.9 us", histogram_quantile(&control, 0.999) / 1e3);
    figure("control max us", (double)control.max / 1e3);
    figure("moved MiB", (double)s.moved_bytes / MIB);
    figure("expedited fences", (double)s.fences_expedited);
    return 0;
}
