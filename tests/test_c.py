"""Runs the C tests: every tests/c/test_*.c is a program, linked with the core alone, that exits
with 0 when all its checks hold."""

import importlib.util
import os
import subprocess
from pathlib import Path

import pytest

from csrc import build

SOURCES = sorted((Path(__file__).parent / "c").glob("test_*.c"))


def blas_library():
    """The BLAS library that the package uses, for tests of what calls it."""
    found = importlib.util.find_spec("scipy_openblas32")
    if found is None:
        return ""
    libraries = sorted((Path(found.origin).parent / "lib").glob("libscipy_openblas*"))
    return str(libraries[0]) if libraries else ""


@pytest.fixture(scope="module")
def config():
    out = build.Config()
    try:
        build.build_library(out)
    except build.BuildError as error:
        pytest.fail(str(error), pytrace=False)
    return out


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_c(source, config):
    program = build.build_c_program(config, source)
    environment = {**os.environ, "MINDTORCH_BLAS": blas_library()}
    for name in ("LD_PRELOAD", "ASAN_OPTIONS", "LSAN_OPTIONS"):
        environment.pop(name, None)  # these are the interpreter's; the program brings its own
    done = subprocess.run(
        [program], env=environment, capture_output=True, text=True, timeout=300, cwd=build.ROOT
    )
    assert done.returncode == 0, done.stdout + done.stderr
