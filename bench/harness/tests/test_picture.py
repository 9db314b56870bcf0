"""The pictures: they show the samples, they are legible in light and dark, and the workload follows its clock."""

import unittest
import xml.etree.ElementTree

from harness import allocators, fragrun, picture, registry, report, runner

from . import made_up


def with_points(program, points_of):
    raw = made_up.results(rounds=1)
    raw["samples"] += [dict(made_up.sample("picture", program, "picture", a, 0, picture.figures(points)), points=points)
                       for a, points in points_of.items()]
    return raw


def shift():
    return with_points("shift", {"glibc": [(0, 1), (10, 20), (10, 30)],
                                 "tinymem-handles": [(0, 1), (10, 11), (10, 10.6)]})


def tides(names=("glibc", "jemalloc", "mimalloc", "tinymem", "tinymem-handles")):
    def points(i):
        return [(50, 50 + i, 1.0, "fill-up"), (50, 60 + i, 2.0, "fill-up"), (5, 50 - i, 6.0, "quiet")]
    return with_points("tides", {name: points(i) for i, name in enumerate(names)})


def luminance(colour):
    parts = [int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5)]
    parts = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(a, b):
    """The contrast ratio as defined by WCAG."""
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


class Shown(unittest.TestCase):
    def test_table_of_shift_is_that_of_the_points(self):
        rows = {r[""]: r for r in made_up.tables(report.render(shift()))["Picture: sizes that shift"]}
        self.assertEqual([rows[m]["glibc"] for m in ("mean", "worst", "last")], ["2.50", "3.00", "3.00"])
        self.assertEqual([rows[m]["tinymem-handles"] for m in ("mean", "worst", "last")], ["1.08", "1.10", "1.06"])

    def test_table_of_tides_is_that_of_the_last_points_of_phases(self):
        rows = {r[""]: r for r in made_up.tables(report.render(tides()))["Picture: much memory, then little"]}
        self.assertEqual([rows["fill-up"][c] for c in ("live", "glibc", "tinymem")], ["50.00", "60.00", "63.00"])
        self.assertEqual([rows["quiet"][c] for c in ("live", "glibc", "tinymem")], ["5.00", "50.00", "47.00"])
        self.assertEqual(rows["mean of the run"]["glibc"], "53.33")
        self.assertEqual(list(rows["quiet"]), ["", "live", "glibc", "jemalloc", "mimalloc", "tinymem",
                                               "tinymem-handles"])

    def test_curves_are_those_of_the_points(self):
        drawing = xml.etree.ElementTree.fromstring(picture.draw(shift(), "shift"))
        lines = drawing.findall("{*}polyline")
        self.assertEqual(len(lines), 2)
        heights = [[float(p.split(",")[1]) for p in line.get("points").split()] for line in lines]
        for line, (_, points) in zip(heights, picture.curves(shift(), "shift")):
            scale = (line[0] - line[1]) / (points[1][1] - points[0][1])
            self.assertAlmostEqual(line[0] - line[2], scale * (points[2][1] - points[0][1]), delta=0.2)
        self.assertGreater(heights[1][2], heights[0][2])       # less memory is drawn lower

    def test_places_of_points_follow_the_clock(self):
        line = xml.etree.ElementTree.fromstring(picture.draw(tides())).find("{*}polyline")
        x = [float(p.split(",")[0]) for p in line.get("points").split()]
        self.assertAlmostEqual((x[2] - x[1]) / (x[1] - x[0]), 4, delta=0.01)

    def test_all_is_inside_and_no_label_lies_on_another(self):
        drawing = xml.etree.ElementTree.fromstring(picture.draw(tides()))
        places = [(float(t.get("x")), float(t.get("y")), t.text) for t in drawing.findall("{*}text")]
        self.assertTrue(all(0 < x < picture.WIDTH and 0 < y < picture.HEIGHT for x, y, _ in places))
        longest = "tinymem-handles, 1000 MiB"    # letters of 13 pixels are 7.5 wide at most, on average
        self.assertLess(picture.WIDTH - picture.RIGHT + 10 + 7.5 * len(longest), picture.WIDTH)
        heights = sorted(y for x, y, _ in places if x > picture.WIDTH - picture.RIGHT)
        self.assertEqual(len(heights), 6)
        self.assertGreaterEqual(min(b - a for a, b in zip(heights, heights[1:])), 16.9)
        self.assertEqual([t for _, _, t in places if t == "glibc, 50 MiB"], ["glibc, 50 MiB"])

    def test_phases_are_named_where_there_are_several(self):
        self.assertIn(">quiet</text>", picture.draw(tides()))
        raw = with_points("tides", {"glibc": [(1, 1, 0.1, "only"), (1, 1, 0.2, "only")]})
        self.assertNotIn(">only</text>", picture.draw(raw))

    def test_labels_give_way_at_both_ends(self):
        placed = picture.labels_apart([(400, "a"), (401, "b"), (402, "c")], 404)
        self.assertEqual([placed[n] for n in "abc"], [370, 387, 404])

    def test_nothing_is_drawn_of_nothing(self):
        self.assertEqual(picture.files(made_up.results(rounds=1)), {})
        self.assertEqual(list(picture.files(tides())), ["picture.svg"])


class Legible(unittest.TestCase):
    def test_colours_have_contrast_in_light_and_in_dark(self):
        for shade in (0, 1):
            paper = picture.BACKGROUND[shade]
            for colours in (picture.INK, picture.LIVE, picture.OTHER, *picture.CURVES.values()):
                self.assertGreater(contrast(colours[shade], paper), 4.5, colours)
        self.assertLess(contrast(picture.CURVES["glibc"][0], picture.BACKGROUND[1]), 4.5)   # the control

    def test_both_sets_of_colours_are_in_the_file(self):
        svg = picture.draw(tides())
        light, dark = svg.split("@media (prefers-color-scheme:dark)")
        for shade, part in ((0, light), (1, dark.split("</style>")[0])):
            for name in ("glibc", "tinymem-handles"):
                self.assertIn(".%s{stroke:%s}" % (picture.css_name(name), picture.CURVES[name][shade]), part)
            self.assertIn(".paper{fill:%s}" % picture.BACKGROUND[shade], part)
        self.assertIn('class="paper"', svg)

    def test_curves_differ_without_colour(self):
        looks = [c[2:] for c in picture.CURVES.values()]
        self.assertEqual(len(looks), len(set(looks)))


class Measured(unittest.TestCase):
    def test_tides_reports_each_step_and_frees_everything(self):
        program = registry.select(["tides"])[0]
        ctx = runner.Context(quick=True, step_ms=2)
        sample = fragrun.run_frag(program, allocators.glibc(), ctx)
        self.assertEqual(sample["reason"], "")
        points = sample["points"]
        self.assertEqual(len(points), 380)
        self.assertEqual([name for name, _, _ in picture.phases(points)],
                         ["fill", "busy", "thin-out", "quiet", "refill", "busy-again", "thin-again", "asleep",
                          "free-all",
                          "empty"])
        self.assertEqual(points[-1][0], 0)
        self.assertAlmostEqual(points[39][0], 24, delta=0.1)
        self.assertAlmostEqual(points[100][0], 1.2, delta=0.1)
        self.assertGreater(points[-1][2], 380 * 0.002 / 2)       # it waits for its clock, and may begin late
