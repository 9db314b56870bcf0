/* Rations (G7): slots that malloc's fast path may take before the sampler is asked again.
 *
 * Counting allocations would cost the fast path some instructions at each call. The fast path only tests whether there
 * is a slot. So it gets a known number of slots, its ration, and the slow path counts the ration as a whole. Slots
 * freed meanwhile go to the magazine, not to the ration: otherwise a loop of malloc and free would never use up its
 * ration. As a consequence such a loop cycles through as many slots as a ration has. Rations are small to limit this:
 * they start with FIRST slots and double each time they are used up, to MOST slots or RATION_BYTES, but at least LEAST
 * slots. */
#include "os/meta.h"
#include "slabs/raw.h"
#include "threads/magazine_impl.h"

#include <string.h>

#define RATION_BYTES ((size_t)8 << 10)
enum { FIRST = 8, LEAST = 16, MOST = 128 };

static size_t ration_max(unsigned cls)
{
    return tmi_min(tmi_max(RATION_BYTES / tmi_classes[cls].size, LEAST), MOST);
}

static size_t buffer_bytes(unsigned cls) { return (ration_max(cls) + 1) * sizeof(void *); }

static void set_codes(tmi_cache_t *cache)
{
    unsigned first = cache->rationed ? 0 : TMI_POP_FIRST, step = cache->rationed ? TMI_RATION_CODE : TMI_POP_CODE;
    for (size_t size = 0; size <= TMI_TINY_MAX; size++)
        cache->codes[size] = cache->observed ? 0 : (uint8_t)(first + tmi_class_of(size) * step);
}

void tmi_cache_init_rations(tmi_cache_t *cache)
{
    cache->rationed = false;
    for (unsigned c = 0; c < TMI_RATION_CLASSES; c++) {
        tmi_store_relaxed(&cache->rations[c], tmi_cache_no_slots()); // own; statistics read it
        cache->ration_info[c].left = 0;
        cache->ration_info[c].next = FIRST;
    }
    set_codes(cache);
}

static size_t held(const tmi_cache_t *cache, unsigned cls)
{
    void **buffer = cache->ration_info[cls].buffer;
    return buffer != NULL && cache->rations[cls] != tmi_cache_no_slots()
               ? (size_t)(cache->rations[cls] - (buffer + 1))
               : 0;
}

void tmi_cache_flush_rations(tmi_cache_t *cache, bool end)
{
    for (unsigned c = TMI_CLASS_FIRST; c < TMI_RATION_CLASSES; c++) {
        tmi_ration_info_t *r = &cache->ration_info[c];
        if (r->buffer == NULL)
            continue;
        size_t n = held(cache, c);
        tmi_store_relaxed(&cache->rations[c], tmi_cache_no_slots()); // as above
        if (n > 0)
            tmi_raw_return(c, r->buffer + 1, n, "free");
        r->left += r->left > 0 ? n : 0; // these slots were not allocated, so they do not count
        r->next = FIRST;
        if (end) {
            tmi_meta_free(r->buffer, buffer_bytes(c));
            tmi_store_relaxed(&r->buffer, NULL); // statistics read it
        }
    }
}

void tmi_cache_end_codes(tmi_cache_t *cache)
{
    cache->rationed = false;
    memset(cache->codes, 0, sizeof cache->codes);
}

void tmi_cache_ration(tmi_cache_t *cache, bool on)
{
    if (cache->observed || cache->rationed == on)
        return;
    tmi_cache_begin_exchange(cache);
    tmi_cache_flush_rations(cache, !on);
    for (unsigned c = 0; c < TMI_RATION_CLASSES; c++)
        cache->ration_info[c].left = 0; // the sampling interval may have changed: draw a new distance
    cache->rationed = on;
    set_codes(cache);
    tmi_cache_end_exchange(cache);
}

/* Fill the ration: with the top slots of the magazine, and, if these are less than half, with slots from the depot or
 * the slabs below them. A homing class takes no additional slots. */
static void renew(tmi_cache_t *cache, unsigned cls)
{
    tmi_ration_info_t *r = &cache->ration_info[cls];
    size_t n = tmi_min(r->left - 1, r->next), more = 0;
    if (n == 0)
        return;
    if (r->buffer == NULL)
        tmi_store_relaxed(&r->buffer, (void **)tmi_meta_alloc(buffer_bytes(cls))); // statistics read it
    if (r->buffer == NULL)
        return; // the next allocation tries again
    size_t mine = tmi_min(n, tmi_cache_held(cache, cls));
    void **top = cache->magazines[cls].top - mine, **bottom = r->buffer + 1;
    if (mine < n / 2 && !cache->info[cls].homing) {
        more = tmi_depot_take(cls, bottom, n - mine, &cache->rows);
        more = more > 0 ? more : tmi_raw_take(cls, bottom, n - mine);
    }
    if (mine > 0) {
        memcpy(bottom + more, top, mine * sizeof *top);
        tmi_cache_set_top(cache, cls, top);
    }
    r->left -= mine + more;
    r->next = (uint32_t)tmi_min(r->next * 2, ration_max(cls));
    tmi_store_relaxed(&cache->rations[cls], bottom + mine + more); // as above
}

void *tmi_cache_alloc_rationed(tmi_cache_t *cache, unsigned cls, tmi_sampler_t *sampler, bool *hit)
{
    tmi_ration_info_t *r = &cache->ration_info[cls];
    void *p = tmi_cache_pop_at(cache->rations, cls);
    if (p != NULL)
        return p; // the caller had not tried the fast path
    p = tmi_cache_alloc(cache, cls);
    if (p == NULL)
        return NULL;
    if (r->left == 0)
        r->left = tmi_samples_distance_in(sampler, tmi_classes[cls].size);
    *hit = r->left == 1;
    if (*hit) {
        r->left = 0;
        return p;
    }
    r->left--;
    tmi_cache_begin_exchange(cache);
    renew(cache, cls);
    tmi_cache_end_exchange(cache);
    return p;
}

bool tmi_cache_in_ration(const tmi_cache_t *cache, unsigned cls, const void *p)
{
    return cls < TMI_RATION_CLASSES &&
           tmi_cache_among(cache->rations[cls] - held(cache, cls), cache->rations[cls], p);
}

size_t tmi_cache_count_ration(const tmi_cache_t *cache, unsigned cls)
{
    if (cls >= TMI_RATION_CLASSES)
        return 0;
    void **buffer = tmi_load_relaxed(&cache->ration_info[cls].buffer); // an estimate: the owner may be changing it
    void **top = tmi_load_relaxed(&cache->rations[cls]);
    return buffer != NULL && top > buffer && top <= buffer + 1 + MOST ? (size_t)(top - (buffer + 1)) : 0;
}
