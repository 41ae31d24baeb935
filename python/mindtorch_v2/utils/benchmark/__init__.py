"""Timing of small pieces of code: `Timer`, its `Measurement`s, tables of them (`Compare`).

Reference behaviour: torch.utils.benchmark.
"""

from .utils.common import (  # noqa: F401
    Measurement,
    TaskSpec,
    ordered_unique,
    select_unit,
    set_torch_threads,
    trim_sigfig,
    unit_to_english,
)
from .utils.compare import Compare  # noqa: F401
from .utils.timer import Language, Timer, timer  # noqa: F401

__all__ = ["Timer", "Measurement", "TaskSpec", "Compare", "Language", "timer", "select_unit", "unit_to_english",
           "trim_sigfig", "ordered_unique", "set_torch_threads"]  # fmt: skip
