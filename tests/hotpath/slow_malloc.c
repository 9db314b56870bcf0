/* slow_malloc.c - the control: a malloc with all that the hot path must not have. */
#include <stddef.h>

extern void *__libc_malloc(size_t size);
extern void __libc_free(void *p);

static int word;

void *malloc(size_t size)
{
    __atomic_fetch_add(&word, 1, __ATOMIC_RELAXED);
    return __libc_malloc(size);
}

void free(void *p)
{
    __atomic_exchange_n(&word, 0, __ATOMIC_SEQ_CST);
    __libc_free(p);
}
