"""bench/RESULTS.md: suites are renewed one by one, edits are noticed, and results of incomplete runs are refused."""

import os
import re
import tempfile
import unittest

from harness import picture, publish, registry, report

from . import made_up


def whole(date="2000-01-01", commit="1", factor=1.0):
    """Made-up results of all programs of three suites, and no others."""
    raw = made_up.results(rounds=1)
    raw["samples"] = [s for s in raw["samples"] if s["suite"] not in ("micro", "handles")]
    raw["rounds"] = dict.fromkeys(registry.SUITES, 1)
    raw["date"], raw["load_before"] = date, 0
    for a in raw["allocators"]:
        a["version"] = commit if a["name"] == "tinymem" else "1"
    have = {s["program"] for s in raw["samples"]}
    raw["missing"] = [{"program": p.name, "reason": "made up"} for p in registry.PROGRAMS
                      if p.suite in ("programs", "startup", "frag") and p.name not in have]
    for s in raw["samples"]:
        s["metrics"] = {m: v * factor for m, v in s["metrics"].items()}
    return raw


class Publish(unittest.TestCase):
    def test_sections_have_the_tables_of_the_report(self):
        raw = whole()
        text = publish.renewed("", raw)
        shown, told = made_up.tables(text), made_up.tables(report.render(raw))
        for heading in ("Programs: time, ratio to glibc", "Programs: geometric means of ratios to glibc", "Start-up"):
            self.assertEqual(shown[heading], told[heading])
        self.assertNotIn("Programs: time, s", shown)

    def test_one_suite_is_renewed_and_the_others_stay(self):
        first = publish.renewed("", whole("2000-01-01", "old"))
        again = publish.renewed(first, whole("2001-02-03", "new", 2.0), {"startup"})
        before, after = publish.read(first), publish.read(again)
        self.assertEqual(after["programs"], before["programs"])
        self.assertEqual((after["startup"]["date"], after["startup"]["tinymem"]), ("2001-02-03", "new"))
        self.assertNotEqual(after["startup"]["body"], before["startup"]["body"])
        self.assertIn("| [Programs](#programs) | 2000-01-01 | old |", again)
        self.assertIn("| [Start-up](#start-up) | 2001-02-03 | new |", again)

    def test_file_is_made_of_its_sections(self):
        text = publish.renewed("", whole())
        self.assertEqual(publish.compose(publish.read(text)), text)
        self.assertEqual(publish.edited(publish.read(text)), [])

    def test_an_edited_figure_is_noticed_and_refused(self):
        text = publish.renewed("", whole())
        number = re.search(r"\| (\d\.\d\d) \|", publish.read(text)["programs"]["body"]).group(1)
        forged = text.replace("| %s |" % number, "| 0.01 |", 1)
        self.assertEqual(publish.edited(publish.read(forged)), ["programs"])
        with self.assertRaisesRegex(publish.Refused, "by hand in: programs"):
            publish.renewed(forged, whole(), {"startup"})
        self.assertEqual(publish.edited(publish.read(publish.renewed(forged, whole()))), [])

    def test_what_is_no_whole_run_is_refused(self):
        for change, why in (({"mode": "quick"}, "quick"), ({"interrupted": True}, "interrupted"),
                            ({"missing": []}, "whole suites")):
            with self.assertRaisesRegex(publish.Refused, why):
                publish.renewed("", {**whole(), **change})
        with self.assertRaisesRegex(publish.Refused, "nothing"):
            publish.renewed("", whole(), {"kv"})

    def test_void_runs_and_missing_programs_are_named(self):
        raw = whole()
        next(s for s in raw["samples"] if s["program"] == "cfrac")["reason"] = "served by x.so"
        body = publish.read(publish.renewed("", raw))["programs"]["body"]
        self.assertRegex(body, r"void: cfrac under \w+, round 1: served by x\.so")
        self.assertIn("program espresso is missing: made up", body)

    def test_machine_versions_and_command_stand_in_each_section(self):
        for s in publish.read(publish.renewed("", whole("2000-01-01", "abc1234"))).values():
            for words in ("`bench/run`, 2000-01-01", "kernel x", "- jemalloc: 1", "- tinymem: abc1234"):
                self.assertIn(words, s["body"])

    def test_allocators_of_with_have_a_section_of_their_own(self):
        first = publish.renewed("", whole("2000-01-01", "old"))
        raw = whole("2001-02-03", "new")
        raw["allocators"][1].update(name="other", note="given by --with")
        both = publish.read(publish.renewed(first, raw, {"programs"}))
        self.assertEqual(both["programs"], publish.read(first)["programs"])
        self.assertTrue(both["programs-others"]["body"].startswith("## Programs, other allocators\n"))

    def test_a_busy_machine_is_mentioned(self):
        raw = whole()
        self.assertNotIn("was busy", publish.renewed("", raw))
        raw["machine"]["load_before"] = 2.5
        self.assertIn("was busy", publish.renewed("", raw))

    def test_pictures_are_written_beside_the_file(self):
        raw = whole()
        points = [(0, 1, 0.1, "fill"), (10, 20, 0.2, "fill"), (10, 30, 0.3, "quiet")]
        sample = made_up.sample("picture", "tides", "picture", "glibc", 0, picture.figures(points))
        raw["samples"] = [dict(sample, points=points)]
        raw["missing"] = [{"program": "shift", "reason": "made up"}]
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "RESULTS.md")
            readme = os.path.join(folder, "README.md")
            with open(readme, "w", encoding="utf-8") as f:
                f.write("<!-- figures\nnow = Picture: much memory / quiet\n-->\n| | glibc |\n|---|---|\n| now | 0 |\n")
            written = publish.write(raw, None, path, readme)
            self.assertEqual(sorted(os.path.basename(p) for p in written), ["README.md", "RESULTS.md", "picture.svg"])
            with open(readme, encoding="utf-8") as f:
                self.assertIn("| now | 30.00 |", f.read())
            with open(path, encoding="utf-8") as f:
                row = made_up.tables(f.read())["Picture: much memory, then little"][1]
        self.assertEqual((row[""], row["live"], row["glibc"]), ("quiet", "10.00", "30.00"))
