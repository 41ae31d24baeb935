"""Sums, means and powers take different ways by layout and exponent: each gives what the plain way
gives, with the same bits for every number of threads."""

import math

import pytest

import mindtorch_v2 as torch

SHAPES = [
    ((1000, 300), 0),
    ((3, 70, 65), 1),
    ((2, 5, 7, 40), (1, 2)),
    ((257, 1025), 0),
    ((5000, 5), 0),
    ((6, 0, 8), 1),
    ((130, 4), -2),
]


@pytest.mark.parametrize("shape, dim", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64])
def test_sum_of_columns(shape, dim, dtype):
    torch.manual_seed(0)
    x = torch.randn(shape, dtype=torch.float64) if dtype != torch.int64 else torch.randint(-9, 9, shape)
    x = x.to(dtype)
    got = x.sum(dim)
    dims = (dim,) if isinstance(dim, int) else dim
    dims = tuple(d % len(shape) for d in dims)
    kept = [d for d in range(len(shape)) if d not in dims]
    want = x.double().permute(*kept, *dims).contiguous().reshape(*[shape[d] for d in kept], -1).sum(-1)
    assert got.dtype == dtype and got.shape == want.shape
    if dtype == torch.float32:
        size = math.sqrt(max(1, x.numel() // max(1, got.numel())))
        assert torch.all((got.double() - want).abs() <= 1e-6 * size)
    else:
        assert torch.allclose(got.double(), want, rtol=1e-13, atol=1e-12)
    if dtype != torch.int64:
        assert torch.allclose(x.mean(dim), got / (x.numel() / max(1, got.numel()) or math.nan), equal_nan=True)


def test_same_bits_for_every_number_of_threads():
    torch.manual_seed(1)
    x, threads = torch.randn(700, 900), torch.get_num_threads()
    try:
        results = []
        for n in (1, 2, 3):
            torch.set_num_threads(n)
            results.append((x.sum(0), x.sum(1), x.sum(), x.norm(), x.std(0), x.mean(0)))
        for other in results[1:]:
            assert all(torch.equal(a, b) for a, b in zip(results[0], other))
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("n", [1, 31, 32, 33, 1023, 1024, 1025, 4097])
def test_rows_of_any_length(n):
    x = torch.arange(n, dtype=torch.float32).remainder(7) - 2
    assert x.sum().item() == sum(x.tolist())
    assert x.norm(1).item() == sum(abs(v) for v in x.tolist())
    assert x.norm().item() == pytest.approx(math.sqrt(sum(v * v for v in x.tolist())), rel=1e-6)
    y = x.clone()
    y[n // 2] = math.nan
    assert y.sum().isnan() and y.nansum().item() == sum(v for v in y.tolist() if v == v)
    assert x.double().var(correction=0).item() == pytest.approx(
        sum((v - x.mean().item()) ** 2 for v in x.tolist()) / n, rel=1e-5, abs=1e-9
    )


@pytest.mark.parametrize("exponent", [2, 3, 0.5, -1, 0, 2.5, -2.0, 1])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_pow_by_a_number(exponent, dtype):
    x = torch.tensor([0.25, 1.0, 2.0, 3.5, 9.0, 0.0, math.inf] * 100, dtype=dtype)
    want = [v**exponent if v or exponent >= 0 else math.inf for v in x.tolist()]
    got = (x**exponent).double()
    tolerance = {torch.float32: 1e-6, torch.float64: 1e-14, torch.bfloat16: 8e-3}[dtype]
    assert torch.allclose(got, torch.tensor(want, dtype=torch.float64), rtol=tolerance, atol=0)
    assert torch.equal((x.reshape(70, 10).t() ** exponent).t().reshape(-1), x**exponent)


def test_gelu_by_name_of_approximation():
    x = torch.linspace(-4, 4, 1001)
    exact = [0.5 * v * (1 + math.erf(v / math.sqrt(2))) for v in x.tolist()]
    near = [0.5 * v * (1 + math.tanh(math.sqrt(2 / math.pi) * (v + 0.044715 * v**3))) for v in x.tolist()]
    gelu = torch.nn.functional.gelu
    assert torch.allclose(gelu(x), torch.tensor(exact), rtol=1e-5, atol=1e-6)
    assert torch.allclose(gelu(x, approximate="tanh"), torch.tensor(near), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.bfloat16, torch.float32, torch.float64])
def test_every_second_element(dtype):
    x = (torch.arange(200) % 50).to(dtype).reshape(2, 100)
    assert (x[:, ::2] + x[:, 1::2]).tolist() == [
        [(a + b) for a, b in zip(row[::2], row[1::2])] for row in x.tolist()
    ]
    assert x[:, 1::2].contiguous().tolist() == [row[1::2] for row in x.tolist()]
