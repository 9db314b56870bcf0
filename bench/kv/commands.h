/* commands.h - the functions behind the table of commands in commands.c. Each gets a call whose number of arguments
 * fits. */
#ifndef KV_COMMANDS_H
#define KV_COMMANDS_H

#include "server.h"

/* X(name, function, arity as in Redis (negative: at least so many), whether it may need memory) */
#define KV_COMMANDS(X) \
    X("get", cmd_get, 2, 0) X("set", cmd_set, -3, 1) X("setnx", cmd_setnx, 3, 1) X("setex", cmd_setex, 4, 1) \
    X("psetex", cmd_setex, 4, 1) X("getset", cmd_getset, 3, 1) X("getdel", cmd_getdel, 2, 0) \
    X("getex", cmd_getex, -2, 0) X("mget", cmd_mget, -2, 0) X("mset", cmd_mset, -3, 1) X("msetnx", cmd_mset, -3, 1) \
    X("incr", cmd_incr, 2, 1) X("decr", cmd_incr, 2, 1) X("incrby", cmd_incr, 3, 1) X("decrby", cmd_incr, 3, 1) \
    X("append", cmd_append, 3, 1) X("strlen", cmd_strlen, 2, 0) X("setrange", cmd_setrange, 4, 1) \
    X("getrange", cmd_getrange, 4, 0) X("substr", cmd_getrange, 4, 0) X("del", cmd_del, -2, 0) \
    X("unlink", cmd_del, -2, 0) X("exists", cmd_exists, -2, 0) X("type", cmd_type, 2, 0) \
    X("expire", cmd_expire, -3, 0) X("pexpire", cmd_expire, -3, 0) X("expireat", cmd_expire, -3, 0) \
    X("pexpireat", cmd_expire, -3, 0) X("ttl", cmd_ttl, 2, 0) X("pttl", cmd_ttl, 2, 0) \
    X("persist", cmd_persist, 2, 0) X("rename", cmd_rename, 3, 0) X("renamenx", cmd_rename, 3, 0) \
    X("randomkey", cmd_randomkey, 1, 0) X("dbsize", cmd_dbsize, 1, 0) X("keys", cmd_keys, 2, 0) \
    X("scan", cmd_scan, -2, 0) X("flushall", cmd_flush, -1, 0) X("flushdb", cmd_flush, -1, 0) \
    X("ping", cmd_ping, -1, 0) X("echo", cmd_echo, 2, 0) X("hello", cmd_hello, -1, 0) X("select", cmd_select, 2, 0) \
    X("quit", cmd_quit, -1, 0) X("info", cmd_info, -1, 0) X("memory", cmd_memory, -2, 0) \
    X("config", cmd_config, -2, 0) X("command", cmd_command, -1, 0) X("client", cmd_client, -2, 0)

#define KV_DECLARE(name, function, arity, grows) void function(const struct call *c);
KV_COMMANDS(KV_DECLARE)

void commands_init(void);

/* "ERR invalid expire time in ..." */
void reply_expire_error(const struct call *c);

/* COMMAND lists what there is. */
struct command {
    const char *name;
    void (*run)(const struct call *c);
    int arity;
    bool grows;
};
extern const struct command commands[];
extern const unsigned commands_count;

#endif
