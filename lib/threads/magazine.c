#include "threads/magazine_impl.h"
#include "os/counters.h"
#include "os/meta.h"
#include "os/report.h"
#include "slabs/raw.h"

#include <string.h>

#define MAGAZINE_BYTES ((size_t)32 << 10) // one magazine aims to hold at most this much
enum { LIMIT_MAX = 255 };

void *const tmi_no_slots[1];

/* 2^k - 1 slots, at least 1. */
static unsigned limit_max(unsigned cls)
{
    size_t n = tmi_min(MAGAZINE_BYTES / tmi_classes[cls].size, LIMIT_MAX);
    return n < 3 ? 1 : (1u << tmi_log2(n + 1)) - 1;
}

static unsigned limit_first(unsigned cls)
{
    size_t size = tmi_classes[cls].size;
    return size <= 8 ? 15 : size <= 256 ? 7 : size <= 2048 ? 3 : 1;
}

static uint32_t tried[TMI_CLASS_COUNT]; // G6. Relaxed: a race makes the trial a little longer

bool tmi_cache_on_trial(unsigned cls) { return tmi_load_relaxed(&tried[cls]) < TMI_TRIAL; }

static void set_limit(tmi_cache_t *cache, unsigned cls)
{
    tmi_magazine_books_t *b = &cache->books[cls];
    bool slow = cache->armed || cache->observed || tmi_load_relaxed(&cache->summoned) || b->limit == 0 || b->homing ||
                tmi_cache_on_trial(cls);
    tmi_store_relaxed(&cache->magazines[cls].limit, slow ? NULL : b->buffer + 1 + b->limit); // own; see G2
}

static uint32_t caches_in_use; // relaxed: a hint

uint32_t tmi_caches_in_use(void) { return tmi_load_relaxed(&caches_in_use); }

void tmi_cache_init(tmi_cache_t *cache, bool observed)
{
    (void)tmi_add_relaxed(&caches_in_use, 1);
    for (unsigned c = 0; c < TMI_CLASS_COUNT; c++) {
        tmi_cache_set_top(cache, c, tmi_cache_no_slots());
        tmi_store_relaxed(&cache->magazines[c].limit, NULL);
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
static size_t buffer_bytes(unsigned limit) { return tmi_round_up((limit + 1) * sizeof(void *), TMI_CACHE_LINE); }

/* Move the slots to a buffer of another size (new_limit 0: none); all of them fit. False: no memory, nothing changed.
 * */
static bool resize(tmi_cache_t *cache, unsigned cls, unsigned new_limit)
{
    tmi_magazine_books_t *b = &cache->books[cls];
    size_t n = tmi_cache_held(cache, cls), old_limit = b->limit;
    void **buffer = NULL;
    if (new_limit > 0) {
        buffer = tmi_meta_alloc(buffer_bytes(new_limit));
        if (buffer == NULL)
            return false;
        if (n > 0)
            memcpy(buffer + 1, b->buffer + 1, n * sizeof *buffer);
    }
    if (b->buffer != NULL)
        tmi_meta_free(b->buffer, buffer_bytes((unsigned)old_limit));
    tmi_store_relaxed(&b->buffer, buffer); // statistics read it
    b->limit = (uint16_t)new_limit;
    tmi_cache_set_top(cache, cls, buffer ? buffer + 1 + n : tmi_cache_no_slots());
    cache->budget += (old_limit - new_limit) * (size_t)tmi_classes[cls].size; // modulo 2^64
    set_limit(cache, cls);
    return true;
}

tmi_depot_t tmi_depots[TMI_CLASS_COUNT];

enum { DEPOT_FIRST = 16, DEPOT_MAGAZINES = 4, ALONE_MAX = 256 }; // halves of largest magazines: twice this

/* A thread alone has nobody to hand slots to; only of small ones it is worth while to keep many from going to the slabs
 * and back. */
static size_t depot_capacity(unsigned cls)
{
    bool less = tmi_classes[cls].size > ALONE_MAX && tmi_caches_in_use() < 2;
    return (limit_max(cls) + 1) * (less ? DEPOT_MAGAZINES / 2 : DEPOT_MAGAZINES);
}

size_t tmi_depot_take(unsigned cls, void **out, size_t n)
{
    tmi_depot_t *d = &tmi_depots[cls];
    if (tmi_load_relaxed(&d->count) == 0) // unlocked look: a miss costs a refill from slabs
        return 0;
    tmi_lock(&d->lock);
    size_t got = tmi_min(n, d->count);
    tmi_store_relaxed(&d->count, d->count - (uint32_t)got);
    if (d->count < d->low)
        d->low = d->count;
    if (got > 0)
        memcpy(out, d->slots + d->count, got * sizeof *out);
    tmi_unlock(&d->lock);
    return got;
}

/* Make the array hold n slots, if it may. Most depots stay small, and a whole array would be a page for each class. */
static bool depot_reserve(tmi_depot_t *d, unsigned cls, size_t n)
{
    if (n <= d->capacity)
        return true;
    size_t capacity = tmi_max((size_t)2 << tmi_log2(n), DEPOT_FIRST);
    if (capacity > depot_capacity(cls))
        capacity = depot_capacity(cls);
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

/* Whether the depot took the n slots: all or none. */
static bool depot_put(unsigned cls, void *const *slots, size_t n)
{
    tmi_depot_t *d = &tmi_depots[cls];
    tmi_lock(&d->lock);
    bool fits = depot_reserve(d, cls, d->count + n);
    if (fits) {
        memcpy(d->slots + d->count, slots, n * sizeof *slots);
        tmi_store_relaxed(&d->count, d->count + (uint32_t)n);
    }
    tmi_unlock(&d->lock);
    return fits;
}

static void trim_one(unsigned cls, bool all)
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
        if (tmi_load_relaxed(&tmi_depots[c].count) > 0)
            trim_one(c, all);
}

void tmi_depot_init(void)
{
    for (unsigned c = 0; c < TMI_CLASS_COUNT; c++)
        tmi_lock_set_place(&tmi_depots[c].lock, TMI_RANK_DEPOT, c);
}

size_t tmi_depot_count(unsigned cls) { return tmi_load_relaxed(&tmi_depots[cls].count); }

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

/* Take the n oldest slots out of a magazine and give them to the depot, or to the slabs. */
static void flush_some(tmi_cache_t *cache, unsigned cls, size_t n, bool to_depot, const char *function)
{
    void **bottom = cache->books[cls].buffer + 1;
    if (n == 0)
        return;
    if (!to_depot || !depot_put(cls, bottom, n))
        tmi_raw_return(cls, bottom, n, function);
    size_t rest = tmi_cache_held(cache, cls) - n;
    memmove(bottom, bottom + n, rest * sizeof *bottom);
    tmi_cache_set_top(cache, cls, bottom + rest);
}

/* Return what is on its way home. */
static void send_home(tmi_cache_t *cache, unsigned cls, const char *function)
{
    tmi_magazine_books_t *b = &cache->books[cls];
    if (b->nhome == 0)
        return;
    tmi_raw_return(cls, tmi_cache_home(b), b->nhome, function);
    b->nhome = 0;
}

/* Follow the class into looseness and out of it. */
static void settle(tmi_cache_t *cache, unsigned cls, const char *function)
{
    tmi_magazine_books_t *b = &cache->books[cls];
    bool sparse = b->limit > 0 && tmi_raw_sparse(cls), loose = sparse && tmi_raw_loose(cls);
    if (TMI_LIKELY(loose == b->homing && (sparse && !loose) == b->resting))
        return;
    if (loose != b->homing)
        send_home(cache, cls, function);
    if (loose && !b->homing) {
        flush_some(cache, cls, tmi_cache_held(cache, cls), false, function);
        trim_one(cls, true);
    }
    b->homing = loose;
    cache->nresting += (uint32_t)(sparse && !loose) - b->resting;
    b->resting = sparse && !loose;
    set_limit(cache, cls);
}

enum { LOOK_AT = 8, TAKES = 16, OFTEN = 8 };

/* For each class of 8 to 32 KiB to have a slot takes 300 KiB. Of smaller slots a thread alone needs no more: its
 * exchanges cost little, since what it gives away nobody else takes, and memory counts more. */
static size_t bound_max(unsigned cls)
{
    if (tmi_caches_in_use() >= 2)
        return TMI_THREAD_CACHE_MAX;
    return tmi_classes[cls].size > MAGAZINE_BYTES / 8 ? TMI_THREAD_CACHE_ALONE : TMI_THREAD_CACHE_FIRST;
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
        tmi_magazine_books_t *b = &cache->books[v];
        cache->victim = v == TMI_CLASS_LAST ? TMI_CLASS_FIRST : (uint8_t)(v + 1);
        bool spared = v == cls || b->active || b->limit * (size_t)tmi_classes[v].size < MAGAZINE_BYTES / 8;
        b->active = false;
        if (spared)
            continue;
        unsigned limit = b->limit / 2;
        send_home(cache, v, "free");
        if (tmi_cache_held(cache, v) > limit)
            flush_some(cache, v, tmi_cache_held(cache, v) - limit, false, "free");
        (void)resize(cache, v, limit);
        return;
    }
}

static void grow(tmi_cache_t *cache, unsigned cls)
{
    unsigned limit = cache->books[cls].limit;
    cache->books[cls].active = true;
    if (cache->books[cls].homing)
        return;
    unsigned wanted = limit == 0 ? limit_first(cls) : limit * 2 + 1;
    if (limit >= limit_max(cls))
        return;
    size_t cost = (wanted - limit) * (size_t)tmi_classes[cls].size;
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
        if (cache->books[c].resting)
            settle(cache, c, "free");
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
    tmi_magazine_books_t *b = &cache->books[cls];
    bool first = !b->refilled && tmi_classes[cls].size < TMI_CACHE_LINE;
    send_home(cache, cls, "free");
    settle(cache, cls, "free");
    grow(cache, cls);
    if (b->limit == 0)
        return tmi_raw_take(cls, &p, 1) == 1 ? p : NULL;
    b->refilled = true;
    size_t wanted = (b->limit + 1u) / 2, got = 0;
    if (!first && !b->homing)
        got = tmi_depot_take(cls, b->buffer + 1, wanted);
    if (got == 0)
        got = first ? tmi_raw_take_lines(cls, b->buffer + 1, wanted) : tmi_raw_take(cls, b->buffer + 1, wanted);
    if (got == 0)
        return NULL;
    tmi_cache_set_top(cache, cls, b->buffer + got); // one less than it holds: that one is the caller's
    return b->buffer[got];
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

/* Make room in a full magazine. False: the slot had better go to the slabs. That is so without a magazine; a first one
 * is then made, but this slot comes from another thread, and its neighbours in the cache line may be in use there. */
static bool make_room(tmi_cache_t *cache, unsigned cls, const char *function)
{
    unsigned before = cache->books[cls].limit;
    send_home(cache, cls, function);
    settle(cache, cls, function);
    grow(cache, cls);
    if (before > 0 && tmi_cache_held(cache, cls) == cache->books[cls].limit)
        flush_some(cache, cls, (before + 1) / 2, true, function);
    return before > 0;
}

static bool in_depot(unsigned cls, const void *p)
{
    tmi_depot_t *d = &tmi_depots[cls];
    tmi_lock(&d->lock);
    bool found = tmi_cache_among(d->slots, d->slots + d->count, p);
    tmi_unlock(&d->lock);
    return found;
}

const char *tmi_cache_complaint(const tmi_cache_t *cache, unsigned cls, const void *p)
{
    const tmi_magazine_books_t *b = &cache->books[cls];
    if (in_depot(cls, p) || tmi_cache_in_ration(cache, cls, p))
        return "double free";
    if (b->buffer != NULL &&
        (tmi_cache_among(b->buffer + 1, cache->magazines[cls].top, p) ||
         tmi_cache_among(tmi_cache_home(b), b->buffer + 1 + b->limit, p)))
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
    const tmi_magazine_books_t *b = &cache->books[cls];
    return top[-1] == p || (tmi_cache_held(cache, cls) > 1 && top[-2] == p) ||
           (b->nhome > 0 && *tmi_cache_home(b) == p);
}

void tmi_cache_free(tmi_cache_t *cache, unsigned cls, void *p, const char *function)
{
    if (TMI_UNLIKELY(tmi_cache_on_trial(cls)))
        try_free(cache, cls, p, function);
    tmi_magazine_t *m = &cache->magazines[cls];
    tmi_magazine_books_t *b = &cache->books[cls];
    if (tmi_cache_held(cache, cls) + b->nhome == b->limit) {
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
    if (b->homing) {
        tmi_cache_home(b)[-1] = p;
        b->nhome++;
        return;
    }
    *m->top = p;
    tmi_step_foldable(&m->top, 1);
}

void tmi_cache_summon(tmi_cache_t *cache)
{
    tmi_store_relaxed(&cache->summoned, 1); // relaxed: seen late, it is answered late
    for (unsigned c = TMI_CLASS_FIRST; c <= TMI_CLASS_LAST; c++)
        tmi_store_relaxed(&cache->magazines[c].limit, NULL); // G2; its owner puts the limits back
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
        send_home(cache, c, "free");
        flush_some(cache, c, tmi_cache_held(cache, c), false, "free");
    }
    tmi_cache_end_exchange(cache);
}

void tmi_cache_destroy(tmi_cache_t *cache)
{
    tmi_cache_begin_exchange(cache);
    tmi_cache_flush_rations(cache, true);
    for (unsigned c = TMI_CLASS_FIRST; c <= TMI_CLASS_LAST; c++) {
        if (cache->books[c].buffer == NULL)
            continue;
        send_home(cache, c, "free");
        cache->nresting -= cache->books[c].resting;
        cache->books[c].homing = cache->books[c].resting = false;
        // at a thread's end the depot may have them: another thread will want them soon, or the trim takes them
        size_t n = tmi_cache_held(cache, c), half = limit_max(c) / 2 + 1;
        flush_some(cache, c, tmi_min(n, half), true, "free");
        flush_some(cache, c, tmi_cache_held(cache, c), true, "free");
        (void)resize(cache, c, 0);
        cache->books[c].refilled = false;
    }
    tmi_cache_end_exchange(cache);
    (void)tmi_sub_relaxed(&caches_in_use, 1);
}

size_t tmi_cache_count(const tmi_cache_t *cache, unsigned cls)
{
    void **buffer = tmi_load_relaxed(&cache->books[cls].buffer); // a statistic: the owner may be at work
    void **top = tmi_load_relaxed(&cache->magazines[cls].top);
    size_t nhome = tmi_load_relaxed(&cache->books[cls].nhome), n = tmi_cache_count_ration(cache, cls);
    return buffer != NULL && top > buffer && top <= buffer + 1 + LIMIT_MAX ? (size_t)(top - (buffer + 1)) + nhome + n
                                                                            : n;
}
