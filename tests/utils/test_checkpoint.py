"""Checkpointing: gradients as without it, how often a part runs, what is refused."""

import warnings

import pytest

import mindtorch_v2 as torch
from mindtorch_v2 import nn
from mindtorch_v2.utils import checkpoint as cp

VARIANTS = pytest.mark.parametrize("reentrant", [True, False])


def block():
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 4), nn.Sigmoid(), nn.Linear(4, 2))


def gradients(model, x, run):
    model.zero_grad()
    x = x.clone().requires_grad_()
    run(model, x).pow(2).sum().backward()
    return [x.grad, *(p.grad for p in model.parameters())]


class Counted(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner
        self.runs = 0

    def forward(self, x):
        self.runs += 1
        return self.inner(x)


@VARIANTS
def test_gradients_are_those_of_the_plain_run(reentrant):
    model = Counted(block())
    x = torch.randn(3, 4)
    plain = gradients(model, x, lambda m, x: m(x))
    assert model.runs == 1
    again = gradients(model, x, lambda m, x: cp.checkpoint(m, x, use_reentrant=reentrant))
    assert model.runs == 3  # once forward, once for the backward pass
    for a, b in zip(plain, again, strict=True):
        assert torch.equal(a, b)


@VARIANTS
def test_random_numbers_are_drawn_again(reentrant):
    drop = nn.Dropout(0.5)

    def run(m, x):
        torch.manual_seed(11)
        out = cp.checkpoint(lambda x: drop(m(x)), x, use_reentrant=reentrant)
        torch.rand(5)  # the state moves on before the second run
        return out

    def plain(m, x):
        torch.manual_seed(11)
        return drop(m(x))

    model, x = block(), torch.randn(3, 4)
    for a, b in zip(gradients(model, x, plain), gradients(model, x, run), strict=True):
        assert torch.equal(a, b)


@VARIANTS
def test_sequential_segments(reentrant):
    model, x = block(), torch.randn(3, 4)
    plain = gradients(model, x, lambda m, x: m(x))
    for segments in (1, 2, 5):
        again = gradients(
            model, x, lambda m, x: cp.checkpoint_sequential(m, segments, x, use_reentrant=reentrant)
        )
        for a, b in zip(plain, again, strict=True):
            assert torch.equal(a, b)


def test_nothing_inside_is_kept_without_reentry():
    kept = []
    x = torch.randn(2, 3, requires_grad=True)

    def part(x):
        return (x.exp() * x).sin()

    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        part(x)
        plain = len(kept)
        kept.clear()
        cp.checkpoint(part, x, use_reentrant=False)
    assert plain > 1
    assert len(kept) == 1 and kept[0].data_ptr() == x.data_ptr()  # only the input


def test_the_second_run_stops_early():
    done = []

    def part(x):
        y = x.exp()
        done.append("exp")
        z = y.sin()
        done.append("sin")
        return z + 1  # keeps nothing

    x = torch.randn(3, requires_grad=True)
    cp.checkpoint(part, x, use_reentrant=False).sum().backward()
    assert done == ["exp", "sin", "exp"]
    done.clear()
    with cp.set_checkpoint_early_stop(False):
        out = cp.checkpoint(part, x, use_reentrant=False)
    out.sum().backward()
    assert done == ["exp", "sin"] * 2


def test_graphs_can_be_walked_again():
    x = torch.randn(3, requires_grad=True)
    out = cp.checkpoint(lambda x: x.exp().sin(), x, use_reentrant=False).sum()
    (first,) = torch.autograd.grad(out, x, retain_graph=True)
    (second,) = torch.autograd.grad(out, x)
    assert torch.equal(first, second)
    assert torch.allclose(first, x.exp().cos() * x.exp())


def test_checkpoints_nest():
    model, x = block(), torch.randn(3, 4)

    def nested(m, x):
        inner = lambda x: cp.checkpoint(m[2:], x, use_reentrant=False)  # noqa: E731
        return cp.checkpoint(lambda x: inner(m[:2](x)), x, use_reentrant=False)

    plain = gradients(model, x, lambda m, x: m(x))
    for a, b in zip(plain, gradients(model, x, nested), strict=True):
        assert torch.equal(a, b)


def test_keyword_arguments_and_several_results():
    x = torch.randn(3, requires_grad=True)

    def part(x, *, by, names):
        return x * by, names, x.exp()

    a, names, b = cp.checkpoint(part, x, by=2.0, names="n", use_reentrant=False)
    assert names == "n"
    (a.sum() + b.sum()).backward()
    assert torch.allclose(x.grad, 2 + x.detach().exp())


def test_contexts_of_both_runs():
    seen = []

    class Seen:
        def __init__(self, name):
            self.name = name

        def __enter__(self):
            seen.append(self.name)

        def __exit__(self, *args):
            pass

    x = torch.randn(3, requires_grad=True)
    out = cp.checkpoint(
        torch.exp, x, use_reentrant=False, context_fn=lambda: (Seen("first"), Seen("second"))
    )
    assert seen == ["first"]
    out.sum().backward()
    assert seen == ["first", "second"]


def test_autocast_is_the_same_in_both_runs():
    kinds = []
    lin = nn.Linear(3, 3)

    def part(x):
        y = lin(x)
        kinds.append(y.dtype)
        return y.float().tanh()

    x = torch.randn(2, 3, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = cp.checkpoint(part, x, use_reentrant=False)
    out.sum().backward()
    assert kinds == [torch.bfloat16, torch.bfloat16]


def test_a_part_that_changes_is_found():
    x = torch.randn(3, requires_grad=True)
    runs = []

    def fewer(x):
        runs.append(1)
        return x.sin() if len(runs) > 1 else x.sin().exp().cos()

    out = cp.checkpoint(fewer, x, use_reentrant=False)
    with pytest.raises(cp.CheckpointError, match="A different number of tensors was saved"):
        out.sum().backward()

    runs.clear()

    def other_shape(x):
        runs.append(1)
        return (x[:2] if len(runs) > 1 else x).sin().sum()

    out = cp.checkpoint(other_shape, x, use_reentrant=False)
    with pytest.raises(cp.CheckpointError, match="different metadata"):
        out.backward()
    runs.clear()
    out = cp.checkpoint(
        lambda x: other_shape(x) * 1, x, use_reentrant=False, determinism_check="none"
    )
    with pytest.raises(RuntimeError) as caught:
        out.backward()
    assert not isinstance(caught.value, cp.CheckpointError)


def test_arguments_are_checked():
    x = torch.randn(3, requires_grad=True)
    with pytest.raises(ValueError, match="Unexpected keyword arguments: by"):
        cp.checkpoint(torch.mul, x, by=2, use_reentrant=True)
    with pytest.raises(ValueError, match="`context_fn` or `debug` is only supported"):
        cp.checkpoint(torch.sin, x, use_reentrant=True, debug=True)
    with pytest.raises(ValueError, match="determinism_check should be one of"):
        cp.checkpoint(torch.sin, x, use_reentrant=False, determinism_check="some")
    with pytest.raises(ValueError, match="Unexpected keyword arguments: by"):
        cp.checkpoint_sequential([torch.sin], 1, x, use_reentrant=False, by=2)
    with pytest.warns(UserWarning, match="use_reentrant parameter should be passed explicitly"):
        cp.checkpoint(torch.sin, x)
    with pytest.warns(UserWarning, match="None of the inputs have requires_grad=True"):
        cp.checkpoint(torch.sin, x.detach(), use_reentrant=True)
    out = cp.checkpoint(torch.sin, x, use_reentrant=True)
    with pytest.raises(RuntimeError, match=r"incompatible with .grad\(\)"):
        torch.autograd.grad(out.sum(), x)


def test_without_gradients_nothing_is_recorded():
    x = torch.randn(3, requires_grad=True)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("error")
        out = cp.checkpoint(torch.sin, x, use_reentrant=False)
    assert out.grad_fn is None and not out.requires_grad
    assert torch.equal(out, x.detach().sin())
