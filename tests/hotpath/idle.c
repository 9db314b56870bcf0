/* idle.c - functions that do nothing, in a shared library as malloc is: what calling costs. */
#include <stddef.h>

void *idle_malloc(size_t size);
void idle_free(void *p);

void *idle_malloc(size_t size)
{
    (void)size;
    return NULL;
}

void idle_free(void *p) { (void)p; }
