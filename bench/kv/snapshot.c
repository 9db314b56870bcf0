#include "snapshot.h"
#include "commands.h"
#include "map.h"
#include "row.h"
#include "snapshot_file.h"
#include "snapshot_part.h"
#include "work.h"

#include <stdio.h>
#include <unistd.h>

enum { STEP_NS = 100 * 1000, STEP_MOST = 4096, BUCKETS = 16 };

static struct {
    enum { OFF, WRITES, ENDS, SETTLES } mode; /* ENDS: the thread does the rest */
    uint64_t cursor;
    uint32_t records;
    unsigned db;
    bool scheduled; /* one is to begin when this one is settled */
    int64_t last;   /* when the last one was whole, Unix time in seconds */
    bool last_failed;
} s;

bool snapshot_is_written(void) { return s.mode == WRITES || s.mode == ENDS; }
bool snapshot_last_failed(void) { return s.last_failed; }

/* ---- records ---- */

void snapshot_put_record(const struct snapshot_record *record, const char *key)
{
    snapshot_file_put(record, sizeof *record);
    snapshot_file_put(key, record->key_len);
    s.records++;
}

void snapshot_put_item(const struct item *item)
{
    char header[8];
    snapshot_file_put(header, (size_t)(pack_header(header, item->len) - header));
    snapshot_file_put(item->at, item->len);
}

void snapshot_put_pair(const struct item *a, const struct item *b)
{
    char header[8];
    snapshot_file_put(header, (size_t)(pack_header(header, a->len + b->len) - header));
    snapshot_file_put(a->at, a->len);
    snapshot_file_put(b->at, b->len);
}

static void put_small(const struct table *db, struct entry *e)
{
    unsigned kind = e->type & ENTRY_KIND;
    uint32_t parts = kind == ENTRY_STRING ? 1 : pack_count(entry_value(e), entry_value(e) + e->value_len);
    struct snapshot_record record = {.kind = (uint8_t)kind, .db = (uint8_t)(db - server.db), .key_len = e->key_len,
                                     .parts = parts, .expiry = entry_expiry(e)};
    snapshot_put_record(&record, entry_key(e));
    if (kind == ENTRY_STRING)
        snapshot_put_item(&(struct item){entry_value(e), e->value_len});
    else
        snapshot_file_put(entry_value(e), e->value_len);
}

void snapshot_keep_slowly(const struct table *db, struct entry *e)
{
    e->saved = server.epoch;
    work_done++;
    if (s.mode != WRITES)
        return;
    if (!aggregate_is_large(e))
        put_small(db, e);
    else if (!snapshot_part_begin(db, e))
        snapshot_fail();
}

/* ---- beginning and end ---- */

static const char *begin(void)
{
    const char *error = snapshot_file_begin(server.snapshot);
    s.scheduled = false;
    s.last_failed |= error != NULL;
    if (error != NULL)
        return error;
    s.cursor = 0;
    s.records = s.db = 0;
    s.mode = WRITES;
    server.epoch = !server.epoch;
    server.saving = true;
    snapshot_file_put(SNAPSHOT_MAGIC, 8);
    return NULL;
}

static void give_up(void)
{
    if (s.mode == WRITES)
        snapshot_file_end(false);
    s.mode = SETTLES;
    s.last_failed = true;
    snapshot_part_silence();
}

void snapshot_fail(void)
{
    fputs("kv: no memory for a snapshot\n", stderr);
    give_up();
}

void snapshot_abandon(void)
{
    if (s.mode == WRITES)
        give_up();
}

/* All entries are written: the end mark. The thread does the rest. */
static void finish(void)
{
    struct snapshot_record record = {.kind = SNAPSHOT_END, .parts = s.records};
    snapshot_file_put(&record, sizeof record);
    snapshot_file_end(true);
    s.mode = ENDS;
}

static void off(bool good)
{
    s.mode = OFF;
    server.saving = false;
    s.last_failed = !good;
    if (good)
        s.last = server.now / 1000;
}

static void see(void *db, struct entry *e) { snapshot_keep(db, e); }

/* Some of the walk. False: all has been seen. */
static bool walk(void)
{
    if (snapshot_part_step())
        return true;
    for (int i = 0; i < BUCKETS; i++) {
        while (s.db < DATABASES && server.db[s.db].count == 0)
            s.db++, s.cursor = 0;
        if (s.db == DATABASES)
            return snapshot_part_step();
        s.cursor = table_scan(&server.db[s.db], s.cursor, see, &server.db[s.db]);
        s.db += s.cursor == 0;
    }
    return true;
}

/* What the thread has come to. */
static void look_at_file(bool wait)
{
    enum file_state state = s.mode == OFF ? FILE_NONE : snapshot_file_state(wait);
    if (state == FILE_WRITTEN && s.mode == ENDS)
        off(true);
    else if (state == FILE_FAILED && s.mode == ENDS)
        off(false);
    else if (state == FILE_FAILING && s.mode == WRITES)
        give_up();
}

/* What is next. False: nothing to do for now. */
static bool piece(void)
{
    if (s.mode == ENDS || (s.mode == WRITES && snapshot_file_is_busy()))
        return false;
    if (walk())
        return true;
    if (s.mode == WRITES) {
        finish();
    } else if (snapshot_file_state(false) == FILE_NONE) {
        off(false);
        if (s.scheduled && begin() != NULL)
            fprintf(stderr, "kv: cannot write %s\n", server.snapshot);
    }
    return false;
}

bool snapshot_step(void)
{
    uint64_t end = clock_ns() + STEP_NS, most = work_done + STEP_MOST;
    look_at_file(false);
    bool more = server.saving;
    while (more && work_done < most && clock_ns() < end)
        more = piece();
    return more;
}

void snapshot_cancel(void)
{
    if (s.mode == WRITES)
        give_up();
    (void)snapshot_file_state(true);
    snapshot_part_forget();
    s.mode = OFF;
    server.saving = false;
}

/* ---- commands ---- */

static bool may_begin(const struct call *c)
{
    if (server.snapshot == NULL)
        reply_error(c->out, "ERR there is no file for snapshots: start the server with --snapshot FILE");
    else if (snapshot_is_written())
        reply_error(c->out, "ERR Background save already in progress");
    else
        return true;
    return false;
}

static bool began(const struct call *c)
{
    const char *error = begin();
    if (error != NULL)
        reply_error(c->out, "ERR cannot write %s.tmp: %s", server.snapshot, error);
    return error == NULL;
}

void cmd_bgsave(const struct call *c)
{
    if (!may_begin(c))
        return;
    s.scheduled = s.mode == SETTLES;
    if (s.scheduled)
        reply_status(c->out, "Background saving scheduled");
    else if (began(c))
        reply_status(c->out, "Background saving started");
}

void cmd_save(const struct call *c)
{
    if (!may_begin(c))
        return;
    while (s.mode == SETTLES && walk())
        continue;
    if (s.mode == SETTLES) {
        (void)snapshot_file_state(true);
        off(false);
    }
    if (!began(c))
        return;
    while (s.mode == WRITES && walk()) {
        while (snapshot_file_is_busy())
            usleep(100);
        look_at_file(false);
    }
    if (s.mode == WRITES)
        finish();
    look_at_file(true);
    if (s.last_failed)
        reply_error(c->out, "ERR the snapshot could not be written");
    else
        reply_status(c->out, "OK");
}

void cmd_lastsave(const struct call *c) { reply_integer(c->out, s.last != 0 ? s.last : server.started / 1000); }
