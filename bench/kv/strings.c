/* strings.c - the commands on strings. Integers are kept as text and changed in place. */
#include "commands.h"
#include "evict.h"
#include "watch.h"

#include <ctype.h>
#include <stdio.h>
#include <strings.h>

void reply_expire_error(const struct call *c)
{
    char name[32];
    size_t len = arg_len(c, 0) < sizeof name ? arg_len(c, 0) : sizeof name - 1;
    for (size_t i = 0; i < len; i++)
        name[i] = (char)tolower(arg(c, 0)[i]);
    reply_error(c->out, "ERR invalid expire time in '%.*s' command", (int)len, name);
}

static void reply_entry(const struct call *c, struct entry *e)
{
    if (e == NULL)
        reply_null(c->out);
    else
        reply_bulk(c->out, entry_value(e), e->value_len);
}

static void reply_value(const struct call *c, place *p) { reply_entry(c, p == NULL ? NULL : store_at(*p)); }

static bool is_string(const struct entry *e) { return (e->type & ENTRY_KIND) == ENTRY_STRING; }

/* The options of SET and GETEX. */
struct options {
    bool nx, xx, get, keep, persist;
    uint32_t time_at; /* the argument that says what the time after it is; 0: none */
    int64_t expiry;   /* Unix time in milliseconds */
};

static bool time_option(const struct call *c, struct options *o)
{
    int64_t value;
    uint32_t i = o->time_at;
    if (i == 0)
        return true;
    if (!arg_integer(c, i + 1, &value))
        return false;
    bool seconds = arg_is(c, i, "ex") || arg_is(c, i, "exat"), absolute = arg_len(c, i) == 4;
    if (value <= 0 || (seconds && __builtin_mul_overflow(value, (int64_t)1000, &value)) ||
        (!absolute && __builtin_add_overflow(value, server.now, &value))) {
        reply_expire_error(c);
        return false;
    }
    o->expiry = value;
    return true;
}

static bool is_time(const struct call *c, uint32_t i)
{
    return arg_is(c, i, "ex") || arg_is(c, i, "px") || arg_is(c, i, "exat") || arg_is(c, i, "pxat");
}

/* Options from argument `i` on; errors are replied. As in Redis the syntax is judged first, and the time by
 * time_option. */
static bool options(const struct call *c, uint32_t i, bool set, struct options *o)
{
    *o = (struct options){0};
    for (; i < c->argc; i++) {
        bool again = o->time_at > 0 && arg_len(c, i) == arg_len(c, o->time_at) &&
                     strncasecmp(arg(c, i), arg(c, o->time_at), arg_len(c, i)) == 0;
        bool other = (o->time_at > 0 && !again) || o->keep || o->persist;
        if (set && arg_is(c, i, "nx") && !o->xx)
            o->nx = true;
        else if (set && arg_is(c, i, "xx") && !o->nx)
            o->xx = true;
        else if (set && arg_is(c, i, "get"))
            o->get = true;
        else if (set && arg_is(c, i, "keepttl") && o->time_at == 0)
            o->keep = true;
        else if (!set && arg_is(c, i, "persist") && o->time_at == 0)
            o->persist = true;
        else if (is_time(c, i) && !other && i + 1 < c->argc) {
            o->time_at = i++;
        } else {
            reply_error(c->out, "ERR syntax error");
            return false;
        }
    }
    return true;
}

/* The place of a string, NULL if there is none. False: the key has another kind of value, which is replied. */
static bool string_look(const struct call *c, place **p)
{
    *p = key_look(c, 1);
    return *p == NULL || key_is(c, *p, ENTRY_STRING);
}

static bool string_find(const struct call *c, place **p)
{
    *p = key_find(c, 1);
    return *p == NULL || key_is(c, *p, ENTRY_STRING);
}

void cmd_get(const struct call *c)
{
    struct entry *e = key_read(c, 1);
    if (e == NULL || is_string(e))
        reply_entry(c, e);
    else
        reply_wrong_type(c);
}

void cmd_set(const struct call *c)
{
    struct options o;
    if (!options(c, 3, true, &o) || !time_option(c, &o))
        return;
    place *p = key_find(c, 1);
    if (o.get && !string_look(c, &p))
        return;
    bool refused = (o.nx && p != NULL) || (o.xx && p == NULL);
    if (o.get)
        reply_value(c, p);
    else if (refused)
        reply_null(c->out);
    if (refused)
        return;
    int64_t expiry = o.keep && p != NULL ? entry_expiry(store_at(*p)) : o.expiry;
    if (o.time_at > 0 && expiry <= server.now) { // EXAT of the past
        watch_touch_arg(c, 1);
        if (p != NULL)
            table_remove(c->db, p);
    } else if (!key_set(c, 1, p, arg(c, 2), arg_len(c, 2), expiry)) {
        return;
    }
    if (!o.get)
        reply_status(c->out, "OK");
}

void cmd_setnx(const struct call *c)
{
    bool there = key_find(c, 1) != NULL;
    if (there || key_set(c, 1, NULL, arg(c, 2), arg_len(c, 2), 0))
        reply_integer(c->out, !there);
}

void cmd_setex(const struct call *c)
{
    int64_t value;
    if (!arg_integer(c, 2, &value))
        return;
    if (value <= 0 || (arg_is(c, 0, "setex") && __builtin_mul_overflow(value, (int64_t)1000, &value)) ||
        __builtin_add_overflow(value, server.now, &value))
        reply_expire_error(c);
    else if (key_set(c, 1, key_find(c, 1), arg(c, 3), arg_len(c, 3), value))
        reply_status(c->out, "OK");
}

void cmd_getset(const struct call *c)
{
    place *p;
    if (!string_look(c, &p))
        return;
    reply_value(c, p);
    (void)key_set(c, 1, p, arg(c, 2), arg_len(c, 2), 0);
}

void cmd_getdel(const struct call *c)
{
    place *p;
    if (!string_look(c, &p))
        return;
    reply_value(c, p);
    if (p != NULL) {
        watch_touch_arg(c, 1);
        table_remove(c->db, p);
    }
}

void cmd_getex(const struct call *c)
{
    struct options o;
    if (!options(c, 2, false, &o))
        return;
    place *p;
    if (!string_look(c, &p) || (p != NULL && !time_option(c, &o)))
        return;
    reply_value(c, p);
    if (p == NULL)
        return;
    if (o.time_at > 0 || (o.persist && ((struct entry *)store_at(*p))->expires))
        watch_touch_arg(c, 1);
    if (o.time_at > 0 && o.expiry <= server.now)
        table_remove(c->db, p);
    else if (o.time_at > 0 || o.persist)
        (void)table_expire(c->db, p, o.expiry);
}

void cmd_mget(const struct call *c)
{
    reply_array(c->out, c->argc - 1);
    for (uint32_t i = 1; i < c->argc; i++) {
        struct entry *e = key_read(c, i);
        reply_entry(c, e != NULL && is_string(e) ? e : NULL); // what is not a string counts as not there
    }
}

void cmd_mset(const struct call *c)
{
    bool nx = arg_is(c, 0, "msetnx");
    if (c->argc % 2 == 0) {
        reply_error(c->out, "ERR wrong number of arguments for '%s' command", nx ? "msetnx" : "mset");
        return;
    }
    for (uint32_t i = 1; nx && i < c->argc; i += 2) {
        if (key_find(c, i) != NULL) {
            reply_integer(c->out, 0);
            return;
        }
    }
    for (uint32_t i = 1; i < c->argc; i += 2) {
        if (!key_set(c, i, key_find(c, i), arg(c, i + 1), arg_len(c, i + 1), 0))
            return;
    }
    if (nx)
        reply_integer(c->out, 1);
    else
        reply_status(c->out, "OK");
}

void cmd_incr(const struct call *c)
{
    char text[24];
    int64_t by = 1, value = 0;
    if (c->argc == 3 && !arg_integer(c, 2, &by))
        return;
    if (tolower(arg(c, 0)[0]) == 'd' && __builtin_sub_overflow((int64_t)0, by, &by)) {
        reply_error(c->out, "ERR decrement would overflow");
        return;
    }
    place *p;
    if (!string_find(c, &p))
        return;
    struct entry *e = p == NULL ? NULL : store_at(*p);
    if (e != NULL && !resp_integer(entry_value(e), e->value_len, &value)) {
        reply_error(c->out, "ERR value is not an integer or out of range");
        return;
    }
    if (__builtin_add_overflow(value, by, &value)) {
        reply_error(c->out, "ERR increment or decrement would overflow");
        return;
    }
    int len = snprintf(text, sizeof text, "%lld", (long long)value);
    if (key_set(c, 1, p, text, (size_t)len, e == NULL ? 0 : entry_expiry(e)))
        reply_integer(c->out, value);
}

/* The value at least `len` bytes long, the new ones zero; NULL: replied. */
static struct entry *stretched(const struct call *c, place *p, size_t len)
{
    if (p == NULL)
        p = table_add(c->db, arg(c, 1), arg_len(c, 1), 0, 0);
    if (p == NULL) {
        reply_no_memory(c);
        return NULL;
    }
    struct entry *e = store_at(*p);
    uint32_t was = e->value_len;
    if (len > was && (e = table_resize(c->db, p, len)) == NULL) {
        reply_no_memory(c);
        return NULL;
    }
    if (len > was)
        memset(entry_value(e) + was, 0, len - was);
    evict_born(e);
    watch_touch_arg(c, 1);
    return e;
}

static bool too_long(const struct call *c, uint64_t len)
{
    if (len <= RESP_MAX_BULK)
        return false;
    reply_error(c->out, "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
    return true;
}

void cmd_append(const struct call *c)
{
    place *p;
    if (!string_find(c, &p))
        return;
    size_t was = p == NULL ? 0 : ((struct entry *)store_at(*p))->value_len;
    if (too_long(c, was + arg_len(c, 2)))
        return;
    struct entry *e = stretched(c, p, was + arg_len(c, 2));
    if (e == NULL)
        return;
    memcpy(entry_value(e) + was, arg(c, 2), arg_len(c, 2));
    reply_integer(c->out, e->value_len);
}

void cmd_strlen(const struct call *c)
{
    place *p;
    if (string_look(c, &p))
        reply_integer(c->out, p == NULL ? 0 : ((struct entry *)store_at(*p))->value_len);
}

void cmd_setrange(const struct call *c)
{
    int64_t at;
    if (!arg_integer(c, 2, &at))
        return;
    if (at < 0) {
        reply_error(c->out, "ERR offset is out of range");
        return;
    }
    place *p;
    if (!string_find(c, &p))
        return;
    size_t was = p == NULL ? 0 : ((struct entry *)store_at(*p))->value_len, len = arg_len(c, 3);
    if (len == 0) {
        reply_integer(c->out, (int64_t)was);
        return;
    }
    if (at > RESP_MAX_BULK ? too_long(c, UINT64_MAX) : too_long(c, (uint64_t)at + len))
        return;
    struct entry *e = stretched(c, p, (size_t)at + len);
    if (e == NULL)
        return;
    memcpy(entry_value(e) + at, arg(c, 3), len);
    reply_integer(c->out, e->value_len);
}

void cmd_getrange(const struct call *c)
{
    int64_t from, to;
    if (!arg_integer(c, 2, &from) || !arg_integer(c, 3, &to))
        return;
    place *p;
    if (!string_look(c, &p))
        return;
    struct entry *e = p == NULL ? NULL : store_at(*p);
    int64_t len = e == NULL ? 0 : e->value_len;
    bool backwards = from < 0 && to < 0 && from > to;
    from = from < 0 ? from + len : from;
    to = to < 0 ? to + len : to;
    from = from < 0 ? 0 : from;
    to = to < 0 ? 0 : to >= len ? len - 1 : to;
    if (len == 0 || backwards || from > to)
        reply_bulk(c->out, "", 0);
    else
        reply_bulk(c->out, entry_value(e) + from, (size_t)(to - from + 1));
}
