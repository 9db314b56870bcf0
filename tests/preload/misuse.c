/* Misuse: each case is a process of its own that must end by SIGABRT with exactly the promised line on stderr. What is
 * promised by default is tried without options and with check:full; the rest with check:full only. The last cases are
 * controls: no misuse, no complaint. */
#include "tap.h"

#include <malloc.h>
#include <pthread.h>
#include <sys/mman.h>

#define DOUBLE "tinymem: free(@): double free"
#define NOT_START "tinymem: free(@): not the start of a block"
#define NOT_ANY "tinymem: free(@): not a block of any heap"

static char data[4096] = "static";
static void *volatile sink;

/* Which pointer is about to be misused. Without stdio, whose buffer might take the block just freed. */
static void say(const void *p)
{
    char line[32];
    (void)!write(1, line, (size_t)snprintf(line, sizeof line, "%p\n", p));
}

static void free_named(void *p)
{
    say(p);
    free(p);
}

static void double_free_at_once(void)
{
    void *p = malloc(40);
    free(p);
    free_named(p);
}

static void double_free_of_a_slot_in_a_busy_class(void)
{
    void *p[5];
    for (int i = 0; i < 5; i++)
        p[i] = malloc(200);
    free(p[2]);
    free_named(p[2]);
}

/* The second free is found when the magazine is flushed: at the latest when the thread trims. */
static void double_free_after_other_frees(void)
{
    void *p[100];
    for (int i = 0; i < 100; i++)
        p[i] = malloc(40);
    for (int i = 1; i < 100; i++) // p[0] keeps the slab
        free(p[i]);
    say(p[50]);
    free(p[50]);
    for (int i = 0; i < 3; i++)
        (void)malloc_trim(0);
}

static void double_free_of_a_large_block(void)
{
    void *p = malloc(1 << 20);
    sink = malloc(1 << 20);
    free(p);
    free_named(p);
}

static void double_free_of_a_large_block_given_back(void)
{
    void *p = malloc(8 << 20);
    free(p);
    (void)malloc_trim(0);
    free_named(p);
}

static void *free_here(void *p)
{
    free(p);
    return NULL;
}

static void double_free_across_threads(void)
{
    void *p = malloc(40);
    pthread_t t;
    say(p);
    if (pthread_create(&t, NULL, free_here, p) == 0)
        (void)pthread_join(t, NULL);
    free(p);
    for (int i = 0; i < 3; i++)
        (void)malloc_trim(0);
}

static void free_after_its_slab_is_gone(void)
{
    enum { N = 20000 };
    static void *p[N];
    for (int i = 0; i < N; i++)
        p[i] = malloc(500);
    void *q = p[N / 2];
    for (int i = 0; i < N; i++)
        free(p[i]);
    (void)malloc_trim(0);
    free_named(q);
    (void)malloc_trim(0);
}

static void free_of_an_interior_pointer(void)
{
    char *p = malloc(4000);
    free_named(p + 16);
    (void)malloc_trim(0);
}

static void free_of_an_interior_pointer_of_a_large_block(void)
{
    char *p = malloc(1 << 20);
    free_named(p + 16);
}

static void free_far_inside_a_large_block(void)
{
    char *p = malloc(1 << 20);
    free_named(p + 200000);
}

static void free_of_a_stack_address(void)
{
    _Alignas(16) char local[64];
    sink = local;
    free_named(sink);
}

static void free_of_a_static_address(void) { free_named((char *)(((uintptr_t)data + 15) & ~(uintptr_t)15)); }
static void free_of_an_unmapped_address(void) { free_named((void *)0x123456780); }
static void free_of_a_misaligned_address(void) { free_named((char *)0x700000000001); }
static void free_of_a_kernel_address(void) { free_named((void *)0xffff888000001000); }
static void free_of_a_small_number(void) { free_named((void *)8); }
static void free_of_code(void) { free_named((void *)((uintptr_t)free_of_code & ~(uintptr_t)15)); }

static void free_of_a_read_only_mapping(void)
{
    free_named((char *)mmap(NULL, 1 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) + 4096);
}

static void realloc_of_an_interior_pointer_of_a_large_block(void)
{
    char *p = malloc(1 << 20);
    say(p);
    sink = realloc(p + 4096, 2 << 20);
}

static void realloc_of_a_wild_pointer(void) { sink = realloc((void *)0x123456780, 100); }

static void realloc_of_a_freed_block(void)
{
    void *volatile p = malloc(40);
    sink = malloc(40);
    free(p);
    sink = realloc(p, 1000);
}

static void realloc_of_a_freed_large_block(void)
{
    void *volatile p = malloc(1 << 20);
    sink = malloc(1 << 20);
    free(p);
    sink = realloc(p, 2 << 20);
}

static void usable_size_of_a_freed_large_block(void)
{
    void *p = malloc(1 << 20);
    sink = malloc(1 << 20);
    free(p);
    (void)printf("%zu\n", malloc_usable_size(p));
}

static void realloc_of_an_interior_pointer(void)
{
    char *volatile p = malloc(400);
    sink = realloc(p + 16, 1000);
}

static void usable_size_of_a_wild_pointer(void) { (void)printf("%zu\n", malloc_usable_size((void *)0x123456780)); }
static void usable_size_of_a_static_address(void) { (void)printf("%zu\n", malloc_usable_size(data + 16)); }

static void usable_size_far_inside_a_large_block(void)
{
    char *p = malloc(1 << 20);
    (void)printf("%zu\n", malloc_usable_size(p + 200000));
}

static void control_correct_use(void)
{
    void *p[100];
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 100; i++)
            p[i] = i % 2 ? malloc((size_t)i * 500) : memalign(256, (size_t)i * 10);
        for (int i = 0; i < 100; i++)
            p[i] = realloc(p[i], (size_t)i * 300 + 1);
        for (int i = 99; i >= 0; i--)
            free(p[i]);
        (void)malloc_trim(0);
    }
}

typedef struct misuse {
    const char *name;
    void (*run)(void);
    const char *by_default; // the line, or NULL: nothing is promised
    const char *with_full;  // where it differs
} misuse_t;

#define CASE(f, ...) {#f, f, __VA_ARGS__}
static const misuse_t cases[] = {
    CASE(double_free_at_once, DOUBLE, DOUBLE "*"),
    CASE(double_free_of_a_slot_in_a_busy_class, DOUBLE, DOUBLE),
    CASE(double_free_after_other_frees, DOUBLE, DOUBLE),
    CASE(double_free_of_a_large_block, DOUBLE "*", DOUBLE "*"),
    CASE(double_free_of_a_large_block_given_back, "tinymem: free(@): *", "tinymem: free(@): *"),
    CASE(double_free_across_threads, DOUBLE "*", DOUBLE "*"),
    CASE(free_after_its_slab_is_gone, "tinymem: free(@): *", "tinymem: free(@): *"),
    CASE(free_of_an_interior_pointer, NOT_START, NOT_START),
    CASE(free_of_an_interior_pointer_of_a_large_block, NOT_START, NOT_START),
    CASE(free_far_inside_a_large_block, NOT_START, NOT_START),
    CASE(free_of_a_stack_address, NOT_ANY, NOT_ANY),
    CASE(free_of_a_static_address, NOT_ANY, NOT_ANY),
    CASE(free_of_an_unmapped_address, NOT_ANY, NOT_ANY),
    CASE(free_of_a_misaligned_address, NOT_ANY, NOT_ANY),
    CASE(free_of_a_kernel_address, NOT_ANY, NOT_ANY),
    CASE(free_of_a_small_number, NOT_ANY, NOT_ANY),
    CASE(free_of_code, NOT_ANY, NOT_ANY),
    CASE(free_of_a_read_only_mapping, NOT_ANY, NOT_ANY),
    CASE(realloc_of_an_interior_pointer_of_a_large_block, "tinymem: realloc(@): not the start of a block",
         "tinymem: realloc(@): not the start of a block"),
    CASE(realloc_of_a_wild_pointer, "tinymem: *(@): not a block of any heap", "tinymem: *(@): not a block of any heap"),
    CASE(realloc_of_a_freed_block, "tinymem: realloc(@): a block that has been freed",
         "tinymem: realloc(@): a block that has been freed"),
    CASE(realloc_of_a_freed_large_block, "tinymem: *(@): a block that has been freed",
         "tinymem: *(@): a block that has been freed"),
    CASE(usable_size_of_a_freed_large_block, "tinymem: malloc_usable_size(@): *", "tinymem: malloc_usable_size(@): *"),
    CASE(realloc_of_an_interior_pointer, "tinymem: realloc(@): not the start of a block",
         "tinymem: realloc(@): not the start of a block"),
    CASE(usable_size_of_a_wild_pointer, "tinymem: malloc_usable_size(@): not a block of any heap",
         "tinymem: malloc_usable_size(@): not a block of any heap"),
    CASE(usable_size_of_a_static_address, "tinymem: malloc_usable_size(@): not a block of any heap",
         "tinymem: malloc_usable_size(@): not a block of any heap"),
    CASE(usable_size_far_inside_a_large_block, "tinymem: malloc_usable_size(@): not the start of a block",
         "tinymem: malloc_usable_size(@): not the start of a block"),
    CASE(control_correct_use, "", ""),
};

/* Where the case said which pointer it was going to misuse, the line must name that one. */
static bool names_the_pointer(const tap_child_t *c)
{
    char pointer[64];
    size_t n = strcspn(c->out, "\n");
    if (n == 0 || n > 40 || strncmp(c->out, "0x", 2) != 0 || strstr(c->err, "realloc") != NULL)
        return true;
    (void)snprintf(pointer, sizeof pointer, "(%.*s)", (int)n, c->out);
    return strstr(c->err, pointer) != NULL;
}

static void try_case(const misuse_t *m, const char *line, const char *options)
{
    tap_child_t c;
    if (line == NULL)
        return;
    tap_self(&c, m->name, options);
    bool good = *line ? tap_aborted_saying(&c, line) && names_the_pointer(&c) : tap_exited(&c, 0) && c.err[0] == '\0';
    tap(good, "%s%s%s", m->name, options ? ", " : "", options ? options : "");
}

int main(int argc, char **argv)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (argc < 2) {
            try_case(&cases[i], cases[i].by_default, NULL);
            try_case(&cases[i], cases[i].with_full, "check:full");
        } else if (strcmp(argv[1], cases[i].name) == 0) {
            cases[i].run();
            return 0;
        }
    }
    return argc < 2 ? tap_done() : 2;
}
