"""The arithmetic, against values worked out by hand."""

import unittest

from harness import stats


class Stats(unittest.TestCase):
    def test_median_is_the_middle_or_the_mean_of_the_two_middle_values(self):
        self.assertEqual(stats.median([5, 1, 3]), 3)
        self.assertEqual(stats.median([4, 1, 3, 2]), 2.5)
        self.assertEqual(stats.median([None, 7]), 7)
        self.assertIsNone(stats.median([]))

    def test_spread_is_range_over_median(self):
        self.assertAlmostEqual(stats.spread([9, 10, 12]), 0.3)
        self.assertIsNone(stats.spread([1]))

    def test_geomean_of_a_ratio_and_its_inverse_is_one(self):
        self.assertAlmostEqual(stats.geomean([0.5, 2.0]), 1.0)
        self.assertAlmostEqual(stats.geomean([1, 10, 100]), 10.0)
        self.assertAlmostEqual(stats.geomean([None, 4.0]), 4.0)
        self.assertIsNone(stats.geomean([]))

    def test_ratio_without_a_base_is_none(self):
        self.assertEqual(stats.ratio(3, 2), 1.5)
        self.assertIsNone(stats.ratio(3, 0))
        self.assertIsNone(stats.ratio(3, None))
        self.assertIsNone(stats.ratio(None, 3))
