/* snapshot.h - all data as they were at one moment, written to a file while the server serves, and loaded at start.
 *
 * Idea: no fork. Every entry has a bit that says whether it is in the snapshot already, or need not be. A walk through
 * the tables writes a few entries at a time. A command that finds a key which the walk has not reached writes it first
 * (key_find calls snapshot_keep), so what is written is what was there when the snapshot began.
 *
 * P1  While a snapshot is written, an entry whose bit equals server.epoch is in the file or has a part, or is younger
 *     than the snapshot. Its beginning turns the epoch over; evict_born gives new entries the present one.
 * P2  FILE is replaced only by a whole snapshot: the data go to FILE.tmp, written and synced by a thread of their own
 *     (snapshot_file.h), and the file is renamed.
 * P3  A file is checked whole before anything of it is loaded.
 *
 * Large aggregates have parts (snapshot_part.h). A snapshot that is given up, because data were flushed or the file
 * cannot be written, goes on in silence until all bits are equal; one that is asked for meanwhile begins then.
 *
 * File, in the machine's byte order: SNAPSHOT_MAGIC; records; a record of kind SNAPSHOT_END whose `parts` is the number
 * of records before it; the checksum of all that, 8 bytes. A record is a struct snapshot_record, the key, and `parts`
 * items as in pack.h: the bytes of a string, items of a list, members, fields and values, or scores with members. Of a
 * key several fragments may follow, of a list with the number of their first item, and patches: these items take the
 * place of others, the first patch of an item last.
 *
 * Fails: one line on stderr; the file that was there stays. */
#ifndef KV_SNAPSHOT_H
#define KV_SNAPSHOT_H

#include "pack.h"
#include "server.h"

#define SNAPSHOT_MAGIC "KVSNAP02"
enum { SNAPSHOT_END = 255, SNAPSHOT_FRAGMENT = 1, SNAPSHOT_PATCH = 2 };

struct snapshot_record {
    uint8_t kind, db, fragment, unused;
    uint32_t key_len, parts;
    uint32_t index; /* of a fragment of a list */
    int64_t expiry;
};

/* What records are made of. */
void snapshot_put_record(const struct snapshot_record *record, const char *key);
void snapshot_put_item(const struct item *item);
void snapshot_put_pair(const struct item *a, const struct item *b); /* as one item */

/* No memory for a snapshot. */
void snapshot_fail(void);

/* Write an entry that the snapshot lacks. Before it is changed or removed. */
void snapshot_keep_slowly(const struct table *db, struct entry *e);
static inline void snapshot_keep(const struct table *db, struct entry *e)
{
    if (__builtin_expect(server.saving, 0) && e->saved != server.epoch)
        snapshot_keep_slowly(db, e);
}

/* One bounded piece of work, within a batch of the store. True: more is waiting. */
bool snapshot_step(void);

/* Before data are flushed: a snapshot that lacks some of them is ended. */
void snapshot_abandon(void);

/* At the end of the program: give up one that is being written, or wait for the disk if it is whole. */
void snapshot_cancel(void);

/* Whether one is being written. */
bool snapshot_is_written(void);

/* Whether the last one was not written whole. */
bool snapshot_last_failed(void);

/* Load server.snapshot if that file exists. False: it cannot be used, which has been said. */
bool snapshot_load(void);

#endif
