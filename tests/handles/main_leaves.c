/* A process whose main has ended by pthread_exit ends when its last thread does, whatever threads of the library's own
 * there are: the mover, and the helper that gives memory back. With status 0, and after what atexit has been told, and
 * not before main's own destructors have run. */
#include "objects.h"

#include <sys/wait.h>
#include <time.h>

enum { OBJECTS = 200000, BLOCKS = 20000 };
static tm_handle_t objects[OBJECTS];
static void *blocks[BLOCKS];
static bool with_mover, with_helper;
static int result[2];
static pthread_key_t key;

static void say(const char *what) { (void)!write(result[1], what, 1); }
static void at_exit(void) { say("x"); }

/* A destructor that takes its time, and runs after the library's, whose key is older. */
static void destructor(void *unused)
{
    (void)unused;
    (void)usleep(300000);
    say("d");
}

static void *last_thread(void *unused)
{
    if (with_helper) {
        for (size_t i = 0; i < BLOCKS; i++) {
            blocks[i] = malloc(2000);
            memset(blocks[i], 1, 2000);
        }
        for (size_t i = 0; i < BLOCKS; i++)
            free(blocks[i]);
    }
    (void)usleep(100000);
    say("t");
    return unused;
}

static void run(void)
{
    pthread_t t;
    tap_alarm(20);
    (void)atexit(at_exit);
    (void)pthread_key_create(&key, destructor);
    (void)pthread_setspecific(key, &key);
    if (with_mover) {
        for (size_t i = 0; i < OBJECTS; i++)
            objects[i] = tm_alloc(100);
        for (size_t i = 0; i < OBJECTS; i++)
            if (i % 10 != 0)
                tm_free(objects[i]);
    }
    if (pthread_create(&t, NULL, last_thread, NULL) != 0 || pthread_detach(t) != 0)
        _exit(3);
    pthread_exit(NULL);
}

static double now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void expect_the_end(const char *what)
{
    char said[16] = "";
    int status = -1;
    double begun = now();
    if (pipe(result) != 0)
        abort();
    pid_t p = fork();
    if (p == 0)
        run();
    (void)close(result[1]);
    for (double end = begun + 15; p > 0 && waitpid(p, &status, WNOHANG) == 0; (void)usleep(5000))
        if (now() > end) {
            (void)kill(p, SIGKILL); // nothing else ends a process all of whose threads block signals
            status = -1;
        }
    (void)!read(result[0], said, sizeof said - 1);
    (void)close(result[0]);
    tap(status == 0 && strcmp(said, "tdx") == 0, "%s: the process ends with its last thread (\"%s\", %.1f s)", what,
        said, now() - begun);
}

int main(void)
{
    expect_the_end("no thread of the library's");
    with_helper = true;
    expect_the_end("the helper");
    with_mover = true;
    expect_the_end("the mover and the helper");
    with_helper = false;
    expect_the_end("the mover");
    return tap_done();
}
