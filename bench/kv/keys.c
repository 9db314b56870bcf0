/* keys.c - finding keys, and the commands that every type of value obeys. */
#include "commands.h"
#include "evict.h"
#include "hash.h"
#include "snapshot.h"
#include "watch.h"

#include <ctype.h>

const char *key_kind(const struct entry *e)
{
    static const char *const kinds[] = {"string", "list", "set", "zset", "hash"};
    return kinds[e->type & ENTRY_KIND];
}

bool key_is(const struct call *c, place *p, unsigned kind)
{
    if ((((struct entry *)store_at(*p))->type & ENTRY_KIND) == kind)
        return true;
    reply_wrong_type(c);
    return false;
}

void reply_wrong_type(const struct call *c)
{
    reply_error(c->out, "WRONGTYPE Operation against a key holding the wrong kind of value");
}

void reply_no_memory(const struct call *c) { reply_error(c->out, "OOM command not allowed: out of memory"); }

static place *find(const struct call *c, uint32_t i, struct entry **e)
{
    const char *key = arg(c, i);
    size_t len = arg_len(c, i);
    uint64_t hash = i == 1 && c->hash != NULL ? *c->hash : hash_bytes(key, len);
    place *p = table_find_hashed(c->db, hash, key, len, e);
    if (p == NULL)
        return NULL;
    if (!(*e)->expires || entry_expiry(*e) > server.now) {
        snapshot_keep(c->db, *e);
        return p;
    }
    watch_touch_entry(c->db, *e);
    table_remove(c->db, p);
    server.expired++;
    return NULL;
}

place *key_find(const struct call *c, uint32_t i)
{
    struct entry *e;
    return find(c, i, &e);
}

static place *look(const struct call *c, uint32_t i, struct entry **e)
{
    place *p = find(c, i, e);
    server.misses += p == NULL;
    server.hits += p != NULL;
    if (p != NULL)
        evict_touch(*e);
    return p;
}

place *key_look(const struct call *c, uint32_t i)
{
    struct entry *e;
    return look(c, i, &e);
}

struct entry *key_read(const struct call *c, uint32_t i)
{
    struct entry *e;
    return look(c, i, &e) == NULL ? NULL : e;
}

/* What is no string becomes an empty one. */
static void key_clear(struct table *db, place *p)
{
    struct entry *e = store_at(*p);
    if (e->type == ENTRY_STRING)
        return;
    if (e->type & ENTRY_OWNS) {
        db->bytes -= entry_owned(e);
        entry_disown(e);
    }
    e->type = ENTRY_STRING;
    (void)table_resize(db, p, 0);
}

bool key_set(const struct call *c, uint32_t i, place *p, const char *value, size_t len, int64_t expiry)
{
    struct entry *e = NULL;
    if (p == NULL) {
        p = table_add(c->db, arg(c, i), arg_len(c, i), len, expiry);
        if (p != NULL) {
            e = store_at(*p);
            evict_born(e);
        }
    } else {
        e = store_at(*p);
        if (e->type != ENTRY_STRING || e->value_len != len || e->expires || expiry != 0) {
            key_clear(c->db, p);
            e = table_resize(c->db, p, len);
            e = e == NULL ? NULL : table_expire(c->db, p, expiry);
        }
        if (e != NULL)
            evict_touch(e);
    }
    if (e == NULL) {
        reply_no_memory(c);
        return false;
    }
    memcpy(entry_value(e), value, len);
    watch_touch_arg(c, i);
    return true;
}

void db_flush(struct table *db)
{
    watch_flush(db);
    snapshot_abandon();
    if (evict_discard(db))
        return;
    while (!table_destroy(db, UINT32_MAX)) // more flushes are waiting than anybody sends
        continue;
}

/* ---- commands ---- */

void cmd_del(const struct call *c)
{
    int64_t removed = 0;
    for (uint32_t i = 1; i < c->argc; i++) {
        place *p = key_find(c, i);
        if (p != NULL) {
            watch_touch_arg(c, i);
            table_remove(c->db, p);
            removed++;
        }
    }
    reply_integer(c->out, removed);
}

void cmd_exists(const struct call *c)
{
    int64_t found = 0;
    for (uint32_t i = 1; i < c->argc; i++)
        found += key_look(c, i) != NULL;
    reply_integer(c->out, found);
}

void cmd_type(const struct call *c)
{
    place *p = key_find(c, 1);
    reply_status(c->out, p == NULL ? "none" : key_kind(store_at(*p)));
}

/* EXPIRE and its family: NX, XX, GT and LT say when. */
void cmd_expire(const struct call *c)
{
    bool absolute = arg_is(c, 0, "expireat") || arg_is(c, 0, "pexpireat");
    int64_t unit = tolower(arg(c, 0)[0]) == 'p' ? 1 : 1000, when;
    bool nx = false, xx = false, gt = false, lt = false;
    for (uint32_t i = 3; i < c->argc; i++) {
        bool known = (arg_is(c, i, "nx") && (nx = true)) || (arg_is(c, i, "xx") && (xx = true)) ||
                     (arg_is(c, i, "gt") && (gt = true)) || (arg_is(c, i, "lt") && (lt = true));
        if (!known) {
            reply_error(c->out, "ERR Unsupported option %.*s", (int)arg_len(c, i), arg(c, i));
            return;
        }
    }
    if (nx && (xx || gt || lt)) {
        reply_error(c->out, "ERR NX and XX, GT or LT options at the same time are not compatible");
        return;
    }
    if (gt && lt) {
        reply_error(c->out, "ERR GT and LT options at the same time are not compatible");
        return;
    }
    if (!arg_integer(c, 2, &when))
        return;
    if (__builtin_mul_overflow(when, unit, &when) || __builtin_add_overflow(when, absolute ? 0 : server.now, &when)) {
        reply_expire_error(c);
        return;
    }
    place *p = key_find(c, 1);
    int64_t is = p == NULL ? 0 : entry_expiry(store_at(*p));
    if (p == NULL || (nx && is != 0) || (xx && is == 0) || (gt && (is == 0 || when <= is)) ||
        (lt && is != 0 && when >= is)) {
        reply_integer(c->out, 0);
        return;
    }
    watch_touch_arg(c, 1);
    if (when <= server.now)
        table_remove(c->db, p);
    else if (table_expire(c->db, p, when) == NULL) {
        reply_no_memory(c);
        return;
    }
    reply_integer(c->out, 1);
}

void cmd_ttl(const struct call *c)
{
    bool fine = tolower(arg(c, 0)[0]) == 'p';
    place *p = key_find(c, 1);
    int64_t is = p == NULL ? 0 : entry_expiry(store_at(*p));
    if (is == 0)
        reply_integer(c->out, p == NULL ? -2 : -1);
    else
        reply_integer(c->out, fine ? is - server.now : (is - server.now + 500) / 1000);
}

void cmd_persist(const struct call *c)
{
    place *p = key_find(c, 1);
    bool had = p != NULL && ((struct entry *)store_at(*p))->expires;
    if (had) {
        watch_touch_arg(c, 1);
        (void)table_expire(c->db, p, 0);
    }
    reply_integer(c->out, had);
}

void cmd_rename(const struct call *c)
{
    bool nx = arg_is(c, 0, "renamenx");
    place *p = key_find(c, 1), *there;
    if (p == NULL) {
        reply_error(c->out, "ERR no such key");
        return;
    }
    bool same = arg_len(c, 1) == arg_len(c, 2) && memcmp(arg(c, 1), arg(c, 2), arg_len(c, 1)) == 0;
    there = same ? p : key_find(c, 2);
    if (nx && there != NULL) {
        reply_integer(c->out, 0);
        return;
    }
    if (!same) {
        watch_touch_arg(c, 1);
        watch_touch_arg(c, 2);
        if (there != NULL)
            table_remove(c->db, there);
        if (!table_rename(c->db, key_find(c, 1), c->db, arg(c, 2),
                          arg_len(c, 2))) { // found again: its place may have changed
            reply_no_memory(c);
            return;
        }
    }
    if (nx)
        reply_integer(c->out, 1);
    else
        reply_status(c->out, "OK");
}

void cmd_randomkey(const struct call *c)
{
    for (int tries = 0; tries < 100; tries++) {
        place *p = table_random(c->db);
        struct entry *e = p == NULL ? NULL : store_at(*p);
        if (e == NULL)
            break;
        if (!e->expires || entry_expiry(e) > server.now) {
            reply_bulk(c->out, entry_key(e), e->key_len);
            return;
        }
        watch_touch_entry(c->db, e);
        table_remove(c->db, p);
        server.expired++;
    }
    reply_null(c->out);
}

void cmd_dbsize(const struct call *c) { reply_integer(c->out, (int64_t)c->db->count); }

void cmd_flush(const struct call *c)
{
    if (c->argc > 2 || (c->argc == 2 && !arg_is(c, 1, "async") && !arg_is(c, 1, "sync"))) {
        reply_error(c->out, "ERR syntax error");
        return;
    }
    bool all = arg_is(c, 0, "flushall");
    for (unsigned d = 0; d < DATABASES; d++) {
        if (all || &server.db[d] == c->db)
            db_flush(&server.db[d]);
    }
    reply_status(c->out, "OK");
}
