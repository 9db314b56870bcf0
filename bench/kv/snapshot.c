#define _GNU_SOURCE
#include "snapshot.h"
#include "commands.h"
#include "map.h"
#include "row.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER = 32 * 1024, STEP_NS = 150 * 1000, SYNCING = 1, SYNCED = 2, SYNC_FAILED = 3 };

static struct {
    int fd;
    char *buffer; /* BUFFER bytes */
    size_t len;
    uint64_t sum, cursor;
    uint32_t records;
    unsigned db;
    bool failed;
    int64_t last; /* when the last one was whole, Unix time in seconds */
    bool last_failed;
    char tmp[4096 + 8];
} s = {.fd = -1};

static pthread_t syncer;

/* Stored by the thread at the end of its work (release), read by the server (acquire). */
static _Atomic int sync_state;

uint64_t snapshot_sum(uint64_t sum, const void *bytes, size_t len)
{
    const char *p = bytes;
    while (len > 0) {
        uint64_t word = 0;
        size_t n = len < 8 ? len : 8;
        memcpy(&word, p, n);
        sum = (sum ^ word) * 0x9e3779b97f4a7c15u;
        sum ^= sum >> 29;
        p += n;
        len -= n;
    }
    return sum;
}

/* ---- output ---- */

static void write_out(const char *bytes, size_t len)
{
    while (len > 0 && !s.failed) {
        ssize_t n = write(s.fd, bytes, len);
        if (n < 0 && errno != EINTR) {
            fprintf(stderr, "kv: cannot write %s: %s\n", s.tmp, strerror(errno));
            s.failed = true;
        }
        bytes += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
}

/* What is summed is a multiple of 8 bytes, but for the end. */
static void drain(bool end)
{
    size_t len = end ? s.len : s.len & ~(size_t)7;
    s.sum = snapshot_sum(s.sum, s.buffer, len);
    write_out(s.buffer, len);
    memmove(s.buffer, s.buffer + len, s.len - len);
    s.len -= len;
}

static void put(const void *bytes, size_t len)
{
    const char *p = bytes;
    while (len > 0) {
        size_t n = len < BUFFER - s.len ? len : BUFFER - s.len;
        memcpy(s.buffer + s.len, p, n);
        s.len += n;
        p += n;
        len -= n;
        if (s.len == BUFFER)
            drain(false);
    }
}

static void put_item(const struct item *item)
{
    char header[8];
    put(header, (size_t)(pack_header(header, item->len) - header));
    put(item->at, item->len);
}

/* ---- entries ---- */

static void see_item(void *unused, const struct item *item)
{
    (void)unused;
    put_item(item);
}

static void see_part(void *entry, const struct item *field, const struct item *value)
{
    put_item(field);
    if ((((struct entry *)entry)->type & ENTRY_KIND) == ENTRY_HASH)
        put_item(value);
}

static uint32_t parts_of(struct entry *e)
{
    unsigned kind = e->type & ENTRY_KIND;
    return kind == ENTRY_STRING ? 1 : (uint32_t)aggregate_count(e) * (kind == ENTRY_HASH ? 2 : 1);
}

void snapshot_keep_slowly(const struct table *db, struct entry *e)
{
    unsigned kind = e->type & ENTRY_KIND;
    struct snapshot_record record = {.kind = (uint8_t)kind, .db = (uint8_t)(db - server.db), .key_len = e->key_len,
                                     .parts = parts_of(e), .expiry = entry_expiry(e)};
    e->saved = server.epoch;
    put(&record, sizeof record);
    put(entry_key(e), e->key_len);
    if (kind == ENTRY_STRING)
        put_item(&(struct item){entry_value(e), e->value_len});
    else if (kind == ENTRY_LIST || kind == ENTRY_ZSET)
        row_each(e, 0, row_count(e), false, see_item, NULL);
    else
        map_each(e, see_part, e);
    s.records++;
}

static void see(void *db, struct entry *e) { snapshot_keep(db, e); }

/* ---- beginning and end ---- */

static void end(bool good)
{
    if (s.fd >= 0)
        close(s.fd);
    s.fd = -1;
    free(s.buffer);
    s.buffer = NULL;
    if (!good)
        unlink(s.tmp);
    s.last_failed = !good;
    if (good)
        s.last = server.now / 1000;
    server.saving = false;
}

static bool begin(const struct call *c)
{
    snprintf(s.tmp, sizeof s.tmp, "%s.tmp", server.snapshot);
    s.buffer = malloc(BUFFER);
    s.fd = s.buffer == NULL ? -1 : open(s.tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (s.fd < 0) {
        reply_error(c->out, "ERR cannot write %s: %s", s.tmp, s.buffer == NULL ? "no memory" : strerror(errno));
        free(s.buffer);
        s.buffer = NULL;
        return false;
    }
    s.len = 0;
    s.sum = s.cursor = 0;
    s.records = s.db = 0;
    s.failed = false;
    server.epoch = !server.epoch;
    server.saving = true;
    put(SNAPSHOT_MAGIC, 8);
    return true;
}

static void *sync_file(void *unused)
{
    (void)unused;
    bool good = fsync(s.fd) == 0 && rename(s.tmp, server.snapshot) == 0;
    if (!good)
        fprintf(stderr, "kv: cannot keep %s: %s\n", s.tmp, strerror(errno));
    close(s.fd); // here, because it may wait for the disk, too
    s.fd = -1;
    atomic_store_explicit(&sync_state, good ? SYNCED : SYNC_FAILED, memory_order_release);
    return NULL;
}

/* All entries are written: the end mark, and then the disk, which a thread waits for. */
static void finish(void)
{
    struct snapshot_record record = {.kind = SNAPSHOT_END, .parts = s.records};
    put(&record, sizeof record);
    drain(true);
    write_out((const char *)&s.sum, sizeof s.sum);
    if (s.failed) {
        end(false);
        return;
    }
    atomic_store_explicit(&sync_state, SYNCING, memory_order_relaxed); // the thread does not run yet
    if (pthread_create(&syncer, NULL, sync_file, NULL) != 0) {
        fprintf(stderr, "kv: no thread for %s\n", s.tmp);
        atomic_store_explicit(&sync_state, 0, memory_order_relaxed);
        end(false);
    }
}

/* The thread has ended, or is waited for. True: there was one. */
static bool join(bool wait)
{
    int state = atomic_load_explicit(&sync_state, memory_order_acquire); // pairs with sync_file
    if (state == 0 || (state == SYNCING && !wait))
        return state != 0;
    pthread_join(syncer, NULL);
    state = atomic_load_explicit(&sync_state, memory_order_relaxed); // joined
    atomic_store_explicit(&sync_state, 0, memory_order_relaxed);
    end(state == SYNCED);
    return true;
}

/* A bucket of the walk. False: all is written. */
static bool walk(void)
{
    while (s.db < DATABASES && server.db[s.db].count == 0)
        s.db++, s.cursor = 0;
    if (s.db == DATABASES)
        return false;
    s.cursor = table_scan(&server.db[s.db], s.cursor, see, &server.db[s.db]);
    if (s.cursor == 0)
        s.db++;
    return true;
}

bool snapshot_step(void)
{
    struct timespec from, now;
    if (!server.saving || join(false))
        return false; // the thread's end is seen in time
    clock_gettime(CLOCK_MONOTONIC, &from);
    do {
        bool more = true;
        for (int i = 0; i < 16 && more && !s.failed; i++)
            more = walk();
        if (s.failed)
            end(false);
        else if (!more)
            finish();
        if (s.failed || !more)
            return false;
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((now.tv_sec - from.tv_sec) * 1000000000 + now.tv_nsec - from.tv_nsec < STEP_NS);
    return true;
}

void snapshot_abandon(void)
{
    if (server.saving && atomic_load_explicit(&sync_state, memory_order_relaxed) == 0) // 0 is the server's own word
        end(false);
}

void snapshot_cancel(void)
{
    if (server.saving && !join(true))
        end(false);
}

/* ---- commands ---- */

static bool may_begin(const struct call *c)
{
    if (server.snapshot == NULL)
        reply_error(c->out, "ERR there is no file for snapshots: start the server with --snapshot FILE");
    else if (server.saving)
        reply_error(c->out, "ERR Background save already in progress");
    else
        return begin(c);
    return false;
}

void cmd_bgsave(const struct call *c)
{
    if (may_begin(c))
        reply_status(c->out, "Background saving started");
}

void cmd_save(const struct call *c)
{
    if (!may_begin(c))
        return;
    while (!s.failed && walk())
        continue;
    if (s.failed)
        end(false);
    else
        finish();
    (void)join(true);
    if (s.last_failed)
        reply_error(c->out, "ERR the snapshot could not be written");
    else
        reply_status(c->out, "OK");
}

void cmd_lastsave(const struct call *c) { reply_integer(c->out, s.last != 0 ? s.last : server.started / 1000); }

bool snapshot_last_failed(void) { return s.last_failed; }
