"""Replays: small traces with figures computed by hand, a wrong policy, and the recorder on a real program."""

import contextlib
import dataclasses
import io
import json
import os
import re
import subprocess
import tempfile
import unittest

from harness import allocators, cli, paths, registry, replayrun, report, runner

from . import made_up

MIB = 1 << 20
MADE = [p for p in registry.REPLAY if p.form != "recorded"]


def replayed(*moments):
    """need-replay of [(ms, {class: MiB})]."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as f:
        for ms, live in moments:
            f.write("%d %s\n" % (ms, " ".join(str(live.get(c, 0) * MIB) for c in range(8))))
        f.flush()
        return replayrun.replay(f.name)


def bursts(n, period):
    """n bursts of 64 MiB for 100 ms each; the trace ends one period after the last burst."""
    return [(i * period + ms, {3: mib}) for i in range(n) for ms, mib in ((0, 64), (100, 0))] + [(n * period, {})]


class Hand(unittest.TestCase):
    def expect(self, figures, policy, **wanted):
        for measure, value in wanted.items():
            name = "%s: %s" % (policy, measure.replace("_", " "))
            self.assertAlmostEqual(figures[name], value, delta=1e-4 * max(abs(value), 1), msg=name)

    def test_plain_policies_and_oracles_on_gaps_of_900_and_2000_ms(self):
        moments = ((0, 64), (100, 0), (1000, 64), (1100, 0), (3100, 64), (3200, 64))
        f = replayed(*[(ms, {3: mib}) for ms, mib in moments])
        self.expect(f, "constant 0 MiB", again=128, mean_empty=0, peak_empty=0, peak_to_live=1,
                    cost_to_oracle=(128 * 5000 + 64 * 300) / (64 * 2900 + 64 * 300))
        self.expect(f, "constant 16 MiB", again=96, mean_empty=16 * 2900 / 3200, peak_empty=16)
        self.expect(f, "constant, all", again=0, mean_empty=64 * 2900 / 3200, peak_empty=64, cost_to_oracle=1)
        self.expect(f, "age 1000 ms", again=0, mean_empty=64 * 2900 / 3200)  # asleep nobody looks
        self.expect(f, "age 1000 ms, helper", again=64, mean_empty=64 * 1900 / 3200, peak_empty=64)
        self.expect(f, "oracle 100 ms", again=128, mean_empty=0, peak_empty=0)
        self.expect(f, "oracle 1000 ms", again=64, mean_empty=64 * 900 / 3200, peak_empty=64)
        self.expect(f, "oracle 5000 ms", again=0, mean_empty=64 * 2900 / 3200)

    def expect_one_mistake(self, policy, floor=2):
        """All but the floor is purged once, needed again at once, and kept from then on, in any number of bursts."""
        for n in (3, 10):
            self.expect(replayed(*bursts(n, 400)), policy, again=64 - floor)

    def test_regret_makes_one_mistake(self):
        self.expect_one_mistake("regret")
        self.expect_one_mistake("regret, helper")

    def test_floor_is_a_variable_of_the_real_functions(self):
        self.expect_one_mistake("regret, floor_kib 0", 0)
        self.expect_one_mistake("regret, floor_kib 8192", 8)

    def test_wrong_policy_is_noticed(self):
        for wrong in ("no regret", "constant 16 MiB", "age 100 ms, helper", "regret, floor_kib 8192"):
            with self.assertRaises(AssertionError):
                self.expect_one_mistake(wrong)
        self.expect(replayed(*bursts(10, 400)), "no regret", again=9 * 62)

    def test_what_comes_after_the_window_is_not_regretted(self):
        f = replayed(*bursts(5, 6000))
        self.expect(f, "regret", again=4 * 62)
        self.expect(f, "regret, regret_ms 10000", again=62)

    def test_growth_is_paid_from_what_is_empty(self):
        f = replayed((0, {2: 40}), (100, {2: 30}), (200, {2: 30, 4: 10}), (300, {2: 30, 4: 10}))
        self.expect(f, "constant 4 MiB", peak_to_live=44 / 40)
        self.expect(f, "regret", peak_to_live=40.25 / 40, again=0)

    def test_helper_comes_20_ms_after_and_the_program_at_once(self):
        f = replayed((0, {5: 64}), (100, {}), (10100, {}))
        self.expect(f, "regret", mean_empty=2 * 10000 / 10100)
        self.expect(f, "regret, helper", mean_empty=(64 * 20 + 2 * 9980) / 10100)

    def test_last_freed_is_used_first(self):
        moments = ((0, 60), (100, 40), (800, 20), (900, 40), (1500, 60), (1600, 60))
        f = replayed(*[(ms, {3: mib}) for ms, mib in moments])
        self.expect(f, "age 1000 ms, helper", again=20, mean_empty=(20 * 1000 + 20 * 100) / 1600)

    def test_helper_lets_go_within_two_intervals(self):
        moments, end = bursts(3, 400), 30000
        f = replayed(*moments, (end, {}))
        before = 64 * 20 + 2 * 280 + 64 * 300  # of the first two gaps
        let_go = (f["regret, stopped_ms 10000, helper: mean empty"] * end - before + 64 * 900 - 2 * end) / 62
        self.assertTrue(10000 <= let_go <= 10200, let_go)


class Made(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.figures = {p.name: replayrun.replay(p.argv[1]) for p in MADE}

    def test_no_policy_costs_less_than_the_oracle(self):
        for trace, figures in self.figures.items():
            for name, value in figures.items():
                if name.endswith(": cost to oracle") and not name.startswith("oracle"):
                    self.assertGreater(value, 0.99999, "%s %s" % (trace, name))

    def test_each_constant_makes_a_difference_somewhere(self):
        for constant in ("interval_ms", "floor_kib", "regret_ms", "stopped_ms", "keep_percent", "fade", "past_peak",
                         "look_ms", "gap_ms"):
            row = re.compile(r"regret, %s \d+(, helper)?: .*" % constant)
            changed = [(f, n) for f in self.figures.values() for n in f if row.fullmatch(n)]
            self.assertTrue(any(f[n] != f[re.sub(r", [a-z_]+ \d+", "", n)] for f, n in changed), constant)


class Copied(unittest.TestCase):
    """Constants that the replay repeats, since the library's headers do not contain them."""

    def number(self, path, pattern):
        with open(os.path.join(paths.ROOT, path), encoding="utf-8") as f:
            return int(re.search(pattern, f.read()).group(1))

    def test_constants_are_the_librarys(self):
        pacer, policy = "lib/threads/pacer.c", "bench/need/replay/policy.c"
        for field, path, pattern in (
                ("look_ms", pacer, r"LOOK_MS = (\d+)"), ("gap_ms", pacer, r"GAP_MS = (\d+)"),
                ("stopped_ms", pacer, r"STOPPED_MS = (\d+)"),
                ("regret_ms", "lib/segments/regret.h", r"TMI_REGRET_MS = (\d+)"),
                ("interval_ms", "lib/os/options.def", r'purge_delay, "(\d+)"'),
                ("keep_percent", "lib/os/options.def", r'purge_keep, "(\d+)"')):
            self.assertEqual(self.number(policy, r"\.%s = (\d+)" % field), self.number(path, pattern), field)
        for name, path, pattern in (("SOON_MS = ", "lib/threads/pacer.h", r"(\d+)"), ("WATCH_MS = ", pacer, r"(\d+)"),
                                    ("SLACK", pacer, r"\D+(\d+) ?<< ?10")):
            self.assertEqual(self.number(policy, name + pattern), self.number(path, name + pattern), name)


class Verdicts(unittest.TestCase):
    CHOSEN = ([50, 50, 50], [20, 20, 20])

    def test_other_policies_are_judged_by_both_measures(self):
        for again, empty, wanted in ((40, 20, "**better**"), (50, 10, "**better**"), (40, 30, "other"),
                                     (60, 20, "worse"), (49.7, 20, "same"), (40, 20.3, "other")):
            self.assertEqual(replayrun.verdict(([again] * 3, [empty] * 3), self.CHOSEN), wanted)

    def test_one_trace_makes_nothing_better_or_worse(self):
        self.assertEqual(replayrun.verdict(([50, 50, 0], [20, 20, 20]), self.CHOSEN), "same")
        self.assertEqual(replayrun.verdict(([50, 50, 99], [20, 20, 20]), self.CHOSEN), "same")


class Bad(unittest.TestCase):
    def refused(self, trace):
        done = subprocess.run([paths.REPLAY, trace], capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout, done.stderr.count("\n")), (2, "", 1))
        return done.stderr

    def test_unknown_name_lists_the_names(self):
        self.assertIn("sawtooth-3s", self.refused("nonesuch"))

    def test_bad_line_is_named(self):
        good = "5 1 2 3 4 5 6 7 8\n"
        for bad in ("4 1 2 3 4 5 6 7 8\n", "6 1 2\n", "6 1 2 3 4 5 6 7 8 9\n", "6 1 -2 3 4 5 6 7 8\n", "x\n"):
            with tempfile.NamedTemporaryFile("w") as f:
                f.write(good + bad)
                f.flush()
                self.assertIn("line 2", self.refused(f.name))


class Recorder(unittest.TestCase):
    def record(self, *argv):
        program = dataclasses.replace(registry.select(["replay-python"])[0], argv=argv)
        with tempfile.TemporaryDirectory() as tmp:
            trace = replayrun.record(program, allocators.glibc(), runner.Context(quick=True), tmp)
            with open(trace, encoding="ascii") as f:
                return [[int(word) for word in line.split()] for line in f], replayrun.replay(trace)

    @unittest.skipUnless(os.path.exists("/usr/bin/python3"), "no /usr/bin/python3")
    def test_bursts_of_a_real_program_are_seen(self):
        code = ("for i in range(3):\n x = bytearray(); y = [bytes(100000) for i in range(160)]\n"
                " for i in range(33): x.extend(bytes(1 << 20))\n x = y = None")
        moments, figures = self.record("/usr/bin/python3", "-c", code)
        for c, mib in ((7, 32), (6, 15)):
            high = [m[1 + c] > mib * MIB for m in moments]
            self.assertEqual(sum(b and not a for a, b in zip(high, high[1:])), 3)
        self.assertLess(moments[-1][8], 8 * MIB)
        self.assertGreater(figures["constant 0 MiB: again"], 2 * 47)

    def test_program_that_cannot_be_recorded_is_said(self):
        with self.assertRaisesRegex(RuntimeError, "written nothing"):
            self.record(paths.MEASURE, "-r", "/dev/null", "/nonexistent")


class WholeRun(unittest.TestCase):
    def test_tables_are_those_of_the_json(self):
        quiet = io.StringIO()
        with tempfile.TemporaryDirectory() as out, contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
            status = cli.main(["--quick", "--only", "replay-bursts-150ms,replay-sawtooth-*", "--allocators", "glibc",
                               "--out", out])
            with open(os.path.join(out, "results.json"), encoding="utf-8") as f:
                raw = json.load(f)
        found = made_up.tables(report.render(raw))
        metrics = [s["metrics"] for s in raw["samples"]]
        self.assertEqual((status, len(metrics)), (0, 3))
        for row in found["Replay: policies"]:
            share = sum(100 * m[row["policy"] + ": again"] / m["constant 0 MiB: again"] for m in metrics) / 3
            self.assertEqual(row["again"], "%.1f" % share)
        self.assertEqual(found["Replay: by trace, MiB"][1]["regret"], " / ".join(
            "%.3g" % metrics[1]["regret: " + m] for m in ("again", "mean empty", "peak empty")))
        self.assertEqual(found["Replay: constants of regret"][0]["constant"], "as chosen")
