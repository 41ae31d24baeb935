"""The stubs say what is there, and a type checker can use them."""

import ast
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

import mindtorch_v2 as torch

PACKAGE = Path(torch.__file__).parent
SCRIPT = """
import mindtorch_v2 as torch
from mindtorch_v2 import Tensor, nn

x: Tensor = torch.randn(3, 4, requires_grad=True)
values, places = torch.max(x, 0)
rows: int = x.shape[0] + x.view(2, -1).size(0)
y: Tensor = 1 - torch.add(x, 2.0, alpha=2).float() * values
kind: torch.dtype = torch.float64
with torch.no_grad():
    y.add_(2).clamp_(min=0)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 2)

    def forward(self, t: Tensor) -> Tensor:
        return torch.relu(self.layer(t))


"""
WRONG = [
    "n: int = torch.add(x, x)",
    'torch.add("a", 1)',
    "torch.matmul(x)",
    "x.nonexistent",
    "torch.zeros(2, dtype=3)",
]


def names(file, owner=None):
    """Functions and variables that a stub declares, of a class where one is named."""
    body = ast.parse((PACKAGE / file).read_text(encoding="utf-8")).body
    if owner:
        body = next(n for n in body if isinstance(n, ast.ClassDef) and n.name == owner).body
    found = {n.name for n in body if isinstance(n, (ast.FunctionDef, ast.ClassDef))}
    return found | {n.target.id for n in body if isinstance(n, ast.AnnAssign)}


def test_every_declared_name_exists():
    assert {
        n for n in names("_VariableFunctions.pyi") if not hasattr(torch._C._VariableFunctions, n)
    } == set()
    assert {n for n in names("_nn.pyi") if not hasattr(torch._C._nn, n)} == set()
    assert {
        n for n in names("_TensorBase.pyi", "TensorBase") if not hasattr(torch.Tensor, n)
    } == set()
    assert {n for n in names("_C.pyi") - {"__getattr__"} if not hasattr(torch._C, n)} == set()
    assert {n for n in names("__init__.pyi") - {"__getattr__"} if not hasattr(torch, n)} == set()


def test_every_operator_is_declared():
    missing = set(vars(torch._C._VariableFunctions)) - names("_VariableFunctions.pyi")
    assert {n for n in missing if not n.startswith("__")} == set()
    missing = (
        set(dir(torch._C.TensorBase)) - names("_TensorBase.pyi", "TensorBase") - set(dir(object))
    )
    assert {n for n in missing if not n.startswith("_")} == set()


def check(path, text):
    path.write_text(text)
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--follow-imports=silent",
        "--cache-dir",
        str(path.parent),
        str(path),
    ]
    environment = {**os.environ, "MYPYPATH": str(PACKAGE.parent)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=path.parent)
    return [line for line in done.stdout.splitlines() if ": error:" in line], done


@pytest.mark.skipif(importlib.util.find_spec("mypy") is None, reason="needs mypy")
def test_mypy_reads_a_program(tmp_path):
    errors, done = check(tmp_path / "right.py", SCRIPT)
    assert errors == [] and done.returncode == 0, done.stdout
    errors, _ = check(tmp_path / "wrong.py", SCRIPT + "\n".join(WRONG) + "\n")
    first = SCRIPT.count("\n") + 1
    assert [int(e.split(":")[1]) for e in errors] == list(range(first, first + len(WRONG)))
