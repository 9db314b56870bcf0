/* count.c - a loop for callgrind: so many times one operation, and nothing else that depends on the number.
 *
 * usage: handles-count CASE TIMES. The driver runs each case with two numbers and takes the difference, and that of the
 * empty loop away from it. */
#include "handlekit.h"

enum { BURST = 32 };

static void empty(long n)
{
    for (long i = 0; i < n; i++)
        __asm__ volatile("" ::: "memory");
}

/* The two loops of a burst, and the array between them. */
static void empty_burst(long n)
{
    tm_handle_t block[BURST];
    for (long i = 0; i < n / BURST; i++) {
        for (int k = 0; k < BURST; k++)
            __asm__ volatile("" : "=r"(block[k]));
        for (int k = 0; k < BURST; k++)
            __asm__ volatile("" : : "r"(block[k]) : "memory");
    }
}

static void pin_unpin(long n)
{
    tm_handle_t h = make_object(64);
    for (long i = 0; i < n; i++) {
        void *p = tm_pin(h);
        __asm__ volatile("" : : "r"(p) : "memory");
        tm_unpin(h);
    }
}

static void scope_deref(long n)
{
    tm_handle_t h = make_object(64);
    tm_scope_enter();
    for (long i = 0; i < n; i++) {
        void *p = tm_deref(h);
        __asm__ volatile("" : : "r"(p) : "memory");
    }
    tm_scope_exit();
}

static void alloc_free(long n, size_t size)
{
    for (long i = 0; i < n; i++) {
        tm_handle_t h = tm_alloc(size);
        __asm__ volatile("" : "+r"(h) : : "memory");
        tm_free(h);
    }
}

static void alloc_free_burst(long n, size_t size)
{
    tm_handle_t block[BURST];
    for (long i = 0; i < n / BURST; i++) {
        for (int k = 0; k < BURST; k++)
            block[k] = tm_alloc(size);
        for (int k = 0; k < BURST; k++)
            tm_free(block[k]);
    }
}

static void malloc_free(long n, size_t size)
{
    for (long i = 0; i < n; i++) {
        void *p = malloc(size);
        __asm__ volatile("" : "+r"(p) : : "memory");
        free(p);
    }
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "empty";
    long n = argument(argc, argv, 2, 1000);
    size_t size = (size_t)argument(argc, argv, 3, 48);
    if (!strcmp(name, "pin+unpin"))
        pin_unpin(n);
    else if (!strcmp(name, "deref"))
        scope_deref(n);
    else if (!strcmp(name, "alloc+free"))
        alloc_free(n, size);
    else if (!strcmp(name, "alloc+free-burst"))
        alloc_free_burst(n, size);
    else if (!strcmp(name, "malloc+free"))
        malloc_free(n, size);
    else if (!strcmp(name, "empty-burst"))
        empty_burst(n);
    else
        empty(n);
    return 0;
}
