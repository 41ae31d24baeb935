"""What __torch_function__ sees of every kind of call, and what comes out, as with PyTorch."""

import copy
import operator

import mindtorch_v2
import pytest
import torch
from tests.parity.side_by_side import Outcome, compare

CALLS = {
    "x + 1": lambda t, x, y: x + 1, "1 + x": lambda t, x, y: 1 + x, "1 - x": lambda t, x, y: 1 - x,
    "x - y": lambda t, x, y: x - y, "y - x": lambda t, x, y: y - x, "x / 2": lambda t, x, y: x / 2,
    "1 / x": lambda t, x, y: 1 / x, "x // 2": lambda t, x, y: x // 2, "2 // x": lambda t, x, y: 2 // x,
    "x % 2": lambda t, x, y: x % 2, "2 % x": lambda t, x, y: 2 % x, "x ** 2": lambda t, x, y: x**2,
    "2 ** x": lambda t, x, y: 2**x, "x @ y": lambda t, x, y: x @ y, "y @ x": lambda t, x, y: y @ x,
    "y * x": lambda t, x, y: y * x, "-x": lambda t, x, y: -x, "+x": lambda t, x, y: +x,
    "abs": lambda t, x, y: abs(x), "~": lambda t, x, y: ~x.bool(), "&": lambda t, x, y: x.bool() & x.bool(),
    "x < 1": lambda t, x, y: x < 1, "x == y": lambda t, x, y: x == y, "x == 'a'": lambda t, x, y: x == "a",
    "x != 1": lambda t, x, y: x != 1, "1 < x": lambda t, x, y: 1 < x,  # noqa: SIM300
    "+=": lambda t, x, y: operator.iadd(x, 1), "-=": lambda t, x, y: operator.isub(x, 1),
    "*=": lambda t, x, y: operator.imul(x, 2), "/=": lambda t, x, y: operator.itruediv(x, 2),
    "**=": lambda t, x, y: operator.ipow(x, 2), "%=": lambda t, x, y: operator.imod(x, 2),
    "x[0]": lambda t, x, y: x[0], "y[x]": lambda t, x, y: y[x.long()], "x[0]=": lambda t, x, y: x.__setitem__(0, 1),
    "y[0]=x": lambda t, x, y: y.__setitem__(0, x[0]), "torch.add": lambda t, x, y: t.add(x, 1),
    "torch.add kw": lambda t, x, y: t.add(y, other=x, alpha=2), "cat": lambda t, x, y: t.cat([y, x]),
    "out": lambda t, x, y: t.add(y, y, out=x), "shape": lambda t, x, y: x.shape, "grad": lambda t, x, y: x.grad,
    "grad=": lambda t, x, y: setattr(x, "grad", None), "del grad": lambda t, x, y: delattr(x, "grad"),
    "data": lambda t, x, y: x.data, "requires_grad=": lambda t, x, y: setattr(x, "requires_grad", False),
    "is_leaf": lambda t, x, y: x.is_leaf, "_version": lambda t, x, y: x._version, "T": lambda t, x, y: x.T,
    "size": lambda t, x, y: x.size(), "size(0)": lambda t, x, y: x.size(0), "dim": lambda t, x, y: x.dim(),
    "repr": lambda t, x, y: repr(x), "format": lambda t, x, y: f"{x}", "iter": lambda t, x, y: list(x),
    "len": lambda t, x, y: len(x), "bool": lambda t, x, y: bool(x[0, 0]), "float": lambda t, x, y: float(x[0, 0]),
    "int": lambda t, x, y: int(x[0, 0]), "item": lambda t, x, y: x[0, 0].item(), "in": lambda t, x, y: 1 in x,
    "reversed": lambda t, x, y: reversed(x), "copy": lambda t, x, y: copy.copy(x), "hash": lambda t, x, y: hash(x) == id(x),
    "relu": lambda t, x, y: t.nn.functional.relu(x), "linear": lambda t, x, y: t.nn.functional.linear(x, y),
    "softmax": lambda t, x, y: t.nn.functional.softmax(x, 0), "to": lambda t, x, y: x.to(t.float64),
    "float()": lambda t, x, y: x.double(), "tolist": lambda t, x, y: x.tolist(), "detach": lambda t, x, y: x.detach(),
    "requires_grad_": lambda t, x, y: x.requires_grad_(), "_is_view": lambda t, x, y: x._is_view(),
    "tensor(x)": lambda t, x, y: t.tensor(x), "as_tensor(x)": lambda t, x, y: t.as_tensor(x),
    "max": lambda t, x, y: x.max(0), "is_tensor": lambda t, x, y: t.is_tensor(x), "numel": lambda t, x, y: t.numel(x),
    "type": lambda t, x, y: x.type(), "new_tensor": lambda t, x, y: x.new_tensor([1.0]), "new_zeros": lambda t, x, y: x.new_zeros(2),
    "ones_like": lambda t, x, y: t.ones_like(x), "is_contiguous": lambda t, x, y: x.is_contiguous(),
    "add_": lambda t, x, y: x.add_(1), "backward": lambda t, x, y: x.requires_grad_().sum().backward(),
    "type_as": lambda t, x, y: y.type_as(x), "is_set_to": lambda t, x, y: y.is_set_to(x), "stride": lambda t, x, y: x.stride(),
    "as_subclass": lambda t, x, y: x.as_subclass(t.Tensor), "stack": lambda t, x, y: t.stack((x, y)),
}  # fmt: skip


def observed(lib, call):
    seen = []

    class T(lib.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            with lib._C.DisableTorchFunctionSubclass():
                name = lib.overrides.resolve_name(func)
            seen.append((name, [t.__name__ for t in types], len(args), sorted(kwargs or {})))
            return super().__torch_function__(func, types, args, kwargs)

    x = lib.ones(2, 2).as_subclass(T)
    result = Outcome(call, lib, x, lib.ones(2, 2))
    with lib._C.DisableTorchFunctionSubclass():
        kind = type(result.value).__name__
        if isinstance(result.value, (tuple, list)):
            kind = [kind, *(type(v).__name__ for v in result.value)]
        if isinstance(result.value, lib.Tensor):
            result.value = result.value.as_subclass(lib.Tensor)
        elif isinstance(result.value, tuple) and result.value and isinstance(result.value[0], lib.Tensor):
            result.value = [v.as_subclass(lib.Tensor) for v in result.value]
    return seen, kind, result


@pytest.mark.parametrize("name", CALLS)
def test_calls(name):
    compare(observed, mindtorch_v2, torch, CALLS[name])


def modes(lib):
    seen = []

    class Note(lib.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            seen.append((lib.overrides.resolve_name(func), [t.__name__ for t in types], len(args), sorted(kwargs or {})))
            return func(*args, **(kwargs or {}))

    class No(lib.overrides.TorchFunctionMode):
        def __repr__(self):
            return "No()"

        def __torch_function__(self, func, types, args=(), kwargs=None):
            return NotImplemented

    x = lib.ones(2)
    with Note():
        lib.ones(2), lib.tensor([1.0]), x + 1, x.shape, x.dim(), lib.empty(1).grad, lib.arange(3)
        lib.nn.functional.relu(x), lib.nn.Parameter(x).requires_grad, lib.as_tensor([1]), x[0], x.size(0)
        lib.is_tensor(x), lib.get_default_dtype(), x.add_(1), lib.rand(1).is_leaf
        with lib._C.DisableTorchFunction():
            x + 1
        with lib._C.DisableTorchFunctionSubclass():
            x + 1
    yield seen
    with No():
        for call in (lambda: lib.ones(2), lambda: x + 1, lambda: lib.add(x, x), lambda: x.shape,
                     lambda: lib.nn.functional.relu(x), lambda: x[0]):  # fmt: skip
            yield Outcome(call)


def test_modes():
    compare(modes, mindtorch_v2, torch)


def default_device(lib):
    with lib.device("meta"):
        yield [str(t.device) for t in (lib.ones(2), lib.tensor([1.0]), lib.full((2,), 1), lib.zeros(2, device="cpu"))]
        yield str(lib.get_default_device()), str(lib.nn.Linear(2, 2).weight.device)
    lib.set_default_device("meta")
    yield str(lib.ones(1).device), str(lib.get_default_device())
    with lib.device("cpu"):
        yield str(lib.ones(1).device), str(lib.get_default_device())
    lib.set_default_device(None)
    yield str(lib.ones(1).device), str(lib.get_default_device())


def test_default_device():
    compare(default_device, mindtorch_v2, torch)
