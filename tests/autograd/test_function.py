"""torch.autograd.Function."""

import gc
import weakref

import pytest

import mindtorch_v2 as torch
from mindtorch_v2.autograd import Function
from mindtorch_v2.autograd.function import once_differentiable


class Square(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * 2 * x


class Scale(Function):
    result = None

    @staticmethod
    def forward(ctx, x, k):
        ctx.k = k
        return x * k

    @staticmethod
    def backward(ctx, grad):
        return (grad * ctx.k, None) if Scale.result is None else Scale.result


def leaf(*values):
    return torch.tensor(list(values), requires_grad=True)


def test_gradient_name_and_double_backward():
    x = leaf(1.0, 3.0)
    y = Square.apply(x)
    assert type(y.grad_fn).__name__ == "SquareBackward" and y.grad_fn.name() == "SquareBackward"
    (g,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    assert g.tolist() == [2.0, 6.0]
    g.sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]


def test_arguments_that_are_no_tensors():
    x = leaf(1.0, 2.0)
    Scale.apply(x, 3).sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]
    assert not Scale.apply(x.detach(), 3).requires_grad
    with torch.no_grad():
        assert Scale.apply(x, 3).grad_fn is None


@pytest.mark.parametrize(
    "make, text",
    [
        (lambda g: (g,), r"function ScaleBackward returned an incorrect number of gradients \(expected 2, got 1\)"),
        (lambda g: (g, None, g), r"incorrect number of gradients \(expected 2, got 3\)"),
        (lambda g: (g, g), "returned a gradient different than None at position 2, but the corresponding"),
        (lambda g: (1, None), r"expected Variable or None \(got int\)"),
    ],
)
def test_wrong_gradients(make, text):
    Scale.result = make(torch.ones(2))
    try:
        with pytest.raises(RuntimeError, match=text):
            Scale.apply(leaf(1.0, 2.0), 3).sum().backward()
        Scale.result = (torch.ones(2), None, None)
        Scale.apply(leaf(1.0, 2.0), 3).sum().backward()
    finally:
        Scale.result = None


def test_saved_tensors_are_freed_and_checked():
    x = leaf(1.0, 2.0)
    y = Square.apply(x)
    y.sum().backward()
    with pytest.raises(RuntimeError, match="Trying to backward through the graph a second time"):
        y.sum().backward()
    z = x * 1
    y = Square.apply(z)
    with torch.no_grad():
        z.add_(1)
    with pytest.raises(RuntimeError, match="has been modified by an inplace operation"):
        y.sum().backward()


def test_only_tensors_can_be_saved():
    class Bad(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(1)
            return x * 1

    with pytest.raises(TypeError, match="can only save variables, but argument 0 is of type int"):
        Bad.apply(leaf(1.0))


def test_setup_context():
    class Cube(Function):
        @staticmethod
        def forward(x, power=3):
            return x**power

        @staticmethod
        def setup_context(ctx, inputs, output):
            x, ctx.power = inputs
            ctx.save_for_backward(x, output)

        @staticmethod
        def backward(ctx, grad):
            x, y = ctx.saved_tensors
            assert y.tolist() == [8.0] and y.grad_fn is not None
            assert ctx.needs_input_grad == (True, False)
            return grad * ctx.power * x * x, None

    x = leaf(2.0)
    Cube.apply(x).backward()
    assert x.grad.tolist() == [12.0]


def test_marks_and_missing_gradients():
    seen = []

    class Two(Function):
        @staticmethod
        def forward(ctx, x, materialize):
            ctx.set_materialize_grads(materialize)
            fixed = x * 3
            ctx.mark_non_differentiable(fixed)
            return x * 2, x * 5, fixed, "text"

        @staticmethod
        def backward(ctx, a, b, c, d):
            seen.append((a is None, b is None, c is None, d is None))
            return a * 2, None

    x = leaf(1.0)
    a, b, fixed, text = Two.apply(x, True)
    assert b.requires_grad and not fixed.requires_grad and text == "text"
    a.sum().backward()
    Two.apply(x, False)[0].sum().backward()
    assert seen == [(False, False, False, True), (False, True, True, True)]
    assert x.grad.tolist() == [4.0]


def test_input_returned_as_it_is():
    class Same(Function):
        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def backward(ctx, grad):
            return grad * 7

    x = leaf(1.0, 2.0)
    y = Same.apply(x)
    assert y is not x and x.is_leaf and y.tolist() == [1.0, 2.0]
    y.sum().backward()
    assert x.grad.tolist() == [7.0, 7.0]
    z = Same.apply(x * 1)
    with pytest.raises(RuntimeError, match="Output 0 of SameBackward is a view|Output 0 of Same"):
        z.add_(1)


def test_dirty_input():
    class Double(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.mark_dirty(x)
            return x.mul_(2)

        @staticmethod
        def backward(ctx, grad):
            return grad * 2

    x = leaf(1.0, 2.0)
    y = x * 1
    z = Double.apply(y)
    assert z is y and y.tolist() == [2.0, 4.0]
    z.sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad has been used in an in-place"):
        Double.apply(leaf(1.0))
    x.grad = None
    whole = x * 1
    Double.apply(whole[:1])
    whole.sum().backward()
    assert x.grad.tolist() == [2.0, 1.0]


def test_dirty_must_be_returned():
    class Lost(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.mark_dirty(x)
            return x * 2

    with pytest.raises(RuntimeError, match="Some elements marked as dirty during the forward method"):
        Lost.apply(leaf(1.0) * 1)


def test_once_differentiable():
    class Once(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        @once_differentiable
        def backward(ctx, grad):
            return grad * 2

    x, w = leaf(1.0), leaf(1.0)
    assert torch.autograd.grad(Once.apply(x).sum(), x)[0].tolist() == [2.0]
    (g,) = torch.autograd.grad(Once.apply(x), x, w, create_graph=True)
    with pytest.raises(RuntimeError, match="trying to differentiate twice a function that was marked with @once_diff"):
        g.sum().backward()


def test_exceptions_come_through():
    class Broken(Function):
        @staticmethod
        def forward(ctx, x, where):
            if where:
                raise KeyError("forward")
            return x * 1

        @staticmethod
        def backward(ctx, grad):
            raise IndexError("backward")

    with pytest.raises(KeyError, match="forward"):
        Broken.apply(leaf(1.0), True)
    assert torch.is_grad_enabled()
    with pytest.raises(IndexError, match="backward"):
        Broken.apply(leaf(1.0), False).backward()


def test_what_is_not_defined():
    class Nothing(Function):
        pass

    with pytest.raises(NotImplementedError, match="You must implement the forward function"):
        Nothing.apply(leaf(1.0))


def test_a_cycle_through_the_context_is_collected():
    class Keeper(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.mine = ctx
            y = x * 2
            ctx.save_for_backward(y, x)
            return y

        @staticmethod
        def backward(ctx, grad):
            return grad * 2

    x = leaf(1.0)
    y = Keeper.apply(x)
    y.grad_fn.back = y
    dead = weakref.ref(y)
    y.sum().backward()
    del y
    gc.collect()
    assert dead() is None and x.grad.tolist() == [2.0]


def test_hooks_of_the_node():
    x = leaf(1.0)
    y = Square.apply(x)
    y.grad_fn.register_hook(lambda i, o: (i[0] * 10,))
    y.backward()
    assert x.grad.tolist() == [20.0]
