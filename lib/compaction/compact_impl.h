/* compact_impl.h - the records of the batch, shared by the files of the module. All under the mover's lock. */
#ifndef TMI_COMPACTION_COMPACT_IMPL_H
#define TMI_COMPACTION_COMPACT_IMPL_H

#include "compaction/compact.h"
#include "slabs/movable.h"

enum { BATCH_OBJECTS = 1024, BATCH_SOURCES = 64 };

typedef struct entry {
    uint64_t word;    // as it was, without M; 0: given up
    char *to;         // target slot, or NULL
    uint32_t index;
    uint32_t source;  // its number
} entry_t;

typedef struct source {
    tmi_movable_slab_t *slab;
    uint32_t next;    // slot to look at next
    bool exhausted;   // all its slots have been looked at
    bool moved, kept; // objects were marked in it; some of them stayed
} source_t;

typedef enum state { IDLE, MARK, FENCE, SCOPES, COPY, PUBLISH, GIVE } state_t;

typedef struct batch {
    state_t state;
    uint64_t id, started_ns, marked_ns;
    // entries; bytes of them; place in the current state; bytes copied of the entry at cursor
    size_t n, bytes, cursor, offset;
    size_t nsources, given;
    bool fresh, slow;  // the target slots found last may lie in pages that are not there yet; what was copied last did
    source_t *sources; // BATCH_SOURCES
    entry_t *entries;  // BATCH_OBJECTS; NULL until tmi_compact_ready
} batch_t;

extern batch_t tmi_batch;

static inline char *tmi_entry_from(const entry_t *e) { return tmi_word_address(e->word); }
static inline source_t *tmi_entry_source(batch_t *b, const entry_t *e) { return &b->sources[e->source]; }
static inline unsigned tmi_entry_class(batch_t *b, const entry_t *e) { return tmi_entry_source(b, e)->slab->cls; }

/* Whether nobody has touched the object since it was marked (B1). */
static inline bool tmi_entry_untouched(const entry_t *e)
{
    // relaxed: publishing asks again
    return e->word != 0 && tmi_load_relaxed(tmi_word(e->index)) == (e->word | TMI_WORD_MOVING);
}

/* The clock is read only where there is a deadline: a reading costs as much as copying a hundred bytes. */
static inline bool tmi_over(const tmi_compact_limits_t *limits)
{
    return limits->deadline_ns != TMI_COMPACT_NO_DEADLINE && tmi_os_now_ns() >= limits->deadline_ns;
}

/* Choose sources and mark their objects. False: there is nothing to choose. True with neither sources nor entries: call
 * again. */
bool tmi_batch_mark(batch_t *b, const tmi_compact_limits_t *limits);

/* Mark the object in a slot, if there is one. */
void tmi_batch_mark_slot(batch_t *b, source_t *s, uint32_t slot);

/* After the fence: entries in use are given up. */
void tmi_batch_sort_out(batch_t *b);

/* Whether anything may be moved at all. */
bool tmi_compact_may_move(void);

/* COPY, PUBLISH, GIVE: a piece; true when the state is done. */
bool tmi_batch_copy(batch_t *b, const tmi_compact_limits_t *limits);
bool tmi_batch_publish(batch_t *b, const tmi_compact_limits_t *limits);
bool tmi_batch_give(batch_t *b, const tmi_compact_limits_t *limits);

/* An entry that cannot be moved: counted by what its word says, its mark taken away, its target slot given back. */
void tmi_entry_give_up(batch_t *b, entry_t *e);

/* The only code that reads bytes which their owner may be writing: such a copy is dropped. Addresses and sizes are
 * multiples of 16. */
void tmi_copy_racing(char *to, const char *from, size_t nbytes);
/* What was copied is ordered before all that follows: due before the lock is released, and before the words are
 * published. */
void tmi_copy_settle(void);

#if TMI_TEST_HOOKS
#define TMI_STEP(name) (tmi_compact_hook ? tmi_compact_hook(name) : (void)0)
#else
#define TMI_STEP(name) ((void)0)
#endif

#endif
