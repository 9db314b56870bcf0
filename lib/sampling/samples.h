/* samples.h - which blocks are looked at, and where each was allocated.
 *
 * Idea: a Poisson process over allocated bytes. Each thread counts down the bytes to its next sample; the distances
 * are exponential, so a block of s bytes is sampled with probability 1 - exp(-s / interval), whatever was allocated
 * before it. A sampled block stands for the inverse of that many blocks, so that sums are unbiased. With an interval
 * of 1 every block is sampled and sums are exact.
 *
 * Small blocks are not counted one by one: each class has a process of its own, of slots (tmi_samples_distance_in),
 * and the thread is given as many of these as come before the next sample, see magazine_ration.c. Processes of equal
 * rates add up to one. A block of s bytes that is hit in a slot of S is kept with the probability p(s) / p(S)
 * (tmi_samples_keep), so that all sizes are sampled as above.
 *
 * A sampled block has an entry (key, size, site) until it is freed; a site is a stack, stored once. A key is an
 * address, or for a handle its index, which no move changes (tmi_samples_key_of_index).
 *
 *   hints    a count for each bucket of pages: how many entries have a key there. A free that finds 0 is done.
 *   entries  open addressing, linear probing; grows by doubling.
 *   sites    open addressing over an array that only grows; frames lie in one array that only grows.
 *
 * I1  hints[b] is the number of entries whose key is of bucket b. It is raised before the block is handed out, so the
 *     thread that frees the block sees it.
 * I2  A site's frames never change once its index is known. site 0 is for what has no room.
 * I3  live <= total, for each amount of each site; live is the sum over the site's entries.
 *
 * Nothing of it costs anything while no samples are taken. Otherwise malloc takes a slow path once a ration, and free
 * where a sampled block begins in the same unit (S7). tm_alloc and tm_free leave their fast paths, count each call, and
 * then use the thread's magazine as always.
 *
 * Lock: one, the innermost rank. Stacks are captured before it is taken. Fails: without memory a sample is dropped and
 * counted. Owner of a tmi_sampler_t: its thread. */
#ifndef TMI_SAMPLING_SAMPLES_H
#define TMI_SAMPLING_SAMPLES_H

#include "base/atomic.h"
#include "os/lock.h"
#include "sampling/trace.h"

typedef struct tmi_sampler {
    int64_t left;    // bytes to the next sample
    uint64_t random; // state; 0: not seeded
    uint32_t quiet;  // > 0: nothing is sampled
} tmi_sampler_t;

/* What was counted (`samples` of `sampled` bytes), and what it stands for: blocks in 1/65536, and bytes. */
typedef struct tmi_amount {
    uint64_t samples, sampled, blocks, bytes;
} tmi_amount_t;

typedef struct tmi_site {
    tmi_amount_t live, total;
    uint64_t hash;
    uint32_t first, depth; // its frames, innermost first
} tmi_site_t;

typedef struct tmi_sample {
    uint64_t key, size; // size as asked for; key 0: free entry
    uint32_t site;
} tmi_sample_t;

/* The tables, all of it under the lock; a tool outside reads it, and again if it has changed meanwhile. */
typedef struct tmi_sample_view {
    uint64_t interval;
    tmi_site_t *sites; // nsites of them, from 1; 0 is for the rest
    uint32_t *slots;   // by hash: a site's index, or 0
    uintptr_t *frames;
    size_t nsites, nframes;
    tmi_sample_t *entries; // `capacity` of them, a power of two, at most half of them used
    size_t nentries, capacity;
    uint64_t dropped, live_bytes, peak_bytes;
    bool peak_due, inherited;
} tmi_sample_view_t;

/* Where it is: for tools. */
const tmi_sample_view_t *tmi_samples_view(void);

enum { TMI_SAMPLES_BLOCK = 1 << 16, TMI_SITES_MAX = 1 << 16, TMI_SAMPLES_BUCKETS = 1 << 16 };

extern uint32_t tmi_sampling; // 1: allocations are sampled
extern uint32_t *tmi_sample_hints;
extern tmi_lock_t tmi_samples_lock; // for fork

/* Make the tables. 0, ENOMEM, or EBUSY: there are samples already, of another interval. */
int tmi_samples_start(uint64_t interval) TMI_COLD;
void tmi_samples_stop(void) TMI_COLD;

/* For tmi_samples_count. */
bool tmi_samples_due(tmi_sampler_t *sampler, size_t size) TMI_NOINLINE;

/* Count a block of `size` bytes that is about to be handed out. True: it is a sample. */
static inline bool tmi_samples_count(tmi_sampler_t *sampler, size_t size)
{
    sampler->left -= (int64_t)size; // at most PTRDIFF_MAX, which is more than there is memory
    return TMI_UNLIKELY(sampler->left <= 0) && tmi_samples_due(sampler, size);
}

/* How many slots of `slot` bytes come before the next sample, that one included; at least 1. */
uint64_t tmi_samples_distance_in(tmi_sampler_t *sampler, size_t slot) TMI_NOINLINE;
/* Whether a block of `size` bytes whose slot has been hit is a sample. */
bool tmi_samples_keep(tmi_sampler_t *sampler, size_t size, size_t slot) TMI_NOINLINE;

/* Enter a sample. `frame`: see tmi_stack_capture. True: there is a new peak, see tmi_samples_new_peak. */
bool tmi_samples_enter(tmi_sampler_t *sampler, uint64_t key, size_t size, void *frame) TMI_NOINLINE;

/* Forget the block if it is sampled, and tell what it was. */
bool tmi_samples_take(uint64_t key, tmi_sample_t *out) TMI_NOINLINE;
/* Undo that. */
void tmi_samples_put_back(const tmi_sample_t *sample);

/* The live block that holds the key, an address, or has it, an index; and where it was allocated. Waits for nothing. */
bool tmi_samples_find(uint64_t key, tmi_sample_t *out, tmi_trace_t *allocated) TMI_COLD;
/* From now on reports of misuse tell what is known of the block. */
void tmi_samples_tell_misuse(void) TMI_COLD;

static inline uint64_t tmi_samples_key_of_index(uint32_t index) { return (uint64_t)1 << 63 | (uint64_t)index << 6; }
static inline bool tmi_samples_is_index(uint64_t key, uint32_t *index)
{
    *index = (uint32_t)(key >> 6);
    return key >> 63 != 0;
}

/* The 4 KiB that hold the key, mixed (Knuth's multiplicative hashing). */
static inline uint32_t tmi_samples_bucket(uint64_t key)
{
    return (uint32_t)((key >> 12) * 0x9e3779b97f4a7c15 >> 48);
}
_Static_assert(TMI_SAMPLES_BUCKETS == 1 << 16, "16 bits of the product are a bucket");

/* False: no block with this key is sampled. */
static inline bool tmi_samples_may_have(uint64_t key)
{
    uint32_t *hints = tmi_load_acquire(&tmi_sample_hints); // pairs: tmi_samples_start
    return TMI_UNLIKELY(hints != NULL) && tmi_load_relaxed(&hints[tmi_samples_bucket(key)]) != 0; // relaxed: I1
}

/* The block with this key is about to be freed. True: it was sampled. */
static inline bool tmi_samples_freed(uint64_t key)
{
    tmi_sample_t gone;
    return tmi_samples_may_have(key) && tmi_samples_take(key, &gone);
}

/* What a sampled block of `size` bytes stands for: blocks in 1/65536, and bytes. */
void tmi_samples_weigh(uint64_t size, uint64_t interval, uint64_t *blocks, uint64_t *bytes);
/* With which probability it is sampled. */
double tmi_samples_chance(uint64_t size, uint64_t interval);
/* Above 0, at most 1. */
double tmi_samples_uniform(uint64_t *random);
/* Bytes to the next sample. */
int64_t tmi_samples_distance(uint64_t *random, uint64_t interval);

/* A copy of the sites, to be read without the lock; and of the entries where wanted. */
typedef struct tmi_snapshot {
    tmi_site_t *sites;
    tmi_sample_t *entries;
    const uintptr_t *frames;
    size_t nsites, nentries, nbytes;
    uint64_t interval, dropped;
    bool inherited; // of a child of fork, which began with its parent's live samples
} tmi_snapshot_t;

/* 0, ENOMEM, or EAGAIN: the lock is held and `wait` is false (for signal handlers). */
int tmi_samples_snapshot(tmi_snapshot_t *out, bool entries, bool wait);
void tmi_samples_release(tmi_snapshot_t *snapshot);

/* True once whenever bytes in use, estimated, have exceeded the last peak by 1/16 and a MiB. */
bool tmi_samples_new_peak(void);

/* In the child. */
void tmi_samples_after_fork(void);
/* Whether this process is a child of one that had samples. */
bool tmi_samples_inherited(void);

#endif
