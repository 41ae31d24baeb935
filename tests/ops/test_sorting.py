"""Sorting, selections, searches, counts: values, stability, gradients and errors."""

import math

import mindtorch_v2 as torch
import pytest

nan = math.nan


@pytest.mark.parametrize("n", [1, 2, 127, 128, 5000])
@pytest.mark.parametrize("dtype", ["int64", "int16", "float32", "float64"])
def test_sort_is_stable_in_both_directions(n, dtype):
    values = [(i * 7919) % 1009 - 500 for i in range(n)]
    x = torch.tensor(values, dtype=getattr(torch, dtype))
    v, k = x.sort()
    assert v.tolist() == sorted(values) and v.dtype is x.dtype
    assert k.tolist() == sorted(range(n), key=lambda i: values[i])
    v, k = torch.sort(x, stable=True, descending=True)
    assert v.tolist() == sorted(values, reverse=True)
    assert k.tolist() == sorted(range(n), key=lambda i: -values[i])


def test_nan_is_largest_and_zeros_are_equal():
    x = torch.tensor([nan, 0.0, -0.0, -1.0, math.inf])
    v, k = x.sort()
    assert k.tolist() == [3, 1, 2, 4, 0] and math.isnan(v[-1].item())
    assert x.argsort(descending=True).tolist()[:2] == [0, 4]


def test_sort_and_topk_along_other_dims():
    x = torch.tensor([[3.0, 1.0], [2.0, 5.0], [9.0, 0.0]])
    assert x.sort(0)[0].tolist() == [[2.0, 0.0], [3.0, 1.0], [9.0, 5.0]]
    assert torch.msort(x).tolist() == x.sort(0)[0].tolist()
    v, k = x.topk(2, 0)
    assert v.tolist() == [[9.0, 5.0], [3.0, 1.0]] and k.tolist() == [[2, 1], [0, 0]]
    assert x.topk(1, largest=False)[0].tolist() == [[1.0], [2.0], [0.0]]


@pytest.mark.parametrize("name", ["sort", "topk", "median", "mode", "kthvalue"])
def test_gradient_goes_to_the_chosen_elements(name):
    x = torch.tensor([[4.0, 1.0, 3.0], [7.0, 9.0, 8.0]], dtype=torch.float64, requires_grad=True)
    args = {"sort": (), "topk": (2,), "median": (1,), "mode": (), "kthvalue": (2,)}[name]
    v, k = getattr(x, name)(*args)
    if v.ndim == 1:
        v, k = v.unsqueeze(1), k.unsqueeze(1)
    weight = torch.arange(1.0, v.numel() + 1).reshape(v.shape)
    (v * weight).sum().backward()
    want = [[0.0] * 3, [0.0] * 3]
    for r, row in enumerate(k.tolist()):
        for j, c in enumerate(row):
            want[r][c] += weight[r][j].item()
    assert x.grad.tolist() == want


def test_medians_modes_and_kth():
    x = torch.tensor([3.0, nan, 1.0, 1.0])
    assert math.isnan(x.median().item()) and x.nanmedian().item() == 1.0
    assert torch.tensor([4, 1, 3, 2]).median().item() == 2
    assert torch.tensor([[2, 2, 1, 1, 5]]).mode()[0].tolist() == [1]
    assert torch.tensor([4, 1, 3]).kthvalue(2)[0].item() == 3


def test_searches():
    edges = torch.tensor([1.0, 3.0, 5.0])
    assert torch.searchsorted(edges, torch.tensor([0.0, 1.0, 4.0, 9.0])).tolist() == [0, 0, 2, 3]
    assert torch.searchsorted(edges, torch.tensor([3.0]), right=True).tolist() == [2]
    mixed = torch.tensor([5.0, 1.0, 3.0])
    assert torch.searchsorted(mixed, torch.tensor([3.0]), sorter=mixed.argsort()).tolist() == [1]
    b = torch.bucketize(torch.tensor([1, 4]), torch.tensor([1, 3, 5]), out_int32=True)
    assert b.tolist() == [0, 2] and b.dtype is torch.int32
    assert torch.isin(torch.tensor([[1, 2], [3, 4]]), torch.tensor([4, 1])).tolist() == [[True, False], [False, True]]
    assert torch.isin(torch.tensor([1, 2]), 2, invert=True).tolist() == [True, False]


def test_unique_and_counts():
    v, i, c = torch._unique2(torch.tensor([[3, 1], [3, 2]]), True, True, True)
    assert v.tolist() == [1, 2, 3] and i.tolist() == [[2, 0], [2, 1]] and c.tolist() == [1, 1, 2]
    assert torch.bincount(torch.tensor([1, 1, 4])).tolist() == [0, 2, 0, 0, 1]
    w = torch.bincount(torch.tensor([1, 1]), torch.tensor([0.5, 2.0]), minlength=3)
    assert w.tolist() == [0.0, 2.5, 0.0] and w.dtype is torch.float32
    assert torch.histc(torch.tensor([1.0, 2.0, 1.0]), 4, 0, 3).tolist() == [0.0, 2.0, 1.0, 0.0]
    assert torch.diff(torch.tensor([1, 4, 9]), n=2, prepend=torch.tensor([0])).tolist() == [2, 2]


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda: torch.ones(3).topk(5), RuntimeError, "selected index k out of range"),
        (lambda: torch.ones(3).kthvalue(5), RuntimeError, "kthvalue(): selected number k out of range for dimension 0"),
        (lambda: torch.zeros(0, 3).median(0), IndexError, "median(): Expected reduction dim 0 to have non-zero size."),
        (lambda: torch.ones(3, dtype=torch.bool).median(), NotImplementedError, "\"median_cpu\" not implemented for 'Bool'"),
        (lambda: torch.bincount(torch.tensor([-1])), RuntimeError, "bincount only supports 1-d non-negative integral inputs."),
        (lambda: torch.ones(2).histc(3, 5, 2), RuntimeError, "torch.histc: max must be larger than min"),
    ],
)
def test_errors(call, kind, text):
    with pytest.raises(kind) as e:
        call()
    assert text in str(e.value)
