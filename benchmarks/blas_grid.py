"""What it costs to cut matrix products into tiles of our own instead of using the library's threads.

    python benchmarks/blas_grid.py [sizes...]

csrc/kernels/gemm.c computes tiles by one-thread calls of OpenBLAS, on a grid that depends on the
shape alone, so that a result has the same bits for every number of threads. Square products, in
microseconds: one plain call, the grid on one thread and what that costs (ratio), the library with
two threads of its own, the grid on two, and whether the bits are the same for one and two threads.
"""

import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

import timing  # noqa: E402

from csrc import build  # noqa: E402

SIZES = (8, 16, 32, 64, 128, 192, 256, 384, 512, 768, 1024, 2048)
WAYS = (("library", 1), ("grid", 1), ("library", 2), ("grid", 2))


def compile_runner(folder):
    """The runner with csrc/base and the files of matrix products, in `folder`."""
    config = build.Config(sanitize="", debug=False)
    source = ROOT / "benchmarks" / "spikes" / "blas_grid" / "runner.c"
    base = build.CSRC / "base"
    kernels = [build.CSRC / "kernels" / name for name in ("blas.c", "gemm.c", "gemm.k.c")]
    objects = []
    for unit in build.units(config):
        if unit.source.parent == base or unit.source in kernels:
            target = Path(folder) / unit.object.name
            command = [*unit.command[: unit.command.index("-o")], "-o", str(target)]
            objects.append(target)
            subprocess.run(command, check=True, cwd=ROOT)
    program = Path(folder) / "runner"
    command = [*config.cc, *config.flags, str(source), *map(str, objects), *build.LIBRARIES]
    subprocess.run([*command, "-o", str(program)], check=True, cwd=ROOT)
    return program


def library():
    found = importlib.util.find_spec("scipy_openblas32")
    if found is None:
        raise SystemExit("install scipy-openblas32")
    return sorted((Path(found.origin).parent / "lib").glob("libscipy_openblas*"))[0]


def measure(program, way, threads, sizes, rounds=2):
    """(dtype, size) -> (best ns, hash of the bits); a process of its own, since the library's
    threads go on spinning after use."""
    environment = {k: v for k, v in os.environ.items() if k not in timing.FORCED}
    out = {}
    for _ in range(rounds):
        command = [str(program), str(library()), way, str(threads), *map(str, sizes)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        for line in done.stdout.splitlines():
            dtype, n, ns, bits = line.split()
            key = (dtype, int(n))
            out[key] = (min(float(ns), out.get(key, (float("inf"),))[0]), bits)
    return out


def main():
    sizes = [int(text) for text in sys.argv[1:]] or SIZES
    with tempfile.TemporaryDirectory() as folder:
        program = compile_runner(folder)
        results = [measure(program, way, threads, sizes) for way, threads in WAYS]
    rows = []
    for dtype in ("float32", "float64"):
        for n in sizes:
            plain, one, threaded, two = (result[dtype, n] for result in results)
            rows.append(
                [
                    f"{dtype} {n}",
                    2 * n**3 / plain[0],
                    plain[0] / 1e3,
                    one[0] / 1e3,
                    one[0] / plain[0],
                    threaded[0] / 1e3,
                    two[0] / 1e3,
                    plain[1] == threaded[1],
                    one[1] == two[1],
                ]
            )
    header = ["n x n", "GFLOP/s", "library", "grid", "ratio", "library, 2", "grid, 2"]
    timing.table([*header, "library's bits", "grid's bits"], rows)


if __name__ == "__main__":
    main()
