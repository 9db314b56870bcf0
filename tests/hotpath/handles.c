/* handles.c - the loops whose instructions are counted: handles MODE N.
 *   alloc   a handle of 48 bytes allocated and freed     idle    the same by functions that do nothing
 *   alloc-600, alloc-30000   the same of more bytes      calloc  of 48 zeroed ones
 *   realloc   an object made a byte larger and smaller, within its class
 *   double    an object made twice as large, from 16 bytes to 1 KiB, and 16 again
 *   try-pin an object pinned by tm_try_pin and unpinned  ref    looked up by reference in a scope
 *   pin     an object pinned and unpinned                scope   looked up in a scope       empty   a loop alone
 * and as if the mover had just marked the object (`found`), beside the same where the mark is taken away again before
 * anybody looks (`gone`):
 *   pin-found, pin-gone, scope-found, scope-gone, free-found, free-gone */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tinymem/tinymem.h>

void *idle_malloc(size_t size);
void idle_free(void *p);

/* Keeps x in the program without an instruction of its own. */
#define KEEP(x) __asm__ volatile("" : "+r"(x)::"memory")

static inline __attribute__((always_inline)) void alloc_free_of(long n, size_t size)
{
    for (long i = 0; i < n; i++) {
        tm_handle_t h = tm_alloc(size);
        KEEP(h);
        tm_free(h);
    }
}

static void alloc_free(long n) { alloc_free_of(n, 48); }
static void alloc_600(long n) { alloc_free_of(n, 600); }
static void alloc_30000(long n) { alloc_free_of(n, 30000); }

static void calloc_free(long n)
{
    for (long i = 0; i < n; i++) {
        tm_handle_t h = tm_calloc(6, 8);
        KEEP(h);
        tm_free(h);
    }
}

static void resize(long n)
{
    tm_handle_t h = tm_alloc(600);
    for (long i = 0; i < n; i++) {
        h = tm_realloc(h, 599 + (i & 1));
        KEEP(h);
    }
}

/* The slots come from magazines that others have filled: what a growing object leaves is there for the next one. */
static void double_it(long n)
{
    enum { SMALLEST = 16, LARGEST = 1024, EACH = 4 };
    tm_handle_t h = tm_alloc(SMALLEST), filled[7 * EACH];
    for (int i = 0; i < 7 * EACH; i++)
        filled[i] = tm_alloc((size_t)SMALLEST << i % 7);
    for (int i = 0; i < 7 * EACH; i++)
        tm_free(filled[i]);
    size_t size = SMALLEST;
    for (long i = 0; i < n; i++) {
        size = size == LARGEST ? SMALLEST : size * 2;
        h = tm_realloc(h, size);
        KEEP(h);
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

static void try_pin(long n)
{
    tm_handle_t h = tm_alloc(48);
    for (long i = 0; i < n; i++) {
        KEEP(h);
        void *p = tm_try_pin(h);
        KEEP(p);
        tm_unpin(h);
    }
}

static void ref(long n)
{
    tm_ref_t r = tm_alloc_ref(48);
    tm_scope_enter();
    for (long i = 0; i < n; i++) {
        KEEP(r);
        void *p = tm_deref_ref(r);
        KEEP(p);
    }
    tm_scope_exit();
}

/* What the mover does to a word, and takes back. */
static void mark(tm_handle_t h, int stays)
{
    __atomic_store_n(tm_word_of_(h), __atomic_load_n(tm_word_of_(h), __ATOMIC_RELAXED) | 1, __ATOMIC_RELAXED);
    if (!stays)
        __atomic_store_n(tm_word_of_(h), __atomic_load_n(tm_word_of_(h), __ATOMIC_RELAXED) & ~1ul, __ATOMIC_RELAXED);
}

static inline __attribute__((always_inline)) void marked_pin(long n, int stays)
{
    tm_handle_t h = tm_alloc(48);
    for (long i = 0; i < n; i++) {
        KEEP(h);
        mark(h, stays);
        void *p = tm_pin(h);
        KEEP(p);
        tm_unpin(h);
    }
}

static inline __attribute__((always_inline)) void marked_scope(long n, int stays)
{
    tm_handle_t h = tm_alloc(48);
    tm_scope_enter();
    for (long i = 0; i < n; i++) {
        KEEP(h);
        mark(h, stays);
        void *p = tm_deref(h);
        KEEP(p);
    }
    tm_scope_exit();
}

static inline __attribute__((always_inline)) void marked_free(long n, int stays)
{
    for (long i = 0; i < n; i++) {
        tm_handle_t h = tm_alloc(48);
        KEEP(h);
        mark(h, stays);
        tm_free(h);
    }
}

static void pin_found(long n) { marked_pin(n, 1); }
static void pin_gone(long n) { marked_pin(n, 0); }
static void scope_found(long n) { marked_scope(n, 1); }
static void scope_gone(long n) { marked_scope(n, 0); }
static void free_found(long n) { marked_free(n, 1); }
static void free_gone(long n) { marked_free(n, 0); }

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
    } modes[] = {{"alloc", alloc_free},
                 {"alloc-600", alloc_600},
                 {"alloc-30000", alloc_30000},
                 {"calloc", calloc_free},
                 {"realloc", resize},
                 {"double", double_it},
                 {"idle", idle},
                 {"pin", pin},
                 {"scope", scope},
                 {"empty", empty},
                 {"try-pin", try_pin},
                 {"ref", ref},
                 {"pin-found", pin_found},
                 {"pin-gone", pin_gone},
                 {"scope-found", scope_found},
                 {"scope-gone", scope_gone},
                 {"free-found", free_found},
                 {"free-gone", free_gone}};
    for (size_t i = 0; argc == 3 && i < sizeof modes / sizeof *modes; i++)
        if (strcmp(argv[1], modes[i].name) == 0) {
            modes[i].run(atol(argv[2]));
            return 0;
        }
    fprintf(stderr, "usage: handles MODE N\n");
    return 2;
}
