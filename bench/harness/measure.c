/* measure.c - start a program under an allocator and report its time and memory.
 *
 * Idea: the peak RSS that wait4 reports survives fork and exec, so a program started from a large parent (Python)
 * appears at least as large as the parent. This launcher is linked statically and touches less than a megabyte, sets
 * the environment of the child only (the launcher itself is never preloaded), and appends one line of JSON per run.
 *
 * I1  The child is created with vfork, so nothing that depends on the run is mapped or touched before exec.
 * I2  The child dies with the launcher (PR_SET_PDEATHSIG); SIGTERM and SIGINT to the launcher end the child.
 * I3  user, sys and faults include the descendants that the child waited for; maxrss is the largest of them all.
 * Fails: one line on stderr, exit 125; a program that cannot be started exits 127 and is reported as such. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_SETTINGS = 64 };

typedef struct {
    const char *result, *in, *out, *err, *dir;
    const char *settings[MAX_SETTINGS];
    int nsettings;
    long repeat;
    char **argv;
    char **envp;
} job_t;

static volatile pid_t current_child;

static void die(const char *what, const char *arg)
{
    fprintf(stderr, "measure: %s %s: %s\n", what, arg, strerror(errno));
    exit(125);
}

static void pass_on(int sig)
{
    if (current_child > 0)
        kill(current_child, sig);
    _exit(128 + sig);
}

static long long now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

/* The caller's environment without LD_PRELOAD, plus the settings of the job. */
static char **child_environment(const job_t *job)
{
    int n = 0, out = 0;
    while (environ[n])
        n++;
    char **envp = calloc((size_t)n + MAX_SETTINGS + 1, sizeof *envp);
    if (!envp)
        die("environment", "");
    for (int i = 0; i < n; i++)
        if (strncmp(environ[i], "LD_PRELOAD=", 11))
            envp[out++] = environ[i];
    for (int i = 0; i < job->nsettings; i++)
        envp[out++] = (char *)job->settings[i];
    return envp;
}

static void redirect(const char *path, int fd, int flags)
{
    int opened = path ? open(path, flags, 0644) : -1;
    if (!path)
        return;
    if (opened < 0 || dup2(opened, fd) < 0)
        _exit(126);
    close(opened);
}

static void become(const job_t *job)
{
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (job->dir && chdir(job->dir))
        _exit(126);
    redirect(job->in ? job->in : "/dev/null", 0, O_RDONLY);
    redirect(job->out, 1, O_WRONLY | O_CREAT | O_TRUNC);
    redirect(job->err, 2, O_WRONLY | O_CREAT | O_TRUNC);
    execvpe(job->argv[0], job->argv, job->envp);
    _exit(127);
}

static int run_once(const job_t *job, FILE *result)
{
    struct rusage use;
    int status;
    long long start = now_ns();
    pid_t pid = vfork();
    if (pid == 0)
        become(job);
    if (pid < 0)
        die("vfork", job->argv[0]);
    current_child = pid;
    while (wait4(pid, &status, 0, &use) < 0)
        if (errno != EINTR)
            die("wait4", job->argv[0]);
    long long wall = now_ns() - start;
    current_child = 0;
    fprintf(result,
            "{\"pid\": %d, \"wall_ns\": %lld, \"user_us\": %lld, \"sys_us\": %lld, \"maxrss_kib\": %ld, "
            "\"minflt\": %ld, \"majflt\": %ld, \"nvcsw\": %ld, \"nivcsw\": %ld, \"exit\": %d, \"signal\": %d}\n",
            (int)pid, wall, use.ru_utime.tv_sec * 1000000ll + use.ru_utime.tv_usec,
            use.ru_stime.tv_sec * 1000000ll + use.ru_stime.tv_usec, use.ru_maxrss, use.ru_minflt, use.ru_majflt,
            use.ru_nvcsw, use.ru_nivcsw, WIFEXITED(status) ? WEXITSTATUS(status) : -1,
            WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    return status != 0;
}

static void parse(job_t *job, int argc, char **argv)
{
    int c;
    while ((c = getopt(argc, argv, "+r:n:i:o:x:C:e:")) != -1) {
        switch (c) {
        case 'r': job->result = optarg; break;
        case 'n': job->repeat = atol(optarg); break;
        case 'i': job->in = optarg; break;
        case 'o': job->out = optarg; break;
        case 'x': job->err = optarg; break;
        case 'C': job->dir = optarg; break;
        case 'e':
            if (job->nsettings < MAX_SETTINGS) {
                job->settings[job->nsettings++] = optarg;
                break;
            }
            /* fall through */
        default:
            fprintf(stderr, "usage: measure -r RESULT [-n TIMES] [-i IN] [-o OUT] [-x ERR] [-C DIR] "
                            "[-e NAME=VALUE]... CMD [ARG]...\n");
            exit(125);
        }
    }
    job->argv = argv + optind;
    if (!job->argv[0] || !job->result) {
        fprintf(stderr, "measure: -r RESULT and a command are needed\n");
        exit(125);
    }
}

int main(int argc, char **argv)
{
    job_t job = { .repeat = 1 };
    int failed = 0;
    parse(&job, argc, argv);
    job.envp = child_environment(&job);
    FILE *result = fopen(job.result, "we");
    if (!result)
        die("cannot write", job.result);
    signal(SIGTERM, pass_on);
    signal(SIGINT, pass_on);
    for (long i = 0; i < job.repeat && !failed; i++)
        failed = run_once(&job, result);
    return fclose(result) ? 125 : 0;
}
