/* two FLAG LIBRARY... - opens each library (FLAG: local, global or deepbind), and uses the movable heap of each through
 * the functions that it exports, all of them in turn. Each must know its own handles only, whichever the process has
 * opened first or was started with. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef uint64_t tm_handle_t;
enum { LIBRARIES = 4, OBJECTS = 20000, SIZE = 100 };

typedef struct library {
    const char *path;
    tm_handle_t (*alloc)(size_t);
    void (*free)(tm_handle_t);
    void *(*pin)(tm_handle_t);
    void (*unpin)(tm_handle_t);
    void (*scope_enter)(void);
    void (*scope_exit)(void);
    void *(*deref)(tm_handle_t);
    size_t (*size)(tm_handle_t);
    size_t (*compact)(void);
    tm_handle_t object[OBJECTS];
} library_t;

static library_t libraries[LIBRARIES];

static void *need(void *lib, const char *name)
{
    void *f = dlsym(lib, name);
    if (f == NULL)
        printf("%s\n", dlerror());
    return f;
}

static int open_library(library_t *l, const char *path, const char *flag)
{
    int flags = RTLD_NOW | (strcmp(flag, "global") == 0 ? RTLD_GLOBAL : RTLD_LOCAL) |
                (strcmp(flag, "deepbind") == 0 ? RTLD_DEEPBIND : 0);
    void *lib = dlopen(path, flags);
    if (lib == NULL) {
        printf("%s\n", dlerror());
        return 0;
    }
    l->path = path;
    l->alloc = (tm_handle_t(*)(size_t))need(lib, "tm_alloc");
    l->free = (void (*)(tm_handle_t))need(lib, "tm_free");
    l->pin = (void *(*)(tm_handle_t))need(lib, "tm_pin");
    l->unpin = (void (*)(tm_handle_t))need(lib, "tm_unpin");
    l->scope_enter = (void (*)(void))need(lib, "tm_scope_enter");
    l->scope_exit = (void (*)(void))need(lib, "tm_scope_exit");
    l->deref = (void *(*)(tm_handle_t))need(lib, "tm_deref");
    l->size = (size_t(*)(tm_handle_t))need(lib, "tm_sizeof");
    l->compact = (size_t(*)(void))need(lib, "tm_compact");
    return l->compact != NULL;
}

static void fill(library_t *l, int which)
{
    for (int i = 0; i < OBJECTS; i++) {
        l->object[i] = l->alloc(SIZE);
        memset(l->pin(l->object[i]), which + i, SIZE);
        l->unpin(l->object[i]);
    }
    for (int i = 0; i < OBJECTS; i++)
        if (i % 7 != 0)
            l->free(l->object[i]);
    (void)l->compact();
}

static int intact(library_t *l, int which)
{
    for (int i = 0; i < OBJECTS; i += 7) {
        l->scope_enter();
        const unsigned char *p = l->deref(l->object[i]);
        int good = l->size(l->object[i]) >= SIZE && p[0] == (unsigned char)(which + i) &&
                   p[SIZE - 1] == (unsigned char)(which + i);
        l->scope_exit();
        if (!good) {
            printf("%s: object %d is spoilt\n", l->path, i);
            return 0;
        }
    }
    return 1;
}

int main(int argc, char **argv)
{
    for (int i = 2; i < argc; i++)
        if (!open_library(&libraries[i - 2], argv[i], argv[1]))
            return 1;
    for (int i = 2; i < argc; i++)
        fill(&libraries[i - 2], i);
    for (int i = 2; i < argc; i++)
        if (!intact(&libraries[i - 2], i))
            return 1;
    printf("%d libraries\n", argc - 2);
    return 0;
}
