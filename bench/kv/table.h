/* table.h - keys and values: a hash table that grows and shrinks one bucket at a time (linear hashing, Litwin 1980).
 *
 * Idea: an insertion that makes the table fuller than one entry a bucket splits one bucket, a removal that makes it
 * emptier than three quarters merges a few. No call does more, so no request waits for a table of ten million keys to
 * grow.
 * Buckets lie in chunks of at most TABLE_CHUNK; the reference of the first lies in the table, those of the others in a
 * directory.
 *
 *   dir ─→ [chunk][chunk]...     bucket b is slot b % TABLE_CHUNK of chunk b / TABLE_CHUNK
 *             └─→ [entry][entry]...  each the head of a list
 *
 * An entry is one object: header, time of expiry if it has one, key, value.
 *
 * T1  Bucket of hash h: h mod 2^k, less its highest bit if that bucket is not there yet, where 2^(k-1) < buckets <=
 *     2^k.
 * T2  Every bucket holds an interval of the bit-reversed hashes. A scan goes by these, and therefore sees each entry
 *     that is there all the time exactly once, however much the table grows and shrinks meanwhile.
 * T3  bytes is the sum of entry_size over all entries, and of entry_owned over those that own something.
 *
 * A *place* is the reference that leads to an entry (in its bucket or in the entry before it); it holds until the table
 * is changed through another place. One thread; within a batch of the store. Failure: NULL or false, and the table is
 * as it was. */
#ifndef KV_TABLE_H
#define KV_TABLE_H

#include "store.h"

#include <string.h>

enum { TABLE_CHUNK = 8192, TABLE_FIRST = 4 };

/* An entry's type: what kind of value, and whether the value is a reference to an object that the entry owns. */
enum { ENTRY_STRING, ENTRY_LIST, ENTRY_SET, ENTRY_ZSET, ENTRY_HASH, ENTRY_KIND = 7, ENTRY_OWNS = 8 };

struct table {
    store_ref first; /* the first chunk; STORE_NONE while the table is empty and has never been used */
    store_ref *dir;  /* from 1 on the other chunks, in plain memory: every look-up passes by; NULL without any */
    uint32_t buckets;
    uint32_t chunk_room, dir_room; /* slots of the first chunk, and of the directory */
    uint64_t count, bytes;
    uint64_t volatiles; /* entries that have a time of expiry */
};

struct entry {
    store_ref next;
    uint32_t clock : 24, type : 6, saved : 1, expires : 1; /* clock: see evict.h; saved: see snapshot.h */
    uint32_t key_len, value_len;                /* bytes */
    char bytes[];
};

typedef store_ref place;

static inline char *entry_key(struct entry *e) { return e->bytes + (e->expires ? 8 : 0); }
static inline char *entry_value(struct entry *e) { return entry_key(e) + e->key_len; }
static inline size_t entry_bytes(size_t key_len, size_t value_len, bool expires)
{
    size_t bytes = offsetof(struct entry, bytes) + (expires ? 8 : 0) + key_len + value_len;
    return bytes > sizeof(struct entry) ? bytes : sizeof(struct entry); // the struct may end in padding
}
static inline size_t entry_size(const struct entry *e) { return entry_bytes(e->key_len, e->value_len, e->expires); }

/* Unix time in milliseconds; 0: never. */
static inline int64_t entry_expiry(const struct entry *e)
{
    int64_t t = 0;
    if (e->expires)
        memcpy(&t, e->bytes, 8);
    return t;
}

/* What an entry owns (ENTRY_OWNS): how many bytes, and to leave it to those who free it. The table calls these; their
 * owner is aggregate.c. */
uint64_t entry_owned(struct entry *e);
void entry_disown(struct entry *e);

/* The place of a key, or NULL. */
place *table_find(struct table *t, const char *key, size_t len);
/* Its hash_bytes is known; *e becomes the entry. */
place *table_find_hashed(struct table *t, uint64_t hash, const char *key, size_t len, struct entry **e);

/* Load what table_find of a key with this hash will look at, in two steps; between them others may be begun. */
place *table_expect_bucket(const struct table *t, uint64_t hash);
void table_expect_entry(const place *bucket);

/* Add a key that is not in the table. The value is undefined, the type 0, the clock 0. */
place *table_add(struct table *t, const char *key, size_t len, size_t value_len, int64_t expiry);

/* Change the length of the value; the bytes up to the shorter length stay. Shortening never fails. */
struct entry *table_resize(struct table *t, place *p, size_t value_len);

/* Set or take away the time of expiry; 0: never. */
struct entry *table_expire(struct table *t, place *p, int64_t expiry);

void table_remove(struct table *t, place *p);

/* The entry goes over into another table, under another name. The name must not be there. */
bool table_rename(struct table *from, place *p, struct table *to, const char *key, size_t len);

/* Free up to `most` entries and buckets of a table that is not used any more. True when nothing is left. */
bool table_destroy(struct table *t, size_t most);

/* A random entry, nearly uniform; NULL when the table is empty. */
place *table_random(struct table *t);

/* Call `see` for all entries of the bucket at `cursor`. Returns the next cursor; 0 is the first, and says that this
 * was the last. `see` must not change the table. */
uint64_t table_scan(struct table *t, uint64_t cursor, void (*see)(void *data, struct entry *e), void *data);

/* The same for the places of all entries of a bucket. `see` may put another reference in a place, to a copy. */
typedef void place_see(void *data, place *p);
uint64_t table_visit(struct table *t, uint64_t cursor, place_see *see, void *data);

/* Remove what `drop` chooses of the bucket at `cursor`; otherwise as table_scan. */
uint64_t table_sweep(struct table *t, uint64_t cursor, bool (*drop)(void *data, struct entry *e), void *data);

#endif
