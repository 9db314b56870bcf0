/* A module that a program opens, uses and closes. */
#include <stdlib.h>

void *site_module(size_t size)
{
    volatile char *p = malloc(size);
    p[0] = 1;
    return (void *)p;
}
