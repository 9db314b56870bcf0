"""The cache servers: the table's figures are those of the samples, and the client's figures are right."""

import dataclasses
import os
import re
import shutil
import sys
import tempfile
import unittest
import xml.etree.ElementTree
from unittest import mock

from harness import allocators, cli, kvpicture, kvrun, kvtable, paths, registry, report, runner, schedule

from . import made_up

LIBRARY = allocators.handles(allocators.tinymem())
CTX = runner.Context(quick=True)
METRICS = ("bytes a key", "requests a second", "shift: resident ÷ data, end", "shift: p99.9, us",
           "flush: MiB over empty after 3 s")
SERVERS = {("kv-cache", "glibc"): 4, ("kv-cache", "tinymem"): 2, ("kv-cache", "tinymem-handles"): 1,
           ("kv-still", "tinymem-handles"): 5,
           ("kv-redis", "glibc"): 10}
NEEDS_LIBRARY = unittest.skipUnless(LIBRARY.path and os.path.exists(os.path.join(paths.BIN, "kv-handles")),
                                    "the library has not been built")


def raw(servers=SERVERS):
    result = made_up.results(rounds=1)
    result["samples"] += [made_up.sample("kv", program, "kv", a, 0, {m: value * (i + 1) for i, m in enumerate(METRICS)})
                          for (program, a), value in servers.items()]
    return made_up.tables(report.render(result))


class Table(unittest.TestCase):
    def test_figures_are_ratios_of_the_servers(self):
        rows = {r["figure"]: r["value"] for r in raw()["Cache server: figures, musts and aims"]}
        self.assertEqual([rows[t.what] for t in kvtable.TARGETS[:7]],
                         ["3.00", "0.10", "0.50", "0.10", "0.20", "5.0", "0.10"])

    def test_server_that_did_not_run_has_no_figure(self):
        rows = {r["figure"] for r in raw({("kv-cache", "tinymem-handles"): 1})["Cache server: figures, musts and aims"]}
        self.assertEqual(rows, {kvtable.TARGETS[0].what, kvtable.TARGETS[5].what})

    def test_every_server_has_a_column(self):
        row = raw()["Cache server: all that was measured"][0]
        self.assertEqual(row, {"figure": "bytes a key", "redis-server": "10", "kv/malloc on glibc": "4",
                               "kv/malloc on tinymem": "2",
                               "kv/handles": "1", "kv/handles, compaction:off": "5"})


def with_points():
    result = made_up.results(rounds=1)
    points = [[0.1 * i, 10 + i % 7, 12 + i % 11] for i in range(200)]
    result["samples"] += [dict(made_up.sample("kv", program, "kv", a, 0, {"bytes a key": 1.0}), points=points)
                          for program, a in SERVERS]
    return result


@unittest.skipUnless(shutil.which("gnuplot"), "gnuplot is missing")
class Picture(unittest.TestCase):
    def test_every_server_is_drawn_and_named(self):
        svg = kvpicture.draw(with_points())
        words = " ".join(xml.etree.ElementTree.fromstring(svg).itertext())
        for name in ("data", "redis-server", "kv/malloc on tinymem", "kv/handles"):
            self.assertIn(name, words)
        for _, colour in kvpicture.DRAWN:
            self.assertTrue(colour in svg, colour)

    def test_nothing_is_black_or_white(self):
        svg = kvpicture.draw(with_points())
        self.assertTrue("prefers-color-scheme:dark" in svg)
        self.assertTrue("currentColor" in svg)
        self.assertEqual(re.findall(r"black|white|#000000|#ffffff", svg), [])

    def test_without_points_there_is_none(self):
        result = with_points()
        for sample in result["samples"]:
            sample.pop("points", None)
        self.assertIsNone(kvpicture.draw(result))


class Selection(unittest.TestCase):
    def test_each_server_runs_where_it_belongs(self):
        programs = registry.select(["kv"])
        ran = [(p.name, a.name) for p in registry.select(["kv*"]) for a in
               (allocators.Allocator("glibc", "x", ""), LIBRARY) if schedule.runs_under(p, a)]
        self.assertEqual(ran, [("kv-cache", "glibc"), ("kv-cache", LIBRARY.name),
                               ("kv-still", LIBRARY.name), ("kv-redis", "glibc")])
        self.assertEqual(len(programs), len(registry.KV))

    def test_other_servers_are_taken_by_path(self):
        _, programs, _, _ = cli.parse(["--only", "kv-redis", "--with-redis", sys.executable])
        self.assertEqual(programs[-1].server, sys.executable)
        with tempfile.NamedTemporaryFile() as f, self.assertRaises(SystemExit):
            cli.parse(["--only", "kv", "--with-redis", f.name])


@NEEDS_LIBRARY
class Runs(unittest.TestCase):
    def metrics(self, name, **kw):
        program = dataclasses.replace(next(p for p in registry.KV if p.name == name), quick=2, **kw)
        sample = kvrun.run_kv(schedule.built_for(program, LIBRARY), LIBRARY, CTX)
        self.assertEqual(sample["reason"], "")
        return sample["metrics"]

    def test_heap_that_never_moves_shows_up_as_fragmented(self):
        moves, still = self.metrics("kv-cache"), self.metrics("kv-still")
        self.assertEqual(moves["errors"], 0)
        self.assertGreater(moves["bytes a key"], 48)
        self.assertGreater(moves["shift: resident ÷ data, end"], 1)
        self.assertGreater(still["shift: resident ÷ data, worst"], 1.3 * moves["shift: resident ÷ data, worst"])

    def test_client_that_fails_voids_the_run(self):
        program = registry.select(["kv-still"])[0]
        with mock.patch.object(kvrun, "KEYS_PER_MIB", 0):
            sample = kvrun.run_kv(schedule.built_for(program, LIBRARY), LIBRARY, CTX)
        self.assertTrue(sample["reason"].startswith("the client failed"), sample)
        self.assertEqual(sample["metrics"], {})
