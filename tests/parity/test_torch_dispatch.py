"""__torch_dispatch__ beside PyTorch: operators, arguments, results; pytree."""

import collections
import importlib

import mindtorch_v2
import pytest
import torch
from tests.parity.side_by_side import Outcome, compare

CALLS = {
    "add": lambda t, w: w + 1, "sub": lambda t, w: t.sub(w, 2, alpha=3), "rpow": lambda t, w: w**2, "sum": lambda t, w: w.sum(),
    "sum dim": lambda t, w: w.sum(dim=[0], keepdim=True, dtype=t.float64), "view": lambda t, w: w.view(6), "select": lambda t, w: w[0],
    "index": lambda t, w: w[t.tensor([0])], "relu": lambda t, w: t.relu(w), "max": lambda t, w: w.detach().max(0).values, "cat": lambda t, w: t.cat([w, w]),
    "split": lambda t, w: w.split(1)[0], "chunk": lambda t, w: t.chunk(w, 2)[0], "detach": lambda t, w: w.detach(), "clone": lambda t, w: w.clone(),
    "to": lambda t, w: w.to(t.float64), "in place": lambda t, w: w.detach().add_(1), "item": lambda t, w: w.sum().item(), "tolist": lambda t, w: w.tolist(),
    "numpy": lambda t, w: w.detach().numpy(), "data_ptr": lambda t, w: w.data_ptr(), "copy_": lambda t, w: t.ones(2, 3).copy_(w.detach()),
    "out": lambda t, w: t.add(t.ones(2, 3), 1, out=w.detach()), "bool": lambda t, w: bool(w.sum()), "expand": lambda t, w: w.expand(2, 2, 3),
    "equal": lambda t, w: t.equal(w, w), "masked_fill": lambda t, w: w.masked_fill(t.ones(2, 3, dtype=t.bool), 2.5), "pow": lambda t, w: w**2,
    "complex": lambda t, w: w * 1j, "contiguous": lambda t, w: w.contiguous(), "linear": lambda t, w: t.nn.functional.linear(w, t.ones(4, 3)),
    "sum positional": lambda t, w: t.sum(w, 0, False), "float": lambda t, w: float(w.detach().sum()), "write": lambda t, w: w.__setitem__(0, 1),
}  # fmt: skip


def wrapper(lib, seen, outcome=None):
    tree = importlib.import_module(lib.__name__ + ".utils._pytree")

    class W(lib.Tensor):
        __torch_function__ = lib._C._disabled_torch_function_impl

        @staticmethod
        def __new__(cls, x, requires_grad=False):
            r = lib.Tensor._make_wrapper_subclass(cls, x.size(), strides=x.stride(), dtype=x.dtype, device=x.device, requires_grad=requires_grad)
            r.x = x
            return r

        @classmethod
        def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
            seen.append((str(func), [t.__name__ for t in types], tree.tree_map(lambda a: type(a).__name__ if isinstance(a, lib.Tensor) else a, list(args)), sorted(kwargs or {})))
            if outcome is not None:
                return outcome
            args, kwargs = tree.tree_map_only(W, lambda w: w.x, (args, kwargs or {}))
            return tree.tree_map_only(lib.Tensor, W, func(*args, **kwargs))

    return W


def wrapped(lib, call):
    seen = []
    W = wrapper(lib, seen)
    result = Outcome(call, lib, W(lib.ones(2, 3), requires_grad=True))
    value = result.value
    if isinstance(value, lib.Tensor):
        result.value = (type(value).__name__, value.requires_grad, type(value.grad_fn).__name__, tuple(value.shape), str(value.dtype).split(".")[1])
    return seen, result


@pytest.mark.parametrize("name", CALLS)
def test_wrapper(name):
    compare(wrapped, mindtorch_v2, torch, CALLS[name])


def declined(lib):
    W = wrapper(lib, [], NotImplemented)
    yield Outcome(lambda: lib.add(W(lib.ones(1)), 1))
    yield Outcome(lambda: W(lib.ones(1)) + 1)
    T = wrapper(lib, [], "x")
    yield Outcome(lambda: lib.add(T(lib.ones(1)), 1))
    make = lib.Tensor._make_wrapper_subclass

    class P(lib.Tensor):
        pass

    yield Outcome(lambda: make(P, (2,)))
    yield Outcome(lambda: make(int, (2,)))
    yield Outcome(lambda: make(W, (2,), dtype=lib.int64, requires_grad=True))


def test_errors():
    compare(declined, mindtorch_v2, torch)


def trees(lib):
    p = importlib.import_module(lib.__name__ + ".utils._pytree")
    Point = collections.namedtuple("Point", "x y")
    samples = [
        1, [1, 2], (1, [2, {"a": 3}]), {"b": 1, "a": (2,)}, Point(1, [2]), collections.OrderedDict(z=1, y=[2]),
        collections.defaultdict(list, k=[1]), collections.deque([1, 2], maxlen=3), None, [], {"a": []},
    ]  # fmt: skip
    for tree in samples:
        leaves, spec = p.tree_flatten(tree)
        yield leaves, spec.num_leaves, spec.num_nodes, spec.num_children, spec.is_leaf()
        assert p.tree_unflatten(leaves, spec) == tree
        yield p.tree_map(lambda x: (x, x), tree), p.tree_leaves(tree), [p.keystr(k) for k, _ in p.tree_leaves_with_path(tree)]
        yield p.tree_all(lambda x: x, tree), p.tree_any(lambda x: x, tree), p.tree_map_only(int, lambda x: -x, tree)
    yield p.tree_map(lambda a, b: a + b, [1, (2, 3)], [10, (20, 30)])
    yield p.tree_flatten([1, [2, 3]], is_leaf=lambda x: isinstance(x, list) and len(x) == 2 and x[0] == 2)[0]
    yield Outcome(lambda: p.tree_unflatten([1], p.tree_structure([1, 2])) and None).error is not None
    yield p.tree_structure([1, 2]) == p.tree_structure([3, 4]), p.tree_structure([1]) == p.tree_structure((1,))


def test_pytree():
    compare(trees, mindtorch_v2, torch)
