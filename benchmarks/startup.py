"""What a program pays before its first tensor: import time, resident memory, installed size.

    python benchmarks/startup.py [runs]

Each run is a fresh process; the libraries take turns. Time is that of the import statement alone,
without the interpreter's own start; memory is what the statement adds.
"""

import importlib.util
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import timing

SCRIPT = """
import json, sys, time
def kilobytes():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
before = kilobytes()
start = time.perf_counter()
__import__(sys.argv[1])
seconds = time.perf_counter() - start
after = kilobytes()
print(json.dumps([seconds * 1e3, (after - before) / 1024, after / 1024]))
"""

NAMES = ("mindtorch_v2", "numpy", "torch")


def installed_megabytes(name):
    """The package's own files, without caches and without what it depends on."""
    folder = Path(importlib.util.find_spec(name).origin).parent
    files = {
        path.resolve()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    return sum(path.stat().st_size for path in files) / 1e6


def main():
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    names = [name for name in NAMES if importlib.util.find_spec(name)]
    best = {name: [float("inf")] * 3 for name in names}
    for name in names:
        timing.fresh(SCRIPT, name)  # fills the page cache, writes bytecode
    for _ in range(runs):
        for name in names:
            run = timing.fresh(SCRIPT, name)
            best[name] = [min(pair) for pair in zip(best[name], run, strict=True)]
    rows = [[name, *best[name], installed_megabytes(name)] for name in names]
    timing.table(["import", "ms", "adds MB", "resident MB", "installed MB"], rows)


if __name__ == "__main__":
    main()
