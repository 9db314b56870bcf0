/* fuzz.c - for libFuzzer: the input is a configuration and a sequence of operations; every one is followed by
 * check_all, and contents are compared at the end of each object's life. */
#include "tinymem/tinymem_pool.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);
static unsigned char buffer[16384] TM_POOL_BUFFER;
static tm_pool_handle_t handles[64];
static uint8_t fills[64];
static size_t sizes[64];

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void born(tm_pool_t *pool, unsigned i, size_t size)
{
    sizes[i] = size;
    fills[i]++;
    memset(tm_pool_ptr(pool, handles[i]), fills[i] ^ (uint8_t)i, size);
}

static void whole(tm_pool_t *pool, unsigned i, size_t size)
{
    const uint8_t *at = tm_pool_ptr(pool, handles[i]);
    for (size_t k = 0; k < size; k++)
        must(at[k] == (fills[i] ^ (uint8_t)i));
}

static void operate(tm_pool_t *pool, uint8_t what, uint8_t which, uint8_t much)
{
    unsigned i = which % 64;
    size_t size = which & 64 ? (size_t)much * 40 : much, kept;
    switch (what % 8) {
    case 0: case 1:
        if (handles[i] == 0 && (handles[i] = tm_pool_alloc(pool, size)) != 0)
            born(pool, i, size);
        break;
    case 2:
        if (handles[i])
            whole(pool, i, sizes[i]);
        if (tm_pool_free(pool, handles[i]) == TM_POOL_OK)
            handles[i] = 0;
        break;
    case 3:
        if (tm_pool_realloc(pool, handles[i], size) == TM_POOL_OK) {
            kept = size < sizes[i] ? size : sizes[i];
            whole(pool, i, kept);
            born(pool, i, size);
        }
        break;
    case 4: tm_pool_pin(pool, handles[i]); break;
    case 5: tm_pool_unpin(pool, handles[i]); break;
    case 6: tm_pool_compact_step(pool, (size_t)much * 8, 0); break;
    default:
        if (much < 200)
            tm_pool_free(pool, (tm_pool_handle_t)(much + which * 256u) | 0x8000u);
        else if (much < 230)
            tm_pool_compact(pool);
        else
            tm_pool_extend(pool, (size_t)which * 64);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    tm_pool_config_t c = {0};
    tm_pool_t *pool = (tm_pool_t *)buffer;
    size_t size;
    if (length < 5)
        return 0;
    memset(handles, 0, sizeof handles);
    c.handles = data[0] + (data[4] & 2u ? 200 : 0);
    c.block_size = (size_t)1 << data[1] % 8;
    c.max_pins = data[2] % 16;
    c.options = data[4] & 1;
    size = 256 + (size_t)data[3] * 40;
    if (tm_pool_init(buffer, size, &c) != TM_POOL_OK)
        return 0;
    for (data += 5, length -= 5; length >= 3; data += 3, length -= 3) {
        operate(pool, data[0], data[1], data[2]);
        must(tm_pool_check_all(pool) == 0);
    }
    for (unsigned i = 0; i < 64; i++)
        if (handles[i])
            whole(pool, i, sizes[i]);
    return 0;
}
