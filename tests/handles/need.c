/* Memory by need, for handles: what a program has freed goes back to the kernel, though nothing is left that could be
 * moved; what it allocates again soon stays. With one thread and with more; while it sleeps, and while it works. */
#include "objects.h"

#include <sys/resource.h>

enum { TOTAL = 32 << 20, PATIENCE_S = 20 };

static size_t resident(void) { return tap_proc_kb(getpid(), "status", "VmRSS:"); }

static void *sleep_beside(void *unused)
{
    (void)pause();
    return unused;
}

static long faults(void)
{
    struct rusage use;
    (void)getrusage(RUSAGE_SELF, &use);
    return use.ru_minflt;
}

static void burst(tm_handle_t *h, size_t n, size_t size)
{
    for (size_t i = 0; i < n; i++) {
        h[i] = tm_alloc(size);
        TM_PINNED(char, p, h[i])
        {
            memset(p, 1, size);
        }
    }
    for (size_t i = 0; i < n; i++)
        tm_free(h[i]);
}

/* All is freed, and the program sleeps. */
static int all_freed(size_t size, bool threads)
{
    enum { REST = 10 << 20 }; // what stays of the process, words of the table and what the floor keeps among it
    size_t n = TOTAL / size;
    tm_handle_t *h = (tm_handle_t *)calloc(n, sizeof *h);
    pthread_t other;
    MUST(h != NULL && (!threads || pthread_create(&other, NULL, sleep_beside, NULL) == 0));
    size_t before = resident(), now;
    burst(h, n, size);
    double begun = tap_now();
    do {
        tap_sleep_ms(20);
        now = resident();
        if (!threads && now > before + REST) // a slice ends by the clock: on a busy machine the next free goes on
            burst(h, 1, size);
    } while (now > before + REST && tap_now() - begun < PATIENCE_S);
    MUST(now <= before + REST);
    return 0;
}

/* Kept because the options say so: the control. */
static int all_freed_and_kept(size_t size)
{
    size_t n = TOTAL / size;
    tm_handle_t *h = (tm_handle_t *)calloc(n, sizeof *h);
    size_t before = resident();
    burst(h, n, size);
    tap_sleep_ms(500);
    MUST(resident() > before + TOTAL / 2);
    return 0;
}

/* Bursts from time to time. From the seventh on nearly all pages are there. */
static int bursts(size_t size)
{
    enum { TURNS = 14, LEARNED = 6, PAGE = 4096 };
    size_t n = TOTAL / size;
    tm_handle_t *h = (tm_handle_t *)calloc(n, sizeof *h);
    long then = 0;
    for (int t = 0; t < TURNS; t++) {
        if (t == LEARNED)
            then = faults();
        burst(h, n, size);
        tap_sleep_ms(100);
    }
    long each = (faults() - then) / (TURNS - LEARNED);
    MUST(each <= TOTAL / PAGE / 20);
    return 0;
}

int main(int argc, char **argv)
{
    static const char *const sizes[] = {"64", "500", "20000", "100000", "4000000"};
    char name[64];
    if (argc > 1) {
        char what[16];
        unsigned size;
        MUST(sscanf(argv[1], "%15s %u", what, &size) == 2);
        return strcmp(what, "bursts") == 0 ? bursts(size) :
               strcmp(what, "kept") == 0   ? all_freed_and_kept(size) : all_freed(size, strcmp(what, "threads") == 0);
    }
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        static const char *const whats[] = {"alone", "threads", "bursts"};
        for (size_t w = 0; w < 3; w++) {
            (void)snprintf(name, sizeof name, "%s %s", whats[w], sizes[i]);
            tap_case(name, NULL);
        }
        (void)snprintf(name, sizeof name, "alone %s", sizes[i]);
        tap_case(name, "compaction:off");
    }
    tap_case("kept 100000", "purge_keep:1000000,compaction:off");
    return tap_done();
}
