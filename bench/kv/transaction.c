#include "transaction.h"
#include "commands.h"
#include "pack.h"
#include "watch.h"

#include <stdlib.h>

enum { TRANSACTION_LIMIT = 256 * 1024 * 1024 }; // bytes that one client may have waiting

void transaction_free(struct transaction *t)
{
    free(t->bytes);
    *t = (struct transaction){0};
}

void transaction_discard(struct session *s)
{
    transaction_free(&s->transaction);
    watch_clear(s);
}

static bool make_room(struct transaction *t, size_t more)
{
    size_t room = t->room == 0 ? 256 : t->room;
    if (t->len + more <= t->room)
        return true;
    while (room < t->len + more)
        room *= 2;
    char *bytes = t->len + more > TRANSACTION_LIMIT ? NULL : realloc(t->bytes, room);
    if (bytes == NULL)
        return false;
    t->bytes = bytes;
    t->room = room;
    return true;
}

bool transaction_keeps(const struct call *c)
{
    struct transaction *t = &c->session->transaction;
    if (!t->open || arg_is(c, 0, "exec") || arg_is(c, 0, "discard") || arg_is(c, 0, "multi") ||
        arg_is(c, 0, "watch") || arg_is(c, 0, "quit"))
        return false;
    size_t size = sizeof c->argc;
    for (uint32_t i = 0; i < c->argc; i++)
        size += pack_size(arg_len(c, i));
    if (!make_room(t, size)) {
        t->spoilt = true;
        reply_error(c->out, "ERR the transaction is too large");
        return true;
    }
    char *to = t->bytes + t->len;
    memcpy(to, &c->argc, sizeof c->argc);
    to += sizeof c->argc;
    for (uint32_t i = 0; i < c->argc; i++)
        to = pack_write(to, arg(c, i), arg_len(c, i));
    t->len += size;
    t->count++;
    reply_status(c->out, "QUEUED");
    return true;
}

void cmd_multi(const struct call *c)
{
    struct transaction *t = &c->session->transaction;
    if (t->open) {
        reply_error(c->out, "ERR MULTI calls can not be nested");
        return;
    }
    t->open = true;
    reply_status(c->out, "OK");
}

void cmd_discard(const struct call *c)
{
    if (!c->session->transaction.open) {
        reply_error(c->out, "ERR DISCARD without MULTI");
        return;
    }
    transaction_discard(c->session);
    reply_status(c->out, "OK");
}

/* Run one kept command; returns where the next one lies. */
static const char *run_one(struct session *s, const struct transaction *t, const char *p)
{
    uint32_t argc;
    struct item item;
    memcpy(&argc, p, sizeof argc);
    p += sizeof argc;
    struct slice few[16], *argv = argc <= 16 ? few : malloc(argc * sizeof *argv);
    for (uint32_t i = 0; i < argc; i++) {
        p = pack_read(p, &item);
        if (argv != NULL)
            argv[i] = (struct slice){(size_t)(item.at - t->bytes), item.len};
    }
    if (argv == NULL)
        reply_error(&s->out, "OOM command not allowed: out of memory");
    else
        command_run(s, t->bytes, argv, argc, NULL);
    if (argv != few)
        free(argv);
    return p;
}

void cmd_exec(const struct call *c)
{
    struct session *s = c->session;
    struct transaction t = s->transaction;
    if (!t.open) {
        reply_error(c->out, "ERR EXEC without MULTI");
        return;
    }
    s->transaction = (struct transaction){0};
    bool touched = watch_is_touched(s);
    watch_clear(s);
    if (touched && !t.spoilt) {
        reply_null_array(c->out);
    } else if (t.spoilt) {
        reply_error(c->out, "EXECABORT Transaction discarded because of previous errors.");
    } else {
        const char *p = t.bytes;
        s->whole = true;
        reply_array(c->out, t.count);
        for (uint32_t i = 0; i < t.count; i++)
            p = run_one(s, &t, p);
        s->whole = false;
    }
    transaction_free(&t);
}
