/* magazine.h - a thread's caches of free slots, and the depot between threads.
 *
 * Idea: per class, a thread has an array of pointers to free slots. malloc pops and free pushes: no lock, no atomic
 * read-modify-write, no look at the slab, whichever thread allocated the slot. An empty or full magazine exchanges half
 * of itself with the depot of its class (an array under a lock), and the depot with the slabs.
 *
 *   buffer   NULL | slot | slot | slot |      |      | slot | slot |
 *                  bottom              top           home          limit
 *
 * G1  buffer[0] is NULL and ends the magazine: malloc looks at top[-1] and needs no second comparison.
 * G2  bottom = buffer + 1 <= top <= bottom + books.limit; limit points there, or is NULL when frees must take the slow
 *     path: because the cache is armed (see pacer.h), observed (statistics), or because this class is homing, on trial
 *     (G6) or has no magazine.
 * G3  The sum of books.limit * size over the classes is bound - budget, bound at most TMI_THREAD_CACHE_MAX: what an
 *     idle thread can hold is limited.
 * G4  codes[size] leads malloc to the magazine or the ration of a tiny size: see tmi_cache_pop. 0 when
 *     allocations must take the slow path: ration 0 is always empty.
 * G5  While a class is homing, since its slabs are loose (R7), freed slots are not handed out again: they lie in [home,
 *     limit), nhome of them, until they return to the slabs, and malloc is served from the fullest of these. Else nhome
 *     is 0. top <= home.
 *
 * G6  The first frees of each class in a process, TMI_TRIAL of them, take the slow path and are looked at closely: is
 *     it the start of a slot, is the slot free, is it in the magazine or in the depot already. That finds the
 *     mistakes of short programs and of tests where they are made; others are found when slots go home.
 *
 * G7  While allocations are sampled, malloc's fast path does not pop from the magazines, where free pushes, but from
 *     `rations`: slots that were moved there from the magazine, as many at a time as come before the next sample, and
 *     few. So it takes the slow path once a ration, and the samples are counted there; see magazine_ration.c. The
 *     codes[] say which it is. rations[c] points behind its last slot, as a magazine's top does, to
 *     tmi_no_slots + 1 where there are none.
 *
 * A magazine starts small and doubles when it runs empty or over. When the budget is used up it can grow only at the
 * expense of one that had no exchange since the search last came by (second chance), so that busy classes do not take
 * turns in robbing each other. When that happens often all the same, the thread works with many sizes at once, and the
 * bound is raised if there are other threads.
 * Owner: the cache its thread; but any thread may store NULL to a limit (relaxed), which asks the owner in. The depot
 * its lock. */
#ifndef TMI_THREADS_MAGAZINE_H
#define TMI_THREADS_MAGAZINE_H

#include "os/lock.h"
#include "sampling/samples.h"
#include "segments/pagemap.h"

typedef struct tmi_magazine {
    void **top;
    void **limit;
} tmi_magazine_t;

typedef struct tmi_magazine_books {
    void **buffer;     // limit + 1 pointers of metadata, or NULL
    uint16_t limit;    // slots it may hold: 2^k - 1, or 0
    uint16_t nhome;    // G5
    bool homing;       // G5
    bool resting;      // its class is sparse, and going home has gained nothing (R7)
    bool refilled;     // since the cache was made
    bool active;       // had an exchange since the search for a victim last came by
} tmi_magazine_books_t;

/* G7. Of tiny sizes only. */
typedef struct tmi_ration_books {
    void **buffer; // tmi_ration_max + 1 pointers of metadata, or NULL
    uint64_t left; // slots from the end of the ration to the next sample, that one included; 0: to be drawn
    uint32_t next; // slots of the next ration
} tmi_ration_books_t;

enum { TMI_RATION_CLASSES = 50 }; // class of TMI_TINY_MAX, and one

typedef struct tmi_cache {
    void **rations[TMI_RATION_CLASSES]; // G7
    tmi_magazine_t magazines[TMI_CLASS_COUNT];
    uint8_t codes[TMI_TINY_MAX + 1];
    bool observed;             // every call takes the slow path
    bool armed;                // every free does
    // an exchange is under way: in a child of fork the cache of another thread may be half moved
    bool busy;
    uint8_t victim;            // class that gives way next
    uint16_t armed_frees;      // since it was armed
    uint32_t exchanges;        // with the depot or the slabs, so far
    uint32_t nresting;         // classes that rest; at exchanges of any class now and then a look whether that is over
    uint8_t takes;             // times that the budget was used up, since...
    uint32_t exchanges_then;   // ...there were so many exchanges
    size_t bound, budget;      // G3
    uint32_t summoned;         // 1, by another thread (malloc_trim): give everything back at the next free
    bool rationed;             // G7
    tmi_magazine_books_t books[TMI_CLASS_COUNT];
    tmi_ration_books_t ration_books[TMI_RATION_CLASSES];
} tmi_cache_t;

/* What codes[] say, in steps of 8 bytes from the start of the cache. */
enum { TMI_RATION_CODE = 1, TMI_POP_CODE = 2, TMI_POP_FIRST = TMI_RATION_CLASSES };
_Static_assert(offsetof(tmi_cache_t, magazines) == TMI_POP_FIRST * 8, "codes count from the rations");
_Static_assert(TMI_POP_FIRST + TMI_POP_CODE * (TMI_RATION_CLASSES - 1) <= 255, "a code is a byte");

/* The magazine of a class that has none: tmi_no_slots + 1 is its top (G1). */
extern void *const tmi_no_slots[1];

/* What malloc's fast path tries. NULL: take the slow path. `code` is one of codes[] and the cache at base + offset, or
 * a class times two, with the magazines at base + offset. Base is what the caller has
 * in a register, and as if found anew for each access, as the code is, so that addresses take no instructions. */
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

/* The same for who has the first place of a top at hand, and tells which it is in steps of 8 bytes. */
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

/* Where the next slot on its way home goes, plus one: the end of the magazine's free part. G5. */
static inline void **tmi_cache_home(const tmi_magazine_books_t *b) { return b->buffer + 1 + b->limit - b->nhome; }

/* What the slow path of free tries first: an armed cache mostly just counts, and a slot goes on its way home. False:
 * take the rest of the slow path. */
static inline bool tmi_cache_push_detour(tmi_cache_t *cache, unsigned cls, void *p)
{
    tmi_magazine_books_t *b = &cache->books[cls];
    void **top = cache->magazines[cls].top, **home = tmi_cache_home(b);
    if (!(cache->armed | b->homing) || cache->observed || tmi_load_relaxed(&cache->summoned))
        return false;
    if (b->buffer == NULL || top >= home || top[-1] == p || (b->nhome > 0 && *home == p))
        return false;
    if (cache->armed && cache->armed_frees++ % TMI_ARMED_FREES_PER_LOOK == TMI_ARMED_FREES_PER_LOOK - 1) {
        cache->armed_frees--; // it is counted with the look
        return false;
    }
    if (b->homing) {
        home[-1] = p;
        b->nhome++;
        return true;
    }
    *top = p;
    tmi_step_foldable(&cache->magazines[cls].top, 1);
    return true;
}

_Static_assert(sizeof(tmi_magazine_t) == 16, "a code, twice the class, times 8 is the offset of the magazine");

/* Empty and usable; `observed` as in the structure. Also right for a static cache that serves no slots (see thread.c).
 * */
void tmi_cache_init(tmi_cache_t *cache, bool observed);

/* A slot, refilled from depot or slabs. NULL: out of memory. */
void *tmi_cache_alloc(tmi_cache_t *cache, unsigned cls);

/* The same for a cache that is rationed; a ration that is used up is renewed. *hit, when set: the sample is in this
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

/* Give all slots back to the slabs; the magazines stay. */
void tmi_cache_flush(tmi_cache_t *cache);
/* Flush and give the magazines' memory back. */
void tmi_cache_destroy(tmi_cache_t *cache);

/* How many caches are in use, of all threads. A hint. */
uint32_t tmi_caches_in_use(void);

/* Slots of a class in this cache; any thread may ask, the answer is then recent. */
size_t tmi_cache_count(const tmi_cache_t *cache, unsigned cls);

/* The depot: slots between magazines and slabs. Private to this module; layout.h tells tools where it lies.
 * D1: count <= capacity <= depot_capacity; low <= count is the least count since the last trim. */
typedef struct tmi_depot {
    tmi_lock_t lock;
    uint32_t count, capacity, low;
    void **slots;
} TMI_ALIGNED(TMI_CACHE_LINE) tmi_depot_t;

extern tmi_depot_t tmi_depots[TMI_CLASS_COUNT];

/* Once, before any cache is used. */
void tmi_depot_init(void);
size_t tmi_depot_count(unsigned cls);
/* Give back to the slabs what the depot has not needed since the last time, or all of it. */
void tmi_depot_trim(bool all);
/* Locks of all depots, in order, for fork. */
void tmi_depot_lock_all(void);
void tmi_depot_unlock_all(void);
void tmi_depot_reset_locks(void);

#endif
