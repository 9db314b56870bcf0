"""No request waits for work in proportion to the data: what is looked at in a command, and in a step, is counted.

Numbers of entries, not times: INFO tells the largest of each since CONFIG RESETSTAT."""
import os
import time

from wire import Wire

KEYS, PARTS = 100000, 50000
COMMAND, STEP = 2000, 10000  # entries, buckets and blocks


def fill(wire, prefix, n, more=b""):
    args = 3 if not more else 5
    for at in range(0, n, 5000):
        wire.send(b"".join(b"*%d\r\n$3\r\nSET\r\n$%d\r\n%s%06d\r\n$1\r\nv\r\n%s" %
                           (args, len(prefix) + 6, prefix, i, more) for i in range(at, at + 5000)))
        for _ in range(5000):
            wire.file.readline()


def figures(wire):
    return {k: int(v) for k, v in (line.split(":") for line in wire.call("INFO").decode().splitlines()
                                   if line.count(":") == 1) if v.isdigit()}


def aggregates(wire):
    for at in range(0, PARTS, 500):
        some = ["m%d" % i for i in range(at, at + 500)]
        wire.pipeline([["HSET", "h"] + [w for m in some for w in (m, m)], ["RPUSH", "l"] + some, ["SADD", "s"] + some,
                       ["ZADD", "z"] + [w for m in some for w in (m[1:], m)]])


def settle(wire):
    """Until nothing waits to be freed or to expire."""
    for _ in range(600):
        f = figures(wire)
        if f["lazyfree_pending_objects"] == 0 and wire.call("DBSIZE") == 0:
            return
        time.sleep(0.05)


def scenes(server_class, name):
    """(what, how to prepare, how to do it) of each."""
    def both(wire):
        fill(wire, b"key", KEYS)
        aggregates(wire)

    def expire(wire):
        fill(wire, b"key", KEYS, b"$2\r\nPX\r\n$3\r\n500\r\n")
        settle(wire)

    def evict(wire):
        wire.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        wire.call("CONFIG", "SET", "maxmemory", "1mb")
        fill(wire, b"new", 20000)
        wire.call("CONFIG", "SET", "maxmemory", "0")
    def save(wire):
        wire.pipeline([["BGSAVE"], ["HSET", "h", "m1", "x"], ["LPOP", "l"], ["LSET", "l", PARTS // 2, "x"],
                       ["LTRIM", "l", 1000, -2000], ["ZREM", "z", "m5"], ["DEL", "s"]])
        while "in_progress:1" in wire.call("INFO", "persistence").decode():
            time.sleep(0.02)
    return [("growth", None, both),
            ("KEYS", both, lambda w: w.call("KEYS", "*1*")),
            ("SCAN with a huge COUNT", both, lambda w: w.call("SCAN", 0, "COUNT", 1 << 62)),
            ("a wave of expiring keys", None, expire),
            ("eviction", both, evict),
            ("DEL of large aggregates", aggregates, lambda w: (w.call("DEL", "h", "l", "s", "z"), settle(w))),
            ("LTRIM and a few random members", aggregates,
             lambda w: w.pipeline([["LTRIM", "l", PARTS // 3, 2 * PARTS // 3], ["SRANDMEMBER", "s", 20],
                                   ["SPOP", "s", 20], ["ZPOPMIN", "z", 20]])),
            ("BGSAVE while large aggregates change", both, save),
            ("FLUSHALL", both, lambda w: (w.call("FLUSHALL"), settle(w)))]


def run(server_class, tmp, names, result):
    for name in names:
        with server_class(name, "--snapshot", os.path.join(tmp, "steps-" + name)) as server:
            wire = Wire(server.port)
            for what, prepare, act in scenes(server_class, name):
                wire.call("FLUSHALL")
                if prepare is not None:
                    prepare(wire)
                wire.call("CONFIG", "RESETSTAT")
                act(wire)
                f = figures(wire)
                command, step = f["work_most_command"], f["work_most_step"]
                result(0 < max(command, step) and command <= COMMAND and step <= STEP,
                       "%s: %s is done in steps" % (name, what),
                       "%d in a command, %d in a step" % (command, step))
            wire.call("FLUSHALL")
            fill(wire, b"key", KEYS)
            wire.call("CONFIG", "RESETSTAT")
            wire.pipeline([["MULTI"], ["KEYS", "nothing"], ["EXEC"]])
            result(figures(wire)["work_most_command"] > KEYS,
                   "control: %s, what a transaction does at once is noticed" % name)
            both = Wire(server.port)
            wire.pipeline([["FLUSHALL"]])
            fill(wire, b"key", KEYS)
            wire.send(b"*2\r\n$4\r\nKEYS\r\n$1\r\n*\r\n*1\r\n$4\r\nPING\r\n")
            pong = both.call("PING")
            beside = both.pipeline([["SET", "beside", "x"], ["DEL", "beside"]])
            found, last = wire.read(), wire.read()
            result(len(set(found) - {b"beside"}) == KEYS and str(pong) == str(last) == "PONG" and len(beside) == 2,
                   "%s: KEYS beside other clients finds all keys" % name, "%d" % len(found))
            gone = Wire(server.port)
            gone.send(b"*2\r\n$4\r\nKEYS\r\n$1\r\n*\r\n" * 3)
            gone.close()
            result(str(wire.call("PING")) == "PONG", "%s: who leaves during KEYS does no harm" % name)
            code, errors = server.stop()
            result(code == 0 and errors == "", "%s ends cleanly after steps" % name, errors)
