/* The system refuses what compaction lives by, from some moment on: threads, membarrier. Objects stay whole, and the
 * heap is compacted nevertheless. What the mover's thread inherits from the thread that starts it is here too. */
#include "objects.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

/* ---- no thread to be had ------------------------------------------------------------------------------------- */

static int refusals, refused;

/* In front of libc's. */
int pthread_create(pthread_t *out, const pthread_attr_t *attributes, void *(*start)(void *), void *arg)
{
    static int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    if (__atomic_load_n(&refusals, __ATOMIC_RELAXED) > 0) {
        __atomic_sub_fetch(&refusals, 1, __ATOMIC_RELAXED);
        __atomic_add_fetch(&refused, 1, __ATOMIC_RELAXED);
        return EAGAIN;
    }
    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
    return real(out, attributes, start, arg);
}

static size_t committed_for_live(void)
{
    tm_stats_t s = stats_now();
    return s.committed_bytes * 100 / s.live_bytes;
}

static int threads_of_ours(void)
{
    int n = 0;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *e; (e = readdir(tasks)) != NULL;) {
        char path[300], name[32] = "";
        (void)snprintf(path, sizeof path, "/proc/self/task/%s/comm", e->d_name);
        FILE *f = fopen(path, "r");
        if (f != NULL) {
            n += fgets(name, sizeof name, f) != NULL && strncmp(name, "tinymem", 7) == 0;
            (void)fclose(f);
        }
    }
    (void)closedir(tasks);
    return n;
}

/* Slow paths of a program that goes on: they carry the heap. */
static void tick_for(unsigned ms)
{
    enum { N = 200 };
    static tm_handle_t some[N];
    for (unsigned i = 0; i < ms * 4; i++) {
        for (size_t k = 0; k < N; k++)
            some[k] = tm_alloc(64);
        for (size_t k = 0; k < N; k++)
            tm_free(some[k]);
        (void)usleep(250);
    }
}

static int heap_without_threads(void)
{
    refusals = 1 << 30;
    heap_with_holes_t heap = make_holes(60000, 500, 10);
    size_t before = committed_for_live();
    tick_for(3000);
    size_t after = committed_for_live();
    printf("# committed %zu %% of live, then %zu %%; longest step %u us\n", before, after,
           (unsigned)(stats_now().longest_step_ns / 1000));
    MUST(refused >= 2 && refused <= 40); // at each try, with either size of stack; a try a second
    MUST(threads_of_ours() == 0);
    MUST(after < 200 && holes_intact(&heap));
    refusals = 0;
    heap_with_holes_t second = make_holes(60000, 500, 10);
    tick_for(1500);
    MUST(threads_of_ours() == 1); // asked for again
    MUST(committed_for_live() < 200 && holes_intact(&heap) && holes_intact(&second));
    return 0;
}

/* ---- membarrier refused later -------------------------------------------------------------------------------- */

static bool refuse(const int *calls, size_t n)
{
    struct sock_filter filter[16] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))};
    size_t k = 1;
    for (size_t i = 0; i < n; i++) {
        filter[k++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)calls[i], 0, 1);
        filter[k++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
    }
    filter[k++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {(unsigned short)k, filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) == 0;
}

enum { OBJECTS = 3000 };
static tm_handle_t shared[OBJECTS];
static volatile bool over;

/* Write under a pin, read in a scope: a move that does not see one of them is noticed. */
static void *write_and_read(void *part)
{
    uint64_t random = 1 + (uint64_t)(uintptr_t)part;
    size_t wrong = 0;
    while (!over) {
        size_t i = random_below(&random, OBJECTS / 3) * 3 + (uintptr_t)part;
        TM_PINNED(char, p, shared[i])
        {
            wrong += !intact(p, 100, i);
            fill(p, 100, i + 7);
            fill(p, 100, i);
        }
        tm_scope_enter();
        wrong += !intact(tm_deref(shared[i]), 100, i);
        tm_scope_exit();
    }
    return (void *)wrong;
}

static int beside_threads(const int *calls, size_t n, bool goes_on)
{
    pthread_t threads[3];
    for (size_t i = 0; i < OBJECTS; i++)
        fill_object(shared[i] = tm_alloc(100), 100, i);
    for (size_t t = 0; t < 3; t++)
        MUST(pthread_create(&threads[t], NULL, write_and_read, (void *)t) == 0);
    heap_with_holes_t first = make_holes(60000, 100, 10);
    tick_for(500);
    MUST(stats_now().asymmetric && stats_now().moved_objects > 0);
    MUST(refuse(calls, n));
    heap_with_holes_t second = make_holes(60000, 100, 10);
    tick_for(1000); // the mover finds out
    size_t moved = stats_now().moved_objects;
    heap_with_holes_t third = make_holes(60000, 100, 10);
    tick_for(2000);
    tm_stats_t s = stats_now();
    over = true;
    size_t wrong = 0;
    for (size_t t = 0; t < 3; t++) {
        void *result;
        MUST(pthread_join(threads[t], &result) == 0);
        wrong += (size_t)result;
    }
    MUST(wrong == 0 && holes_intact(&first) && holes_intact(&second) && holes_intact(&third));
    MUST(!s.asymmetric);
    MUST((s.moved_objects > moved) == goes_on); // moving goes on, or (the control) there is no fence left to be had
    return 0;
}

static int membarrier_refused(void) { return beside_threads((int[]){SYS_membarrier}, 1, true); }
static int all_fences_refused(void) { return beside_threads((int[]){SYS_membarrier, SYS_sched_setaffinity}, 2, false); }

/* In a child of fork the announcement is refused, or what was announced before does not count. */
static int child_of_membarrier_refused(void)
{
    heap_with_holes_t first = make_holes(60000, 100, 10);
    tick_for(300);
    MUST(refuse((int[]){SYS_membarrier}, 1));
    pid_t child = fork();
    if (child == 0) {
        pthread_t t;
        for (size_t i = 0; i < OBJECTS; i++)
            fill_object(shared[i] = tm_alloc(100), 100, i);
        if (pthread_create(&t, NULL, write_and_read, NULL) != 0)
            _exit(2);
        heap_with_holes_t second = make_holes(60000, 100, 10);
        tick_for(500);
        size_t moved = stats_now().moved_objects;
        heap_with_holes_t third = make_holes(60000, 100, 10);
        tick_for(1500);
        over = true;
        void *wrong;
        (void)pthread_join(t, &wrong);
        bool good = wrong == NULL && stats_now().moved_objects > moved && holes_intact(&first) &&
                    holes_intact(&second) && holes_intact(&third);
        _exit(good ? 0 : 1);
    }
    int status;
    MUST(waitpid(child, &status, 0) == child && status == 0);
    return 0;
}

/* ---- what the mover inherits --------------------------------------------------------------------------------- */

static char line_of_mover[400];
static cpu_set_t cpus_of_mover;
static int policy_of_mover, nice_of_mover;

/* What the thread named tinymem-mover is. */
static bool look_at_mover(void)
{
    DIR *tasks = opendir("/proc/self/task");
    bool found = false;
    for (struct dirent *e; (e = readdir(tasks)) != NULL;) {
        char path[300];
        (void)snprintf(path, sizeof path, "/proc/self/task/%s/comm", e->d_name);
        FILE *f = fopen(path, "r");
        if (f == NULL)
            continue;
        if (fgets(line_of_mover, sizeof line_of_mover, f) != NULL && strcmp(line_of_mover, "tinymem-mover\n") == 0) {
            pid_t tid = atoi(e->d_name);
            found = true;
            (void)sched_getaffinity(tid, sizeof cpus_of_mover, &cpus_of_mover);
            policy_of_mover = sched_getscheduler(tid);
            nice_of_mover = getpriority(PRIO_PROCESS, (id_t)tid);
        }
        (void)fclose(f);
    }
    (void)closedir(tasks);
    return found;
}

static void *start_mover(void *unused)
{
    cpu_set_t one;
    struct sched_param high = {.sched_priority = 10};
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    (void)sched_setaffinity(0, sizeof one, &one);
    (void)setpriority(PRIO_PROCESS, 0, -5); // these two need privileges, and are tried with what there are
    (void)sched_setscheduler(0, SCHED_FIFO, &high);
    (void)prctl(PR_SET_NAME, "audio");
    heap_with_holes_t heap = make_holes(60000, 100, 10);
    tick_for(300);
    return unused ? NULL : (void *)(uintptr_t)holes_intact(&heap);
}

static int mover_is_nobodys(void)
{
    pthread_t t;
    void *good;
    cpu_set_t mine;
    MUST(sched_getaffinity(0, sizeof mine, &mine) == 0);
    MUST(pthread_create(&t, NULL, start_mover, NULL) == 0 && pthread_join(t, &good) == 0 && good != NULL);
    MUST(look_at_mover());
    MUST(CPU_EQUAL(&mine, &cpus_of_mover));
    MUST(policy_of_mover == SCHED_OTHER && nice_of_mover >= 0);
    MUST(setuid(getuid()) == 0); // libc waits for an answer of each thread
    return 0;
}

/* A process that was started on one CPU keeps to it. */
static int mover_keeps_to_the_processs_cpus(void)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    MUST(sched_setaffinity(0, sizeof one, &one) == 0);
    tap_child_t c;
    tap_self(&c, "mover_is_nobodys", NULL);
    MUST(tap_exited(&c, 0));
    return 0;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(void);
    } cases[] = {
        {"heap_without_threads", heap_without_threads},
        {"membarrier_refused", membarrier_refused},
        {"all_fences_refused", all_fences_refused},
        {"child_of_membarrier_refused", child_of_membarrier_refused},
        {"mover_is_nobodys", mover_is_nobodys},
        {"mover_keeps_to_the_processs_cpus", mover_keeps_to_the_processs_cpus},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (argc < 2)
            tap_case(cases[i].name, NULL);
        else if (strcmp(argv[1], cases[i].name) == 0)
            return cases[i].run();
    }
    return tap_done();
}
