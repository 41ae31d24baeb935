"""Histograms of one and more dimensions against NumPy, and their errors."""

import numpy as np
import pytest

import mindtorch_v2 as torch


@pytest.mark.parametrize("density", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_one_dimension(density, weighted):
    x = torch.randn(40, 5, dtype=torch.float64)
    w = torch.rand(40, 5, dtype=torch.float64) if weighted else None
    weights = w.numpy() if weighted else None
    for bins, limits in [(7, None), (4, (-1.0, 0.5)), (1, (2.0, 2.0))]:
        ours = torch.histogram(x, bins, range=limits, weight=w, density=density)
        with np.errstate(invalid="ignore"):
            hist, edges = np.histogram(x.numpy(), bins, range=limits, weights=weights, density=density)
        np.testing.assert_allclose(ours.hist.numpy(), hist, atol=1e-12)
        np.testing.assert_allclose(ours.bin_edges.numpy(), edges, atol=1e-12)
    edges = torch.tensor([-2.0, -0.5, 0.1, 3.0], dtype=torch.float64)
    hist, same = torch.histogram(x, edges, weight=w, density=density)
    np.testing.assert_allclose(hist.numpy(), np.histogram(x.numpy(), edges.numpy(), weights=weights, density=density)[0], atol=1e-12)
    assert same.tolist() == edges.tolist()


def test_edges_belong_to_the_bin_on_their_right():
    x = torch.tensor([0.0, 0.25, 0.5, 1.0, 1.0, 1.5, float("nan")])
    assert torch.histogram(x, torch.tensor([0.0, 0.25, 0.5, 1.0])).hist.tolist() == [1.0, 1.0, 3.0]
    assert torch.histogram(torch.ones(2), 3).bin_edges[0] == 0.5
    assert torch.histogram(torch.ones(0), 2).bin_edges.tolist() == [0.0, 0.5, 1.0]


def test_several_dimensions():
    x, w = torch.rand(30, 3, dtype=torch.float64), torch.rand(30, dtype=torch.float64)
    for density in (False, True):
        for bins in (4, (2, 3, 4)):
            hist, edges = torch.histogramdd(x, bins, weight=w, density=density)
            want, want_edges = np.histogramdd(x.numpy(), bins, weights=w.numpy(), density=density)
            np.testing.assert_allclose(hist.numpy(), want, atol=1e-12)
            assert all(np.allclose(a.numpy(), b) for a, b in zip(edges, want_edges, strict=True))
    edges = [torch.tensor([0.0, 0.3, 1.0], dtype=torch.float64)] * 3
    np.testing.assert_allclose(torch.histogramdd(x, edges).hist.numpy(), np.histogramdd(x.numpy(), [e.numpy() for e in edges])[0])
    limits = (0.0, 0.5, 0.0, 1.0, 0.2, 0.9)
    want = np.histogramdd(x.numpy(), 2, range=np.reshape(limits, (3, 2)))[0]
    np.testing.assert_allclose(torch.histogramdd(x, 2, range=limits).hist.numpy(), want)
    assert torch.histogramdd(x.reshape(5, 6, 3), 2).hist.tolist() == torch.histogramdd(x, 2).hist.tolist()


def test_out():
    x = torch.randn(9)
    hist, edges = torch.empty(0), torch.empty(0)
    result = torch.histogram(x, 3, out=(hist, edges))
    assert result.hist is hist and hist.sum() == 9 and edges.shape == (4,)


@pytest.mark.parametrize("call, error, text", [
    (lambda x: torch.histogram(x, 0), RuntimeError, r"torch.histogram\(\): bins must be > 0, but got 0 for dimension 0"),
    (lambda x: torch.histogram(x, 2, range=(1.0, 0.0)), RuntimeError, "min should not exceed max, but got min 1 max 0 for dimension 0"),
    (lambda x: torch.histogram(x, 2, range=(1.0,)), RuntimeError, "for a 1-dimensional histogram range should have 2 elements, but got 1"),
    (lambda x: torch.histogram(x, 2, range=(1.0, float("inf"))), RuntimeError, r"dimension 0's range \[1, inf\] is not finite"),
    (lambda x: torch.histogram(x, torch.ones(2, 2)), RuntimeError, "bins tensor should have one dimension, but got 2 dimensions"),
    (lambda x: torch.histogram(x, torch.ones(2).double()), RuntimeError, "got input with dtype float and bins for dimension 0 with dtype double"),
    (lambda x: torch.histogram(x, 2, weight=x[:1]), RuntimeError, r"input with shape \[6, 1\] and weight with shape \[3\]"),
    (lambda x: torch.histogram(x.long(), 2), NotImplementedError, "\"histogramdd\" not implemented for 'Long'"),
    (lambda x: torch.histogramdd(x, (2,)), RuntimeError, "The size of bins must be equal to the innermost dimension of the input."),
    (lambda x: torch.histogramdd(x[0], 2), RuntimeError, "input tensor should have at least 2 dimensions"),
    (lambda x: torch.histogramdd(x, [torch.ones(2)]), RuntimeError, "expected 3 sequences of bin edges for a 3-dimensional histogram but got 1"),
])
def test_errors(call, error, text):
    with pytest.raises(error, match=text):
        call(torch.zeros(2, 3))
