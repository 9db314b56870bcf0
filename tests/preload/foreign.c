/* Pointers of another heap: a plugin allocates from the C library's own malloc, and what it hands out ends in
 * our free, realloc and malloc_usable_size: recognised, passed on, never corrupted. Small ones lie in the C library's
 * [heap] or its thread arenas, large ones in mappings of their own. */
#include "tap.h"

#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>

static struct plugin {
    void *(*malloc_)(size_t), *(*calloc_)(size_t), *(*aligned)(size_t, size_t), *(*realloc_)(void *, size_t),
        *(*address)(void);
    char *(*strdup_)(const char *);
    void (*free_)(void *);
} plugin;

static const size_t sizes[] = {0, 1, 24, 100, 1000, 5000, 40000, 100000, 200000, 1 << 20, 40 << 20};
enum { SIZES = sizeof sizes / sizeof *sizes };

static bool open_plugin(void)
{
    void *lib = dlopen(tap_module("libcs_heap"), RTLD_NOW | RTLD_LOCAL);
    if (lib == NULL)
        return false;
    plugin.malloc_ = (void *(*)(size_t))dlsym(lib, "plugin_malloc");
    plugin.calloc_ = (void *(*)(size_t))dlsym(lib, "plugin_calloc");
    plugin.aligned = (void *(*)(size_t, size_t))dlsym(lib, "plugin_aligned");
    plugin.realloc_ = (void *(*)(void *, size_t))dlsym(lib, "plugin_realloc");
    plugin.address = (void *(*)(void))dlsym(lib, "plugin_malloc_address");
    plugin.strdup_ = (char *(*)(const char *))dlsym(lib, "plugin_strdup");
    plugin.free_ = (void (*)(void *))dlsym(lib, "plugin_free");
    return plugin.address != NULL;
}

static bool is_filled(const char *p, int byte, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != (char)byte)
            return false;
    return true;
}

static void our_free_takes_theirs(void)
{
    errno = 4711;
    for (int round = 0; round < 30; round++)
        for (int i = 0; i < SIZES; i++) {
            void *p[4] = {plugin.malloc_(sizes[i]), plugin.calloc_(sizes[i]), plugin.aligned(64, sizes[i]),
                          plugin.strdup_("text")};
            for (int k = 0; k < 3; k++)
                memset(p[k], k, sizes[i] < 4096 ? sizes[i] : 4096);
            for (int k = 0; k < 4; k++)
                free(p[k]);
        }
    tap(errno == 4711, "free passes the plugin's blocks on and leaves errno alone");
    void *first = plugin.malloc_(1000);
    free(first);
    void *second = plugin.malloc_(1000);
    tap(first == second, "they really come back to its heap");
    free(second);
}

static void our_realloc_takes_theirs(void)
{
    bool good = true;
    for (int i = 0; i < SIZES; i++)
        for (int k = 0; k < SIZES; k++) {
            size_t from = sizes[i], to = sizes[k] + 1, kept = from < to ? from : to;
            if (from + to > 4 << 20 && i != k)
                continue;
            char *p = plugin.malloc_(from);
            memset(p, i + 1, from);
            p = realloc(p, to);
            good &= p != NULL && is_filled(p, i + 1, kept);
            memset(p, 9, to);
            p = realloc(p, to + 10000);
            good &= p != NULL && is_filled(p, 9, to);
            free(p);
        }
    tap(good, "realloc keeps the contents of the plugin's blocks");
    errno = 0;
    tap(realloc(plugin.malloc_(100), 0) == NULL, "realloc of one to 0 frees it");
}

static void our_usable_size_asks_theirs(void)
{
    bool good = true;
    for (int i = 0; i < SIZES; i++) {
        char *p = plugin.malloc_(sizes[i]);
        size_t usable = malloc_usable_size(p);
        good &= usable >= sizes[i] && usable < sizes[i] + 8192;
        memset(p, 1, usable);
        free(p);
    }
    tap(good, "malloc_usable_size asks its heap");
}

static void *pass_blocks(void *unused)
{
    for (int i = 0; i < 3000; i++) { // from one of the C library's thread arenas
        char *p = plugin.malloc_((size_t)i % 3000), *q = malloc((size_t)i % 3000);
        memset(p, 1, (size_t)i % 3000);
        free(i % 2 ? (void *)p : (void *)q);
        if (i % 2)
            free(q);
        else
            p = realloc(p, 5000), free(p);
    }
    return unused;
}

static void threads_mix_heaps(void)
{
    pthread_t t[3];
    for (int i = 0; i < 3; i++)
        (void)pthread_create(&t[i], NULL, pass_blocks, NULL);
    for (int i = 0; i < 3; i++)
        (void)pthread_join(t[i], NULL);
    tap(true, "threads mix heaps");
}

static void both_heaps_stay_whole(void)
{
    enum { N = 2000 };
    static char *ours[N], *theirs[N];
    bool good = true;
    for (int i = 0; i < N; i++) {
        size_t size = (size_t)i * 13 % 4000 + 1;
        memset(ours[i] = malloc(size), i, size);
        memset(theirs[i] = plugin.malloc_(size), ~i, size);
        if (i >= 50 && i % 3 == 0) {
            free(theirs[i - 50]);
            theirs[i - 50] = NULL;
        }
    }
    for (int i = 0; i < N; i++) {
        size_t size = (size_t)i * 13 % 4000 + 1;
        good &= is_filled(ours[i], i, size) && (theirs[i] == NULL || is_filled(theirs[i], ~i, size));
        free(ours[i]);
        plugin.free_(theirs[i]);
    }
    tap(good, "blocks of both heaps keep their contents");
}

/* The other way round: only a free that the C library refuses is possible, and it says so itself; it must not be silent
 * corruption. */
static int plugin_frees_ours(void)
{
    char *p = malloc(100);
    memset(p, 0, 100);
    plugin.free_(p);
    return 0;
}

int main(int argc, char **argv)
{
    (void)argv;
    if (!tap(open_plugin(), "the plugin opens"))
        return tap_done();
    if (argc > 1)
        return plugin_frees_ours();
    if (plugin.address() == dlsym(RTLD_DEFAULT, "malloc")) {
        tap_skip("the plugin has the C library's heap", "the C library's malloc is the program's here");
        return tap_done();
    }
    our_free_takes_theirs();
    our_realloc_takes_theirs();
    our_usable_size_asks_theirs();
    threads_mix_heaps();
    both_heaps_stay_whole();
    tap_child_t c;
    tap_self(&c, "theirs", NULL);
    tap(c.status != -1 && (WIFSIGNALED(c.status) || c.status == 0), "our block in the plugin's free does not hang");
    return tap_done();
}
