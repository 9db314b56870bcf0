/* heap.c - a heap of 64 KiB in a static buffer: allocate, fragment, compact, and look at it.
 *   cc heap.c tinymem_pool.c && ./a.out | strip_svg.py > heap.svg */
#include "tinymem_pool.h"
#include <stdio.h>
#include <string.h>

static unsigned char buffer[65536] TM_POOL_BUFFER;
static tm_pool_t *const heap = (tm_pool_t *)buffer;

static void print(void *context, const char *text, size_t length)
{
    (void)context;
    fwrite(text, 1, length, stdout);
}

static void show(const char *caption)
{
    tm_pool_stats_t s;
    tm_pool_stats(heap, &s);
    printf("%s: %u objects, %u of %u blocks of %u bytes used, largest free piece %u\n", caption, (unsigned)s.live,
           (unsigned)s.used, (unsigned)s.blocks, (unsigned)s.block_size, (unsigned)s.largest);
    tm_pool_dump(heap, 128, print, NULL);
}

int main(void)
{
    tm_pool_config_t config = {0};
    tm_pool_handle_t lines[200], large;
    int i;
    config.handles = 200;
    config.max_pins = 4;
    if (tm_pool_init(buffer, sizeof buffer, &config) != TM_POOL_OK)
        return 1;
    for (i = 0; i < 150; i++) {
        lines[i] = tm_pool_alloc(heap, 100 + (size_t)(i * 37 % 400));
        if (lines[i] == 0)
            return 2;
        sprintf(tm_pool_ptr(heap, lines[i]), "line %d", i);
    }
    show("150 objects");
    tm_pool_pin(heap, lines[40]); /* say, a transfer goes on there */
    for (i = 0; i < 150; i++)
        if (i % 3 && i != 40)
            tm_pool_free(heap, lines[i]);
    show("two thirds freed, one pinned");
    large = tm_pool_alloc(heap, 35000);
    if (large != 0 || tm_pool_error(heap) != TM_POOL_FRAGMENTED)
        return 3;
    tm_pool_compact(heap);
    show("compacted");
    large = tm_pool_alloc(heap, 35000);
    if (large == 0 || strcmp(tm_pool_ptr(heap, lines[147]), "line 147") != 0)
        return 4;
    show("35,000 bytes more");
    return tm_pool_check_all(heap) != 0;
}
