"""Random commands whose replies must be those of redis-server, and what of a reply may differ."""

WORDS = [b"", b"0", b"1", b"-1", b"10", b"007", b"9223372036854775807", b"-9223372036854775808", b"9223372036854775808",
         b" 1", b"1.5", b"abc", b"x" * 100, b"\x00\r\n\xff", b"y" * 3000]


def key(r):
    return b"key:%d" % r.randrange(40)


def value(r):
    return r.choice(WORDS) if r.random() < 0.5 else b"v" * r.randrange(600)


def number(r):
    return r.choice([b"0", b"1", b"-1", b"5", b"-3", b"100", b"abc", b"9223372036854775807", b"-9223372036854775808",
                     b"536870913"])


def offset(r):
    return number(r) if r.random() < 0.3 else b"%d" % r.randrange(-50, 700)


def far(r):
    """Times of expiry far enough that none passes while the test runs."""
    return r.choice([b"1000", b"5000", b"100000", b"0", b"-1", b"abc", b"9223372036854775807"])


def set_options(r):
    pool = [[b"NX"], [b"XX"], [b"GET"], [b"KEEPTTL"], [b"EX", far(r)], [b"px", far(r) + b"000"], [b"bad"], [b"EX"],
            [b"PXAT", b"99999999999999"]]  # none in the past: redis-server still counts such a key for a moment
    return [w for o in r.sample(pool, r.choice([0, 0, 1, 1, 2, 3])) for w in o]


STRINGS = [
    lambda r: [b"SET", key(r), value(r)] + set_options(r),
    lambda r: [b"SET", key(r), value(r)],
    lambda r: [b"get", key(r)],
    lambda r: [b"GETDEL", key(r)],
    lambda r: [b"GETSET", key(r), value(r)],
    lambda r: [b"GETEX", key(r)] + r.choice(
        [[], [b"PERSIST"], [b"EX", far(r)], [b"PX", b"900000"], [b"nope"], [b"PERSIST", b"EX", b"100"]]),
    lambda r: [b"SETNX", key(r), value(r)],
    lambda r: [b"SETEX", key(r), far(r), value(r)],
    lambda r: [b"MSET", key(r), value(r), key(r), value(r)] + r.choice([[], [key(r)]]),
    lambda r: [b"MSETNX", key(r), value(r), key(r), value(r)],
    lambda r: [b"MGET", key(r), key(r), key(r)],
    lambda r: [r.choice([b"INCR", b"DECR"]), key(r)],
    lambda r: [r.choice([b"INCRBY", b"DECRBY"]), key(r), number(r)],
    lambda r: [b"SET", key(r), number(r)],
    lambda r: [b"APPEND", key(r), value(r)],
    lambda r: [b"STRLEN", key(r)],
    lambda r: [b"SETRANGE", key(r), offset(r), value(r)],
    lambda r: [b"GETRANGE", key(r), offset(r), offset(r)],
]

KEYS = [
    lambda r: [r.choice([b"DEL", b"UNLINK", b"EXISTS"])] + [key(r) for _ in range(r.randrange(1, 4))],
    lambda r: [b"TYPE", key(r)],
    lambda r: [b"EXPIRE", key(r), far(r)] + r.choice(
        [[], [], [b"NX"], [b"XX"], [b"GT"], [b"LT"], [b"NX", b"GT"], [b"GT", b"LT"], [b"bad"]]),
    lambda r: [b"PEXPIRE", key(r), far(r) + b"000"],
    lambda r: [b"PEXPIREAT", key(r), r.choice([b"99999999999999", b"1", b"-5"])],
    lambda r: [r.choice([b"TTL", b"PTTL"]), key(r)],
    lambda r: [b"PERSIST", key(r)],
    lambda r: [r.choice([b"RENAME", b"RENAMENX"]), key(r), key(r)],
    lambda r: [b"DBSIZE"],
    lambda r: [b"KEYS", r.choice(
        [b"*", b"key:1*", b"key:?", b"key:[1-3]", b"key:[^1]*", b"*\\:1*", b"nothing", b"**1", b"key:[3-1]0"])],
]



def typed(kind):
    """Keys of one kind mostly, a few of any kind; the last of each grows large."""
    return lambda r: key(r) if r.random() < 0.1 else kind + (b":big" if r.random() < 0.4 else b":%d" % r.randrange(6))


H, L, S, Z = typed(b"hash"), typed(b"list"), typed(b"set"), typed(b"zset")


SPAN = [300]  # how many members there are


def member(r):
    return b"m" * r.randrange(300) if r.random() < 0.02 else b"member:%d" % r.randrange(SPAN[0])


def members(r):
    return [member(r) for _ in range(r.choice([1, 1, 2, 3, 40]))]


def fields(r):
    return [w for m in members(r) for w in (m, number(r) if r.random() < 0.5 else value(r)[:100])]


def index(r):
    return number(r) if r.random() < 0.2 else b"%d" % r.randrange(-SPAN[0], SPAN[0])


def score(r):
    return r.choice([b"0", b"1", b"-1.5", b"3.25", b"1e300", b"inf", b"-inf", b"abc", b"", b" 1", b"nan", b"1e400",
                     b"0x10"]) if r.random() < 0.2 else b"%d" % r.randrange(-50, 50)


def scores(r):
    return [w for m in members(r) for w in (score(r), m)]


def bound(r):
    return r.choice([b"", b"("]) + score(r)


def count(r):
    return r.choice([[], [], [b"0"], [b"1"], [b"2"], [b"60"], [b"-1"], [b"abc"], [b"1", b"2"]])


def mixed(r, word):
    return r.choice([word, word.lower()])


HASHES = [
    lambda r: [mixed(r, b"HSET"), H(r)] + fields(r) + r.choice([[], [], [], [b"odd"]]),
    lambda r: [b"HMSET", H(r)] + fields(r),
    lambda r: [b"HSETNX", H(r), member(r), value(r)],
    lambda r: [r.choice([b"HGET", b"HEXISTS", b"HSTRLEN"]), H(r), member(r)],
    lambda r: [b"HMGET", H(r)] + members(r),
    lambda r: [b"HDEL", H(r)] + members(r),
    lambda r: [b"HINCRBY", H(r), member(r), number(r)],
    lambda r: [r.choice([b"HLEN", b"HGETALL", b"HKEYS", b"HVALS"]), H(r)],
    lambda r: [b"HSCAN", H(r), r.choice([b"0", b"x"])] + r.choice(
        [[], [b"COUNT", b"1000"], [b"MATCH", b"*1*"], [b"bad"], [b"COUNT", b"0"]]),
]

LISTS = [
    lambda r: [r.choice([b"LPUSH", b"RPUSH", b"lpush", b"rpush"]), L(r)] +
    [value(r) if r.random() < 0.2 else m for m in members(r)],
    lambda r: [r.choice([b"LPUSHX", b"RPUSHX"]), L(r)] + members(r),
    lambda r: [r.choice([b"LPOP", b"RPOP"]), L(r)] + count(r),
    lambda r: [b"LLEN", L(r)],
    lambda r: [b"LRANGE", L(r), index(r), index(r)],
    lambda r: [b"LRANGE", L(r), b"0", b"-1"],
    lambda r: [b"LTRIM", L(r), b"%d" % r.randrange(-3, 3) if r.random() < 0.8 else index(r),
               b"-1" if r.random() < 0.8 else index(r)],
    lambda r: [b"LINDEX", L(r), index(r)],
    lambda r: [b"LSET", L(r), index(r), value(r)],
]

SETS = [
    lambda r: [b"SADD", S(r)] + members(r),
    lambda r: [b"SREM", S(r)] + members(r),
    lambda r: [b"SISMEMBER", S(r), member(r)],
    lambda r: [b"SMISMEMBER", S(r)] + members(r),
    lambda r: [r.choice([b"SCARD", b"SMEMBERS"]), S(r)],
    lambda r: [b"SPOP", S(r)] + r.choice([[b"0"], [b"-1"], [b"abc"], [b"1", b"2"]] +
                                         [[b"100000"]] * (r.random() < 0.1)),
    lambda r: [b"SRANDMEMBER", S(r)] + r.choice([[], [b"3"], [b"-5"], [b"1000"], [b"abc"], [b"0"], [b"1", b"2"]]),
    lambda r: [b"SSCAN", S(r), b"0"] + r.choice([[], [b"COUNT", b"1000"], [b"MATCH", b"*1*"], [b"COUNT"]]),
]


def zset_range(r):
    name = r.choice([b"ZRANGE", b"ZRANGE", b"ZREVRANGE", b"ZRANGEBYSCORE", b"ZREVRANGEBYSCORE"])
    some = [[b"WITHSCORES"], [b"LIMIT", index(r), index(r)], [b"LIMIT", b"1", b"5"], [b"REV"], [b"BYSCORE"], [b"bad"]]
    words = [w for o in r.sample(some, r.choice([0, 0, 1, 1, 2, 3])) for w in o]
    by_score = b"BYSCORE" in words or name.endswith(b"SCORE")
    ends = [bound(r), bound(r)] if by_score or r.random() < 0.05 else [index(r), index(r)]
    return [name, Z(r)] + ends + words


def lex(r):
    """Members that all have the same score, and ranges of them."""
    k = b"lex:%d" % r.randrange(2)
    if r.random() < 0.4:
        return [b"ZADD", k] + [w for m in members(r) for w in (b"0", m)]
    ends = [r.choice([b"-", b"+", b"[" + member(r), b"(" + member(r), b"[", b"(", b"", b"x"]) for _ in "ab"]
    options = r.choice([[], [], [b"LIMIT", index(r), index(r)], [b"LIMIT", b"1", b"5"], [b"WITHSCORES"]])
    name = r.choice([b"ZRANGE", b"ZRANGE", b"ZRANGEBYLEX", b"ZREVRANGEBYLEX"])
    more = r.choice([[b"BYLEX"], [b"BYLEX", b"REV"], [b"rev", b"bylex"], [b"BYLEX", b"BYSCORE"]]) \
        if name == b"ZRANGE" else []
    return [name, k] + ends + more + options


ZSETS = [
    lex, lex,
    lambda r: [b"ZADD", Z(r)] + r.sample([b"NX", b"XX", b"GT", b"LT", b"CH"], r.choice([0, 0, 1, 2])) + scores(r),
    lambda r: [b"ZADD", Z(r)] + scores(r),
    lambda r: [b"ZADD", Z(r), b"INCR"] + r.choice([[], [b"NX"], [b"XX"], [b"GT"]]) + [score(r), member(r)],
    lambda r: [b"ZINCRBY", Z(r), score(r), member(r)],
    lambda r: [r.choice([b"ZSCORE", b"ZRANK", b"ZREVRANK"]), Z(r), member(r)],
    lambda r: [b"ZMSCORE", Z(r)] + members(r),
    lambda r: [b"ZREM", Z(r)] + members(r),
    lambda r: [b"ZCARD", Z(r)],
    lambda r: [r.choice([b"ZPOPMIN", b"ZPOPMAX"]), Z(r)] + count(r),
    lambda r: [b"ZCOUNT", Z(r), bound(r), bound(r)],
    lambda r: [b"ZSCAN", Z(r), b"0", b"COUNT", b"1000"],
    zset_range, zset_range,
    lambda r: [b"ZRANGE", Z(r), b"0", b"-1", b"WITHSCORES"],
]

def some(r):
    return r.choice([H, L, S, Z])(r)


ANY_KIND = [
    lambda r: [r.choice([b"TYPE", b"EXISTS", b"PERSIST", b"GET", b"STRLEN", b"INCR", b"GETDEL"]), some(r)],
    lambda r: [r.choice([b"RENAME", b"RENAMENX"]), some(r), some(r)] if r.random() < 0.3 else [b"PING"],
    lambda r: [r.choice([b"DEL", b"GET", b"SET"]), some(r)] + [b"x"] * (r.random() < 0.5) if r.random() < 0.1
    else [b"DBSIZE"],
    lambda r: [b"EXPIRE", some(r), b"5000"],
    lambda r: [b"MGET", H(r), L(r), key(r)],
    lambda r: [r.choice([b"HGET", b"LLEN", b"SCARD", b"ZCARD", b"HDEL", b"LPUSH", b"ZREM", b"SADD"]), some(r)] +
    r.choice([[], [b"a"]]),
]

CONNECTION = [
    lambda r: [b"WATCH"] + [r.choice([key, some])(r) for _ in range(r.choice([0, 1, 1, 2, 4]))],
    lambda r: [b"UNWATCH"] + [b"x"] * (r.random() < 0.05),
    lambda r: [r.choice([b"MULTI", b"EXEC"])],
    lambda r: [r.choice([b"MULTI", b"EXEC", b"EXEC", b"EXEC", b"DISCARD"])] + [b"x"] * (r.random() < 0.05),
    lambda r: [r.choice([b"PING", b"ECHO", b"ping"])] + r.choice([[], [b"hello"], [b"a", b"b"]]),
    lambda r: [b"SELECT", r.choice([b"0", b"0", b"0", b"16", b"-1", b"x"])],
    lambda r: [r.choice([b"NOSUCH", b"get", b"set", b"incr", b"ttl", b"no\r\nline"])] +
    [value(r)[:60] for _ in range(r.randrange(4))],
    lambda r: [b"FLUSHALL"] + r.choice([[], [b"ASYNC"], [b"bad"]]) if r.random() < 0.05 else [b"PING"],
]


# What fits few arguments. Of NOT_ODD replies differ by design, or depend on chance or time.
ODD = [b"", b"0", b"-0", b"+1", b"1", b"-1", b"2", b"10", b"007", b"1.0", b"1e3", b"nan", b"-nan", b"inf", b"+inf",
       b"-inf", b"Infinity", b"(1", b"((1", b"(", b"[a", b"-", b"+", b"9223372036854775807", b"9223372036854775808",
       b"-9223372036854775808", b"-9223372036854775809", b"18446744073709551615", b"99999999999999999999999", b" 1",
       b"1 ", b"a", b"b", b"\x00", b"\r\n", b"x" * 70, b"x" * 700, b"nx", b"XX", b"gt", b"LT", b"ch", b"incr",
       b"withscores", b"limit", b"byscore", b"bylex", b"rev", b"count", b"match", b"*", b"ex", b"PX", b"keepttl",
       b"get", b"persist", b"exat", b"1e400", b"0x10", b"1e-400", b".5", b"5.", b"-.5e1", b"4.9e-324",
       b"1.7976931348623157e308", b"3.0000000000000001", b"0.1"]
ODD_KEYS = [b"s", b"i", b"h", b"l", b"t", b"z", b"none", b"", b"H", b"L", b"T", b"Z"]
NOT_ODD = {b"bgsave", b"client", b"command", b"config", b"discard", b"exec", b"flushall", b"flushdb", b"hello",
           b"hscan", b"info", b"lastsave", b"memory", b"multi", b"quit", b"randomkey", b"save", b"scan", b"spop",
           b"srandmember", b"sscan", b"unwatch", b"watch", b"zscan"}
ODD_FIRST = [[b"FLUSHALL"], [b"SET", b"s", b"hello"], [b"SET", b"i", b"10"], [b"HSET", b"h", b"a", b"1", b"", b"e"],
             [b"RPUSH", b"l", b"a", b"b", b"a"], [b"SADD", b"t", b"a", b"1"],
             [b"ZADD", b"z", b"1", b"a", b"-inf", b"e"],
             [b"HSET", b"H"] + [b"%d" % (i // 2) for i in range(600)],
             [b"RPUSH", b"L"] + [b"%d" % i for i in range(1000)],
             [b"SADD", b"T"] + [b"%d" % i for i in range(300)],
             [b"ZADD", b"Z"] + [b"%d" % (i // 3 if i % 2 == 0 else i) for i in range(600)]]


def odd(r, names):
    """Arguments that do not fit what they are for."""
    keys = [r.choice(ODD_KEYS)] * (r.random() < 0.95)
    return [r.choice(names)] + keys + [r.choice(ODD) for _ in range(r.choice([0, 1, 1, 2, 2, 2, 3, 3, 4, 5, 6]))]


def large(n):
    """One aggregate of each kind, of n parts."""
    names = [b"member:%d" % i for i in range(n)]
    for at in range(0, n, 500):
        some = names[at:at + 500]
        yield [b"HSET", b"hash:big"] + [w for m in some for w in (m, m[7:])]
        yield [b"RPUSH", b"list:big"] + some
        yield [b"SADD", b"set:big"] + some
        yield [b"ZADD", b"zset:big"] + [w for m in some for w in (b"%d" % (int(m[7:]) * 7919 % n // 3), m)]


def command(r):
    kinds = [STRINGS, KEYS, CONNECTION, HASHES, LISTS, SETS, ZSETS, ANY_KIND]
    return r.choice(r.choices(kinds, [6, 3, 1.3, 4, 4, 3, 4, 1])[0])(r)


def pairs(reply):
    return sorted(zip(reply[::2], reply[1::2]))


def alike_unordered(name, command, ours, theirs):
    """Replies in no particular order; parts at random, whose number alone is compared."""
    if name in (b"KEYS", b"HKEYS", b"HVALS", b"SMEMBERS", b"SPOP"):
        return sorted(ours) == sorted(theirs)
    if name == b"HGETALL":
        return pairs(ours) == pairs(theirs)
    if name == b"SRANDMEMBER":
        return len(ours) == len(theirs)
    # a scan; one that has all in one reply is compared as a whole
    if b"1000" not in command or ours[0] != b"0" or theirs[0] != b"0":
        return len(ours) == 2
    return sorted(ours[1]) == sorted(theirs[1])


def alike_queue(queue, ours, theirs):
    """The replies of EXEC, to the commands that the client has sent since MULTI."""
    if not (isinstance(ours, list) and isinstance(theirs, list)):
        return type(ours) is type(theirs) and ours == theirs
    return len(ours) == len(theirs) == len(queue) and all(alike(*t) for t in zip(queue, ours, theirs))


UNORDERED = {b"KEYS", b"HKEYS", b"HVALS",
             b"SMEMBERS", b"SPOP", b"HGETALL", b"SRANDMEMBER", b"HSCAN", b"SSCAN", b"ZSCAN"}


def alike(command, ours, theirs):
    """Whether a reply is right, where the reference's is `theirs`."""
    name = command[0].upper()
    if type(ours) is not type(theirs):
        return False
    if name in (b"TTL", b"PTTL") and isinstance(ours, int) and ours > 0 and theirs > 0:
        # two servers, two clocks: what one was given a moment earlier; a slow machine may need seconds
        return abs(ours - theirs) <= (30 if name == b"TTL" else 30000)
    if name in UNORDERED and isinstance(ours, list):
        return alike_unordered(name, command, ours, theirs)
    if name == b"SRANDMEMBER" and isinstance(ours, bytes):
        return True
    return ours == theirs
