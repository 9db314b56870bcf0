/* mallinfo, mallinfo2, malloc_info and malloc_stats tell the truth about this heap; mallopt and malloc_trim answer as
 * glibc's. */
#include "tap.h"

#include <malloc.h>
#include <pthread.h>

enum { N = 1000, SIZE = 1000, BIG = 3 << 20 };

static size_t number_after(const char *text, const char *key)
{
    const char *at = strstr(text, key);
    return at != NULL ? strtoul(at + strlen(key), NULL, 10) : (size_t)-1;
}

static char *info_text(void)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    int result = malloc_info(0, f);
    (void)fclose(f);
    return result == 0 ? text : NULL;
}

/* live_bytes and live_blocks as malloc_info has them. */
static void read_info(size_t *bytes, size_t *blocks)
{
    char *text = info_text();
    *blocks = text ? number_after(text, "<total type=\"live\" count=\"") : 0;
    const char *at = text ? strstr(text, "<total type=\"live\"") : NULL;
    *bytes = at ? number_after(at, "size=\"") : 0;
    free(text);
}

static void mallinfo2_follows_the_program(void)
{
    static void *p[N];
    struct mallinfo2 before = mallinfo2();
    size_t usable = 0;
    for (int i = 0; i < N; i++)
        usable += malloc_usable_size(p[i] = malloc(SIZE));
    void *big = malloc(BIG);
    size_t big_usable = malloc_usable_size(big);
    struct mallinfo2 during = mallinfo2();
    tap(during.uordblks - before.uordblks == usable, "mallinfo2: uordblks counts live bytes but for large blocks");
    tap(during.hblkhd - before.hblkhd == big_usable && during.hblks - before.hblks == 1,
        "mallinfo2: hblks and hblkhd count large blocks");
    tap(during.arena >= usable && during.fordblks + during.uordblks >= during.uordblks,
        "mallinfo2: arena holds the live bytes");
    free(big);
    for (int i = 0; i < N; i++)
        free(p[i]);
    (void)malloc_trim(0);
    struct mallinfo2 after = mallinfo2();
    tap(after.uordblks == before.uordblks && after.hblkhd == before.hblkhd, "mallinfo2: after free it is as before");
    tap(after.keepcost == 0 && after.arena <= before.arena + (1 << 20),
        "mallinfo2: after malloc_trim nothing empty is kept");
}

static void mallinfo_is_the_same_in_ints(void)
{
    struct mallinfo2 wide = mallinfo2();
    struct mallinfo narrow = mallinfo();
    tap((size_t)narrow.uordblks == wide.uordblks && (size_t)narrow.arena == wide.arena,
        "mallinfo agrees with mallinfo2");
    void *p = malloc((size_t)3 << 30);
    narrow = mallinfo();
    tap(p != NULL && narrow.hblkhd == INT32_MAX, "mallinfo is clamped where an int is too small");
    free(p);
}

static void malloc_info_counts_blocks(void)
{
    static void *p[N];
    size_t bytes0, blocks0, bytes1, blocks1, usable = 0;
    read_info(&bytes0, &blocks0);
    for (int i = 0; i < N; i++)
        usable += malloc_usable_size(p[i] = malloc((size_t)i * 40));
    read_info(&bytes1, &blocks1);
    tap(blocks1 - blocks0 == N, "malloc_info counts %d blocks (%zu)", N, blocks1 - blocks0);
    tap(bytes1 - bytes0 == usable, "malloc_info counts their bytes");
    for (int i = 0; i < N; i++)
        free(p[i]);
    char *text = info_text();
    tap(text != NULL && strncmp(text, "<malloc version=\"tinymem-", 25) == 0 && strstr(text, "</malloc>\n") != NULL,
        "malloc_info is an XML document of its own");
    free(text);
    tap(malloc_info(1, stdout) == EINVAL, "malloc_info with options: EINVAL");
}

static int say_stats(void)
{
    void *p = malloc(BIG);
    memset(p, 1, BIG);
    malloc_stats();
    return 0;
}

static void malloc_stats_is_one_true_line(void)
{
    tap_child_t c;
    tap_self(&c, "stats", NULL);
    tap(tap_exited(&c, 0) && strncmp(c.err, "tinymem: live ", 14) == 0, "malloc_stats writes to stderr");
    tap(number_after(c.err, "(") == BIG && number_after(c.err, "bytes in ") > 0,
        "malloc_stats: live bytes in large blocks");
}

static void mallopt_answers(void)
{
    static const int known[] = {M_MXFAST,       M_TRIM_THRESHOLD, M_TOP_PAD,    M_MMAP_THRESHOLD, M_MMAP_MAX,
                                M_CHECK_ACTION, M_PERTURB,        M_ARENA_TEST, M_ARENA_MAX};
    bool accepts = true;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        accepts &= mallopt(known[i], 1) == 1;
    tap(accepts, "mallopt accepts glibc's parameters");
    tap(mallopt(12345, 1) == 0, "mallopt refuses others");
}

static void *trim_here(void *result)
{
    *(int *)result = malloc_trim(0);
    return NULL;
}

static void trim_works_from_any_thread(void)
{
    enum { BLOCKS = 20000 };
    static char *p[BLOCKS];
    for (int i = 0; i < BLOCKS; i++)
        memset(p[i] = malloc(SIZE), 1, SIZE);
    for (int i = 0; i < BLOCKS; i++)
        free(p[i]);
    pthread_t t;
    int result = -1;
    size_t before = tap_proc_kb(0, "smaps_rollup", "Rss:");
    if (pthread_create(&t, NULL, trim_here, &result) == 0)
        (void)pthread_join(t, NULL);
    size_t after = tap_proc_kb(0, "smaps_rollup", "Rss:");
    (void)malloc_trim(0); // what this thread had cached
    tap(result >= 0 && mallinfo2().keepcost == 0, "malloc_trim from another thread");
    tap(after + (8 << 20) < before || result == 0, "malloc_trim makes RSS fall: %zu to %zu KiB", before >> 10,
        after >> 10);
    tap(malloc_trim(0) == 0, "malloc_trim with nothing to give returns 0");
    tap(malloc_trim((size_t)-1) == 0 && malloc_trim(1 << 20) == 0, "malloc_trim takes any pad");
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "stats") == 0)
        return say_stats();
    static char buffer[1 << 16];
    (void)setvbuf(stdout, buffer, _IOFBF, sizeof buffer); // a buffer from malloc would be counted too
    mallinfo2_follows_the_program();
    mallinfo_is_the_same_in_ints();
    malloc_info_counts_blocks();
    malloc_stats_is_one_true_line();
    mallopt_answers();
    trim_works_from_any_thread();
    return tap_done();
}
