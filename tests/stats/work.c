/* work MODE: what tests/stats looks at. It answers on stdout what it is asked for on stdin, a line each. */
#include <tinymem/heap.h>
#include <tinymem/tinymem.h>

#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BLOCKS = 100000, OBJECTS = 50000, LARGE = 40 };
static void *block[BLOCKS], *large[LARGE];
static tm_handle_t object[OBJECTS];
static char text[1 << 20];

static void say(size_t (*stats)(char *buf, size_t size))
{
    size_t n = stats(text, sizeof text);
    (void)fwrite(text, 1, n, stdout);
    (void)fflush(stdout);
}

static void *written(size_t size)
{
    void *p = malloc(size);
    return memset(p, 1, malloc_usable_size(p));
}

/* Many small blocks of which one in six survives, large ones, objects of the other heap. */
static void work(void)
{
    for (int i = 0; i < BLOCKS; i++)
        block[i] = written(16 + (size_t)i * 7919 % 1500);
    for (int i = 0; i < BLOCKS; i++)
        if (i % 6 != 0)
            free(block[i]);
    for (int i = 0; i < LARGE; i++)
        large[i] = written((size_t)i * 20000 + 40000);
    for (int i = 0; i < OBJECTS; i++) {
        object[i] = tm_alloc(16 + (size_t)i * 7919 % 700);
        memset(tm_pin(object[i]), 1, tm_sizeof(object[i]));
        tm_unpin(object[i]);
    }
    for (int i = 0; i < OBJECTS; i++)
        if (i % 4 != 0)
            tm_free(object[i]);
}

/* Phases of other sizes, of which one block in fifty survives: blocks between survivors, in mixed slabs. */
static void mix(void)
{
    enum { SURVIVORS_ONE_IN = 50 };
    static void *phase[(24 << 20) / 32];
    static const size_t sizes[] = {32, 192, 1024, 64};
    for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
        size_t n = sizeof phase / sizeof phase[0] * 32 / sizes[k];
        for (size_t i = 0; i < n; i++)
            phase[i] = written(sizes[k]);
        for (size_t i = 0; i < n; i++)
            if (i * 7919 % SURVIVORS_ONE_IN != 0)
                free(phase[i]);
    }
}

/* Slow paths without an end. */
static void *churn(void *unused)
{
    for (unsigned i = 1;; i++) {
        void *p[200];
        for (int k = 0; k < 200; k++)
            p[k] = malloc(i * 31u % 5000);
        for (int k = 0; k < 200; k++)
            free(p[k]);
        free(malloc(1 << 20));
    }
    return unused;
}

static void *send_signals(void *unused)
{
    for (;;) {
        (void)kill(getpid(), SIGUSR2);
        (void)usleep(300);
    }
    return unused;
}

/* Children that allocate and get signals too, of a process whose threads do. */
static int fork_often(void)
{
    enum { FORKS = 60, CALLS = 50 };
    pthread_t t;
    (void)pthread_create(&t, NULL, churn, NULL);
    (void)pthread_create(&t, NULL, send_signals, NULL);
    for (int i = 0; i < FORKS; i++) {
        int status;
        pid_t child = fork();
        for (size_t k = 0; child == 0 && k < CALLS; k++) {
            void *p = malloc(k * 1000);
            (void)kill(getpid(), SIGUSR2);
            free(p);
        }
        if (child == 0)
            exit(0);
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
            return 1;
    }
    return 0;
}

static int answer(void)
{
    static char line[64];
    while (fgets(line, sizeof line, stdin) != NULL) {
        if (strcmp(line, "json\n") == 0)
            say(tm_stats_json);
        else if (strcmp(line, "prometheus\n") == 0)
            say(tm_stats_prometheus);
        else if (strcmp(line, "info\n") == 0)
            (void)malloc_info(0, stdout), (void)fflush(stdout);
        else if (strcmp(line, "work\n") == 0)
            work(), (void)puts("done"), (void)fflush(stdout);
        else if (strcmp(line, "mix\n") == 0)
            mix(), (void)puts("done"), (void)fflush(stdout);
    }
    return 0;
}

static volatile sig_atomic_t seen;
static void own_handler(int unused) { (void)unused, seen = 1; }

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    pthread_t t;
    static char out[1 << 12], in[1 << 12]; // a buffer of stdio's own would come from malloc
    (void)prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0); // in a huge page more is resident than was handed out
    (void)setvbuf(stdout, out, _IOFBF, sizeof out);
    (void)setvbuf(stdin, in, _IOFBF, sizeof in);
    if (strcmp(mode, "handler") == 0)
        (void)signal(SIGUSR2, own_handler);
    if (strcmp(mode, "churn") == 0)
        for (int i = 0; i < 2; i++)
            (void)pthread_create(&t, NULL, churn, NULL);
    if (strcmp(mode, "fork") == 0 && fork() == 0)
        return free(malloc(100)), 0;
    if (strcmp(mode, "free") == 0)
        return free(malloc(100)), 0;
    if (strcmp(mode, "forks") == 0)
        return fork_often();
    (void)puts("ready");
    (void)fflush(stdout);
    int status = answer();
    return strcmp(mode, "handler") == 0 && !seen ? 1 : status;
}
