/* snapshot.h - all data as they were at one moment, written to a file while the server serves, and loaded at start.
 *
 * Idea: no fork. Every entry has a bit that says whether it is in the snapshot already, or need not be. A walk through
 * the tables writes a few entries at a time. A command that finds a key which the walk has not reached writes it first
 * (key_find calls snapshot_keep), so what is written is what was there when the snapshot began.
 *
 * P1  While a snapshot is written, an entry whose bit equals server.epoch is in the file, or is younger than the
 *     snapshot. snapshot_begin turns the epoch over; evict_born gives new entries the present one.
 * P2  FILE is replaced only by a whole snapshot: the data go to FILE.tmp, are synced by a thread of their own, and the
 *     file is renamed.
 * P3  A file is checked whole before anything of it is loaded.
 *
 * FLUSHALL and FLUSHDB end a snapshot that is being written, as in Redis. An aggregate is written in one step.
 *
 * File, in the machine's byte order: SNAPSHOT_MAGIC; records; a record of kind SNAPSHOT_END whose `parts` is the number
 * of records before it; the checksum of all that, 8 bytes. A record is a struct snapshot_record, the key, and `parts`
 * items as in pack.h: the bytes of a string, items of a list, members, fields and values, or scores with members.
 *
 * Fails: one line on stderr; the file that was there stays. */
#ifndef KV_SNAPSHOT_H
#define KV_SNAPSHOT_H

#include "server.h"

#define SNAPSHOT_MAGIC "KVSNAP01"
enum { SNAPSHOT_END = 255 };

struct snapshot_record {
    uint8_t kind, db, unused[2];
    uint32_t key_len, parts;
    uint32_t zero;
    int64_t expiry;
};

/* The checksum of more bytes; len is a multiple of 8 but for the last call. */
uint64_t snapshot_sum(uint64_t sum, const void *bytes, size_t len);

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

/* At the end of the program: end one that is being written, or wait for the disk if it is whole. */
void snapshot_cancel(void);

/* Whether the last one was not written whole. */
bool snapshot_last_failed(void);

/* Load server.snapshot if that file exists. False: it cannot be used, which has been said. */
bool snapshot_load(void);

#endif
