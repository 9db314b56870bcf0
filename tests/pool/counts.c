/* counts.c - what callgrind counts: look-ups (`deref`), and free and alloc in turn of the newest object (`stack`), of a
 * random one of one size (`same`), of random ones of random sizes (`mixed`).
 *   counts MODE WIDTH N */
#include "tinymem/tinymem_pool.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned char buffer[1 << 21] TM_POOL_BUFFER;
static tm_pool_t *const pool = (tm_pool_t *)buffer;
static tm_pool_handle_t handles[60000];

/* Loops that differ in the look-up alone. */
#define LOOP(name, what) \
    __attribute__((noinline)) uintptr_t name(const tm_pool_t *p, const tm_pool_handle_t *h, size_t n) \
    { \
        uintptr_t sum = 0; \
        for (; n > 0; n--, h++) \
            sum += (uintptr_t)(what); \
        return sum + (uintptr_t)p; \
    }
LOOP(look_nothing, *h)
LOOP(look_up8, tm_pool_at8(p, *h))
LOOP(look_up16, tm_pool_at16(p, *h))
LOOP(look_up32, tm_pool_at32(p, *h))

static uint32_t state = 1;
static uint32_t draw(uint32_t below)
{
    state = state * 1664525u + 1013904223u;
    return (uint32_t)(((uint64_t)state * below) >> 32);
}

/* Sizes are mixed or all the same. */
static size_t size_of(const char *mode, unsigned width)
{
    return strcmp(mode, "mixed") ? 24 : 1 + draw(width == 8 ? 32 : 128);
}

int main(int argc, char **argv)
{
    unsigned width = (unsigned)strtoul(argv[2], NULL, 10);
    unsigned long n = strtoul(argv[3], NULL, 10), i, live = width == 8 ? 120 : 3000;
    tm_pool_config_t c = {0};
    uintptr_t sum = 0;
    if (argc != 4)
        return 2;
    c.handles = width == 8 ? 255 : 4000;
    c.block_size = width == 32 ? 16 : 0;
    if (tm_pool_init(buffer,
                     width == 8    ? 8192
                     : width == 16 ? 400000
                                   : sizeof buffer,
                     &c) != TM_POOL_OK ||
        pool->width * 8 != width)
        return 3;
    for (i = 0; i < live; i++)
        if ((handles[i] = tm_pool_alloc(pool, size_of(argv[1], width))) == 0)
            return 4;
    if (strcmp(argv[1], "deref") == 0) {
        for (i = 0; i < n; i += live) {
            sum += look_nothing(pool, handles, live);
            __asm__ volatile("" : : : "memory"); /* each loop is run each time */
            sum += width == 8    ? look_up8(pool, handles, live)
                   : width == 16 ? look_up16(pool, handles, live)
                                 : look_up32(pool, handles, live);
        }
    } else {
        for (i = 0; i < n; i++) {
            tm_pool_handle_t *h = &handles[strcmp(argv[1], "stack") == 0 ? live - 1 : draw((uint32_t)live)];
            tm_pool_free(pool, *h);
            if ((*h = tm_pool_alloc(pool, size_of(argv[1], width))) == 0)
                return 5;
        }
    }
    printf("%u\n", (unsigned)sum & 1);
    return 0;
}
