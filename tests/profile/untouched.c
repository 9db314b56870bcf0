/* Stacks are captured while words on the stack point to memory that has never been touched: afterwards it still has
 * not been, since another thread might unmap such memory at any instant. mincore tells whether a page was touched.
 * "control" reads one byte of it. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4096, PAGES = 64, WORDS = 1024, ROUNDS = 200 };

static char *memory;

/* Leaves words on the stack that look like addresses of code, below its caller's frame. */
static __attribute__((noinline)) void leave_words(unsigned round)
{
    volatile uintptr_t words[WORDS];
    for (unsigned i = 0; i < WORDS; i++)
        words[i] = (uintptr_t)memory + (i + round) % PAGES * PAGE + PAGE / 2;
}

static size_t touched(void)
{
    unsigned char resident[PAGES];
    size_t n = 0;
    if (mincore(memory, PAGES * PAGE, resident) != 0)
        return PAGES;
    for (unsigned i = 0; i < PAGES; i++)
        n += resident[i] & 1;
    return n;
}

int main(int argc, char **argv)
{
    memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return 1;
    for (unsigned i = 0; i < ROUNDS; i++) {
        leave_words(i);
        void *p = malloc(100 + i);
        leave_words(i + 1);
        p = realloc(p, 3000 + i);
        leave_words(i + 2);
        free(p);
    }
    if (argc > 1 && strcmp(argv[1], "control") == 0 && *(volatile char *)memory != 0)
        return 1;
    printf("%zu pages\n", touched());
    return 0;
}
