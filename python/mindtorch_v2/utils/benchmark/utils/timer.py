"""Timer: how long a statement takes."""

import enum
import textwrap
import time

from .common import Measurement, TaskSpec, set_torch_threads

timer = time.perf_counter


class Language(enum.Enum):
    """What the statement is written in."""

    PYTHON = 0
    CPP = 1


class Timer:
    """Times a Python statement, with the number of threads held fixed.

    Args:
        stmt, setup: the statement, and what runs once before it.
        timer: a function that gives the time in seconds.
        globals: names that the statement sees; `torch` is always among them.
        label, sub_label, description, env: names for `Compare`.
        num_threads: threads that operators may use meanwhile.

    Raises NotImplementedError for C++ (``language``), ValueError for an unknown language.
    """

    def __init__(
        self,
        stmt="pass",
        setup="pass",
        global_setup="",
        timer=timer,
        globals=None,
        label=None,
        sub_label=None,
        description=None,
        env=None,
        num_threads=1,
        language=Language.PYTHON,
    ):
        import timeit

        import mindtorch_v2 as torch

        if not isinstance(stmt, str):
            raise ValueError("Currently only a `str` stmt is supported.")
        if language in (Language.CPP, "cpp", "c++"):
            raise NotImplementedError("Timer: statements in C++ are not supported")
        if language not in (Language.PYTHON, "py", "python"):
            raise ValueError(f"Invalid language `{language}`.")
        if global_setup:
            raise ValueError(f"global_setup is C++ only, got `{global_setup}`. Most likely this code can simply be moved to `setup`.")
        stmt, setup = (textwrap.dedent(text).strip("\n").rstrip() for text in (stmt, setup))
        self._globals = dict(globals or {})
        self._globals.setdefault("torch", torch)
        self._language = Language.PYTHON
        self._timer = timeit.Timer(stmt=stmt, setup=setup, timer=timer, globals=self._globals)
        self._task_spec = TaskSpec(
            stmt=stmt,
            setup=setup,
            global_setup="",
            label=label,
            sub_label=sub_label,
            description=description,
            env=env,
            num_threads=num_threads,
        )

    def _seconds(self, number):
        return max(self._timer.timeit(number), 1e-9)

    def timeit(self, number=1000000):
        """`number` runs in one measurement, after a short warm-up."""
        with set_torch_threads(self._task_spec.num_threads):
            self._seconds(max(int(number // 100), 2))
            return Measurement(number_per_run=number, raw_times=[self._seconds(number)], task_spec=self._task_spec)

    def repeat(self, repeat=-1, number=-1):
        raise NotImplementedError("See `Timer.blocked_autorange.`")

    def autorange(self, callback=None):
        raise NotImplementedError("See `Timer.blocked_autorange.`")

    def _block_size(self, min_run_time):
        """Runs per measurement, so that reading the clock costs less than a thousandth."""
        overhead = sorted(self._seconds(0) for _ in range(5))[2]
        number = 1
        while True:
            taken = self._seconds(number)
            if overhead / taken <= 1e-4 and taken >= min_run_time / 1000 or taken > min_run_time:
                return number
            number *= 10

    def blocked_autorange(self, callback=None, min_run_time=0.2):
        """As many measurements, of as many runs each, as fill `min_run_time` seconds.

        callback: called with (runs, seconds) after each measurement.
        """
        with set_torch_threads(self._task_spec.num_threads):
            number = self._block_size(min_run_time)
            times, total = [], 0.0
            while total < min_run_time or not times:
                taken = self._seconds(number)
                times.append(taken)
                total += taken
                if callback is not None:
                    callback(number, taken)
        return Measurement(number_per_run=number, raw_times=times, task_spec=self._task_spec)

    def adaptive_autorange(self, threshold=0.1, *, min_run_time=0.01, max_run_time=10.0, callback=None):
        """Measures until the spread is below `threshold` of the median, or `max_run_time` is over."""
        with set_torch_threads(self._task_spec.num_threads):
            number = self._block_size(min_run_time)
            times, total = [], 0.0
            while True:
                taken = self._seconds(number)
                times.append(taken)
                total += taken
                if callback is not None:
                    callback(number, taken)
                found = Measurement(number_per_run=number, raw_times=times, task_spec=self._task_spec)
                steady = len(times) > 3 and total >= min_run_time and found.meets_confidence(threshold)
                if steady or total >= max_run_time:
                    return found

    def collect_callgrind(self, number=100, *, repeats=None, collect_baseline=True, retain_out_file=False):
        raise NotImplementedError("Timer.collect_callgrind: counting instructions with Valgrind is not supported")
