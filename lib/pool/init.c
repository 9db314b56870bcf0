/* init.c - lay out a pool in its buffer; reset and extend it.
 *
 * The numbers of handles and pins are limited to what the width can count before they are multiplied, so that no sum
 * overflows. */
#include "pool/pool.h"

typedef struct layout {
    unsigned width, shift;
    size_t base;     /* offset of block 0, before it is aligned in the address space */
    size_t blocks;
} layout_t;

static bool power_of_two(size_t n) { return (n & (n - 1)) == 0; }

#if TM_POOL_INDEX_BITS == 8 || TM_POOL_INDEX_BITS == 16
typedef uint32_t sum_t; /* a sum of four terms, each at most 2^18 */
#else
typedef uint64_t sum_t;
#endif

/* Bytes from the start of the head to the end of the sentinel before block 0; 0 if they are more than `size`. */
static size_t metadata_size(size_t size, const tm_pool_config_t *c, unsigned w)
{
    sum_t entries = (sum_t)c->handles + 1, need = (2 * entries + c->max_pins) * w + (entries + 3) / 4;
    need += sizeof(pool_t) + TMI_SENTINEL + (TM_POOL_GENERATIONS ? entries : 0);
    return need > size ? 0 : (size_t)need;
}

/* log2 of the smallest block size >= `block` with which `bytes` have at most `most` blocks. */
static unsigned block_shift(size_t bytes, size_t block, size_t most)
{
    unsigned shift = 0;
    while ((size_t)1 << shift < block)
        shift++;
    while (bytes >> shift > most)
        shift++;
    return shift;
}

/* The most blocks, and the most handles, that an index of w bytes can count. */
static size_t width_max(unsigned w)
{
    return w == 1 ? 255 : w == 2 ? 65535u : (size_t)0xfffffffeu;
}

static tm_pool_error_t lay_out_width(const unsigned char *buffer, size_t size, const tm_pool_config_t *c, unsigned w,
                                     layout_t *l)
{
    size_t most = width_max(w), block = c->block_size, metadata = metadata_size(size, c, w), waste;
    if (metadata == 0)
        return TM_POOL_BAD_BUFFER;
    if (block == 0)
        block = GAP_INDICES * w > sizeof(void *) ? GAP_INDICES * w : sizeof(void *);
    if (block < c->align)
        block = c->align;
    if (block < GAP_INDICES * w)
        return TM_POOL_BAD_CONFIG;
    l->width = w;
    l->shift = block_shift(size - metadata, block, c->block_size == 0 ? most : (size_t)-1);
    block = (size_t)1 << l->shift;
    waste = (size_t)(0 - ((uintptr_t)buffer + metadata)) & (block - 1);
    if (waste >= size - metadata - TMI_SENTINEL || metadata + TMI_SENTINEL >= size)
        return TM_POOL_BAD_BUFFER;
    l->base = metadata + waste;
    l->blocks = (size - l->base - TMI_SENTINEL) >> l->shift;
    return l->blocks == 0 ? TM_POOL_BAD_BUFFER : l->blocks > most ? TM_POOL_BAD_CONFIG : TM_POOL_OK;
}

static bool handles_fit(size_t handles, size_t pins, unsigned w)
{
    const unsigned bits = TM_POOL_HANDLE_BITS - (TM_POOL_GENERATIONS ? 8 : 0);
    return handles <= width_max(w) && pins <= width_max(w) &&
           (sizeof(size_t) * 8 <= bits || handles >> (sizeof(size_t) * 8 > bits ? bits : 0) == 0);
}

/* Choose the narrowest index width with which the layout fits. */
static tm_pool_error_t lay_out(const unsigned char *buffer, size_t size, const tm_pool_config_t *c, layout_t *l)
{
    tm_pool_error_t error = TM_POOL_NO_HANDLES;
    unsigned w = TM_POOL_INDEX_BITS ? TM_POOL_INDEX_BITS / 8 : 1;
    const unsigned last = TM_POOL_INDEX_BITS ? w : 4;
    for (; w <= last; w *= 2) {
        if (!handles_fit(c->handles, c->max_pins, w))
            continue;
        error = lay_out_width(buffer, size, c, w, l);
        if (error != TM_POOL_BAD_CONFIG)
            break;
    }
    return error;
}

static bool size_allowed(size_t size)
{
    return size >= 256 && (sizeof(size_t) <= 4 || (size - 1) >> (sizeof(size_t) > 4 ? 32 : 0) == 0);
}

static void set_sentinels(pool_t *p)
{
    memset(p->base - TMI_SENTINEL, TMI_SENTINEL_BYTE, TMI_SENTINEL);
    memset(p->base + p->limit * p->block_size, TMI_SENTINEL_BYTE, TMI_SENTINEL);
}

tm_pool_error_t tm_pool_init(void *buffer, size_t size, const tm_pool_config_t *c)
{
    pool_t *p = buffer;
    unsigned char *at = (unsigned char *)buffer + sizeof(pool_t);
    layout_t l;
    tm_pool_error_t error;
    if (buffer == NULL || (uintptr_t)buffer % sizeof(void *) != 0 || !size_allowed(size))
        return TM_POOL_BAD_BUFFER;
    if (c == NULL || c->handles == 0 || !power_of_two(c->block_size) || !power_of_two(c->align))
        return TM_POOL_BAD_CONFIG;
    error = lay_out(buffer, size, c, &l);
    if (error != TM_POOL_OK)
        return error;
    memset(p, 0, sizeof *p);
    p->width = (uint8_t)l.width;
    p->shift = (uint8_t)l.shift;
    p->block_size = (size_t)1 << l.shift;
    p->base = (unsigned char *)buffer + l.base;
    p->limit = (tm_pool_index_t)l.blocks;
    p->handles = (tm_pool_index_t)c->handles;
    p->max_pins = (tm_pool_index_t)c->max_pins;
    p->options = (uint8_t)c->options;
    p->clock = c->clock;
    p->clock_context = c->clock_context;
    p->bytes_per_tick = c->bytes_per_tick ? c->bytes_per_tick : 1;
    p->pins = at + (c->handles + 1) * 2 * l.width;
    p->flags = p->pins + c->max_pins * l.width;
#if TM_POOL_GENERATIONS
    p->generations = p->flags + (c->handles + 4) / 4;
    memset(p->generations, 0, c->handles + 1);
#endif
    set_sentinels(p);
    tm_pool_reset(p);
    return TM_POOL_OK;
}

void tm_pool_reset(tm_pool_t *p)
{
    const unsigned w = TMI_WIDTH(p);
    unsigned k;
#if TM_POOL_GENERATIONS
    size_t e;
    for (e = 1; e <= p->fresh; e++)
        if (!(tmi_state(p, (ix_t)e) & NAME))
            p->generations[e]++;
#endif
    memset(p->flags, UNUSED * 0x55, ((size_t)p->handles + 4) / 4);
    tmi_set_state(p, 0, USED);
    tmi_set_begin(p, w, 0, 0);
    tmi_set_next(p, w, 0, 0);
    for (k = 0; k < TMI_BINS; k++)
        p->bins[k] = (tm_pool_index_t)tmi_none(w);
    p->swept = p->low = (tm_pool_index_t)tmi_none(w);
    p->used = p->tail = p->live = p->fresh = p->unused = p->npins = p->cursor = p->scan = p->recent = 0;
    p->mask = p->blocked = 0;
    p->skipped = (size_t)-1;
}

tm_pool_error_t tm_pool_extend(tm_pool_t *p, size_t size)
{
    size_t base = (size_t)(p->base - (unsigned char *)p), blocks;
    if (!size_allowed(size) || size < base + TMI_SENTINEL)
        return tmi_pool_fail(p, TM_POOL_BAD_SIZE);
    blocks = (size - base - TMI_SENTINEL) >> p->shift;
    if (blocks < p->limit || blocks > width_max(TMI_WIDTH(p)))
        return tmi_pool_fail(p, TM_POOL_BAD_SIZE);
    p->limit = (tm_pool_index_t)blocks;
    set_sentinels(p);
    return TM_POOL_OK;
}
