"""Forward mode: every operator against reverse mode, levels, views, in-place, custom functions."""

import pytest

import mindtorch_v2 as torch
import mindtorch_v2.autograd.forward_ad as fwAD
from mindtorch_v2.func import jvp, vjp
from tests.autograd.transform_samples import OPERATORS, close, inputs

NAMES = list(OPERATORS)


def along(name):
    torch.manual_seed(3)
    return [torch.randn(x.shape, dtype=x.dtype) for x in inputs(name)]


@pytest.mark.parametrize("name", NAMES)
def test_against_reverse_mode(name):
    """<w, J v> from forward mode is <J' w, v> from reverse mode."""
    function = OPERATORS[name][0]
    xs, vs = inputs(name), along(name)
    with fwAD.dual_level():
        out = function(*(fwAD.make_dual(x, v) for x, v in zip(xs, vs)))
        value, tangent = fwAD.unpack_dual(out)
        assert tangent is not None and not tangent.requires_grad
    close(value, function(*xs))
    assert tangent.shape == value.shape
    w = value.cos()
    leaves = [x.requires_grad_() for x in xs]
    found = torch.autograd.grad((function(*leaves) * w).sum(), leaves)
    close((w * tangent).sum(), sum((g * v).sum() for g, v in zip(found, vs)))


@pytest.mark.parametrize("name", NAMES)
def test_one_input_at_a_time(name):
    function = OPERATORS[name][0]
    xs, vs = inputs(name), along(name)
    total = 0
    for k in range(len(xs)):
        total = total + jvp(lambda x: function(*(x if i == k else y for i, y in enumerate(xs))), (xs[k],), (vs[k],))[1]
    close(total, jvp(function, tuple(xs), tuple(vs))[1])


SECOND = [n for n in NAMES if not n.startswith("inplace")]


@pytest.mark.parametrize("name", SECOND)
def test_second_derivatives_four_ways(name):
    """Forward over forward, forward over reverse, reverse over forward and reverse over reverse."""
    function = OPERATORS[name][0]
    xs, vs = inputs(name), along(name)

    def total(t):
        return function(*(x + t * v for x, v in zip(xs, vs))).sin().sum()

    t, one = torch.tensor(0.0, dtype=torch.float64), torch.tensor(1.0, dtype=torch.float64)

    def forward(f):
        return lambda s: jvp(f, (s,), (one,))[1]

    def reverse(f):
        return lambda s: vjp(f, s)[1](one)[0]

    found = [outer(inner(total))(t) for outer in (forward, reverse) for inner in (forward, reverse)]
    for other in found[1:]:
        close(found[0], other, 1e-8)
    assert not any(x.requires_grad for x in found)


@pytest.mark.parametrize("name", NAMES)
def test_vmap_of_jvp_and_jvp_of_vmap(name):
    function = OPERATORS[name][0]
    xs = inputs(name, (3,))
    torch.manual_seed(4)
    vs = [torch.randn_like(x) for x in xs]
    expected = torch.stack([
        jvp(function, tuple(x[e] for x in xs), tuple(v[e] for v in vs))[1] for e in range(3)
    ])
    close(torch.func.vmap(lambda a, b: jvp(function, a, b)[1])(tuple(xs), tuple(vs)), expected)
    close(jvp(torch.func.vmap(function), tuple(xs), tuple(vs))[1], expected)


def test_levels():
    x = torch.ones(2)
    with pytest.raises(RuntimeError, match="Trying to create a dual Tensor for forward AD but no level exists, make "
                       "sure to enter_dual_level\\(\\) first."):
        fwAD.make_dual(x, x)
    with fwAD.dual_level():
        d = fwAD.make_dual(x, torch.full((2,), 3.0))
        assert fwAD.unpack_dual(x).tangent is None
        assert fwAD.unpack_dual(d * 2).tangent.tolist() == [6.0, 6.0]
        assert d.data_ptr() == x.data_ptr()
        with pytest.raises(RuntimeError, match="Making a dual Tensor based on a Tensor that already has a forward "
                           "gradient at the same level 0 is not supported."):
            fwAD.make_dual(d, x)
        with pytest.raises(RuntimeError, match="Nested forward mode AD is not supported at the moment"):
            fwAD.enter_dual_level()
        with fwAD._set_fwd_grad_enabled(False):
            assert fwAD.unpack_dual(d * 2).tangent is None
    assert fwAD.unpack_dual(d).tangent is None
    with fwAD.dual_level():
        assert fwAD.unpack_dual(d).tangent is None
        with pytest.raises(RuntimeError, match="Trying to set a forward gradient that has a different size than that "
                           "of the original Tensor, this is not supported. Tensor is of size \\[2\\] while the given "
                           "forward gradient is of size \\[3\\]."):
            fwAD.make_dual(x, torch.ones(3))
        with pytest.raises(ValueError, match="Expected primal to be floating point or complex, but got: torch.int64"):
            fwAD.make_dual(torch.ones(2, dtype=torch.int64), x)
    with pytest.raises(RuntimeError, match="Dual level must be a positive number."):
        fwAD.exit_dual_level()


def test_in_place_and_views():
    with fwAD.dual_level():
        d = fwAD.make_dual(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 10.0]))
        plain = torch.ones(2)
        plain.mul_(d)
        assert fwAD.unpack_dual(plain).tangent.tolist() == [1.0, 10.0]
        e = d * 1
        e[0].mul_(5)
        assert fwAD.unpack_dual(e).tangent.tolist() == [5.0, 10.0]
        base = torch.zeros(3)
        base[1:].copy_(d)
        assert fwAD.unpack_dual(base).tangent.tolist() == [0.0, 1.0, 10.0]
        square = d * 1
        square.pow_(2)
        assert fwAD.unpack_dual(square).tangent.tolist() == [2.0, 40.0]


def test_with_backward():
    x = torch.tensor([0.3, 0.7], dtype=torch.float64, requires_grad=True)
    with fwAD.dual_level():
        d = fwAD.make_dual(x, torch.ones(2, dtype=torch.float64))
        tangent = fwAD.unpack_dual(d.sin().exp()).tangent
        (g,) = torch.autograd.grad(tangent.sum(), x)
    y = x.detach()
    close(g, y.sin().exp() * (y.cos() ** 2 - y.sin()))


def test_complex():
    x = torch.tensor([1 + 2j, -0.5 + 1j], dtype=torch.complex128)
    v = torch.tensor([0.3 - 1j, 2 + 0j], dtype=torch.complex128)
    for function, slope in [(torch.exp, x.exp()), (torch.sin, x.cos()), (lambda z: z * z, 2 * x),
                            (lambda z: 1 / z, -1 / (x * x)), (torch.sqrt, 0.5 / x.sqrt())]:
        close(jvp(function, (x,), (v,))[1], slope * v)
    close(jvp(torch.abs, (x,), (v,))[1], torch.real(x.conj() * v) / x.abs())
    close(jvp(torch.real, (x,), (v,))[1], torch.real(v))


def test_custom_function():
    class Cube(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_forward(x)
            return x**3

        @staticmethod
        def backward(ctx, g):
            raise AssertionError("not reverse mode")

        @staticmethod
        def jvp(ctx, t):
            (x,) = ctx.saved_tensors
            return 3 * x * x * t

    class Silent(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

    with fwAD.dual_level():
        d = fwAD.make_dual(torch.tensor([2.0]), torch.tensor([5.0]))
        assert fwAD.unpack_dual(Cube.apply(d)).tangent.tolist() == [60.0]
        with pytest.raises(NotImplementedError, match="You must implement the jvp function for custom "
                           "autograd.Function to use it with forward mode AD."):
            Silent.apply(d)
