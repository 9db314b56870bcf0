/* Compaction by request: objects move with their contents, pinned ones stay, memory falls, loops over steps end; in
 * every mode, with every fence, and where the kernel has none. Each case is a process of its own. */
#include "objects.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static int moves_and_keeps_contents(void)
{
    static const size_t sizes[] = {16, 100, 500, 1000, 1024, 3000, 20000, 60000};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        heap_with_holes_t heap = make_holes((8 << 20) / sizes[s], sizes[s], 10);
        tm_stats_t before = stats_now();
        size_t gained = tm_compact();
        tm_stats_t after = stats_now();
        MUST(holes_intact(&heap));
        MUST(holes_moved(&heap) >= heap.n / 10 / 2);
        MUST(after.moved_objects > before.moved_objects && after.moved_bytes > before.moved_bytes &&
             after.batches > before.batches);
        MUST(after.committed_bytes < before.committed_bytes && gained > 0);
        size_t books = after.live_objects * 5; // references and bits
        MUST(after.committed_bytes <= after.live_bytes + after.live_bytes / 10 + books + (64 << 10) + 2 * sizes[s]);
        MUST(after.live_objects == before.live_objects && after.time_ns > before.time_ns);
        free_holes(&heap);
    }
    return 0;
}

/* Of every tenth object that lives a third is pinned, a third locked, and the rest may move. */
static int held_objects_stay(void)
{
    heap_with_holes_t heap = make_holes(30000, 100, 10);
    size_t nth = 0;
    for (size_t i = 0; i < heap.n; i += 10, nth++)
        if (nth % 30 == 0)
            MUST((uintptr_t)tm_pin(heap.h[i]) == heap.at[i]);
        else if (nth % 30 == 1)
            heap.at[i] = (uintptr_t)tm_lock(heap.h[i]); // which may move it first
    (void)tm_compact();
    nth = 0;
    for (size_t i = 0; i < heap.n; i += 10, nth++)
        MUST(nth % 30 > 1 || place_of(heap.h[i]) == heap.at[i]);
    MUST(holes_intact(&heap));
    nth = 0;
    for (size_t i = 0; i < heap.n; i += 10, nth++)
        if (nth % 30 == 0)
            tm_unpin(heap.h[i]);
        else if (nth % 30 == 1)
            tm_unlock(heap.h[i]);
    (void)tm_compact(); // at once, though these could not be moved a moment ago
    MUST(holes_moved(&heap) >= heap.n / 10 / 2 && holes_intact(&heap));
    MUST(stats_now().committed_bytes < heap.n / 10 * 112 * 3 / 2 + (128 << 10));
    free_holes(&heap);
    return 0;
}

static int in_a_scope_it_returns_at_once(void)
{
    heap_with_holes_t heap = make_holes(30000, 100, 10);
    tm_scope_enter();
    void *p = tm_deref(heap.h[0]);
    MUST(tm_compact() == 0 && !tm_compact_step(1000));
    MUST((uintptr_t)p == heap.at[0] && intact(p, 100, 0));
    tm_scope_exit();
    MUST(tm_compact() > 0);
    free_holes(&heap);
    return 0;
}

typedef struct other {
    pthread_barrier_t ready, done;
    tm_handle_t h;
    uintptr_t at;
    bool good;
} other_t;

/* Another thread sleeps in a scope: what it has looked up stays where it is for as long. */
static void *sleep_in_a_scope(void *arg)
{
    other_t *o = (other_t *)arg;
    tm_scope_enter();
    char *p = (char *)tm_deref(o->h);
    o->at = (uintptr_t)p;
    (void)pthread_barrier_wait(&o->ready);
    (void)pthread_barrier_wait(&o->done);
    o->good = intact(p, 100, 0);
    memset(p, 1, 100);
    o->good &= place_of(o->h) == o->at;
    fill(p, 100, 0);
    tm_scope_exit();
    return NULL;
}

static int scopes_of_others_are_respected(void)
{
    heap_with_holes_t heap = make_holes(30000, 100, 10);
    other_t o = {.h = heap.h[0]};
    pthread_t t;
    (void)pthread_barrier_init(&o.ready, NULL, 2);
    (void)pthread_barrier_init(&o.done, NULL, 2);
    MUST(pthread_create(&t, NULL, sleep_in_a_scope, &o) == 0);
    (void)pthread_barrier_wait(&o.ready);
    double begun = tap_now();
    (void)tm_compact();
    (void)tm_compact_step(100);
    MUST(tap_now() - begun < 20);
    (void)pthread_barrier_wait(&o.done);
    (void)pthread_join(t, NULL);
    MUST(o.good && holes_intact(&heap));
    (void)tm_compact();
    MUST(holes_moved(&heap) > 0 && holes_intact(&heap));
    free_holes(&heap);
    return 0;
}

static int a_loop_over_steps_ends(void)
{
    heap_with_holes_t heap = make_holes(100000, 100, 10);
    size_t steps = 0, before = stats_now().committed_bytes;
    double begun = tap_now();
    while (tm_compact_step(5) && tap_now() - begun < 20)
        steps++;
    MUST(tap_now() - begun < 20);
    MUST(holes_intact(&heap));
    if (strstr(getenv("TINYMEM"), "background") == NULL) // else the thread may be first
        MUST(steps > 100 && holes_moved(&heap) > 0 && stats_now().committed_bytes < before / 2 &&
             stats_now().longest_step_ns > 0);
    free_holes(&heap);
    return 0;
}

/* Pins beyond the stack are locks, so that this holds for those too. */
static int a_loop_over_steps_ends_with_everything_pinned(void)
{
    heap_with_holes_t heap = make_holes(50000, 100, 10);
    for (size_t i = 0; i < heap.n; i += 10)
        MUST((uintptr_t)tm_pin(heap.h[i]) == heap.at[i]);
    double begun = tap_now();
    size_t steps = 0;
    for (int loop = 0; loop < 5; loop++)
        while (tm_compact_step(5) && tap_now() - begun < 20)
            steps++;
    MUST(tap_now() - begun < 20);
    (void)tm_compact();
    MUST(holes_moved(&heap) == 0);
    for (size_t i = 0; i < heap.n; i += 10)
        tm_unpin(heap.h[i]);
    MUST(holes_intact(&heap));
    free_holes(&heap);
    return 0;
}

static int off_means_never(void)
{
    heap_with_holes_t heap = make_holes(50000, 100, 10);
    (void)tm_compact();
    while (tm_compact_step(100)) {
    }
    tap_sleep_ms(300);
    MUST(stats_now().moved_objects == 0 && holes_moved(&heap) == 0 && holes_intact(&heap));
    free_holes(&heap);
    return 0;
}

static int threads_now(void)
{
    char line[256];
    int n = -1;
    FILE *f = fopen("/proc/self/status", "re");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, "Threads:", 8) == 0)
            n = atoi(line + 8);
    if (f != NULL)
        (void)fclose(f);
    return n;
}

static int manual_means_by_request(void)
{
    heap_with_holes_t heap = make_holes(50000, 100, 10);
    tap_sleep_ms(300);
    MUST(threads_now() == 1 && stats_now().moved_objects == 0 && holes_moved(&heap) == 0);
    (void)tm_compact();
    MUST(holes_moved(&heap) > 0 && threads_now() == 1);
    free_holes(&heap);
    return 0;
}

static int background_moves_by_itself(void)
{
    heap_with_holes_t heap = make_holes(200000, 100, 10);
    size_t wanted = heap.n / 10 * 112 * 3 / 2 + (1 << 20);
    for (double begun = tap_now(); stats_now().committed_bytes > wanted && tap_now() - begun < 10;)
        tap_sleep_ms(10);
    MUST(holes_intact(&heap));
    MUST(stats_now().committed_bytes <= wanted && stats_now().moved_objects > 0 && holes_moved(&heap) > 0);
    MUST(threads_now() == 2);
    free_holes(&heap);
    return 0;
}

/* ---- fences ------------------------------------------------------------------------------------------------------ */

static void *idle_with_handles(void *arg)
{
    other_t *o = (other_t *)arg;
    tm_handle_t h = tm_alloc(10);
    (void)pthread_barrier_wait(&o->ready);
    (void)pthread_barrier_wait(&o->done);
    tm_free(h);
    return NULL;
}

static int compact_beside_a_thread(tm_stats_t *s)
{
    other_t o;
    pthread_t t;
    (void)pthread_barrier_init(&o.ready, NULL, 2);
    (void)pthread_barrier_init(&o.done, NULL, 2);
    MUST(pthread_create(&t, NULL, idle_with_handles, &o) == 0);
    (void)pthread_barrier_wait(&o.ready);
    heap_with_holes_t heap = make_holes(50000, 100, 10);
    (void)tm_compact();
    *s = stats_now();
    MUST(holes_moved(&heap) > 0 && holes_intact(&heap));
    (void)pthread_barrier_wait(&o.done);
    (void)pthread_join(t, NULL);
    free_holes(&heap);
    return 0;
}

static int fence_where_there_is_none(void)
{
    tm_stats_t s;
    MUST(compact_beside_a_thread(&s) == 0);
    MUST(!s.asymmetric && s.fences_expedited == 0 && s.fences_global == 0 && s.fences_none > 0);
    return 0;
}

static int fence_by_request_is_expedited(void)
{
    tm_stats_t s;
    MUST(compact_beside_a_thread(&s) == 0);
    MUST(s.asymmetric && s.fences_expedited > 0);
    return 0;
}

/* From now on membarrier fails in all threads of this process. */
static bool forbid_membarrier(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) == 0 &&
           syscall(SYS_membarrier, 0, 0, 0) < 0;
}

static int forbidden_from_the_start(void)
{
    MUST(forbid_membarrier());
    MUST(fence_where_there_is_none() == 0);
    MUST(moves_and_keeps_contents() == 0);
    MUST(held_objects_stay() == 0);
    MUST(scopes_of_others_are_respected() == 0);
    return 0;
}

/* With and without the filter; refused.c has threads that pin beside it. */
static int forbidden_later(bool forbid)
{
    other_t o;
    pthread_t t;
    (void)pthread_barrier_init(&o.ready, NULL, 2);
    (void)pthread_barrier_init(&o.done, NULL, 2);
    MUST(pthread_create(&t, NULL, idle_with_handles, &o) == 0);
    (void)pthread_barrier_wait(&o.ready);
    heap_with_holes_t first = make_holes(50000, 100, 10);
    (void)tm_compact();
    MUST(holes_moved(&first) > 0);
    MUST(!forbid || forbid_membarrier());
    heap_with_holes_t second = make_holes(50000, 200, 10);
    for (int i = 0; i < 3; i++) {
        (void)tm_compact();
        for (int k = 0; k < 1000 && tm_compact_step(100); k++) {
        }
    }
    tap_sleep_ms(200);
    MUST(stats_now().asymmetric != forbid && holes_moved(&second) > 0);
    MUST(holes_intact(&first) && holes_intact(&second));
    (void)pthread_barrier_wait(&o.done);
    (void)pthread_join(t, NULL);
    free_holes(&first);
    free_holes(&second);
    heap_with_holes_t third = make_holes(20000, 300, 10);
    MUST(holes_intact(&third));
    free_holes(&third);
    return 0;
}

static int forbidden_only_later_it_goes_on_too(void) { return forbidden_later(true); }
static int control_not_forbidden_it_goes_on(void) { return forbidden_later(false); }

/* ---- which case with which options ------------------------------------------------------------------------------- */

#define ALL_MODES                                                                                                 \
    "compaction:manual", "compaction:background", "compaction:manual,check:full", "compaction:manual,fence:none", \
        "compaction:manual,fence:global", "compaction:manual,fence:expedited"
#define MANUAL "compaction:manual"

static const trial_t trials[] = {
    TRIAL(moves_and_keeps_contents, MANUAL, "compaction:manual,check:full", "compaction:manual,fence:none",
         "compaction:manual,fence:global", "compaction:manual,fence:expedited"),
    TRIAL(held_objects_stay, MANUAL, "compaction:manual,check:full", "compaction:manual,fence:none",
         "compaction:manual,fence:global", "compaction:manual,fence:expedited"),
    TRIAL(in_a_scope_it_returns_at_once, MANUAL, "compaction:manual,fence:none"),
    TRIAL(scopes_of_others_are_respected, ALL_MODES),
    TRIAL(a_loop_over_steps_ends, ALL_MODES),
    TRIAL(a_loop_over_steps_ends_with_everything_pinned, MANUAL, "compaction:manual,fence:none"),
    TRIAL(off_means_never, "compaction:off", "compaction:off,check:full"),
    TRIAL(manual_means_by_request, MANUAL),
    TRIAL(background_moves_by_itself, "compaction:background", "compaction:background,fence:none",
         "compaction:background,fence:expedited", "compaction:background,fence:global",
         "compaction:background,compact_cpu:100",
         "compaction:background,batch_objects:64,batch_kib:8,compact_cpu:100,fence:expedited"),
    TRIAL(fence_where_there_is_none, "compaction:manual,fence:none"),
    TRIAL(fence_by_request_is_expedited, MANUAL, "compaction:manual,fence:global"),
    TRIAL(forbidden_from_the_start, MANUAL),
    TRIAL(forbidden_only_later_it_goes_on_too, MANUAL, "compaction:background"),
    TRIAL(control_not_forbidden_it_goes_on, MANUAL, "compaction:background"),
};

int main(int argc, char **argv)
{
    int status = run_trials(trials, sizeof trials / sizeof *trials, argc > 1 ? argv[1] : NULL);
    return argc > 1 ? status : tap_done();
}
