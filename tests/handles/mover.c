/* The mover at run time: its mode, share and target, pauses that nest, the function that is told of batches, and where
 * all that is seen. */
#include "objects.h"

#include <dirent.h>
#include <tinymem/heap.h>

enum { HOLES = 30000, SIZE = 200, EVERY = 10, PATIENCE_MS = 5000 };

static size_t moved(void) { return stats_now().moved_objects; }

/* Whether the background moves something within some time, when there is something to gain. */
static bool moves_by_itself(unsigned ms)
{
    heap_with_holes_t heap = make_holes(HOLES, SIZE, EVERY);
    size_t before = moved();
    bool did = false;
    for (unsigned waited = 0; waited < ms && !did; waited += 10) {
        tm_free(tm_alloc(100000)); // a slow path, which wakes it
        tap_sleep_ms(10);
        did = moved() > before;
    }
    free_holes(&heap);
    return did;
}

static bool moves_by_request(void)
{
    heap_with_holes_t heap = make_holes(HOLES, SIZE, EVERY);
    size_t before = moved();
    (void)tm_compact();
    bool did = moved() > before;
    free_holes(&heap);
    return did;
}

static int modes_are_obeyed(void)
{
    MUST(tm_mover_set(TM_MOVER_OFF, TM_MOVER_KEEP, TM_MOVER_KEEP) && stats_now().mover_mode == TM_MOVER_OFF);
    MUST(!moves_by_itself(300) && !moves_by_request() && !tm_compact_step(100));
    MUST(tm_mover_set(TM_MOVER_MANUAL, TM_MOVER_KEEP, TM_MOVER_KEEP) && stats_now().mover_mode == TM_MOVER_MANUAL);
    MUST(!moves_by_itself(300) && moves_by_request());
    MUST(tm_mover_set(TM_MOVER_BACKGROUND, 50, 5) && moves_by_itself(PATIENCE_MS));
    tm_stats_t s = stats_now();
    MUST(s.mover_mode == TM_MOVER_BACKGROUND && s.mover_share == 50 && s.mover_target == 5);
    MUST(tm_mover_set(TM_MOVER_KEEP, TM_MOVER_KEEP, 7) && stats_now().mover_share == 50);
    MUST(stats_now().mover_target == 7);
    MUST(tm_mover_set(TM_MOVER_OFF, TM_MOVER_KEEP, TM_MOVER_KEEP) && !moves_by_itself(300));
    return 0;
}

static int odd_values_are_refused(void)
{
    static const int odd[][3] = {{-2, -1, -1}, {3, -1, -1}, {-1, 0, -1}, {-1, 101, -1}, {-1, -2, -1},
                                 {-1, -1, -2}, {-1, -1, 1001}, {2, 50, 1001}};
    tm_stats_t before = stats_now();
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        errno = 0;
        MUST(!tm_mover_set(odd[i][0], odd[i][1], odd[i][2]) && errno == EINVAL);
    }
    tm_stats_t s = stats_now();
    MUST(s.mover_mode == before.mover_mode && s.mover_share == before.mover_share);
    MUST(s.mover_target == before.mover_target);
    return 0;
}

static void *resume_there(void *unused)
{
    tm_mover_resume();
    return unused;
}

static int pauses_nest(void)
{
    pthread_t t;
    tm_mover_pause();
    tm_mover_pause();
    MUST(stats_now().mover_paused == 2);
    heap_with_holes_t heap = make_holes(HOLES, SIZE, EVERY);
    size_t before = moved();
    (void)tm_compact();
    MUST(!tm_compact_step(100) && moved() == before);
    MUST((uintptr_t)tm_lock(heap.h[0]) == heap.at[0]); // stays, too
    tm_unlock(heap.h[0]);
    MUST(pthread_create(&t, NULL, resume_there, NULL) == 0 && pthread_join(t, NULL) == 0);
    (void)tm_compact();
    MUST(stats_now().mover_paused == 1 && holes_moved(&heap) == 0 && holes_intact(&heap));
    tm_mover_resume();
    (void)tm_compact();
    MUST(stats_now().mover_paused == 0 && moved() > before && holes_intact(&heap));
    free_holes(&heap);
    return 0;
}

static bool stop;

static void *compact_always(void *unused)
{
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        heap_with_holes_t heap = make_holes(3000, SIZE, 41);
        (void)tm_compact();
        while (tm_compact_step(5)) {
        }
        free_holes(&heap);
    }
    return unused;
}

/* Addresses that were looked up are good in a pause, while others ask for moves all the time. */
static int in_a_pause_addresses_hold(void)
{
    enum { OBJECTS = 500, PAUSES = 300 };
    static tm_handle_t h[OBJECTS];
    static uintptr_t at[OBJECTS];
    pthread_t t[2];
    size_t before = moved();
    for (size_t i = 0; i < OBJECTS; i++) {
        h[i] = tm_alloc(SIZE);
        fill_object(h[i], SIZE, i);
    }
    for (int i = 0; i < 2; i++)
        MUST(pthread_create(&t[i], NULL, compact_always, NULL) == 0);
    for (int k = 0; k < PAUSES; k++) {
        tm_mover_pause();
        size_t in_the_pause = moved();
        for (size_t i = 0; i < OBJECTS; i++)
            at[i] = place_of(h[i]);
        sched_yield();
        for (size_t i = 0; i < OBJECTS; i++)
            MUST(intact((void *)at[i], SIZE, i) && place_of(h[i]) == at[i]);
        MUST(moved() == in_the_pause);
        tm_mover_resume();
        tap_sleep_ms(1);
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    for (int i = 0; i < 2; i++)
        (void)pthread_join(t[i], NULL);
    MUST(moved() > before); // between the pauses
    return 0;
}

typedef struct log {
    size_t calls, batches, moved, bytes, wrong;
} log_t;

static void note(const tm_batch_t *batch, void *context)
{
    log_t *log = (log_t *)context;
    log->calls++;
    log->batches += batch->batches;
    log->moved += batch->moved_objects;
    log->bytes += batch->moved_bytes;
    log->wrong += batch->struct_size != sizeof *batch;
    tm_free(tm_alloc(SIZE)); // everything may be called
    (void)tm_compact();
}

static int batches_are_told(void)
{
    log_t log = {0, 0, 0, 0, 0};
    tm_stats_t before = stats_now();
    tm_mover_on_batch(note, &log);
    heap_with_holes_t heap = make_holes(HOLES, SIZE, EVERY);
    (void)tm_compact();
    tm_stats_t after = stats_now();
    MUST(log.calls == 1 && log.wrong == 0 && log.batches > 0);
    MUST(log.moved > 0 && log.moved <= after.moved_objects - before.moved_objects && log.bytes >= log.moved * SIZE);
    free_holes(&heap);
    tm_mover_on_batch(NULL, NULL);
    MUST(moves_by_request() && log.calls == 1);
    return 0;
}

static int the_background_tells_too(void)
{
    log_t log = {0, 0, 0, 0, 0};
    tm_mover_on_batch(note, &log);
    MUST(moves_by_itself(PATIENCE_MS));
    tap_sleep_ms(100);
    tm_mover_on_batch(NULL, NULL); // from here on it does not run
    MUST(log.calls > 0 && log.moved > 0);
    return 0;
}

static int the_thread_has_a_name(void)
{
    MUST(moves_by_itself(PATIENCE_MS));
    DIR *tasks = opendir("/proc/self/task");
    bool found = false;
    for (struct dirent *e; (e = readdir(tasks)) != NULL;) {
        char path[300], name[32] = "";
        (void)snprintf(path, sizeof path, "/proc/self/task/%s/comm", e->d_name);
        FILE *f = fopen(path, "r");
        if (f != NULL) {
            found |= fgets(name, sizeof name, f) != NULL && strcmp(name, "tinymem-mover\n") == 0;
            (void)fclose(f);
        }
    }
    (void)closedir(tasks);
    MUST(found);
    return 0;
}

static int figures_tell(void)
{
    static char json[1 << 20];
    tm_heap_stats_t s = {.struct_size = sizeof s};
    MUST(moves_by_request() && tm_mover_set(TM_MOVER_MANUAL, TM_MOVER_KEEP, TM_MOVER_KEEP));
    tm_mover_pause();
    tm_heap_stats(&s);
    MUST(s.moved > 0 && s.batches > 0 && s.mover_mode == TM_MOVER_MANUAL && s.mover_paused == 1);
    MUST(tm_stats_json(json, sizeof json) < sizeof json);
    MUST(strstr(json, "\"mover_mode\":1,") != NULL && strstr(json, "\"mover_paused\":1") != NULL);
    tm_mover_resume();
    return 0;
}

static int resume_without_a_pause(void)
{
    tm_mover_pause();
    tm_mover_resume();
    tm_mover_resume();
    return 0;
}

#define MANUAL "compaction:manual"
static const trial_t trials[] = {
    TRIAL(modes_are_obeyed, "compaction:background", MANUAL),
    TRIAL(odd_values_are_refused, "compaction:background"),
    TRIAL(pauses_nest, MANUAL),
    TRIAL(in_a_pause_addresses_hold, MANUAL, "compaction:background"),
    TRIAL(batches_are_told, MANUAL),
    TRIAL(the_background_tells_too, "compaction:background"),
    TRIAL(the_thread_has_a_name, "compaction:background"),
    TRIAL(figures_tell, MANUAL),
};

int main(int argc, char **argv)
{
    tap_child_t c;
    if (argc > 1 && strcmp(argv[1], "resume_without_a_pause") == 0)
        return resume_without_a_pause();
    int status = run_trials(trials, sizeof trials / sizeof *trials, argc > 1 ? argv[1] : NULL);
    if (argc > 1)
        return status;
    tap_self(&c, "resume_without_a_pause", NULL);
    tap(tap_aborted_saying(&c, "tinymem: tm_mover_resume(@): the mover is not paused"),
        "a resume without a pause is reported");
    return tap_done();
}
