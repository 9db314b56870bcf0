"""A made-up results.json, and an independent parser of reports."""

import random


def sample(suite, program, kind, allocator, r, metrics, reason=""):
    return {"suite": suite, "program": program, "kind": kind, "allocator": allocator, "round": r, "metrics": metrics,
            "reason": reason, "served_by": "x.so"}


# The metrics from which the figures of the suite handles are computed: program -> metrics.
HANDLES = {
    "handles-paths": ["plain/threads:1", "plain/threads:2", "pin/threads:1", "pin/threads:2", "scope/threads:1"] +
                     ["%s_pair/%d" % (kind, n) for kind in ("raw", "handle") for n in (16, 64, 128, 256, 512)],
    "handles-count": ["alloc+free 16", "alloc+free 48", "alloc+free 512", "alloc+free-burst 48", "malloc+free 48",
                      "pin+unpin 64"],
    "handles-mutator-1": ["gap p99.99 us", "gap max us", "million operations a second"],
    "handles-mutator-1-idle": ["gap p99.99 us", "gap max us", "million operations a second"],
    "handles-throughput-100": ["throughput of memcpy's"],
    "frag-lru": ["lru, ticking, ratio"],
}


def results(rounds=3):
    rng = random.Random(1)
    names = ("glibc", "jemalloc", "mimalloc", "tinymem")
    samples = []
    for r in range(rounds):
        for program, kind in (("cfrac", "synthetic"), ("larson", "synthetic"), ("redis-set", "real")):
            for a in names:
                cpu = rng.uniform(1, 3)
                samples.append(sample("programs", program, kind, a, r, {
                    "time": rng.uniform(1, 3), "cpu": cpu, "user": cpu / 2, "sys": cpu / 2,
                    "rss": rng.uniform(2, 200)}))
        for a in names:
            samples.append(sample("frag", "frag-lru", "frag", a, r, {"lru, ticking, ratio": rng.uniform(1, 2)}))
            samples.append(sample("micro", "micro-malloc", "micro", a, r, {"pair/8": rng.uniform(5, 20),
                                                                          "pair/16": rng.uniform(5, 20)}))
            samples.append(sample("startup", "startup-true", "startup", a, r, {"time": rng.uniform(1, 2) / 1000,
                                                                              "rss": rng.uniform(1, 3)}))
        for program, metrics in HANDLES.items():
            suite = "frag" if program.startswith("frag") else "handles"
            samples.append(sample(suite, program, suite, "tinymem-handles", r,
                                  {m: rng.uniform(1, 100) for m in metrics}))
    return {
        "format": 1, "mode": "default", "command": "bench/run", "date": "2000-01-01", "tuning": {}, "missing": [],
        "tick_seconds": 10.0, "sleep_seconds": 1.0, "samples": samples,
        "machine": {"system": "x", "cpus": 2, "cpu": "x", "memory_mib": 1, "kernel": "x", "thp": "x",
                    "load_before": 0.0},
        "allocators": [{"name": n, "library": "lib%s.so" % n, "version": "1", "note": "",
                        "peer": n not in ("glibc", "tinymem")} for n in names] +
                      [{"name": "tinymem-handles", "library": "libtinymem.so", "version": "1", "note": "",
                        "peer": False,
                        "variant": "-handles"}],
    }


def tables(report):
    """{heading: [row as dict by column]} of every table below a heading."""
    found, heading, columns = {}, "", None
    for line in report.split("\n"):
        if line.startswith("#"):
            heading, columns = line.lstrip("# "), None
        elif not line.startswith("|"):
            columns = None
        elif columns is None:
            columns = [c.strip() for c in line.strip("|").split("|")]
        elif not line.startswith("|---"):
            cells = [c.strip() for c in line.strip("|").split("|")]
            found.setdefault(heading, []).append(dict(zip(columns, cells)))
    return found
