"""What every test can count on: seeded generators, its own thread count, the instruction set that
MINDTORCH_ISA names."""

import os
import random
import sys

import pytest


def pytest_sessionstart(session):
    """Ends the run at once where MINDTORCH_ISA names what this CPU does not have: the results
    would be those of another instruction set."""
    wanted = os.environ.get("MINDTORCH_ISA")
    if not wanted:
        return
    import mindtorch_v2 as torch

    used = torch.backends.cpu.get_cpu_capability()
    if used.lower().replace("default", "baseline") != wanted:
        pytest.exit(f"MINDTORCH_ISA={wanted}: this CPU has {used} at best", returncode=0)


def _exceptions():
    """tests/exceptions.txt: node ids (a prefix will do) of what is known to fail, and why."""
    path = os.path.join(os.path.dirname(__file__), "exceptions.txt")
    with open(path) as lines:
        for line in lines:
            line = line.strip()
            if line and not line.startswith("#"):
                prefix, _, reason = line.partition("  ")
                yield prefix, reason.strip()


def pytest_collection_modifyitems(items):
    """Marks known failures as expected, each with its reason; they are reported as xfailed."""
    known = list(_exceptions())
    for item in items:
        for prefix, reason in known:
            if item.nodeid.startswith(prefix):
                item.add_marker(pytest.mark.xfail(reason=reason, strict=False))
                break


@pytest.fixture(autouse=True)
def seeded():
    """Every test starts from the same random state."""
    random.seed(0)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(0)
    if "mindtorch_v2" in sys.modules:
        sys.modules["mindtorch_v2"].manual_seed(0)


@pytest.fixture(params=[1, 2], ids=["1thread", "2threads"])
def threads(request):
    """Runs a test with one thread and with two; the count before is put back."""
    import mindtorch_v2 as torch

    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)
