"""topk, gather and scatter_add: the short ways against plain loops."""

import math

import pytest

import mindtorch_v2 as torch


@pytest.mark.parametrize("largest", [True, False])
@pytest.mark.parametrize("k", [1, 5, 64])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64, torch.int32, torch.int64])
def test_topk_is_the_front_of_a_stable_sort(k, largest, dtype):
    torch.manual_seed(k)
    x = torch.randint(-40, 40, (4, 300)).to(dtype)
    values, indices = x.topk(k, largest=largest)
    ordered, places = x.sort(stable=True, descending=largest)
    assert torch.equal(values, ordered[:, :k]) and torch.equal(indices, places[:, :k])
    assert torch.equal(x.t().topk(k, 0, largest=largest)[1], indices.t())


@pytest.mark.parametrize("largest", [True, False])
def test_topk_with_nan(largest):
    x = torch.arange(100, dtype=torch.float32).remainder(7)
    x[[3, 50, 99]] = math.nan
    x[10] = -0.0
    values, indices = x.topk(8, largest=largest)
    ordered, places = x.sort(stable=True, descending=largest)
    assert indices.tolist() == places[:8].tolist()
    assert repr(values.tolist()) == repr(ordered[:8].tolist())
    few = torch.full((20,), math.nan).topk(3, largest=largest)
    assert few.values.isnan().all() and few.indices.tolist() == [0, 1, 2]


@pytest.mark.parametrize("dtype", [torch.bool, torch.int16, torch.float32, torch.float64, torch.complex128])
def test_gather_along_the_last_dimension(dtype):
    torch.manual_seed(0)
    x = torch.randint(0, 9, (3, 5, 11)).to(dtype)
    index = torch.randint(0, 11, (3, 5, 17))
    got, rows, want = x.gather(-1, index), x.tolist(), index.tolist()
    assert got.tolist() == [
        [[rows[i][j][k] for k in want[i][j]] for j in range(5)] for i in range(3)
    ]
    assert torch.equal(x.transpose(1, 2).gather(1, index.transpose(1, 2)), got.transpose(1, 2))


@pytest.mark.parametrize("dtype", [torch.int64, torch.float32, torch.float64, torch.int8])
def test_scatter_add_along_the_last_dimension(dtype):
    torch.manual_seed(0)
    x, source = torch.zeros(4, 6, dtype=dtype), torch.randint(-5, 5, (4, 50)).to(dtype)
    index = torch.randint(0, 6, (4, 50))
    got = x.scatter_add(1, index, source)
    for i in range(4):
        for k in range(6):
            assert got[i, k] == sum(v for v, at in zip(source[i].tolist(), index[i].tolist()) if at == k)
    assert x.sum() == 0
    assert torch.equal(x.t().contiguous().scatter_add(0, index.t(), source.t()), got.t())


@pytest.mark.parametrize("bad", [-1, 6])
def test_indices_out_of_range(bad):
    x, index = torch.zeros(2, 6), torch.zeros(2, 3, dtype=torch.int64)
    index[1, 2] = bad
    message = f"index {bad} is out of bounds for dimension 1 with size 6"
    with pytest.raises(RuntimeError, match=message):
        x.gather(1, index)
    with pytest.raises(RuntimeError, match=message):
        x.scatter_add_(1, index, torch.ones(2, 3))
    assert x.sum() == 0
