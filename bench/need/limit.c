/* limit.c - how much a program may have live under a limit of memory, as that of a container, before it is killed.
 *
 * Idea: a memory control group with the limit, and need-phases in it, with more or less live: by bisection, the most
 * with which it comes to its end. Needs the right to make a control group (version 1 or 2): root, as a rule.
 *
 * usage: need-limit LIMIT_MIB PHASES KEEP */
#include "needkit.h"

#include <signal.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char group[600];

static int write_to(const char *name, const char *format, ...)
{
    char path[700], text[40];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    snprintf(path, sizeof path, "%s/%s", group, name);
    int fd = open(path, O_WRONLY);
    int good = fd >= 0 && write(fd, text, (size_t)n) == n;
    if (fd >= 0)
        close(fd);
    return good;
}

/* A group below the one that we are in. */
static int make_group(long limit)
{
    char line[400];
    FILE *f = fopen("/proc/self/cgroup", "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        char *controller = strchr(line, ':'), *path = controller == NULL ? NULL : strchr(controller + 1, ':');
        if (path == NULL)
            continue;
        *path++ = 0;
        path[strcspn(path, "\n")] = 0;
        int first = strcmp(controller, ":memory") == 0, second = strcmp(controller, ":") == 0;
        snprintf(group, sizeof group, "/sys/fs/cgroup%s%s", first ? "/memory" : "", strcmp(path, "/") == 0 ? "" : path);
        if (second)
            write_to("cgroup.subtree_control", "+memory");
        snprintf(group + strlen(group), sizeof group - strlen(group), "/need-limit-%d", (int)getpid());
        if ((!first && !second) || mkdir(group, 0755) != 0)
            continue;
        if (write_to(first ? "memory.limit_in_bytes" : "memory.max", "%ld", limit)) {
            write_to(first ? "memory.memsw.limit_in_bytes" : "memory.swap.max", "%ld", first ? limit : 0L);
            fclose(f);
            return 1;
        }
        rmdir(group);
    }
    if (f != NULL)
        fclose(f);
    return 0;
}

static int survives(const char *program, long mib, char **rest)
{
    char size[24];
    snprintf(size, sizeof size, "%ld", mib);
    pid_t child = fork();
    if (child == 0) {
        int null = open("/dev/null", O_WRONLY);
        if (null >= 0 && dup2(null, 1) == 1 && write_to("cgroup.procs", "%d", (int)getpid()))
            execl(program, program, size, rest[0], rest[1], (char *)NULL);
        _exit(126);
    }
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child || (WIFEXITED(status) && WEXITSTATUS(status) == 126)) {
        rmdir(group);
        fputs("need-limit: cannot run need-phases in the group\n", stderr);
        exit(2);
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int main(int argc, char **argv)
{
    long limit = argument(argc, argv, 1, 64), least = 1, most = limit;
    char program[600];
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 20);
    char *slash = n > 0 ? (program[n] = 0, strrchr(program, '/')) : NULL;
    if (argc != 4 || slash == NULL || !make_group(limit << 20)) {
        fputs("need-limit: no right to make a memory control group here\n", stderr);
        return 77;
    }
    strcpy(slash, "/need-phases");
    while (most - least > 1) {
        long middle = (least + most) / 2;
        *(survives(program, middle, argv + 2) ? &least : &most) = middle;
    }
    rmdir(group);
    figure("most that may be live, MiB", (double)least);
    return 0;
}
