"""Gradient checks, gradient edges, anomaly mode, callbacks."""

import pytest

import mindtorch_v2 as torch
from mindtorch_v2.autograd import Function, Variable, gradcheck, gradgradcheck, graph


def double(*values):
    return torch.tensor(list(values), dtype=torch.float64, requires_grad=True)


def test_right_gradients_pass():
    x, w = double(1.5, -0.7), double(0.5, 2.0)
    assert gradcheck(lambda a, b: (a * b * b).sum(), (x, w))
    assert gradgradcheck(lambda a, b: a * b * b, (x, w))
    assert x.tolist() == [1.5, -0.7] and x.grad is None


def test_wrong_gradients_are_found():
    class Wrong(Function):
        @staticmethod
        def forward(ctx, a):
            return a * 2

        @staticmethod
        def backward(ctx, grad):
            return grad * 3

    with pytest.raises(RuntimeError, match="Jacobian mismatch for output 0 with respect to input 0"):
        gradcheck(Wrong.apply, (double(1.0),))
    assert gradcheck(Wrong.apply, (double(1.0),), raise_exception=False) is False
    with pytest.raises(ValueError, match="gradcheck expects at least one input tensor to require"):
        gradcheck(lambda a: a, torch.ones(2))


def test_complex():
    z = torch.tensor([1 + 2j], dtype=torch.complex128, requires_grad=True)
    assert gradcheck(lambda a: a * a, (z,))


def test_gradient_edges():
    x = double(1.0, 2.0)
    y = x * 2
    edge = graph.get_gradient_edge(y)
    assert edge.node is y.grad_fn and edge.output_nr == 0
    assert torch.autograd.grad((y * 3).sum(), edge, retain_graph=True)[0].tolist() == [3.0, 3.0]
    assert torch.autograd.grad((y * 3).sum(), graph.get_gradient_edge(x))[0].tolist() == [6.0, 6.0]
    start = torch.tensor([5.0, 7.0], dtype=torch.float64)
    assert torch.autograd.grad(graph.get_gradient_edge(x * 2), x, start)[0].tolist() == [10.0, 14.0]
    with pytest.raises(RuntimeError, match="not possible to get the gradient edge"):
        graph.get_gradient_edge(torch.ones(2))


def test_anomaly_mode_names_the_node():
    class Nan(Function):
        @staticmethod
        def forward(ctx, a):
            return a * 1

        @staticmethod
        def backward(ctx, grad):
            return grad * float("nan")

    with torch.autograd.set_detect_anomaly(True):
        with pytest.raises(RuntimeError, match="Function 'NanBackward' returned nan values in its 0th"):
            Nan.apply(double(1.0)).sum().backward()
    Nan.apply(double(1.0)).sum().backward()


def test_callbacks_run_after_backward():
    x = double(1.0)
    seen = []
    queue = Variable._execution_engine.queue_callback
    x.register_hook(lambda g: queue(lambda: seen.append(x.grad.tolist())))
    (x * 2).sum().backward()
    assert seen == [[2.0]]
    with pytest.raises(RuntimeError, match="Final callbacks can only be installed during backward pass"):
        queue(lambda: None)
