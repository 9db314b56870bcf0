/* loop.c - the loops whose instructions are counted: loop MODE N SIZE, in which N blocks are allocated and freed.
 *   one    one at a time                 many    32, then free all
 *   ...-idle    the same with functions in a shared library that do nothing: what the loop and the calls cost
 *   ...-empty   the same without calls: what the loop costs */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 32 };

static void *held[BATCH];

void *idle_malloc(size_t size);
void idle_free(void *p);

/* Keeps p in the program without an instruction of its own. */
#define KEEP(p) __asm__ volatile("" : "+r"(p)::"memory")
#define NO_ALLOC(size) ((void)(size), (void *)held)
#define NO_FREE(p) (void)0

#define LOOPS(name, ALLOC, FREE)                      \
    static void one##name(long n, size_t size)        \
    {                                                 \
        for (long i = 0; i < n; i++) {                \
            void *p = ALLOC(size);                    \
            KEEP(p);                                  \
            FREE(p);                                  \
        }                                             \
    }                                                 \
    static void many##name(long n, size_t size)       \
    {                                                 \
        for (long i = 0; i < n; i += BATCH) {         \
            for (int j = 0; j < BATCH; j++) {         \
                void *p = ALLOC(size);                \
                KEEP(p);                              \
                held[j] = p;                          \
            }                                         \
            for (int j = 0; j < BATCH; j++) {         \
                void *p = held[j];                    \
                KEEP(p);                              \
                FREE(p);                              \
            }                                         \
        }                                             \
    }

LOOPS(, malloc, free)
LOOPS(_idle, idle_malloc, idle_free)
LOOPS(_empty, NO_ALLOC, NO_FREE)

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(long, size_t);
    } modes[] = {{"one", one},   {"one-idle", one_idle},   {"one-empty", one_empty},
                 {"many", many}, {"many-idle", many_idle}, {"many-empty", many_empty}};
    for (int i = 0; argc == 4 && i < 6; i++)
        if (strcmp(argv[1], modes[i].name) == 0) {
            modes[i].run(atol(argv[2]), (size_t)atol(argv[3]));
            return 0;
        }
    fprintf(stderr, "usage: loop one|many[-idle|-empty] N SIZE\n");
    return 2;
}
