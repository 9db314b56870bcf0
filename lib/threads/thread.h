/* thread.h - a record for each thread, and the only thread-local variable of the library.
 *
 * Idea: until the thread's first call has taken the slow path, tm_self_ points into a static record that serves
 * nothing. So a first use costs the fast paths no branch. Records are in a list that only grows. A thread that ends
 * gives its slots back and leaves its record to the next thread. A reader of the list needs no lock.
 *
 * T1  tmi_self() is &tmi_nobody before the thread's first call, &tmi_departed after its end, else a record in the list
 *     with `used`.
 * T2  Only its thread writes a record in use, except for what tmi_cache_summon stores.
 * T3  A thread gets its record by two compare-and-swaps: one claims the record (`used`), one makes tm_self_ point to
 *     it. So a signal handler may interrupt this at any instant and take a record itself. Records are cut from memory
 *     that needs no lock.
 * T4  A record starts inert: all its magazines are empty and full. Its cache and its magazines of handles are made
 *     later, and never in a signal handler.
 *
 * When a thread ends, the destructor of the library's key runs. Later allocations and frees of that thread, in other
 * destructors and in libc, use the slabs directly. If no key was left for a thread, its destructor does not run. Its
 * record is then found by the thread's number, and reused. */
#ifndef TMI_THREADS_THREAD_H
#define TMI_THREADS_THREAD_H

#include "compaction/pin.h"
#include "sampling/samples.h"
#include "threads/hcache.h"
#include "threads/magazine.h"
#include "threads/shelf.h"

typedef enum tmi_record_state { TMI_RECORD_UNUSED, TMI_RECORD_USED, TMI_RECORD_TAKEN } tmi_record_state_t;

typedef struct tmi_thread {
    tmi_cache_t cache;
    tmi_shelf_t shelf;
    struct tmi_thread *next;   // older record; never changes
    uint32_t used;             // T3: one of tmi_record_state_t
    uint32_t owner_process, owner_thread; // numbers of the kernel; thread 0: not known
    bool ready;                // the cache is made
    bool keyed;                // the destructor will run at the thread's end
    size_t allocs, frees;      // served so far by this record, when calls are counted
    tmi_hcache_t handles;
    tmi_sampler_t sampler;
    uint32_t guard_left;       // allocations until one is guarded, see sentry.h
    tm_pins_t_ pins;           // tm_self_ points here; last, since most of its slots are never touched
} tmi_thread_t;

extern tmi_thread_t tmi_nobody, tmi_departed;

/* tm_self_ of <tinymem/pin.h>, see base/public.h. */
extern __thread tm_pins_t_ *tmi_self_ __attribute__((tls_model("initial-exec")));

/* The record of the calling thread, at a constant distance. */
static inline tmi_thread_t *tmi_self(void) { return TMI_CONTAINER_OF(tmi_self_, tmi_thread_t, pins); }

/* Called once, as early as possible, while there are keys that need no memory. */
void tmi_thread_make_key(void);

/* Once per process, before the first attach. `observed`: all caches take the slow paths. */
void tmi_thread_init(bool observed);

/* True once the first thread of the process is ending by pthread_exit while others continue; and the function that is
 * called then. */
extern uint32_t tmi_thread_main_left;
extern void (*tmi_thread_main_watcher)(void);

/* What runs when a thread ends: the destructor of our key. */
void tmi_thread_end(void *record);

/* The calling thread's record with a cache, which is made if there is none. NULL: no memory for a cache, or the thread
 * has departed. The caller then works without a cache. */
tmi_thread_t *tmi_thread_attach(void);

static inline tmi_thread_t *tmi_thread_or_null(void)
{
    tmi_thread_t *t = tmi_self();
    return TMI_LIKELY(t->ready) ? t : tmi_thread_attach();
}

/* Give back all free slots of the raw heap that the calling thread keeps. */
void tmi_thread_flush(tmi_thread_t *t);

/* The calling thread's record, ready for pins and scopes. Takes no lock: signal handlers may call it at any instant. A
 * thread that has departed gets a record, too, and its destructor runs once more. NULL: no memory. */
tmi_thread_t *tmi_thread_with_pins(void);

/* The same, with magazines of handles if there is memory for them; not in signal handlers. */
tmi_thread_t *tmi_thread_with_handles(void);

/* All records, newest first; following `next` needs no lock. */
extern tmi_thread_t *tmi_thread_records; // by tmi_thread_list; layout.h tells tools where it lies
tmi_thread_t *tmi_thread_list(void);

/* Empty the handle caches of all threads that are not using them at the moment. Does nothing without the asymmetric
 * fence. One caller at a time (the mover's lock). Returns how many slots were returned. */
size_t tmi_thread_claim_caches(void);

/* In a child of fork: return the slots of the threads that the child does not have. */
void tmi_thread_reap_others(void);
/* In a child of fork whose parent had one thread: note that thread's new number. */
void tmi_thread_renumber(void);

#endif
