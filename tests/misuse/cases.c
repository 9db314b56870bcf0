/* Programs that misuse the heap, one a number: `cases N` does it and goes on for a while, as a program would that
 * does not know. What notices it is the malloc that it runs on; tests/misuse/run counts. Without an argument: a line
 * for each, "N kind: what it does". */
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void *volatile sink;
static volatile char byte_sink;
static char data[4096] = "static";

/* Blocks around the one that is misused, so that its neighbours are in use. */
enum { AROUND = 20 };
static char *around[AROUND];

static char *block(size_t size)
{
    for (int i = 0; i < AROUND; i++)
        around[i] = malloc(size);
    for (int i = 0; i < AROUND; i++)
        memset(around[i], 'a', size);
    return around[AROUND / 2];
}

static void quietly(void *p) /* so that the compiler does not see through it */
{
    sink = p;
    free(sink);
}

/* ---- double frees -------------------------------------------------------------------------------------------- */

static void twice_at_once(size_t size)
{
    char *p = block(size);
    quietly(p);
    quietly(p);
}

static void twice_with_one_between(size_t size)
{
    char *p = block(size);
    quietly(p);
    quietly(around[0]);
    quietly(p);
}

static void twice_with_six_between(size_t size)
{
    char *p = block(size);
    quietly(p);
    for (int i = 0; i < 6; i++)
        quietly(around[i]);
    quietly(p);
}

static void twice_with_another_size_between(size_t size)
{
    char *p = block(size);
    quietly(p);
    quietly(malloc(size * 3));
    quietly(p);
}

static void *free_here(void *p)
{
    quietly(p);
    return NULL;
}

static void twice_in_two_threads(size_t size)
{
    char *p = block(size);
    pthread_t t;
    if (pthread_create(&t, NULL, free_here, p) == 0)
        (void)pthread_join(t, NULL);
    quietly(p);
}

static void twice_by_realloc_to_nothing(size_t size)
{
    char *p = block(size);
    sink = p;
    sink = realloc(sink, 0);
    quietly(p);
}

static void the_old_place_after_realloc(size_t size)
{
    char *p = block(size);
    sink = p;
    char *q = realloc(sink, size * 20);
    if (q != p)
        quietly(p);
}

/* ---- pointers that are no blocks ----------------------------------------------------------------------------- */

static void eight_bytes_inside(size_t size) { quietly(block(size) + 8); }
static void sixteen_bytes_inside(size_t size) { quietly(block(size) + 16); }
static void in_the_middle(size_t size) { quietly(block(size) + (size / 2 & ~(size_t)15)); }
static void a_byte_inside(size_t size) { quietly(block(size) + 1); }
static void sixteen_bytes_before(size_t size) { quietly(block(size) - 16); }
static void of_the_stack(size_t size)
{
    _Alignas(16) char local[64];
    memset(local, 0, sizeof local);
    quietly(local + size);
}
static void of_static_data(size_t size) { quietly(data + size); }
static void of_code(size_t size) { quietly((void *)(((uintptr_t)of_code & ~(uintptr_t)15) + size)); }
static void of_a_mapping(size_t size)
{
    quietly((char *)mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) + size);
}
static void that_is_a_number(size_t size) { quietly((void *)size); }

/* ---- writes past the end, and before the start --------------------------------------------------------------- */

static void overflow(size_t size, size_t by)
{
    char *p = block(size);
    sink = p;
    memset((char *)sink + size, 'o', by);
    quietly(p);
}

static void a_byte_past_the_end(size_t size) { overflow(size, 1); }
static void sixteen_bytes_past_the_end(size_t size) { overflow(size, 16); }
static void far_past_the_end(size_t size) { overflow(size, 100); }

static void past_the_end_seen_by_the_next(size_t size)
{
    char *p = block(size);
    sink = p;
    memset((char *)sink + size, 'o', 32);
    for (int i = 0; i < AROUND; i++)
        if (around[i] != p)
            quietly(around[i]);
}

static void a_byte_before_the_start(size_t size)
{
    char *p = block(size);
    sink = p;
    ((volatile char *)sink)[-1] = 'u';
    quietly(p);
}

static void a_word_before_the_start(size_t size)
{
    char *p = block(size);
    sink = p;
    memset((char *)sink - 8, 'u', 8);
    quietly(p);
}

/* ---- use after free ------------------------------------------------------------------------------------------ */

static void write_to_the_start_of_a_freed_block(size_t size)
{
    char *p = block(size);
    quietly(p);
    memset((char *)sink, 'w', 8);
}

static void write_to_a_freed_block(size_t size)
{
    char *p = block(size);
    quietly(p);
    memset((char *)sink, 'w', size);
}

static void write_into_the_middle_of_a_freed_block(size_t size)
{
    char *p = block(size);
    quietly(p);
    memset((char *)sink + size / 2, 'w', 4);
}

static void read_of_a_freed_block(size_t size)
{
    char *p = block(size);
    quietly(p);
    byte_sink = ((volatile char *)sink)[size / 2];
}

/* ---- the other functions ------------------------------------------------------------------------------------- */

static void realloc_of_a_freed_block(size_t size)
{
    char *p = block(size);
    quietly(p);
    sink = realloc(sink, size * 10);
}

static void realloc_inside(size_t size)
{
    sink = block(size);
    sink = realloc((char *)sink + 16, size * 10);
}

static void usable_size_of_a_freed_block(size_t size)
{
    char *p = block(size);
    quietly(p);
    byte_sink = (char)malloc_usable_size(sink);
}

static void usable_size_inside(size_t size)
{
    sink = block(size);
    byte_sink = (char)malloc_usable_size((char *)sink + 16);
}

#define SMALL 24, 200
#define SIZES 24, 200, 3000, 100000
typedef struct misuse {
    const char *kind, *what;
    void (*run)(size_t);
    size_t sizes[5]; /* up to the first 0 */
} misuse_t;

static const misuse_t cases[] = {
    {"double free", "at once", twice_at_once, {SIZES, 1 << 20}},
    {"double free", "with another free between", twice_with_one_between, {SIZES, 1 << 20}},
    {"double free", "with six frees between", twice_with_six_between, {SIZES}},
    {"double free", "with a block of another size between", twice_with_another_size_between, {SIZES}},
    {"double free", "in two threads", twice_in_two_threads, {SIZES}},
    {"double free", "the first by realloc(p, 0)", twice_by_realloc_to_nothing, {SMALL, 3000}},
    {"double free", "of the old place after a realloc", the_old_place_after_realloc, {SMALL, 3000}},
    {"free of no block", "8 bytes inside", eight_bytes_inside, {SIZES}},
    {"free of no block", "16 bytes inside", sixteen_bytes_inside, {SIZES, 1 << 20}},
    {"free of no block", "in the middle", in_the_middle, {200, 3000, 100000, 1 << 20}},
    {"free of no block", "a byte inside", a_byte_inside, {SIZES, 1 << 20}},
    {"free of no block", "16 bytes before", sixteen_bytes_before, {SIZES}},
    {"free of no block", "of the stack", of_the_stack, {16, 32}},
    {"free of no block", "of static data", of_static_data, {16, 1024}},
    {"free of no block", "of code", of_code, {16}},
    {"free of no block", "of a mapping", of_a_mapping, {16, 65536}},
    {"free of no block", "a number", that_is_a_number, {8, 4096, 0x123456780}},
    {"write past the end", "a byte", a_byte_past_the_end, {SIZES}},
    {"write past the end", "16 bytes", sixteen_bytes_past_the_end, {SIZES}},
    {"write past the end", "100 bytes", far_past_the_end, {SIZES}},
    {"write past the end", "then the neighbours are freed", past_the_end_seen_by_the_next, {SIZES}},
    {"write before the start", "a byte", a_byte_before_the_start, {SIZES}},
    {"write before the start", "8 bytes", a_word_before_the_start, {SIZES}},
    {"use after free", "write of 8 bytes", write_to_the_start_of_a_freed_block, {SIZES}},
    {"use after free", "write of all", write_to_a_freed_block, {SIZES}},
    {"use after free", "write into the middle", write_into_the_middle_of_a_freed_block, {SIZES}},
    {"use after free", "read", read_of_a_freed_block, {SIZES}},
    {"realloc, usable_size", "realloc after free", realloc_of_a_freed_block, {SIZES}},
    {"realloc, usable_size", "realloc 16 bytes inside", realloc_inside, {SIZES}},
    {"realloc, usable_size", "usable_size after free", usable_size_of_a_freed_block, {SIZES}},
    {"realloc, usable_size", "usable_size 16 bytes inside", usable_size_inside, {SIZES}},
};

/* What the program does afterwards. */
static void go_on(size_t size)
{
    enum { N = 100 };
    static char *p[N];
    for (int i = 0; i < N; i++)
        p[i] = malloc(size < 1 << 16 ? size : 1 << 16);
    for (int i = 0; i < N; i++)
        free(p[i]);
}

int main(int argc, char **argv)
{
    int n = 0, wanted = argc > 1 ? atoi(argv[1]) : -1;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (const size_t *size = cases[i].sizes; size < cases[i].sizes + 5 && *size != 0; size++, n++) {
            if (wanted < 0)
                printf("%d %s: %s, %zu\n", n, cases[i].kind, cases[i].what, *size);
            if (n != wanted)
                continue;
            cases[i].run(*size);
            go_on(*size);
        }
    return 0;
}
