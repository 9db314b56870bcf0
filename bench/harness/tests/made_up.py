"""A results.json that was never measured, and an independent reading of a report."""

import random


def sample(suite, program, kind, allocator, r, metrics, reason=""):
    return {"suite": suite, "program": program, "kind": kind, "allocator": allocator, "round": r, "metrics": metrics,
            "reason": reason, "served_by": "x.so"}


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
    return {
        "format": 1, "mode": "default", "command": "bench/run", "date": "2000-01-01", "tuning": {}, "missing": [],
        "tick_seconds": 10.0, "sleep_seconds": 1.0, "samples": samples,
        "machine": {"system": "x", "cpus": 2, "cpu": "x", "memory_mib": 1, "kernel": "x", "thp": "x",
                    "load_before": 0.0},
        "allocators": [{"name": n, "library": "lib%s.so" % n, "version": "1", "note": "",
                        "peer": n not in ("glibc", "tinymem")} for n in names],
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
