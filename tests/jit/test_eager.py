"""torch.jit with the compiler off: programs that are marked for it run as they are."""

from typing import Dict, List, Optional, Tuple  # noqa: UP035

import pytest

import mindtorch_v2 as torch


def test_programs_run_as_they_are():
    @torch.jit.script
    def double(x: torch.Tensor) -> torch.Tensor:
        return x * 2

    assert double(torch.ones(2)).tolist() == [2, 2]
    layer = torch.nn.Linear(2, 1)
    assert torch.jit.script(layer) is layer
    assert torch.jit.trace(layer, torch.ones(1, 2)) is layer
    assert not torch.jit.is_scripting() and not torch.jit.is_tracing()


def test_marks():
    def f(x):
        return x

    for mark in (torch.jit.ignore, torch.jit.ignore(drop=True), torch.jit.unused, torch.jit.export):
        assert mark(f) is f
    with pytest.raises(RuntimeError, match="must be a bool or a function"):
        torch.jit.ignore(3)
    assert torch.jit.annotate(List[int], [1]) == [1]
    assert not isinstance(torch.nn.Linear(1, 1), torch.jit.ScriptModule)

    class Scripted(torch.jit.ScriptModule):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(1, 1)

    assert len(list(Scripted().parameters())) == 2


def test_isinstance_of_containers():
    check = torch.jit.isinstance
    assert check([1, 2], List[int]) and not check([1, "a"], List[int])
    assert check({"a": 1}, Dict[str, int]) and not check({1: 1}, Dict[str, int])
    assert check((1, "a"), Tuple[int, str]) and not check((1,), Tuple[int, str])
    assert check(None, Optional[int]) and check(3, (str, int))
