/* A plugin that is opened with RTLD_DEEPBIND, as php opens its extensions. */
#include <stdlib.h>
#include <string.h>

void *plugin_malloc(size_t size);
void *plugin_calloc(size_t size);
void *plugin_aligned(size_t align, size_t size);
char *plugin_strdup(const char *s);
void *plugin_realloc(void *p, size_t size);
void plugin_free(void *p);
void *plugin_malloc_address(void);

void *plugin_malloc(size_t size) { return malloc(size); }
void *plugin_calloc(size_t size) { return calloc(1, size); }
void *plugin_aligned(size_t align, size_t size) { return aligned_alloc(align, size); }
char *plugin_strdup(const char *s) { return strdup(s); }
void *plugin_realloc(void *p, size_t size) { return realloc(p, size); }
void plugin_free(void *p) { free(p); }
void *plugin_malloc_address(void) { return (void *)malloc; }
