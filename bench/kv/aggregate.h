/* aggregate.h - values that have parts: lists, sets, hashes and sorted sets.
 *
 * Idea: a small one is a pack (pack.h) in the entry itself, so it costs one object. A large one is an object of its own
 * with a table of members, a sequence, or both, which grow by a bucket or a block at a time. The entry then owns it.
 *
 *   kind    small: pack of              large: table                   large: sequence of
 *   list    items                       -                              items
 *   set     members                     member                         -
 *   hash    field, value, ...           field -> value                 -
 *   zset    score and member, ordered   member -> score                score and member, ordered
 *
 * A1  An aggregate is never empty between commands: aggregate_close removes the key with the last part.
 * A2  Small ones have at most SMALL_BYTES bytes, and, except lists, at most SMALL_ITEMS items of at most SMALL_ITEM
 *     bytes. One that has grown stays large.
 * A3  The database's bytes include what its entries own: who changes a large one calls
 *     aggregate_account.
 *
 * What an entry owned is put into a queue when the entry goes, and aggregate_free frees it in steps.
 * One thread; within a batch of the store. Failure: false for no memory, and nothing is changed. */
#ifndef KV_AGGREGATE_H
#define KV_AGGREGATE_H

#include "pack.h"
#include "seq.h"
#include "server.h"

enum { SMALL_BYTES = SEQ_BLOCK, SMALL_ITEMS = 128, SMALL_ITEM = 64 };

struct aggregate {
    store_ref next; /* in the queue of those to be freed */
    struct table table;
    struct seq seq;
    struct part *part; /* of a snapshot that is being written, or NULL; see snapshot_part.h */
    bool epoch;
};

static inline bool aggregate_is_large(const struct entry *e) { return (e->type & ENTRY_OWNS) != 0; }

static inline struct aggregate *aggregate_of(struct entry *e)
{
    store_ref r;
    memcpy(&r, entry_value(e), sizeof r);
    return store_at(r);
}

/* The place of the key in argument 1, NULL if there is none. False: it has another kind of value, which is replied. */
bool aggregate_open(const struct call *c, unsigned kind, place **p);

/* The same, and a key that is not there is made. It is empty: fill it or close it. False: replied. */
bool aggregate_make(const struct call *c, unsigned kind, place **p);

/* After a removal: an empty one goes, with its key. */
void aggregate_close(struct table *db, place *p);

/* How many parts: items, members, fields. */
uint64_t aggregate_count(struct entry *e);

/* A change of a large one: `before` is entry_owned as it was. */
static inline void aggregate_account(struct table *db, struct entry *e, uint64_t before)
{
    db->bytes += entry_owned(e) - before;
}

/* Room for `added` bytes in place of `removed` ones at offset `at` of a small one's pack. */
char *aggregate_splice(struct table *db, place *p, size_t at, size_t removed, size_t added);

/* A new, empty object, for the caller to fill; NULL: no memory. */
struct aggregate *aggregate_new(store_ref *r);

/* The object takes the place of the entry's pack. */
bool aggregate_own(struct table *db, place *p, store_ref r);

/* Free up to `most` parts of what is in the queue. False: there is nothing, or a snapshot still reads it all. */
bool aggregate_free(size_t most);

/* How many objects are in the queue. */
uint64_t aggregate_waiting(void);

/* Leave an object to aggregate_free. */
void aggregate_leave(store_ref r);

#endif
