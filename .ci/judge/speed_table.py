"""The table of measured times: ours and theirs, their ratio, and whether a goal is reached."""
import statistics
from dataclasses import dataclass


@dataclass
class Goal:
    """A goal for the ratio of the medians, or a most for ours in the row's unit. Without either, the row is a report only."""
    ratio: float = None
    most: float = None

    def shown(self, unit):
        parts = [f"≤ {self.ratio:g} ×"] if self.ratio else []
        return " ".join(parts + ([f"≤ {self.most:g} {unit}"] if self.most else []))

    def is_reached(self, ours, ratio):
        return (self.most is None or ours <= self.most) and (self.ratio is None or ratio <= self.ratio)


class Table:
    """Prints each row when it is added."""

    def __init__(self):
        self.line("what", "ours", "theirs", "ratio", "goal", "ok?")

    def line(self, *cells):
        print("{:66} {:>17} {:>17} {:>7}  {:16} {}".format(*cells).rstrip(), flush=True)

    def add(self, name, goal, ours, theirs=None, unit="ms"):
        """Adds the values of the rounds; the medians are compared."""
        ratio = statistics.median(ours) / statistics.median(theirs) if theirs else None
        self.row(name, goal, pair(ours, statistics.median), pair(theirs, statistics.median), statistics.median(ours), ratio, unit)

    def add_worst(self, name, goal, ours, theirs):
        """Adds the worst values of the rounds; the worst of all counts."""
        self.row(name, goal, pair(ours, max), pair(theirs, max), max(ours), max(ours) / max(theirs), "ms")

    def row(self, name, goal, ours, theirs, value, ratio, unit):
        reached = ("yes" if goal.is_reached(value, ratio) else "NO") if goal.ratio or goal.most else ""
        self.line(f"{name}, {unit}", ours, theirs, f"{ratio:.2f}" if ratio else "", goal.shown(unit), reached)


def pair(values, second):
    """The least value, and the median or the most. One value alone is shown once."""
    if not values:
        return ""
    return digits(values[0]) if len(values) == 1 else f"{digits(min(values))} / {digits(second(values))}"


def digits(value):
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 1000 else f"{value:.0f}"
