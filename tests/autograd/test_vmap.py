"""vmap: every operator against a loop, nested, differentiated, random, and what it refuses."""

import pytest
from tests.autograd.transform_samples import OPERATORS, close, inputs

import mindtorch_v2 as torch
from mindtorch_v2.func import vmap

NAMES = list(OPERATORS)


def loop(function, args):
    return torch.stack([function(*(x[i] for x in args)) for i in range(args[0].shape[0])])


@pytest.mark.parametrize("name", NAMES)
def test_like_a_loop(name):
    function = OPERATORS[name][0]
    args = inputs(name, (4,))
    close(vmap(function)(*args), loop(function, args))


@pytest.mark.parametrize("name", NAMES)
def test_one_batched_argument_at_a_time(name):
    function = OPERATORS[name][0]
    if name.startswith("inplace"):
        return  # writing a batch into what has none is refused: test_in_place_writes_go_to_the_batch
    full, single = inputs(name, (3,)), inputs(name, seed=1)
    for k in range(len(full)):
        args = [x if i == k else y for i, (x, y) in enumerate(zip(full, single))]
        dims = tuple(0 if i == k else None for i in range(len(full)))
        expected = torch.stack([function(*(x[e] if i == k else x for i, x in enumerate(args))) for e in range(3)])
        close(vmap(function, in_dims=dims)(*args), expected)


@pytest.mark.parametrize("name", NAMES)
def test_last_dimension_in_and_out(name):
    function = OPERATORS[name][0]
    args = inputs(name, (3,))
    moved = [x.movedim(0, -1) for x in args]
    close(vmap(function, in_dims=-1, out_dims=-1)(*moved), loop(function, args).movedim(0, -1))


@pytest.mark.parametrize("name", NAMES)
def test_nested(name):
    function = OPERATORS[name][0]
    args = inputs(name, (2, 3))
    expected = torch.stack([loop(function, [x[i] for x in args]) for i in range(2)])
    close(vmap(vmap(function))(*args), expected)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_of_vmap(name):
    """Backward through a batch: each example's gradient is its own."""
    function = OPERATORS[name][0]
    args = [x.requires_grad_() for x in inputs(name, (3,))]
    weight = loop(function, args).detach().cos()
    expected = torch.autograd.grad((loop(function, args) * weight).sum(), args)
    close(torch.autograd.grad((vmap(function)(*args) * weight).sum(), args), expected)


@pytest.mark.parametrize("name", NAMES)
def test_vmap_of_gradients(name):
    function = OPERATORS[name][0]
    args = inputs(name, (3,))

    def total(*xs):
        return function(*xs).sin().sum()

    every = tuple(range(len(args)))
    found = vmap(torch.func.grad(total, argnums=every))(*args)
    for e in range(3):
        leaves = [x[e].clone().requires_grad_() for x in args]
        close([g[e] for g in found], torch.autograd.grad(total(*leaves), leaves))


def test_structures():
    x, y = torch.rand(3, 2), torch.rand(2, 3)
    found = vmap(lambda d, n: {"s": d["a"] + n, "t": (d["b"][0], n)}, in_dims=({"a": 0, "b": 1}, None), out_dims=0)(
        {"a": x, "b": [y]}, torch.ones(2)
    )
    close(found["s"], x + 1)
    close(found["t"][0], y.t())
    close(found["t"][1], torch.ones(3, 2))
    a, b = vmap(lambda v: (v, v * 2), out_dims=(0, 1))(x)
    close(a, x)
    close(b, (x * 2).t())
    assert vmap(lambda v: (v, 3), out_dims=(0, None))(x)[1] == 3


def test_chunks():
    x = torch.rand(7, 2)
    sizes = []

    def function(v):
        sizes.append(torch._C._functorch._batch_of(v)[0].shape[0])
        return v.sin(), v.sum()

    a, b = vmap(function, chunk_size=3)(x)
    close(a, x.sin())
    close(b, x.sum(1))
    assert sizes == [3, 3, 1]


def test_in_place_writes_go_to_the_batch():
    x = torch.zeros(3, 2)

    def function(v, w):
        v.add_(w)
        v[0].mul_(2)
        return v

    close(vmap(function)(x, torch.arange(3.0)), torch.tensor([[0.0, 0.0], [2.0, 1.0], [4.0, 2.0]]))
    close(x, torch.tensor([[0.0, 0.0], [2.0, 1.0], [4.0, 2.0]]))
    with pytest.raises(RuntimeError, match="is not possible because there exists a Tensor `other` in extra_args"):
        y = torch.zeros(2)
        vmap(lambda w: y.add_(w))(torch.ones(3))


def test_promotion_of_scalars():
    x, n = torch.rand(3, 2), torch.arange(3, dtype=torch.float64)
    assert vmap(lambda v, s: v * s)(x, n).dtype == torch.float32
    assert vmap(lambda s: s * 2.5)(torch.arange(3)).dtype == torch.float32
    assert vmap(lambda v, s: v * s)(torch.ones(3, 2, dtype=torch.int64), n).dtype == torch.float64


def test_randomness():
    x = torch.zeros(4, 3)
    with pytest.raises(RuntimeError, match="vmap: called random operation while in randomness error mode."):
        vmap(lambda v: v + torch.rand(3))(x)
    same = vmap(lambda v: v + torch.rand(3), randomness="same")(x)
    assert all(torch.equal(same[0], row) for row in same)
    for draw in (lambda v: v + torch.randn(3), lambda v: torch.rand_like(v), lambda v: v + torch.randperm(3),
                 lambda v: torch.nn.functional.dropout(v + 1), lambda v: torch.bernoulli(v + 0.5)):
        different = vmap(draw, randomness="different")(torch.zeros(16, 3))
        assert different.shape == (16, 3)
        assert any(not torch.equal(different[0], row) for row in different)
    with pytest.raises(RuntimeError, match="Vmap does not currently support same randomness with a batched"):
        vmap(lambda v: torch.bernoulli(v), randomness="same")(x)
    nested = vmap(vmap(lambda v: v + torch.rand(2), randomness="different"), randomness="same")(torch.zeros(3, 4, 2))
    assert torch.equal(nested[0], nested[1]) and not torch.equal(nested[0, 0], nested[0, 1])


REFUSED = [
    (lambda x: vmap(torch.sin)(), "vmap(sin)(<inputs>): got no inputs. Maybe you forgot to add inputs, or you are "
     "trying to vmap over a function with no inputs. The latter is unsupported."),
    (lambda x: vmap(torch.sin, in_dims=3)(x), "vmap(sin, in_dims=3, ...)(<inputs>): Got in_dim=3 for some input, but "
     "that input is a Tensor of dimensionality 2 so expected in_dim to satisfy -2 <= in_dim < 2."),
    (lambda x: vmap(torch.sin)(3), "vmap(sin, in_dims=0, ...)(<inputs>): Got in_dim=0 for an input but the input is of "
     "type <class 'int'>. We cannot vmap over non-Tensor arguments, please use None as the respective in_dim"),
    (lambda x: vmap(torch.add)(x, x[:1]), "vmap: Expected all tensors to have the same size in the mapped dimension, "
     "got sizes [3, 1] for the mapped dimension"),
    (lambda x: vmap(lambda v: v.sum().item())(x), "vmap: It looks like you're calling .item() on a Tensor. We don't "
     "support vmap over calling .item() on a Tensor, please try to rewrite what you're doing with other operations. "
     "If error is occurring somewhere inside PyTorch internals, please file a bug report."),
    (lambda x: vmap(lambda v: v if v.sum() > 0 else -v)(x), "vmap: It looks like you're attempting to use a Tensor in "
     "some data-dependent control flow. We don't support that yet, please file an issue at "
     "https://github.com/pytorch/pytorch/issues ."),
    (lambda x: vmap(lambda v: v.nonzero())(x), "vmap: We do not support batching operators that can output dynamic "
     "shape. Attempted to vmap over aten::nonzero. Please file an issue at "
     "https://github.com/pytorch/pytorch/issues if you need this feature."),
    (lambda x: vmap(lambda v: torch.add(v, v, out=torch.empty(2)))(x), "Batching rule not implemented for "
     "aten::add.out; the fallback path doesn't work on out= or view ops."),
    (lambda x: vmap(torch.sin, randomness="x"), "Only allowed values for randomness are 'error', 'different', or "
     "'same'. Got x"),
    (lambda x: vmap(torch.sin, chunk_size=0), "vmap: chunk_size should be None or greater than 0. (got 0)"),
    (lambda x: vmap(lambda v: (v.requires_grad_() * 2).sum().backward())(x), "You are attempting to call Tensor.requires_grad_() "
     "(or perhaps using torch.autograd.functional.* APIs) inside of a function being "
     "transformed by a functorch transform. This is unsupported, please attempt to use the functorch transforms (e.g. "
     "grad, vjp, jacrev, jacfwd, hessian) or call requires_grad_() outside of a function being transformed instead."),
]


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    with pytest.raises((RuntimeError, ValueError)) as error:
        case[0](torch.ones(3, 2))
    assert str(error.value) == case[1]
    close(vmap(torch.sin)(torch.zeros(2)), torch.zeros(2))  # no level is left open


def test_batched_gradients():
    x = torch.rand(3, dtype=torch.float64, requires_grad=True)
    y = x.sin() * x.sum()
    basis = torch.eye(3, dtype=torch.float64)
    (rows,) = torch.autograd.grad(y, x, basis, is_grads_batched=True, retain_graph=True)
    close(rows, torch.stack([torch.autograd.grad(y, x, b, retain_graph=True)[0] for b in basis]))
