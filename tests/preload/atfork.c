/* Fork handlers of other libraries may use the heap, whether they are registered before or after the heap's own, while
 * other threads are at work: no hang, no corruption, in parent and child. */
#include "tap.h"

#include <dlfcn.h>
#include <pthread.h>
#include <sys/mman.h>

enum { WORKERS = 2, FORKS = 300 };

static volatile bool stop;

static void *work(void *seed)
{
    unsigned x = (unsigned)(uintptr_t)seed;
    void *p[100] = {NULL};
    while (!stop) {
        x = x * 1103515245 + 12345;
        void **h = &p[x >> 16 & 63];
        free(*h);
        *h = malloc(x >> 8 & 4095);
        if ((x >> 20 & 255) == 0) {
            free(*h);
            *h = calloc(1, 200000);
        }
    }
    for (int i = 0; i < 100; i++)
        free(p[i]);
    return NULL;
}

static int child(void)
{
    tap_alarm(20);
    char *p[300];
    for (int i = 0; i < 300; i++)
        memset(p[i] = malloc((size_t)i * 20), i, (size_t)i * 20);
    for (int i = 0; i < 300; i++) {
        for (int k = 0; k < i * 20; k++)
            if (p[i][k] != (char)i)
                return 1;
        free(p[i]);
    }
    return 0;
}

static void fork_many(int n, const char *name)
{
    pthread_t t[WORKERS];
    int bad = 0;
    stop = false;
    for (uintptr_t i = 0; i < WORKERS; i++)
        (void)pthread_create(&t[i], NULL, work, (void *)(i + 1));
    for (int i = 0; i < n && bad == 0; i++) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(child());
        int status = -1;
        (void)waitpid(pid, &status, 0);
        bad += status != 0;
        if (status != 0)
            printf("# child %d: status %#x\n", i, (unsigned)status);
        free(malloc((size_t)i * 10));
    }
    stop = true;
    for (int i = 0; i < WORKERS; i++)
        (void)pthread_join(t[i], NULL);
    tap(bad == 0, "%s", name);
}

/* The module a second time: a copy in memory is another file to the loader. */
static void *open_copy(const char *path)
{
    char buf[4096], name[64];
    ssize_t n;
    int from = open(path, O_RDONLY | O_CLOEXEC), to = memfd_create("copy", MFD_CLOEXEC);
    while ((n = read(from, buf, sizeof buf)) > 0)
        if (write(to, buf, (size_t)n) != n)
            return NULL;
    (void)close(from);
    (void)snprintf(name, sizeof name, "/proc/self/fd/%d", to);
    return dlopen(name, RTLD_NOW);
}

static int with_handlers(void)
{
    int (*before)(void) = (int (*)(void))dlsym(RTLD_DEFAULT, "atfork_runs"); // preloaded
    void *lib = open_copy(tap_module("atfork"));
    int (*after)(void) = lib ? (int (*)(void))dlsym(lib, "atfork_runs") : NULL;
    if (!tap(before != NULL, "handlers are registered before the heap's") ||
        !tap(after != NULL && after != before, "and after them"))
        return tap_done();
    fork_many(FORKS, "forks with both, among busy threads");
    tap(before() >= 2 * FORKS && after() >= 2 * FORKS, "all handlers ran");
    return tap_done();
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1)
        return with_handlers();
    fork_many(FORKS, "forks among busy threads");
    const char *again[] = {"/proc/self/exe", "handlers", NULL}, *lib = getenv("LD_PRELOAD");
    char preload[8192];
    const char *env[] = {preload, NULL};
    tap_child_t c;
    (void)snprintf(preload, sizeof preload, "LD_PRELOAD=%s %s", lib ? lib : "", tap_module("atfork"));
    if (tap_start(&c, again, env))
        tap_finish(&c, 60);
    if (!tap(tap_exited(&c, 0) && strstr(c.out, "ok 4") != NULL, "fork handlers of other libraries use the heap"))
        printf("# %s\n", c.out);
    return tap_done();
}
