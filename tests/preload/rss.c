/* Memory goes back to the kernel: a program that frees nearly everything and then only ticks is watched from outside,
 * by its parent. And the number of mappings stays bounded, whatever is freed and moved. */
#include "tap.h"

#include <malloc.h>

enum { TICKS = 150 }; // of 10 ms

static unsigned random_state = 1;

static unsigned random_below(unsigned n)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (unsigned)((uint64_t)random_state * n >> 32);
}

/* Says "full", waits for a byte, frees 99 % at random, says "freed", and ticks. */
static int free_and_tick(size_t size, size_t total)
{
    size_t n = total / size;
    char **p = malloc(n * sizeof *p), c;
    for (size_t i = 0; i < n; i++) {
        size_t s = size / 2 + random_below((unsigned)size);
        memset(p[i] = malloc(s), 1, s);
    }
    (void)!write(1, "full\n", 5);
    if (read(0, &c, 1) != 1)
        return 1;
    for (size_t i = 0; i < n; i++)
        if (random_below(100) != 0) {
            free(p[i]);
            p[i] = NULL;
        }
    (void)!write(1, "freed\n", 6);
    for (int t = 0; t < TICKS; t++) {
        tap_sleep_ms(10);
        for (int k = 0; k < 20; k++)
            free(malloc(100));
    }
    (void)!write(1, "ticked\n", 7);
    if (read(0, &c, 1) != 1)
        return 1;
    for (size_t i = 0; i < n; i++)
        free(p[i]);
    return 0;
}

static bool wait_for_word(int fd, const char *word)
{
    char buf[64];
    size_t n = 0;
    while (n < sizeof buf - 1 && read(fd, buf + n, 1) == 1 && buf[n] != '\n')
        n++;
    buf[n] = '\0';
    return strcmp(buf, word) == 0;
}

static size_t pss(pid_t pid) { return tap_proc_kb(pid, "smaps_rollup", "Pss:"); }

/* The parent samples. Of what was freed at least `share` per cent must have gone after ticking. */
static void watch(const char *which, size_t total, unsigned share)
{
    tap_child_t c;
    int in[2];
    char fd[16];
    const char *argv[] = {"/proc/self/exe", which, fd, NULL};
    if (pipe(in) != 0)
        return;
    (void)fcntl(in[1], F_SETFD, FD_CLOEXEC);
    (void)snprintf(fd, sizeof fd, "%d", in[0]);
    if (!tap_start(&c, argv, NULL))
        return;
    bool spoke = wait_for_word(c.fds[0], "full");
    size_t full = pss(c.pid);
    spoke = spoke && write(in[1], "x", 1) == 1 && wait_for_word(c.fds[0], "freed");
    size_t freed = pss(c.pid);
    spoke = spoke && wait_for_word(c.fds[0], "ticked");
    size_t ticked = pss(c.pid);
    (void)!write(in[1], "x", 1);
    tap_finish(&c, 30);
    (void)close(in[0]);
    (void)close(in[1]);
    printf("# %s: PSS full %zu MiB, freed %zu MiB, after ticking %zu MiB\n", which, full >> 20, freed >> 20,
           ticked >> 20);
    tap(spoke && tap_exited(&c, 0), "blocks around %s bytes: freed at random", which);
    tap(full >= total / 2 && ticked + total / 100 * share <= full, "blocks around %s bytes: PSS falls while ticking",
        which);
}

static size_t mappings(void)
{
    size_t n = 0;
    int ch, fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    FILE *f = fdopen(fd, "r");
    while (f != NULL && (ch = getc(f)) != EOF)
        n += ch == '\n';
    if (f != NULL)
        (void)fclose(f);
    return n;
}

static void mappings_stay_few_under_fragmentation(void)
{
    enum { N = 60000 };
    static char *p[N];
    size_t before = mappings(), most = before;
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < N; i++)
            if (p[i] == NULL) {
                size_t size = 1 + random_below(random_below(100) ? 3000 : 300000);
                p[i] = malloc(size);
                p[i][0] = p[i][size - 1] = 1;
            }
        for (int i = 0; i < N; i++)
            if (random_below(10) != 0) {
                free(p[i]);
                p[i] = NULL;
            }
        (void)malloc_trim(0);
        size_t now = mappings();
        most = now > most ? now : most;
    }
    for (int i = 0; i < N; i++) {
        free(p[i]);
        p[i] = NULL;
    }
    tap(most <= before + 200, "mappings under a fragmenting load: %zu before, at most %zu", before, most);
}

static void mappings_stay_few_when_big_blocks_move(void)
{
    enum { N = 24 };
    char *p[N] = {NULL};
    size_t size[N], before = mappings(), most = before;
    for (int i = 0; i < N; i++)
        p[i] = malloc(size[i] = (size_t)1 << 20);
    for (int step = 0; step < 30000; step++) {
        unsigned i = random_below(N);
        size[i] = (size_t)(1 + random_below(step % 50 ? 4096 : 40960)) << 10;
        p[i] = realloc(p[i], size[i]);
        p[i][0] = 1;
        p[i][size[i] - 1] = 1;
        if (step % 1000 == 0) {
            size_t now = mappings();
            most = now > most ? now : most;
        }
    }
    for (int i = 0; i < N; i++)
        free(p[i]);
    (void)malloc_trim(0);
    tap(most <= 20000, "mappings under reallocs of big blocks: %zu before, at most %zu of 65530", before, most);
}

int main(int argc, char **argv)
{
    if (argc > 2) {
        (void)dup2(atoi(argv[2]), 0);
        return free_and_tick((size_t)atoi(argv[1]), (size_t)64 << 20);
    }
    watch("64", (size_t)64 << 20, 25); // page arithmetic: at 1 % alive half of the pages keep a block of 64 bytes
    watch("512", (size_t)64 << 20, 75);
    watch("4096", (size_t)64 << 20, 85);
    watch("32768", (size_t)64 << 20, 85);
    mappings_stay_few_under_fragmentation();
    mappings_stay_few_when_big_blocks_move();
    return tap_done();
}
