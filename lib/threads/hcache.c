#include "threads/hcache.h"
#include "host/meta.h"

enum { CAPACITY_MAX = 64, BATCH_FIRST = 4 };
#define MAGAZINE_BYTES ((size_t)16 << 10)

static tm_handle_t no_handles[1];

#define EMPTY {no_handles + 1, no_handles + 1}
tmi_hcache_t tmi_hcache_none = {.magazines = {[0 ... TMI_MCLASS_COUNT - 1] = EMPTY}};

static size_t capacity(unsigned cls)
{
    return tmi_max(tmi_min(MAGAZINE_BYTES / tmi_mclasses[cls].size, CAPACITY_MAX), 1);
}

tmi_hcache_t *tmi_hcache_make(void)
{
    tmi_hcache_t *cache = tmi_meta_alloc(sizeof *cache);
    for (unsigned c = 0; cache != NULL && c < TMI_MCLASS_COUNT; c++)
        cache->magazines[c] = (tmi_hmagazine_t)EMPTY;
    return cache;
}

/* Up to n handles, each bound to a slot of the class. */
static size_t take_bound(unsigned cls, tm_handle_t *out, size_t n)
{
    char *slots[CAPACITY_MAX];
    size_t got = tmi_movable_take(cls, slots, tmi_min(n, CAPACITY_MAX), false), have = tmi_handle_take(out, got);
    if (have < got)
        tmi_movable_return(cls, slots + have, got - have);
    for (size_t i = 0; i < have; i++) {
        // relaxed: bound, so ours; who is given the handle sees what the program publishes it by
        tmi_store_relaxed(tmi_word(tmi_handle_index(out[i])), (out[i] & TMI_WORD_GENERATION) | (uint64_t)(uintptr_t)slots[i]);
        tmi_movable_set_ref(slots[i], tmi_handle_index(out[i]));
    }
    return have;
}

static void return_bound(unsigned cls, const tm_handle_t *handles, size_t n)
{
    char *slots[CAPACITY_MAX];
    uint32_t indices[CAPACITY_MAX];
    for (size_t i = 0; i < n; i++) {
        indices[i] = tmi_handle_index(handles[i]);
        uint64_t w = tmi_load_relaxed(tmi_word(indices[i]));
        slots[i] = tmi_word_address(w);
        tmi_store_relaxed(tmi_word(indices[i]), w & TMI_WORD_GENERATION);
    }
    tmi_movable_return(cls, slots, n);
    tmi_handle_return(indices, n);
}

static void set_top(tmi_hcache_t *cache, unsigned cls, tm_handle_t *top) { tmi_store_relaxed(&cache->magazines[cls].top, top); }

static bool make_buffer(tmi_hcache_t *cache, unsigned cls)
{
    if (cache->buffers[cls] != NULL)
        return true;
    tm_handle_t *buffer = tmi_meta_alloc((capacity(cls) + 1) * sizeof *buffer);
    if (buffer == NULL)
        return false;
    set_top(cache, cls, buffer + 1);
    cache->magazines[cls].limit = buffer + 1 + capacity(cls);
    cache->batch[cls] = (uint8_t)tmi_min(BATCH_FIRST, capacity(cls));
    tmi_store_relaxed(&cache->buffers[cls], buffer); // statistics read it
    return true;
}

/* Half a magazine at most; the handles of the lowest slots are popped first. One of them is the caller's. */
static tm_handle_t refill(tmi_hcache_t *cache, unsigned cls)
{
    tm_handle_t taken[CAPACITY_MAX], *buffer;
    if (!make_buffer(cache, cls))
        return take_bound(cls, taken, 1) == 1 ? taken[0] : TM_NULL;
    size_t n = take_bound(cls, taken, cache->batch[cls]);
    if (n == 0)
        return TM_NULL;
    buffer = cache->buffers[cls] + 1;
    for (size_t i = 1; i < n; i++)
        buffer[n - 1 - i] = taken[i];
    set_top(cache, cls, buffer + n - 1);
    cache->batch[cls] = (uint8_t)tmi_min(cache->batch[cls] * 2, tmi_max(capacity(cls) / 2, 1));
    return taken[0];
}

tm_handle_t tmi_hcache_alloc(tmi_hcache_t *cache, unsigned cls)
{
    tm_handle_t h = TM_NULL;
    if (cache != NULL && tmi_hcache_begin(cache)) {
        tmi_hmagazine_t *m = &cache->magazines[cls];
        h = m->top[-1];
        if (h != TM_NULL) {
            set_top(cache, cls, m->top - 1);
        } else {
            cache->exchanges++;
            h = refill(cache, cls);
        }
        tmi_hcache_end(cache);
        return h;
    }
    if (cache != NULL)
        tmi_hcache_end(cache);
    return take_bound(cls, &h, 1) == 1 ? h : TM_NULL;
}

static size_t flush_some(tmi_hcache_t *cache, unsigned cls, size_t n)
{
    tm_handle_t *bottom = cache->buffers[cls] + 1, *top = cache->magazines[cls].top;
    if (n == 0)
        return 0;
    return_bound(cls, bottom, n);
    for (tm_handle_t *p = bottom; p + n < top; p++)
        *p = p[n];
    set_top(cache, cls, top - n);
    return n;
}

void tmi_hcache_free(tmi_hcache_t *cache, unsigned cls, tm_handle_t h)
{
    bool ours = cache != NULL && tmi_hcache_begin(cache);
    if (ours && make_buffer(cache, cls)) {
        tmi_hmagazine_t *m = &cache->magazines[cls];
        if (m->top == m->limit) {
            cache->exchanges++;
            flush_some(cache, cls, (capacity(cls) + 1) / 2);
        }
        *m->top = h;
        set_top(cache, cls, m->top + 1);
    } else {
        return_bound(cls, &h, 1);
    }
    if (cache != NULL)
        tmi_hcache_end(cache);
}

static size_t flush_all(tmi_hcache_t *cache)
{
    size_t n = 0;
    for (unsigned c = TMI_MCLASS_FIRST; c <= TMI_MCLASS_LAST; c++)
        if (cache->buffers[c] != NULL && cache->magazines[c].top > cache->buffers[c] + 1)
            n += flush_some(cache, c, (size_t)(cache->magazines[c].top - (cache->buffers[c] + 1)));
    return n;
}

size_t tmi_hcache_flush(tmi_hcache_t *cache)
{
    if (cache == &tmi_hcache_none)
        return 0;
    size_t n = tmi_hcache_begin(cache) ? flush_all(cache) : 0;
    tmi_hcache_end(cache);
    return n;
}

void tmi_hcache_claim(tmi_hcache_t *cache)
{
    if (cache != &tmi_hcache_none)
        tmi_store_relaxed(&cache->claimed, 1); // relaxed: the fence that follows orders it
}

size_t tmi_hcache_flush_claimed(tmi_hcache_t *cache)
{
    if (!tmi_load_relaxed(&cache->claimed) || tmi_load_acquire(&cache->busy)) // pairs: tmi_hcache_end
        return 0;
    return flush_all(cache);
}

void tmi_hcache_unclaim(tmi_hcache_t *cache)
{
    if (tmi_load_relaxed(&cache->claimed))
        tmi_store_release(&cache->claimed, 0); // the magazines before; pairs: tmi_hcache_begin
}

size_t tmi_hcache_count(const tmi_hcache_t *cache, unsigned cls)
{
    tm_handle_t *buffer = tmi_load_relaxed(&cache->buffers[cls]), *top = tmi_load_relaxed(&cache->magazines[cls].top);
    return buffer != NULL && top > buffer && top <= buffer + 1 + CAPACITY_MAX ? (size_t)(top - (buffer + 1)) : 0;
}
