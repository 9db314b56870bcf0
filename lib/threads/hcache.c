#include "threads/hcache.h"
#include "os/meta.h"
#include "os/os.h"

enum { CAPACITY_MAX = 64, BATCH_FIRST = 4 };
#define MAGAZINE_BYTES ((size_t)64 << 10) // limit in bytes of a class's slots; the mover may claim them

static tm_handle_t no_handles[1];

#define EMPTY {no_handles + 1, no_handles + 1}
tmi_hmagazines_t tmi_hcache_none = {
    .magazine = {[0 ... TMI_MCLASS_COUNT - 1] = EMPTY}} /* the rest is full as zeroes are */;
tmi_hmagazines_t tmi_hcache_watched; // filled at its first use, since relocations would cost every process pages

static uint32_t watching;

void tmi_hcache_watch_all(bool on)
{
    if (on && tmi_hcache_watched.magazine[0].top == NULL)
        for (unsigned c = 0; c < TMI_MCLASS_COUNT; c++)
            tmi_hcache_watched.magazine[c] = (tmi_hmagazine_t)EMPTY;
    tmi_store_release(&watching, on); // after the magazines were filled; pairs: in_use
}

/* As tmi_hcache_begin, for slow paths of the owner. */
static tmi_hmagazines_t *begin(tmi_hcache_t *cache)
{
    tmi_hmagazines_t *ms = tmi_hcache_begin(cache);
    return ms == &tmi_hcache_watched ? cache->own : ms;
}

static tmi_hmagazines_t *in_use(tmi_hmagazines_t *own)
{
    return tmi_load_acquire(&watching) ? &tmi_hcache_watched : own; // pairs: tmi_hcache_watch_all
}

static size_t capacity(unsigned cls)
{
    return tmi_max(tmi_min(MAGAZINE_BYTES / tmi_mclasses[cls].size, CAPACITY_MAX), 1);
}

static size_t buffer_length(unsigned cls) { return capacity(cls) + 1; }

static tm_handle_t *first_room(tmi_hmagazines_t *ms)
{
    return (tm_handle_t *)(void *)((char *)ms + tmi_round_up(sizeof *ms, tmi_os_page_size));
}

/* Allocate the magazines, and address space for all buffers. Most of its pages are never touched. */
bool tmi_hcache_make(tmi_hcache_t *cache)
{
    size_t room = 0;
    for (unsigned c = TMI_MCLASS_FIRST; c <= TMI_MCLASS_LAST; c++)
        room += buffer_length(c);
    tmi_hmagazines_t *ms = tmi_meta_pages(tmi_round_up(sizeof *ms, tmi_os_page_size) + room * sizeof(tm_handle_t));
    if (ms == NULL)
        return false;
    ms->room = first_room(ms);
    for (unsigned c = 0; c < TMI_MCLASS_COUNT; c++)
        ms->magazine[c] = (tmi_hmagazine_t)EMPTY;
    ms->hand = TMI_MCLASS_FIRST;
    // [model: make_current] before `own`, so that it does not overwrite what a claimer stores
    tmi_store_relaxed(&cache->current, in_use(ms));
    // [model: make_own] whole, and with `current`, before others claim it; pairs: claim_set
    tmi_store_release(&cache->own, ms);
    return true;
}

static void set_slot(tm_handle_t h, char *slot)
{
    // relaxed: the word is ours; the program publishes the handle to other threads with its own ordering
    tmi_store_relaxed(tmi_word(tmi_handle_index(h)), (h & TMI_WORD_GENERATION) | tmi_word_at(slot));
    tmi_movable_set_ref(slot, tmi_handle_index(h));
}

/* Reserve up to n handles, each with a slot of the class. Returns the number. */
static size_t take_reserved(unsigned cls, tm_handle_t *out, size_t n)
{
    char *slots[CAPACITY_MAX];
    size_t got = tmi_movable_take(cls, slots, tmi_min(n, CAPACITY_MAX), false), have = tmi_handle_take(out, got);
    if (have < got)
        tmi_movable_return(cls, slots + have, got - have);
    for (size_t i = 0; i < have; i++)
        set_slot(out[i], slots[i]);
    return have;
}

static void return_reserved(unsigned cls, const tm_handle_t *handles, size_t n)
{
    char *slots[CAPACITY_MAX];
    uint32_t indices[CAPACITY_MAX];
    if (n == 0 || n > CAPACITY_MAX)
        return;
    for (size_t i = 0; i < n; i++) {
        indices[i] = tmi_handle_index(handles[i]);
        uint64_t w = tmi_load_relaxed(tmi_word(indices[i]));
        slots[i] = tmi_word_address(w);
        tmi_store_relaxed(tmi_word(indices[i]), w & TMI_WORD_GENERATION);
    }
    tmi_movable_return(cls, slots, n);
    tmi_handle_return(indices, n);
}

static void set_top(tmi_hmagazines_t *ms, unsigned cls, tm_handle_t *top)
{
    tmi_store_relaxed(&ms->magazine[cls].top, top);
}

static void make_buffer(tmi_hmagazines_t *ms, unsigned cls)
{
    tm_handle_t *buffer = ms->room;
    if (ms->buffers[cls] != NULL)
        return;
    ms->room += buffer_length(cls);
    set_top(ms, cls, buffer + 1);
    ms->magazine[cls].limit = buffer + 1 + capacity(cls);
    ms->batch[cls] = (uint8_t)tmi_min(BATCH_FIRST, capacity(cls));
    tmi_store_relaxed(&ms->buffers[cls], buffer); // statistics read it
}

static size_t flush_some(tmi_hmagazines_t *ms, unsigned cls, size_t n)
{
    if (n == 0)
        return 0;
    tm_handle_t *bottom = ms->buffers[cls] + 1, *top = ms->magazine[cls].top;
    return_reserved(cls, bottom, n);
    for (tm_handle_t *p = bottom; p + n < top; p++)
        *p = p[n];
    set_top(ms, cls, top - n);
    return n;
}

static size_t held(const tmi_hmagazines_t *ms, unsigned cls)
{
    return ms->buffers[cls] == NULL ? 0 : (size_t)(ms->magazine[cls].top - (ms->buffers[cls] + 1));
}

/* Record that the class is refilled or flushed, and advance `hand` (N4). A class is idle if it was neither refilled nor
 * flushed in a whole round. */
static void turn_hand(tmi_hmagazines_t *ms, unsigned cls)
{
    unsigned idle = ms->hand;
    ms->active[cls] = true;
    ms->hand = (uint8_t)(idle == TMI_MCLASS_LAST ? TMI_MCLASS_FIRST : idle + 1);
    if (!ms->active[idle] && flush_some(ms, idle, held(ms, idle)) > 0)
        ms->batch[idle] = (uint8_t)tmi_min(BATCH_FIRST, capacity(idle));
    ms->active[idle] = false;
}

/* Refill at most half a magazine. The handles of the lowest slots will be popped first. Returns one of them to the
 * caller. */
static tm_handle_t refill(tmi_hmagazines_t *ms, unsigned cls)
{
    tm_handle_t taken[CAPACITY_MAX], *buffer;
    make_buffer(ms, cls);
    turn_hand(ms, cls);
    size_t n = take_reserved(cls, taken, ms->batch[cls]);
    if (n == 0)
        return TM_NULL;
    buffer = ms->buffers[cls] + 1;
    for (size_t i = 1; i < n; i++)
        buffer[n - 1 - i] = taken[i];
    set_top(ms, cls, buffer + n - 1);
    ms->batch[cls] = (uint8_t)tmi_min(ms->batch[cls] * 2, tmi_max(capacity(cls) / 2, 1));
    return taken[0];
}

static tm_handle_t alloc_from(tmi_hmagazines_t *ms, unsigned cls)
{
    tmi_hmagazine_t *m = &ms->magazine[cls];
    tm_handle_t h = m->top[-1];
    if (h == TM_NULL)
        return refill(ms, cls);
    set_top(ms, cls, m->top - 1);
    return h;
}

tm_handle_t tmi_hcache_alloc(tmi_hcache_t *cache, unsigned cls)
{
    tm_handle_t h = TM_NULL;
    if (cache == NULL)
        return take_reserved(cls, &h, 1) == 1 ? h : TM_NULL;
    tmi_hmagazines_t *ms = begin(cache);
    if (ms != &tmi_hcache_none)
        h = alloc_from(ms, cls);
    else if (take_reserved(cls, &h, 1) == 0)
        h = TM_NULL;
    tmi_hcache_end(cache);
    return h;
}

/* Take a handle whose slot begins in the same `grain` bytes (a power of two) as `at`. The top handle fills its
 * place. */
static tm_handle_t pop_near(tmi_hmagazines_t *ms, unsigned cls, const char *at, size_t grain)
{
    tmi_hmagazine_t *m = &ms->magazine[cls];
    for (size_t i = held(ms, cls); i-- > 0;) {
        tm_handle_t *p = &ms->buffers[cls][i + 1], h = *p;
        const char *slot = tmi_word_address(tmi_load_relaxed(tmi_word(tmi_handle_index(h)))); // reserved: ours, N2
        if (((uintptr_t)slot ^ (uintptr_t)at) >= grain)
            continue;
        *p = m->top[-1];
        set_top(ms, cls, m->top - 1);
        return h;
    }
    return TM_NULL;
}

static tm_handle_t from_slab_of(unsigned cls, const char *at)
{
    tm_handle_t h;
    char *slot = tmi_movable_take_near(cls, at);
    if (slot == NULL)
        return TM_NULL;
    if (tmi_handle_take(&h, 1) == 0) {
        tmi_movable_return(cls, &slot, 1);
        return TM_NULL;
    }
    set_slot(h, slot);
    return h;
}

tm_handle_t tmi_hcache_alloc_near(tmi_hcache_t *cache, unsigned cls, const char *at)
{
    if (cache == NULL)
        return from_slab_of(cls, at);
    tmi_hmagazines_t *ms = begin(cache);
    bool own = ms != &tmi_hcache_none;
    tm_handle_t h = own ? pop_near(ms, cls, at, tmi_os_page_size) : TM_NULL;
    if (h == TM_NULL)
        h = from_slab_of(cls, at);
    if (h == TM_NULL && own) // any slot in the same unit: of a larger slab that is only a part
        h = pop_near(ms, cls, at, TMI_UNIT_SIZE);
    tmi_hcache_end(cache);
    return h;
}

static void free_to(tmi_hmagazines_t *ms, unsigned cls, tm_handle_t h)
{
    tmi_hmagazine_t *m = &ms->magazine[cls];
    make_buffer(ms, cls);
    if (m->top == m->limit) {
        (void)flush_some(ms, cls, (capacity(cls) + 1) / 2);
        turn_hand(ms, cls);
    }
    *m->top = h;
    set_top(ms, cls, m->top + 1);
}

void tmi_hcache_free(tmi_hcache_t *cache, unsigned cls, tm_handle_t h)
{
    if (cache == NULL) {
        return_reserved(cls, &h, 1);
        return;
    }
    tmi_hmagazines_t *ms = begin(cache);
    if (ms != &tmi_hcache_none)
        free_to(ms, cls, h);
    else
        return_reserved(cls, &h, 1);
    tmi_hcache_end(cache);
}

tm_handle_t tmi_hcache_pop_watched(tmi_hcache_t *cache, unsigned cls)
{
    tm_handle_t h = TM_NULL;
    if (tmi_hcache_begin(cache) == &tmi_hcache_watched) {
        tmi_hmagazine_t *m = &cache->own->magazine[cls];
        h = m->top[-1];
        if (h != TM_NULL)
            set_top(cache->own, cls, m->top - 1);
    }
    tmi_hcache_end(cache);
    return h;
}

bool tmi_hcache_push_watched(tmi_hcache_t *cache, size_t code, tm_handle_t h)
{
    bool done = false;
    if (tmi_hcache_begin(cache) == &tmi_hcache_watched) {
        tmi_hmagazine_t *m = &cache->own->magazine[code];
        done = m->top < m->limit;
        if (done) {
            *m->top = h;
            tmi_store_relaxed(&m->top, m->top + 1); // other threads' statistics read it
        }
    }
    tmi_hcache_end(cache);
    return done;
}

static size_t flush_all(tmi_hmagazines_t *ms)
{
    size_t n = 0;
    for (unsigned c = TMI_MCLASS_FIRST; c <= TMI_MCLASS_LAST; c++)
        n += flush_some(ms, c, held(ms, c));
    return n;
}

size_t tmi_hcache_flush(tmi_hcache_t *cache)
{
    tmi_hmagazines_t *ms = begin(cache);
    size_t n = flush_all(ms); // 0 for the empty magazines of a claimed cache
    tmi_hcache_end(cache);
    return n;
}

void tmi_hcache_claim(tmi_hcache_t *cache)
{
    if (tmi_load_acquire(&cache->own) != NULL) // pairs: make_own
        // [model: claim_set] relaxed: the fence that follows orders it
        tmi_store_relaxed(&cache->current, &tmi_hcache_none);
}

size_t tmi_hcache_flush_claimed(tmi_hcache_t *cache)
{
    if (tmi_load_relaxed(&cache->own) == NULL || tmi_load_relaxed(&cache->current) != &tmi_hcache_none)
        return 0;
    if (tmi_load_acquire(&cache->busy)) // [model: claim_look] pairs: claim_end
        return 0;
    size_t n = flush_all(cache->own);
    tm_handle_t *room = first_room(cache->own);
    tmi_meta_purge(room, (size_t)(cache->own->room - room) * sizeof *room); // the zero at each bottom is among zeroes
    return n;
}

void tmi_hcache_unclaim(tmi_hcache_t *cache)
{
    tmi_hmagazines_t *own = tmi_load_acquire(&cache->own);
    if (own != NULL)
        // [model: claim_undo] the magazines before; pairs: claim_current
        tmi_store_release(&cache->current, in_use(own));
}

size_t tmi_hcache_count(const tmi_hcache_t *cache, unsigned cls)
{
    const tmi_hmagazines_t *ms = tmi_load_acquire(&cache->own);
    if (ms == NULL)
        return 0;
    tm_handle_t *buffer = tmi_load_relaxed(&ms->buffers[cls]), *top = tmi_load_relaxed(&ms->magazine[cls].top);
    return buffer != NULL && top > buffer && top <= buffer + 1 + CAPACITY_MAX ? (size_t)(top - (buffer + 1)) : 0;
}
