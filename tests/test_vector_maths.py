"""The scalar functions of csrc/kernels/scalar.h as loops: vector code for every instruction set, and
right where this machine can run it."""

import re
import subprocess
from pathlib import Path

import pytest

from csrc import build

SOURCE = build.ROOT / "tests" / "c" / "test_scalar.c"
CASES = build.ROOT / "tests" / "c" / "scalar_cases.h"
NEEDS = {"baseline": set(), "avx2": {"avx2", "fma", "f16c"},
         "avx512": {"avx512f", "avx512bw", "avx512vl", "avx512dq"}}


def cpu_flags():
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return set()
    found = re.search(r"^flags\s*:(.*)$", text, re.MULTILINE)
    return set(found[1].split()) if found else set()


@pytest.fixture(scope="module", params=list(build.ISAS))
def compiled(request, tmp_path_factory):
    """(instruction set, program, what the compiler says about vector code)."""
    config = build.Config(sanitize="", debug=False)
    version = subprocess.run([*config.cc, "--version"], capture_output=True, text=True).stdout
    if "Free Software Foundation" not in version:
        pytest.skip("only gcc reports its vector code in the form read here")
    program = tmp_path_factory.mktemp(request.param) / "test_scalar"
    sources = [SOURCE, build.CSRC / "kernels" / "trig_large.c"]
    command = [*config.cc, *build.FLAGS, "-O3", *build.ISAS[request.param], f"-I{build.CSRC}",
               *map(str, sources), "-fopt-info-vec", *build.LIBRARIES, "-o", str(program)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return request.param, program, done.stderr


def test_every_loop_is_vector_code(compiled):
    isa, _, report = compiled
    reported = {int(line) for line in re.findall(r"scalar_cases\.h:(\d+):.*loop vectorized", report)}
    plain = []
    for number, line in enumerate(CASES.read_text(encoding="utf-8").splitlines(), 1):
        exempt = "/* scalar */" in line or (isa == "baseline" and "scalar at baseline" in line)
        if line.startswith("CASE_") and number not in reported and not exempt:
            plain.append(line)
    assert reported, report
    assert not plain, f"{isa}: no vector code for\n" + "\n".join(plain)


def test_values_with_vectors(compiled):
    isa, program, _ = compiled
    if not NEEDS[isa] <= cpu_flags():
        pytest.skip(f"this CPU has no {isa}")
    done = subprocess.run([program], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout
