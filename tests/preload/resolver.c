/* Allocation in resolvers of IFUNC symbols: of a library that the program needs (needed/resolver_1.c), and of the
 * program itself, which is relocated last. */
#include "tap.h"

int look_at_early_blocks(void);
int call_resolved(void);

static char *mine;

static int seven(void) { return 7; }

__attribute__((used)) static int (*resolve_here(void))(void)
{
    mine = malloc(50);
    if (mine != NULL)
        mine[0] = 'm', mine[49] = 'n';
    return seven;
}

int resolved_here(void) __attribute__((ifunc("resolve_here")));

int main(void)
{
    int wrong = look_at_early_blocks();
    tap(call_resolved() == 42 && wrong == 0, "blocks of a library's resolver%s", wrong == 0 ? "" : " are wrong");
    tap(resolved_here() == 7 && mine != NULL && mine[0] == 'm' && mine[49] == 'n',
        "a block of the program's own resolver");
    free(mine);
    char *p = malloc(100); // and the heap is as always
    tap(p != NULL && (uintptr_t)p % 16 == 0, "a block afterwards");
    free(p);
    return tap_done();
}
