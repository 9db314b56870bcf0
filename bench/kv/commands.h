/* commands.h - the functions behind the table of commands in commands.c. Each gets a call whose number of arguments
 * fits. */
#ifndef KV_COMMANDS_H
#define KV_COMMANDS_H

#include "server.h"

#define KV_HASHES(X) \
    X("hset", cmd_hset, -4, 1) X("hmset", cmd_hset, -4, 1) X("hsetnx", cmd_hsetnx, 4, 1) X("hget", cmd_hget, 3, 0) \
    X("hmget", cmd_hmget, -3, 0) X("hdel", cmd_hdel, -3, 0) X("hlen", cmd_hlen, 2, 0) \
    X("hstrlen", cmd_hstrlen, 3, 0) X("hexists", cmd_hexists, 3, 0) X("hincrby", cmd_hincrby, 4, 1) \
    X("hgetall", cmd_hgetall, 2, 0) X("hkeys", cmd_hkeys, 2, 0) X("hvals", cmd_hvals, 2, 0) X("hscan", cmd_hscan, -3, 0)
#define KV_SETS(X) \
    X("sadd", cmd_sadd, -3, 1) X("srem", cmd_srem, -3, 0) X("sismember", cmd_sismember, 3, 0) \
    X("smismember", cmd_smismember, -3, 0) X("scard", cmd_scard, 2, 0) X("smembers", cmd_smembers, 2, 0) \
    X("spop", cmd_spop, -2, 0) X("srandmember", cmd_srandmember, -2, 0) X("sscan", cmd_sscan, -3, 0)
#define KV_LISTS(X) \
    X("lpush", cmd_push, -3, 1) X("rpush", cmd_push, -3, 1) X("lpushx", cmd_push, -3, 1) X("rpushx", cmd_push, -3, 1) \
    X("lpop", cmd_pop, -2, 0) X("rpop", cmd_pop, -2, 0) X("llen", cmd_llen, 2, 0) X("lrange", cmd_lrange, 4, 0) \
    X("ltrim", cmd_ltrim, 4, 0) X("lindex", cmd_lindex, 3, 0) X("lset", cmd_lset, 4, 1)
#define KV_ZSETS(X) \
    X("zadd", cmd_zadd, -4, 1) X("zincrby", cmd_zadd, 4, 1) X("zscore", cmd_zscore, 3, 0) \
    X("zmscore", cmd_zmscore, -3, 0) X("zrem", cmd_zrem, -3, 0) X("zcard", cmd_zcard, 2, 0) \
    X("zrank", cmd_zrank, 3, 0) X("zrevrank", cmd_zrank, 3, 0) X("zcount", cmd_zcount, 4, 0) \
    X("zrange", cmd_zrange, -4, 0) X("zrevrange", cmd_zrange, -4, 0) X("zrangebyscore", cmd_zrange, -4, 0) \
    X("zrevrangebyscore", cmd_zrange, -4, 0) X("zrangebylex", cmd_zrange, -4, 0) \
    X("zrevrangebylex", cmd_zrange, -4, 0) \
    X("zpopmin", cmd_zpop, -2, 0) X("zpopmax", cmd_zpop, -2, 0) X("zscan", cmd_zscan, -3, 0)

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
    X("config", cmd_config, -2, 0) X("command", cmd_command, -1, 0) X("client", cmd_client, -2, 0) \
    X("save", cmd_save, 1, 0) X("bgsave", cmd_bgsave, -1, 0) X("lastsave", cmd_lastsave, 1, 0) \
    X("multi", cmd_multi, 1, 0) X("exec", cmd_exec, 1, 0) X("discard", cmd_discard, 1, 0) \
    X("watch", cmd_watch, -2, 0) X("unwatch", cmd_unwatch, 1, 0) \
    KV_HASHES(X) KV_SETS(X) KV_LISTS(X) KV_ZSETS(X)

#define KV_DECLARE(name, function, arity, grows) void function(const struct call *c);
KV_COMMANDS(KV_DECLARE)

void commands_init(void);

struct item;

/* HSCAN, SSCAN and ZSCAN of a key of this kind; `show` replies one part and returns how many replies that was. */
typedef unsigned scan_show(struct reply *out, const struct item *name, const struct item *value);
void aggregate_scan(const struct call *c, unsigned kind, scan_show *show);

/* How many parts a value of the kind has; and remove those named in the arguments from a hash or a set. */
void aggregate_reply_count(const struct call *c, unsigned kind);
void aggregate_remove(const struct call *c, unsigned kind);

/* A count in argument i that may not be negative; without one the error is replied. */
bool arg_count(const struct call *c, uint32_t i, int64_t *out);

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
