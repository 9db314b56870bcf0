/* hashes.c - the commands on hashes, and what hashes, sets and sorted sets share. */
#include "commands.h"
#include "map.h"

#include <stdio.h>

/* ---- scans ---- */

struct part_search {
    struct reply found;
    const char *pattern;
    size_t pattern_len;
    scan_show *show;
    uint64_t n;
};

static void see_part(void *data, const struct item *name, const struct item *value)
{
    struct part_search *s = data;
    if (s->pattern == NULL || glob_match(s->pattern, s->pattern_len, name->at, name->len))
        s->n += s->show(&s->found, name, value);
}

/* The options of a scan from argument 3 on. */
static bool scan_options(const struct call *c, struct part_search *s, int64_t *count)
{
    for (uint32_t i = 3; i < c->argc; i += 2) {
        bool more = i + 1 < c->argc;
        if (more && arg_is(c, i, "count")) {
            if (!arg_integer(c, i + 1, count))
                return false;
        } else if (more && arg_is(c, i, "match")) {
            s->pattern = arg(c, i + 1);
            s->pattern_len = arg_len(c, i + 1);
        } else {
            *count = 0;
        }
        if (*count < 1) {
            reply_error(c->out, "ERR syntax error");
            return false;
        }
    }
    return true;
}

void aggregate_scan(const struct call *c, unsigned kind, scan_show *show)
{
    struct part_search s = {.show = show};
    int64_t count = 10;
    uint64_t cursor;
    char text[24] = "0";
    place *p;
    if (!arg_cursor(c, 2, &cursor) || !aggregate_open(c, kind, &p))
        return;
    if (p != NULL) {
        if (!scan_options(c, &s, &count))
            return;
        int64_t buckets = count > INT64_MAX / 10 ? INT64_MAX : count * 10;
        do
            cursor = map_scan(store_at(*p), cursor, see_part, &s);
        while (cursor != 0 && s.n < (uint64_t)count && --buckets > 0);
        snprintf(text, sizeof text, "%llu", (unsigned long long)cursor);
    }
    reply_array(c->out, 2);
    reply_text(c->out, text);
    reply_array(c->out, s.n);
    reply_raw(c->out, s.found.bytes, s.found.len);
    c->out->broken |= s.found.broken;
    reply_free(&s.found);
}

/* ---- what else they share ---- */

void aggregate_reply_count(const struct call *c, unsigned kind)
{
    place *p;
    if (aggregate_open(c, kind, &p))
        reply_integer(c->out, p == NULL ? 0 : (int64_t)aggregate_count(store_at(*p)));
}

void aggregate_remove(const struct call *c, unsigned kind)
{
    int64_t removed = 0;
    place *p;
    if (!aggregate_open(c, kind, &p))
        return;
    for (uint32_t i = 2; p != NULL && i < c->argc; i++)
        removed += map_remove(c->db, p, arg(c, i), arg_len(c, i));
    if (p != NULL)
        aggregate_close(c->db, p);
    reply_integer(c->out, removed);
}

/* ---- hashes ---- */

void cmd_hset(const struct call *c)
{
    bool old_form = arg_is(c, 0, "hmset");
    int64_t added = 0;
    place *p;
    if (c->argc % 2 != 0) {
        reply_error(c->out, "ERR wrong number of arguments for '%s' command", old_form ? "hmset" : "hset");
        return;
    }
    if (!aggregate_make(c, ENTRY_HASH, &p))
        return;
    for (uint32_t i = 2; i < c->argc; i += 2) {
        enum map_put put = map_put(c->db, p, arg(c, i), arg_len(c, i), arg(c, i + 1), arg_len(c, i + 1));
        if (put == MAP_NO_MEMORY) {
            reply_no_memory(c);
            aggregate_close(c->db, p);
            return;
        }
        added += put == MAP_NEW;
    }
    if (old_form)
        reply_status(c->out, "OK");
    else
        reply_integer(c->out, added);
}

void cmd_hsetnx(const struct call *c)
{
    struct item value;
    place *p;
    if (!aggregate_make(c, ENTRY_HASH, &p))
        return;
    bool there = map_find(store_at(*p), arg(c, 2), arg_len(c, 2), &value);
    if (!there && map_put(c->db, p, arg(c, 2), arg_len(c, 2), arg(c, 3), arg_len(c, 3)) == MAP_NO_MEMORY) {
        reply_no_memory(c);
        aggregate_close(c->db, p);
        return;
    }
    reply_integer(c->out, !there);
}

static void reply_field(const struct call *c, place *p, uint32_t i)
{
    struct item value;
    if (p != NULL && map_find(store_at(*p), arg(c, i), arg_len(c, i), &value))
        reply_bulk(c->out, value.at, value.len);
    else
        reply_null(c->out);
}

void cmd_hget(const struct call *c)
{
    place *p;
    if (aggregate_open(c, ENTRY_HASH, &p))
        reply_field(c, p, 2);
}

void cmd_hmget(const struct call *c)
{
    place *p;
    if (!aggregate_open(c, ENTRY_HASH, &p))
        return;
    reply_array(c->out, c->argc - 2);
    for (uint32_t i = 2; i < c->argc; i++)
        reply_field(c, p, i);
}

void cmd_hdel(const struct call *c) { aggregate_remove(c, ENTRY_HASH); }
void cmd_hlen(const struct call *c) { aggregate_reply_count(c, ENTRY_HASH); }

void cmd_hstrlen(const struct call *c)
{
    struct item value = {"", 0};
    place *p;
    if (!aggregate_open(c, ENTRY_HASH, &p))
        return;
    bool there = p != NULL && map_find(store_at(*p), arg(c, 2), arg_len(c, 2), &value);
    reply_integer(c->out, there ? (int64_t)value.len : 0);
}

void cmd_hexists(const struct call *c)
{
    struct item value;
    place *p;
    if (aggregate_open(c, ENTRY_HASH, &p))
        reply_integer(c->out, p != NULL && map_find(store_at(*p), arg(c, 2), arg_len(c, 2), &value));
}

void cmd_hincrby(const struct call *c)
{
    int64_t by, is = 0;
    struct item value;
    char text[24];
    place *p;
    if (!arg_integer(c, 3, &by) || !aggregate_open(c, ENTRY_HASH, &p))
        return;
    bool there = p != NULL && map_find(store_at(*p), arg(c, 2), arg_len(c, 2), &value);
    if (there && !resp_integer(value.at, value.len, &is)) {
        reply_error(c->out, "ERR hash value is not an integer");
        return;
    }
    if (__builtin_add_overflow(is, by, &is)) {
        reply_error(c->out, "ERR increment or decrement would overflow");
        return;
    }
    if (p == NULL && !aggregate_make(c, ENTRY_HASH, &p))
        return;
    int len = snprintf(text, sizeof text, "%lld", (long long)is);
    if (map_put(c->db, p, arg(c, 2), arg_len(c, 2), text, (size_t)len) != MAP_NO_MEMORY) {
        reply_integer(c->out, is);
    } else {
        reply_no_memory(c);
        aggregate_close(c->db, p);
    }
}

static void see_both(void *out, const struct item *field, const struct item *value)
{
    reply_bulk(out, field->at, field->len);
    reply_bulk(out, value->at, value->len);
}

static void see_field(void *out, const struct item *field, const struct item *value)
{
    (void)value;
    reply_bulk(out, field->at, field->len);
}

static void see_value(void *out, const struct item *field, const struct item *value)
{
    (void)field;
    reply_bulk(out, value->at, value->len);
}

static void reply_all(const struct call *c, map_see *see, void (*header)(struct reply *o, size_t n))
{
    place *p;
    if (!aggregate_open(c, ENTRY_HASH, &p))
        return;
    header(c->out, p == NULL ? 0 : aggregate_count(store_at(*p)));
    if (p != NULL)
        map_each(store_at(*p), see, c->out);
}

void cmd_hgetall(const struct call *c) { reply_all(c, see_both, reply_map); }
void cmd_hkeys(const struct call *c) { reply_all(c, see_field, reply_array); }
void cmd_hvals(const struct call *c) { reply_all(c, see_value, reply_array); }

static unsigned show_both(struct reply *out, const struct item *name, const struct item *value)
{
    see_both(out, name, value);
    return 2;
}

void cmd_hscan(const struct call *c) { aggregate_scan(c, ENTRY_HASH, show_both); }
