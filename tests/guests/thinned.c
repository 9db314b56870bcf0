/* Where the kernel makes huge pages everywhere, a heap that has become thin stays as small as where it makes none.
 * The same work is done in two processes, one of which may have no huge pages at all; then each asks for what
 * khugepaged would do by and by: a huge page wherever one may be and anything is resident. */
#include "../handles/objects.h"

#include <malloc.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

enum { HUGE = 2 << 20, N = 60000, SIZE = 500, ONE_IN = 20 };

static long resident_kib(void)
{
    char text[4096] = "", *line;
    int fd = open("/proc/self/smaps_rollup", O_RDONLY);
    ssize_t n = read(fd, text, sizeof text - 1);
    (void)close(fd);
    line = n > 0 ? strstr(text, "Rss:") : NULL;
    return line == NULL ? -1 : strtol(line + 4, NULL, 10);
}

/* In all private mappings without a name. */
static void collapse_all(void)
{
    char line[512];
    unsigned char in_use[HUGE / 4096];
    FILE *f = fopen("/proc/self/maps", "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        uintptr_t from, to;
        unsigned long inode;
        if (sscanf(line, "%lx-%lx rw-p %*x %*s %lu", &from, &to, &inode) != 3 || inode != 0)
            continue;
        for (uintptr_t p = (from + HUGE - 1) / HUGE * HUGE; p + HUGE <= to; p += HUGE)
            if (mincore((void *)p, HUGE, in_use) == 0 && memchr(in_use, 1, sizeof in_use) != NULL)
                (void)madvise((void *)p, HUGE, MADV_COLLAPSE);
    }
    if (f != NULL)
        (void)fclose(f);
}

static void thin_blocks(void)
{
    static char *p[N];
    for (int i = 0; i < N; i++)
        p[i] = (char *)memset(malloc(SIZE), 1, SIZE);
    for (int i = 0; i < N; i++)
        if (i % ONE_IN != 0)
            free(p[i]);
    (void)malloc_trim(0);
}

static void thin_objects(void)
{
    static tm_handle_t h[N];
    for (int i = 0; i < N; i++) {
        h[i] = tm_alloc(SIZE);
        TM_PINNED(char, p, h[i]) { memset(p, 1, SIZE); }
    }
    for (int i = 0; i < N; i++)
        if (i % ONE_IN != 0)
            tm_free(h[i]);
    (void)tm_compact();
    (void)malloc_trim(0);
}

static void hardly_anything(void) { free(malloc(100)); }

/* In a process of its own: prints what is resident at the end. */
static int work(const char *what, bool huge)
{
    if (!huge)
        (void)prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
    if (strcmp(what, "blocks") == 0)
        thin_blocks();
    else if (strcmp(what, "objects") == 0)
        thin_objects();
    else
        hardly_anything();
    if (huge)
        collapse_all();
    printf("%ld\n", resident_kib());
    return 0;
}

static long measured(const char *self, const char *what, const char *how)
{
    char command[512], text[64] = "";
    (void)snprintf(command, sizeof command, "%s %s %s", self, what, how);
    FILE *f = popen(command, "r");
    if (f == NULL)
        return -1;
    (void)fgets(text, sizeof text, f);
    (void)pclose(f);
    return strtol(text, NULL, 10);
}

int main(int argc, char **argv)
{
    static const char *const whats[] = {"nothing", "blocks", "objects"};
    if (argc > 2)
        return work(argv[1], strcmp(argv[2], "huge") == 0);
    if (madvise(NULL, 0, MADV_COLLAPSE) != 0) {
        tap_skip("a thin heap gets no huge pages", "this kernel has no MADV_COLLAPSE");
        return tap_done();
    }
    for (size_t i = 0; i < sizeof whats / sizeof *whats; i++) {
        long without = measured(argv[0], whats[i], "small"), with = measured(argv[0], whats[i], "huge");
        bool small = without > 0 && with > 0 && with <= without * 13 / 10 + 512;
        (void)tap(small, "%s: with huge pages everywhere as small as without", whats[i]);
        printf("# %s: %ld KiB without huge pages, %ld KiB with them\n", whats[i], without, with);
    }
    return tap_done();
}
