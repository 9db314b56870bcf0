/* server.h - what commands work on: databases, settings, the client that asks.
 *
 * One thread does everything. `now` is read once a batch, so that all commands of a batch see the same time. */
#ifndef KV_SERVER_H
#define KV_SERVER_H

#include "reply.h"
#include "resp.h"
#include "table.h"
#include "transaction.h"

#include <time.h>

enum { DATABASES = 16 };

enum policy { NO_EVICTION, ALLKEYS_LRU, ALLKEYS_LFU, VOLATILE_TTL, POLICIES };

struct server {
    struct table db[DATABASES];
    uint64_t maxmemory; /* bytes of data, 0: no limit */
    uint64_t maxmemory_clients; /* bytes of requests that have not arrived whole, 0: no limit */
    enum policy policy;
    unsigned samples; /* maxmemory-samples */
    unsigned timeout; /* seconds until an idle client is closed, 0: never */
    unsigned stall;   /* seconds until one is closed that stopped in the middle of a request or of taking replies */
    unsigned maxclients, clients;
    uint64_t watches;
    int64_t now; /* Unix time in milliseconds */
    int64_t started;
    int port;
    uint64_t commands, connections, rejected, expired, evicted, hits, misses, next_id;
    const char *snapshot; /* the file, or NULL */
    bool saving, epoch;   /* see snapshot.h */
    bool stop;
};

extern struct server server;

/* What a connection is to the commands. */
struct session {
    struct reply out;
    uint64_t id;
    unsigned db;
    struct transaction transaction;
    struct watch *watches; /* see watch.h */
    bool touched;          /* one of them has changed */
    struct search *search; /* that is not at its end, see search.h */
    bool whole; /* this is part of a transaction: nothing is put off */
    bool close; /* after the replies so far */
    char name[64];
};

/* One command: arguments, the first its name. */
struct call {
    struct session *session;
    const char *bytes;
    const struct slice *argv;
    uint32_t argc;
    struct table *db;
    struct reply *out;
    const uint64_t *hash; /* of argument 1, or NULL */
};

static inline const char *arg(const struct call *c, uint32_t i) { return c->bytes + c->argv[i].at; }
static inline size_t arg_len(const struct call *c, uint32_t i) { return c->argv[i].len; }

/* Whether argument i is this word (in lower case), in any case. */
bool arg_is(const struct call *c, uint32_t i, const char *word);

/* The integer of argument i; without one the error is replied. */
bool arg_integer(const struct call *c, uint32_t i, int64_t *out);

/* The cursor in argument i, as SCAN takes it; without one the error is replied. */
bool arg_cursor(const struct call *c, uint32_t i, uint64_t *cursor);

/* Do what the client asks. `hash`: of argument 1 if that is known, or NULL. Within a batch of the store. */
void command_run(struct session *s, const char *bytes, const struct slice *argv, uint32_t argc, const uint64_t *hash);

/* Set a setting by name, as CONFIG SET and the command line do. */
bool server_configure(const char *name, const char *value);

/* Bytes of data, as maxmemory counts them. */
uint64_t server_used(void);

/* ---- keys (keys.c) ---- */

/* The place of the key in argument i, or NULL; a key whose time is over is removed. `look` also notes the use, and
 * counts a hit or a miss. */
place *key_find(const struct call *c, uint32_t i);
place *key_look(const struct call *c, uint32_t i);
struct entry *key_read(const struct call *c, uint32_t i); /* the entry itself, for one that only looks */

/* Whether a place holds this kind of value (ENTRY_STRING and so on). False: the error is replied. */
bool key_is(const struct call *c, place *p, unsigned kind);

/* Give the key a string, in the place it has (p) or a new one. False: the error is replied. */
bool key_set(const struct call *c, uint32_t i, place *p, const char *value, size_t len, int64_t expiry);

void reply_no_memory(const struct call *c);
void reply_wrong_type(const struct call *c);

/* "string", "list" and so on. */
const char *key_kind(const struct entry *e);

/* Glob patterns, as KEYS and SCAN take them. */
bool glob_match(const char *pattern, size_t pattern_len, const char *text, size_t len);

/* The time that steps are measured with. */
static inline uint64_t clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Empty one database at once; its memory is given back in steps. */
void db_flush(struct table *db);

#endif
