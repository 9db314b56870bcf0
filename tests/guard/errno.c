/* errno after allocations that succeed, whatever is done beside them: options come from the environment. Prints the
 * first function that has changed it; "control" changes it on purpose. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tinymem/tinymem.h>

enum { ROUNDS = 2000, UNTOUCHED = 77 };

static const char *changed;
static int number;

static void look(const char *function)
{
    if (errno != UNTOUCHED && changed == NULL) {
        changed = function;
        number = errno;
    }
    errno = UNTOUCHED;
}

static void raw_round(size_t i)
{
    void *p = malloc(i % 2000 + 1);
    look("malloc");
    p = realloc(p, i * 3 % 5000 + 1);
    look("realloc");
    void *q = calloc(1, i);
    look("calloc");
    void *a = aligned_alloc(64, 64 * (i % 100 + 1));
    look("aligned_alloc");
    void *large = malloc(100000 + i);
    look("malloc of 100,000 bytes");
    free(p);
    free(q);
    free(a);
    free(large);
    look("free");
}

static void movable_round(size_t i)
{
    tm_handle_t h = tm_alloc(i % 2000 + 1);
    look("tm_alloc");
    tm_handle_t near = tm_alloc_near(h, i % 2000 + 1), zero = tm_calloc(i % 20 + 1, 40);
    look("tm_alloc_near, tm_calloc");
    (void)tm_pin(h);
    tm_unpin(h);
    look("tm_pin");
    h = tm_realloc(h, i * 3 % 50000 + 1);
    look("tm_realloc");
    tm_free(h);
    tm_free(near);
    tm_free(zero);
    look("tm_free");
}

int main(int argc, char **argv)
{
    errno = UNTOUCHED;
    for (size_t i = 0; i < ROUNDS; i++) {
        raw_round(i);
        movable_round(i);
        if (i == ROUNDS / 2 && argc > 1 && strcmp(argv[1], "control") == 0) {
            errno = EAGAIN;
            look("control");
        }
    }
    if (changed != NULL)
        printf("%s: errno is %d\n", changed, number);
    return 0;
}
