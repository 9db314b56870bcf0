/* A program goes quiet while something is still held: the heap must come together when that ends, without another call,
 * and then nothing must wake up. */
#include "objects.h"

#include <dirent.h>

static tm_handle_t held;
static volatile bool let_go, holding;

static void *hold_scope(void *unused)
{
    tm_scope_enter();
    (void)tm_deref(held);
    holding = true;
    while (!let_go)
        tap_sleep_ms(10);
    tm_scope_exit();
    tap_sleep_ms(4000);
    return unused;
}

static void *hold_pins(void *of)
{
    const heap_with_holes_t *heap = (const heap_with_holes_t *)of;
    for (size_t i = 0; i < heap->n; i += heap->every)
        (void)tm_pin(heap->h[i]);
    holding = true;
    while (!let_go)
        tap_sleep_ms(10);
    for (size_t i = 0; i < heap->n; i += heap->every)
        tm_unpin(heap->h[i]);
    tap_sleep_ms(60000); // to the end of the process: no call of this thread comes after
    return NULL;
}

/* In a scope, where a lock does not move its object first. */
static void *hold_locks(void *of)
{
    const heap_with_holes_t *heap = (const heap_with_holes_t *)of;
    tm_scope_enter();
    for (size_t i = 0; i < heap->n; i += heap->every)
        (void)tm_lock(heap->h[i]);
    tm_scope_exit();
    holding = true;
    while (!let_go)
        tap_sleep_ms(10);
    for (size_t i = 0; i < heap->n; i += heap->every)
        tm_unlock(heap->h[i]);
    tap_sleep_ms(60000); // to the end of the process: no call of this thread comes after
    return NULL;
}

/* Pins all objects for moments, and has none pinned in between: a look may find nothing, though each try of the mover
 * meets pins. */
static void *hold_in_turns(void *of)
{
    const heap_with_holes_t *heap = (const heap_with_holes_t *)of;
    holding = true;
    while (!let_go) {
        for (size_t i = 0; i < heap->n; i += heap->every)
            (void)tm_pin(heap->h[i]);
        tap_sleep_ms(2);
        for (size_t i = 0; i < heap->n; i += heap->every)
            tm_unpin(heap->h[i]);
    }
    tap_sleep_ms(60000); // to the end of the process: no call of this thread comes after
    return NULL;
}

static double committed_to_live(void)
{
    tm_stats_t s = stats_now();
    return (double)s.committed_bytes / (double)s.live_bytes;
}

/* Times that all threads of the process but the calling one have gone to sleep by themselves. */
static long sleeps_of_others(void)
{
    long sum = 0;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *e; (e = readdir(tasks)) != NULL;) {
        char path[300], text[4096];
        if (e->d_name[0] == '.' || atoi(e->d_name) == getpid())
            continue;
        (void)snprintf(path, sizeof path, "/proc/self/task/%s/status", e->d_name);
        FILE *f = fopen(path, "r");
        size_t n = f != NULL ? fread(text, 1, sizeof text - 1, f) : 0;
        if (f != NULL)
            (void)fclose(f);
        text[n] = '\0';
        const char *line = strstr(text, "\nvoluntary_ctxt_switches:");
        sum += line != NULL ? atol(line + 25) : 0;
    }
    (void)closedir(tasks);
    return sum;
}

static int comes_together_after(void *(*hold)(void *), bool throughout)
{
    enum { TRIES = 200 }; // 20 s, on a machine that is busy with other things
    pthread_t t;
    heap_with_holes_t heap = {60000, 500, 10, NULL, NULL};
    heap.h = (tm_handle_t *)calloc(heap.n, sizeof *heap.h);
    for (size_t i = 0; i < heap.n; i++)
        heap.h[i] = tm_alloc(heap.size);
    held = heap.h[0];
    MUST(pthread_create(&t, NULL, hold, &heap) == 0);
    while (!holding)
        tap_sleep_ms(1);
    for (size_t i = 0; i < heap.n; i++)
        if (i % heap.every != 0)
            tm_free(heap.h[i]);
    tap_sleep_ms(700);
    double before = committed_to_live();
    let_go = true;
    double after = committed_to_live();
    for (int i = 0; i < TRIES && after > 1.5; i++) {
        tap_sleep_ms(100);
        after = committed_to_live();
    }
    MUST(!throughout || before > 2); // the control: while it is held the heap does not come together
    MUST(after <= 1.5);
    bool quiet = false; // the mover gives back what is empty first
    for (int i = 0; i < TRIES / 10 && !quiet; i++) {
        long sleeps = sleeps_of_others();
        tap_sleep_ms(1000);
        quiet = sleeps_of_others() == sleeps;
    }
    MUST(quiet);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        if (strcmp(argv[1], "a scope") == 0)
            return comes_together_after(hold_scope, true);
        if (strcmp(argv[1], "pins in turns") == 0)
            return comes_together_after(hold_in_turns, false);
        return comes_together_after(strcmp(argv[1], "pins") == 0 ? hold_pins : hold_locks, true);
    }
    tap_case("a scope", NULL);
    tap_case("pins", NULL);
    tap_case("pins in turns", NULL);
    tap_case("locks", NULL);
    return tap_done();
}
