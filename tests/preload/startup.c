/* The heap works before constructors and after destructors: with libraries in front of it and behind it in LD_PRELOAD,
 * in libraries that are opened, at exit, in destructors of thread-specific data, when a program is set up by vfork and
 * posix_spawn, and in ones that only a single thread may do things in (unshare, setns). */
#include "tap.h"

#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <spawn.h>

extern char **environ;

static bool use_heap(void)
{
    bool good = true;
    for (size_t size = 1; size < 300000; size *= 2) {
        char *p = malloc(size), *q = calloc(1, size);
        good &= p != NULL && q != NULL && q[size - 1] == 0;
        memset(p, 1, size);
        p = realloc(p, size * 2);
        good &= p != NULL && p[size - 1] == 1;
        free(p);
        free(q);
    }
    return good;
}

static char *at_exit_block;

static void at_exit(void)
{
    free(at_exit_block);
    if (!use_heap())
        _exit(98);
}

static char *destructor_block;

__attribute__((constructor)) static void before_main(void) { destructor_block = strdup("before main"); }

__attribute__((destructor)) static void after_main(void)
{
    if (strcmp(destructor_block, "before main") != 0)
        _exit(97);
    free(destructor_block);
    if (!use_heap())
        _exit(96);
}

static int live_and_exit(void)
{
    at_exit_block = malloc(100);
    (void)atexit(at_exit);
    return use_heap() ? 0 : 1;
}

static void preload_order(const char *name, const char *format)
{
    tap_child_t c;
    char preload[8192];
    const char *argv[] = {"/proc/self/exe", "live", NULL}, *env[] = {preload, "EARLY_SAYS_BYE=1", NULL};
    const char *lib = getenv("LD_PRELOAD");
    (void)snprintf(preload, sizeof preload, format, lib ? lib : "", tap_module("early"));
    if (tap_start(&c, argv, env))
        tap_finish(&c, 30);
    tap(tap_exited(&c, 99) && strcmp(c.err, "bye\n") == 0, "%s", name);
}

static void libraries_around(void)
{
    tap_child_t c;
    tap_self(&c, "live", NULL);
    tap(tap_exited(&c, 0) && c.err[0] == '\0', "allocation before main, at exit and in destructors");
    preload_order("a library preloaded behind, whose constructor runs first", "LD_PRELOAD=%s %s");
    preload_order("a library preloaded in front", "LD_PRELOAD=%2$s %1$s");
}

static void opened_libraries(void)
{
    bool good = true;
    for (int i = 0; i < 50 && good; i++) {
        void *lib = dlopen(tap_module("early"), RTLD_NOW);
        char *(*block)(void) = lib ? (char *(*)(void))dlsym(lib, "early_block") : NULL;
        good = block != NULL && strcmp(block(), "made in a constructor") == 0 && dlclose(lib) == 0;
    }
    tap(good, "constructors and destructors of opened libraries");
    tap(dlopen("/nowhere/there-is-none.so", RTLD_NOW) == NULL && dlerror() != NULL, "a library that cannot be opened");
}

static void *open_in_thread(void *result)
{
    for (int i = 0; i < 30; i++) {
        void *lib = dlopen(tap_module("early"), RTLD_LAZY);
        if (lib == NULL || dlclose(lib) != 0)
            return NULL;
    }
    return result;
}

static void opened_in_a_thread(void)
{
    pthread_t t;
    void *result = NULL;
    if (pthread_create(&t, NULL, open_in_thread, &result) == 0)
        (void)pthread_join(t, &result);
    tap(result != NULL, "libraries opened in another thread");
}

static pthread_key_t keys[3];
static int destructor_runs;

/* Frees what it gets, allocates, and comes back twice. */
static void key_destructor(void *value)
{
    char *p = malloc(200);
    memset(p, 1, 200);
    int round = *(char *)value;
    free(value);
    free(p);
    (void)use_heap();
    (void)__atomic_add_fetch(&destructor_runs, 1, __ATOMIC_RELAXED);
    if (round < 3) {
        char *again = malloc(1);
        *again = (char)(round + 1);
        for (int i = 0; i < 3; i++)
            if (pthread_getspecific(keys[i]) == NULL) {
                (void)pthread_setspecific(keys[i], again);
                return;
            }
        free(again);
    }
}

static void *leave_values(void *unused)
{
    for (int i = 0; i < 3; i++) {
        char *p = malloc(1);
        *p = 0;
        (void)pthread_setspecific(keys[i], p);
    }
    return unused;
}

static void thread_specific_data(void)
{
    for (int i = 0; i < 3; i++)
        (void)pthread_key_create(&keys[i], key_destructor);
    size_t before = mallinfo2().uordblks;
    for (int i = 0; i < 50; i++) {
        pthread_t t;
        if (pthread_create(&t, NULL, leave_values, NULL) == 0)
            (void)pthread_join(t, NULL);
    }
    size_t after = mallinfo2().uordblks;
    tap(destructor_runs >= 150, "destructors of thread-specific data allocate and free (%d runs)", destructor_runs);
    tap(after <= before + 4096, "and nothing is left of them (%zu bytes more)", after - before);
}

static void other_ways_to_start(void)
{
    const char *argv[] = {"/proc/self/exe", "live", NULL};
    char *p = malloc(100);
    strcpy(p, "parent's");
    volatile bool good = true;
    for (volatile int i = 0; i < 20; i++) {
        pid_t pid = vfork();
        if (pid == 0) {
            (void)execv(argv[0], (char *const *)argv);
            _exit(127);
        }
        int status = -1;
        good = good && pid > 0 && waitpid(pid, &status, 0) == pid && status == 0 && use_heap();
    }
    tap(good && strcmp(p, "parent's") == 0, "vfork and exec");
    good = true;
    for (int i = 0; i < 20; i++) {
        pid_t pid = -1;
        int status = -1;
        good = good && posix_spawn(&pid, "/proc/self/exe", NULL, NULL, (char *const *)argv, environ) == 0 &&
                waitpid(pid, &status, 0) == pid && status == 0 && use_heap();
    }
    tap(good, "posix_spawn");
    FILE *f = popen("echo through a shell", "re");
    char line[64] = "";
    tap(f != NULL && fgets(line, sizeof line, f) != NULL && pclose(f) == 0 && strcmp(line, "through a shell\n") == 0,
        "popen");
    tap(system("exit 7") >> 8 == 7, "system");
    free(p);
}

/* The kernel allows these in processes of one thread only. */
static int what_only_one_thread_may(void)
{
    char *p[5000];
    for (int i = 0; i < 5000; i++)
        memset(p[i] = malloc(4000), 1, 4000);
    for (int i = 0; i < 5000; i++)
        free(p[i]); // 20 MB to be purged: nobody is hired for it
    for (int i = 0; i < 30; i++) {
        tap_sleep_ms(10);
        free(malloc(100));
    }
    int fd = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    bool ns = fd >= 0 && (setns(fd, CLONE_NEWNS) == 0 || errno == EPERM);
    if (unshare(CLONE_NEWUSER) != 0)
        return errno == EINVAL ? 1 : errno == EPERM || errno == ENOSPC || errno == ENOSYS ? 77 : 2;
    return ns && use_heap() ? 0 : 3;
}

static void single_threaded_programs_stay_so(void)
{
    tap_child_t c;
    tap_self(&c, "single", NULL);
    if (c.status >> 8 == 77)
        tap_skip("unshare and setns work", "not allowed here");
    else
        tap(tap_exited(&c, 0), "unshare(CLONE_NEWUSER) and setns work: no thread was started");
}

static void *wait_for_the_end(void *fd)
{
    char c;
    (void)!read(*(int *)fd, &c, 1);
    return NULL;
}

/* Control for the above: with a second thread the kernel refuses. */
static int control_second_thread(void)
{
    int ends[2];
    pthread_t t;
    if (pipe(ends) != 0 || pthread_create(&t, NULL, wait_for_the_end, &ends[0]) != 0)
        return 5;
    return unshare(CLONE_NEWUSER) != 0 && errno == EINVAL ? 0 : 6;
}

int main(int argc, char **argv)
{
    const char *which = argc > 1 ? argv[1] : "";
    if (strcmp(which, "live") == 0)
        return live_and_exit();
    if (strcmp(which, "single") == 0)
        return what_only_one_thread_may();
    if (strcmp(which, "control") == 0)
        return control_second_thread();
    at_exit_block = malloc(1);
    libraries_around();
    opened_libraries();
    opened_in_a_thread();
    thread_specific_data();
    other_ways_to_start();
    single_threaded_programs_stay_so();
    tap_child_t c;
    tap_self(&c, "control", NULL);
    tap(tap_exited(&c, 0), "control: with a second thread the kernel refuses");
    return tap_done();
}
