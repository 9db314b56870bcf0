"""Snapshots: what is written while the server serves is what was there when it began; damaged files are refused."""
import os
import random
import subprocess
import time

from wire import Status, Wire


def contents(wire):
    """All that a client can see, of every database."""
    seen = {}
    for db in range(16):
        wire.call("SELECT", db)
        for key in wire.call("KEYS", "*"):
            kind = str(wire.call("TYPE", key))
            read = {"string": ["GET", key], "list": ["LRANGE", key, 0, -1], "hash": ["HGETALL", key],
                    "set": ["SMEMBERS", key], "zset": ["ZRANGE", key, 0, -1, "WITHSCORES"]}[kind]
            value = wire.call(*read)
            if kind == "hash":
                value = sorted(zip(value[::2], value[1::2]))
            seen[db, key] = (kind, sorted(value) if kind == "set" else value, wire.call("PTTL", key) > 0)
    wire.call("SELECT", 0)
    return seen


def fill(wire, n):
    """Keys of every kind, small and large, some that expire, in three databases."""
    for db in (0, 3, 15):
        wire.call("SELECT", db)
        wire.pipeline([["SET", "s:%d" % i, "v" * (i % 700)] + ["EX", 1000] * (i % 5 == 0) for i in range(n)])
        for size in 1, 100, 3000:
            names = ["m:%d" % i + "x" * (i % 90) for i in range(size)]
            wire.pipeline([["HSET", "h:%d" % size, m, m * 2] for m in names])
            wire.pipeline([["RPUSH", "l:%d" % size, m] for m in names])
            wire.pipeline([["SADD", "t:%d" % size, m] for m in names])
            wire.pipeline([["ZADD", "z:%d" % size, i * 7 % 1000 / 4, m] for i, m in enumerate(names)])
    wire.call("SET", "", "")
    wire.call("SELECT", 0)


def changes(n):
    """Commands that leave nothing as it was."""
    for i in range(n):
        yield random.choice([["APPEND", "s:%d" % i, "y"], ["DEL", "s:%d" % i], ["SET", "s:%d" % i, "z"],
                             ["RENAME", "s:%d" % i, "r:%d" % i], ["EXPIRE", "s:%d" % i, 500]])
        yield ["SET", "new:%d" % i, "new"]
    for size in 1, 100, 3000:
        yield from (["HDEL", "h:%d" % size, "m:0"], ["HSET", "h:%d" % size, "m:0", "?"], ["LPOP", "l:%d" % size],
                    ["LTRIM", "l:%d" % size, 0, size // 2], ["SADD", "t:%d" % size, "?"],
                    ["ZINCRBY", "z:%d" % size, 1, "m:0"], ["DEL", "t:%d" % size])


def finished(wire):
    for _ in range(600):
        info = wire.call("INFO", "persistence").decode()
        if "in_progress:0" in info:
            return "status:ok" in info
        time.sleep(0.05)
    return False


def written_while_serving(server_class, name, other, path, result):
    """`name` writes it, `other` loads it."""
    with server_class(name, "--snapshot", path) as server:
        wire = Wire(server.port)
        fill(wire, 5000)
        before = contents(wire)
        replies = wire.pipeline([["BGSAVE"]] + list(changes(5000)))
        good = finished(wire)
        result(good and replies[0] == Status("Background saving started"), "%s: BGSAVE writes a file" % name,
               replies[0])
        after = contents(wire)
        with server_class(other, "--snapshot", path) as second:
            loaded = contents(Wire(second.port))
        odd = [k for k in set(before) | set(loaded) if before.get(k) != loaded.get(k)]
        result(not odd, "%s loads what was there when the snapshot of %s began" % (other, name),
               ["%r: %.100r, loaded %.100r" % (k, before.get(k), loaded.get(k)) for k in odd[:5]])
        result(loaded != after, "control: the changes since then show")
        result(wire.call("SAVE") == Status("OK"), "%s: SAVE writes one, too" % name)
        code, errors = server.stop()
        with server_class(other, "--snapshot", path) as second:
            result(contents(Wire(second.port)) == after and code == 0 and errors == "", "%s loads that" % other, errors)


def large_fill(wire, n):
    for at in range(0, n, 500):
        some = ["m:%d" % i for i in range(at, at + 500)]
        for k in "123":
            wire.pipeline([["HSET", "h" + k] + [w for m in some for w in (m, m * 2)], ["RPUSH", "l" + k] + some,
                           ["SADD", "t" + k] + some, ["ZADD", "z" + k] + [w for m in some for w in (m[2:], m)]])


def large_changes(r, n):
    """Commands on large aggregates: parts come, go and change, lists at both ends and within; whole ones go."""
    k = r.choice("123")
    m = "m:%d" % r.randrange(n)
    return r.choice([
        ["HSET", "h" + k, m, "changed"], ["HDEL", "h" + k, m], ["HINCRBY", "h" + k, "new%d" % r.randrange(9), 1],
        ["SADD", "t" + k, "new" + m], ["SREM", "t" + k, m], ["SPOP", "t" + k],
        ["ZADD", "z" + k, r.randrange(n), m], ["ZREM", "z" + k, m], ["ZPOPMIN", "z" + k, 3],
        ["LPUSH", "l" + k, "new"], ["RPUSH", "l" + k, "new", "newer"], ["LPOP", "l" + k, r.randrange(1, 60)],
        ["RPOP", "l" + k, r.randrange(1, 60)], ["LSET", "l" + k, r.randrange(-n // 2, n // 2), "replaced"],
        ["LSET", "l" + k, r.randrange(n // 2), "replaced again"],
        ["LTRIM", "l" + k, r.randrange(90), -r.randrange(1, 90)]] + [
        ["DEL", r.choice("hltz") + "3"], ["RENAME", r.choice("hltz") + "2", "moved"], ["RPUSH", "l3", "anew"]] *
        (r.random() < 0.02))


def parts_change(server_class, name, other, path, result):
    """Large aggregates are written in steps while commands change them: the file has what was there before."""
    n, r = 6000, random.Random(random.randrange(1 << 30))
    with server_class(name, "--snapshot", path) as server:
        wire = Wire(server.port)
        large_fill(wire, n)
        for turn in 1, 2:
            before = contents(wire)
            wire.call("BGSAVE")
            rounds = 0
            while "in_progress:1" in wire.call("INFO", "persistence").decode():
                wire.pipeline([large_changes(r, n) for _ in range(8)])
                rounds += 1
            good = finished(wire)
            with server_class(other, "--snapshot", path) as second:
                loaded = contents(Wire(second.port))
            odd = [k for k in set(before) | set(loaded) if before.get(k) != loaded.get(k)]
            result(good and rounds > 3 and not odd,
                   "%s: snapshot %d of large aggregates has what was there, whatever changes them" % (name, turn),
                   "%d rounds; %s" % (rounds, ["%r: %.60r" % (k, loaded.get(k)) for k in odd[:5]]))
            result(loaded != contents(wire), "control: something has changed them")
        code, errors = server.stop()
        result(code == 0 and errors == "", "%s ends cleanly after that" % name, errors)


def given_up(server_class, name, path, result):
    """A snapshot that FLUSHDB ends leaves the next one whole."""
    with server_class(name, "--snapshot", path) as server:
        wire = Wire(server.port)
        fill(wire, 6000)
        wire.call("SELECT", 15)
        replies = wire.pipeline([["BGSAVE"], ["FLUSHDB"], ["BGSAVE"]])
        wire.call("SELECT", 0)
        scheduled = str(replies[2]) == "Background saving scheduled"
        for _ in range(600):
            if os.path.exists(path):
                break
            time.sleep(0.05)
        before = contents(wire)
        finished(wire)
        with server_class(name, "--snapshot", path) as second:
            loaded = contents(Wire(second.port))
        result(scheduled and loaded == before and len(loaded) > 12000,
               "%s: after a snapshot that was given up the next one is whole" % name,
               "%s, %d keys, %d loaded" % (replies, len(before), len(loaded)))


def refused(server_class, name, path, tmp, result):
    """The file cut or changed anywhere: the server says so in one line and does not start."""
    with open(path, "rb") as f:
        whole = f.read()
    bad = os.path.join(tmp, "damaged")
    wrong = []
    cuts = [0, 7, 8, 20, len(whole) // 2, len(whole) - 9, len(whole) - 1]
    flips = [0, 9, 40, len(whole) // 3, len(whole) - 20, len(whole) - 3]
    damaged = [whole[:n] for n in cuts] + [whole[:i] + bytes([whole[i] ^ 4]) + whole[i + 1:] for i in flips]
    for data in damaged + [whole + b"x", b"text\n" * 50]:
        with open(bad, "wb") as f:
            f.write(data)
        done = subprocess.run([os.path.join(tmp, name), "--port", "0", "--snapshot", bad], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=60)
        said = done.stderr.decode()
        if done.returncode != 1 or done.stdout or said.count("\n") != 1 or "is not loaded" not in said:
            wrong.append("%d bytes: status %d, %r" % (len(data), done.returncode, said))
    result(not wrong, "%s refuses %d damaged files, with a line" % (name, len(damaged) + 2), "\n".join(wrong))
    with open(bad, "wb") as f:
        f.write(whole)
    with server_class(name, "--snapshot", bad) as server:
        result(Wire(server.port).call("DBSIZE") > 0, "control: %s loads the same file whole" % name)


def in_the_way(server_class, name, tmp, result):
    """FLUSHALL ends a snapshot; a place that cannot be written is an error; without a name there is none."""
    path = os.path.join(tmp, "flushed")
    with server_class(name, "--snapshot", path) as server:
        wire = Wire(server.port)
        fill(wire, 3000)
        replies = wire.pipeline([["BGSAVE"], ["BGSAVE"], ["FLUSHALL"], ["DBSIZE"]])
        finished(wire)
        for _ in range(600):  # its thread removes it
            if not os.path.exists(path + ".tmp"):
                break
            time.sleep(0.05)
        wanted = ["Background saving started", "ERR Background save already in progress", "OK", "0"]
        result([str(x) for x in replies] == wanted and not os.path.exists(path) and not os.path.exists(path + ".tmp"),
               "%s: FLUSHALL ends a snapshot" % name, replies)
    with server_class(name, "--snapshot", os.path.join(tmp, "no/such/place")) as server:
        said = [str(Wire(server.port).call(c)) for c in ("SAVE", "BGSAVE")]
        result(all(x.startswith("ERR cannot write") for x in said), "%s says where it cannot write" % name, said)
    with server_class(name) as server:
        said = str(Wire(server.port).call("SAVE"))
        result("--snapshot" in said, "%s: without a file there is no snapshot" % name, said)


def run(server_class, tmp, names, result):
    for name, other in zip(names, names[1:] + names[:1]):
        path = os.path.join(tmp, "snapshot-" + name)
        written_while_serving(server_class, name, other, path, result)
        refused(server_class, name, path, tmp, result)
        parts_change(server_class, name, other, path + "-parts", result)
        given_up(server_class, name, path + "-given-up", result)
    for name in names[1:3]:
        in_the_way(server_class, name, tmp, result)
