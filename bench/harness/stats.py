"""Medians, spreads and geometric means. All arithmetic on samples is done here."""

import math
import statistics


def median(values):
    """The median, or None for no values."""
    values = [v for v in values if v is not None]
    return statistics.median(values) if values else None


def mean(values):
    return statistics.fmean(values)


def spread(values):
    """(largest - smallest) / median, or None for fewer than two values."""
    values = [v for v in values if v is not None]
    if len(values) < 2 or not statistics.median(values):
        return None
    return (max(values) - min(values)) / statistics.median(values)


def ratio(value, base):
    """value / base, or None if either is missing or the base is zero."""
    if value is None or not base:
        return None
    return value / base


def geomean(values):
    """The geometric mean of the positive values, or None if there is none."""
    logs = [math.log(v) for v in values if v is not None and v > 0]
    return math.exp(sum(logs) / len(logs)) if logs else None
