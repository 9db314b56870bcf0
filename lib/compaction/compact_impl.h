/* compact_impl.h - the records of the batch, for the files of this module. The mover's lock guards all of them. */
#ifndef TMI_COMPACTION_COMPACT_IMPL_H
#define TMI_COMPACTION_COMPACT_IMPL_H

#include "compaction/compact.h"
#include "slabs/movable.h"

enum { BATCH_OBJECTS = 1024, BATCH_SOURCES = 64 };

typedef struct entry {
    uint64_t word;    // the word when it was marked, without M; 0: given up
    char *to;         // target slot, or NULL
    uint32_t index;
    uint32_t source;  // number of its source
} entry_t;

typedef struct source {
    tmi_movable_slab_t *slab;
    uint32_t next;    // the next slot to examine
    bool exhausted;   // all of its slots have been examined
    bool moved, kept; // objects were marked in it; some of them stayed
} source_t;

typedef enum state { IDLE, MARK, FENCE, SCOPES, COPY, PUBLISH, GIVE } state_t;

typedef struct batch {
    state_t state;
    uint64_t id, started_ns, marked_ns;
    // count of entries; their bytes; next entry in this state; bytes of that entry that are copied
    size_t n, bytes, cursor, offset;
    size_t nsources, given;
    bool fresh, slow;  // the last targets may lie in pages that are not resident; the last copy faulted
    source_t *sources; // BATCH_SOURCES
    entry_t *entries;  // BATCH_OBJECTS; NULL until tmi_compact_ready
} batch_t;

extern batch_t tmi_batch;

static inline char *tmi_entry_from(const entry_t *e) { return tmi_word_address(e->word); }
static inline source_t *tmi_entry_source(batch_t *b, const entry_t *e) { return &b->sources[e->source]; }
static inline unsigned tmi_entry_class(batch_t *b, const entry_t *e) { return tmi_entry_source(b, e)->slab->cls; }

/* Whether no thread has touched the object since it was marked (B1). */
static inline bool tmi_entry_untouched(const entry_t *e)
{
    // relaxed: publishing checks again
    return e->word != 0 && tmi_load_relaxed(tmi_word(e->index)) == (e->word | TMI_WORD_MOVING);
}

/* Whether the time is over. The clock is read only if there is a deadline, since a reading costs as much as copying a
 * hundred bytes. */
static inline bool tmi_over(const tmi_compact_limits_t *limits)
{
    return limits->deadline_ns != TMI_COMPACT_NO_DEADLINE && tmi_os_now_ns() >= limits->deadline_ns;
}

/* Choose sources and mark their objects. False: there is nothing to choose. True with neither sources nor entries: call
 * again. */
bool tmi_batch_mark(batch_t *b, const tmi_compact_limits_t *limits);

/* Mark the object in a slot, if there is one. */
void tmi_batch_mark_slot(batch_t *b, source_t *s, uint32_t slot);

/* After the fence: give up the entries that are in use. */
void tmi_batch_sort_out(batch_t *b);

/* Whether the mode, the pauses and the kernel allow moves. */
bool tmi_compact_may_move(void);

/* Do a piece of the state COPY, PUBLISH or GIVE. True: the state is done. */
bool tmi_batch_copy(batch_t *b, const tmi_compact_limits_t *limits);
bool tmi_batch_publish(batch_t *b, const tmi_compact_limits_t *limits);
bool tmi_batch_give(batch_t *b, const tmi_compact_limits_t *limits);

/* Give up an entry that cannot be moved: count the cause that its word shows, clear its mark, return its target
 * slot. */
void tmi_entry_give_up(batch_t *b, entry_t *e);

/* Copy. This is the only code that reads bytes which a thread may be writing; such a copy is dropped. Addresses and
 * sizes are multiples of 16. */
void tmi_copy_racing(char *to, const char *from, size_t nbytes);
/* Order the copied bytes before all later accesses. Must be called before the lock is released, and before words are
 * published. */
void tmi_copy_fence(void);

#if TMI_TEST_HOOKS
#define TMI_STEP(name) (tmi_compact_hook ? tmi_compact_hook(name) : (void)0)
#else
#define TMI_STEP(name) ((void)0)
#endif

#endif
