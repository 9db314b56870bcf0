/* Registers fork handlers that use the heap as soon as it is loaded: preloaded behind the library under test it comes
 * before its handlers, opened later it comes after them. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int atfork_runs(void);

static int runs;
static char *handed; // from one handler to the next, across the fork

int atfork_runs(void) { return runs; }

static void use(void)
{
    for (size_t size = 8; size < 400000; size *= 3) {
        char *p = malloc(size), *q = calloc(1, size), *r = memset(malloc(size), 3, size);
        if (p == NULL || q == NULL || q[size - 1] != 0)
            _exit(95);
        memset(q, 1, size);
        r = realloc(r, size * 3);
        if (r == NULL || r[size - 1] != 3)
            _exit(94);
        free(r);
        free(p);
        free(q);
    }
    runs++;
}

static void prepare(void)
{
    use();
    handed = strdup("made in prepare");
}

static void after(void)
{
    if (strcmp(handed, "made in prepare") != 0)
        _exit(93);
    free(handed);
    use();
}

__attribute__((constructor(101))) static void begin(void) { (void)pthread_atfork(prepare, after, after); }
