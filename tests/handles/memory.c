/* Resident memory follows live data: a program that frees nine tenths at random and then only ticks, or only sleeps, is
 * watched from outside by its parent. The control does the same with malloc's blocks, which nobody can move. */
#include "objects.h"

enum { TOTAL = 64 << 20, WATCH_MS = 5000, HEAD = 32 };

static bool say(const char *word) { return write(1, word, strlen(word)) > 0; }

static bool heard(void)
{
    char c;
    return read(0, &c, 1) == 1;
}

/* Sizes from half of `size` to one and a half. */
static int live(size_t size, bool ticks)
{
    size_t n = TOTAL / size;
    tm_handle_t *h = (tm_handle_t *)calloc(n, sizeof *h);
    uint64_t r = 1;
    size_t live_bytes = 0;
    for (size_t i = 0; i < n; i++) {
        size_t s = size / 2 + random_below(&r, size);
        h[i] = tm_alloc(s);
        TM_PINNED(char, p, h[i])
        {
            memset(p, 1, s);
            fill(p, HEAD, i);
        }
    }
    MUST(say("full\n") && heard());
    for (size_t i = 0; i < n; i++)
        if (random_below(&r, 10) != 0) {
            tm_free(h[i]);
            h[i] = TM_NULL;
        } else {
            live_bytes += tm_sizeof(h[i]);
        }
    char line[32];
    (void)snprintf(line, sizeof line, "%zu\n", live_bytes);
    MUST(say(line));
    for (int t = 0; ticks && t < WATCH_MS / 10; t++) {
        tap_sleep_ms(10);
        for (int k = 0; k < 20; k++)
            tm_free(tm_alloc(100));
    }
    MUST(heard());
    for (size_t i = 0; i < n; i++)
        MUST(h[i] == TM_NULL || object_intact(h[i], HEAD, i));
    return 0;
}

static bool read_line(int fd, char *buf, size_t size)
{
    size_t n = 0;
    while (n < size - 1 && read(fd, buf + n, 1) == 1 && buf[n] != '\n')
        n++;
    buf[n] = '\0';
    return n > 0;
}

static size_t pss(pid_t pid) { return tap_proc_kb(pid, "smaps_rollup", "Pss:"); }

/* Words of the objects that lived at the peak and the program's own array stay: 16 bytes an object. */
static void watch(const char *which, size_t size, const char *how, const char *options)
{
    tap_child_t c;
    int in[2];
    char fd[16], word[32] = "", option[128];
    const char *argv[] = {"/proc/self/exe", which, how, fd, NULL}, *env[] = {option, NULL};
    (void)snprintf(option, sizeof option, "TINYMEM=%s", options);
    if (pipe(in) != 0)
        return;
    (void)fcntl(in[1], F_SETFD, FD_CLOEXEC);
    (void)snprintf(fd, sizeof fd, "%d", in[0]);
    if (!tap_start(&c, argv, env))
        return;
    bool spoke = read_line(c.fds[0], word, sizeof word) && strcmp(word, "full") == 0;
    size_t full = pss(c.pid);
    spoke = spoke && write(in[1], "x", 1) == 1 && read_line(c.fds[0], word, sizeof word);
    size_t live_bytes = strtoul(word, NULL, 10), wanted = live_bytes + live_bytes / 4 + TOTAL / size * 16 + (4 << 20),
           now = full;
    for (double begun = tap_now(); spoke && now > wanted && tap_now() - begun < WATCH_MS / 1000.0;) {
        tap_sleep_ms(20);
        now = pss(c.pid);
    }
    (void)!write(in[1], "x", 1);
    tap_finish(&c, 30);
    (void)close(in[0]);
    (void)close(in[1]);
    printf("# objects around %zu bytes, it %s: PSS full %zu KiB, now %zu KiB, live %zu KiB\n", size, how, full >> 10,
           now >> 10, live_bytes >> 10);
    bool falls = strcmp(options, "compaction:off") != 0;
    tap(spoke && tap_exited(&c, 0) && full >= TOTAL * 7 / 10 && (now <= wanted) == falls,
        "objects around %zu bytes, 90 %% freed, the program %s%s", size, how,
        falls ? ": PSS falls to the live bytes and a quarter"
              : ", control without compaction: it does not fall so far");
}

int main(int argc, char **argv)
{
    if (argc > 3) {
        (void)dup2(atoi(argv[3]), 0);
        return live((size_t)atoi(argv[1]), strcmp(argv[2], "ticks") == 0);
    }
    static const struct {
        const char *name;
        size_t size;
    } sizes[] = {{"64", 64}, {"500", 500}, {"4000", 4000}, {"20000", 20000}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        watch(sizes[i].name, sizes[i].size, "ticks", "");
        watch(sizes[i].name, sizes[i].size, "sleeps", "");
    }
    watch("64", 64, "sleeps", "compaction:off");
    watch("500", 500, "sleeps", "compaction:off");
    return tap_done();
}
