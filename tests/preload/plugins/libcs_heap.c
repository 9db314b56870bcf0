/* A plugin that works with the C library's heap whatever malloc the program has: it asks the C library itself for its
 * functions. */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

void *plugin_malloc(size_t size);
void *plugin_calloc(size_t size);
void *plugin_aligned(size_t align, size_t size);
char *plugin_strdup(const char *s);
void *plugin_realloc(void *p, size_t size);
void plugin_free(void *p);
void *plugin_malloc_address(void);

static void *of_libc(const char *name)
{
    static void *libc;
    if (libc == NULL)
        libc = dlopen("libc.so.6", RTLD_NOW | RTLD_LOCAL);
    return dlsym(libc, name);
}

void *plugin_malloc(size_t size) { return ((void *(*)(size_t))of_libc("malloc"))(size); }
void *plugin_calloc(size_t size) { return ((void *(*)(size_t, size_t))of_libc("calloc"))(1, size); }
void *plugin_aligned(size_t align, size_t size)
{
    return ((void *(*)(size_t, size_t))of_libc("aligned_alloc"))(align, size);
}
void *plugin_realloc(void *p, size_t size) { return ((void *(*)(void *, size_t))of_libc("realloc"))(p, size); }
void plugin_free(void *p) { ((void (*)(void *))of_libc("free"))(p); }
void *plugin_malloc_address(void) { return of_libc("malloc"); }

char *plugin_strdup(const char *s)
{
    char *copy = plugin_malloc(strlen(s) + 1);
    return copy == NULL ? NULL : strcpy(copy, s);
}
