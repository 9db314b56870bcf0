#include "threads/thread.h"
#include "os/meta.h"
#include "os/os.h"
#include "os/report.h"

#include <pthread.h>

tmi_thread_t tmi_nobody = {
    .cache.rations[0] = (void **)(uintptr_t)(tmi_no_slots + 1),
    .handles.current = &tmi_hcache_none,
    .pins.slot[0] = TM_PIN_GUARD_,
};
tmi_thread_t tmi_departed; // made inert when the first thread departs; most processes end before that

__thread tm_pins_t_ *tmi_self_ = &tmi_nobody.pins;
#undef tm_self_
extern __thread tm_pins_t_ *tm_self_ __attribute__((alias("tmi_self_"), visibility("default")));

static tmi_thread_t first; // the record of a process's first thread costs no mapping
tmi_thread_t *tmi_thread_records;
static bool observe;

/* A constructor makes the key in every process. It lies beside an address that the dynamic linker relocates, on a page
 * that has been written already, so it costs no further page. */
static struct {
    const tmi_thread_t *beside;
    pthread_key_t key;
    bool made;
} end_of_thread = {.beside = &tmi_nobody};

/* glibc keeps the values of the first 32 keys in the thread itself; setting one of the others allocates. */
enum { KEYS_WITHOUT_MEMORY = 32 };

/* Make a record inert. Any thread, any number of times. Relaxed: all threads write the same values, and each reads what
 * it has written itself. */
static void make_inert(tmi_thread_t *t)
{
    tmi_store_relaxed(&t->cache.rations[0], tmi_nobody.cache.rations[0]);
    tmi_store_relaxed(&t->handles.current, tmi_nobody.handles.current);
    tmi_store_relaxed(&t->pins.slot[0], TM_PIN_GUARD_);
}

#if TMI_CHECK
static bool pinned_here(const char *from, size_t nbytes) { return tmi_pin_within(&tmi_self()->pins, from, nbytes); }
#endif

void tmi_thread_init(bool observed)
{
    observe = observed;
#if TMI_CHECK
    tmi_movable_pinned_here = pinned_here;
#endif
}

void tmi_thread_make_key(void)
{
    // without a key records are taken back by reclaim_abandoned
    end_of_thread.made = pthread_key_create(&end_of_thread.key, tmi_thread_end) == 0;
}

/* ---- records: claimed by a compare-and-swap, without a lock, so that a signal handler can do it at any time (T3) */

static bool claim(tmi_thread_t *t)
{
    uint32_t expected = TMI_RECORD_UNUSED;
    // relaxed: a hint, the claim decides; acquire: after all that the last owner did; pairs: give_up_record
    return tmi_load_relaxed(&t->used) == TMI_RECORD_UNUSED && tmi_cas_acquire(&t->used, &expected, TMI_RECORD_USED);
}

static void give_up_record(tmi_thread_t *t)
{
    // before the next owner claims it: a record whose owner is unknown is left alone
    tmi_store_relaxed(&t->owner_thread, 0);
    tmi_store_release(&t->used, TMI_RECORD_UNUSED); // pairs: claim
}

/* Enter a new record into the list, claimed. */
static void list(tmi_thread_t *t)
{
    make_inert(t);
    tmi_pin_add_record(&t->pins);
    tmi_thread_t *head = tmi_load_relaxed(&tmi_thread_records); // relaxed: the compare-and-swap decides
    do
        t->next = head;
    while (!tmi_cas_release(&tmi_thread_records, &head, t)); // the record before it is seen; pairs: tmi_thread_list
}

static tmi_thread_t *claim_record(void)
{
    for (tmi_thread_t *t = tmi_thread_list(); t != NULL; t = t->next)
        if (claim(t))
            return t;
    uint32_t expected = TMI_RECORD_UNUSED;
    tmi_thread_t *t = &first;
    if (!tmi_cas_acquire(&first.used, &expected, TMI_RECORD_USED)) { // in the list, or about to be
        t = tmi_meta_permanent(sizeof *t);
        if (t == NULL)
            return NULL;
        t->used = TMI_RECORD_USED;
    }
    list(t);
    return t;
}

static void note_owner(tmi_thread_t *t)
{
    tmi_store_relaxed(&t->owner_process, tmi_os_getpid()); // relaxed: a wrong guess of others leaves the record alone
    tmi_store_relaxed(&t->owner_thread, tmi_os_gettid());
}

/* Get a record for the calling thread, which has `before` instead of one. A signal handler may interrupt this at any
 * instant and get a record first. Then the thread uses the handler's record, and the one claimed here is given up.
 * NULL: no memory. */
static tmi_thread_t *attach(tmi_thread_t *before)
{
    tmi_thread_t *t = claim_record();
    if (t == NULL)
        return NULL;
    note_owner(t);
    tm_pins_t_ *expected = &before->pins;
    if (tmi_cas_relaxed(&tmi_self_, &expected, &t->pins)) // relaxed: only this thread and its handlers look at it
        return t;
    give_up_record(t);
    return tmi_self();
}

/* Set the key, so that the record is given up when the thread ends. May allocate unless the key is a low one; the
 * record exists by then. */
static void set_key(tmi_thread_t *t)
{
    if (t->keyed || !end_of_thread.made)
        return;
    t->keyed = true;
    if (pthread_setspecific(end_of_thread.key, t) != 0)
        t->keyed = false;
}

/* ---- the end of a thread ----------------------------------------------------------------------------------------- */

/* Retire a record that no thread uses any more: return its slots, and leave the record to the next thread. */
static void retire(tmi_thread_t *t)
{
    if (t->ready) {
        tmi_shelf_flush(&t->shelf);
        tmi_cache_destroy(&t->cache);
    }
    t->ready = t->keyed = false;
    (void)tmi_hcache_flush(&t->handles);
    give_up_record(t);
}

uint32_t tmi_thread_main_left; // relaxed: it is read repeatedly
void (*tmi_thread_main_watcher)(void);

static void tell_that_main_leaves(void)
{
    tmi_store_relaxed(&tmi_thread_main_left, 1);
    tmi_fence_full(); // before the watcher is read and woken; pairs: fall_asleep
    void (*watcher)(void) = tmi_load_acquire(&tmi_thread_main_watcher); // pairs: the release in compactor.c
    if (watcher != NULL)
        watcher();
}

void tmi_thread_end(void *record)
{
    tmi_thread_t *t = record;
    make_inert(&tmi_departed);
    if (tmi_self() == t)
        tmi_self_ = &tmi_departed.pins; // first: a handler that pins from here on takes a record of its own
    size_t left = tmi_pin_leave(&t->pins);
    if (left > 0)
        tmi_report("a thread ended with %zu pins or scopes that it had not ended", left);
    retire(t);
    if (TMI_UNLIKELY(tmi_os_gettid() == tmi_os_getpid()))
        tell_that_main_leaves();
}

static bool owner_is_dead(const tmi_thread_t *t, uint32_t owner)
{
    return owner != 0 && tmi_load_relaxed(&t->owner_thread) == owner &&
           tmi_load_relaxed(&t->owner_process) == tmi_os_getpid() && !tmi_os_thread_exists(owner);
}

/* Take the record of a thread that has ended. The owner is read again afterwards, since another caller may have taken
 * the record meanwhile, and a live thread may have claimed it. The state does not matter to that thread, and is
 * restored. */
static bool reclaim_if_abandoned(tmi_thread_t *t)
{
    uint32_t owner = tmi_load_relaxed(&t->owner_thread), state = TMI_RECORD_USED;
    if (!owner_is_dead(t, owner) || !tmi_cas_acquire(&t->used, &state, TMI_RECORD_TAKEN))
        return false;
    if (owner_is_dead(t, owner))
        return true;
    state = TMI_RECORD_TAKEN;
    (void)tmi_cas_release(&t->used, &state, TMI_RECORD_USED); // unless its owner has given it up
    return false;
}

/* Without our key, or when handlers pin after the last round of destructors, a thread leaves its record behind. This
 * checks a few records in turn, so that abandoned records are reused as fast as they appear. Signal handlers must not
 * call it, since slots are flushed under locks. */
static void reclaim_abandoned(void)
{
    enum { LOOKS = 4 };
    static tmi_thread_t *hand; // relaxed: any record will do
    tmi_thread_t *t = tmi_load_relaxed(&hand);
    for (unsigned i = 0; i < LOOKS; i++, t = t->next) {
        if (t == NULL && (t = tmi_thread_list()) == NULL)
            break;
        if (reclaim_if_abandoned(t)) {
            (void)tmi_pin_leave(&t->pins);
            retire(t);
        }
    }
    tmi_store_relaxed(&hand, t);
}

/* ---- what callers use -------------------------------------------------------------------------------------------- */

tmi_thread_t *tmi_thread_attach(void)
{
    tmi_thread_t *t = tmi_self();
    if (t == &tmi_departed)
        return NULL;
    if (t == &tmi_nobody) {
        if (!end_of_thread.made)
            reclaim_abandoned();
        if ((t = attach(t)) == NULL)
            return NULL;
    }
    if (!t->ready) {
        tmi_cache_init(&t->cache, observe);
        t->ready = true;
    }
    set_key(t); // may allocate: after the cache is ready
    return t;
}

tmi_thread_t *tmi_thread_with_pins(void)
{
    tmi_thread_t *t = tmi_self();
    if (TMI_UNLIKELY(t == &tmi_nobody || t == &tmi_departed)) {
        if ((t = attach(t)) == NULL)
            return NULL;
        if (end_of_thread.key < KEYS_WITHOUT_MEMORY)
            set_key(t);
    }
    tmi_pin_enter(&t->pins);
    return t;
}

tmi_thread_t *tmi_thread_with_handles(void)
{
    tmi_thread_t *t = tmi_thread_with_pins();
    if (t == NULL)
        return NULL;
    if (TMI_UNLIKELY(!t->keyed))
        set_key(t);
    if (t->handles.own == NULL)
        (void)tmi_hcache_make(&t->handles); // without memory the thread uses the slabs
    return t;
}

tmi_thread_t *tmi_thread_list(void) { return tmi_load_acquire(&tmi_thread_records); } // pairs: list

void tmi_thread_flush(tmi_thread_t *t)
{
    tmi_cache_flush(&t->cache);
    tmi_shelf_flush(&t->shelf);
}

/* In a child of fork: the thread was inside one of its caches. */
static bool in_exchange(const tmi_thread_t *t)
{
    return tmi_load_relaxed(&t->cache.busy) || tmi_load_relaxed(&t->shelf.busy) || tmi_load_relaxed(&t->handles.busy);
}

void tmi_thread_reap_others(void)
{
    tmi_store_relaxed(&tmi_thread_main_left, 0); // the forking thread is the child's first
    for (tmi_thread_t *t = tmi_thread_records; t != NULL; t = t->next) {
        t->allocs = t->frees = 0;
        if (t == tmi_self())
            note_owner(t); // the child has numbers of its own
        else if (t->used != TMI_RECORD_UNUSED && !in_exchange(t))
            retire(t); // a cache that fork caught in an exchange is abandoned: its content is not known
        else
            t->owner_thread = 0; // the record is never used again
    }
}

void tmi_thread_renumber(void)
{
    tmi_thread_t *t = tmi_self();
    if (t != &tmi_nobody && t != &tmi_departed)
        note_owner(t);
}

size_t tmi_thread_claim_caches(void)
{
    size_t n = 0;
    if (!tmi_pin_asymmetric())
        return 0; // owners of caches execute no fence
    for (tmi_thread_t *t = tmi_thread_list(); t != NULL; t = t->next)
        tmi_hcache_claim(&t->handles);
    if (tmi_os_fence(TMI_FENCE_EXPEDITED) == 0) // [model: claim_fence] pairs: claim_busy
        for (tmi_thread_t *t = tmi_thread_list(); t != NULL; t = t->next)
            n += tmi_hcache_flush_claimed(&t->handles);
    for (tmi_thread_t *t = tmi_thread_list(); t != NULL; t = t->next)
        tmi_hcache_unclaim(&t->handles);
    return n;
}
