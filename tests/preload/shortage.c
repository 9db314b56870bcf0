/* What is answered when memory is short, in a program without a C++ runtime. */
#include "tap.h"

#include <dlfcn.h>
#include <sys/resource.h>

enum { BLOCKS = 20000, SIZE = 30000, SMALLER = 1500, LIMIT = 256 << 20 };

/* A smaller block can stay where it is: programs that shrink one to get out of a shortage do not expect to fail. */
static int shrink(void)
{
    static char *block[BLOCKS];
    struct rlimit limit = {LIMIT, LIMIT};
    (void)setrlimit(RLIMIT_AS, &limit);
    int n = 0;
    while (n < BLOCKS && (block[n] = malloc(SIZE)) != NULL)
        n++;
    if (n == BLOCKS || n < 10)
        return 1; // there was no shortage
    memset(block[7], 'x', SIZE);
    errno = 4711;
    char *p = realloc(block[7], SMALLER);
    return p == NULL || p[0] != 'x' || p[SMALLER - 1] != 'x' || errno != 4711 ? 2 : 0;
}

static int nothrow_without_a_runtime(void)
{
    void *(*new_nothrow)(size_t, const void *) =
        (void *(*)(size_t, const void *))dlsym(RTLD_DEFAULT, "_ZnwmRKSt9nothrow_t");
    void *(*aligned)(size_t, size_t, const void *) =
        (void *(*)(size_t, size_t, const void *))dlsym(RTLD_DEFAULT, "_ZnwmSt11align_val_tRKSt9nothrow_t");
    char nothrow;
    if (new_nothrow == NULL || aligned == NULL)
        return 1;
    if (new_nothrow((size_t)1 << 62, &nothrow) != NULL || aligned((size_t)1 << 62, 64, &nothrow) != NULL)
        return 2;
    return new_nothrow(100, &nothrow) != NULL ? 0 : 3;
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return strcmp(argv[1], "shrink") == 0 ? shrink() : nothrow_without_a_runtime();
    tap_child_t c;
    tap_self(&c, "shrink", NULL);
    tap(tap_exited(&c, 0), "realloc to fewer bytes gives a block when there is no memory for another one");
    tap_self(&c, "nothrow", NULL);
    tap(tap_exited(&c, 0), "new(nothrow) gives a null pointer where no C++ runtime is there to ask");
    return tap_done();
}
