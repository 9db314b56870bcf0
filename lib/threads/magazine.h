/* magazine.h - a thread's cache of free slots: a magazine for each class.
 *
 * Idea: a magazine is an array of pointers to free slots. malloc pops and free pushes: no lock, no atomic
 * read-modify-write, no access to the slab, whichever thread allocated the slot. An empty or full magazine exchanges
 * half of itself with the depot of its class (depot.h), or with the slabs.
 *
 *   buffer   NULL | slot | slot | slot |      |      | slot | slot |
 *                  bottom              top        returning       bottom + capacity
 *
 * G1  buffer[0] is NULL and ends the magazine: malloc loads top[-1] and needs no second comparison.
 * G2  bottom = buffer + 1 <= top <= bottom + capacity. limit is bottom + capacity. But it is NULL, so that free's fast
 *     path fails, as long as there is a reason to divert frees (tmi_divert_t).
 * G3  The sum of capacity * size over the classes is bound - budget, and bound is at most TMI_THREAD_CACHE_MAX: what an
 *     idle thread can hold is limited.
 * G4  codes[size] leads malloc to the magazine or the ration of a tiny size: see tmi_cache_pop. It is 0 when
 *     allocations must take the slow path: ration 0 is always empty.
 * G5  A magazine is homing while its class is loose (R7). Freed slots are then not reused: nreturning of them lie in
 *     [returning, bottom + capacity) until they return to their slabs, and malloc is served from the fullest slab. Else
 *     nreturning is 0. top <= returning.
 * G6  The first frees of each class in a process, TMI_TRIAL of them, take the slow path and are verified: is it the
 *     start of a slot, is the slot free, is it in the magazine or in the depot already. That finds the mistakes of
 *     short programs and of tests where they are made. Later mistakes are found when slots return to their slabs.
 * G7  While allocations are sampled, malloc's fast path does not pop from the magazines, where free pushes, but from
 *     `rations`: slots that were moved there from the magazine, as many at a time as come before the next sample, and
 *     few. So malloc takes the slow path once a ration, and samples are counted there; see magazine_ration.c. The
 *     codes say which of the two it is. rations[c] points behind its last slot, as a magazine's top does, or to
 *     tmi_no_slots + 1 where there is none.
 *
 * A magazine starts small and doubles when it runs empty or over. When the budget is used up it can grow only at the
 * expense of one that had no exchange since the last search for a victim (second chance), so that busy classes do not
 * take budget from each other in turn. When that happens often nevertheless, the thread works with many sizes at once,
 * and the bound is raised if there are other threads (budget.md).
 *
 * Owner: its thread. But any thread may set a magazine's limit to NULL (relaxed). The owner's next free then takes the
 * slow path and sees the request. */
#ifndef TMI_THREADS_MAGAZINE_H
#define TMI_THREADS_MAGAZINE_H

#include "sampling/samples.h"
#include "segments/pagemap.h"
#include "threads/depot.h"

typedef struct tmi_magazine {
    void **top;
    void **limit;
} tmi_magazine_t;

/* What the fast paths do not need. */
typedef struct tmi_magazine_info {
    void **buffer;       // capacity + 1 pointers of metadata, or NULL
    uint16_t capacity;   // 2^k - 1 slots, or 0
    uint16_t nreturning; // G5
    bool homing;         // G5
    bool resting;        // the class is sparse, but slots that returned to it have gained nothing (R7)
    bool refilled;       // since the cache was made
    bool active;         // had an exchange since the last search for a victim
} tmi_magazine_info_t;

/* G7. Of tiny sizes only. */
typedef struct tmi_ration_info {
    void **buffer; // as many pointers as the ration may have and one, metadata, or NULL
    uint64_t left; // slots from the end of the ration to the next sample, that one included; 0: to be drawn
    uint32_t next; // slots of the next ration
} tmi_ration_info_t;

enum { TMI_RATION_CLASSES = 50 }; // class of TMI_TINY_MAX, and one

typedef struct tmi_cache {
    void **rations[TMI_RATION_CLASSES]; // G7
    tmi_magazine_t magazines[TMI_CLASS_COUNT];
    uint8_t codes[TMI_TINY_MAX + 1];
    bool observed;             // every call takes the slow path
    bool armed;                // every free takes the detour, which counts (armed.md)
    // an exchange is under way: in a child of fork the cache of another thread may be half moved
    bool busy;
    uint8_t victim;            // class that gives budget away next
    uint16_t armed_frees;      // since it was armed
    uint32_t exchanges;        // with the depot or the slabs, so far
    uint32_t nresting;         // magazines that rest; some exchanges, of any class, look whether a rest is over
    uint8_t takes;             // times that the budget was used up, since...
    uint32_t exchanges_then;   // ...there were so many exchanges
    size_t bound, budget;      // G3
    uint32_t summoned;         // 1, by another thread (malloc_trim): flush everything at the next free
    bool rationed;             // G7
    tmi_magazine_info_t info[TMI_CLASS_COUNT];
    tmi_ration_info_t ration_info[TMI_RATION_CLASSES];
    tmi_rows_t rows; // for exchanges with depots
} tmi_cache_t;

/* What codes[] say, in steps of 8 bytes from the start of the cache. */
enum { TMI_RATION_CODE = 1, TMI_POP_CODE = 2, TMI_POP_FIRST = TMI_RATION_CLASSES };
_Static_assert(offsetof(tmi_cache_t, magazines) == TMI_POP_FIRST * 8, "codes count from the rations");
_Static_assert(TMI_POP_FIRST + TMI_POP_CODE * (TMI_RATION_CLASSES - 1) <= 255, "a code is a byte");

/* Why frees of a class are diverted to the slow path, G2. */
typedef enum tmi_divert {
    TMI_DIVERT_ARMED = 1,        // the pacer counts frees, to purge at some of them
    TMI_DIVERT_OBSERVED = 2,     // statistics or check:full see every call
    TMI_DIVERT_SUMMONED = 4,     // another thread has asked for a flush
    TMI_DIVERT_NO_MAGAZINE = 8,  // the class has none: there is nowhere to push
    TMI_DIVERT_HOMING = 16,      // the slot returns to its slab, G5
    TMI_DIVERT_TRIAL = 32,       // the free is verified, G6
} tmi_divert_t;

/* The reasons that hold now; 0: limit is the magazine's end. For its owner. */
unsigned tmi_cache_diverts(const tmi_cache_t *cache, unsigned cls);

/* The limit of a magazine whose frees are diverted: no top is below it. */
#define TMI_LIMIT_DIVERTS ((void **)NULL)

/* The magazine of a class that has none: tmi_no_slots + 1 is its top (G1). */
extern void *const tmi_no_slots[1];

/* What malloc's fast path tries. NULL: take the slow path. `code` is one of codes[] and the cache is at base + offset;
 * or it is a class times two, and the magazines are there. Base is what the caller has in a register, and as if found
 * anew for each access, as the code is, so that addresses take no instructions. */
static inline void *tmi_cache_pop(char *base, ptrdiff_t offset, size_t code)
{
    char *m = (char *)tmi_anew((size_t)base) + offset + tmi_anew(code) * 8;
    void *p = tmi_load_relaxed(&((tmi_magazine_t *)(void *)m)->top)[-1]; // own; statistics read it too
    if (TMI_LIKELY(p != NULL)) {
        m = (char *)tmi_anew((size_t)base) + offset + tmi_anew(code) * 8;
        tmi_step_foldable(&((tmi_magazine_t *)(void *)m)->top, -1);
    }
    return p;
}

/* The same for a caller that has the place of the first top at hand; `code` counts from there in steps of 8 bytes. */
TMI_INLINE void *tmi_cache_pop_at(void ***first, size_t code)
{
    void *p = tmi_load_relaxed(first + code)[-1]; // own; statistics read it too
    if (TMI_LIKELY(p != NULL))
        tmi_step_foldable(first + tmi_anew(code), -1);
    return p;
}

/* What free's fast path tries. False: take the slow path. */
static inline bool tmi_cache_push(tmi_cache_t *cache, size_t code, void *p)
{
    char *m = (char *)cache->magazines; // as in tmi_cache_pop
    void **top = tmi_load_relaxed(&((tmi_magazine_t *)(void *)(m + tmi_anew(code) * 8))->top);
    // a NULL stored by another thread is seen soon enough
    if (TMI_UNLIKELY(top >= tmi_load_foldable(&((tmi_magazine_t *)(void *)(m + tmi_anew(code) * 8))->limit)))
        return false;
    if (TMI_UNLIKELY(top[-1] == p)) // the commonest double free; the slow path reports it
        return false;
    *top = p;
    tmi_step_foldable(&((tmi_magazine_t *)(void *)(m + tmi_anew(code) * 8))->top, 1);
    return true;
}

enum { TMI_ARMED_FREES_PER_LOOK = 16 }; // of the pacer at the clock

/* The slots that are to return to their slabs, and the end of the magazine's free part. G5. */
static inline void **tmi_cache_returning(const tmi_magazine_info_t *info)
{
    return info->buffer + 1 + info->capacity - info->nreturning;
}

/* What the slow path of free tries first: an armed cache mostly just counts, and a homing magazine takes the slot among
 * those that return. False: take the rest of the slow path. */
static inline bool tmi_cache_push_detour(tmi_cache_t *cache, unsigned cls, void *p)
{
    tmi_magazine_info_t *info = &cache->info[cls];
    void **top = cache->magazines[cls].top, **returning = tmi_cache_returning(info);
    if (!(cache->armed | info->homing) || cache->observed || tmi_load_relaxed(&cache->summoned))
        return false;
    if (info->buffer == NULL || top >= returning || top[-1] == p || (info->nreturning > 0 && *returning == p))
        return false;
    if (cache->armed && cache->armed_frees++ % TMI_ARMED_FREES_PER_LOOK == TMI_ARMED_FREES_PER_LOOK - 1) {
        cache->armed_frees--; // it is counted with the look
        return false;
    }
    if (info->homing) {
        returning[-1] = p;
        info->nreturning++;
        return true;
    }
    *top = p;
    tmi_step_foldable(&cache->magazines[cls].top, 1);
    return true;
}

_Static_assert(sizeof(tmi_magazine_t) == 16, "a code, twice the class, times 8 is the offset of the magazine");

/* Empty and usable; `observed` as in the structure. Also right for a static cache that serves no slots (see
 * thread.c). */
void tmi_cache_init(tmi_cache_t *cache, bool observed);

/* A slot, refilled from depot or slabs. NULL: out of memory. */
void *tmi_cache_alloc(tmi_cache_t *cache, unsigned cls);

/* The same for a cache that is rationed; a ration that is used up is renewed. *hit is set if the sample is in this
 * slot. */
void *tmi_cache_alloc_rationed(tmi_cache_t *cache, unsigned cls, tmi_sampler_t *sampler, bool *hit);

/* Of the owner: ration what is taken from the cache, or no longer (G7). Not if it is observed. */
void tmi_cache_ration(tmi_cache_t *cache, bool on);

enum { TMI_TRIAL = 128 };
/* Whether frees of the class are still looked at closely, G6. */
bool tmi_cache_on_trial(unsigned cls);
/* What is wrong with freeing or resizing p, a block of the class, or NULL. */
const char *tmi_cache_complaint(const tmi_cache_t *cache, unsigned cls, const void *p);

/* Take a free slot back; verified if it goes to the slabs, in the name of `function`. */
void tmi_cache_free(tmi_cache_t *cache, unsigned cls, void *p, const char *function);

/* Let every free take the slow path, or no longer. */
void tmi_cache_arm(tmi_cache_t *cache);
void tmi_cache_disarm(tmi_cache_t *cache);

/* Any thread: make the owner's next free take the slow path, and find `summoned` there. */
void tmi_cache_summon(tmi_cache_t *cache);

/* Return all slots to the slabs; the magazines stay. */
void tmi_cache_flush(tmi_cache_t *cache);
/* Flush and free the magazines' memory. */
void tmi_cache_destroy(tmi_cache_t *cache);

/* How many caches are in use, of all threads. A hint. */
uint32_t tmi_caches_in_use(void);

/* Slots of a class in this cache. Any thread, no lock: the answer is recent. */
size_t tmi_cache_count(const tmi_cache_t *cache, unsigned cls);

#endif
