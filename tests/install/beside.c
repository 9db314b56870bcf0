/* Linked with libtinymem-handles: a program with handles whose malloc is somebody else's. Says what it finds:
 *   malloc FILE         the file that serves malloc
 *   idle PRIVATE TASKS    before the first handle: KiB that the library has made private since it was relocated,
 *                         and threads
 *   relocated PRIVATE     KiB that relocation has made private
 *   works TASKS         handles do their work, and the background thread runs then */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tinymem/tinymem.h>
#include <unistd.h>

/* Private pages of the library's mappings, the anonymous one behind its data included. (Private_Dirty would count pages
 * of a file that was written a moment ago.) */
static size_t private_kib(void)
{
    static char text[1 << 18];
    size_t n = 0, sum = 0;
    FILE *f = fopen("/proc/self/smaps", "re");
    if (f == NULL)
        return (size_t)-1;
    n = fread(text, 1, sizeof text - 1, f);
    (void)fclose(f);
    text[n] = '\0';
    int ours = 0, file_before = 0;
    for (char *line = text, *end; line != NULL && *line != '\0'; line = end ? end + 1 : NULL) {
        unsigned long from, to, kib;
        char path[256] = "";
        end = strchr(line, '\n');
        if (end != NULL)
            *end = '\0';
        if (sscanf(line, "%lx-%lx %*s %*s %*s %*s %255s", &from, &to, path) >= 2 && strchr(line, '-') != NULL &&
            strchr(line, '-') < strchr(line, ' ')) {
            int named = strstr(path, "libtinymem-handles") != NULL;
            ours = named || (file_before && path[0] == '\0');
            file_before = ours;
        } else if (ours && sscanf(line, "Anonymous: %lu kB", &kib) == 1) {
            sum += kib;
        }
    }
    return sum;
}

static int tasks(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/task");
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;)
        n += e->d_name[0] != '.';
    if (d != NULL)
        (void)closedir(d);
    return n;
}

static size_t relocated;
static void before_constructors(void) { relocated = private_kib(); }
__attribute__((section(".preinit_array"), used)) static void (*const preinit)(void) = before_constructors;

enum { N = 200000, SIZE = 100 };
static tm_handle_t h[N];

static int work(void)
{
    for (int i = 0; i < N; i++) {
        h[i] = tm_alloc(SIZE);
        TM_PINNED(char, p, h[i]) { memset(p, i, SIZE); }
        free(malloc((size_t)i % 1000));
    }
    for (int i = 0; i < N; i++)
        if (i % 10 != 0)
            tm_free(h[i]);
    tm_stats_t s = {.struct_size = sizeof s};
    for (int t = 0; t < 500 && s.moved_objects == 0; t++) {
        (void)usleep(10000);
        tm_stats(&s);
    }
    (void)tm_compact();
    for (int i = 0; i < N; i += 10)
        TM_PINNED(char, p, h[i])
        {
            for (int k = 0; k < SIZE; k++)
                if (p[k] != (char)i)
                    return 1;
        }
    return s.moved_objects == 0;
}

int main(int argc, char **argv)
{
    Dl_info info = {0};
    (void)argc, (void)argv;
    void *(*volatile f)(size_t) = malloc;
    (void)dladdr((void *)f, &info);
    void *block = f(100), *sym = dlsym(RTLD_DEFAULT, "malloc");
    if (sym != NULL)
        (void)dladdr(sym, &info);
    const char *slash = info.dli_fname ? strrchr(info.dli_fname, '/') : NULL;
    printf("malloc %s\n", slash ? slash + 1 : "?");
    for (int i = 0; i < 1000; i++)
        free(malloc((size_t)i * 100));
    printf("idle %zu %d\n", private_kib() - relocated, tasks());
    printf("relocated %zu\n", relocated);
    if (work() != 0)
        return 1;
    printf("works %d\n", tasks());
    for (int i = 0; i < N; i += 10)
        tm_free(h[i]);
    free(block);
    return 0;
}
