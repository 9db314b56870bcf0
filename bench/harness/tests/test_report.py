"""The tables' numbers are those of the JSON: they are recomputed here without the harness's own arithmetic."""

import math
import statistics
import unittest

from harness import report

from . import made_up


def values(raw, program, metric, allocator):
    return [s["metrics"][metric] for s in raw["samples"] if s["program"] == program and s["allocator"] == allocator
            and not s["reason"] and metric in s["metrics"]]


def check_program_tables(test, raw, text):
    """Compare every cell of the programs' tables with the samples, for made-up and for measured results."""
    found = made_up.tables(text)
    names = [a["name"] for a in raw["allocators"] if not a.get("variant")]
    checked = 0
    for heading, metric, fmt in (("Programs: time, s", "time", "%.3f"), ("Programs: peak rss, MiB", "rss", "%.1f"),
                                 ("Programs: user + system time, s", "cpu", "%.3f")):
        for row in found[heading]:
            for a in names:
                v = values(raw, row["program"], metric, a)
                if not v:
                    test.assertEqual(row[a], "—")
                    continue
                median = statistics.median(v)
                expected = fmt % median
                if len(v) > 1:
                    expected += " (%.0f %%)" % ((max(v) - min(v)) / median * 100)
                test.assertEqual(row[a], expected)
                checked += 1
    for row in found["Programs: time, ratio to glibc"]:
        base = statistics.median(values(raw, row["program"], "time", "glibc"))
        for a in names:
            v = values(raw, row["program"], "time", a)
            if v:
                test.assertEqual(row[a].strip("*"), "%.2f" % (statistics.median(v) / base))
                checked += 1
    return checked


class Report(unittest.TestCase):
    def test_program_tables_hold_the_medians_of_the_json(self):
        raw = made_up.results()
        self.assertEqual(check_program_tables(self, raw, report.render(raw)), 4 * 3 * 4)

    def test_geometric_means_are_those_of_the_json(self):
        raw = made_up.results()
        rows = {r[""]: r for r in made_up.tables(report.render(raw))["Programs: geometric means of ratios to glibc"]}
        for a in ("jemalloc", "tinymem"):
            logs = [math.log(statistics.median(values(raw, p, "time", a)) /
                             statistics.median(values(raw, p, "time", "glibc")))
                    for p in ("cfrac", "larson", "redis-set")]
            self.assertEqual(rows["Time, all (3)"][a], "%.3f" % math.exp(sum(logs) / 3))
            self.assertEqual(rows["Time, synthetic (2)"][a], "%.3f" % math.exp(sum(logs[:2]) / 2))
            self.assertEqual(rows["Time, real (1)"][a], "%.3f" % math.exp(logs[2]))

    def test_peak_rss_over_20_mib_takes_only_programs_that_are_large_on_glibc(self):
        raw = made_up.results()
        for s in raw["samples"]:
            if s["suite"] == "programs":
                small = s["program"] == "cfrac"
                s["metrics"]["rss"] = (5.0 if small else 50.0) * (2 if s["allocator"] == "tinymem" and not small else 1)
        rows = {r[""]: r for r in made_up.tables(report.render(raw))["Programs: geometric means of ratios to glibc"]}
        self.assertEqual(rows["Peak RSS, over 20 MiB on glibc (2)"]["tinymem"], "2.000")
        self.assertEqual(rows["Peak RSS, all (3)"]["tinymem"], "%.3f" % 4 ** (1 / 3))

    def test_best_peer_is_neither_glibc_nor_tinymem_nor_oneself(self):
        raw = made_up.results()
        times = {"glibc": 1.0, "jemalloc": 2.0, "mimalloc": 4.0, "tinymem": 3.0}
        for s in raw["samples"]:
            if s["program"] == "cfrac":
                s["metrics"]["time"] = times[s["allocator"]]
        rows = {r["program"]: r for r in made_up.tables(report.render(raw))["Programs: time, ratio to the best peer"]}
        self.assertEqual(rows["cfrac"], {"program": "cfrac", "glibc": "0.50", "jemalloc": "0.50",
                                         "mimalloc": "**2.00**", "tinymem": "**1.50**"})

    def test_other_suites_hold_the_medians_of_the_json(self):
        raw = made_up.results()
        found = made_up.tables(report.render(raw))
        v = values(raw, "frag-lru", "lru, ticking, ratio", "mimalloc")
        self.assertTrue(found["Fragmentation"][0]["mimalloc"].startswith("%.2f (" % statistics.median(v)))
        v = values(raw, "micro-malloc", "pair/16", "tinymem")
        self.assertTrue(found["Micro benchmarks: ns per operation"][1]["tinymem"].startswith(
            "%.1f (" % statistics.median(v)))
        v = values(raw, "startup-true", "time", "tinymem")
        self.assertEqual(found["Start-up"][0]["tinymem"], "%.3f" % (statistics.median(v) * 1000))

    def test_void_run_is_named_and_does_not_count(self):
        raw = made_up.results(rounds=1)
        bad = next(s for s in raw["samples"] if s["program"] == "cfrac" and s["allocator"] == "tinymem")
        bad["reason"] = "malloc of cfrac served by other.so, not by libtinymem.so"
        text = report.render(raw)
        self.assertIn("void: **cfrac** under **tinymem**, round 1: malloc of cfrac served by other.so", text)
        rows = {r["program"]: r for r in made_up.tables(text)["Programs: time, s"]}
        self.assertEqual(rows["cfrac"]["tinymem"], "—")
        rows = {r[""]: r for r in made_up.tables(text)["Programs: geometric means of ratios to glibc"]}
        self.assertTrue(rows["Time, all (3)"]["tinymem"].endswith("(only 2)"))

    def test_missing_allocator_and_program_are_said_plainly(self):
        raw = made_up.results(rounds=1)
        raw["allocators"].append({"name": "tcmalloc", "library": None, "version": "", "peer": True,
                                  "note": "missing: package x is not installed"})
        raw["missing"].append({"program": "ruby", "reason": "needs ruby"})
        text = report.render(raw)
        self.assertIn("allocator **tcmalloc**: missing: package x is not installed", text)
        self.assertIn("program **ruby**: needs ruby", text)
        self.assertEqual(made_up.tables(text)["Programs: time, s"][0]["tcmalloc"], "—")

    def test_losses_stand_as_plainly_as_wins(self):
        raw = made_up.results(rounds=1)
        for s in raw["samples"]:
            if s["suite"] == "programs":
                s["metrics"]["time"] = {"cfrac": 1.5, "larson": 0.5}.get(s["program"], 1.0) \
                    if s["allocator"] == "tinymem" else 1.0
        text = report.render(raw)
        row = next(r for r in made_up.tables(text)["Programs: losses and wins by more than 2 %"]
                   if r["allocator"] == "tinymem" and r["figure"] == "time" and r["against"] == "glibc")
        self.assertEqual((row["losses"], row["wins"]), ("1", "1"))
        self.assertEqual((row["where it loses"], row["where it wins"]), ("cfrac 1.50", "larson 0.50"))
