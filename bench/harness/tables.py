"""An index of the samples, and the cells of the report's tables."""

from . import stats


class Results:
    """Values of valid samples, by program, metric and allocator."""

    def __init__(self, raw):
        self.raw = raw
        self.values = {}
        self.names_of = {}
        for s in raw["samples"]:
            for metric, value in s["metrics"].items():
                self.names_of.setdefault(s["program"], {})[metric] = None
                if not s["reason"]:
                    self.values.setdefault((s["program"], metric, s["allocator"]), []).append(value)
        self.peers = [a["name"] for a in raw["allocators"] if a["peer"]]

    def metrics(self, program):
        return list(self.names_of.get(program, {}))

    def samples(self, program, metric, allocator):
        return self.values.get((program, metric, allocator), [])

    def median(self, program, metric, allocator):
        return stats.median(self.samples(program, metric, allocator))

    def to_glibc(self, program, metric, allocator):
        return stats.ratio(self.median(program, metric, allocator), self.median(program, metric, "glibc"))

    def to_best_peer(self, program, metric, allocator):
        """Ratio to the lowest median among the other allocators that are peers."""
        others = [m for p in self.peers if p != allocator and (m := self.median(program, metric, p)) is not None]
        return stats.ratio(self.median(program, metric, allocator), min(others)) if others else None


def number(value, fmt, factor=1.0):
    return "—" if value is None else fmt % (value * factor)


def ratio_cell(value):
    return number(value, "%.2f")


def loss_mark(value):
    text = ratio_cell(value)
    return "**%s**" % text if value is not None and value > 1.05 else text


def value_cell(results, program, metric, allocator, fmt):
    """Median and spread, such as '1.234 (5 %)'; only the median for a single sample."""
    samples = results.samples(program, metric, allocator)
    text = number(stats.median(samples), fmt)
    apart = stats.spread(samples)
    return text if apart is None else "%s (%.0f %%)" % (text, apart * 100)


def geomean_of(results, cases, allocator):
    """Geometric mean of ratios to glibc over (program, metric), with a remark if some are missing."""
    ratios = [results.to_glibc(p, metric, allocator) for p, metric in cases]
    present = [r for r in ratios if r is not None]
    mean = stats.geomean(present)
    if mean is None:
        return "—"
    return "%.3f" % mean + ("" if len(present) == len(cases) else " (only %d)" % len(present))


def geomean_cell(results, programs, metric, allocator):
    return geomean_of(results, [(p, metric) for p in programs], allocator)


def difference(results, program, metric, allocator):
    """The difference between the median and that under glibc."""
    value, base = (results.median(program, metric, a) for a in (allocator, "glibc"))
    return None if value is None or base is None else value - base


def markdown(header, rows):
    """A table as lines, with an empty line after it."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return lines + ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows] + [""]
