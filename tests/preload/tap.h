/* tap.h - results as TAP, and children whose end is looked at. For programs that know nothing of the library under
 * test, in C and C++.
 *
 * A program that needs processes of another kind starts itself again with the name of a case as its argument;
 * LD_PRELOAD is inherited. */
#ifndef TESTS_PRELOAD_TAP_H
#define TESTS_PRELOAD_TAP_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int tap_count, tap_failures;

__attribute__((format(printf, 2, 3), unused)) static bool tap(bool holds, const char *name, ...)
{
    va_list args;
    va_start(args, name);
    tap_count++;
    tap_failures += !holds;
    printf("%sok %d - ", holds ? "" : "not ", tap_count);
    vprintf(name, args);
    putchar('\n');
    (void)fflush(stdout);
    va_end(args);
    return holds;
}

__attribute__((unused)) static void tap_skip(const char *name, const char *why)
{
    printf("ok %d - %s # SKIP %s\n", ++tap_count, name, why);
    (void)fflush(stdout);
}

__attribute__((unused)) static int tap_done(void)
{
    printf("1..%d\n", tap_count);
    return tap_failures != 0;
}

static inline double tap_now(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static inline void tap_sleep_ms(long ms)
{
    struct timespec ts = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&ts, &ts) != 0 && errno == EINTR) {
    }
}

typedef struct tap_child {
    pid_t pid;
    int fds[2];        // its stdout and stderr
    int status;        // as from waitpid; -1: killed, it took too long
    char out[8192];
    char err[8192];
} tap_child_t;

/* Starts argv; `env` is a NULL-terminated list of NAME=value (an empty value unsets), or NULL. */
__attribute__((unused)) static bool tap_start(tap_child_t *c, const char *const *argv, const char *const *env)
{
    int out[2], err[2];
    memset(c, 0, sizeof *c);
    c->status = -1;
    if (pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0)
        return false;
    (void)fflush(NULL);
    c->pid = fork();
    if (c->pid == 0) {
        for (; env != NULL && *env != NULL; env++) {
            const char *eq = strchr(*env, '=');
            char name[64] = "";
            memcpy(name, *env, (size_t)(eq - *env));
            (void)(eq[1] ? setenv(name, eq + 1, 1) : unsetenv(name));
        }
        (void)dup2(out[1], 1);
        (void)dup2(err[1], 2);
        (void)execvp(argv[0], (char *const *)argv);
        _exit(127);
    }
    (void)close(out[1]);
    (void)close(err[1]);
    c->fds[0] = out[0];
    c->fds[1] = err[0];
    return c->pid > 0;
}

/* So many times as long as elsewhere things may take: where all is slow TEST_PATIENCE says so. */
static inline unsigned tap_patience(void)
{
    const char *times = getenv("TEST_PATIENCE");
    return times != NULL ? (unsigned)atoi(times) : 1;
}

/* A deadlock ends there. */
static inline void tap_alarm(unsigned seconds) { (void)alarm(seconds * tap_patience()); }

/* Reads what the child says until both ends are closed, then its status. */
__attribute__((unused)) static void tap_finish(tap_child_t *c, double seconds)
{
    double end = tap_now() + seconds * tap_patience();
    char *bufs[2] = {c->out, c->err};
    size_t n[2] = {strlen(c->out), strlen(c->err)};
    bool open_[2] = {true, true}, late = false;
    while ((open_[0] || open_[1]) && !late) {
        struct pollfd p[2] = {{open_[0] ? c->fds[0] : -1, POLLIN, 0}, {open_[1] ? c->fds[1] : -1, POLLIN, 0}};
        double left = end - tap_now();
        late = left <= 0 || poll(p, 2, (int)(left * 1000) + 1) == 0;
        for (int i = 0; i < 2 && !late; i++) {
            char scrap[1024];
            if (p[i].revents == 0)
                continue;
            ssize_t got = read(c->fds[i], scrap, sizeof scrap);
            open_[i] = got > 0;
            for (ssize_t k = 0; k < got && n[i] + 1 < sizeof c->out; k++)
                bufs[i][n[i]++] = scrap[k];
        }
    }
    if (late)
        (void)kill(c->pid, SIGKILL);
    int status;
    while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR) {
    }
    c->status = late ? -1 : status;
    (void)close(c->fds[0]);
    (void)close(c->fds[1]);
}

/* This program again, with `name` as its argument, and TINYMEM as given (NULL: unset). Waits for its end. */
__attribute__((unused)) static void tap_self(tap_child_t *c, const char *name, const char *tinymem)
{
    char option[256];
    const char *argv[] = {"/proc/self/exe", name, NULL};
    const char *env[] = {option, NULL};
    (void)snprintf(option, sizeof option, "TINYMEM=%s", tinymem ? tinymem : "");
    if (tap_start(c, argv, env))
        tap_finish(c, 60);
}

__attribute__((unused)) static bool tap_exited(const tap_child_t *c, int code)
{
    bool good = c->status != -1 && WIFEXITED(c->status) && WEXITSTATUS(c->status) == code;
    if (!good)
        printf("# status %#x, stderr: %s\n", (unsigned)c->status, c->err);
    return good;
}

/* Whether `line` (up to its newline) is `p`, where '@' stands for a pointer and '*' for anything. */
static inline bool tap_line_is(const char *line, const char *p)
{
    for (; *p != '\0'; p++) {
        if (*p == '*') {
            for (; *line != '\0' && *line != '\n'; line++)
                if (tap_line_is(line, p + 1))
                    return true;
        } else if (*p == '@') {
            line += strspn(line, "0x123456789abcdef");
        } else if (*p != *line++) {
            return false;
        }
    }
    return *line == '\n';
}

/* Ended by SIGABRT with a line on stderr that matches. */
__attribute__((unused)) static bool tap_aborted_saying(const tap_child_t *c, const char *pattern)
{
    bool found = false;
    for (const char *line = c->err; line != NULL && *line && !found;
         line = strchr(line, '\n'), line = line ? line + 1 : NULL)
        found = tap_line_is(line, pattern);
    bool aborted = c->status != -1 && WIFSIGNALED(c->status) && WTERMSIG(c->status) == SIGABRT;
    if (!aborted || !found)
        printf("# status %#x, wanted SIGABRT and: %s\n# stdout: %s\n# stderr: %s\n", (unsigned)c->status, pattern,
               c->out, c->err);
    return aborted && found;
}

/* Path of a module built beside this program. */
__attribute__((unused)) static const char *tap_module(const char *name)
{
    static char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 64);
    char *slash = n > 0 ? (char *)memrchr(path, '/', (size_t)n) : path;
    (void)snprintf(slash + 1, 60, "%s.so", name);
    return path;
}

/* A number of kB from /proc/PID/FILE (0: this process), in bytes. */
__attribute__((unused)) static size_t tap_proc_kb(pid_t pid, const char *file, const char *key)
{
    char path[64], line[256];
    size_t kb = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/%s", (int)(pid ? pid : getpid()), file);
    FILE *f = fopen(path, "re");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, key, strlen(key)) == 0)
            kb = strtoul(line + strlen(key), NULL, 10);
    if (f != NULL)
        (void)fclose(f);
    return kb * 1024;
}

#endif
