"""How fast the scalar functions of csrc/kernels/scalar.h are as vector code.

    python benchmarks/vector_math.py [names...]

Giga-elements per second on one thread, 4096 numbers in cache, for each instruction set that this
CPU has, and PyTorch's on 10,000 numbers where it is installed (its call overhead of about 1 us
included, which is a tenth of a nanosecond per number).
"""

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

import timing  # noqa: E402

from csrc import build  # noqa: E402

NEEDS = {"baseline": set(), "avx2": {"avx2", "fma", "f16c"},
         "avx512": {"avx512f", "avx512bw", "avx512vl", "avx512dq"}}


def cpu_flags():
    found = re.search(r"^flags\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return set(found[1].split()) if found else set()


def measure(isa, folder):
    """{(name, type): ns per element}."""
    config = build.Config(sanitize="", debug=False)
    program = Path(folder) / isa
    sources = [ROOT / "benchmarks" / "spikes" / "vector_math" / "runner.c",
               build.CSRC / "kernels" / "trig_large.c"]
    build.run([*config.cc, *build.FLAGS, "-O3", *build.ISAS[isa], f"-I{build.CSRC}",
               f"-I{ROOT / 'tests' / 'c'}", *map(str, sources), *build.LIBRARIES, "-o",
               str(program)], "compiling the runner failed")
    out = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    rows = (line.split() for line in out.splitlines())
    return {(name, kind): float(ns) for name, kind, ns in rows}


def measure_torch(torch, name, kind):
    """ns per element, or None for what PyTorch does not have."""
    name = name.removesuffix("_easy")
    functional = torch.nn.functional
    known = {"log1p_exp": functional.softplus, "silu": functional.silu, "mish": functional.mish,
             "gelu": functional.gelu,
             "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh")}
    function = (known.get(name) or getattr(torch, name, None)
                or getattr(torch.special, name, None))
    if function is None:
        return None
    x = torch.rand(10000, dtype=torch.float32 if kind == "f32" else torch.float64) * 0.9 + 0.05
    x = x + 1 if name == "acosh" else x
    best = float("inf")
    for _ in range(40):
        start = time.perf_counter_ns()
        for _ in range(4):
            function(x)
        best = min(best, (time.perf_counter_ns() - start) / 4)
    return best / len(x)


def main():
    timing.clean_environment()
    flags = cpu_flags()
    isas = [isa for isa in build.ISAS if NEEDS[isa] <= flags]
    with tempfile.TemporaryDirectory() as folder:
        figures = {isa: measure(isa, folder) for isa in isas}
    torch = timing.libraries(("torch",)).get("torch")
    if torch:
        torch.set_num_threads(1)
    print("Gelem/s".ljust(16) + "".join(isa.rjust(10) for isa in isas) + "torch".rjust(10))
    for name, kind in figures[isas[0]]:
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        cells = [f"{1 / figures[isa][name, kind]:10.2f}" for isa in isas]
        ns = measure_torch(torch, name, kind) if torch else None
        print(f"{name} {kind}".ljust(16) + "".join(cells) + (f"{1 / ns:10.2f}" if ns else ""))


if __name__ == "__main__":
    main()
