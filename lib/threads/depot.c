#include "threads/depot.h"
#include "os/meta.h"
#include "slabs/raw.h"

#include <string.h>

tmi_depot_t tmi_depots[TMI_CLASS_COUNT];

enum { CAPACITY_FIRST = 16 };

size_t tmi_depot_take(unsigned cls, void **out, size_t n)
{
    tmi_depot_t *d = &tmi_depots[cls];
    if (tmi_load_relaxed(&d->count) == 0) // relaxed, without the lock: a wrong guess costs a refill from the slabs
        return 0;
    tmi_lock(&d->lock);
    size_t got = tmi_min(n, d->count);
    tmi_store_relaxed(&d->count, d->count - (uint32_t)got); // relaxed: read without the lock, as a hint
    if (d->count < d->low)
        d->low = d->count;
    if (got > 0)
        memcpy(out, d->slots + d->count, got * sizeof *out);
    tmi_unlock(&d->lock);
    return got;
}

/* Let the array hold n slots, if that is at most `most`. Arrays start small, since most depots never hold many
 * slots. */
static bool reserve(tmi_depot_t *d, size_t n, size_t most)
{
    if (n <= d->capacity)
        return true;
    size_t capacity = tmi_min(tmi_max((size_t)2 << tmi_log2(n), CAPACITY_FIRST), most);
    void **slots = n <= capacity ? tmi_meta_alloc(capacity * sizeof *slots) : NULL;
    if (slots == NULL)
        return false;
    if (d->slots != NULL)
        memcpy(slots, d->slots, d->count * sizeof *slots);
    tmi_meta_free(d->slots, d->capacity * sizeof *slots);
    d->slots = slots;
    d->capacity = (uint32_t)capacity;
    return true;
}

bool tmi_depot_put(unsigned cls, void *const *slots, size_t n, size_t most)
{
    tmi_depot_t *d = &tmi_depots[cls];
    tmi_lock(&d->lock);
    bool fits = reserve(d, d->count + n, most);
    if (fits) {
        memcpy(d->slots + d->count, slots, n * sizeof *slots);
        tmi_store_relaxed(&d->count, d->count + (uint32_t)n); // relaxed: read without the lock, as a hint
    }
    tmi_unlock(&d->lock);
    return fits;
}

bool tmi_depot_holds(unsigned cls, const void *p)
{
    tmi_depot_t *d = &tmi_depots[cls];
    bool found = false;
    tmi_lock(&d->lock);
    for (size_t i = 0; i < d->count && !found; i++)
        found = d->slots[i] == p;
    tmi_unlock(&d->lock);
    return found;
}

size_t tmi_depot_count(unsigned cls) { return tmi_load_relaxed(&tmi_depots[cls].count); } // relaxed: a hint

void tmi_depot_trim_class(unsigned cls, bool all)
{
    enum { BATCH = 64 };
    tmi_depot_t *d = &tmi_depots[cls];
    void *batch[BATCH];
    tmi_lock(&d->lock);
    size_t left = all ? (size_t)-1 : d->low, n;
    tmi_unlock(&d->lock);
    do {
        n = tmi_depot_take(cls, batch, tmi_min(left, BATCH));
        tmi_raw_return(cls, batch, n, "free");
        left -= n;
    } while (n == BATCH && left > 0);
    tmi_lock(&d->lock);
    d->low = d->count;
    tmi_unlock(&d->lock);
}

void tmi_depot_trim(bool all)
{
    for (unsigned c = TMI_CLASS_FIRST; c <= TMI_CLASS_LAST; c++)
        if (tmi_depot_count(c) > 0)
            tmi_depot_trim_class(c, all);
}

void tmi_depot_init(void)
{
    for (unsigned c = 0; c < TMI_CLASS_COUNT; c++)
        tmi_lock_set_place(&tmi_depots[c].lock, TMI_RANK_DEPOT, c);
}

void tmi_depot_lock_all(void)
{
    for (unsigned c = 0; c < TMI_CLASS_COUNT; c++)
        tmi_lock(&tmi_depots[c].lock);
}

void tmi_depot_unlock_all(void)
{
    for (unsigned c = TMI_CLASS_COUNT; c-- > 0;)
        tmi_unlock(&tmi_depots[c].lock);
}

void tmi_depot_reset_locks(void)
{
    for (unsigned c = 0; c < TMI_CLASS_COUNT; c++)
        tmi_lock_reset(&tmi_depots[c].lock);
}
