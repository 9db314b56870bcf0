"""The tests of the cache server: python3 kv.py DIRECTORY, where its builds are, and which half: replies or files.

kv-asan is kv-malloc with sanitizers; kv-checked is kv-handles on a library with checks, where each look-up asks
whether it is in a scope. Handles are compacted at full speed."""
import os
import random
import signal
import subprocess
import sys
import time

import commands
import snapshots
import steps
from wire import Error, Status, Wire, encode

TMP = sys.argv[1]
SERVERS = ["kv-malloc", "kv-handles", "kv-asan", "kv-checked"]
FULL_SPEED = {"TINYMEM": "compact_cpu:100,compact_churn:1,compact_target:1"}


def result(good, name, detail=""):
    print("%s - %s" % ("ok" if good else "not ok", name))
    if not good and detail:
        print("# " + str(detail)[:2000].replace("\n", "\n# "))
    sys.stdout.flush()
    return good


class Server:
    """One of ours, on a free port of its own choice."""

    def __init__(self, name, *options):
        env = dict(os.environ, ASAN_OPTIONS="allocator_may_return_null=1")
        if name in ("kv-handles", "kv-checked"):
            env.update(FULL_SPEED)
        self.name = name
        self.process = subprocess.Popen([os.path.join(TMP, name), "--port", "0"] + [str(o) for o in options], env=env,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        line = self.process.stdout.readline().decode()
        assert "ready on" in line, line + self.process.stderr.read().decode()
        self.port = int(line.rsplit(":", 1)[1])

    def __enter__(self):
        return self

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        errors = self.process.communicate(timeout=60)[1].decode()
        return self.process.returncode, errors

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


class Reference:
    """redis-server on a free port. Another program may take the port in between: then another one is tried."""

    def __init__(self):
        for _ in range(10):
            import socket
            with socket.socket() as s:
                s.bind(("127.0.0.1", 0))
                self.port = s.getsockname()[1]
            self.process = subprocess.Popen(
                ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
                 "--dir", TMP], stdout=subprocess.DEVNULL)
            while self.process.poll() is None:
                try:
                    if Wire(self.port).call("PING") == Status("PONG"):
                        return
                except OSError:
                    time.sleep(0.02)
                except EOFError:
                    break
        raise RuntimeError("redis-server does not start")

    def stop(self):
        self.process.terminate()
        self.process.wait()


def compare(server, reference, seed, n, doctor=None, first=(), protocol=2):
    """The first command whose replies differ, or None."""
    r = random.Random(seed)
    ours, theirs = Wire(server.port), Wire(reference.port)
    for wire in ours, theirs:
        wire.call("HELLO", protocol)
        wire.call("FLUSHALL")
        wire.pipeline(first)
    count, queue = 0, []
    while count < n:
        batch = [commands.command(r) for _ in range(r.choice([1, 5, 50]))]
        count += len(batch)
        try:
            replies = ours.pipeline(batch)
        except EOFError:
            return "the server is gone: %s" % (server.stop(),)
        for c, a, b in zip(batch, replies, theirs.pipeline(batch)):
            if doctor is not None:
                a = doctor(c, a)
            if c[0] == b"EXEC":
                good = commands.alike_queue(queue, a, b)
            else:
                good = commands.alike(c, a, b)
            queue = queue + [c] if b == Status("QUEUED") else [] if c[0] in (b"EXEC", b"DISCARD") else queue
            if not good:
                return "%r: %r, and redis-server says %r" % (c, a, b)
    return None


def differential(reference):
    for name in SERVERS:
        with Server(name) as server:
            seed = random.randrange(1 << 30)
            wrong = compare(server, reference, seed, 4000)
            result(wrong is None, "%s answers 4,000 random commands as redis-server does" % name,
                   "seed %d: %s" % (seed, wrong))
            wrong = compare(server, reference, seed, 2000, protocol=3)
            result(wrong is None, "%s does so in RESP3" % name, "seed %d: %s" % (seed, wrong))
            code, errors = server.stop()
            result(code == 0 and errors == "", "%s: SIGTERM ends it with status 0 and no word" % name,
                   "%s: %s" % (code, errors))
    with Server("kv-malloc") as server:
        def doctor(command, reply):
            return reply + 1 if command[0] == b"STRLEN" and isinstance(reply, int) and reply > 10 else reply
        wrong = compare(server, reference, 1, 4000, doctor)
        result(wrong is not None and "STRLEN" in wrong, "control: a doctored reply is noticed", wrong)


def odd_arguments(reference):
    """Every command that the server has, with arguments of all manners."""
    for name in SERVERS[:3]:
        with Server(name) as server:
            seed = random.randrange(1 << 30)
            r, ours, theirs, wrong, refused = random.Random(seed), Wire(server.port), Wire(reference.port), [], 0
            names = [c[0] for c in ours.call("COMMAND") if c[0] not in commands.NOT_ODD]
            for turn in range(200):
                for wire in ours, theirs:
                    wire.call("HELLO", 2 + turn % 2)
                    wire.pipeline(commands.ODD_FIRST)
                batch = [commands.odd(r, names) for _ in range(25)]
                replies = list(zip(batch, ours.pipeline(batch), theirs.pipeline(batch)))
                wrong += [t for t in replies if not commands.alike(*t)][:1]
                refused += sum(isinstance(b, Error) for _, _, b in replies)
            result(not wrong, "%s answers %d odd arguments as redis-server does" % (name, 25 * 200),
                   "seed %d: %s" % (seed, wrong[:3]))
            result(len(names) > 80 and 1000 < refused < 4900, "control: %d commands, refused and not" % len(names),
                   refused)


def watched(reference):
    """Two clients: one watches, the other one does something. Whether EXEC runs is as with redis-server."""
    def outcomes(port, seed, n):
        r, said = random.Random(seed), []
        one, two = Wire(port), Wire(port)
        one.call("FLUSHALL")
        for _ in range(n):
            change = commands.command(r)
            while change[0].upper() in (b"MULTI", b"EXEC", b"DISCARD", b"WATCH", b"SPOP") or b"SET" in change[1:]:
                change = commands.command(r)
            names = [commands.key(r), commands.some(r)] + change[1:3]
            said.append((names, change, two.call("SELECT", 0) and one.call("WATCH", *names), two.call(*change)
                         and None, one.pipeline([["MULTI"], ["PING"], ["EXEC"]])))
        return said
    for name in SERVERS[:3]:
        with Server(name) as server:
            seed = random.randrange(1 << 30)
            ours, theirs = outcomes(server.port, seed, 1500), outcomes(reference.port, seed, 1500)
            odd = [(a, b[4]) for a, b in zip(ours, theirs) if a[4] != b[4]]
            result(not odd, "%s: EXEC runs after WATCH when redis-server's does" % name,
                   "seed %d: %s" % (seed, odd[:3]))
            kinds = [sum(o[4][2] is None for o in ours), sum(o[4][2] is not None for o in ours)]
            result(min(kinds) > 100, "control: EXEC runs, and does not run", kinds)
            one = Wire(server.port)
            one.pipeline([["SET", "short", "x", "PX", 30], ["WATCH", "short"]])
            time.sleep(0.1)
            said = one.pipeline([["MULTI"], ["PING"], ["EXEC"], ["WATCH", "short"], ["MULTI"], ["PING"], ["EXEC"]])
            result(said[2] is None and said[6] == [Status("PONG")], "%s: a watched key that expires has changed" % name)


def refused_exec(reference):
    """An EXEC with an argument discards what is kept and what is watched, with MULTI and without."""
    def replies(port, middle):
        return Wire(port).pipeline([["WATCH", "refused"], *middle, ["SET", "refused", "2"], ["MULTI"], ["PING"],
                                    ["EXEC"]])
    for name in SERVERS[:3]:
        with Server(name) as server:
            for opening in [], [["MULTI"]], [["MULTI"], ["NONESUCH"]]:
                middle = opening + [["SET", "refused", "1"], ["EXEC", "x"]]
                ours, theirs = replies(server.port, middle), replies(reference.port, middle)
                result(ours == theirs and ours[-1] == [Status("PONG")],
                       "%s: EXEC x after %s ends as with redis-server" % (name, opening), (ours, theirs))
            result(replies(server.port, [])[-1] is None, "control: without EXEC x the key is still watched")


def large_aggregates(reference):
    """The same commands where aggregates have 20,000 parts; all that they took is given back."""
    n = commands.SPAN[0] = 20000
    for name in SERVERS:
        with Server(name) as server:
            wire = Wire(server.port)
            wire.call("SET", "x", "y")
            empty = figure(wire, "used_memory")
            seed = random.randrange(1 << 30)
            wrong = compare(server, reference, seed, 1500, first=list(commands.large(n)))
            result(wrong is None, "%s answers as redis-server does where aggregates are large" % name,
                   "seed %d: %s" % (seed, wrong))
            wire.call("DEL", *wire.call("KEYS", "*"))
            wire.call("SET", "x", "y")
            used = figure(wire, "used_memory")
            result(used <= empty + 256, "%s counts no bytes when they are gone" % name,
                   "%d, and %d before" % (used, empty))
            code, errors = server.stop()
            result(code == 0 and errors == "", "%s frees large aggregates" % name, "%s: %s" % (code, errors))
    commands.SPAN[0] = 300


def freed_in_steps():
    """Large aggregates are left to be freed by whatever command removes them, and then go piece by piece."""
    n = 30000
    for name in SERVERS[:3]:
        with Server(name) as server:
            wire = Wire(server.port)
            wire.pipeline(list(commands.large(n)))
            removers = [["DEL", "hash:big"], ["SET", "list:big", "x"], ["RENAME", "list:big", "set:big"],
                        ["PEXPIRE", "zset:big", 0]]
            replies = wire.pipeline([c for r in removers for c in (r, ["INFO", "memory"])])
            waiting = [int(text.split(b"pending_objects:")[1].split()[0]) for text in replies[1::2]]
            left = waiting[-1]
            for _ in range(600):
                left = figure(wire, "lazyfree_pending_objects")
                if left == 0:
                    break
                time.sleep(0.05)
            result(waiting == [1, 2, 3, 4] and left == 0,
                   "%s frees large aggregates later, whoever removes them" % name,
                   "waiting %s, then %s" % (waiting, left))
            wire.pipeline([["RPUSH", "list"] + ["i%d" % i for i in range(n)], ["LTRIM", "list", 10, -11]])
            wire.pipeline([["LPOP", "list", 100], ["RPOP", "list", 100]])
            result(wire.call("LRANGE", "list", 0, -1) == [b"i%d" % i for i in range(110, n - 110)],
                   "%s: a long list loses what is cut off, and nothing else" % name)


PROTOCOL = [b"*1\r\n+PING\r\n", b"*x\r\n", b"*1\r\n$-5\r\n", b"*1\r\n$600000000\r\n", b"*2000000\r\n",
            b"*-1\r\nPING\r\n", b"*0\r\nPING\r\n",
            b'SET a "b c"\r\nGET a\r\n', b'SET a "b\r\n', b"ping\n", b"\r\n\r\nPING\r\n",
            b"*1\r\n$4\r\nPINGxxPING\r\n", b"*1 \r\n",
            b"$4\r\nPING\r\n", b"*1\r\n\r\n", b"x" * 70000, b"*" + b"1" * 70000, b"*1\r\n$" + b"1" * 70000]


def answers(port, data):
    """All that the server says to these bytes, until it closes or we say that we are done."""
    wire = Wire(port)
    try:
        wire.send(data)
        wire.socket.shutdown(1)
        return wire.file.read()
    except ConnectionError: # what was sent was more than the server would read
        return b""
    finally:
        wire.close()


def protocol(reference):
    for name in SERVERS:
        with Server(name) as server:
            wrong = []
            for data in PROTOCOL:
                a, b = answers(server.port, data), answers(reference.port, data)
                if a != b and b"" not in (a, b):
                    wrong.append("%r: %r, and redis-server says %r" % (data[:40], a, b))
            result(not wrong, "%s answers bad input as redis-server does" % name, "\n".join(wrong))
            result(Wire(server.port).call("PING") == Status("PONG"), "%s serves on after it" % name)


def pieces():
    with Server("kv-asan") as server:
        wire = Wire(server.port)
        data = b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$5\r\nhello\r\nget a\r\n"
        for i in range(len(data)):
            wire.send(data[i:i + 1])
        result([wire.read(), wire.read()] == [Status("OK"), b"hello"], "a request may arrive byte by byte")
        big = os.urandom(1 << 20) * 20
        result(wire.call("SET", "big", big) == Status("OK") and wire.call("GET", "big") == big,
               "20 MiB go in and come out")
        replies = wire.pipeline([("SET", "big", big[:2 << 20])] + [("GET", "big"), ("PING",)] * 3)
        result(replies[2::2] == [Status("PONG")] * 3, "requests behind one with a large reply are answered")


def scans():
    """A scan beside growth and shrinking sees each key that stays, once."""
    for name in SERVERS[:2]:
        with Server(name) as server:
            wire = Wire(server.port)
            stay = [b"stay:%d" % i for i in range(2000)]
            wire.pipeline([(b"SET", k, b"") for k in stay])
            seen, cursor, turn = [], b"0", 0
            while True:
                cursor, keys = wire.call("SCAN", cursor, "COUNT", 100)
                seen += [k for k in keys if k.startswith(b"stay")]
                if cursor == b"0":
                    break
                turn += 1
                kind = b"SET" if turn % 10 < 5 else b"DEL"
                wire.pipeline([(kind, b"go:%d" % i) + ((b"",) if kind == b"SET" else ()) for i in range(3000)])
            result(sorted(seen) == sorted(stay),
                   "%s: SCAN finds what stays exactly once while the table grows and shrinks" % name,
                   "%d of %d, %d distinct" % (len(seen), len(stay), len(set(seen))))


def expiry():
    for name in SERVERS:
        with Server(name) as server:
            wire = Wire(server.port)
            wire.pipeline([("SET", "k%d" % i, "x", "PX", 1) for i in range(5000)] + [("SET", "stays", "x", "EX", 1000)])
            for _ in range(600): # nobody asks for these keys: they go by themselves
                if wire.call("DBSIZE") == 1:
                    break
                time.sleep(0.1)
            result(wire.call("DBSIZE") == 1 and wire.call("EXISTS", "stays") == 1,
                   "%s: keys expire unasked, and no others" % name)
            wire.call("FLUSHALL")


def figure(wire, name):
    for line in wire.call("INFO").decode().splitlines():
        if line.startswith(name + ":"):
            return int(line.split(":")[1])
    raise KeyError(name)


def evict_under(name, policy, limit):
    """A hundred keys are wanted (used again, or last to expire) beside 6,000 that are not, and 3,000 more come."""
    with Server(name, "--maxmemory", limit, "--maxmemory-policy", policy, "--maxmemory-samples", 10) as server:
        wire = Wire(server.port)
        timed = policy == "volatile-ttl"
        wanted = ["keep:%d" % i for i in range(100)]

        def put(keys, seconds):
            wire.pipeline([["SET", k, "x" * 100] + (["EX", seconds] if timed else []) for k in keys])
        put(["old:%d" % i for i in range(6000)], 1000)
        put(wanted, 100000)
        if policy == "allkeys-lru":
            time.sleep(2.1)  # it counts seconds
        for _ in range(20):
            wire.pipeline([["GET", k] for k in wanted])
        put(["new:%d" % i for i in range(3000)], 50000)
        used, evicted, alive = figure(wire, "used_memory"), figure(wire, "evicted_keys"), wire.call("EXISTS", *wanted)
        result(used <= limit + 4096 and evicted > 500 and alive >= 95,
               "%s: maxmemory holds under %s, and what is wanted stays" % (name, policy),
               "%d bytes, %d evicted, %d of 100 alive" % (used, evicted, alive))


def eviction():
    limit = 1 << 20
    for name in SERVERS:
        for policy in "allkeys-lru", "allkeys-lfu", "volatile-ttl":
            evict_under(name, policy, limit)
    with Server("kv-malloc", "--maxmemory", limit) as server:
        wire = Wire(server.port)
        replies = wire.pipeline([["SET", "k%d" % i, "x" * 1000] for i in range(2000)])
        full = Error("OOM command not allowed when used memory > 'maxmemory'.")
        result(full in replies and replies[0] == Status("OK") and wire.call("GET", "k0") == b"x" * 1000 and
               wire.call("DEL", "k0") == 1, "noeviction: writes fail as redis-server's do, reads and deletions do not")


def flush():
    for name in SERVERS[:2]:
        with Server(name) as server:
            wire = Wire(server.port)
            wire.pipeline([["SET", "first", "x"]])
            empty = figure(wire, "used_memory_rss")
            for batch in range(100):
                wire.pipeline([["SET", "k%d:%d" % (batch, i), "x" * 200] for i in range(2000)])
            full = figure(wire, "used_memory_rss")
            wire.call("FLUSHALL")
            result(wire.call("DBSIZE") == 0 and figure(wire, "used_memory") < 4096,
                   "%s: FLUSHALL leaves nothing" % name)
            if name == "kv-handles": # malloc's memory is malloc's matter
                rss = full
                for _ in range(600):
                    rss = figure(wire, "used_memory_rss")
                    if rss < empty + (8 << 20):
                        break
                    time.sleep(0.1)
                result(full > empty + (40 << 20) and rss < empty + (8 << 20), "kv-handles: and the memory goes back",
                       "empty %d, full %d, then %d" % (empty, full, rss))


def words_follow():
    """Keys become a sixth, spread over all words of handles: the words follow, and every value is there."""
    n = 120000
    with Server("kv-handles") as server:
        wire = Wire(server.port)
        for at in range(0, n, 2000):
            wire.pipeline([["SET", "k%d" % i, "v%d" % i] for i in range(at, at + 2000)])
        for at in range(0, n, 2000):
            wire.pipeline([["DEL", "k%d" % i] for i in range(at, at + 2000) if i % 6])
        full = words = figure(wire, "handles_words")
        wanted = n // 6 * 8 * 2 + (256 << 10)
        for i in range(300):
            words = figure(wire, "handles_words")
            if words <= wanted and figure(wire, "handles_walks") > 0:
                break
            wire.pipeline([["SET", "k%d" % (6 * k), "v%d" % (6 * k)] for k in range(100 * i, 100 * i + 100)
                           if 6 * k < n])  # changes meanwhile
            time.sleep(0.1)
        result(words <= wanted, "kv-handles: words of handles follow the number of keys",
               "%d bytes, then %d, wanted %d" % (full, words, wanted))
        result(full > wanted, "control: without copies they would not", full)
        whole = all(wire.pipeline([["GET", "k%d" % i] for i in range(at, at + 6000, 6)]) ==
                    [b"v%d" % i for i in range(at, at + 6000, 6)] for at in range(0, n, 6000))
        result(whole and wire.call("DBSIZE") == n // 6, "kv-handles: and every value is there")
        code, errors = server.stop()
        result(code == 0 and errors == "", "kv-handles ends cleanly after that", errors)


def hostile():
    for name in SERVERS:
        with Server(name, "--stall", 1, "--maxclients", 40) as server:
            good = Wire(server.port)
            big = b"x" * (8 << 20)
            good.call("SET", "big", big)
            # one stops in the middle, one leaves in the middle, one asks for 800 MiB and takes nothing
            stalls, greedy = Wire(server.port), Wire(server.port)
            stalls.send(b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$536870912\r\nxxxx")
            leaves = Wire(server.port)
            leaves.send(b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$100\r\nxx")
            leaves.close()
            greedy.send(encode(["GET", "big"]) * 100)
            result(good.call("PING") == Status("PONG"), "%s serves beside clients that stall" % name)
            rss = figure(good, "used_memory_rss")
            if name in SERVERS[:2]: # what sanitizers and checks cost is not counted
                result(rss < 100 << 20, "%s: what they cost is bounded" % name, rss)
            closed = stalls.file.read() == b""
            for _ in range(600):
                if figure(good, "connected_clients") == 1:
                    break
                time.sleep(0.1)
            result(closed and figure(good, "connected_clients") == 1 and good.call("EXISTS", "a") == 0,
                   "%s closes them in time, and has set nothing" % name)
            many = [Wire(server.port) for _ in range(45)]
            said = b"".join(w.file.readline() for w in many[-3:])
            refused = b"-ERR max number of clients reached\r\n"
            result(said == refused * 3, "%s: clients beyond the limit are told" % name,
                   said)
            for w in many:
                w.close()
            greedy.close()
            code, errors = server.stop()
            result(code == 0 and errors == "", "%s ends cleanly after that" % name, errors)


def long_requests():
    """One client sends 512 MiB while another is served; many together may not send more than a limit."""
    most = 512 << 20
    for name in SERVERS[:2]:
        with Server(name) as server:
            good, long, piece = Wire(server.port), Wire(server.port), b"x" * (1 << 20)
            empty, served = figure(good, "used_memory_rss"), 0
            long.send(b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$%d\r\n" % most)
            for _ in range(512):
                long.send(piece)
                served += good.call("PING") == Status("PONG")
            long.send(b"\r\n")
            result(long.read() == Status("OK") and good.call("STRLEN", "a") == most and served == 512,
                   "%s takes a value of 512 MiB and serves others meanwhile" % name, served)
            result(good.call("APPEND", "a", "x") ==
                   Error("ERR string exceeds maximum allowed size (proto-max-bulk-len)") and good.call("DEL", "a") == 1,
                   "%s: and no larger one" % name)
            for _ in range(600):
                if figure(good, "used_memory_rss") < empty + (16 << 20):
                    break
                time.sleep(0.1)
            result(figure(good, "used_memory_rss") < empty + (16 << 20), "%s: its memory goes back" % name)
        with Server(name, "--maxmemory-clients", "8mb") as server:
            good, many = Wire(server.port), [Wire(server.port) for _ in range(4)]
            rss, cut = figure(good, "used_memory_rss"), 0
            for w in many:
                w.send(b"*2\r\n$4\r\nECHO\r\n$4000000\r\n")
                try:
                    w.send(b"y" * 3000000)
                except ConnectionError:
                    cut += 1
            for _ in range(100):
                if figure(good, "connected_clients") == 3:
                    break
                time.sleep(0.05)
            result(figure(good, "connected_clients") == 3 and figure(good, "used_memory_rss") < rss + (24 << 20),
                   "%s: long requests of many clients are bounded together" % name, figure(good, "connected_clients"))
            answered = 0
            for w in many:  # which of them have been cut off depends on what came in first
                try:
                    w.send(b"y" * 1000000 + b"\r\n")
                    answered += w.read() == b"y" * 4000000
                except (ConnectionError, EOFError):
                    pass
            result(answered == 2, "control: %s answers those within the bound" % name, answered)


def idle_clients():
    for name in SERVERS[:2]:
        with Server(name) as server:
            wire = Wire(server.port)
            first = [Wire(server.port) for _ in range(50)]
            before = figure(wire, "used_memory_rss")
            many = [Wire(server.port) for _ in range(900)]
            for w in many:
                w.call("PING")
            cost = (figure(wire, "used_memory_rss") - before) / len(many)
            result(cost <= 4096, "%s: an idle client costs at most 4 KiB" % name, cost)
            for w in many + first:
                w.close()


def run(*args):
    return subprocess.run([str(a) for a in args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)


def programs():
    """Clients as people use them."""
    for name in SERVERS[:2]:
        with Server(name) as server:
            cli = ["redis-cli", "-p", server.port]
            words = (["set", "a", "1"], ["incr", "a"], ["-3", "get", "a"], ["info"])
            said = [run(*cli, *w).stdout for w in words]
            result(said[:3] == [b"OK\n", b"2\n", b"2\n"] and b"redis_version" in said[3], "%s serves redis-cli" % name,
                   said)
            bench = run("redis-benchmark", "-p", server.port, "-t",
                        "ping,set,get,incr,mset,lpush,rpush,lpop,rpop,sadd,hset,spop,zadd,zpopmin,lrange_100",
                        "-n", 2000, "-P", 8, "-r", 1000, "--csv")
            result(bench.returncode == 0 and bench.stdout.count(b"\n") >= 15 and b"rror" not in bench.stdout,
                   "%s serves redis-benchmark" % name, bench.stdout.decode())
            try:
                import redis
            except ImportError:
                print("ok - %s serves python3-redis # SKIP python3-redis is missing" % name)
                continue
            client = redis.Redis(port=server.port)
            pipe = client.pipeline(transaction=False)
            pipe.set("b", "x", ex=100).get("b").incrby("n", 5).expire("n", 50).ttl("n").mget("a", "b", "none")
            result(pipe.execute() == [True, b"x", 5, True, 50, [b"2", b"x", None]] and
                   sorted(client.scan_iter("*")) == sorted(client.keys("*")),
                   "%s serves python3-redis" % name)
            pipe = client.pipeline(transaction=True)
            pipe.hset("h", mapping={"x": "1", "y": "2"}).rpush("l", "a", "b").zadd("z", {"m": 1.5, "n": -1})
            pipe.sadd("t", "q").hgetall("h").lrange("l", 0, -1).zrange("z", 0, -1, withscores=True).smembers("t")
            result(pipe.execute() == [2, 2, 2, 1, {b"x": b"1", b"y": b"2"}, [b"a", b"b"],
                                      [(b"n", -1.0), (b"m", 1.5)], {b"q"}],
                   "%s serves python3-redis' transactions" % name)
            client.close()


def in_steps():
    steps.run(Server, TMP, SERVERS[:3], result)


def files():
    snapshots.run(Server, TMP, SERVERS, result)


def main():
    if sys.argv[2] == "files":
        files()
        return
    reference = Reference()
    try:
        differential(reference)
        odd_arguments(reference)
        watched(reference)
        refused_exec(reference)
        large_aggregates(reference)
        freed_in_steps()
        protocol(reference)
    finally:
        reference.stop()
    pieces()
    scans()
    expiry()
    eviction()
    flush()
    words_follow()
    hostile()
    long_requests()
    idle_clients()
    programs()
    in_steps()


main()
