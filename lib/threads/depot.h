/* depot.h - for each class, the free slots between the magazines of threads and the slabs.
 *
 * Idea: an array of slots under a lock, last in, first out. A magazine exchanges half of its slots with the depot at
 * once. So a thread that allocates and one that frees take this lock rarely, and only slots that no thread has needed
 * go to the slabs. The array starts small and doubles, since most depots never hold many slots.
 *
 * D1  count <= capacity; low <= count is the least count since the last trim.
 *
 * Slots in a depot count as taken (R2), and keep their pages in use. Each pass of the pacer therefore trims what was
 * not needed since the pass before.
 * Owner: the depot's lock (rank depot) guards all fields; `count` is also read without it, as a hint.
 * Fails: a put of slots that do not all fit takes none. */
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

/* Called once, before any cache is used. */
void tmi_depot_init(void);

/* Take up to n slots of the class, the last ones that were put. Returns how many. */
size_t tmi_depot_take(unsigned cls, void **out, size_t n);

/* Put n slots of the class; the array may grow to `most` slots for them. All or none: false, and the caller keeps
 * them. */
bool tmi_depot_put(unsigned cls, void *const *slots, size_t n, size_t most);

/* Whether the depot holds p. Searches all slots, under the lock. */
bool tmi_depot_holds(unsigned cls, const void *p);

/* How many slots the depot holds. Any thread, no lock: the answer is recent. */
size_t tmi_depot_count(unsigned cls);

/* Return to the slabs what the depot has not needed since the last trim, or all of it; of one class, or of each. */
void tmi_depot_trim_class(unsigned cls, bool all);
void tmi_depot_trim(bool all);

/* Locks of all depots, in order, for fork. */
void tmi_depot_lock_all(void);
void tmi_depot_unlock_all(void);
void tmi_depot_reset_locks(void);

#endif
