#include "sampling/samples.h"
#include "base/probe.h"
#include "os/os.h"
#include "sampling/history.h"
#include "sampling/stack.h"

#include <errno.h>
#include <string.h>

enum { FRAMES_MAX = 1 << 21, SLOTS = TMI_SITES_MAX * 2, ENTRIES_FIRST = 1 << 10 };

uint32_t tmi_sampling;
uint32_t *tmi_sample_hints;
tmi_lock_t tmi_samples_lock = TMI_LOCK_OF(TMI_RANK_SAMPLES);

static tmi_sample_view_t all;

const tmi_sample_view_t *tmi_samples_view(void) { return &all; }

static size_t entries_bytes(size_t capacity) { return tmi_round_up(capacity * sizeof(tmi_sample_t), TMI_UNIT_SIZE); }

/* All tables of fixed capacity share one mapping. Only the parts in use become resident. */
static int make_tables(void)
{
    void *p, *q;
    size_t hints = TMI_SAMPLES_BUCKETS * sizeof(uint32_t), sites = TMI_SITES_MAX * sizeof(tmi_site_t);
    size_t slots = SLOTS * sizeof(uint32_t), frames = FRAMES_MAX * sizeof(uintptr_t);
    if (tmi_os_map_records(tmi_round_up(hints + sites + slots + frames, TMI_UNIT_SIZE), &p) != 0)
        return ENOMEM;
    if (tmi_os_map_records(entries_bytes(ENTRIES_FIRST), &q) != 0) {
        (void)tmi_os_unmap(p, tmi_round_up(hints + sites + slots + frames, TMI_UNIT_SIZE));
        return ENOMEM;
    }
    char *at = p;
    all.sites = (tmi_site_t *)(void *)(at + hints);
    all.frames = (uintptr_t *)(void *)(at + hints + sites);
    all.slots = (uint32_t *)(void *)(at + hints + sites + frames);
    all.entries = q;
    all.capacity = ENTRIES_FIRST;
    all.nsites = 1;
    tmi_store_release(&tmi_sample_hints, (uint32_t *)p); // pairs: tmi_samples_freed
    return 0;
}

int tmi_samples_start(uint64_t interval)
{
    int err = 0;
    interval = interval == 0 ? 1 : interval;
    tmi_lock(&tmi_samples_lock);
    if (all.sites == NULL)
        err = make_tables();
    else if (interval != all.interval && all.sites[0].total.samples + all.nsites > 1)
        err = EBUSY;
    if (err == 0) {
        all.interval = interval;
        tmi_samples_describe_misuse();
        tmi_store_release(&tmi_sampling, 1); // after the tables; pairs: readers that ask whether to sample
    }
    tmi_unlock(&tmi_samples_lock);
    return err;
}

void tmi_samples_stop(void) { tmi_store_relaxed(&tmi_sampling, 0); } // relaxed: some more samples do no harm

/* ---- sites ----------------------------------------------------------------------------------------------------- */

/* FNV-1a by words, with a final mix. */
static uint64_t hash_of(const uintptr_t *frames, size_t depth)
{
    uint64_t h = 0xcbf29ce484222325;
    for (size_t i = 0; i < depth; i++)
        h = (h ^ frames[i]) * 0x100000001b3, h ^= h >> 29;
    return h * 0x9e3779b97f4a7c15;
}

static uint32_t add_site(uint32_t *slot, uint64_t hash, const uintptr_t *frames, size_t depth)
{
    if (all.nsites == TMI_SITES_MAX || all.nframes + depth > FRAMES_MAX)
        return 0;
    tmi_site_t *s = &all.sites[all.nsites];
    memcpy(all.frames + all.nframes, frames, depth * sizeof *frames);
    s->hash = hash;
    s->first = (uint32_t)all.nframes;
    s->depth = (uint32_t)depth;
    all.nframes += depth;
    *slot = (uint32_t)all.nsites++;
    return *slot;
}

static uint32_t find_site(const uintptr_t *frames, size_t depth)
{
    uint64_t hash = hash_of(frames, depth);
    for (size_t i = hash >> 47;; i++) {
        uint32_t *slot = &all.slots[i % SLOTS];
        const tmi_site_t *s = &all.sites[*slot];
        if (*slot == 0)
            return add_site(slot, hash, frames, depth);
        if (s->hash == hash && s->depth == depth && memcmp(all.frames + s->first, frames, depth * sizeof *frames) == 0)
            return *slot;
    }
}
_Static_assert(SLOTS == 1 << 17, "17 bits of a hash are its first slot");

/* ---- entries --------------------------------------------------------------------------------------------------- */

static size_t home_of(uint64_t key, size_t capacity)
{
    return (size_t)(key * 0x9e3779b97f4a7c15 >> 20) & (capacity - 1);
}

/* The entry with that key, or the free one where it belongs. */
static tmi_sample_t *find_entry(tmi_sample_t *entries, size_t capacity, uint64_t key)
{
    size_t i = home_of(key, capacity);
    while (entries[i].key != 0 && entries[i].key != key)
        i = (i + 1) & (capacity - 1);
    return &entries[i];
}

static bool reserve_entry(void)
{
    void *p;
    size_t doubled = all.capacity * 2;
    if (all.nentries < all.capacity / 2)
        return true;
    if (tmi_os_map_records(entries_bytes(doubled), &p) != 0)
        return all.nentries < all.capacity - 1;
    for (size_t i = 0; i < all.capacity; i++)
        if (all.entries[i].key != 0)
            *find_entry(p, doubled, all.entries[i].key) = all.entries[i];
    (void)tmi_os_unmap(all.entries, entries_bytes(all.capacity));
    all.entries = p;
    all.capacity = doubled;
    return true;
}

/* Close the gap: later entries of the probe sequence move into it, if their home slots allow (Knuth 6.4, algorithm R).
 */
static void remove_entry(tmi_sample_t *e)
{
    size_t mask = all.capacity - 1, gap = (size_t)(e - all.entries), i = gap;
    for (;;) {
        i = (i + 1) & mask;
        if (all.entries[i].key == 0)
            break;
        size_t home = home_of(all.entries[i].key, all.capacity);
        if (((i - home) & mask) >= ((i - gap) & mask)) {
            all.entries[gap] = all.entries[i];
            gap = i;
        }
    }
    all.entries[gap] = (tmi_sample_t){0, 0, 0};
    all.nentries--;
}

static void add(tmi_amount_t *a, uint64_t size, uint64_t blocks, uint64_t bytes, uint64_t sign)
{
    a->samples += sign;
    a->sampled += sign * size; // modulo 2^64
    a->blocks += sign * blocks;
    a->bytes += sign * bytes;
}

/* Relaxed: the thread that frees the block got it after this (I1). */
static void count_hint(uint64_t key, uint32_t n)
{
    (void)tmi_add_relaxed(&tmi_sample_hints[tmi_samples_bucket(key)], n);
}

static void forget(tmi_sample_t *e)
{
    uint64_t blocks, bytes;
    tmi_samples_weigh(e->size, all.interval, &blocks, &bytes);
    add(&all.sites[e->site].live, e->size, blocks, bytes, (uint64_t)-1);
    all.live_bytes -= bytes;
    count_hint(e->key, (uint32_t)-1);
    remove_entry(e);
}

static void note_peak(void)
{
    if (all.live_bytes <= all.peak_bytes + all.peak_bytes / 16 + TMI_MIB)
        return;
    all.peak_bytes = all.live_bytes;
    all.peak_due = true;
}

/* Add a sample to the tables, under the lock. `total`: the block is new, so it counts in the site's total, too. */
static void enter(const tmi_sample_t *sample, bool total)
{
    uint64_t blocks, bytes;
    tmi_site_t *site = &all.sites[sample->site];
    tmi_samples_weigh(sample->size, all.interval, &blocks, &bytes);
    if (total)
        add(&site->total, sample->size, blocks, bytes, 1);
    tmi_sample_t *e = find_entry(all.entries, all.capacity, sample->key);
    if (e->key != 0) { // the former block here was freed unnoticed, while the profile was being started
        forget(e);
        e = find_entry(all.entries, all.capacity, sample->key);
    }
    *e = *sample;
    all.nentries++;
    add(&site->live, sample->size, blocks, bytes, 1);
    all.live_bytes += bytes;
    count_hint(sample->key, 1);
    note_peak();
}

static TMI_NOINLINE bool record(uint64_t key, size_t size, const uintptr_t *frames, size_t depth)
{
    tmi_lock(&tmi_samples_lock);
    if (reserve_entry()) {
        tmi_sample_t sample = {key, size, find_site(frames, depth)};
        enter(&sample, true);
    } else {
        all.dropped++;
    }
    bool peak = all.peak_due;
    tmi_unlock(&tmi_samples_lock);
    return peak;
}

static void tell_tracers(uint64_t key, size_t size)
{
    uint64_t blocks, bytes = 0;
    if (TMI_PROBE_ON(alloc))
        tmi_samples_weigh(size, tmi_load_relaxed(&all.interval), &blocks, &bytes); // relaxed: it does not change
    TMI_PROBE3(otel_memory, alloc, key, size, bytes);
}

bool tmi_samples_enter(tmi_sampler_t *sampler, uint64_t key, size_t size, void *frame)
{
    uintptr_t frames[TMI_STACK_MAX];
    int before = errno;
    sampler->quiet++;
    size_t depth = tmi_stack_capture(frame, frames);
    sampler->quiet--;
    bool peak = record(key, size, frames, depth);
    tell_tracers(key, size);
    errno = before;
    return peak;
}

/* Relaxed: set before tmi_sampling, which the caller has read. */
static uint64_t interval_now(void) { return tmi_load_relaxed(&all.interval); }

bool tmi_samples_due(tmi_sampler_t *sampler, size_t size)
{
    if (sampler->random == 0) {
        sampler->left = tmi_samples_distance(&sampler->random, interval_now()) - (int64_t)size;
        if (sampler->left > 0)
            return false;
    }
    sampler->left = tmi_samples_distance(&sampler->random, interval_now());
    return sampler->quiet == 0;
}

uint64_t tmi_samples_distance_in(tmi_sampler_t *sampler, size_t slot)
{
    uint64_t bytes = (uint64_t)tmi_samples_distance(&sampler->random, interval_now());
    return bytes <= slot ? 1 : (bytes + slot - 1) / slot;
}

bool tmi_samples_keep(tmi_sampler_t *sampler, size_t size, size_t slot)
{
    uint64_t interval = interval_now();
    if (sampler->quiet > 0)
        return false;
    double chance = tmi_samples_chance(size, interval) / tmi_samples_chance(slot, interval);
    return tmi_samples_uniform(&sampler->random) <= chance;
}

bool tmi_samples_take(uint64_t key, tmi_sample_t *out)
{
    bool found = false;
    if (!tmi_samples_may_have(key))
        return false;
    tmi_lock(&tmi_samples_lock);
    tmi_sample_t *e = find_entry(all.entries, all.capacity, key);
    if (e->key == key) {
        *out = *e;
        forget(e);
        found = true;
    }
    tmi_unlock(&tmi_samples_lock);
    if (found)
        TMI_PROBE2(otel_memory, free, key, out->size);
    if (found) // frames may be read without the lock: they never change (I2)
        tmi_history_note(key, out->size, all.frames + all.sites[out->site].first, all.sites[out->site].depth);
    return found;
}

void tmi_samples_put_back(const tmi_sample_t *sample)
{
    tmi_lock(&tmi_samples_lock);
    if (reserve_entry())
        enter(sample, false);
    tmi_unlock(&tmi_samples_lock);
}

bool tmi_samples_find(uint64_t key, tmi_sample_t *out, tmi_trace_t *allocated)
{
    const tmi_sample_t *found = NULL;
    if (!tmi_trylock_untraced(&tmi_samples_lock))
        return false;
    for (const tmi_sample_t *e = all.entries; e < all.entries + all.capacity && found == NULL; e++)
        if (e->key != 0 && (e->key == key || (e->key >> 63 == 0 && key - e->key < e->size)))
            found = e;
    if (found != NULL) {
        const tmi_site_t *s = &all.sites[found->site];
        *out = *found;
        allocated->thread = 0;
        allocated->depth = s->depth;
        memcpy(allocated->frames, all.frames + s->first, s->depth * sizeof(uintptr_t));
    }
    tmi_unlock_untraced(&tmi_samples_lock);
    return found != NULL;
}

/* ---- for reports ----------------------------------------------------------------------------------------------- */

static int copy(tmi_snapshot_t *out, bool entries)
{
    void *p;
    size_t sites = all.nsites * sizeof(tmi_site_t), more = entries ? all.nentries * sizeof(tmi_sample_t) : 0;
    out->nbytes = tmi_round_up(sites + more + 1, TMI_UNIT_SIZE);
    if (all.sites == NULL || tmi_os_map_records(out->nbytes, &p) != 0)
        return ENOMEM;
    out->sites = p;
    out->nsites = all.nsites;
    memcpy(p, all.sites, sites);
    out->entries = (tmi_sample_t *)(void *)((char *)p + sites);
    out->nentries = 0;
    for (size_t i = 0; entries && i < all.capacity; i++)
        if (all.entries[i].key != 0)
            out->entries[out->nentries++] = all.entries[i];
    out->frames = all.frames;
    out->interval = all.interval;
    out->dropped = all.dropped;
    out->inherited = all.inherited;
    return 0;
}

int tmi_samples_snapshot(tmi_snapshot_t *out, bool entries, bool wait)
{
    if (wait)
        tmi_lock(&tmi_samples_lock);
    else if (!tmi_trylock_untraced(&tmi_samples_lock))
        return EAGAIN;
    int err = copy(out, entries);
    if (wait)
        tmi_unlock(&tmi_samples_lock);
    else
        tmi_unlock_untraced(&tmi_samples_lock);
    return err;
}

void tmi_samples_release(tmi_snapshot_t *snapshot) { (void)tmi_os_unmap(snapshot->sites, snapshot->nbytes); }

bool tmi_samples_new_peak(void)
{
    tmi_lock(&tmi_samples_lock);
    bool due = all.peak_due;
    all.peak_due = false;
    tmi_unlock(&tmi_samples_lock);
    return due;
}

/* The child has its parent's live blocks, and has allocated none of its own yet. */
void tmi_samples_after_fork(void)
{
    all.inherited = all.sites != NULL;
    for (size_t i = 0; i < all.nsites; i++)
        all.sites[i].total = all.sites[i].live;
}

/* No lock is needed: `inherited` changes only while a child of fork has one thread. */
bool tmi_samples_inherited(void) { return all.inherited; }
