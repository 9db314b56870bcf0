#include "support.h"
#include "base/atomic.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { DENSE_MAX = 256 << 10, STRIDE = 512 };

bool full_run(void)
{
    const char *own = getenv("TINYMEM_TEST_FULL"), *suite = getenv("TEST_FULL"); // the latter from tests/run --full
    return (own != NULL && *own != '\0') || (suite != NULL && *suite != '\0');
}

size_t scaled(size_t n)
{
    n = full_run() ? n * 10 : n;
    n = UNDER_SANITIZER ? n / 5 : n;
    return n > 0 ? n : 1;
}

/* splitmix64 (Steele, Lea & Flood 2014) */
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

uint64_t rng_next(rng_t *r) { return mix(r->state += 0x9e3779b97f4a7c15u); }

size_t rng_below(rng_t *r, size_t n) { return (size_t)(((unsigned __int128)rng_next(r) * n) >> 64); }

size_t rng_size(rng_t *r, size_t max)
{
    unsigned bits = 64u - (unsigned)__builtin_clzl(max | 1);
    size_t size = rng_below(r, (size_t)1 << (1 + rng_below(r, bits)));
    return size > max ? size % (max + 1) : size;
}

/* ---- delays -------------------------------------------------------------------------------------------------- */

#if TMI_TEST_HOOKS
static uint64_t delay_seed, delay_points;
static int delay_signal;

/* One access in a hundred or so is held up. Which, and how, depends on the seed and on how many there have been. */
static void point(void)
{
    enum { ONE_IN = 128 };
    int saved = errno;
    uint64_t x = mix(delay_seed + __atomic_fetch_add(&delay_points, 1, __ATOMIC_RELAXED));
    int signal = __atomic_load_n(&delay_signal, __ATOMIC_RELAXED);
    if (x % ONE_IN != 0)
        return;
    struct timespec little = {0, 1000 + (long)(x >> 50)};
    switch (x >> 40 & 7) {
    case 0: (void)nanosleep(&little, NULL); break;
    case 1:
    case 2: if (signal != 0) (void)raise(signal); break;
    default: (void)sched_yield();
    }
    errno = saved;
}

void delays_raise(int signal) { __atomic_store_n(&delay_signal, signal, __ATOMIC_RELAXED); }

__attribute__((constructor)) static void delays(void)
{
    const char *seed = getenv("TEST_DELAYS");
    if (seed == NULL)
        return;
    delay_seed = mix((uint64_t)atoll(seed));
    tmi_atomic_point = point;
}
#else
void delays_raise(int signal) { (void)signal; }
#endif

static void put_word(char *p, size_t size, size_t at, uint64_t mark)
{
    uint64_t word = mix(mark + at);
    memcpy(p + at, &word, size - at < 8 ? size - at : 8);
}

static bool has_word(const char *p, size_t size, size_t at, uint64_t mark)
{
    uint64_t word = mix(mark + at);
    return memcmp(p + at, &word, size - at < 8 ? size - at : 8) == 0;
}

void fill(void *p, size_t size, uint64_t mark)
{
    size_t stride = size <= DENSE_MAX ? 8 : STRIDE;
    for (size_t at = 0; at < size; at += stride)
        put_word(p, size, at, mark);
    if (size > DENSE_MAX)
        put_word(p, size, (size - 1) / 8 * 8, mark);
}

bool intact(const void *p, size_t size, size_t whole, uint64_t mark)
{
    size_t stride = whole <= DENSE_MAX ? 8 : STRIDE;
    for (size_t at = 0; at < size; at += stride)
        if (!has_word(p, size, at, mark))
            return false;
    return size < whole || whole <= DENSE_MAX || has_word(p, size, (size - 1) / 8 * 8, mark);
}

bool all_zero(const void *p, size_t size)
{
    const char *c = p;
    return size == 0 || (c[0] == 0 && memcmp(c, c + 1, size - 1) == 0);
}

double seconds_now(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

void sleep_ms(unsigned ms)
{
    struct timespec ts = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
    while (nanosleep(&ts, &ts) != 0 && errno == EINTR) {
    }
}

/* Reads until the other end is closed or the time is up; true when it was closed. */
static bool read_all(int fd, char *buf, size_t size, double deadline)
{
    size_t n = 0;
    buf[0] = '\0';
    for (;;) {
        double left = deadline - seconds_now();
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (left <= 0 || poll(&p, 1, (int)(left * 1000) + 1) == 0)
            return false;
        char scrap[512];
        ssize_t got = read(fd, scrap, sizeof scrap);
        if (got <= 0)
            return true;
        size_t keep = (size_t)got < size - 1 - n ? (size_t)got : size - 1 - n;
        memcpy(buf + n, scrap, keep);
        buf[n += keep] = '\0';
    }
}

outcome_t run_child(int (*body)(void *), void *arg, unsigned seconds)
{
    outcome_t o = {.status = -1};
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return o;
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        (void)signal(SIGABRT, SIG_DFL); // not cmocka's handlers
        (void)signal(SIGSEGV, SIG_DFL);
        (void)dup2(ends[1], STDERR_FILENO);
        (void)close(ends[0]);
        (void)close(ends[1]);
        _exit(body(arg));
    }
    (void)close(ends[1]);
    bool done = pid > 0 && read_all(ends[0], o.text, sizeof o.text, seconds_now() + seconds);
    (void)close(ends[0]);
    if (pid > 0) {
        if (!done)
            (void)kill(pid, SIGKILL);
        int status;
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
        }
        o.status = done ? status : -1;
    }
    return o;
}

bool exited(const outcome_t *o, int code)
{
    bool ok = o->status != -1 && WIFEXITED(o->status) && WEXITSTATUS(o->status) == code;
    if (!ok)
        print_error("child: status %#x, expected exit %d; it said: %s\n", (unsigned)o->status, code, o->text);
    return ok;
}

/* `pattern` against text up to its newline; * eats "0x" and hexadecimal digits. */
static bool line_matches(const char *text, const char *pattern)
{
    for (; *pattern; pattern++) {
        if (*pattern == '*')
            text += strspn(text, "0x123456789abcdef");
        else if (*text++ != *pattern)
            return false;
    }
    return *text == '\n';
}

bool aborted_saying(const outcome_t *o, const char *line)
{
    bool found = false;
    for (const char *t = o->text; t != NULL && *t && !found; t = strchr(t, '\n'), t = t ? t + 1 : NULL)
        found = line_matches(t, line);
    bool aborted = o->status != -1 && WIFSIGNALED(o->status) && WTERMSIG(o->status) == SIGABRT;
    if (!aborted || !found)
        print_error("child: status %#x, expected SIGABRT and \"%s\"; it said: %s\n", (unsigned)o->status, line,
                    o->text);
    return aborted && found;
}

size_t resident_bytes(const void *p, size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), first = (uintptr_t)p / page, last = ((uintptr_t)p + size - 1) / page;
    size_t n = 0;
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return (size_t)-1;
    for (size_t i = first; i <= last; i++) {
        uint64_t entry = 0;
        if (pread(fd, &entry, sizeof entry, (off_t)(i * sizeof entry)) == (ssize_t)sizeof entry)
            n += entry >> 63; // present
    }
    (void)close(fd);
    return n * page;
}

size_t rss_bytes(void)
{
    char buf[128] = "";
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, buf, sizeof buf - 1) <= 0)
        return 0;
    (void)close(fd);
    char *end;
    (void)strtoul(buf, &end, 10);
    return strtoul(end, NULL, 10) * (size_t)sysconf(_SC_PAGESIZE);
}
