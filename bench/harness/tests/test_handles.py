"""Handles: the table's figures are those of the JSON, verdicts follow from must and aim, and the controls fail."""

import dataclasses
import os
import shutil
import statistics
import unittest

from harness import allocators, fragrun, handlesrun, handlestable, paths, registry, report, runner, schedule

from . import made_up, test_report

LIBRARY = allocators.handles(allocators.tinymem())
CTX = runner.Context(quick=True, tick_seconds=1.0, sleep_seconds=0.1, micro_seconds=0.02)
NEEDS_LIBRARY = unittest.skipUnless(LIBRARY.path and os.path.exists(os.path.join(paths.BIN, "handles-churn")),
                                    "the library has not been built")
SECTION = "Handles: figures, musts and aims"


def program(name, **kw):
    return dataclasses.replace(registry.select([name])[0], **kw)


def figures(raw):
    return {row["figure"]: row for row in made_up.tables(report.render(raw)).get(SECTION, [])}


class Table(unittest.TestCase):
    def setUp(self):
        self.raw = made_up.results()
        self.figures = figures(self.raw)

    def median(self, name, metric):
        return statistics.median(test_report.values(self.raw, name, metric, "tinymem-handles"))

    def expect(self, figure, value, fmt="%.2f"):
        self.assertEqual(self.figures[figure]["value"], fmt % value)

    def test_costs_are_differences_of_medians_on_one_thread(self):
        m = self.median
        self.expect("pin and unpin over a plain dereference, 1 thread, ns",
                    m("handles-paths", "pin/threads:1") - m("handles-paths", "plain/threads:1"))
        self.expect("the same, 2 threads, ns",
                    2 * (m("handles-paths", "pin/threads:2") - m("handles-paths", "plain/threads:2")))
        self.expect("2 threads' pin throughput ÷ 1 thread's",
                    m("handles-paths", "pin/threads:1") / m("handles-paths", "pin/threads:2"))
        self.expect("tm_alloc and tm_free over malloc and free, worst of 16 to 512 B, ns", max(
            m("handles-paths", "handle_pair/%d" % n) - m("handles-paths", "raw_pair/%d" % n)
            for n in (16, 64, 128, 256, 512)))

    def test_instructions_are_the_worst_of_the_sizes(self):
        self.expect("tm_alloc and tm_free one at a time, instructions, most of 16, 48, 512 B",
                    max(self.median("handles-count", "alloc+free %d" % n) for n in (16, 48, 512)), "%.0f")

    def test_gaps_and_loss_are_against_the_idle_control(self):
        m, gap, rate = self.median, "gap p99.99 us", "million operations a second"
        self.expect("gap of a running mutator over the idle control's, p99.99, µs",
                    m("handles-mutator-1", gap) - m("handles-mutator-1-idle", gap), "%.1f")
        self.expect("mutator throughput lost to compaction, 1 thread, %",
                    100 * (1 - m("handles-mutator-1", rate) / m("handles-mutator-1-idle", rate)), "%.1f")

    def test_fragmentation_stands_beside_its_bounds(self):
        self.expect("LRU, PSS ÷ live", self.median("frag-lru", "lru, ticking, ratio"))

    def test_every_sample_is_in_the_second_table(self):
        rows = {(r["program"], r["what"]): r["median"] for r in
                made_up.tables(report.render(self.raw))["Handles: all that was measured"]}
        for name, metrics in made_up.HANDLES.items():
            for metric in metrics if name.startswith("handles") else ():
                v = test_report.values(self.raw, name, metric, "tinymem-handles")
                spread = (max(v) - min(v)) / statistics.median(v) * 100
                self.assertEqual(rows[name, metric], "%.4g (%.0f %%)" % (statistics.median(v), spread))

    def test_figure_whose_samples_are_missing_is_left_out(self):
        self.assertNotIn("churn at 90 % use: bytes moved a byte allocated", self.figures)
        for s in self.raw["samples"]:
            if s["program"] == "handles-mutator-1-idle":
                s["reason"] = "void"
        self.assertNotIn("mutator throughput lost to compaction, 1 thread, %", figures(self.raw))

    def test_handles_have_columns_only_where_they_ran(self):
        found = made_up.tables(report.render(self.raw))
        self.assertIn("tinymem-handles", found["Fragmentation"][0])
        self.assertNotIn("tinymem-handles", found["Programs: time, s"][0])


class Verdicts(unittest.TestCase):
    def verdict(self, value, must, aim, at_least=False):
        return handlestable.verdict(handlestable.Target("x", None, must, aim, at_least=at_least), value)

    def test_losses_stand_as_plainly_as_wins(self):
        self.assertEqual([self.verdict(v, 2, 1) for v in (1, 1.5, 2.01)], ["aim met", "must met", "**must missed**"])
        self.assertEqual([self.verdict(v, 2, 3, True) for v in (3, 2.5, 1.99)],
                         ["aim met", "must met", "**must missed**"])
        self.assertEqual([self.verdict(v, None, 5) for v in (5, 6)], ["aim met", "**aim missed**"])
        self.assertEqual(self.verdict(1, None, None), "")


class Selection(unittest.TestCase):
    def test_handles_run_what_is_built_for_them_and_nothing_else(self):
        programs = registry.select(["frag-lru", "frag-redis", "larson", "handles-churn"])
        glibc = allocators.Allocator("glibc", "x", "")
        handles = allocators.Allocator("tinymem-handles", "x", "", variant="-handles")
        jobs = schedule.plan(programs, [glibc, handles], {"programs": 1, "frag": 1, "handles": 1})
        ran = {(p.name, a.name): p.argv[:1] for _, p, a in jobs}
        self.assertEqual(set(ran), {("larson", "glibc"), ("frag-lru", "glibc"), ("frag-redis", "glibc"),
                                    ("frag-lru", "tinymem-handles"), ("handles-churn", "tinymem-handles")})
        self.assertEqual(ran["frag-lru", "tinymem-handles"], ("{bin}/frag-lru-handles",))
        self.assertEqual(ran["handles-churn", "tinymem-handles"], ("{bin}/handles-churn",))


@NEEDS_LIBRARY
class Runs(unittest.TestCase):
    def sample(self, name, **kw):
        sample = handlesrun.run_handles(program(name, **kw), LIBRARY, CTX)
        self.assertEqual((sample["reason"], sample["served_by"]), ("", os.path.basename(LIBRARY.path)))
        return sample["metrics"]

    def thinned(self, **kw):
        thin = schedule.built_for(program("frag-thin-512", quick=32, **kw), LIBRARY)
        sample = fragrun.run_frag(thin, LIBRARY, CTX)
        self.assertEqual(sample["reason"], "")
        return sample["metrics"]["thinned, ticking, ratio"]

    def test_pins_that_fence_for_themselves_show_up_as_slow(self):
        def pin(m):
            return m["pin/threads:1"] - m["plain/threads:1"]
        self.assertGreater(pin(self.sample("handles-paths", env=(("TINYMEM", "fence:none"),))),
                           2 * pin(self.sample("handles-paths")))

    def test_heap_that_never_moves_shows_up_as_fragmented(self):
        self.assertGreater(self.thinned(env=(("TINYMEM", "compaction:off"),)), 2 * self.thinned())

    def test_idle_control_does_not_move(self):
        self.assertEqual(self.sample("handles-mutator-1-idle", quick=300)["moved MiB"], 0)
        self.assertGreater(self.sample("handles-steps-5", quick=3)["moved MiB"], 0)

    @unittest.skipUnless(shutil.which("valgrind"), "no valgrind")
    def test_instructions_repeat(self):
        first, second = self.sample("handles-count"), self.sample("handles-count")
        self.assertEqual(first, second)
        self.assertGreater(first["alloc+free 48"], 20)
        self.assertLess(first["deref 64"], first["pin+unpin 64"])

    def test_payload_and_metadata_are_told_apart(self):
        wide = schedule.built_for(program("frag-wide-512", quick=32), LIBRARY)
        m = fragrun.run_frag(wide, LIBRARY, CTX)["metrics"]
        self.assertGreaterEqual(m["thinned, payload, ratio"], 1)
        self.assertGreater(m["thinned, ticking, ratio"], m["thinned, payload, ratio"])
