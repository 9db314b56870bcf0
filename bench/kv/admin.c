/* admin.c - commands about the connection and the server. */
#include "aggregate.h"
#include "commands.h"
#include "evict.h"
#include "renew.h"
#include "snapshot.h"
#include "work.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#ifndef KV_VERSION
#define KV_VERSION "7.0.15" /* the Redis whose replies these are: clients look at it */
#endif

static const char *const policies[POLICIES] = {"noeviction", "allkeys-lru", "allkeys-lfu", "volatile-ttl"};

static void wrong_number(const struct call *c, const char *command)
{
    reply_error(c->out, "ERR wrong number of arguments for '%s' command", command);
}

static void unknown_subcommand(const struct call *c, const char *command)
{
    reply_error(c->out, "ERR unknown subcommand '%.*s'. Try %s HELP.", arg_len(c, 1) < 128 ? (int)arg_len(c, 1) : 128,
                arg(c, 1), command);
}

void cmd_ping(const struct call *c)
{
    if (c->argc > 2)
        wrong_number(c, "ping");
    else if (c->argc == 2)
        reply_bulk(c->out, arg(c, 1), arg_len(c, 1));
    else
        reply_status(c->out, "PONG");
}

void cmd_echo(const struct call *c) { reply_bulk(c->out, arg(c, 1), arg_len(c, 1)); }

void cmd_quit(const struct call *c)
{
    reply_status(c->out, "OK");
    c->session->close = true;
}

void cmd_select(const struct call *c)
{
    int64_t index;
    if (!resp_integer(arg(c, 1), arg_len(c, 1), &index))
        reply_error(c->out, "ERR value is not an integer or out of range");
    else if (index < 0 || index >= DATABASES)
        reply_error(c->out, "ERR DB index is out of range");
    else {
        c->session->db = (unsigned)index;
        reply_status(c->out, "OK");
    }
}

static bool set_name(const struct call *c, uint32_t i)
{
    struct session *s = c->session;
    for (size_t k = 0; k < arg_len(c, i); k++) {
        if (arg(c, i)[k] < '!' || arg(c, i)[k] > '~') {
            reply_error(c->out, "ERR Client names cannot contain spaces, newlines or special characters.");
            return false;
        }
    }
    if (arg_len(c, i) >= sizeof s->name) {
        reply_error(c->out, "ERR Client names are limited to %zu characters", sizeof s->name - 1);
        return false;
    }
    memcpy(s->name, arg(c, i), arg_len(c, i));
    s->name[arg_len(c, i)] = 0;
    return true;
}

void cmd_hello(const struct call *c)
{
    int64_t version = c->out->resp3 ? 3 : 2;
    if (c->argc > 1 && !resp_integer(arg(c, 1), arg_len(c, 1), &version)) {
        reply_error(c->out, "ERR Protocol version is not an integer or out of range");
        return;
    }
    if (version != 2 && version != 3) {
        reply_error(c->out, "NOPROTO unsupported protocol version");
        return;
    }
    for (uint32_t i = 2; i < c->argc; i += 2) {
        if (i + 1 < c->argc && arg_is(c, i, "setname")) {
            if (!set_name(c, i + 1))
                return;
        } else {
            reply_error(c->out, "ERR Syntax error in HELLO option '%.*s'",
                        arg_len(c, i) < 128 ? (int)arg_len(c, i) : 128, arg(c, i));
            return;
        }
    }
    c->out->resp3 = version == 3;
    reply_map(c->out, 7);
    reply_text(c->out, "server"), reply_text(c->out, "redis");
    reply_text(c->out, "version"), reply_text(c->out, KV_VERSION);
    reply_text(c->out, "proto"), reply_integer(c->out, version);
    reply_text(c->out, "id"), reply_integer(c->out, (int64_t)c->session->id);
    reply_text(c->out, "mode"), reply_text(c->out, "standalone");
    reply_text(c->out, "role"), reply_text(c->out, "master");
    reply_text(c->out, "modules"), reply_array(c->out, 0);
}

/* ---- INFO and MEMORY ---- */

static uint64_t resident(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f != NULL && fscanf(f, "%*d %ld", &pages) != 1)
        pages = 0;
    if (f != NULL)
        fclose(f);
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

struct text {
    char bytes[4096];
    size_t len;
};

static void say(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(struct text *t, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int n = vsnprintf(t->bytes + t->len, sizeof t->bytes - t->len, format, list);
    va_end(list);
    if (n > 0 && (size_t)n < sizeof t->bytes - t->len)
        t->len += (size_t)n;
}

static unsigned long long big(uint64_t x) { return x; }

static void info_stats(struct text *t)
{
    say(t,
        "# Stats\r\ntotal_connections_received:%llu\r\ntotal_commands_processed:%llu\r\nrejected_connections:%llu\r\n",
        big(server.connections), big(server.commands), big(server.rejected));
    say(t, "work_most_command:%llu\r\nwork_most_step:%llu\r\n", big(work_most.command), big(work_most.step));
    say(t, "expired_keys:%llu\r\nevicted_keys:%llu\r\nkeyspace_hits:%llu\r\nkeyspace_misses:%llu\r\n\r\n",
        big(server.expired), big(server.evicted), big(server.hits), big(server.misses));
}

static void info_memory(struct text *t)
{
    say(t, "# Memory\r\nused_memory:%llu\r\nused_memory_rss:%llu\r\nmaxmemory:%llu\r\nmaxmemory_policy:%s\r\n",
        big(server_used()), big(resident()), big(server.maxmemory), policies[server.policy]);
    say(t, "lazyfree_pending_objects:%llu\r\n", big(aggregate_waiting() + evict_waiting()));
    size_t words, live;
    store_words(&words, &live);
    say(t, "handles_live:%zu\r\nhandles_words:%zu\r\nhandles_walks:%llu\r\n\r\n", live, words, renew_walks());
}

static void info_persistence(struct text *t)
{
    say(t, "# Persistence\r\nloading:0\r\nrdb_bgsave_in_progress:%d\r\nrdb_last_bgsave_status:%s\r\n\r\n",
        snapshot_is_written(), snapshot_last_failed() ? "err" : "ok");
}

static void info_keyspace(struct text *t)
{
    say(t, "# Keyspace\r\n");
    for (unsigned d = 0; d < DATABASES; d++) {
        if (server.db[d].count > 0)
            say(t, "db%u:keys=%llu,expires=%llu,avg_ttl=0\r\n", d, big(server.db[d].count),
                big(server.db[d].volatiles));
    }
}

void cmd_info(const struct call *c)
{
    struct text t = {.len = 0};
    bool all = c->argc == 1 || arg_is(c, 1, "all") || arg_is(c, 1, "default") || arg_is(c, 1, "everything");
    if (all || arg_is(c, 1, "server"))
        say(&t,
            "# "
            "Server\r\nredis_version:%s\r\nserver_name:kv\r\nstore:%s\r\nprocess_id:%ld\r\ntcp_port:%d\r\nuptime_in_"
            "seconds:%lld\r\n\r\n",
            KV_VERSION, STORE_NAME, (long)getpid(), server.port, (long long)(server.now - server.started) / 1000);
    if (all || arg_is(c, 1, "clients"))
        say(&t, "# Clients\r\nconnected_clients:%u\r\nmaxclients:%u\r\n\r\n", server.clients, server.maxclients);
    if (all || arg_is(c, 1, "memory"))
        info_memory(&t);
    if (all || arg_is(c, 1, "stats"))
        info_stats(&t);
    if (all || arg_is(c, 1, "persistence"))
        info_persistence(&t);
    if (all || arg_is(c, 1, "keyspace"))
        info_keyspace(&t);
    reply_bulk(c->out, t.bytes, t.len);
}

static int64_t memory_of(struct entry *e)
{
    return (int64_t)(entry_size(e) + sizeof(store_ref) + (e->type & ENTRY_OWNS ? entry_owned(e) : 0));
}

void cmd_memory(const struct call *c)
{
    if (arg_is(c, 1, "usage")) {
        bool fits = c->argc == 3 || (c->argc == 5 && arg_is(c, 3, "samples"));
        place *p = fits ? key_find(c, 2) : NULL;
        if (!fits && c->argc < 3)
            wrong_number(c, "memory|usage");
        else if (!fits)
            reply_error(c->out, "ERR syntax error");
        else if (p == NULL)
            reply_null(c->out);
        else
            reply_integer(c->out, memory_of(store_at(*p)));
    } else if (arg_is(c, 1, "purge") && c->argc == 2) {
        store_idle();
        reply_status(c->out, "OK");
    } else {
        unknown_subcommand(c, "MEMORY");
    }
}

/* ---- CONFIG ---- */

/* Settings that can be asked for; those without a place are what programs ask before they measure. */
static const struct setting {
    const char *name, *fixed;
    unsigned *number;
} settings[] = {
    {"maxmemory", NULL, NULL},
    {"maxmemory-policy", NULL, NULL},
    {"maxmemory-clients", NULL, NULL},
    {"maxmemory-samples", NULL, &server.samples},
    {"timeout", NULL, &server.timeout},
    {"maxclients", NULL, &server.maxclients},
    {"save", "", NULL},
    {"appendonly", "no", NULL},
    {"databases", "16", NULL},
};

static const char *value_of(const struct setting *s, char text[32])
{
    if (s->fixed != NULL)
        return s->fixed;
    if (strcmp(s->name, "maxmemory-policy") == 0)
        return policies[server.policy];
    bool clients = strcmp(s->name, "maxmemory-clients") == 0;
    uint64_t bytes = clients ? server.maxmemory_clients : server.maxmemory;
    snprintf(text, 32, "%llu", s->number != NULL ? (unsigned long long)*s->number : big(bytes));
    return text;
}

static void config_get(const struct call *c)
{
    char text[32];
    bool wanted[sizeof settings / sizeof *settings] = {false};
    size_t n = 0;
    for (size_t k = 0; k < sizeof settings / sizeof *settings; k++) {
        for (uint32_t i = 2; i < c->argc && !wanted[k]; i++)
            wanted[k] = glob_match(arg(c, i), arg_len(c, i), settings[k].name, strlen(settings[k].name));
        n += wanted[k];
    }
    reply_map(c->out, n);
    for (size_t k = 0; k < sizeof settings / sizeof *settings; k++) {
        if (wanted[k])
            reply_text(c->out, settings[k].name), reply_text(c->out, value_of(&settings[k], text));
    }
}

/* A number of bytes, as "100mb". */
static bool parse_bytes(const char *text, uint64_t *out)
{
    static const struct {
        const char *unit;
        uint64_t factor;
    } units[] = {{"", 1},        {"b", 1},        {"k", 1000},       {"kb", 1024},
                 {"m", 1000000}, {"mb", 1 << 20}, {"g", 1000000000}, {"gb", 1 << 30}};
    char *end;
    unsigned long long value = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)text[0]))
        return false;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcasecmp(end, units[i].unit) == 0)
            return !__builtin_mul_overflow((uint64_t)value, units[i].factor, out);
    }
    return false;
}

bool server_configure(const char *name, const char *value)
{
    if (strcasecmp(name, "maxmemory") == 0)
        return parse_bytes(value, &server.maxmemory);
    if (strcasecmp(name, "maxmemory-clients") == 0)
        return parse_bytes(value, &server.maxmemory_clients);
    for (unsigned p = 0; strcasecmp(name, "maxmemory-policy") == 0 && p < POLICIES; p++) {
        if (strcasecmp(value, policies[p]) == 0) {
            server.policy = p;
            return true;
        }
    }
    for (size_t k = 0; k < sizeof settings / sizeof *settings; k++) {
        int64_t number;
        if (strcasecmp(name, settings[k].name) == 0 && settings[k].number != NULL)
            return resp_integer(value, strlen(value), &number) &&
                   number >= (settings[k].number == &server.timeout ? 0 : 1) && number <= 1000000 &&
                   (*settings[k].number = (unsigned)number, true);
        if (strcasecmp(name, settings[k].name) == 0 && settings[k].fixed != NULL)
            return strcmp(value, settings[k].fixed) == 0;
    }
    return false;
}

static bool text_of(const struct call *c, uint32_t i, char *out, size_t room)
{
    if (arg_len(c, i) >= room || memchr(arg(c, i), 0, arg_len(c, i)) != NULL)
        return false;
    memcpy(out, arg(c, i), arg_len(c, i));
    out[arg_len(c, i)] = 0;
    return true;
}

/* Descriptors were provided at start for as many clients as then could be: that number stays. */
static void config_set(const struct call *c)
{
    char name[64], value[64];
    for (uint32_t i = 2; i + 1 < c->argc; i += 2) {
        if (!text_of(c, i, name, sizeof name) || !text_of(c, i + 1, value, sizeof value) ||
            strcasecmp(name, "maxclients") == 0 || !server_configure(name, value)) {
            reply_error(c->out, "ERR CONFIG SET failed - unknown setting, or a value that it cannot have");
            return;
        }
    }
    reply_status(c->out, "OK");
}

void cmd_config(const struct call *c)
{
    if (arg_is(c, 1, "get") && c->argc > 2)
        config_get(c);
    else if (arg_is(c, 1, "set") && c->argc > 3 && c->argc % 2 == 0)
        config_set(c);
    else if (arg_is(c, 1, "get") || arg_is(c, 1, "set"))
        wrong_number(c, arg_is(c, 1, "get") ? "config|get" : "config|set");
    else if (arg_is(c, 1, "resetstat") && c->argc == 2) {
        work_most = (struct work_most){0};
        server.commands = server.hits = server.misses = server.expired = server.evicted = 0;
        reply_status(c->out, "OK");
    } else {
        unknown_subcommand(c, "CONFIG");
    }
}

/* ---- COMMAND and CLIENT ---- */

void cmd_command(const struct call *c)
{
    if (c->argc == 1) {
        reply_array(c->out, commands_count);
        for (unsigned i = 0; i < commands_count; i++) {
            reply_array(c->out, 3);
            reply_text(c->out, commands[i].name);
            reply_integer(c->out, commands[i].arity);
            reply_array(c->out, 0);
        }
    } else if (arg_is(c, 1, "count") && c->argc == 2) {
        reply_integer(c->out, commands_count);
    } else if (arg_is(c, 1, "docs")) {
        reply_map(c->out, 0);
    } else {
        unknown_subcommand(c, "COMMAND");
    }
}

void cmd_client(const struct call *c)
{
    struct session *s = c->session;
    if (arg_is(c, 1, "id") && c->argc == 2)
        reply_integer(c->out, (int64_t)s->id);
    else if (arg_is(c, 1, "getname") && c->argc == 2) {
        if (s->name[0] == 0)
            reply_null(c->out);
        else
            reply_text(c->out, s->name);
    } else if (arg_is(c, 1, "setname") && c->argc == 3) {
        if (set_name(c, 2))
            reply_status(c->out, "OK");
    } else {
        unknown_subcommand(c, "CLIENT");
    }
}
