"""Modes see every call in their block; the default device is one of them."""

import threading

import mindtorch_v2 as torch
import pytest
from mindtorch_v2.overrides import (
    BaseTorchFunctionMode,
    TorchFunctionMode,
    _get_current_function_mode,
    _get_current_function_mode_stack,
)


class Noting(TorchFunctionMode):
    def __init__(self, name="mode", log=None):
        self.name, self.log = name, [] if log is None else log

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.log.append((self.name, func))
        return func(*args, **(kwargs or {}))


def test_sees_factories_operators_methods_and_attributes():
    x = torch.ones(2)
    with Noting() as mode:
        torch.zeros(2)
        torch.tensor([1.0])
        x + 1
        torch.add(x, x)
        x.shape
        x.dim()
        torch.nn.functional.relu(x)
        x[0]
    funcs = [func for _, func in mode.log]
    assert funcs[:7] == [
        torch.zeros, torch.tensor, torch.Tensor.add, torch.add, torch.Tensor.shape.__get__,
        torch.Tensor.dim, torch.nn.functional.relu,
    ]  # fmt: skip
    assert funcs[-1] == torch.Tensor.__getitem__
    n = len(mode.log)
    x + 1
    assert len(mode.log) == n  # the block is over


def test_nested_modes_are_asked_inside_out():
    log = []
    with Noting("outer", log), Noting("inner", log):
        torch.ones(1)
    assert log == [("inner", torch.ones), ("outer", torch.ones)]


def test_a_mode_comes_before_subclasses():
    class T(torch.Tensor):
        pass

    class Answer(TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            return types

    t = torch.ones(2).as_subclass(T)
    with Answer():
        assert torch.add(t, 1) == (T,)
        assert torch.ones(2) == ()
    with Noting() as mode:
        assert type(t + 1) is T
    assert mode.log == [("mode", torch.Tensor.add)]


def test_declining():
    class No(TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            return NotImplemented

    with No() as mode:
        with pytest.raises(TypeError) as error:
            torch.ones(2)
        assert str(error.value).startswith(
            "Multiple dispatch failed for 'torch.ones'; all __torch_function__ handlers returned "
            f"NotImplemented:\n\n  - mode object {mode!r}"
        )
        with pytest.raises(TypeError, match="nor in mode"):
            torch.nn.functional.relu(torch._C.TensorBase)


def test_stack():
    assert _get_current_function_mode() is None
    with BaseTorchFunctionMode() as a, BaseTorchFunctionMode() as b:
        assert _get_current_function_mode() is b
        assert _get_current_function_mode_stack() == [a, b]
        assert torch.ones(2).tolist() == [1.0, 1.0]
    assert torch._C._len_torch_function_stack() == 0


def test_an_exception_leaves_the_stack_as_it_was():
    class Failing(TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            raise KeyError("mode")

    with Failing() as mode:
        with pytest.raises(KeyError):
            torch.ones(1)
        assert _get_current_function_mode_stack() == [mode]
    assert torch.ones(1).tolist() == [1.0]


def test_switched_off():
    with Noting() as mode:
        with torch._C.DisableTorchFunction():
            torch.ones(1) + 1
        assert not mode.log
        with torch._C.DisableTorchFunctionSubclass():
            torch.ones(1)
        assert mode.log == [("mode", torch.ones)]


def test_threads_have_their_own_stack():
    with Noting() as mode:
        thread = threading.Thread(target=lambda: torch.ones(1) + 1)
        thread.start()
        thread.join()
    assert not mode.log


# ---- the default device ---------------------------------------------------------------------


def test_device_block():
    with torch.device("meta") as device:
        assert device == torch.device("meta")
        assert torch.get_default_device() == device
        for made in (torch.ones(2), torch.tensor([1.0]), torch.arange(3), torch.empty(1),
                     torch.zeros(2, 2), torch.full((2,), 1.0), torch.eye(2), torch.asarray([1, 2]),
                     torch.nn.Linear(2, 2).weight):  # fmt: skip
            assert made.device == device
        assert torch.ones(2, device="cpu").device.type == "cpu"
        with torch.device("cpu"):
            assert torch.ones(2).tolist() == [1.0, 1.0]
        assert torch.ones(2).is_meta
    assert torch.ones(2).device.type == "cpu"


def test_device_decorates():
    @torch.device("meta")
    def make(n):
        """Makes."""
        return torch.empty(n)

    assert make(3).is_meta and make(3).shape == (3,)
    assert make.__doc__ == "Makes."


def test_set_default_device():
    try:
        torch.set_default_device("meta")
        assert torch.get_default_device() == torch.device("meta")
        assert torch.ones(1).is_meta
        with torch.device("cpu"):
            assert torch.get_default_device() == torch.device("cpu")
            assert not torch.ones(1).is_meta
        with Noting() as mode:
            torch.set_default_device("cpu")  # goes below the modes that are open
            assert not torch.ones(1).is_meta
        assert mode.log[0] == ("mode", torch.ones)
        assert not torch.ones(1).is_meta
    finally:
        torch.set_default_device(None)
    assert torch._C._len_torch_function_stack() == 0
    assert torch.get_default_device() == torch.device("cpu")
