"""What the statement `import mindtorch_v2` costs, and what it must not bring along."""

import json
import os
import subprocess
import sys

import pytest

SCRIPT = """
import json, sys, time
def resident():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
before = set(sys.modules)
start = time.process_time()
import mindtorch_v2
seconds = time.process_time() - start
print(json.dumps({
    "seconds": seconds,
    "kilobytes": resident() if sys.platform == "linux" else 0,
    "modules": sorted(set(sys.modules) - before),
}))
"""


def run(script=SCRIPT):
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_import_brings_neither_torch_nor_numpy():
    modules = run()["modules"]
    heavy = {"torch", "numpy", "scipy_openblas32", "multiprocessing", "inspect", "dataclasses"}
    assert "mindtorch_v2" in modules
    assert not heavy & {name.split(".")[0] for name in modules}


def test_import_starts_no_thread():
    script = "import mindtorch_v2, os, json; print(json.dumps(len(os.listdir('/proc/self/task'))))"
    if sys.platform != "linux":
        pytest.skip("counts threads in /proc")
    assert run(script) == 1


@pytest.mark.skipif("MINDTORCH_SANITIZE" in os.environ, reason="instrumented builds are big")
def test_import_is_quick_and_small():
    """Under 60 ms of CPU time and 40 MB resident, the best of several runs."""
    runs = [run() for _ in range(7)]
    assert min(r["seconds"] for r in runs) < 0.060
    assert min(r["kilobytes"] for r in runs) < 40 * 1024


def test_torch_is_never_imported():
    """Not by any submodule either."""
    script = """
import importlib, json, pkgutil, sys
import mindtorch_v2
for module in pkgutil.walk_packages(mindtorch_v2.__path__, "mindtorch_v2."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
print(json.dumps([name for name in sys.modules if name == "torch" or name.startswith("torch.")]))
"""
    assert run(script) == []
