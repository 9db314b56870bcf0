/* A library with an IFUNC symbol whose resolver allocates: the dynamic linker calls it when it relocates resolver_2,
 * before the preloaded library is relocated itself. */
#include <stddef.h>
#include <stdlib.h>

static char *kept, *grown, *zeroed;
static size_t usable;

size_t malloc_usable_size(void *p);

static int answer(void) { return 42; }

__attribute__((used)) static int (*resolve(void))(void)
{
    kept = malloc(100);
    free(malloc(10));
    free(NULL);
    grown = malloc(20);
    if (kept == NULL || grown == NULL)
        return NULL;
    for (int i = 0; i < 20; i++)
        grown[i] = (char)(i + 1);
    for (int i = 0; i < 100; i++)
        kept[i] = 'k';
    grown = realloc(grown, 5000);
    zeroed = calloc(50, 8);
    usable = malloc_usable_size(kept);
    return answer;
}

int resolved(void) __attribute__((ifunc("resolve")));

int resolved(void);
int look_at_early_blocks(void);

/* 0 when all is as the resolver has left it; the blocks are then used like others. */
int look_at_early_blocks(void)
{
    if (usable < 100 || grown == NULL || zeroed == NULL)
        return 1;
    for (int i = 0; i < 20; i++)
        if (grown[i] != i + 1)
            return 2;
    for (int i = 0; i < 400; i++)
        if (zeroed[i] != 0)
            return 3;
    char *moved = realloc(kept, 200);
    if (moved == NULL || moved[0] != 'k' || moved[99] != 'k')
        return 4;
    free(moved);
    free(grown);
    free(zeroed);
    return 0;
}
