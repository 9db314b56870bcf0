"""The table of programs that are measured. Entries may be added, but not removed.

Placeholders in a command: {bin} built programs, {scripts} bench/programs/scripts, {data} generated inputs,
{tmp} a new directory, {n} the amount of work: `n`, or `quick` with --quick, {step} ms a step of the picture.
`seconds` is a first estimate for the line that shows the time left. A program whose output is 'compare' must print the
same under every allocator."""

import fnmatch
import os
from dataclasses import dataclass, replace

SUITES = ("programs", "startup", "frag", "need", "replay", "micro", "handles", "kv", "profile", "picture")


@dataclass(frozen=True)
class Program:
    name: str
    suite: str
    kind: str                  # real | synthetic, of the programs suite; the suite's name otherwise
    what: str
    argv: tuple = ()
    n: int = 1
    quick: int = 1
    env: tuple = ()            # (name, value) pairs
    stdin: str = ""
    output: str = "compare"    # compare | discard
    artefact: str = ""         # a file that the program writes, which is compared, too
    measured: str = ""         # the executable to measure, if the started one only starts it
    needs: tuple = ()          # executables that must exist
    inputs: tuple = ()         # names of generators in harness/inputs.py
    server: str = ""           # a workload of harness/servers.py, instead of argv
    repeat: int = 1
    variants: tuple = ()       # suffixes of argv[0] for other builds of the program
    form: str = ""             # of figures: benchmark | callgrind | figures (suites handles, need); recorded (replay)
    only: str = ""             # runs under this allocator alone
    among: tuple = ()          # runs under these allocators, unless others are asked for
    seconds: float = 3.0


def real(name, what, argv, **kw):
    return Program(name, "programs", "real", what, tuple(argv), **kw)


def synthetic(name, what, n, quick, *more, **kw):
    argv = ("{bin}/" + name, "{n}") + tuple(str(m) for m in more)
    return Program(name, "programs", "synthetic", what, argv, n=n, quick=quick, seconds=1.7, **kw)


def served(name, what, server, **kw):
    return Program(name, "programs", "real", what, server=server, **kw)


def frag(name, what, argv, n, quick, **kw):
    return Program(name, "frag", "frag", what, tuple(argv), n=n, quick=quick, variants=("-handles",) if argv else (),
                   **kw)


def wide(megabytes, seconds):
    return frag("frag-wide-%s" % (str(megabytes) if megabytes < 1024 else "%dg" % (megabytes // 1024)),
                "%d MiB of 16 B to 64 KiB, 90 %% freed at random; payload and metadata apart; then all freed"
                % megabytes,
                ("{bin}/frag-wide", "{n}"), megabytes, max(megabytes // 16, 16), seconds=seconds)


def need(name, what, program, *argv, **kw):
    return Program("need-" + name, "need", "need", what, ("{bin}/need-" + program, *argv), form="figures", **kw)


def need_real(name, what, *argv, **kw):
    return Program("need-" + name, "need", "need", what, argv, form="figures", **kw)


def made(name, what):
    return Program("replay-" + name, "replay", "replay", what, ("{bin}/need-replay", name), seconds=1.0)


def recorded(name, what, *argv, **kw):
    return Program("replay-" + name, "replay", "replay", what, argv, form="recorded", **kw)


def micro(name, what):
    return Program("micro-" + name, "micro", "micro", what, ("{bin}/micro-" + name,), seconds=12.0)


def handles(name, what, *argv, form="figures", **kw):
    return Program("handles-" + name, "handles", "handles", what, argv, form=form, variants=("-handles",), **kw)


REAL = [
    served("redis-set", "redis-server under redis-benchmark: SET and GET of a million keys, pipelined", "redis-set",
           n=1500, quick=100, needs=("redis-server", "redis-benchmark")),
    served("redis-lists", "redis-server under redis-benchmark: LPUSH, LRANGE, RPOP", "redis-lists",
           n=1000, quick=100, needs=("redis-server", "redis-benchmark")),
    served("redis-mixed", "redis-server under redis-benchmark: SADD, HSET, ZADD, MSET", "redis-mixed",
           n=800, quick=80, needs=("redis-server", "redis-benchmark")),
    served("memcached", "memcached under our own client: set, get, delete, append; pipelined", "memcached",
           n=4000, quick=300, needs=("memcached",)),
    real("sqlite3", "sqlite3 in memory: inserts, an index, joins, groups, updates, strings",
         ("sqlite3", "-batch", ":memory:"), stdin="{data}/sqlite-{n}.sql", n=800, quick=60, needs=("sqlite3",),
         inputs=("sqlite",)),
    real("python-objects", "python3, PYTHONMALLOC=malloc: dicts, JSON, sorting, classes",
         ("/usr/bin/python3", "{scripts}/objects.py", "{n}"), n=25, quick=2,
         env=(("PYTHONMALLOC", "malloc"),), needs=("/usr/bin/python3",)),
    real("python-text", "python3, PYTHONMALLOC=malloc: regular expressions, the compiler, pickling",
         ("/usr/bin/python3", "{scripts}/text.py", "{n}"), n=120, quick=8,
         env=(("PYTHONMALLOC", "malloc"),), needs=("/usr/bin/python3",)),
    real("lua", "lua5.4: trees, tables, closures, string building", ("lua5.4", "{scripts}/trees.lua", "{n}"),
         n=300, quick=16, needs=("lua5.4",)),
    real("perl", "perl: hashes of arrays, splitting, substitution, sorting", ("perl", "{scripts}/words.pl", "{n}"),
         n=50, quick=3, needs=("perl",)),
    real("ruby", "ruby: objects, strings, hashes, big integers", ("ruby", "{scripts}/objects.rb", "{n}"),
         n=60, quick=5, needs=("ruby",)),
    real("g++", "g++ -O1 on templates of ours; the compiler proper, cc1plus, is what counts",
         ("g++", "-std=c++17", "-O1", "-DDEPTH={n}", "-c", "{scripts}/templates.cpp", "-o", "{tmp}/out.o"),
         n=9, quick=1, seconds=4.0, needs=("g++",), measured="cc1plus", artefact="{tmp}/out.o"),
    real("git-log", "git log with patches, statistics and renames over a generated history",
         ("git", "-C", "{data}/repository", "log", "--stat", "-p", "-M", "-n", "{n}"), n=4800, quick=200,
         output="discard", needs=("git",), inputs=("repository",)),
    real("git-pack", "git pack-objects: delta search over a generated history",
         ("git", "-C", "{data}/repository", "-c", "pack.threads=1", "pack-objects", "--all", "--stdout",
          "--no-reuse-delta", "--window={n}"), n=20, quick=2, output="discard",
         needs=("git",), inputs=("repository",)),
    real("gawk", "gawk: word counts, associative arrays, string functions",
         ("gawk", "-f", "{scripts}/count.awk", "-v", "rounds={n}"), n=28, quick=2, needs=("gawk",)),
    real("jq", "jq: builds, groups, sorts and prints JSON", ("jq", "-n", "--argjson", "n", "{n}", "-f",
         "{scripts}/build.jq"), n=40, quick=3, needs=("jq",)),
]

SYNTHETIC = [
    synthetic("cfrac", "factors integers by continued fractions: very many tiny blocks", 300, 30),
    synthetic("espresso", "minimises logic: many small arrays of varied size", 1500, 150),
    synthetic("barnes", "n bodies in an octree: computes, allocates little", 30, 3),
    synthetic("larson", "a server: random replacement, threads that hand on their blocks", 400, 40),
    synthetic("mstress", "bursts of mixed sizes, exchange between threads, threads restarted", 150, 15),
    synthetic("alloc-test", "one working set, sizes by powers of two, blocks are read", 30, 3),
    synthetic("xmalloc", "producer and consumer: each block freed by another thread", 120, 12),
    synthetic("cache-scratch", "passive false sharing", 1500, 150),
    synthetic("cache-thrash", "active false sharing", 1500, 150),
    synthetic("glibc-simple", "one size, batches, one thread", 30, 3),
    synthetic("glibc-thread", "a small working set in each of four threads", 24, 3),
    synthetic("malloc-large", "blocks of 5 to 25 MiB, every page written", 800, 80),
    synthetic("mleak", "generations of threads that allocate much and end", 250, 25),
    synthetic("thread-churn", "very many threads that do little", 100, 10),
]

STARTUP = [
    Program("startup-true", "startup", "startup", "/bin/true, many times: what a process pays that allocates nothing",
            ("/bin/true",), repeat=300, n=300, quick=60, seconds=0.5),
    Program("startup-tiny", "startup", "startup", "a thousand small blocks: what a process pays that allocates little",
            ("{bin}/tiny",), repeat=100, n=100, quick=20, seconds=0.3),
]

FRAG = [
    frag("frag-lru", "LRU cache in 100 MB: 700 k blocks of 240 B, then 170 k of 492 B",
         ("{bin}/frag-lru", "{n}"), 100, 10, seconds=15),
    frag("frag-redis", "the same in redis-server: maxmemory 100mb, allkeys-lru", (), 100, 20, server="redis-lru",
         needs=("redis-server",), seconds=20),
    frag("frag-drift", "cache of 100 MB whose sizes drift from 32 B to 2 KiB and back; worst ratio",
         ("{bin}/frag-drift", "{n}"), 100, 10, seconds=15),
    frag("frag-drift-256", "the same from 256 B to 16 KiB and back",
         ("{bin}/frag-drift", "{n}", "256"), 100, 10, seconds=6),
    frag("frag-one-per-page", "all but one block per page freed, size doubled, again: peak over bound",
         ("{bin}/frag-one-per-page", "{n}"), 256, 24, seconds=4),
    frag("frag-one-per-page-256", "the same from blocks of 256 B on",
         ("{bin}/frag-one-per-page", "{n}", "256"), 256, 24, seconds=3),
    frag("frag-mixed", "1 GiB of 16 B to 4 KiB, 90 % freed at random; refilled, thinned to 5 %; then all freed",
         ("{bin}/frag-mixed", "{n}"), 1024, 64, seconds=45),
    frag("frag-thin-64", "1 GiB of about 64 B, 90 % freed at random, then all",
         ("{bin}/frag-thin", "{n}", "64"), 1024, 64, seconds=30),
    frag("frag-thin-512", "1 GiB of about 512 B, 90 % freed at random, then all",
         ("{bin}/frag-thin", "{n}", "512"), 1024, 64, seconds=26),
    frag("frag-thin-4k", "1 GiB of about 4 KiB, 90 % freed at random, then all",
         ("{bin}/frag-thin", "{n}", "4096"), 1024, 64, seconds=25),
    frag("frag-thin-32k", "1 GiB of about 32 KiB, 90 % freed at random, then all",
         ("{bin}/frag-thin", "{n}", "32768"), 1024, 64, seconds=25),
    wide(64, 23),
    wide(512, 24),
    wide(2048, 27),
]

NEED = [
    need("idle-1", "a table of 60,000 blocks, 29 in 30 freed, then asleep; one thread", "idle", "{n}", "1", n=60000,
         quick=10000, seconds=5),
    need("idle-8", "the same in each of eight threads", "idle", "{n}", "8", n=60000, quick=5000, seconds=8),
    need("bursts-1", "64 MiB of blocks of 200 KB every 150 ms, then no more; one thread", "bursts", "{n}", "335",
         "200000",
         "150", "1", n=30, quick=6, seconds=21),
    need("bursts-2", "the same beside a thread that sleeps", "bursts", "{n}", "335", "200000", "150", "2", n=30,
         quick=6,
         seconds=21),
    need("bursts-slow", "6.4 MB of blocks of 100 KB every 250 ms, beside a thread that sleeps", "bursts", "{n}", "64",
         "100000", "250", "2", n=30, quick=6, seconds=24),
    need("cache-33-130", "200 MiB of blocks of 33 to 130 KB, replaced at random", "cache", "{n}", "33000", "130000",
         n=200,
         quick=20, seconds=2),
    need("cache-33-40", "the same of 33 to 40 KB", "cache", "{n}", "33000", "40000", n=200, quick=20, seconds=2),
    need("cache-5-70", "the same of 5 to 70 KB", "cache", "{n}", "5000", "70000", n=200, quick=20, seconds=2),
    need("calls-2k", "how long single calls take: 245 MiB of 2 KiB, thinned to 1 in 20, twice", "calls", "{n}", "2048",
         n=120000, quick=10000, seconds=2),
    need("calls-40k", "the same of 40 KB", "calls", "{n}", "40000", n=6000, quick=600, seconds=2),
    need("paths", "calls beside the fast path", "paths", "{n}", n=200, quick=10, seconds=3),
    need("vectors", "64 vectors that grow in turn by 4 KiB, others that are cut", "vectors", "64", "{n}", n=8, quick=1,
         seconds=3),
    need("phases", "phases of other sizes, 1 block in 50 survives each", "phases", "{n}", "8", n=48, quick=8,
         seconds=2),
    need("rounds", "phases of other sizes of which nothing survives: what a limit of memory allows to be live",
         "phases", "{n}", "16", "0", n=48, quick=8, seconds=2),
    need("limit", "the same in a memory control group of 64 MiB: the most with which it is not killed", "limit", "{n}",
         "16", "0", n=64, quick=24, seconds=4),
    need("limit-survivors", "the same where 1 block in 50 survives each phase", "limit", "{n}", "8", "50", n=64,
         quick=24,
         seconds=4),
    need_real("python-frame", "python3, PYTHONMALLOC=malloc: a large table is built, grouped and dropped",
              "/usr/bin/python3", "{scripts}/frame.py", "{n}", n=300, quick=20, env=(("PYTHONMALLOC", "malloc"),),
              needs=("/usr/bin/python3",), seconds=5),
    need_real("ruby-threads", "ruby: sixteen threads write and read JSON, and end", "ruby",
              "{scripts}/json_threads.rb", "{n}", n=6, quick=1, needs=("ruby",), seconds=8),
    need_real("java-buffers", "java: direct buffers of 16 to 400 KB come and go in four threads", "java", "-Xmx128m",
              "-XX:MaxDirectMemorySize=1g", "{scripts}/Direct.java", "{n}", n=6, quick=1, needs=("java", "javac"),
              seconds=8),
    need_real("redis-flush", "redis-server: keys with values of 100 to 400 bytes, then FLUSHALL", server="redis-flush",
              n=400, quick=40, needs=("redis-server", "redis-benchmark", "redis-cli"), seconds=9),
    need_real("postgres-sort", "PostgreSQL: four backends sort rows in memory, and wait for their clients",
              server="postgres-sort", n=400, quick=40, needs=("setpriv", "psql"), seconds=9),
]

REPLAY = [
    made("first-burst", "256 MiB for a second, then asleep"),
    made("first-burst-ticking", "the same, and the program runs on"),
    *(made("bursts-%dms" % (150 << i), "64 MiB for 40 ms, each %d ms for 30 s, five times at least, then asleep"
           % (150 << i))
      for i in range(8)),
    made("sawtooth-500ms", "16 to 128 MiB within 500 ms, and down at once, for 30 s"),
    made("sawtooth-3s", "the same within 3 s"),
    made("growth", "4 MiB a second"),
    made("phases-1s", "48 MiB of one size after another for a second each, a fiftieth survives"),
    made("phases-6s", "the same for 6 s each"),
    made("day", "a server's day in two minutes: sessions, and requests of 100 ms"),
    made("cache", "200 MiB whose sizes wander"),
    recorded("python", "python3, PYTHONMALLOC=malloc: dicts, JSON, sorting, classes", "/usr/bin/python3",
             "{scripts}/objects.py",
             "{n}", n=25, quick=2, env=(("PYTHONMALLOC", "malloc"),), needs=("/usr/bin/python3",), seconds=7),
    recorded("python-frame", "python3, PYTHONMALLOC=malloc: a large table is built, grouped and dropped",
             "/usr/bin/python3",
             "{scripts}/frame.py", "{n}", n=100, quick=10, env=(("PYTHONMALLOC", "malloc"),),
             needs=("/usr/bin/python3",),
             seconds=5),
    recorded("g++", "g++ -O1 on templates of ours: cc1plus", "g++", "-std=c++17", "-O1", "-DDEPTH={n}", "-c",
             "{scripts}/templates.cpp", "-o", "{tmp}/out.o", n=9, quick=1, needs=("g++",), seconds=5),
    recorded("ruby-threads", "ruby: sixteen threads write and read JSON, and end", "ruby", "{scripts}/json_threads.rb",
             "{n}", n=6,
             quick=1, needs=("ruby",), seconds=8),
    recorded("jq", "jq: builds, groups, sorts and prints JSON", "jq", "-n", "--argjson", "n", "{n}", "-f",
             "{scripts}/build.jq",
             n=40, quick=3, needs=("jq",), seconds=3),
    recorded("bursts", "need-bursts: 64 MiB each 150 ms", "{bin}/need-bursts", "{n}", "335", "200000", "150", "1",
             n=30, quick=4,
             seconds=21),
    recorded("redis", "redis-server: keys with values of 100 to 400 bytes, then FLUSHALL", server="redis-flush", n=400,
             quick=40,
             needs=("redis-server", "redis-benchmark", "redis-cli"), seconds=9),
]

MICRO = [
    micro("malloc", "malloc, calloc, realloc, free by size and pattern; aligned; large"),
    micro("threads", "malloc and free in several threads, across threads, thread start and end"),
    micro("cxx", "operator new and delete, standard containers"),
]

# `off` is the control without compaction: the same work on a heap whose objects never move.
MANUAL, OFF = (("TINYMEM", "compaction:manual"),), (("TINYMEM", "compaction:off"),)
HANDLES = [
    handles("paths", "pin, scope, alloc and free beside plain pointers and malloc, 1 and 2 threads",
            "{bin}/handles-paths",
            form="benchmark", seconds=15),
    handles("count", "instructions of pin, deref, alloc and free, by callgrind", "{bin}/handles-count",
            form="callgrind",
            needs=("valgrind",), seconds=15),
    handles("mutator-1", "one thread works while background compaction does: gaps, throughput",
            "{bin}/handles-mutator", "{n}", "1",
            n=40000, quick=2000, seconds=10),
    handles("mutator-1-idle", "the same without compaction", "{bin}/handles-mutator", "{n}", "1", n=40000, quick=2000,
            env=OFF,
            seconds=10),
    handles("mutator-2", "two threads work while background compaction does", "{bin}/handles-mutator", "{n}", "2",
            n=25000,
            quick=1000, seconds=10),
    handles("mutator-2-idle", "the same without compaction", "{bin}/handles-mutator", "{n}", "2", n=25000, quick=1000,
            env=OFF,
            seconds=10),
    handles("steps-5", "tm_compact_step(5), no second thread: steps over 7 us", "{bin}/handles-steps", "{n}", "5", "2",
            "0",
            n=400, quick=20, env=MANUAL, seconds=6),
    handles("steps-50", "tm_compact_step(50), a second thread busy: steps over 70 us", "{bin}/handles-steps", "{n}",
            "50", "20",
            "1", n=100, quick=3, env=MANUAL, seconds=8),
    handles("throughput-100", "moving objects of 100 B against memcpy of them", "{bin}/handles-throughput", "{n}",
            "100",
            n=128, quick=16, env=MANUAL, seconds=4),
    handles("throughput-1k", "moving objects of 1 KiB against memcpy of them", "{bin}/handles-throughput", "{n}",
            "1024",
            n=128, quick=16, env=MANUAL, seconds=3),
    handles("churn", "bytes moved in steady churn at 90 % use", "{bin}/handles-churn", "{n}", n=128, quick=16,
            seconds=3),
]

# {n} MiB of data. `server` is the command of another project's server. It runs as installed, with its own allocator;
# its figures are in glibc's column, since there is no column for that allocator.
KV = [
    Program("kv-cache", "kv", "kv", "the cache server: kv-malloc under each allocator, and kv-handles",
            ("{bin}/kv",), n=48, quick=4,
            variants=("-handles",), seconds=100),
    Program("kv-still", "kv", "kv", "kv-handles without compaction", ("{bin}/kv",), n=48, quick=4,
            variants=("-handles",),
            env=OFF, only="tinymem-handles", seconds=100),
    Program("kv-redis", "kv", "kv", "redis-server with its own allocator", n=48, quick=4, server="redis-server",
            only="glibc", needs=("redis-server",), seconds=100),
]

# More curves would make the picture illegible.
PICTURED = ("glibc", "jemalloc", "mimalloc", "tinymem", "tinymem-handles")
PICTURE = [
    Program("tides", "picture", "picture",
            "much memory, then little, then much of another size: PSS and live bytes over time",
            ("{bin}/frag-tides", "{n}", "{step}"), n=256, quick=24, variants=("-handles",), among=PICTURED, seconds=42),
    Program("shift", "picture", "picture", "a cache whose sizes and volume shift: PSS and live bytes all the way",
            ("{bin}/frag-shift", "{n}"),
            n=100, quick=10, variants=("-handles",), among=PICTURED, seconds=12),
]

PROFILE = [replace(p, name="profile-" + p.name, suite="profile", kind="profile", only="tinymem", seconds=60.0,
                   needs=(*p.needs, "valgrind"))
           for p in REAL + SYNTHETIC if p.name in ("lua", "perl", "python-objects", "cfrac", "alloc-test")]

PROGRAMS = REAL + SYNTHETIC + STARTUP + FRAG + NEED + REPLAY + MICRO + HANDLES + KV + PROFILE + PICTURE


def other_server(path):
    """A server of --with-redis."""
    redis = next(p for p in KV if p.name == "kv-redis")
    path = os.path.abspath(path)
    return replace(redis, name="kv-" + path.strip("/").replace("/", "-"), what=path, server=path, needs=(path,))


def valid_names():
    return [*SUITES, "real", "synthetic", *(p.name for p in PROGRAMS)]


def select(patterns, programs=None):
    """The programs that match any of the patterns (name, suite, kind; globs), in table order.

    Raises ValueError for a pattern that matches nothing."""
    programs = PROGRAMS if programs is None else programs
    chosen = set()
    for pattern in patterns:
        hits = [p.name for p in programs
                if any(fnmatch.fnmatchcase(text, pattern) for text in (p.name, p.suite, p.kind))]
        if not hits:
            raise ValueError("nothing is called '%s'" % pattern)
        chosen.update(hits)
    return [p for p in programs if p.name in chosen]
