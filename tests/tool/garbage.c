/* garbage SEED - a program that works for a while and then writes nonsense over the library's records, as far as
 * they can be found by tm_layout_. Then it says so, touches nothing any more, and waits for the end of its input. A
 * tool that looks at it must not trust it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tinymem/tinymem.h>

static const struct layout {
    char mark[8];
    uint32_t version, count;
    int32_t distances[];
} * layout; // not linked with, which would copy it

enum { BLOCKS = 20000, OBJECTS = 5000, BLOWS = 40, AHEAD = 4096 };

static uint64_t state;
static uint64_t chance(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return state >> 33;
}

/* A word near the start of one of the variables: a few bits of it, all of it, or a small number. */
static void strike(void)
{
    const char *base = (const char *)layout;
    uint32_t which = 1 + (uint32_t)(chance() % (layout->count - 1)); // the first is constant
    uint64_t *at = (uint64_t *)((uintptr_t)(base + layout->distances[which]) & ~(uintptr_t)7) + chance() % (AHEAD / 8);
    switch (chance() % 4) {
    case 0: *at ^= (uint64_t)1 << chance() % 64; break;
    case 1: *at = chance() << 40 ^ chance() << 20 ^ chance(); break;
    case 2: *at = chance() % 300; break;
    default: *at = ~(uint64_t)0;
    }
}

int main(int argc, char **argv)
{
    static void *block[BLOCKS];
    static tm_handle_t object[OBJECTS];
    char c;
    layout = dlsym(RTLD_DEFAULT, "tm_layout_");
    state = argc > 1 ? strtoul(argv[1], NULL, 10) : 1;
    for (int i = 0; i < BLOCKS; i++)
        block[i] = malloc(16 + chance() % 3000);
    for (int i = 0; i < BLOCKS; i += 2)
        free(block[i]);
    for (int i = 0; i < OBJECTS; i++)
        object[i] = tm_alloc(16 + chance() % 3000);
    for (int i = 0; i < OBJECTS; i += 3)
        tm_free(object[i]);
    for (int i = 0; i < BLOWS; i++)
        strike();
    (void)!write(1, "ready\n", 6);
    while (read(0, &c, 1) > 0)
        continue;
    _exit(0);
}
