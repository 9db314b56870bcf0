/* handles.c - the loops whose instructions are counted: handles MODE N.
 *   alloc   a handle of 48 bytes allocated and freed     idle    the same by functions that do nothing
 *   pin     an object pinned and unpinned                scope   looked up in a scope       empty   a loop alone */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tinymem/tinymem.h>

void *idle_malloc(size_t size);
void idle_free(void *p);

/* Keeps x in the program without an instruction of its own. */
#define KEEP(x) __asm__ volatile("" : "+r"(x)::"memory")

static void alloc_free(long n)
{
    for (long i = 0; i < n; i++) {
        tm_handle_t h = tm_alloc(48);
        KEEP(h);
        tm_free(h);
    }
}

static void idle(long n)
{
    for (long i = 0; i < n; i++) {
        void *p = idle_malloc(48);
        KEEP(p);
        idle_free(p);
    }
}

static void pin(long n)
{
    tm_handle_t h = tm_alloc(48);
    for (long i = 0; i < n; i++) {
        KEEP(h);
        void *p = tm_pin(h);
        KEEP(p);
        tm_unpin(h);
    }
}

static void scope(long n)
{
    tm_handle_t h = tm_alloc(48);
    tm_scope_enter();
    for (long i = 0; i < n; i++) {
        KEEP(h);
        void *p = tm_deref(h);
        KEEP(p);
    }
    tm_scope_exit();
}

static void empty(long n)
{
    for (long i = 0; i < n; i++)
        KEEP(i);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(long);
    } modes[] = {{"alloc", alloc_free}, {"idle", idle}, {"pin", pin}, {"scope", scope}, {"empty", empty}};
    for (int i = 0; argc == 3 && i < 5; i++)
        if (strcmp(argv[1], modes[i].name) == 0) {
            modes[i].run(atol(argv[2]));
            return 0;
        }
    fprintf(stderr, "usage: handles alloc|idle|pin|scope|empty N\n");
    return 2;
}
