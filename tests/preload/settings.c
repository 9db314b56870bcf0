/* TINYMEM in the environment of a real process: help, verbose, statistics at exit, complaints. */
#include "tap.h"

#include <dlfcn.h>

static int work(void)
{
    void *p[1000];
    for (size_t i = 0; i < 1000; i++)
        p[i] = malloc(i);
    for (size_t i = 0; i < 1000; i++)
        p[i] = realloc(p[i], i * 2 + 1);
    for (size_t i = 0; i < 1000; i++)
        free(p[i]);
    return 0;
}

static size_t lines(const char *s)
{
    size_t n = 0;
    for (; (s = strchr(s, '\n')) != NULL; s++)
        n++;
    return n;
}

static size_t figure(const char *s, const char *key)
{
    const char *at = strstr(s, key);
    return at ? strtoul(at + strlen(key), NULL, 10) : (size_t)-1;
}

static void stats_are_counted(void)
{
    tap_child_t c;
    char option[256], path[] = "/tmp/tinymem-settings-XXXXXX", text[4096] = "";
    tap_self(&c, "work", "stats:on");
    size_t allocs = figure(c.err, " allocs="), frees = figure(c.err, " frees=");
    tap(tap_exited(&c, 0) && lines(c.err) == 1 && strncmp(c.err, "tinymem: pid=", 13) == 0,
        "stats:on prints one line at exit");
    tap(figure(c.err, "pid=") == (size_t)c.pid && strstr(c.err, " cmd=exe ") != NULL,
        "it names the process, which was started as /proc/self/exe");
    tap(allocs >= 1000 && allocs < 4000 && frees >= 1000 && frees <= allocs, "it counts calls: %zu and %zu", allocs,
        frees);
    tap(figure(c.err, " peak_bytes=") >= 1000 * 999 && figure(c.err, " live_bytes=") < 200000,
        "it tells live and peak bytes");
    (void)close(mkstemp(path));
    (void)snprintf(option, sizeof option, "stats:on,stats_file:%s", path);
    tap_self(&c, "work", option);
    tap_self(&c, "work", option);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, text, sizeof text - 1);
    (void)close(fd);
    (void)unlink(path);
    tap(n > 0 && lines(text) == 2 && c.err[0] == '\0', "stats_file appends it to a file instead");
    tap_self(&c, "fork", "stats:on");
    tap(lines(c.err) == 2, "a child of fork prints its own");
}

static int forks(void)
{
    (void)work();
    pid_t pid = fork();
    int status = -1;
    if (pid == 0)
        exit(work());
    (void)waitpid(pid, &status, 0);
    return status;
}

static void others_speak(void)
{
    tap_child_t c;
    tap_self(&c, "work", NULL);
    tap(tap_exited(&c, 0) && c.err[0] == '\0' && c.out[0] == '\0', "without options nothing is printed");
    tap_self(&c, "work", "verbose:on");
    tap(tap_exited(&c, 0) && lines(c.err) == 1 && strncmp(c.err, "tinymem: version ", 17) == 0 &&
            strstr(c.err, ", active\n") != NULL,
        "verbose:on prints one line");
    tap_self(&c, "work", "help");
    tap(tap_exited(&c, 0) && lines(c.err) > 5 && strstr(c.err, "check:fast") != NULL,
        "help lists the options and the program runs");
    tap_self(&c, "work", "chck:full");
    tap(tap_exited(&c, 0) && strcmp(c.err, "tinymem: option chck is unknown, did you mean check? ignored\n") == 0,
        "a misspelt key costs one line");
    tap_self(&c, "work", "check:full,stats:on,background:on,purge_delay:0,purge_keep:0,huge:on");
    tap(tap_exited(&c, 0), "all options at once");
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return strcmp(argv[1], "fork") == 0 ? forks() : work();
    tap(dlsym(RTLD_DEFAULT, "tm_version") != NULL, "the library is in this process");
    others_speak();
    stats_are_counted();
    return tap_done();
}
