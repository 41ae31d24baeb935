"""Timing shared by the benchmarks: minima of interleaved rounds, as text tables.

The minimum is the time of the code; everything above it is the machine's other work. Sides that are
compared run in turns, so that a slow spell hits them alike. A figure is good to some 10 %.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import timeit

# They would force other kernels on the BLAS library than a user gets.
FORCED = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")


def clean_environment():
    """Takes what would favour or hinder a side out of this process, before a library is loaded."""
    for name in FORCED:
        os.environ.pop(name, None)


def libraries(names=("mindtorch_v2", "torch")):
    """name -> module for those of the names that are installed here."""
    out = {}
    for name in names:
        try:
            out[name] = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name:
                raise
    return out


def nanoseconds(statement, namespaces, setup="pass", rounds=7, seconds=0.02):
    """Best time in ns of one execution of `statement`, for each {side: globals} of `namespaces`.

    The loop around it (about 4 ns) is included. A round lasts about `seconds` per side.
    """
    timers = {
        side: timeit.Timer(statement, setup, globals=space) for side, space in namespaces.items()
    }
    counts = {}
    for side, timer in timers.items():
        count, used = timer.autorange()
        while count > 1 and used > seconds:
            count, used = count // 2, used / 2
        counts[side] = max(1, int(count * seconds / used)) if used < seconds else count
    best = dict.fromkeys(timers, float("inf"))
    for _ in range(rounds):
        for side, timer in timers.items():
            best[side] = min(best[side], timer.timeit(counts[side]) / counts[side] * 1e9)
    return best


def fresh(script, *arguments, environment=None):
    """Runs Python code in a process of its own; returns the JSON value that it prints last."""
    env = {key: value for key, value in os.environ.items() if key not in FORCED}
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env={**env, **(environment or {})},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def table(header, rows):
    """Prints rows of text and numbers in columns, as Markdown."""
    cells = [[cell if isinstance(cell, str) else number(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [header, *cells]) for i in range(len(header))]

    def line(row):
        first = row[0].ljust(widths[0])
        return (
            "| "
            + " | ".join([first, *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
            + " |"
        )

    print(line(list(header)))
    print("|" + "|".join("-" * (w + 1) + (":" if i else "-") for i, w in enumerate(widths)) + "|")
    for row in cells:
        print(line(row))


def number(value):
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}"
