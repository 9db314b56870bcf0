#include "threads/magazine_impl.h"
#include "base/probe.h"
#include "os/counters.h"
#include "os/meta.h"
#include "os/report.h"
#include "slabs/raw.h"

#include <string.h>

enum { CAPACITY_MAX = 255 };

void *const tmi_no_slots[1];

static unsigned capacity_first(unsigned cls)
{
    size_t size = tmi_classes[cls].size;
    return size <= 8 ? 15 : size <= 256 ? 7 : size <= 2048 ? 3 : 1;
}

static uint32_t tried[TMI_CLASS_COUNT]; // G6. Relaxed: a race makes the trial a little longer

bool tmi_cache_on_trial(unsigned cls) { return tmi_load_relaxed(&tried[cls]) < TMI_TRIAL; }

unsigned tmi_cache_diverts(const tmi_cache_t *cache, unsigned cls)
{
    const tmi_magazine_info_t *info = &cache->info[cls];
    return (cache->armed ? TMI_DIVERT_ARMED : 0u) | (cache->observed ? TMI_DIVERT_OBSERVED : 0u) |
           (tmi_load_relaxed(&cache->summoned) ? TMI_DIVERT_SUMMONED : 0u) | // relaxed: seen late, it is answered late
           (info->capacity == 0 ? TMI_DIVERT_NO_MAGAZINE : 0u) | (info->homing ? TMI_DIVERT_HOMING : 0u) |
           (tmi_cache_on_trial(cls) ? TMI_DIVERT_TRIAL : 0u);
}

/* Make G2 true. */
static void set_limit(tmi_cache_t *cache, unsigned cls)
{
    const tmi_magazine_info_t *info = &cache->info[cls];
    void **limit = tmi_cache_diverts(cache, cls) ? TMI_LIMIT_DIVERTS : info->buffer + 1 + info->capacity;
    tmi_store_relaxed(&cache->magazines[cls].limit, limit); // the owner's own; others only divert
}

static uint32_t caches_in_use; // relaxed: a hint

uint32_t tmi_caches_in_use(void) { return tmi_load_relaxed(&caches_in_use); }

void tmi_cache_init(tmi_cache_t *cache, bool observed)
{
    (void)tmi_add_relaxed(&caches_in_use, 1);
    for (unsigned c = 0; c < TMI_CLASS_COUNT; c++) {
        tmi_cache_set_top(cache, c, tmi_cache_no_slots());
        tmi_store_relaxed(&cache->magazines[c].limit, TMI_LIMIT_DIVERTS);
    }
    cache->observed = observed;
    tmi_cache_init_rations(cache);
    cache->armed = false;
    tmi_store_relaxed(&cache->summoned, 0);
    cache->bound = cache->budget = TMI_THREAD_CACHE_FIRST;
    cache->takes = 0;
    cache->exchanges_then = cache->exchanges;
    cache->victim = TMI_CLASS_FIRST;
}

/* Whole cache lines: a magazine is written at every call, and its neighbours in a line may be another thread's. */
static size_t buffer_bytes(unsigned capacity) { return tmi_round_up((capacity + 1) * sizeof(void *), TMI_CACHE_LINE); }

/* Move the slots to a buffer of another size (new_capacity 0: none); all of them fit. False: no memory, nothing
 * changed. */
static bool resize(tmi_cache_t *cache, unsigned cls, unsigned new_capacity)
{
    tmi_magazine_info_t *info = &cache->info[cls];
    size_t n = tmi_cache_held(cache, cls), old_capacity = info->capacity;
    void **buffer = NULL;
    if (new_capacity > 0) {
        buffer = tmi_meta_alloc(buffer_bytes(new_capacity));
        if (buffer == NULL)
            return false;
        if (n > 0)
            memcpy(buffer + 1, info->buffer + 1, n * sizeof *buffer);
    }
    if (info->buffer != NULL)
        tmi_meta_free(info->buffer, buffer_bytes((unsigned)old_capacity));
    tmi_store_relaxed(&info->buffer, buffer); // statistics read it
    info->capacity = (uint16_t)new_capacity;
    tmi_cache_set_top(cache, cls, buffer ? buffer + 1 + n : tmi_cache_no_slots());
    cache->budget += (old_capacity - new_capacity) * (size_t)tmi_classes[cls].size; // modulo 2^64
    set_limit(cache, cls);
    return true;
}

enum { DEPOT_MAGAZINES = 4, ALONE_MAX = 256 };

/* How many slots the depot may hold. A thread alone has nobody to hand slots to; only of small ones it is worth while
 * to keep many from returning to the slabs. */
static size_t depot_capacity(unsigned cls)
{
    bool less = tmi_classes[cls].size > ALONE_MAX && tmi_caches_in_use() < 2;
    return (tmi_depot_magazine_max(cls) + 1) * (less ? DEPOT_MAGAZINES / 2 : DEPOT_MAGAZINES);
}

/* Take the n oldest slots out of a magazine and give them to the depot, or to the slabs. */
static void flush_some(tmi_cache_t *cache, unsigned cls, size_t n, bool to_depot, const char *function)
{
    void **bottom = cache->info[cls].buffer + 1;
    if (n == 0)
        return;
    if (!to_depot || !tmi_depot_put(cls, bottom, n, depot_capacity(cls), &cache->rows))
        tmi_raw_return(cls, bottom, n, function);
    size_t rest = tmi_cache_held(cache, cls) - n;
    memmove(bottom, bottom + n, rest * sizeof *bottom);
    tmi_cache_set_top(cache, cls, bottom + rest);
}

/* Return to the slabs what waits for that. */
static void flush_returning(tmi_cache_t *cache, unsigned cls, const char *function)
{
    tmi_magazine_info_t *info = &cache->info[cls];
    if (info->nreturning == 0)
        return;
    tmi_raw_return(cls, tmi_cache_returning(info), info->nreturning, function);
    info->nreturning = 0;
}

/* The class may have become loose, or begun to rest, or be dense again: G5. */
static void follow_class(tmi_cache_t *cache, unsigned cls, const char *function)
{
    tmi_magazine_info_t *info = &cache->info[cls];
    bool sparse = info->capacity > 0 && tmi_raw_sparse(cls), loose = sparse && tmi_raw_loose(cls);
    if (TMI_LIKELY(loose == info->homing && (sparse && !loose) == info->resting))
        return;
    if (loose != info->homing)
        flush_returning(cache, cls, function);
    if (loose && !info->homing) {
        flush_some(cache, cls, tmi_cache_held(cache, cls), false, function);
        tmi_depot_trim_class(cls, true);
    }
    info->homing = loose;
    cache->nresting += (uint32_t)(sparse && !loose) - info->resting;
    info->resting = sparse && !loose;
    set_limit(cache, cls);
}

enum { LOOK_AT = 8, TAKES = 16, OFTEN = 8 };

/* For each class of 8 to 32 KiB to have a slot takes 300 KiB. Of smaller slots a thread alone needs no more: its
 * exchanges cost little, since what it gives away nobody else takes, and memory counts more. */
static size_t bound_max(unsigned cls)
{
    if (tmi_caches_in_use() >= 2)
        return TMI_THREAD_CACHE_MAX;
    return tmi_classes[cls].size > TMI_MAGAZINE_BYTES / 8 ? TMI_THREAD_CACHE_ALONE : TMI_THREAD_CACHE_FIRST;
}

/* The budget is used up, for the sixteenth time. When every eighth exchange comes here, the classes rob each other, and
 * the bound is too low. */
static void raise_bound(tmi_cache_t *cache, unsigned cls)
{
    bool often = cache->exchanges - cache->exchanges_then < TAKES * OFTEN;
    cache->takes = 0;
    cache->exchanges_then = cache->exchanges;
    if (!often || cache->bound >= bound_max(cls))
        return;
    cache->bound += TMI_THREAD_CACHE_STEP;
    cache->budget += TMI_THREAD_CACHE_STEP;
}

/* An idle class gives half its magazine, so that this one can grow. Looks at a few each time; most calls find none. */
static void take_budget(tmi_cache_t *cache, unsigned cls)
{
    if (++cache->takes == TAKES)
        raise_bound(cache, cls);
    for (unsigned tries = 0; tries < LOOK_AT; tries++) {
        unsigned v = cache->victim;
        tmi_magazine_info_t *info = &cache->info[v];
        cache->victim = v == TMI_CLASS_LAST ? TMI_CLASS_FIRST : (uint8_t)(v + 1);
        bool spared = v == cls || info->active || info->capacity * (size_t)tmi_classes[v].size < TMI_MAGAZINE_BYTES / 8;
        info->active = false;
        if (spared)
            continue;
        unsigned capacity = info->capacity / 2;
        flush_returning(cache, v, "free");
        if (tmi_cache_held(cache, v) > capacity)
            flush_some(cache, v, tmi_cache_held(cache, v) - capacity, false, "free");
        (void)resize(cache, v, capacity);
        return;
    }
}

static void grow(tmi_cache_t *cache, unsigned cls)
{
    unsigned capacity = cache->info[cls].capacity;
    cache->info[cls].active = true;
    if (cache->info[cls].homing)
        return;
    unsigned wanted = capacity == 0 ? capacity_first(cls) : capacity * 2 + 1;
    if (capacity >= tmi_depot_magazine_max(cls))
        return;
    size_t cost = (wanted - capacity) * (size_t)tmi_classes[cls].size;
    if (cost > cache->budget)
        take_budget(cache, cls);
    if (cost <= cache->budget)
        (void)resize(cache, cls, wanted); // without memory the magazine stays as it is
}

void tmi_cache_begin_exchange(tmi_cache_t *cache)
{
    tmi_store_relaxed(&cache->busy, true);
    // fork copies memory as this thread's stores have reached it; on arm64 a stray child leaks the cache
    tmi_fence_signal();
    cache->exchanges++;
}

static void look_at_rests(tmi_cache_t *cache)
{
    for (unsigned c = TMI_CLASS_FIRST; c <= TMI_CLASS_LAST; c++)
        if (cache->info[c].resting)
            follow_class(cache, c, "free");
}

void tmi_cache_end_exchange(tmi_cache_t *cache)
{
    enum { EXCHANGES_PER_LOOK = 64 };
    if (TMI_UNLIKELY(cache->nresting > 0) && cache->exchanges % EXCHANGES_PER_LOOK == 0)
        look_at_rests(cache);
    tmi_store_release(&cache->busy, false);
}

/* Fill an empty magazine with half of what it may hold, and take one slot of these. */
static void *refill(tmi_cache_t *cache, unsigned cls)
{
    void *p = NULL;
    tmi_magazine_info_t *info = &cache->info[cls];
    bool first = !info->refilled && tmi_classes[cls].size < TMI_CACHE_LINE;
    flush_returning(cache, cls, "free");
    follow_class(cache, cls, "free");
    grow(cache, cls);
    if (info->capacity == 0)
        return tmi_raw_take(cls, &p, 1) == 1 ? p : NULL;
    info->refilled = true;
    size_t wanted = (info->capacity + 1u) / 2, got = 0;
    if (!first && !info->homing)
        got = tmi_depot_take(cls, info->buffer + 1, wanted, &cache->rows);
    if (got == 0)
        got = first ? tmi_raw_take_lines(cls, info->buffer + 1, wanted) : tmi_raw_take(cls, info->buffer + 1, wanted);
    if (got == 0)
        return NULL;
    TMI_PROBE2(tinymem, refill, tmi_classes[cls].size, got);
    tmi_cache_set_top(cache, cls, info->buffer + got); // one less than it holds: that one is the caller's
    return info->buffer[got];
}

void *tmi_cache_alloc(tmi_cache_t *cache, unsigned cls)
{
    tmi_magazine_t *m = &cache->magazines[cls];
    void *p = m->top[-1];
    if (p != NULL) { // the fast path was switched off, or the size is not tiny
        tmi_step_foldable(&m->top, -1);
        return p;
    }
    tmi_cache_begin_exchange(cache);
    p = refill(cache, cls);
    tmi_cache_end_exchange(cache);
    return p;
}

/* Make room in a full magazine. False: the slot should return to its slab. That is so without a magazine; a first one
 * is then made, but this slot comes from another thread, and its neighbours in the cache line may be in use there. */
static bool make_room(tmi_cache_t *cache, unsigned cls, const char *function)
{
    unsigned before = cache->info[cls].capacity;
    flush_returning(cache, cls, function);
    follow_class(cache, cls, function);
    grow(cache, cls);
    if (before > 0 && tmi_cache_held(cache, cls) == cache->info[cls].capacity)
        flush_some(cache, cls, (before + 1) / 2, true, function);
    return before > 0;
}

const char *tmi_cache_complaint(const tmi_cache_t *cache, unsigned cls, const void *p)
{
    const tmi_magazine_info_t *info = &cache->info[cls];
    if (tmi_depot_holds(cls, p) || tmi_cache_in_ration(cache, cls, p))
        return "double free";
    if (info->buffer != NULL && (tmi_cache_among(info->buffer + 1, cache->magazines[cls].top, p) ||
                                 tmi_cache_among(tmi_cache_returning(info), info->buffer + 1 + info->capacity, p)))
        return "double free";
    return tmi_raw_complaint(cls, p);
}

/* Another free of a class on trial. */
static TMI_COLD void try_free(tmi_cache_t *cache, unsigned cls, const void *p, const char *function)
{
    const char *wrong = tmi_cache_complaint(cache, cls, p);
    if (wrong != NULL)
        tmi_fatal(function, p, wrong);
    tmi_store_relaxed(&tried[cls], tmi_load_relaxed(&tried[cls]) + 1);
}

/* One of the two slots that were freed last is p. */
static bool freed_lately(const tmi_cache_t *cache, unsigned cls, const void *p)
{
    void *const *top = cache->magazines[cls].top;
    const tmi_magazine_info_t *info = &cache->info[cls];
    return top[-1] == p || (tmi_cache_held(cache, cls) > 1 && top[-2] == p) ||
           (info->nreturning > 0 && *tmi_cache_returning(info) == p);
}

void tmi_cache_free(tmi_cache_t *cache, unsigned cls, void *p, const char *function)
{
    if (TMI_UNLIKELY(tmi_cache_on_trial(cls)))
        try_free(cache, cls, p, function);
    tmi_magazine_t *m = &cache->magazines[cls];
    tmi_magazine_info_t *info = &cache->info[cls];
    if (tmi_cache_held(cache, cls) + info->nreturning == info->capacity) {
        tmi_cache_begin_exchange(cache);
        bool room = make_room(cache, cls, function);
        if (!room)
            tmi_raw_return(cls, &p, 1, function);
        tmi_cache_end_exchange(cache);
        if (!room)
            return;
    }
    if (TMI_UNLIKELY(freed_lately(cache, cls, p)))
        tmi_fatal(function, p, "double free");
    set_limit(cache, cls); // a trial may be over
    if (info->homing) {
        tmi_cache_returning(info)[-1] = p;
        info->nreturning++;
        return;
    }
    *m->top = p;
    tmi_step_foldable(&m->top, 1);
}

void tmi_cache_summon(tmi_cache_t *cache)
{
    tmi_store_relaxed(&cache->summoned, 1); // relaxed: seen late, it is answered late
    for (unsigned c = TMI_CLASS_FIRST; c <= TMI_CLASS_LAST; c++)
        tmi_store_relaxed(&cache->magazines[c].limit, TMI_LIMIT_DIVERTS); // its owner restores the limits
}

void tmi_cache_arm(tmi_cache_t *cache)
{
    cache->armed = true;
    cache->armed_frees = 0;
    for (unsigned c = TMI_CLASS_FIRST; c <= TMI_CLASS_LAST; c++)
        set_limit(cache, c);
}

void tmi_cache_disarm(tmi_cache_t *cache)
{
    cache->armed = false;
    for (unsigned c = TMI_CLASS_FIRST; c <= TMI_CLASS_LAST; c++)
        set_limit(cache, c);
}

void tmi_cache_flush(tmi_cache_t *cache)
{
    tmi_cache_begin_exchange(cache);
    tmi_cache_flush_rations(cache, false);
    for (unsigned c = TMI_CLASS_FIRST; c <= TMI_CLASS_LAST; c++) {
        flush_returning(cache, c, "free");
        flush_some(cache, c, tmi_cache_held(cache, c), false, "free");
    }
    tmi_depot_free_rows(&cache->rows);
    tmi_cache_end_exchange(cache);
}

void tmi_cache_destroy(tmi_cache_t *cache)
{
    tmi_cache_begin_exchange(cache);
    tmi_cache_flush_rations(cache, true);
    for (unsigned c = TMI_CLASS_FIRST; c <= TMI_CLASS_LAST; c++) {
        if (cache->info[c].buffer == NULL)
            continue;
        flush_returning(cache, c, "free");
        cache->nresting -= cache->info[c].resting;
        cache->info[c].homing = cache->info[c].resting = false;
        // at a thread's end the depot may have them: another thread will want them soon, or the trim takes them
        size_t n = tmi_cache_held(cache, c), half = tmi_depot_magazine_max(c) / 2 + 1;
        flush_some(cache, c, tmi_min(n, half), true, "free");
        flush_some(cache, c, tmi_cache_held(cache, c), true, "free");
        (void)resize(cache, c, 0);
        cache->info[c].refilled = false;
    }
    tmi_depot_free_rows(&cache->rows);
    tmi_cache_end_codes(cache); // the record's next owner may use its handles first, and this cache is not ready then
    tmi_cache_end_exchange(cache);
    (void)tmi_sub_relaxed(&caches_in_use, 1);
}

size_t tmi_cache_count(const tmi_cache_t *cache, unsigned cls)
{
    void **buffer = tmi_load_relaxed(&cache->info[cls].buffer); // a statistic: the owner may be at work
    void **top = tmi_load_relaxed(&cache->magazines[cls].top);
    size_t nreturning = tmi_load_relaxed(&cache->info[cls].nreturning), n = tmi_cache_count_ration(cache, cls);
    bool usable = buffer != NULL && top > buffer && top <= buffer + 1 + CAPACITY_MAX;
    return usable ? (size_t)(top - (buffer + 1)) + nreturning + n : n;
}
