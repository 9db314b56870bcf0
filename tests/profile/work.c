/* work MODE - allocates at known sites. Each is a function of its own, named site_*. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <tinymem/profile.h>
#include <tinymem/tinymem.h>
#include <unistd.h>

#define SITE __attribute__((noinline))
enum { MANY = 20000 };
static void *volatile kept[MANY * 4];
static tm_handle_t handles[MANY];
static size_t nkept;

static void *touch(void *p)
{
    *(volatile char *)p = 1;
    return p;
}

static void keep(void *p) { kept[nkept++] = touch(p); }

SITE static void site_small(void) { keep(malloc(100)); }
SITE static void site_page(void) { keep(malloc(5000)); }
SITE static void site_medium(void) { keep(malloc(100000)); }
SITE static void site_large(void) { keep(malloc(2000000)); }
SITE static void site_zeroed(void) { keep(calloc(30, 10)); }
SITE static void site_aligned(void)
{
    void *p;
    if (nkept % 2 == 0)
        p = memalign(128, 700);
    else if (posix_memalign(&p, 64, 700) != 0)
        abort();
    keep(p);
}
SITE static void site_resized(void *p) { keep(realloc(p, 1500)); }
SITE static void site_loop(void) { free(touch(malloc(48))); }
SITE static void site_handle(int i) { handles[i] = i % 2 == 0 ? tm_alloc(200) : tm_from_ref(tm_alloc_ref(200)); }
SITE static void site_big_handle(int i) { handles[i] = tm_calloc(1, 60000); }
SITE static void site_handle_loop(void) { tm_free(tm_alloc(64)); }
SITE static void site_child(void) { keep(malloc(3000)); }
SITE static void *site_thread(void) { return touch(malloc(256)); }

SITE static void sites(void)
{
    for (int i = 0; i < MANY; i++) {
        site_small();
        site_loop();
        site_handle_loop();
        if (i % 2 == 0)
            site_zeroed();
        if (i % 4 == 0)
            site_page();
        if (i % 8 == 0)
            site_aligned();
        if (i % 8 == 1)
            site_resized(malloc(20));
        if (i % 100 == 0)
            site_medium();
        if (i % 2000 == 0)
            site_large();
        if (i < MANY / 2)
            site_handle(i);
        else if (i % 50 == 0)
            site_big_handle(i);
    }
}

/* Half of what site_small keeps goes, and every handle but the last; the handles have been moved meanwhile. */
static void free_half(void)
{
    for (int i = 0; i < MANY / 2; i += 2)
        tm_free(handles[i]), handles[i] = TM_NULL;
    (void)tm_compact();
    for (int i = 0; i < MANY; i++)
        if (handles[i] != TM_NULL)
            tm_free(handles[i]), handles[i] = TM_NULL;
}

static void *thread(void *arg)
{
    void **out = arg;
    for (int i = 0; i < 1000; i++)
        out[i] = site_thread();
    return NULL;
}

static int threads(void)
{
    enum { N = 8 };
    static void *blocks[N][1000];
    for (int round = 0; round < 20; round++) {
        pthread_t t[N];
        for (int i = 0; i < N; i++)
            if (pthread_create(&t[i], NULL, thread, blocks[i]) != 0)
                return 1;
        for (int i = 0; i < N; i++)
            (void)pthread_join(t[i], NULL);
        for (int i = 0; i < N; i++) // by another thread than theirs; the last round's stay
            for (int k = 0; round < 19 && k < 1000; k++)
                free(blocks[i][k]);
    }
    return 0;
}

static int forks(void)
{
    for (int i = 0; i < 1000; i++)
        site_small();
    pid_t pid = fork();
    if (pid == 0) {
        for (int i = 0; i < 1000; i++)
            site_child();
        for (int i = 0; i < 500; i++)
            free(kept[i]);
        exit(0);
    }
    int status;
    return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : 1;
}

static void *churn(void *arg)
{
    (void)arg;
    for (int i = 0; i < 200000; i++)
        free(site_thread());
    return NULL;
}

/* Signals at which the profile is written, forks and threads, all at once; the alarm ends what hangs. */
static int signals(int number)
{
    struct itimerval often = {{0, 2000}, {0, 2000}};
    pthread_t t[3];
    alarm(100);
    if (number == SIGPROF)
        (void)setitimer(ITIMER_PROF, &often, NULL);
    for (int i = 0; i < 3; i++)
        (void)pthread_create(&t[i], NULL, churn, NULL);
    for (int i = 0; i < 20; i++) {
        site_page();
        pid_t pid = fork();
        if (pid == 0) {
            for (int k = 0; k < 100; k++)
                site_loop();
            _exit(0);
        }
        (void)waitpid(pid, NULL, 0);
    }
    for (int i = 0; i < 3; i++)
        (void)pthread_join(t[i], NULL);
    often = (struct itimerval){{0, 0}, {0, 0}};
    (void)setitimer(ITIMER_PROF, &often, NULL);
    return 0;
}

static int modules(const char *path)
{
    for (int i = 0; i < 50; i++) {
        void *m = dlopen(path, RTLD_NOW);
        void *p = m != NULL ? dlsym(m, "site_module") : NULL;
        void *(*site)(size_t);
        memcpy(&site, &p, sizeof p);
        if (site == NULL)
            return 1;
        keep(site(4000));
        if (i < 49)
            dlclose(m);
    }
    return 0;
}

/* Profiles by calls, and what they answer. */
static int calls(const char *path)
{
    char other[300];
    (void)snprintf(other, sizeof other, "%s.2", path);
    printf("unstarted %d\n", tm_profile_dump(path));
    for (int i = 0; i < 100; i++)
        site_small();
    printf("start %d %d\n", tm_profile_start(1), tm_profile_start(1));
    for (int i = 0; i < 100; i++)
        site_page();
    tm_profile_stop();
    for (int i = 0; i < 100; i++)
        site_zeroed();
    printf("dump %d\n", tm_profile_dump(path));
    for (size_t i = 100; i < 150; i++) // half of site_page's
        free(kept[i]);
    printf("again %d other %d\n", tm_profile_start(1), tm_profile_dump(other));
    tm_profile_stop();
    printf("interval %s\n", tm_profile_start(1000) != 0 ? "refused" : "taken");
    printf("nowhere %d %d %d\n", tm_profile_dump("/nonexistent/x") == ENOENT, tm_profile_dump("/") == EISDIR,
           tm_profile_dump("/dev/null/x") == ENOTDIR);
    printf("full %s\n", tm_profile_dump("/dev/full") != 0 ? "refused" : "written");
    return 0;
}

SITE static void site_keeper(void) { keep(malloc(200)); }
SITE static void site_passing(void) { keep(malloc(200)); }

static size_t move_all(size_t n)
{
    size_t moved = 0;
    for (size_t i = 0; i < n; i++) {
        if (kept[i] == NULL || !(i % 2 == 0 ? tm_should_move(kept[i]) : je_get_defrag_hint(kept[i])))
            continue;
        void *p = malloc(200);
        if (p == NULL)
            abort();
        memcpy(p, kept[i], 200);
        free(kept[i]);
        kept[i] = p;
        moved++;
    }
    return moved;
}

/* Of many blocks one in 40 stays, and keeps a page; then they move together. */
static int sparse(const char *path)
{
    char other[300];
    (void)snprintf(other, sizeof other, "%s.2", path);
    for (size_t i = 0; i < 80000; i++)
        i % 40 == 0 ? site_keeper() : site_passing();
    printf("dense %zu\n", move_all(nkept));
    for (size_t i = 0; i < nkept; i++)
        if (i % 40 != 0)
            free(kept[i]), kept[i] = NULL;
    (void)tm_profile_dump(path);
    size_t first = move_all(nkept), second = move_all(nkept);
    printf("moved %s %s\n", first > 1500 ? "most" : "few", second < 100 ? "once" : "again");
    (void)malloc_trim(0);
    (void)tm_profile_dump(other);
    printf("others %d %d %d %d\n", tm_should_move(NULL), tm_should_move(&first), tm_should_move((void *)kept),
           je_get_defrag_hint(NULL));
    return 0;
}

/* A request as a tool outside leaves it: the third byte. It is served by a slow path. */
static int request(const char *path)
{
    for (int i = 0; i < 100; i++)
        site_page();
    printf("before %d\n", access(path, F_OK) == 0);
    volatile unsigned char *requests = dlsym(RTLD_DEFAULT, "tm_requests_"); // by its name it would be copied
    if (requests == NULL)
        return 1;
    requests[2] = 1;
    for (int i = 0; i < 10; i++)
        site_large();
    printf("after %d\n", access(path, F_OK) == 0);
    return 0;
}

/* Grows and shrinks: the peak is in the middle. */
static int peak(void)
{
    for (int i = 0; i < 200; i++)
        site_medium();
    for (int i = 0; i < 200; i++)
        free(kept[i]);
    return 0;
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    int status = 0;
    if (strcmp(mode, "sites") == 0)
        sites();
    else if (strcmp(mode, "freed") == 0)
        sites(), free_half();
    else if (strcmp(mode, "threads") == 0)
        status = threads();
    else if (strcmp(mode, "fork") == 0)
        status = forks();
    else if (strcmp(mode, "signals") == 0)
        status = signals(SIGPROF);
    else if (strcmp(mode, "module") == 0)
        status = modules(argv[2]);
    else if (strcmp(mode, "calls") == 0)
        status = calls(argv[2]);
    else if (strcmp(mode, "sparse") == 0)
        status = sparse(argv[2]);
    else if (strcmp(mode, "request") == 0)
        status = request(argv[2]);
    else if (strcmp(mode, "peak") == 0)
        status = peak();
    printf("done\n");
    return status;
}
