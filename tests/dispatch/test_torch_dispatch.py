"""Subclasses and modes below autograd: __torch_dispatch__."""

import gc
import threading
import weakref

import mindtorch_v2 as torch
import pytest
from mindtorch_v2.utils._python_dispatch import (
    TorchDispatchMode,
    _disable_current_modes,
    _get_current_dispatch_mode,
    _get_current_dispatch_mode_stack,
    is_in_torch_dispatch_mode,
    is_traceable_wrapper_subclass,
    return_and_correct_aliasing,
)
from mindtorch_v2.utils._pytree import tree_map, tree_map_only

aten = torch.ops.aten


class Wrapped(torch.Tensor):
    """A tensor that holds a tensor and notes the operators."""

    seen = []
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, inner, requires_grad=False):
        self = torch.Tensor._make_wrapper_subclass(
            cls, inner.size(), strides=inner.stride(), storage_offset=inner.storage_offset(), dtype=inner.dtype,
            layout=inner.layout, device=inner.device, requires_grad=requires_grad,
        )  # fmt: skip
        self.inner = inner
        return self

    def __repr__(self):
        return f"Wrapped({self.inner})"

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        cls.seen.append(func)
        args, kwargs = tree_map_only(Wrapped, lambda x: x.inner, (args, kwargs or {}))
        return tree_map_only(torch.Tensor, cls, func(*args, **kwargs))


def run(function, *args):
    Wrapped.seen.clear()
    return function(*args), list(Wrapped.seen)


# operator -> what arrives
CALLS = {
    "add": (lambda w: w + 1, aten.add.Tensor), "matmul": (lambda w: w @ torch.ones(3, 2), aten.mm.default),
    "sum": (lambda w: w.sum(0), aten.sum.dim_IntList), "view": (lambda w: w.view(6), aten.view.default),
    "select": (lambda w: w[0], aten.select.int), "exp": (lambda w: w.exp(), aten.exp.default),
    "cat": (lambda w: torch.cat([w, w]), aten.cat.default), "to": (lambda w: w.double(), aten._to_copy.default),
    "clone": (lambda w: w.clone(), aten.clone.default), "detach": (lambda w: w.detach(), aten.detach.default),
    "expand": (lambda w: w.expand(2, 2, 3), aten.expand.default), "relu": (lambda w: torch.relu(w), aten.relu.default),
    "zeros_like": (lambda w: torch.zeros_like(w), aten.zeros_like.default), "index": (lambda w: w[torch.tensor([0])], aten.index.Tensor),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_operators_arrive_as_overloads(name):
    call, func = CALLS[name]
    plain = torch.arange(6.0).view(2, 3)
    result, seen = run(call, Wrapped(plain))
    assert seen[0] is func or (name == "matmul" and seen[0] in (aten.mm.default, aten.matmul.default))
    assert type(result) is Wrapped
    assert result.inner.tolist() == call(plain).tolist()
    assert result.shape == call(plain).shape


def test_arguments_come_without_defaults_and_numbers_as_numbers():
    calls = []

    class Args(Wrapped):
        @classmethod
        def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
            calls.append((func, types, [a for a in args if not isinstance(a, torch.Tensor)], kwargs))
            return super().__torch_dispatch__(func, types, args, kwargs)

    w = Args(torch.ones(2, 3))
    w + 2
    torch.sub(w, 2.5, alpha=3)
    w.sum(dim=[0], keepdim=True, dtype=torch.float64)
    w.sum(0, False)
    assert calls[0] == (aten.add.Tensor, (Args,), [2], {})
    assert calls[1] == (aten.sub.Tensor, (Args,), [2.5], {"alpha": 3})
    assert calls[2] == (aten.sum.dim_IntList, (Args,), [[0], True], {"dtype": torch.float64})
    assert calls[3] == (aten.sum.dim_IntList, (Args,), [[0]], {})


def test_autograd_works_above():
    w = Wrapped(torch.tensor([1.0, 2.0]), requires_grad=True)
    y = (w * w).exp().sum()
    assert type(y) is Wrapped and type(y.grad_fn).__name__ == "SumBackward0"
    y.backward()
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    (x * x).exp().sum().backward()
    assert type(w.grad) is Wrapped
    assert w.grad.inner.tolist() == x.grad.tolist()
    (g,) = torch.autograd.grad((w * w).sum(), w, create_graph=True)
    (gg,) = torch.autograd.grad(g.sum(), w)
    assert gg.inner.tolist() == [2.0, 2.0]


def test_in_place_returns_self_and_counts():
    w = Wrapped(torch.ones(2))
    before = w._version
    result = w.add_(1)
    assert result is w and w._version == before + 1
    assert w.inner.tolist() == [2.0, 2.0]
    out = Wrapped(torch.zeros(2))
    assert torch.add(torch.ones(2), 1, out=out) is out
    assert out.inner.tolist() == [2.0, 2.0]


def test_views_remember_their_base():
    w = Wrapped(torch.ones(2, 3))
    v = w.view(6)
    assert v._is_view() and v._base is w


def test_several_results():
    (values, indices), seen = run(lambda w: w.max(1), Wrapped(torch.arange(6.0).view(2, 3)))
    assert seen == [aten.max.dim]
    assert values.inner.tolist() == [2.0, 5.0] and indices.inner.tolist() == [2, 2]
    parts, seen = run(lambda w: w.split(1), Wrapped(torch.ones(2, 3)))
    assert len(parts) == 2 and all(type(p) is Wrapped for p in parts)


def test_numbers_leave_through_local_scalar_dense():
    value, seen = run(lambda w: w.sum().item(), Wrapped(torch.ones(3)))
    assert value == 3.0 and seen == [aten.sum.default, aten._local_scalar_dense.default]
    assert float(Wrapped(torch.tensor(2.5))) == 2.5
    assert bool(Wrapped(torch.tensor(True))) is True
    assert int(Wrapped(torch.tensor(7))) == 7
    assert Wrapped(torch.tensor(1 + 2j)).item() == 1 + 2j
    assert torch.equal(Wrapped(torch.ones(2)), torch.ones(2))


def test_under_inference_mode_composites_arrive_whole():
    with torch.inference_mode():
        _, seen = run(lambda w: torch.nn.functional.linear(w, torch.ones(4, 3)), Wrapped(torch.ones(2, 3)))
    assert seen == [aten.linear.default]


def test_make_subclass():
    class Same(torch.Tensor):
        __torch_function__ = torch._C._disabled_torch_function_impl

        @classmethod
        def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
            calls.append(func)
            return super().__torch_dispatch__(func, types, args, kwargs or {})

    calls = []
    s = torch.Tensor._make_subclass(Same, torch.ones(2))
    assert torch._C._dispatch_keys(s).has("Python")
    assert (s + 1).tolist() == [2.0, 2.0]
    assert calls == [aten.add.Tensor]
    assert type(s + 1) is torch.Tensor
    with torch._C._DisableTorchDispatch():
        assert torch.add(s, 1).tolist() == [2.0, 2.0]
    assert len(calls) == 2


def test_wrapper_has_no_memory():
    w = Wrapped(torch.ones(2, 3))
    assert w.data_ptr() == 0
    assert (w.shape, w.stride(), w.dtype, w.device.type) == ((2, 3), (3, 1), torch.float32, "cpu")
    with pytest.raises(RuntimeError, match="is not supported for tensor subclasses"):
        w.tolist()
    with pytest.raises(RuntimeError, match="is not supported for tensor subclasses"):
        w.numpy()
    with torch._C._DisableTorchDispatch():
        for call in (lambda: torch.add(w, 1), lambda: w.sum(), lambda: w.sum(0).exp(), lambda: w.clone(),
                     lambda: torch.cat([w, w]), lambda: w.add_(1), lambda: w @ w.t()):  # fmt: skip
            with pytest.raises((RuntimeError, NotImplementedError)):
                call()
        with pytest.raises(RuntimeError):
            w.view(6)[0].item()


def test_make_wrapper_subclass_arguments():
    make = torch.Tensor._make_wrapper_subclass
    w = make(Wrapped, (2, 3), strides=(1, 2), storage_offset=3, dtype=torch.float64, device="meta")
    assert (w.stride(), w.storage_offset(), w.dtype, w.device.type) == ((1, 2), 3, torch.float64, "meta")
    assert make(Wrapped, (2,), requires_grad=True).requires_grad
    with pytest.raises(RuntimeError, match="Only Tensors of floating point and complex dtype can require"):
        make(Wrapped, (2,), dtype=torch.int64, requires_grad=True)

    class Plain(torch.Tensor):
        pass

    with pytest.raises(TypeError, match="Plain must define __torch_dispatch__"):
        make(Plain, (2,))
    with pytest.raises(TypeError, match="does not inherit from Tensor"):
        make(int, (2,))
    with pytest.raises(RuntimeError):
        make(Wrapped, (2, -1))
    with pytest.raises(TypeError):
        make(Wrapped, "ab")


def test_errors():
    class Declines(Wrapped):
        @classmethod
        def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
            return NotImplemented

    class Text(Wrapped):
        @classmethod
        def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
            return "x"

    class Raises(Wrapped):
        @classmethod
        def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
            raise KeyError("inside")

    x = torch.ones(2)
    with pytest.raises(TypeError) as error:
        torch.add(Declines(x), 1)
    assert str(error.value) == (
        "Multiple dispatch failed for 'torch._ops.aten.add.Tensor'; all __torch_dispatch__ handlers "
        f"returned NotImplemented:\n\n  - tensor subclass {Declines}\n\nFor more information, try "
        "re-running with TORCH_LOGS=not_implemented"
    )
    with pytest.raises(RuntimeError, match="Unable to cast x to Tensor"):
        torch.add(Text(x), 1)
    for call in (lambda t: t.max(0), lambda t: t.split(1), lambda t: torch.equal(t, t)):
        with pytest.raises(RuntimeError, match="Unable to cast"):
            call(Text(x))
    with pytest.raises(KeyError, match="inside"):
        torch.add(Raises(x), 1)
    with pytest.raises(KeyError, match="inside"):
        Raises(x).sum().item()


def test_subclasses_are_asked_first():
    asked = []

    class A(Wrapped):
        @classmethod
        def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
            asked.append((cls, types))
            return NotImplemented

    class B(A):
        pass

    with pytest.raises(TypeError):
        torch.add(A(torch.ones(1)), B(torch.ones(1)))
    assert asked == [(B, (B, A)), (A, (B, A))]


def test_nothing_leaks():
    w = Wrapped(torch.ones(3), requires_grad=True)
    gone = weakref.ref((w * 2).exp())
    gc.collect()
    assert gone() is None


# ---- modes ----------------------------------------------------------------------------------


class Noting(TorchDispatchMode):
    def __init__(self, name="mode", log=None):
        super().__init__()
        self.name, self.log = name, [] if log is None else log

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.log.append((self.name, func))
        return func(*args, **(kwargs or {}))


def test_mode_sees_operators_and_factories():
    x = torch.ones(2, requires_grad=True)
    with Noting() as mode:
        torch.zeros(2)
        torch.tensor([1.0])
        y = (x * 2).sum()
        y.backward()
        y.item()
    funcs = [func for _, func in mode.log]
    assert funcs[:4] == [aten.zeros.default, aten.lift_fresh.default, aten.mul.Tensor, aten.sum.default]
    assert aten.expand.default in funcs and funcs[-1] is aten._local_scalar_dense.default
    assert x.grad.tolist() == [2.0, 2.0]
    n = len(mode.log)
    x + 1
    assert len(mode.log) == n


def test_modes_nest_and_come_before_subclasses():
    log = []
    w = Wrapped(torch.ones(2))
    with Noting("outer", log), Noting("inner", log):
        _, seen = run(lambda: w + 1)
    assert log[:2] == [("inner", aten.add.Tensor), ("outer", aten.add.Tensor)]
    assert seen == [aten.add.Tensor]


def test_mode_stack():
    assert _get_current_dispatch_mode() is None and not is_in_torch_dispatch_mode()
    with Noting() as a, Noting() as b:
        assert _get_current_dispatch_mode() is b and is_in_torch_dispatch_mode()
        assert _get_current_dispatch_mode_stack() == [a, b]
        with _disable_current_modes():
            torch.ones(2) + 1
        assert not a.log and not b.log
        assert _get_current_dispatch_mode_stack() == [a, b]
    assert torch._C._len_torch_dispatch_stack() == 0
    assert not torch._C._dispatch_tls_is_dispatch_key_included("Python")


def test_mode_that_raises_or_declines():
    class Raises(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            raise KeyError("mode")

    class Declines(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            return NotImplemented

    with Raises() as mode:
        with pytest.raises(KeyError):
            torch.ones(1)
        assert _get_current_dispatch_mode_stack() == [mode]
    with Declines() as mode:
        with pytest.raises(TypeError, match="all __torch_dispatch__ handlers returned NotImplemented"):
            torch.ones(1)
    assert torch.ones(1).tolist() == [1.0]


def test_modes_belong_to_a_thread():
    with Noting() as mode:
        thread = threading.Thread(target=lambda: torch.ones(1) + 1)
        thread.start()
        thread.join()
    assert not mode.log


def test_mode_that_changes_results():
    class Zeros(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            return tree_map(lambda t: torch.zeros_like(t) if isinstance(t, torch.Tensor) else t, out)

    with Zeros():
        x = torch.ones(2) + 1
    assert x.tolist() == [0.0, 0.0]


def test_return_and_correct_aliasing():
    class Alias(Wrapped):
        @classmethod
        def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
            inner, kw = tree_map_only(Alias, lambda x: x.inner, (args, kwargs or {}))
            out = tree_map_only(torch.Tensor, cls, func(*inner, **kw))
            return return_and_correct_aliasing(func, args, kwargs or {}, out)

    a = Alias(torch.arange(4.0))
    assert a.view(2, 2).untyped_storage() is a.untyped_storage()
    assert (a + 1).untyped_storage() is not a.untyped_storage()
    assert a.mul_(2) is a and a.inner.tolist() == [0.0, 2.0, 4.0, 6.0]


def test_traceable():
    class Flat(Wrapped):
        def __tensor_flatten__(self):
            return ["inner"], None

        @staticmethod
        def __tensor_unflatten__(inner, context, size, stride):
            return Flat(inner["inner"])

    assert is_traceable_wrapper_subclass(Flat(torch.ones(1)))
    assert not is_traceable_wrapper_subclass(Wrapped(torch.ones(1)))
    assert not is_traceable_wrapper_subclass(torch.ones(1))
