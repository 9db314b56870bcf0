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

CONNECTION = [
    lambda r: [r.choice([b"PING", b"ECHO", b"ping"])] + r.choice([[], [b"hello"], [b"a", b"b"]]),
    lambda r: [b"SELECT", r.choice([b"0", b"0", b"0", b"16", b"-1", b"x"])],
    lambda r: [r.choice([b"NOSUCH", b"get", b"set", b"incr", b"ttl", b"no\r\nline"])] +
    [value(r)[:60] for _ in range(r.randrange(4))],
    lambda r: [b"FLUSHALL"] + r.choice([[], [b"ASYNC"], [b"bad"]]) if r.random() < 0.1 else [b"PING"],
]


def command(r):
    return r.choice(r.choices([STRINGS, KEYS, CONNECTION], [6, 3, 1])[0])(r)


def alike(command, ours, theirs):
    """Whether a reply is right, where the reference's is `theirs`."""
    name = command[0].upper()
    if type(ours) is not type(theirs):
        return False
    if name in (b"TTL", b"PTTL") and isinstance(ours, int) and ours > 0 and theirs > 0:
        # two servers, two clocks: what one was given a moment earlier; a slow machine may need seconds
        return abs(ours - theirs) <= (30 if name == b"TTL" else 30000)
    if name == b"KEYS" and isinstance(ours, list):
        return sorted(ours) == sorted(theirs)
    return ours == theirs
