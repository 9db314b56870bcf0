/* Uses the heap as early and as late as a library can: in its constructor, its destructor, and at exit. Preloaded
 * before and behind the library under test, linked, and opened. What it allocates before and frees after makes the ends
 * of the process meet. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *from_constructor, *kept;

char *early_block(void);

char *early_block(void) { return kept; }

static void complain(const char *what)
{
    (void)!write(2, what, strlen(what));
    _exit(99);
}

static void use(void)
{
    char *p[50];
    for (int i = 0; i < 50; i++) {
        p[i] = i % 2 ? malloc((size_t)(i * i * 20)) : calloc((size_t)i + 1, 30);
        if (p[i] == NULL)
            complain("early: no memory\n");
        memset(p[i], i, 1);
    }
    for (int i = 0; i < 50; i++)
        p[i] = realloc(p[i], (size_t)(i + 1) * 700);
    for (int i = 0; i < 50; i++) {
        if (p[i][0] != i && i % 2)
            complain("early: contents lost\n");
        free(p[i]);
    }
}

static void at_exit(void) { use(); }

__attribute__((constructor(101))) static void begin(void)
{
    use();
    from_constructor = malloc(1000);
    kept = strdup("made in a constructor");
    memset(from_constructor, 'c', 1000);
    (void)atexit(at_exit);
}

__attribute__((destructor(101))) static void end(void)
{
    use();
    for (int i = 0; i < 1000; i++)
        if (from_constructor[i] != 'c')
            complain("early: block of the constructor spoilt\n");
    free(from_constructor);
    free(kept);
    use();
    if (getenv("EARLY_SAYS_BYE") != NULL)
        complain("bye\n"); // and exits with 99: the very end was reached
}
