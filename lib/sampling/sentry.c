#include "sampling/sentry.h"
#include "os/counters.h"
#include "os/os.h"

#include <errno.h>
#include <string.h>

enum { CANARY = 0xc5, SLOTS_MIN = 16 };

tmi_sentry_t tmi_sentry;
tmi_lock_t tmi_sentry_lock = TMI_LOCK_OF(TMI_RANK_SENTRY);

/* The lock guards all of these. The two counts are also read without it, as hints. */
static uint16_t unused[TMI_SENTRY_SLOTS];  // slot numbers; the first nunused are valid
static uint16_t waiting[TMI_SENTRY_SLOTS]; // a ring of nwaiting slot numbers; the oldest is at `first`
static uint32_t nunused, nwaiting, first;
static uint64_t random_state;
_Static_assert(TMI_SENTRY_SLOTS <= 1 << 16, "numbers of slots have 16 bits");

/* xorshift64* (Vigna 2016); the upper bits. Under the lock. */
static uint32_t random_below(uint32_t n)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (uint32_t)((random_state * 0x2545f4914f6cdd1d >> 32) * n >> 32);
}

/* Reserve the region: *nslots slots, or fewer if the address space is limited. Sets *nslots. */
static int reserve(uint32_t *nslots)
{
    void *region, *records;
    size_t page = tmi_os_page_size, stride = TMI_SENTRY_MAX + page;
    for (; *nslots >= SLOTS_MIN; *nslots /= 2) {
        size_t nrecords = tmi_round_up(*nslots * sizeof(tmi_sentry_slot_t), page);
        if (tmi_os_map_closed(page + *nslots * stride, &region) != 0)
            continue;
        if (tmi_os_map_records(nrecords, &records) == 0) {
            tmi_sentry.slots = records;
            tmi_sentry.start = (uintptr_t)region + page;
            tmi_sentry.stride = stride;
            tmi_sentry.nslots = *nslots;
            return 0;
        }
        (void)tmi_os_unmap(region, page + *nslots * stride);
    }
    return ENOMEM;
}

int tmi_sentry_start(uint32_t interval)
{
    uint32_t nslots = TMI_SENTRY_SLOTS;
    if (tmi_sentry_on())
        return 0;
    int err = reserve(&nslots);
    if (err != 0)
        return err;
    for (uint32_t i = 0; i < nslots; i++)
        unused[i] = (uint16_t)i;
    nunused = nslots;
    random_state = (tmi_os_now_ns() ^ (uint64_t)tmi_os_getpid() << 40 ^ tmi_sentry.start) | 1;
    tmi_sentry.interval = interval;
    tmi_stack_init();
    tmi_store_release(&tmi_sentry.nbytes, nslots * tmi_sentry.stride); // Y3; pairs: readers of the region
    return 0;
}

static uintptr_t start_of(const tmi_sentry_slot_t *s)
{
    return tmi_sentry.start + (uintptr_t)(s - tmi_sentry.slots) * tmi_sentry.stride;
}

/* ---- slots ------------------------------------------------------------------------------------------------------- */

/* A random slot of the older half of the waiting ones. NULL if at most a quarter of all slots wait (Y2). */
static tmi_sentry_slot_t *take_waiting(void)
{
    if (nwaiting <= tmi_sentry.nslots / 4)
        return NULL;
    uint32_t i = (first + random_below((nwaiting + 1) / 2)) % TMI_SENTRY_SLOTS;
    uint16_t slot = waiting[i];
    waiting[i] = waiting[first];
    first = (first + 1) % TMI_SENTRY_SLOTS;
    tmi_own_add(&nwaiting, (uint32_t)-1);
    return &tmi_sentry.slots[slot];
}

/* Under the lock. */
static tmi_sentry_slot_t *take_slot(void)
{
    if (nunused == 0)
        return take_waiting();
    uint32_t i = random_below(nunused);
    uint16_t slot = unused[i];
    tmi_own_add(&nunused, (uint32_t)-1);
    unused[i] = unused[nunused];
    return &tmi_sentry.slots[slot];
}

static void give_slot(tmi_sentry_slot_t *s)
{
    tmi_lock(&tmi_sentry_lock);
    waiting[(first + nwaiting) % TMI_SENTRY_SLOTS] = (uint16_t)(s - tmi_sentry.slots);
    tmi_own_add(&nwaiting, 1);
    tmi_unlock(&tmi_sentry_lock);
}

tmi_sentry_slot_t *tmi_sentry_nearest(uintptr_t address)
{
    size_t at = (address - tmi_sentry.start) / tmi_sentry.stride;
    tmi_sentry_slot_t *s = &tmi_sentry.slots[at], *next = s + 1;
    bool in_guard = address - start_of(s) >= TMI_SENTRY_MAX;
    if (!in_guard || at + 1 == tmi_sentry.nslots || next->state == TMI_SENTRY_UNUSED)
        return s;
    if (s->state == TMI_SENTRY_UNUSED)
        return next;
    uintptr_t past = address - (uintptr_t)s->block - s->size, before = (uintptr_t)next->block - address;
    return past <= before ? s : next;
}

/* ---- blocks ------------------------------------------------------------------------------------------------------ */

/* Choose the block's place in its slot. Alignment is at least 16 bytes, or 8 for a block of at most 8 bytes, as malloc
 * guarantees. */
static void place(tmi_sentry_slot_t *s, size_t size, size_t align, bool at_end)
{
    size_t page = tmi_os_page_size;
    uintptr_t start = start_of(s), end = start + TMI_SENTRY_MAX;
    align = tmi_max(align, size > 8 ? 16 : 8);
    s->size = (uint32_t)size;
    s->npages = tmi_round_up(tmi_max(size, 1), page);
    s->pages = (char *)(at_end ? end - s->npages : start);
    s->block = at_end ? (char *)((end - tmi_max(size, 1)) & ~(align - 1)) : s->pages;
}

static void fill_canaries(const tmi_sentry_slot_t *s)
{
    char *end = s->block + s->size;
    memset(s->pages, CANARY, (size_t)(s->block - s->pages));
    memset(end, CANARY, (size_t)(s->pages + s->npages - end));
}

/* Scans outwards from the block, first behind it, then before it. */
const char *tmi_sentry_spoilt(const tmi_sentry_slot_t *s)
{
    for (const char *c = s->block + s->size; c < s->pages + s->npages; c++)
        if (*c != (char)CANARY)
            return c;
    for (const char *c = s->block; c-- > s->pages;)
        if (*c != (char)CANARY)
            return c;
    return NULL;
}

/* Whether a slot may be free and fit the block, so that capturing the stack is worth its cost. Relaxed: only a hint;
 * begin asks again under the lock. */
static bool may_guard(size_t size, size_t align)
{
    bool room = tmi_load_relaxed(&nunused) > 0 || tmi_load_relaxed(&nwaiting) > tmi_sentry.nslots / 4;
    return room && size <= TMI_SENTRY_MAX && align <= tmi_os_page_size;
}

static tmi_sentry_slot_t *begin(uint32_t *left, size_t size, size_t align)
{
    tmi_sentry_slot_t *s = NULL;
    tmi_lock(&tmi_sentry_lock);
    if (may_guard(size, align))
        s = take_slot();
    if (s != NULL)
        place(s, size, align, random_below(2) == 0);
    *left = 1 + (tmi_sentry.interval > 1 ? random_below(2 * tmi_sentry.interval - 1) : 0); // `interval` on average
    tmi_unlock(&tmi_sentry_lock);
    return s;
}

void *tmi_sentry_alloc(uint32_t *left, size_t size, size_t align, void *frame)
{
    tmi_trace_t here;
    *left = UINT32_MAX; // capturing a stack may allocate
    tmi_sentry_catch_faults();
    if (may_guard(size, align))
        tmi_trace_capture(&here, frame);
    else
        here.thread = here.depth = 0;
    tmi_sentry_slot_t *s = begin(left, size, align);
    if (s == NULL || tmi_os_open_up(s->pages, s->npages) != 0) {
        tmi_count(guard_missed, 1);
        if (s != NULL)
            give_slot(s);
        return NULL;
    }
    fill_canaries(s);
    s->allocated = here;
    s->freed.depth = 0;
    tmi_store_release(&s->state, TMI_SENTRY_LIVE); // the rest before it; pairs: end
    tmi_count(guarded_total, 1);
    tmi_count(guarded_count, 1);
    tmi_count(guarded_bytes, s->npages);
    return s->block;
}

/* Change the state of live block p to freed. Returns its slot, or NULL if p is no live block. */
static tmi_sentry_slot_t *end(const void *p, const tmi_trace_t *here)
{
    uint32_t live = TMI_SENTRY_LIVE;
    tmi_sentry_slot_t *s = &tmi_sentry.slots[((uintptr_t)p - tmi_sentry.start) / tmi_sentry.stride];
    if (tmi_load_acquire(&s->state) != TMI_SENTRY_LIVE || s->block != p) // pairs: tmi_sentry_alloc
        return NULL;
    if (!tmi_cas_acquire(&s->state, &live, TMI_SENTRY_FREED)) // of two concurrent frees only one succeeds
        return NULL;
    s->freed = *here;
    return s;
}

size_t tmi_sentry_free(void *p, const char *function, void *frame)
{
    tmi_trace_t here;
    tmi_trace_capture(&here, frame);
    tmi_sentry_slot_t *s = end(p, &here);
    if (s == NULL)
        tmi_sentry_fatal(function, p, &here);
    const char *spoilt = tmi_sentry_spoilt(s);
    if (spoilt != NULL)
        tmi_sentry_fatal_write(function, s, spoilt, &here);
    size_t size = s->size;
    tmi_discount(guarded_count, 1);
    tmi_discount(guarded_bytes, s->npages);
    tmi_os_close_off(s->pages, s->npages);
    give_slot(s);
    return size;
}

size_t tmi_sentry_usable(const void *p, const char *function, void *frame)
{
    const tmi_sentry_slot_t *s = &tmi_sentry.slots[((uintptr_t)p - tmi_sentry.start) / tmi_sentry.stride];
    if (tmi_load_acquire(&s->state) == TMI_SENTRY_LIVE && s->block == p) // pairs: tmi_sentry_alloc
        return s->size;
    tmi_trace_t here;
    tmi_trace_capture(&here, frame);
    tmi_sentry_fatal(function, p, &here);
}
