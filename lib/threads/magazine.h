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
 * G2  bottom = buffer + 1 <= top <= bottom + capacity. limit is bottom + capacity; or NULL, so that free's fast path
 *     fails, while there is a reason to divert frees (tmi_divert_t).
 * G3  The sum of capacity * size over the classes is bound - budget, and bound is at most TMI_THREAD_CACHE_MAX. This
 *     limits the memory that an idle thread holds.
 * G4  codes[size] is the offset of the magazine or ration of a tiny size: see tmi_cache_pop. It is 0 when allocations
 *     must take the slow path: ration 0 is always empty.
 * G5  A magazine is homing while its class is loose (R7). Freed slots are then not reused: nreturning of them lie in
 *     [returning, bottom + capacity) until they return to their slabs, and malloc is served from the fullest slab. Else
 *     nreturning is 0. top <= returning.
 * G6  The first TMI_TRIAL frees of each class in a process take the slow path and are verified: the pointer must be the
 *     start of a slot that is neither free nor in the magazine or the depot. So misuse in short programs and tests is
 *     reported by the call that causes it. Later misuse is found when slots return to their slabs.
 * G7  While allocations are sampled, malloc's fast path pops from `rations` instead of the magazines, to which free
 *     pushes. A ration is a small number of slots, at most those that precede the next sample, moved there from the
 *     magazine. So malloc takes the slow path once a ration, and counts samples there; see magazine_ration.c. The codes
 *     select rations or magazines. rations[c] points behind the last slot, like a magazine's top; without slots it is
 *     tmi_no_slots + 1.
 *
 * A magazine starts small and doubles when it runs empty or full. When the budget is used up, it can grow only at the
 * expense of a magazine that had no exchange since the last search for a victim (second chance), so that busy classes
 * do not take budget from each other in turn. If searches are frequent nevertheless, the thread uses many sizes at
 * once; then `bound` is raised if there are other threads (budget.md).
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

/* The fields of a magazine that the fast paths do not use. */
typedef struct tmi_magazine_info {
    void **buffer;       // capacity + 1 pointers of metadata, or NULL
    uint16_t capacity;   // 2^k - 1 slots, or 0
    uint16_t nreturning; // G5
    bool homing;         // G5
    bool resting;        // the class is sparse but not loose: it rests (R7)
    bool refilled;       // since the cache was made
    bool active;         // had an exchange since the last search for a victim
} tmi_magazine_info_t;

/* A ration (G7). Only classes of tiny sizes have one. */
typedef struct tmi_ration_info {
    void **buffer; // metadata: NULL and then the slots, as in a magazine; or NULL
    uint64_t left; // slots behind the end of the ration up to and including the next sample; 0: not drawn yet
    uint32_t next; // size of the next ration in slots
} tmi_ration_info_t;

enum { TMI_RATION_CLASSES = 50 }; // 1 + the class of TMI_TINY_MAX

typedef struct tmi_cache {
    void **rations[TMI_RATION_CLASSES]; // G7
    tmi_magazine_t magazines[TMI_CLASS_COUNT];
    uint8_t codes[TMI_TINY_MAX + 1];
    bool observed;             // every call takes the slow path
    bool armed;                // every free takes tmi_cache_push_detour, which counts (armed.md)
    // an exchange is under way: in a child of fork, the cache of another thread may be inconsistent
    bool busy;
    uint8_t victim;            // the next class to examine when another one needs budget
    uint16_t armed_frees;      // frees since it was armed
    uint32_t exchanges;        // number of exchanges with the depot or the slabs so far
    uint32_t nresting;         // magazines that rest; every 64th exchange of any class checks whether a rest is over
    uint8_t takes;             // how often the budget was used up, since...
    uint32_t exchanges_then;   // ...`exchanges` had this value
    size_t bound, budget;      // G3: the limit of the cache in bytes, and the part of it that is not used
    uint32_t summoned;         // set by another thread (malloc_trim): flush everything at the next free
    bool rationed;             // G7
    tmi_magazine_info_t info[TMI_CLASS_COUNT];
    tmi_ration_info_t ration_info[TMI_RATION_CLASSES];
    tmi_rows_t rows; // for exchanges with depots
} tmi_cache_t;

/* The values of codes[] are offsets from the start of the cache, in units of 8 bytes. */
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

/* The reasons that apply now, a set of tmi_divert_t; 0: limit is the magazine's end. For the owner. */
unsigned tmi_cache_diverts(const tmi_cache_t *cache, unsigned cls);

/* The limit of a magazine whose frees are diverted: every top is above it, so the magazine seems full. */
#define TMI_LIMIT_DIVERTS ((void **)NULL)

/* Stands for the buffer of a class without a magazine, whose top is tmi_no_slots + 1 (G1). */
extern void *const tmi_no_slots[1];

/* The fast path of malloc. NULL: take the slow path. Either `code` is one of codes[], and the cache is at base +
 * offset; or `code` is twice the class, and the array of magazines is at base + offset. `base` is in a register of the
 * caller. tmi_anew keeps the compiler from computing an address in advance, so that each access is one instruction. */
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

/* The same for a caller that has the address of the first top; `code` is the distance from there in units of 8 bytes.
 */
TMI_INLINE void *tmi_cache_pop_at(void ***first, size_t code)
{
    void *p = tmi_load_relaxed(first + code)[-1]; // own; statistics read it too
    if (TMI_LIKELY(p != NULL))
        tmi_step_foldable(first + tmi_anew(code), -1);
    return p;
}

/* The fast path of free. False: take the slow path. */
static inline bool tmi_cache_push(tmi_cache_t *cache, size_t code, void *p)
{
    char *m = (char *)cache->magazines; // as in tmi_cache_pop
    void **top = tmi_load_relaxed(&((tmi_magazine_t *)(void *)(m + tmi_anew(code) * 8))->top);
    // relaxed: a NULL that another thread stored may be seen late
    if (TMI_UNLIKELY(top >= tmi_load_foldable(&((tmi_magazine_t *)(void *)(m + tmi_anew(code) * 8))->limit)))
        return false;
    if (TMI_UNLIKELY(top[-1] == p)) // the most frequent double free; the slow path reports it
        return false;
    *top = p;
    tmi_step_foldable(&((tmi_magazine_t *)(void *)(m + tmi_anew(code) * 8))->top, 1);
    return true;
}

enum { TMI_ARMED_FREES_PER_LOOK = 16 }; // an armed cache's frees between two calls of the pacer

/* The first of the slots that wait to return to their slabs; the end of the magazine's other slots (G5). */
static inline void **tmi_cache_returning(const tmi_magazine_info_t *info)
{
    return info->buffer + 1 + info->capacity - info->nreturning;
}

/* The first part of free's slow path. In an armed cache most frees are only counted; in a homing magazine the slot is
 * put with those that return to their slabs. False: take the rest of the slow path. */
static inline bool tmi_cache_push_detour(tmi_cache_t *cache, unsigned cls, void *p)
{
    tmi_magazine_info_t *info = &cache->info[cls];
    void **top = cache->magazines[cls].top, **returning = tmi_cache_returning(info);
    if (!(cache->armed | info->homing) || cache->observed || tmi_load_relaxed(&cache->summoned))
        return false;
    if (info->buffer == NULL || top >= returning || top[-1] == p || (info->nreturning > 0 && *returning == p))
        return false;
    if (cache->armed && cache->armed_frees++ % TMI_ARMED_FREES_PER_LOOK == TMI_ARMED_FREES_PER_LOOK - 1) {
        cache->armed_frees--; // tmi_pacer_armed_free counts this one
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

/* Make an empty cache; `observed` as in the structure. Also for the static cache that serves no slots (see thread.c).
 */
void tmi_cache_init(tmi_cache_t *cache, bool observed);

/* Take a slot from the magazine, which is refilled from depot or slabs if it is empty. NULL: out of memory. */
void *tmi_cache_alloc(tmi_cache_t *cache, unsigned cls);

/* The same for a rationed cache: takes from the ration, and renews it when it is used up. *hit is set if this slot is
 * the next sample. */
void *tmi_cache_alloc_rationed(tmi_cache_t *cache, unsigned cls, tmi_sampler_t *sampler, bool *hit);

/* For the owner: begin or end the use of rations (G7). Does nothing if the cache is observed. */
void tmi_cache_ration(tmi_cache_t *cache, bool on);

enum { TMI_TRIAL = 128 };
/* Whether frees of the class are still verified (G6). */
bool tmi_cache_on_trial(unsigned cls);
/* What is wrong with freeing or resizing p, a block of the class, or NULL. */
const char *tmi_cache_complaint(const tmi_cache_t *cache, unsigned cls, const void *p);

/* Put a freed slot into the magazine. If it goes to its slab, misuse is found and reported in the name of `function`.
 */
void tmi_cache_free(tmi_cache_t *cache, unsigned cls, void *p, const char *function);

/* Begin or end to divert every free to the slow path. */
void tmi_cache_arm(tmi_cache_t *cache);
void tmi_cache_disarm(tmi_cache_t *cache);

/* Any thread: make the owner's next free take the slow path, and find `summoned` there. */
void tmi_cache_summon(tmi_cache_t *cache);

/* Return all slots to the slabs; the magazines stay. */
void tmi_cache_flush(tmi_cache_t *cache);
/* Flush and free the magazines' memory. */
void tmi_cache_destroy(tmi_cache_t *cache);

/* The number of caches in use, of all threads. A hint. */
uint32_t tmi_caches_in_use(void);

/* The number of slots of a class in this cache. Any thread, no lock, so the number may be slightly out of date. */
size_t tmi_cache_count(const tmi_cache_t *cache, unsigned cls);

#endif
