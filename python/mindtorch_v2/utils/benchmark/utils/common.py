"""Measurements of time and what they are of."""

import contextlib
import dataclasses
import math
import textwrap

_WORTH_SAYING = 0.1  # spread, as a share of the median, from which a warning appears
_GROSS = 0.25
_UNITS = {"ns": ("nanosecond", 1e-9), "us": ("microsecond", 1e-6), "ms": ("millisecond", 1e-3), "s": ("second", 1.0)}


@dataclasses.dataclass(init=True, repr=False, eq=True, frozen=True)
class TaskSpec:
    """What was timed: statement, set-up, labels, number of threads."""

    stmt: str
    setup: str
    global_setup: str = ""
    label: str | None = None
    sub_label: str | None = None
    description: str | None = None
    env: str | None = None
    num_threads: int = 1

    @property
    def title(self):
        """The label, or the statement where there is none; with the sub_label."""
        if self.label is not None:
            return self.label + (f": {self.sub_label}" if self.sub_label else "")
        if "\n" not in self.stmt:
            return self.stmt + (f": {self.sub_label}" if self.sub_label else "")
        return f"stmt:{f' ({self.sub_label})' if self.sub_label else ''}\n{textwrap.indent(self.stmt, '  ')}"

    def setup_str(self):
        """The set-up as a line or a paragraph."""
        if self.setup == "pass" or not self.setup:
            return ""
        if "\n" in self.setup:
            return f"setup:\n{textwrap.indent(self.setup, '  ')}"
        return f"setup: {self.setup}"

    def summarize(self):
        """Title, set-up and the rest as text."""
        parts = [self.title, self.description or "", self.setup_str()]
        text = "\n".join(f"{part}\n" if "\n" in part else part for part in parts if part)
        return text


def _percentile(values, share):
    """Linear between the neighbours; values in ascending order."""
    place = share * (len(values) - 1)
    low = int(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (place - low)


@dataclasses.dataclass(init=True, repr=False)
class Measurement:
    """The result of a `Timer`: raw_times holds seconds for number_per_run runs each."""

    number_per_run: int
    raw_times: list
    task_spec: TaskSpec
    metadata: dict | None = None

    @property
    def times(self):
        """Seconds per run, one per measurement."""
        return [t / self.number_per_run for t in self.raw_times]

    def _sorted(self):
        if not self.raw_times:
            raise ValueError("Measurement without times")
        return sorted(self.times)

    @property
    def median(self):
        """Seconds."""
        return _percentile(self._sorted(), 0.5)

    @property
    def mean(self):
        """Seconds."""
        times = self._sorted()
        return math.fsum(times) / len(times)

    @property
    def iqr(self):
        """Distance of the quartiles, in seconds."""
        times = self._sorted()
        return _percentile(times, 0.75) - _percentile(times, 0.25)

    @property
    def significant_figures(self):
        """How many figures of the median are worth printing (1 to 4): those that most of a normal
        distribution with this spread around it would leave alone."""
        times = self._sorted()
        median = self.median
        spread = max(self.iqr / 1.349, 1e-3 * median)  # normal: quartiles 1.349 deviations apart
        interval = 1.645 * spread / math.sqrt(len(times)) * 2
        if median <= 0 or interval <= 0:
            return 1
        relative = math.ceil(math.log10(median / interval)) if median > interval else 1
        return min(max(relative, 1), 4)

    def meets_confidence(self, threshold=_WORTH_SAYING):
        """Whether the spread is below `threshold` of the median."""
        return self.iqr / self.median < threshold

    @property
    def has_warnings(self):
        """Whether the spread is worth a warning."""
        return not self.meets_confidence(_WORTH_SAYING)

    @property
    def title(self):
        return self.task_spec.title

    @property
    def env(self):
        return self.task_spec.env

    @property
    def as_row_name(self):
        """The name of the row in a `Compare` table."""
        return self.task_spec.sub_label or self.task_spec.stmt or "[Unknown]"

    def __repr__(self):
        median = self.median
        unit, scale = select_unit(median)
        count = len(self.raw_times)
        lines = [super().__repr__(), self.task_spec.summarize()]
        prefix = "Median: " if count > 1 else ""
        lines.append(f"  {prefix}{median / scale:.2f} {unit}")
        times = self._sorted()
        if self.iqr > 0 and count > 2:
            low, high = _percentile(times, 0.25), _percentile(times, 0.75)
            lines.append(f"  IQR:    {self.iqr / scale:.2f} {unit} ({low / scale:.2f} to {high / scale:.2f})")
        threads = self.task_spec.num_threads
        lines.append(
            f"  {count} measurement{'s' if count > 1 else ''}, {self.number_per_run} runs "
            f"{'per measurement' if count > 1 else ''}, {threads} thread{'s' if threads > 1 else ''}"
        )
        if self.has_warnings:
            lines.append(f"  WARNING: Interquartile range is {self.iqr / median * 100:.1f}% of the median measurement.")
            lines.append(
                "           This could indicate system fluctuation."
                if self.meets_confidence(_GROSS)
                else "           This suggests significant environmental influence."
            )
        return "\n".join(lines)

    @staticmethod
    def merge(measurements):
        """Measurements of the same task joined; where the numbers of runs differ the times per run
        count."""
        groups = {}
        for m in measurements:
            groups.setdefault(m.task_spec, []).append(m)
        merged = []
        for spec, group in groups.items():
            runs = group[0].number_per_run
            same = all(m.number_per_run == runs for m in group)
            times = [t for m in group for t in (m.raw_times if same else m.times)]
            merged.append(Measurement(runs if same else 1, times, spec, None))
        return merged


def select_unit(t):
    """(unit, seconds) that suits a time: ("us", 1e-6) for 3e-5."""
    for unit in ("s", "ms", "us"):
        if t >= _UNITS[unit][1]:
            return unit, _UNITS[unit][1]
    return "ns", _UNITS["ns"][1]


def unit_to_english(u):
    """"us" -> "microsecond"."""
    return _UNITS[u][0]


def trim_sigfig(x, n):
    """x rounded to n significant figures."""
    if not x:
        return 0.0
    scale = 10.0 ** (math.ceil(math.log10(abs(x))) - n)
    return float(round(x / scale) * scale)


def ordered_unique(elements):
    """The elements without repetition, in their order."""
    return list(dict.fromkeys(elements))


@contextlib.contextmanager
def set_torch_threads(n):
    """Another number of threads inside a `with`."""
    import mindtorch_v2 as torch

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(n)
        yield
    finally:
        torch.set_num_threads(before)
