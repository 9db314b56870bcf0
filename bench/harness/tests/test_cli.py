"""Options: each mistake gets one message that lists the valid values, before anything is installed or built."""

import os
import subprocess
import types
import unittest

from harness import cli, paths, registry, schedule


def run(*arguments):
    return subprocess.run([os.path.join(paths.BENCH, "run"), *arguments], capture_output=True, text=True, timeout=60)


class Options(unittest.TestCase):
    def refused(self, *arguments):
        done = run(*arguments)
        self.assertNotEqual(done.returncode, 0)
        self.assertEqual(done.stdout, "")
        return done.stderr

    def test_unknown_program_lists_the_valid_names(self):
        said = self.refused("--only", "cfrac,nonesuch")
        self.assertIn("'nonesuch'", said)
        for name in ("programs", "frag", "micro", "redis-lists", "frag-lru"):
            self.assertIn(name, said)

    def test_unknown_allocator_lists_the_valid_names(self):
        said = self.refused("--allocators", "glibc,jemaloc")
        self.assertIn("'jemaloc'", said)
        self.assertIn("jemalloc", said)
        self.assertIn("slow", said)

    def test_unknown_option_is_named(self):
        self.assertIn("--frobnicate", self.refused("--frobnicate"))

    def test_with_wants_a_name_and_an_existing_file(self):
        self.assertIn("NAME=/path/lib.so", self.refused("--with", "libfoo.so"))
        self.assertIn("/nonexistent.so", self.refused("--with", "foo=/nonexistent.so"))
        self.assertIn("built-in", self.refused("--with", "jemalloc=" + paths.PROBE))

    def test_rounds_wants_a_positive_number(self):
        self.assertIn("--rounds", self.refused("--rounds", "0"))
        self.assertIn("--rounds", self.refused("--rounds", "many"))

    def test_quick_and_full_exclude_each_other(self):
        self.assertIn("--full", self.refused("--quick", "--full"))

    def test_publish_wants_a_whole_run_and_from_a_file(self):
        self.assertIn("smoke test", self.refused("--publish", "--quick"))
        self.assertIn("--publish", self.refused("--from", "somewhere"))
        self.assertIn("results.json", self.refused("--publish", "--from", "/nonexistent"))

    def test_picture_is_of_five_allocators_unless_told_otherwise(self):
        def pictured(*words):
            _, programs, names, _ = cli.parse(["--only", "tides", *words])
            variants = [types.SimpleNamespace(name=n, variant="-handles" if "handles" in n else "") for n in names]
            return [a.name for _, _, a in schedule.plan(programs, variants, {"picture": 1})]
        self.assertEqual(pictured(), ["glibc", "jemalloc", "mimalloc", "tinymem", "tinymem-handles"])
        self.assertEqual(pictured("--allocators", "glibc,tcmalloc"), ["glibc", "tcmalloc"])

    def test_help_names_all_options(self):
        done = run("--help")
        self.assertEqual(done.returncode, 0)
        for option in ("--quick", "--full", "--allocators", "--only", "--with", "--rounds", "--out", "--publish",
                       "--from"):
            self.assertIn(option, done.stdout)


class Selection(unittest.TestCase):
    def names(self, *patterns):
        return [p.name for p in registry.select(patterns)]

    def test_suite_kind_glob_and_name_select(self):
        self.assertEqual(self.names("larson"), ["larson"])
        self.assertEqual(self.names("redis-*"), ["redis-set", "redis-lists", "redis-mixed"])
        self.assertTrue(all(n.startswith("frag-") for n in self.names("frag")))
        self.assertEqual(set(self.names("programs")), set(self.names("real", "synthetic")))

    def test_names_are_unique_and_do_not_hide_a_suite(self):
        names = registry.valid_names()
        self.assertEqual(len(names), len(set(names)))

    def test_the_list_has_not_shrunk(self):
        self.assertGreaterEqual(len(self.names("real")), 15)
        self.assertGreaterEqual(len(self.names("synthetic")), 14)
        self.assertGreaterEqual(len(self.names("frag")), 12)
        self.assertGreaterEqual(len(self.names("handles")), 11)
        self.assertGreaterEqual(len(self.names("replay")), 24)
        self.assertEqual(self.names("picture"), ["tides", "shift"])

    def test_command_line_is_reported_without_directories(self):
        options, _, _, _ = cli.parse(["--quick", "--with", "x=" + paths.PROBE])
        self.assertEqual(cli.command_line(options), "bench/run --quick --with x=probe.so")


class Plan(unittest.TestCase):
    def test_rounds_interleave_and_rotate_the_allocators(self):
        programs = registry.select(["cfrac", "larson"])
        jobs = schedule.plan(programs, ["a", "b", "c"], {"programs": 2})
        order = [(r, p.name, a) for r, p, a in jobs]
        self.assertEqual([a for r, p, a in order if (r, p) == (0, "cfrac")], ["a", "b", "c"])
        self.assertEqual([a for r, p, a in order if (r, p) == (0, "larson")], ["b", "c", "a"])
        self.assertEqual([a for r, p, a in order if (r, p) == (1, "cfrac")], ["b", "c", "a"])
        self.assertEqual([r for r, _, _ in order], [0] * 6 + [1] * 6)
