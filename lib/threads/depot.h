/* depot.h - for each class, the free slots between the magazines of threads and the slabs.
 *
 * Idea: slots lie in rows, arrays of half the class's largest magazine. A magazine of that size exchanges half of its
 * slots with the depot at once, as a whole row: the thread fills an empty row of its own before it takes the lock, and
 * empties the row that it got after it has released the lock. Under the lock only pointers change. Fewer slots are
 * copied to or from one row, which starts small and doubles, since most depots never hold many slots. So a thread that
 * allocates and one that frees take this lock rarely and for a short time, and only slots that no thread has needed go
 * to the slabs. Last in, first out, by rows. depot.md tells what was measured.
 *
 * D1  count is the slots of all rows; low <= count is the least count since the last trim. Rows in `full` hold
 *     2^row_log slots each, `part` at most part_capacity <= 2^row_log, those in `spare` none.
 *
 * Slots in a depot count as taken (R2), and keep their pages in use. Each pass of the pacer therefore trims what was
 * not needed since the pass before.
 * Owner: the depot's lock (rank depot) guards all fields and the rows that are linked here; `count` is also read
 * without it, as a hint; row_log does not change. A thread's empty rows belong to the thread.
 * Fails: a put of slots that do not all fit takes none. */
#ifndef TMI_THREADS_DEPOT_H
#define TMI_THREADS_DEPOT_H

#include "os/lock.h"
#include "segments/sizeclass.h"

/* Private to this module; layout.h tells tools where it lies. */
typedef struct tmi_row {
    struct tmi_row *next;
    uint32_t count;
    void *slots[];
} tmi_row_t;

typedef struct tmi_depot {
    tmi_lock_t lock;
    uint32_t count, low; // D1
    uint16_t part_capacity;
    uint8_t row_log;
    tmi_row_t *full, *part, *spare;
} TMI_ALIGNED(TMI_CACHE_LINE) tmi_depot_t;

enum { TMI_ROW_LOG_FIRST = 3, TMI_ROW_LOG_MAX = 7 }; // rows of 8 to 128 slots

/* Empty rows of a thread, at most one of each size. */
typedef struct tmi_rows {
    tmi_row_t *empty[TMI_ROW_LOG_MAX + 1];
} tmi_rows_t;

extern tmi_depot_t tmi_depots[TMI_CLASS_COUNT];

/* Called once, before any cache is used. */
void tmi_depot_init(void);

#define TMI_MAGAZINE_BYTES ((size_t)32 << 10) // the largest magazine of a class aims to hold at most this much

/* How many slots the class's largest magazine has: 2^k - 1, at least 1. */
unsigned tmi_depot_magazine_max(unsigned cls);

/* Take up to n slots of the class, as a rule the last ones that were put. Returns how many. `rows`: the thread's, or
 * NULL, and then slots are copied. */
size_t tmi_depot_take(unsigned cls, void **out, size_t n, tmi_rows_t *rows);

/* Put n slots of the class, at most half of its largest magazine (or 8); the depot may hold `most` slots after it. All
 * or none: false, and the caller keeps them. `rows` as above. */
bool tmi_depot_put(unsigned cls, void *const *slots, size_t n, size_t most, tmi_rows_t *rows);

/* Free a thread's empty rows. */
void tmi_depot_free_rows(tmi_rows_t *rows);

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
