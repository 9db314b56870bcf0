"""workloads.py - the programs, and what each is made to do.

A workload is a function of a Run (programs.py). It runs the program in the run's own folder and environment and returns
what must be the same with and without the library: output, files, results of the program's own tests. It raises Failure
when the program fails.
"""
import hashlib
import os
import random
import re
import shutil
import signal
import socket
import time
import xml.etree.ElementTree

from harness import Failure, HERE, Program

PYTHON = "/usr/bin/python3"


def digest(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def script(name):
    return os.path.join(HERE, "scripts", name)


# ---- interpreters ---------------------------------------------------------------------------------------------------


def python_tests(run, modules):
    """Python's own tests, each with its result."""
    report = os.path.join(run.folder, "report.xml")
    run.environment["PYTHONMALLOC"] = "malloc"
    run.command(PYTHON, "-m", "test", "--junit-xml", report, "--tempdir", run.folder, *modules, timeout=400)
    results = []
    for case in xml.etree.ElementTree.parse(report).iter("testcase"):
        outcome = ",".join(child.tag for child in case if child.tag in ("error", "failure", "skipped"))
        results.append(f"{case.get('name')} {outcome or 'passed'}")
    if len(results) < 50:
        raise Failure(f"only {len(results)} results")
    return "\n".join(sorted(results))


def python_most(run):
    return python_tests(run, ["test_json", "test_pickle", "test_re", "test_threading", "test_subprocess"])


def python_multiprocessing(run):
    return python_tests(run, ["test_multiprocessing_fork", "test_multiprocessing_main_handling"])


def perl(run):
    run.environment["PERL_HASH_SEED"] = "0"
    return run.command("perl", script("words.pl"))


def php(run):
    run.environment["USE_ZEND_ALLOC"] = "0"
    return run.command("php", script("tables.php"))


def lua(run):
    return run.command("lua5.4", script("trees.lua"))


def ruby(run):
    return run.command("ruby", script("objects.rb"))


def node(run):
    return run.command("node", script("buffers.js"))


def java(run):
    return run.command("java", "-Xmx512m", script("Shop.java"))


def bash(run):
    return run.command("bash", script("shell.bash"))


# ---- servers --------------------------------------------------------------------------------------------------------


class Connection:
    """A client's socket with a buffer."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")

    def send(self, data):
        self.socket.sendall(data)

    def close(self):
        self.file.close()
        self.socket.close()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for_port(port, server):
    for _ in range(600):
        if server.poll() is not None:
            raise Failure(f"the server ended with status {server.returncode}")
        try:
            Connection(port).close()
            return
        except OSError:
            time.sleep(0.05)
    raise Failure("the server does not answer")


def redis_reply(file):
    """One reply, as the bytes it came in."""
    line = file.readline()
    if line[:1] == b"$" and line != b"$-1\r\n":
        return line + file.read(int(line[1:]) + 2)
    if line[:1] == b"*":
        return line + b"".join(redis_reply(file) for _ in range(int(line[1:])))
    return line


def redis_command(*words):
    words = [w if isinstance(w, bytes) else str(w).encode() for w in words]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)


def redis_commands(rng):
    """A mixture whose replies depend on nothing but the seed."""
    for i in range(40000):
        key = rng.randrange(4000)
        yield rng.choice((
            ("SET", f"s{key}", rng.randbytes(rng.randrange(1, 400))), ("GET", f"s{key}"),
            ("APPEND", f"s{key}", "more" * rng.randrange(9)),
            ("LPUSH", f"l{key}", "element" * rng.randrange(1, 20)), ("RPOP", f"l{key}"), ("LRANGE", f"l{key}", 0, 10),
            ("HSET", f"h{key}", f"f{i % 50}", i), ("HGETALL", f"h{key % 50}"), ("ZADD", f"z{key}", i % 1000, f"m{i}"),
            ("ZRANGE", f"z{key}", 0, 5, "WITHSCORES"), ("DEL", f"s{key}", f"l{key}", f"z{key}"), ("STRLEN", f"s{key}")))


def redis(run):
    port = free_port()
    server = run.start("redis-server", "--port", str(port), "--save", "", "--enable-debug-command", "local", "--dir",
                       run.folder,
                       "--unixsocket", "", "--bind", "127.0.0.1")
    wait_for_port(port, server)
    out = run.command("redis-benchmark", "-p", str(port), "-q", "-n", "60000", "-r", "20000", "-P", "8", "-d", "100",
                      "-t", "set,get,incr,lpush,rpop,sadd,hset,zadd,lrange_100,mset")
    tests = sorted(set(re.findall(r"([A-Z_]+[^:\r\n]*): [0-9.]+ requests per second", out)))
    client, replies = Connection(port), hashlib.sha256()
    client.send(redis_command("FLUSHALL"))
    redis_reply(client.file)
    for words in redis_commands(random.Random(3)):
        client.send(redis_command(*words))
        replies.update(redis_reply(client.file))
    client.send(redis_command("DEBUG", "DIGEST"))
    state = redis_reply(client.file).decode()
    client.close()
    run.stop(server, signal.SIGTERM)
    if not re.match(r"\+[0-9a-f]{40}", state):
        raise Failure("no digest of the data: " + state)
    return f"{tests} {replies.hexdigest()} {state}"


def memcached(run):
    port = free_port()
    user = ["-u", "root"] if os.getuid() == 0 else []
    server = run.start("memcached", "-l", "127.0.0.1", "-p", str(port), "-U", "0", "-t", "2", "-m", "64", *user)
    wait_for_port(port, server)
    rng, replies = random.Random(5), hashlib.sha256()
    clients = [Connection(port) for _ in range(200)]
    for i in range(80000):
        client, key = rng.choice(clients), rng.randrange(5000)
        if rng.random() < 0.4:
            value = rng.randbytes(rng.randrange(1, 3000))
            client.send(b"set k%d 0 0 %d\r\n%s\r\n" % (key, len(value), value))
            replies.update(client.file.readline())
        elif rng.random() < 0.1:
            client.send(b"delete k%d\r\n" % key)
            replies.update(client.file.readline())
        else:
            client.send(b"get k%d\r\n" % key)
            while (line := client.file.readline()) != b"END\r\n":
                replies.update(line + client.file.read(int(line.split()[3]) + 2))
    for client in clients:
        client.close()
    run.stop(server, signal.SIGTERM)
    return replies.hexdigest()


NGINX = """
daemon off; master_process on; worker_processes 2; pid nginx.pid; error_log error.log; {user}
events {{ worker_connections 512; }}
http {{
  access_log access.log; client_body_temp_path body; proxy_temp_path proxy;
  fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi;
  scgi_temp_path scgi; gzip on; gzip_min_length 100; gzip_types *;
  server {{ listen 127.0.0.1:{port}; root www; autoindex on;
    location /rewritten/ {{ rewrite ^/rewritten/(.*)$ /$1 break; add_header X-Was "$uri of $request_uri"; }} }}
}}
"""


def nginx(run):
    port = free_port()
    os.makedirs(os.path.join(run.folder, "www"))
    rng = random.Random(11)
    for i in range(20):
        with open(os.path.join(run.folder, "www", f"{i}.html"), "w", encoding="ascii") as f:
            f.write("".join(f"line {rng.randrange(10**6)} of a page\n" for _ in range(40 * (i + 1))))
        os.utime(f.name, (10**9, 10**9))
    with open(os.path.join(run.folder, "nginx.conf"), "w", encoding="ascii") as f:
        f.write(NGINX.format(port=port, user="user root;" if os.getuid() == 0 else ""))
    server = run.start("nginx", "-p", run.folder + "/", "-c", "nginx.conf", "-e", "error.log")
    wait_for_port(port, server)
    said = ""
    for path, n in (("3.html", 20000), ("rewritten/5.html", 10000), ("", 5000)):
        out = run.command("ab", "-q", "-n", str(n), "-c", "16", "-H", "Accept-Encoding: gzip",
                          f"http://127.0.0.1:{port}/{path}")
        said += " ".join(re.findall(r"(?:Complete requests|Failed requests|Total transferred|HTML transferred): +\d+",
                                    out)) + "\n"
        if not re.search(r"Failed requests: +0\n", out):
            raise Failure(out)
    pages = hashlib.sha256()
    for i in range(20):
        client = Connection(port)
        client.send(b"GET /%d.html HTTP/1.0\r\n%s\r\n" % (i, b"Accept-Encoding: gzip\r\n" if i % 2 else b""))
        pages.update(client.file.read().split(b"\r\n\r\n", 1)[1])
        client.close()
    run.stop(server, signal.SIGQUIT)
    return said + pages.hexdigest()


# ---- tools ----------------------------------------------------------------------------------------------------------


def sqlite(run):
    with open(script("tables.sql"), encoding="ascii") as f:
        return run.command("sqlite3", "shop.db", stdin=f) + digest(os.path.join(run.folder, "shop.db"))


def write_tree(folder, seed, files):
    """Text files in folders, always the same."""
    rng = random.Random(seed)
    words = ["".join(rng.choices("abcdefghijklmnop", k=rng.randrange(2, 9))) for _ in range(2000)]
    lines = [" ".join(rng.choices(words, k=8)) + "\n" for _ in range(5000)]
    for i in range(files):
        path = os.path.join(folder, f"d{i % 17}", f"e{i % 5}", f"f{i}.txt")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="ascii") as f:
            f.writelines(rng.choices(lines, k=rng.randrange(5, 120)))


def git(run):
    for name in ("AUTHOR", "COMMITTER"):
        run.environment.update({f"GIT_{name}_NAME": "A", f"GIT_{name}_EMAIL": "a@example.org",
                                f"GIT_{name}_DATE": "1000000000 +0000"})
    run.environment.update(HOME=run.folder, GIT_CONFIG_NOSYSTEM="1", GIT_PAGER="cat")
    run.command("git", "init", "-q", "-b", "main", "tree")
    tree = os.path.join(run.folder, "tree")
    for name, value in (("gc.auto", "0"), ("pack.threads", "1")):
        run.command("git", "-C", tree, "config", name, value)
    for step in range(10):
        write_tree(tree, step, 300 + 20 * step)
        run.command("git", "-C", tree, "add", "-A")
        run.command("git", "-C", tree, "commit", "-q", "-m", f"step {step}")
    out = run.command("git", "-C", tree, "log", "-p", "--stat", "-M", "--no-color")
    out += run.command("git", "-C", tree, "blame", "d3/e3/f3.txt")
    run.command("git", "-C", tree, "gc", "-q")
    out += run.command("git", "-C", tree, "fsck", "--full", "--no-progress")
    run.command("git", "clone", "-q", "--no-local", "tree", "copy")
    out += run.command("git", "-C", "copy", "rev-parse", "HEAD") + run.command("git", "-C", "copy", "ls-tree", "-r",
            "HEAD")
    return out + run.command("git", "-C", "copy", "grep", "-c", "abc")


def compiler(run):
    objects = []
    for flags in (["-O2"], ["-O0", "-g"]):
        run.command("g++", *flags, f"-ffile-prefix-map={run.folder}=.", "-c", script("templates.cc"), "-o",
                    "templates.o")
        objects.append(digest(os.path.join(run.folder, "templates.o")))
    return " ".join(objects)


def sort(run):
    rng = random.Random(13)
    with open(os.path.join(run.folder, "lines"), "w", encoding="ascii") as f:
        f.writelines(f"{rng.randrange(10**9)} {rng.randrange(10**4):x} {'x' * rng.randrange(30)}\n"
                     for _ in range(1000000))
    run.environment["LC_ALL"] = "C.UTF-8"
    run.command("sort", "--parallel=2", "-S", "8M", "-k2,2", "-k1,1n", "-o", "sorted", "lines")
    run.command("sort", "--parallel=2", "-u", "-r", "-o", "reversed", "lines")
    return digest(os.path.join(run.folder, "sorted")) + digest(os.path.join(run.folder, "reversed"))


def tar(run):
    write_tree(os.path.join(run.folder, "tree"), 17, 7500)
    run.command("tar", "--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@0", "-I",
                "xz -T2 -2 --block-size=1MiB", "-cf",
                "tree.tar.xz", "tree")
    os.mkdir(os.path.join(run.folder, "out"))
    run.command("tar", "-C", "out", "-xJf", "tree.tar.xz")
    run.command("diff", "-r", "tree", "out/tree")
    return digest(os.path.join(run.folder, "tree.tar.xz"))


def gdb(run):
    shutil.copy(script("templates.cc"), run.folder)
    with open(os.path.join(run.folder, "main.cc"), "w", encoding="ascii") as f:
        f.write('#include "templates.cc"\nint main() { return use("a-1 b-2") == 0; }\n')
    bare = dict(run.environment)
    bare.pop("LD_PRELOAD", None)
    run.command("g++", "-O0", "-g", "-o", "main", "main.cc", environment=bare)
    out = run.command("gdb", "-nx", "--batch", "-ex", "set style enabled off", "-ex", "info functions walk", "-ex",
                      "info types Chain",
                      "-ex", "break matches", "-ex", "run", "-ex", "bt", "-ex", "info args", "-ex", "finish", "-ex",
                      "ptype Value",
                      "-ex", "info line use", "-ex", "continue", "main")
    if "matches" not in out or "exited normally" not in out:
        raise Failure(out[-3000:])
    return re.sub(r"0x[0-9a-f]+|process \d+|Inferior 1 .*", "@", out)


PROGRAMS = [
    Program("python3", "python3", "PYTHONMALLOC=malloc; its own tests of json, pickle, re, threading, subprocess",
            python_most,
            needs=[PYTHON, "/usr/lib/python3*/test/test_re.py"], sleeps=True),
    Program("python3 (processes)", "python3", "PYTHONMALLOC=malloc; its own tests of multiprocessing",
            python_multiprocessing,
            needs=[PYTHON, "/usr/lib/python3*/test/test_re.py"], sleeps=True),
    Program("redis-server", "redis-server",
            "redis-benchmark, ten tests; 40,000 mixed commands, every reply; digest of the data", redis,
            needs=["redis-server", "redis-benchmark"]),
    Program("memcached", "memcached", "200 clients, 80,000 gets, sets and deletes, every reply", memcached,
            needs=["memcached"],
            few="keeps its items in slabs of its own"),
    Program("nginx", "nginx", "ab: 35,000 requests, gzip, rewrites, listings; pages fetched", nginx,
            needs=["nginx", "ab"]),
    Program("sqlite3", "sqlite3", "250,000 rows: joins, windows, JSON, vacuum; the database file", sqlite,
            needs=["sqlite3"]),
    Program("perl", "perl", "words, hashes, regular expressions", perl, needs=["perl"]),
    Program("php", "php-cli", "USE_ZEND_ALLOC=0; objects, strings, JSON, sorting; opens extensions with RTLD_DEEPBIND",
            php,
            needs=["php"]),
    Program("lua5.4", "lua5.4", "trees, strings, coroutines", lua, needs=["lua5.4"]),
    Program("ruby", "ruby", "objects, strings, hashes, threads", ruby, needs=["ruby"]),
    Program("git", "git", "ten commits of 300 files and more, log -p, gc, fsck, clone, grep", git, needs=["git"]),
    Program("g++", "g++", "templates at -O2 and with -g; object files", compiler, needs=["g++"]),
    Program("node", "nodejs", "JSON, zlib, buffers, two worker threads", node, needs=["node"]),
    Program("openjdk", "openjdk-17-jdk-headless", "compiles and runs streams, deflate in four threads, native buffers",
            java, needs=["java", "javac"]),
    Program("bash", "bash", "arrays, strings, functions, 300 subshells", bash, needs=["bash"]),
    Program("sort", "coreutils", "1,000,000 lines twice, two threads", sort, needs=["sort"],
            few="allocates its buffers once"),
    Program("tar + xz", "tar", "7,500 files packed by xz -T2 and unpacked", tar, needs=["tar", "xz"]),
    Program("gdb --batch", "gdb", "reads symbols of a C++ program, breakpoint, backtrace, types", gdb,
            needs=["gdb", "g++"]),
]
