/* samples.h - which blocks are sampled, and where each of them was allocated.
 *
 * Idea: a Poisson process over allocated bytes. Each thread counts down the bytes to its next sample; the distances
 * are exponential, so a block of s bytes is sampled with probability 1 - exp(-s / interval), whatever was allocated
 * before it. A sampled block stands for the inverse of that many blocks, so that sums are unbiased. With an interval
 * of 1 every block is sampled and sums are exact.
 *
 * Small blocks are not counted one by one. Each class has its own Poisson process, which counts slots
 * (tmi_samples_distance_in). A thread receives the slots that precede the next sample as one ration
 * (magazine_ration.c). The sum of such processes is again a Poisson process. If a slot of S bytes is hit, a block of s
 * bytes in it is sampled with probability p(s) / p(S) (tmi_samples_keep), so each block is sampled with the
 * probability p(s) given above.
 *
 * A sampled block has an entry (key, size, site) until it is freed. A site is a stack, stored once. The key of a block
 * is its address; the key of an object with a handle is the handle's index, which does not change when the object moves
 * (tmi_samples_key_of_index).
 *
 *   hints    for each bucket of pages, the number of entries whose key is in it. Where it is 0, a free does no look-up.
 *   entries  hash table with open addressing and linear probing; grows by doubling.
 *   sites    hash table with open addressing. It refers to an array of sites and one of frames; both only grow.
 *
 * I1  hints[b] is the number of entries whose key is in bucket b. It is incremented before malloc returns the block, so
 *     the thread that frees the block sees the increment.
 * I2  A site's frames never change once its index is known. Site 0 counts samples for which no site could be made.
 * I3  live <= total, for each amount of each site; live is the sum over the site's entries.
 *
 * Cost: none while sampling is off. While it is on, malloc takes its slow path once a ration, and free takes it if a
 * sampled block begins in the same unit (S7); tm_alloc and tm_free take it at each call.
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

/* What was sampled (`samples` blocks of `sampled` bytes together), and the estimate made from it: blocks, in units of
 * 1/65536, and bytes. */
typedef struct tmi_amount {
    uint64_t samples, sampled, blocks, bytes;
} tmi_amount_t;

typedef struct tmi_site {
    tmi_amount_t live, total;
    uint64_t hash;
    uint32_t first, depth; // its frames are frames[first] to frames[first + depth - 1], innermost first
} tmi_site_t;

typedef struct tmi_sample {
    uint64_t key, size; // size: as requested. Key 0: the entry is free
    uint32_t site;
} tmi_sample_t;

/* The tables. The lock guards all fields. A tool in another process reads them without it, and reads again if they
 * changed meanwhile. */
typedef struct tmi_sample_view {
    uint64_t interval;
    tmi_site_t *sites; // nsites of them, site 0 (I2) included
    uint32_t *slots;   // the hash table: a site's index, or 0 for a free slot
    uintptr_t *frames;
    size_t nsites, nframes;
    tmi_sample_t *entries; // `capacity` of them, a power of two, at most half of them used
    size_t nentries, capacity;
    uint64_t dropped, live_bytes, peak_bytes;
    bool peak_due, inherited;
} tmi_sample_view_t;

/* The address of the tables, for tools. */
const tmi_sample_view_t *tmi_samples_view(void);

enum { TMI_SAMPLES_BLOCK = 1 << 16, TMI_SITES_MAX = 1 << 16, TMI_SAMPLES_BUCKETS = 1 << 16 };

extern uint32_t tmi_sampling; // 1: allocations are sampled
extern uint32_t *tmi_sample_hints;
extern tmi_lock_t tmi_samples_lock; // for fork

/* Start sampling; the first call makes the tables. Returns 0, ENOMEM, or EBUSY if there are samples that were taken at
 * another interval. */
int tmi_samples_start(uint64_t interval) TMI_COLD;
void tmi_samples_stop(void) TMI_COLD;

/* The slow path of tmi_samples_count. */
bool tmi_samples_due(tmi_sampler_t *sampler, size_t size) TMI_NOINLINE;

/* Count a block of `size` bytes that is about to be handed out. True: it is a sample. */
static inline bool tmi_samples_count(tmi_sampler_t *sampler, size_t size)
{
    sampler->left -= (int64_t)size; // no overflow: size is at most PTRDIFF_MAX
    return TMI_UNLIKELY(sampler->left <= 0) && tmi_samples_due(sampler, size);
}

/* The number of slots of `slot` bytes up to and including the next sample; at least 1. */
uint64_t tmi_samples_distance_in(tmi_sampler_t *sampler, size_t slot) TMI_NOINLINE;
/* Whether a block of `size` bytes whose slot has been hit is a sample. */
bool tmi_samples_keep(tmi_sampler_t *sampler, size_t size, size_t slot) TMI_NOINLINE;

/* Record a sample. `frame`: see tmi_stack_capture. True: there is a new peak, see tmi_samples_new_peak. */
bool tmi_samples_enter(tmi_sampler_t *sampler, uint64_t key, size_t size, void *frame) TMI_NOINLINE;

/* If the block is sampled, remove its sample and copy it to *out. False: it is not sampled. */
bool tmi_samples_take(uint64_t key, tmi_sample_t *out) TMI_NOINLINE;
/* Undo tmi_samples_take. */
void tmi_samples_put_back(const tmi_sample_t *sample);

/* The live block that contains `key`, an address, or has it as its index; and where it was allocated. Never waits. */
bool tmi_samples_find(uint64_t key, tmi_sample_t *out, tmi_trace_t *allocated) TMI_COLD;
/* From now on, reports of misuse add what is known about the block. */
void tmi_samples_describe_misuse(void) TMI_COLD;

static inline uint64_t tmi_samples_key_of_index(uint32_t index) { return (uint64_t)1 << 63 | (uint64_t)index << 6; }
static inline bool tmi_samples_is_index(uint64_t key, uint32_t *index)
{
    *index = (uint32_t)(key >> 6);
    return key >> 63 != 0;
}

/* A hash of the 4 KiB page that contains the key (Knuth's multiplicative hashing). */
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

/* What one sampled block of `size` bytes stands for: blocks, in units of 1/65536, and bytes. */
void tmi_samples_weigh(uint64_t size, uint64_t interval, uint64_t *blocks, uint64_t *bytes);
/* The probability that a block of `size` bytes is sampled. */
double tmi_samples_chance(uint64_t size, uint64_t interval);
/* A random number, uniform in (0, 1]. Seeds the state if it is 0. */
double tmi_samples_uniform(uint64_t *random);
/* Bytes to the next sample, exponentially distributed with mean `interval`. */
int64_t tmi_samples_distance(uint64_t *random, uint64_t interval);

/* A copy of the sites, and on request of the entries, that can be read without the lock. */
typedef struct tmi_snapshot {
    tmi_site_t *sites;
    tmi_sample_t *entries;
    const uintptr_t *frames;
    size_t nsites, nentries, nbytes;
    uint64_t interval, dropped;
    bool inherited; // the process is a child of fork that began with its parent's live samples
} tmi_snapshot_t;

/* Returns 0, ENOMEM, or EAGAIN: the lock is held and `wait` is false (for signal handlers). */
int tmi_samples_snapshot(tmi_snapshot_t *out, bool entries, bool wait);
void tmi_samples_release(tmi_snapshot_t *snapshot);

/* True if the estimated bytes in use have exceeded the last peak by 1/16 plus 1 MiB; then false until they do so again.
 */
bool tmi_samples_new_peak(void);

/* Called in the child: what it inherits counts as its total. */
void tmi_samples_after_fork(void);
/* Whether this process is a child of fork whose parent had samples. */
bool tmi_samples_inherited(void);

#endif
