/* depot.h - per class, the free slots between the magazines of threads and the slabs.
 *
 * Idea: an array of slots under a lock, last in, first out. Magazines exchange half of themselves with it, so that
 * producer and consumer meet here once in so many blocks, and the slabs see only what nobody has needed. It starts
 * small and doubles: most depots never hold many slots.
 *
 * D1  count <= capacity; low <= count is the least count since the last trim.
 *
 * Slots in a depot count as taken (R2), and keep their pages in use. Each pass of the pacer therefore trims what was
 * not needed since the pass before.
 * Owner: everything the depot's lock (rank depot), but count is read without it, as a hint.
 * Fails: a put of what does not fit takes nothing. */
#ifndef TMI_THREADS_DEPOT_H
#define TMI_THREADS_DEPOT_H

#include "os/lock.h"
#include "segments/sizeclass.h"

/* Private to this module; layout.h tells tools where it lies. */
typedef struct tmi_depot {
    tmi_lock_t lock;
    uint32_t count, capacity, low; // D1
    void **slots;
} TMI_ALIGNED(TMI_CACHE_LINE) tmi_depot_t;

extern tmi_depot_t tmi_depots[TMI_CLASS_COUNT];

/* Once, before any cache is used. */
void tmi_depot_init(void);

/* Take up to n slots of the class, those that came last. Returns how many. */
size_t tmi_depot_take(unsigned cls, void **out, size_t n);

/* Put n slots of the class; the array may grow to `most` slots for them. All or none: false, and the caller keeps
 * them. */
bool tmi_depot_put(unsigned cls, void *const *slots, size_t n, size_t most);

/* Whether p is among them. Searches them all, under the lock. */
bool tmi_depot_holds(unsigned cls, const void *p);

/* How many there are. Any thread, no lock: the answer is recent. */
size_t tmi_depot_count(unsigned cls);

/* Return to the slabs what the depot has not needed since the last trim, or all of it; of one class, or of each. */
void tmi_depot_trim_class(unsigned cls, bool all);
void tmi_depot_trim(bool all);

/* Locks of all depots, in order, for fork. */
void tmi_depot_lock_all(void);
void tmi_depot_unlock_all(void);
void tmi_depot_reset_locks(void);

#endif
