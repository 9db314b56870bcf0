/* fork where its handlers, stdio's locks and malloc's meet: in which order handlers were registered, and what a thread
 * holds when another one forks. Each case is a process of its own; one that hangs is ended by its alarm. */
#include "tap.h"

#include <pthread.h>

enum { FORKS = 60, SECONDS = 15 };

static pthread_mutex_t state_lock = PTHREAD_MUTEX_INITIALIZER;
static volatile bool stop;

static void take(void) { pthread_mutex_lock(&state_lock); }
static void give(void) { pthread_mutex_unlock(&state_lock); }
static void nothing(void) {}

/* Children that allocate and end well. */
static int fork_often(int n)
{
    for (int i = 0; i < n; i++) {
        int status = 0;
        pid_t pid = fork();
        if (pid == 0) {
            free(malloc(1000));
            free(malloc(100000));
            _exit(0);
        }
        if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
            return 1;
    }
    return 0;
}

static void *allocate_under_the_lock(void *unused)
{
    void *block[64] = {NULL};
    for (unsigned i = 0; !stop; i++) {
        take();
        for (unsigned k = 0; k < 200; k++) {
            unsigned at = (i * 31 + k * 7) % 64;
            free(block[at]);
            block[at] = malloc((i + k * 97) % 5000 + 1);
        }
        give();
        (void)usleep(100);
    }
    for (int k = 0; k < 64; k++)
        free(block[k]);
    return unused;
}

/* A library takes its lock in its prepare handler, and allocates under it; it has registered before the first
 * malloc. */
static int handlers_before_malloc(void)
{
    pthread_t t[2];
    (void)pthread_atfork(take, give, give);
    for (int i = 0; i < 2; i++)
        (void)pthread_create(&t[i], NULL, allocate_under_the_lock, NULL);
    int result = fork_often(FORKS);
    stop = true;
    for (int i = 0; i < 2; i++)
        (void)pthread_join(t[i], NULL);
    return result;
}

/* glibc allocates for the 49th, with its own lock held. */
static int many_handlers_before_malloc(void)
{
    for (int i = 0; i < 200; i++)
        if (pthread_atfork(nothing, nothing, nothing) != 0)
            return 1;
    return fork_often(3);
}

static void *read_lines(void *file)
{
    char *line = NULL;
    size_t size = 0;
    while (!stop) {
        rewind((FILE *)file);
        while (getline(&line, &size, (FILE *)file) > 0) {
            free(line);
            line = NULL;
            size = 0;
        }
    }
    free(line);
    return NULL;
}

static void *flush_all(void *unused)
{
    while (!stop)
        (void)fflush(NULL);
    return unused;
}

/* getline holds a FILE and allocates; fflush(NULL) holds the list and waits for the FILE; fork wants both the list and
 * the heap. */
static int forks_beside_stdio(void)
{
    pthread_t reader, flusher;
    FILE *file = tmpfile();
    for (int i = 0; i < 200; i++)
        (void)fprintf(file, "%0*d\n", i * 10 + 1, i);
    (void)pthread_create(&reader, NULL, read_lines, file);
    (void)pthread_create(&flusher, NULL, flush_all, NULL);
    int result = fork_often(10 * FORKS);
    stop = true;
    (void)pthread_join(reader, NULL);
    (void)pthread_join(flusher, NULL);
    return result;
}

enum { FORKS_IN_HANDLERS = 300 };

static volatile sig_atomic_t forked, failed;

/* Where a fork takes longer than the time between two signals, the next one is there when this returns, and the
 * program gets no further: so it ends here. */
static void fork_in_handler(int signal)
{
    (void)signal;
    if (forked == FORKS_IN_HANDLERS)
        return;
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    int status = 1;
    if (waitpid(pid, &status, 0) != pid || status != 0)
        failed = 1;
    forked++;
}

/* A process with one thread may fork in a handler that has interrupted malloc. */
static int forks_in_handlers(void)
{
    pid_t parent = getpid(), sender;
    void *block[256] = {NULL};
    struct sigaction a = {.sa_handler = fork_in_handler};
    (void)sigaction(SIGUSR1, &a, NULL);
    sender = fork();
    if (sender == 0) {
        while (kill(parent, SIGUSR1) == 0 && getppid() == parent)
            (void)usleep(200);
        _exit(0);
    }
    for (unsigned i = 0; forked < FORKS_IN_HANDLERS && failed == 0; i++) {
        unsigned at = i * 7 % 256;
        free(block[at]);
        block[at] = malloc(i * 31 % 9000);
    }
    (void)signal(SIGUSR1, SIG_IGN);
    (void)kill(sender, SIGKILL);
    (void)waitpid(sender, NULL, 0);
    return failed;
}

static const struct {
    const char *name;
    int (*body)(void);
} cases[] = {
    {"handlers registered before the first malloc", handlers_before_malloc},
    {"many handlers registered before the first malloc", many_handlers_before_malloc},
    {"forks beside getline and fflush", forks_beside_stdio},
    {"forks in handlers that interrupt malloc", forks_in_handlers},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (argc > 1 && strcmp(argv[1], cases[i].name) == 0) {
            tap_alarm(SECONDS);
            return cases[i].body();
        }
    }
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tap_child_t c;
        tap_self(&c, cases[i].name, NULL);
        tap(tap_exited(&c, 0), "%s", cases[i].name);
    }
    return tap_done();
}
