/* own_malloc.c - a program with its own malloc. A preloaded allocator does not serve it, so its runs are void. */
#include <stddef.h>
#include <stdio.h>

static _Alignas(16) char arena[1 << 20];
static size_t used;

void *malloc(size_t size)
{
    size_t at = used;
    used += (size + 15) & ~(size_t)15;
    return used <= sizeof arena ? arena + at : NULL;
}

void free(void *p)
{
    (void)p;
}

int main(void)
{
    for (int i = 0; i < 1000; i++)
        free(malloc(32));
    return puts("own malloc") < 0;
}
