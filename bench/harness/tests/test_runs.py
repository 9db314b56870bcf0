"""Short real runs: the control is slow, a run served by the wrong library is void, only the program's memory counts."""

import contextlib
import dataclasses
import io
import json
import os
import shutil
import tempfile
import unittest

from harness import allocators, cli, fragrun, paths, registry, report, runner, schedule, servers

from . import test_report

GLIBC = allocators.glibc()
CTX = runner.Context(quick=True, tick_seconds=0.2, sleep_seconds=0.1)


def program(name):
    return registry.select([name])[0]


class WholeRun(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.TemporaryDirectory()
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as err:
            cls.status = cli.main(["--quick", "--rounds", "3", "--only", "alloc-test,startup-tiny",
                                   "--allocators", "glibc,slow", "--out", cls.dir.name])
        cls.progress = err.getvalue()
        with open(os.path.join(cls.dir.name, "results.json"), encoding="utf-8") as f:
            cls.raw = json.load(f)
        with open(os.path.join(cls.dir.name, "report.md"), encoding="utf-8") as f:
            cls.text = f.read()

    @classmethod
    def tearDownClass(cls):
        cls.dir.cleanup()

    def test_every_sample_counts_and_is_kept(self):
        self.assertEqual(self.status, 0)
        self.assertEqual(len(self.raw["samples"]), 3 * 2 * 2)
        self.assertEqual({s["served_by"] for s in self.raw["samples"]}, {"libc.so.6", "slow_malloc.so"})
        self.assertIn("Nothing: every run of every allocator counted.", self.text)

    def test_slow_allocator_shows_up_as_slow(self):
        results = report.Results(self.raw)
        self.assertGreater(results.to_glibc("alloc-test", "time", "slow"), 3)
        self.assertGreater(results.to_glibc("alloc-test", "cpu", "slow"), 3)
        self.assertGreater(results.to_glibc("startup-tiny", "time", "slow"), 1.2)

    def test_written_table_is_that_of_the_written_json(self):
        self.assertGreater(test_report.check_program_tables(self, self.raw, self.text), 0)
        self.assertEqual(report.render(self.raw), self.text)

    def test_progress_tells_the_time_left(self):
        self.assertIn("[12/12]", self.progress)
        self.assertIn(" left", self.progress)

    def test_results_name_no_directory(self):
        self.assertNotIn(paths.ROOT, json.dumps(self.raw) + self.text)


class Servers(unittest.TestCase):
    def batch(self, argv, allocator=GLIBC, **kw):
        p = dataclasses.replace(program("cfrac"), argv=tuple(argv), **kw)
        return runner.run_batch(p, allocator, CTX)

    def test_program_with_its_own_malloc_is_void(self):
        sample = self.batch(["{bin}/own_malloc"])
        self.assertIn("malloc of own_malloc served by own_malloc, not by libc.so.6", sample["reason"])

    def test_library_without_malloc_is_void(self):
        sample = self.batch(["{bin}/tiny"], allocators.given("fake", paths.PROBE))
        self.assertIn("served by libc.so.6, not by probe.so", sample["reason"])

    def test_measured_process_must_have_reported(self):
        sample = self.batch(["{bin}/tiny"], measured="someone-else")
        self.assertIn("did not report", sample["reason"])

    def test_static_program_is_void(self):
        sample = self.batch(["{bin}/measure", "-r", "{tmp}/r", "/bin/true"])
        self.assertIn("did not report", sample["reason"])

    def test_children_count_as_well(self):
        sample = self.batch(["/bin/sh", "-c", "{bin}/own_malloc; true"])
        self.assertIn("malloc of own_malloc", sample["reason"])

    @unittest.skipUnless(os.path.exists("/usr/bin/python3"), "no /usr/bin/python3")
    def test_program_that_takes_mallocs_address_is_not_taken_for_the_server(self):
        sample = self.batch(["/usr/bin/python3", "-c", "print(1)"])
        self.assertEqual((sample["reason"], sample["served_by"]), ("", "libc.so.6"))

    @unittest.skipUnless(shutil.which("redis-server") and shutil.which("redis-benchmark"), "no redis")
    def test_redis_server_that_links_jemalloc_runs_on_glibc_when_told(self):
        sample = servers.run_served(dataclasses.replace(program("redis-set"), quick=10), GLIBC, CTX)
        self.assertEqual((sample["reason"], sample["served_by"]), ("", "libc.so.6"))
        self.assertGreater(sample["metrics"]["rss"], 1)

    def test_server_that_ends_at_once_is_void(self):
        servers.WORKLOADS["test-false"] = (("/bin/false",), None)
        sample = servers.run_served(dataclasses.replace(program("redis-set"), server="test-false"), GLIBC, CTX)
        self.assertIn("server ended at once", sample["reason"])


class Judgement(unittest.TestCase):
    def test_failing_program_is_void_and_quoted(self):
        p = dataclasses.replace(program("cfrac"), argv=("/bin/sh", "-c", "echo broken >&2; exit 3"))
        self.assertEqual(runner.run_batch(p, GLIBC, CTX)["reason"], "exit status 3: broken")

    def test_crash_is_void(self):
        p = dataclasses.replace(program("cfrac"), argv=("/bin/sh", "-c", "kill -ABRT $$"))
        self.assertIn("signal 6", runner.run_batch(p, GLIBC, CTX)["reason"])

    def test_program_that_cannot_start_is_void(self):
        p = dataclasses.replace(program("cfrac"), argv=("/nonexistent",))
        self.assertIn("exit status 127", runner.run_batch(p, GLIBC, CTX)["reason"])

    def test_output_that_differs_from_glibcs_is_void(self):
        samples = [{"program": "p", "allocator": a, "reason": "", "output": o}
                   for a, o in (("x", "bad"), ("glibc", "good"), ("y", "good"))]
        schedule.judge_outputs(samples)
        self.assertEqual([bool(s["reason"]) for s in samples], [True, False, False])

    def test_peak_rss_does_not_include_the_driver(self):
        ballast = bytearray(200 << 20)
        ballast[::4096] = b"x" * len(ballast[::4096])
        sample = runner.run_batch(dataclasses.replace(program("cfrac"), argv=("{bin}/tiny",)), GLIBC, CTX)
        self.assertLess(sample["metrics"]["rss"], 20)
        del ballast

    def test_allocator_that_is_not_there_is_kept_with_the_reason(self):
        allocators.PACKAGED["test-peer"] = ("libnonexistent.so.9", "libnonexistent9")
        try:
            found = allocators.find(["test-peer"], {})
        finally:
            del allocators.PACKAGED["test-peer"]
        self.assertEqual([a.name for a in found], ["glibc", "test-peer"])
        self.assertIsNone(found[1].path)
        self.assertIn("libnonexistent9", found[1].note)


class Fragmentation(unittest.TestCase):
    def test_thinned_heap_is_sampled_asleep_and_ticking(self):
        sample = fragrun.run_frag(dataclasses.replace(program("frag-thin-512"), quick=16), GLIBC, CTX)
        self.assertEqual((sample["reason"], sample["served_by"]), ("", "libc.so.6"))
        m = sample["metrics"]
        self.assertGreater(m["thinned, asleep, ratio"], 5)
        self.assertGreater(m["thinned, ticking, ratio"], 5)
        self.assertLess(m["full, worst ratio"], 1.5)
        self.assertLess(m["emptied, ticking, MiB"], 32)

    def test_workload_that_fails_is_void(self):
        p = dataclasses.replace(program("frag-lru"), argv=("/bin/sh", "-c", "exit 4"))
        self.assertIn("exit status 4", fragrun.run_frag(p, GLIBC, CTX)["reason"])
