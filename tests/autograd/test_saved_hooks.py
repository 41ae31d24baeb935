"""Hooks on saved tensors, what nodes show of them, and the tools of torch.autograd.graph."""

import gc
import threading
import weakref

import pytest

import mindtorch_v2 as torch
from mindtorch_v2.autograd import graph


def leaf(*values):
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


OPERATORS = [
    lambda x: x * x,
    lambda x: x.exp(),
    lambda x: x.sin(),
    lambda x: x.sigmoid(),
    lambda x: x.tanh(),
    lambda x: x.pow(3),
    lambda x: x / (x + 1),
    lambda x: x.log(),
    lambda x: x.sqrt(),
    lambda x: x.cumsum(0),
    lambda x: torch.softmax(x, 0),
    lambda x: torch.cat([x, x]) * 2,
    lambda x: x.prod(0),
    lambda x: x.max(0)[0],
    lambda x: x[None] @ x[:, None],
    lambda x: torch.nn.functional.linear(x[None], x[None].expand(2, -1)),
    lambda x: torch.where(x > 1, x, x * x),
    lambda x: x.norm(),
]


@pytest.mark.parametrize("op", OPERATORS)
def test_gradients_through_hooks(op):
    """Every saved tensor goes out and comes back as numbers; first and second gradients agree."""
    found = []
    for hooked in (False, True):
        x = leaf(0.5, 1.5, 2.5)
        packed = []

        def pack(t):
            packed.append(t.tolist())
            return t.detach().tolist(), t.dtype

        hooks = graph.saved_tensors_hooks(pack, lambda v: torch.tensor(v[0], dtype=v[1]))
        if hooked:
            with hooks:
                y = op(x)
        else:
            y = op(x)
        (g,) = torch.autograd.grad((y * y.detach().cos()).sum(), x, create_graph=True, materialize_grads=True)
        if g.requires_grad:
            (h,) = torch.autograd.grad(g.sum(), x, allow_unused=True, materialize_grads=True)
        else:
            h = torch.zeros_like(x)
        found.append((g.tolist(), h.tolist()))
    assert found[0] == found[1]


def test_what_hooks_see():
    a = leaf(1.0, 2.0)
    seen = []
    with graph.saved_tensors_hooks(lambda t: seen.append(t) or t, lambda t: t):
        y = a * a
        z = y.exp()
    assert seen[0] is a and seen[1] is a
    assert seen[2].grad_fn is z.grad_fn
    unpacked = y.grad_fn._saved_self
    assert unpacked is not a and unpacked.requires_grad and unpacked.is_leaf
    assert z.grad_fn._saved_result.grad_fn is z.grad_fn


def test_innermost_pair_applies():
    a, log = leaf(2.0), []
    with graph.saved_tensors_hooks(lambda t: log.append("outer") or t, lambda t: t):
        with graph.saved_tensors_hooks(lambda t: log.append("inner") or t, lambda t: t):
            a.sin()
        a.sin()
    a.sin()
    assert log == ["inner", "outer"]


def test_hooks_are_per_thread():
    a, log = leaf(2.0), []
    with graph.saved_tensors_hooks(lambda t: log.append(1) or t, lambda t: t):
        thread = threading.Thread(target=lambda: a.sin())
        thread.start()
        thread.join()
    assert log == []


def test_tensor_is_freed_when_packed():
    x = leaf(1.0, 2.0)
    with graph.saved_tensors_hooks(lambda t: t.tolist(), lambda v: torch.tensor(v, dtype=torch.float64)):
        middle = x * 3
        alive = weakref.ref(middle)
        y = (middle * middle).sum()
    del middle
    gc.collect()
    assert alive() is None
    y.backward()
    assert x.grad.tolist() == [18.0, 36.0]


def test_errors_of_hooks():
    a = leaf(1.0)
    with pytest.raises(RuntimeError, match="A saved tensor pack hook is modifying its input in place. "
                       "Tensors provided as input to pack hook cannot be modified by in-place operations"):
        with graph.saved_tensors_hooks(lambda t: t.mul_(2), lambda t: t):
            b = a * 1
            b * b
    with graph.saved_tensors_hooks(lambda t: t, lambda t: 3):
        y = a * a
    with pytest.raises(TypeError, match="^Output of saved tensor unpack_hook expected to be a Tensor but got "
                       "result of type int$"):
        y.backward()
    with pytest.raises(ZeroDivisionError):
        with graph.saved_tensors_hooks(lambda t: 1 / 0, lambda t: t):
            a * a
    y = a * a  # the failed pair is gone
    y.backward()
    assert a.grad.tolist() == [2.0]


def test_register_hooks_on_a_saved_tensor():
    a = leaf(3.0)
    y = a * a
    raw = y.grad_fn._raw_saved_self
    with pytest.raises(TypeError, match="incompatible function arguments"):
        raw.register_hooks(1, 2)
    raw.register_hooks(lambda t: t.item(), lambda v: torch.tensor([v + 1], dtype=torch.float64))
    with pytest.raises(RuntimeError, match="whose hooks have already been set. Hint: only one pair"):
        raw.register_hooks(lambda t: t, lambda t: t)
    assert raw.data == 3.0
    assert y.grad_fn._saved_self.tolist() == [4.0]
    y.backward()
    assert a.grad.tolist() == [7.0]
    with pytest.raises(RuntimeError, match="after it has been freed. Saved intermediate values"):
        raw.register_hooks(lambda t: t, lambda t: t)


def test_saved_attributes():
    a = leaf(1.0, 2.0)
    node = (a ** 2).grad_fn
    assert node._saved_self is a
    assert node._saved_exponent == 2
    assert {"_saved_self", "_raw_saved_self", "_saved_exponent"} <= set(dir(node))
    assert a.mean().grad_fn._saved_self_sym_sizes == (2,)
    y = a.exp()
    y.sum().backward()
    with pytest.raises(RuntimeError, match="Trying to backward through the graph a second time"):
        y.grad_fn._saved_result


def test_function_saves_through_hooks():
    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            return 2 * x * grad

    a, log = leaf(3.0), []
    with graph.saved_tensors_hooks(lambda t: log.append(t is a) or t, lambda t: t):
        y = Square.apply(a)
    assert log == [True]
    assert len(y.grad_fn._raw_saved_tensors) == 1
    y.backward()
    assert a.grad.tolist() == [6.0]


def test_disable():
    a = leaf(1.0)
    with pytest.raises(RuntimeError, match="^nope$"):
        with graph.disable_saved_tensors_hooks("nope"):
            with graph.saved_tensors_hooks(lambda t: t, lambda t: t):
                pass
    with pytest.raises(RuntimeError, match="^nope$"):
        with graph.saved_tensors_hooks(lambda t: t, lambda t: t):
            with graph.disable_saved_tensors_hooks("nope"):
                pass
    with graph.saved_tensors_hooks(lambda t: t, lambda t: t):
        a * a


def test_save_on_cpu_and_mutation():
    a = leaf(1.0, 2.0)
    with graph.save_on_cpu():
        y = (a * a).sum()
    y.backward()
    assert a.grad.tolist() == [2.0, 4.0]
    a.grad = None
    with graph.allow_mutation_on_saved_tensors():
        b = a.clone()
        y = (b ** 2).sum()
        b.sin_()
        y.backward()
    assert a.grad.tolist() == [2.0, 4.0]


def test_multi_grad_hook():
    xs = [leaf(1.0), leaf(2.0), leaf(3.0)]
    log = []
    handle = graph.register_multi_grad_hook(xs, lambda gs: log.append([g if g is None else g.tolist() for g in gs]))
    (xs[0] * 2 + xs[1] * 3).backward()
    assert log == [[[2.0], [3.0], None]]
    handle.remove()
    (xs[0] * 2).backward()
    assert len(log) == 1
    graph.register_multi_grad_hook(xs, lambda g: log.append(g.tolist()), mode="any")
    (xs[0] * 2 + xs[1] * 3 + xs[2]).backward()
    assert len(log) == 2
    with pytest.raises(ValueError, match="Expects mode to be one of"):
        graph.register_multi_grad_hook(xs, print, mode="some")
    with pytest.raises(AssertionError, match="Expected gradient function to be set"):
        graph.register_multi_grad_hook([torch.ones(1)], print)


def test_increment_version_and_node():
    a = leaf(1.0)
    b = a * 1
    y = b * b
    graph.increment_version(b)
    with pytest.raises(RuntimeError) as error:
        y.backward()
    assert str(error.value) == (
        "one of the variables needed for gradient computation has been modified by an inplace operation: "
        "[torch.DoubleTensor [1]], which is output 0 of Mul, is at version 1; expected version 0 instead. "
        "Hint: enable anomaly detection to find the operation that failed to compute its gradient, with "
        "torch.autograd.set_detect_anomaly(True, check_nan=False)."
    )
    with pytest.raises(RuntimeError, match="increment_version expect a Iterable"):
        graph.increment_version(3)
    assert isinstance(y.grad_fn, graph.Node)
    with torch.autograd.set_multithreading_enabled(False):
        assert not torch._C._is_multithreading_enabled()
    assert torch._C._is_multithreading_enabled()


def test_anomaly_shows_where_the_node_was_made():
    with pytest.warns(UserWarning, match="Anomaly Detection has been enabled"):
        mode = torch.autograd.detect_anomaly()
    with mode:
        x = leaf(0.0)
        y = x.sqrt() * 0
        with pytest.warns(UserWarning, match=r"(?s)Error detected in SqrtBackward0. Traceback of forward call "
                          r"that caused the error:\n.*y = x.sqrt\(\) \* 0"):
            with pytest.raises(RuntimeError, match="Function 'SqrtBackward0' returned nan values in its 0th output."):
                y.backward()
    y = x.sqrt() * 0
    with torch.autograd.set_detect_anomaly(True):
        with pytest.warns(UserWarning, match="No forward pass information available. Enable detect anomaly"):
            with pytest.raises(RuntimeError):
                y.backward()
