"""Quantiles, covariance, differences along grids and windows, against NumPy."""

import math

import numpy as np
import pytest

import mindtorch_v2 as torch


def near(ours, theirs, tol=1e-12):
    np.testing.assert_allclose(ours.numpy(), theirs, rtol=tol, atol=tol)


@pytest.mark.parametrize("how", ["linear", "lower", "higher", "midpoint", "nearest"])
@pytest.mark.parametrize("dim", [None, 0, 1, -1])
def test_quantiles(how, dim):
    x = torch.randn(5, 8, dtype=torch.float64)
    q = torch.tensor([0.0, 0.3, 0.5, 1.0], dtype=torch.float64)
    near(torch.quantile(x, q, dim, interpolation=how), np.quantile(x.numpy(), q.numpy(), axis=dim, method=how))
    near(x.quantile(0.2, dim, True, interpolation=how), np.quantile(x.numpy(), 0.2, axis=dim, method=how, keepdims=True))
    x[2, 3] = math.nan
    near(torch.quantile(x, q, dim, interpolation=how), np.quantile(x.numpy(), q.numpy(), axis=dim, method=how))
    near(torch.nanquantile(x, q, dim, interpolation=how), np.nanquantile(x.numpy(), q.numpy(), axis=dim, method=how))


def test_quantile_of_nothing_but_nan():
    x = torch.full((2, 3), math.nan)
    assert torch.nanquantile(x, 0.5, dim=1).isnan().all()


def test_covariance():
    x = torch.randn(4, 9, dtype=torch.float64)
    f, a = torch.randint(1, 5, (9,)), torch.rand(9, dtype=torch.float64)
    for correction in (0, 1):
        near(torch.cov(x, correction=correction, fweights=f, aweights=a),
             np.cov(x.numpy(), ddof=correction, fweights=f.numpy(), aweights=a.numpy()))
        near(torch.cov(x, correction=correction), np.cov(x.numpy(), ddof=correction))
    near(torch.corrcoef(x), np.corrcoef(x.numpy()))
    z = torch.randn(3, 6, dtype=torch.complex128)
    near(torch.cov(z), np.cov(z.numpy()))
    near(torch.corrcoef(z), np.corrcoef(z.numpy()))
    near(torch.cov(x[0]), np.cov(x[0].numpy()))


def test_differences():
    x = torch.randn(6, 7, dtype=torch.float64)
    for edge in (1, 2):
        for ours, theirs in zip(torch.gradient(x, edge_order=edge), np.gradient(x.numpy(), edge_order=edge)):
            near(ours, theirs)
        places = torch.rand(7, dtype=torch.float64).cumsum(0)
        ours, = torch.gradient(x, spacing=(places,), dim=1, edge_order=edge)
        near(ours, np.gradient(x.numpy(), places.numpy(), axis=1, edge_order=edge))
        ours, = torch.gradient(x, spacing=0.5, dim=(0,), edge_order=edge)
        near(ours, np.gradient(x.numpy(), 0.5, axis=0, edge_order=edge))


@pytest.mark.parametrize("n", [0, 1, 2, 5, 8])
def test_windows(n):
    for name, reference in [("hann", np.hanning), ("hamming", np.hamming), ("blackman", np.blackman), ("bartlett", np.bartlett),
                            ("kaiser", lambda m: np.kaiser(m, 12.0))]:
        f = getattr(torch, name + "_window")
        near(f(n, False, dtype=torch.float64), reference(n))
        if n > 1:
            near(f(n, dtype=torch.float64), reference(n + 1)[:-1])


@pytest.mark.parametrize("call, text", [
    (lambda x: torch.quantile(x, 1.5), r"quantile\(\) q must be in the range \[0, 1\] but got 1.5"),
    (lambda x: torch.quantile(x.long(), 0.5), r"quantile\(\) input tensor must be either float or double dtype"),
    (lambda x: torch.quantile(x, torch.zeros(1, 1)), r"quantile\(\) q must be a scalar or 1D tensor"),
    (lambda x: torch.cov(x[None]), "cov.*expected input to have two or fewer dimensions"),
    (lambda x: torch.gradient(x, edge_order=3), "torch.gradient only supports edge_order=1 and edge_order=2."),
    (lambda x: torch.hann_window(-1), "hann_window requires non-negative window_length, got window_length=-1"),
])
def test_errors(call, text):
    with pytest.raises(RuntimeError, match=text):
        call(torch.zeros(2, 3))
