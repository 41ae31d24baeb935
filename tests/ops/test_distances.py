"""Distances of rows: values, gradients, the faster way through a product of matrices, errors."""

import math

import numpy as np
import pytest

import mindtorch_v2 as torch


def reference(a, b, p):
    d = np.abs(a[..., :, None, :] - b[..., None, :, :])
    if p == 0:
        return (d != 0).sum(-1)
    return d.max(-1) if p == math.inf else (d**p).sum(-1) ** (1 / p)


def near(ours, theirs, tol=1e-12):
    np.testing.assert_allclose(ours.detach().numpy(), theirs, rtol=tol, atol=tol)


@pytest.mark.parametrize("p", [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, math.inf])
def test_values_and_gradients(p, threads):
    a, b = torch.randn(2, 1, 7, 4, dtype=torch.float64), torch.randn(3, 5, 4, dtype=torch.float64)
    near(torch.cdist(a, b, p), reference(a.numpy(), b.numpy(), p))
    i, j = np.triu_indices(7, 1)
    x = a[0, 0].clone().requires_grad_()
    near(torch.pdist(x, p), reference(x.detach().numpy(), x.detach().numpy(), p)[i, j])
    if p:
        assert torch.autograd.gradcheck(lambda v: torch.cdist(v, b, p), (a.requires_grad_(),))
        assert torch.autograd.gradcheck(lambda v: torch.cdist(b, v, p), (a,))
        assert torch.autograd.gradcheck(lambda v: torch.pdist(v, p), (x,))


def test_many_rows_go_through_a_product():
    a, b = torch.randn(2, 30, 4, dtype=torch.float64, requires_grad=True), torch.randn(6, 4, dtype=torch.float64)
    near(torch.cdist(a, b), reference(a.detach().numpy(), b.numpy(), 2.0), 1e-7)
    assert torch.autograd.gradcheck(torch.cdist, (a, b))
    exact = torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")
    near(exact, reference(a.detach().numpy(), b.numpy(), 2.0))
    x = torch.ones(30, 3, requires_grad=True)
    torch.cdist(x, x).sum().backward()
    assert x.grad.abs().max() == 0
    with pytest.raises(ValueError, match="other is not a valid value for compute_mode"):
        torch.cdist(a, b, compute_mode="other")


def test_equal_rows_have_no_slope():
    x = torch.ones(3, 4, requires_grad=True)
    for p in (0.5, 1.0, 2.0, 3.0, math.inf):
        g = torch.autograd.grad(torch.cdist(x, x, p).sum() + torch.pdist(x, p).sum(), x)[0]
        assert g.abs().max() == 0


def test_nothing():
    assert torch.cdist(torch.ones(0, 3), torch.ones(2, 3)).shape == (0, 2)
    assert torch.cdist(torch.ones(2, 0), torch.ones(3, 0)).tolist() == [[0.0] * 3] * 2
    assert torch.pdist(torch.ones(1, 3)).shape == (0,)
    assert torch.pdist(torch.ones(3, 0)).tolist() == [0.0] * 3


@pytest.mark.parametrize("call, text", [
    (lambda x: torch.cdist(x, x[0]), "cdist only supports at least 2D tensors, X2 got: 1D"),
    (lambda x: torch.cdist(x, x[:, :1]), "X1 and X2 must have the same number of columns. X1: 3 X2: 1"),
    (lambda x: torch.cdist(x, x, -1.0), "cdist only supports non-negative p values"),
    (lambda x: torch.cdist(x.long(), x), "cdist only supports floating-point dtypes, X1 got: Long"),
    (lambda x: torch.pdist(x[0]), "pdist only supports 2D tensors, got: 1D"),
    (lambda x: torch.pdist(x, -1.0), "pdist only supports non-negative p values"),
    (lambda x: torch.pdist(x.long()), "pdist only supports floating-point dtypes"),
])
def test_errors(call, text):
    with pytest.raises(RuntimeError, match=text):
        call(torch.zeros(2, 3))
