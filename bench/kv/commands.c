/* commands.c - from the name of a command to its function. */
#include "commands.h"
#include "evict.h"
#include "work.h"

#include <ctype.h>
#include <stdio.h>

#define KV_ROW(name, function, arity, grows) {name, function, arity, grows},
const struct command commands[] = {KV_COMMANDS(KV_ROW)};
const unsigned commands_count = sizeof commands / sizeof *commands;

uint64_t work_done;
struct work_most work_most;

enum { SLOTS = 256, LONGEST = 20 };

static const struct command *slots[SLOTS];

static unsigned slot_of(const char *name, size_t len)
{
    uint32_t h = 2166136261u; // FNV-1a
    for (size_t i = 0; i < len; i++)
        h = (h ^ (uint32_t)tolower((unsigned char)name[i])) * 16777619u;
    return h % SLOTS;
}

void commands_init(void)
{
    for (unsigned i = 0; i < commands_count; i++) {
        unsigned at = slot_of(commands[i].name, strlen(commands[i].name));
        while (slots[at] != NULL)
            at = (at + 1) % SLOTS;
        slots[at] = &commands[i];
    }
}

static bool same(const char *bytes, size_t len, const char *word)
{
    size_t i = 0;
    for (; i < len && word[i] != 0; i++) {
        if (tolower((unsigned char)bytes[i]) != word[i])
            return false;
    }
    return i == len && word[i] == 0;
}

static const struct command *find(const char *name, size_t len)
{
    if (len > LONGEST)
        return NULL;
    for (unsigned at = slot_of(name, len); slots[at] != NULL; at = (at + 1) % SLOTS) {
        if (same(name, len, slots[at]->name))
            return slots[at];
    }
    return NULL;
}

bool arg_is(const struct call *c, uint32_t i, const char *word) { return same(arg(c, i), arg_len(c, i), word); }

bool arg_integer(const struct call *c, uint32_t i, int64_t *out)
{
    if (resp_integer(arg(c, i), arg_len(c, i), out))
        return true;
    reply_error(c->out, "ERR value is not an integer or out of range");
    return false;
}

bool arg_count(const struct call *c, uint32_t i, int64_t *out)
{
    if (resp_integer(arg(c, i), arg_len(c, i), out) && *out >= 0)
        return true;
    reply_error(c->out, "ERR value is out of range, must be positive");
    return false;
}

uint64_t server_used(void)
{
    uint64_t used = 0;
    for (unsigned d = 0; d < DATABASES; d++)
        used += server.db[d].bytes + server.db[d].buckets * sizeof(store_ref);
    return used;
}

static void unknown(const struct call *c)
{
    char text[256];
    int len = 0;
    for (uint32_t i = 1; i < c->argc && len < 128; i++) {
        int most = 128 - len, have = arg_len(c, i) < (size_t)most ? (int)arg_len(c, i) : most;
        len += snprintf(text + len, sizeof text - (size_t)len, "'%.*s' ", have, arg(c, i));
    }
    text[len] = 0;
    reply_error(c->out, "ERR unknown command '%.*s', with args beginning with: %s",
                arg_len(c, 0) < 128 ? (int)arg_len(c, 0) : 128, arg(c, 0), text);
}

/* As in Redis an EXEC that does not fit discards the transaction, and without a transaction the watches. */
static void unfit(const struct call *c, const struct command *command)
{
    bool is_exec = command->run == cmd_exec;
    reply_error(c->out, "%s wrong number of arguments for '%s' command",
                is_exec ? "EXECABORT Transaction discarded because of:" : "ERR", command->name);
    if (is_exec)
        transaction_discard(c->session);
}

void command_run(struct session *s, const char *bytes, const struct slice *argv, uint32_t argc, const uint64_t *hash)
{
    struct call c = {s, bytes, argv, argc, &server.db[s->db], &s->out, hash};
    const struct command *command = find(arg(&c, 0), arg_len(&c, 0));
    uint64_t before = work_done;
    server.commands++;
    bool fits = command != NULL && (command->arity > 0 ? (int)argc == command->arity : (int)argc >= -command->arity);
    s->transaction.spoilt |= s->transaction.open && !fits;
    if (command == NULL)
        unknown(&c);
    else if (!fits)
        unfit(&c, command);
    else if (transaction_keeps(&c))
        return;
    else if (server.maxmemory > 0 && !evict_for_command() && command->grows)
        reply_error(c.out, "OOM command not allowed when used memory > 'maxmemory'.");
    else
        command->run(&c);
    work_note(&work_most.command, before);
}
