/* Small address spaces: under ulimit -v the program works, uses most of what it is allowed, and when there is no more
 * malloc is NULL with ENOMEM and everything goes on. */
#include "tap.h"

#include <malloc.h>
#include <pthread.h>
#include <sys/resource.h>

enum { BLOCK = 1 << 20, MAX = 100000 };

static char *blocks[MAX];

/* Allocates until there is no more, several times over; exit status 0 when all held. */
static int exhaust(size_t block, size_t want)
{
    size_t first = 0;
    for (int round = 0; round < 5; round++) {
        size_t n = 0;
        errno = 0;
        while (n < MAX && (blocks[n] = malloc(block)) != NULL) {
            blocks[n][0] = (char)n;
            blocks[n][block / 2] = (char)n;
            n++;
        }
        if (n == MAX || errno != ENOMEM)
            return 1;
        errno = 0;
        if (calloc(1, (size_t)4 << 30) != NULL || errno != ENOMEM || realloc(blocks[0], (size_t)4 << 30) != NULL ||
            errno != ENOMEM)
            return 2;
        for (size_t i = 0; i < n; i++) {
            if (blocks[i][0] != (char)i || blocks[i][block / 2] != (char)i)
                return 3;
            if (i % 2)
                free(blocks[i]);
        }
        char *half = malloc(block); // there is room again
        if (half == NULL)
            return 4;
        free(half);
        for (size_t i = 0; i < n; i += 2)
            free(blocks[i]);
        if (round == 0)
            first = n;
        else if (n < first - first / 4)
            return 5; // address space was lost
    }
    (void)printf("%zu MiB\n", first * block >> 20);
    return first * block >= want ? 0 : 6;
}

static void *thread_allocates(void *unused)
{
    (void)unused;
    char *p = malloc(1000), *q = malloc(100000);
    bool good = p != NULL && q != NULL;
    free(p);
    free(q);
    return good ? (void *)blocks : NULL;
}

static int mixed(void)
{
    void *p[3000];
    for (int round = 0; round < 20; round++) {
        for (size_t i = 0; i < 3000; i++)
            if ((p[i] = malloc(i % 500 * 20)) == NULL)
                return 1;
        for (size_t i = 0; i < 3000; i++)
            p[i] = realloc(p[i], i % 700 * 20 + 1);
        for (size_t i = 0; i < 3000; i++)
            free(p[i]);
    }
    pthread_t t;
    void *result = NULL;
    pthread_attr_t attr;
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setstacksize(&attr, 256 << 10);
    if (pthread_create(&t, &attr, thread_allocates, NULL) == 0)
        (void)pthread_join(t, &result);
    return result != NULL ? 0 : 2;
}

static void under(size_t mib, const char *work, const char *name)
{
    tap_child_t c;
    char limit[32];
    const char *argv[] = {"/proc/self/exe", work, limit, NULL};
    (void)snprintf(limit, sizeof limit, "%zu", mib);
    if (tap_start(&c, argv, NULL))
        tap_finish(&c, 60);
    tap(tap_exited(&c, 0), "%s, %zu MiB of address space%s%.*s", name, mib, c.out[0] ? ": got " : "",
        (int)strcspn(c.out, "\n"), c.out);
}

/* The limit must be there from the start of the process: set it, then start again. */
static int limited(const char *work, const char *limit)
{
    struct rlimit l;
    size_t mib = strtoul(limit, NULL, 10);
    (void)getrlimit(RLIMIT_AS, &l);
    if (l.rlim_cur == RLIM_INFINITY) {
        l.rlim_cur = l.rlim_max = (rlim_t)mib << 20;
        const char *argv[] = {"/proc/self/exe", work, limit, NULL};
        if (setrlimit(RLIMIT_AS, &l) == 0)
            (void)execv(argv[0], (char *const *)argv);
        return 126;
    }
    if (strcmp(work, "mixed") == 0)
        return mixed();
    size_t share = (mib << 20) / 2; // half of the limit at least: the rest is code, tables and stacks
    return strcmp(work, "large") == 0 ? exhaust(BLOCK, share) : exhaust(3000, share);
}

int main(int argc, char **argv)
{
    if (argc > 2)
        return limited(argv[1], argv[2]);
    static const size_t limits[] = {64, 100, 200, 400, 1000};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        under(limits[i], "mixed", "a mixed load");
    under(200, "large", "large blocks until none is left");
    under(500, "large", "large blocks until none is left");
    under(200, "small", "small blocks until none is left");
    return tap_done();
}
