/* lists.c - the commands on lists. */
#include "commands.h"
#include "row.h"
#include "watch.h"

#include <ctype.h>

static bool at_left(const struct call *c) { return tolower(arg(c, 0)[0]) == 'l'; }

void cmd_push(const struct call *c)
{
    bool only_if_there = arg_len(c, 0) == 6;
    place *p;
    if (only_if_there ? !aggregate_open(c, ENTRY_LIST, &p) : !aggregate_make(c, ENTRY_LIST, &p))
        return;
    for (uint32_t i = 2; p != NULL && i < c->argc; i++) {
        uint32_t to = at_left(c) ? 0 : row_count(store_at(*p));
        if (!row_insert(c->db, p, to, arg(c, i), arg_len(c, i))) {
            reply_no_memory(c);
            aggregate_close(c->db, p);
            return;
        }
    }
    reply_integer(c->out, p == NULL ? 0 : row_count(store_at(*p)));
}

static void see_item(void *out, const struct item *item) { reply_bulk(out, item->at, item->len); }

void cmd_pop(const struct call *c)
{
    int64_t wanted = 1;
    place *p;
    if (c->argc > 3) {
        reply_error(c->out, "ERR wrong number of arguments for '%s' command", at_left(c) ? "lpop" : "rpop");
        return;
    }
    if ((c->argc == 3 && !arg_count(c, 2, &wanted)) || !aggregate_open(c, ENTRY_LIST, &p))
        return;
    if (p == NULL) {
        if (c->argc == 3)
            reply_null_array(c->out);
        else
            reply_null(c->out);
        return;
    }
    uint32_t count = row_count(store_at(*p)), n = wanted < count ? (uint32_t)wanted : count;
    if (c->argc == 3)
        reply_array(c->out, n);
    row_each(store_at(*p), at_left(c) ? 0 : count - 1, n, !at_left(c), see_item, c->out);
    if (!row_remove(c->db, p, at_left(c) ? 0 : count - n, n)) {
        c->out->broken = true; // no memory to take them out, and they are replied already
        return;
    }
    aggregate_close(c->db, p);
}

void cmd_llen(const struct call *c)
{
    place *p;
    if (aggregate_open(c, ENTRY_LIST, &p))
        reply_integer(c->out, p == NULL ? 0 : row_count(store_at(*p)));
}

/* The range in arguments 2 and 3 becomes a number of the first item and how many. False: replied. */
static bool range(const struct call *c, int64_t *from, int64_t *n, place **p)
{
    int64_t to;
    if (!arg_integer(c, 2, from) || !arg_integer(c, 3, &to) || !aggregate_open(c, ENTRY_LIST, p))
        return false;
    int64_t count = *p == NULL ? 0 : row_count(store_at(**p));
    *from = *from < 0 ? *from + count : *from;
    to = to < 0 ? to + count : to;
    *from = *from < 0 ? 0 : *from;
    to = to >= count ? count - 1 : to;
    *n = *from > to || *from >= count ? 0 : to - *from + 1;
    return true;
}

void cmd_lrange(const struct call *c)
{
    int64_t from, n;
    place *p;
    if (!range(c, &from, &n, &p))
        return;
    reply_array(c->out, (size_t)n);
    if (n > 0)
        row_each(store_at(*p), (uint32_t)from, (uint32_t)n, false, see_item, c->out);
}

void cmd_ltrim(const struct call *c)
{
    int64_t from, n;
    place *p;
    if (!range(c, &from, &n, &p))
        return;
    if (p != NULL)
        watch_touch_arg(c, 1);
    if (p != NULL && n == 0) {
        table_remove(c->db, p);
    } else if (p != NULL) {
        uint32_t count = row_count(store_at(*p)), end = (uint32_t)(from + n);
        if (!row_remove(c->db, p, end, count - end) || !row_remove(c->db, p, 0, (uint32_t)from)) {
            reply_no_memory(c);
            return;
        }
    }
    reply_status(c->out, "OK");
}

/* The number of an item of a list of `count`, or count. */
static int64_t number_of(int64_t i, int64_t count)
{
    i = i < 0 ? i + count : i;
    return i < 0 || i > count ? count : i;
}

void cmd_lindex(const struct call *c)
{
    int64_t i = 0, count;
    place *p;
    if (!aggregate_open(c, ENTRY_LIST, &p))
        return;
    if (p != NULL && !arg_integer(c, 2, &i))
        return;
    count = p == NULL ? 0 : row_count(store_at(*p));
    i = number_of(i, count);
    if (i == count) {
        reply_null(c->out);
        return;
    }
    struct item item = row_get(store_at(*p), (uint32_t)i);
    reply_bulk(c->out, item.at, item.len);
}

void cmd_lset(const struct call *c)
{
    int64_t i, count;
    place *p;
    if (!aggregate_open(c, ENTRY_LIST, &p))
        return;
    if (p == NULL) {
        reply_error(c->out, "ERR no such key");
        return;
    }
    if (!arg_integer(c, 2, &i))
        return;
    count = row_count(store_at(*p));
    i = number_of(i, count);
    if (i == count)
        reply_error(c->out, "ERR index out of range");
    else if (!row_replace(c->db, p, (uint32_t)i, arg(c, 3), arg_len(c, 3)))
        reply_no_memory(c);
    else
        reply_status(c->out, "OK");
}
