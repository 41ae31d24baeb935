"""Reductions, scans and softmax: values, gradients, dtypes and errors."""

import math

import mindtorch_v2 as torch
import pytest

inf, nan = math.inf, math.nan


def grad_of(f, values):
    x = torch.tensor(values, dtype=torch.float64, requires_grad=True)
    y = f(x)
    y = y[0] if isinstance(y, tuple) else y
    y.sum().backward()
    return x.grad.tolist(), type(y.grad_fn).__name__


def numeric(f, values, eps=1e-6):
    def total(v):
        y = f(torch.tensor(v, dtype=torch.float64))
        return (y[0] if isinstance(y, tuple) else y).sum().item()

    out = []
    for i, row in enumerate(values):
        out.append([])
        for j in range(len(row)):
            a, b = [list(r) for r in values], [list(r) for r in values]
            a[i][j] += eps
            b[i][j] -= eps
            out[-1].append((total(a) - total(b)) / (2 * eps))
    return out


SMOOTH = {
    "sum": (lambda x: x.sum(), "SumBackward0"),
    "sum_dim": (lambda x: x.sum(0) * x.sum(0), "MulBackward0"),
    "mean": (lambda x: x.mean(1), "MeanBackward1"),
    "prod": (lambda x: x.prod(), "ProdBackward0"),
    "prod_dim": (lambda x: x.prod(0), "ProdBackward1"),
    "var": (lambda x: x.var(1), "VarBackward0"),
    "std": (lambda x: x.std(), "StdBackward0"),
    "amax": (lambda x: x.amax(1), "AmaxBackward0"),
    "max": (lambda x: x.max(), "MaxBackward1"),
    "min_dim": (lambda x: x.min(0), "MinBackward0"),
    "norm3": (lambda x: torch.norm(x, 3, 1), "LinalgVectorNormBackward0"),
    "logsumexp": (lambda x: x.logsumexp(1), "LogsumexpBackward0"),
    "softmax": (lambda x: x.softmax(1).pow(2), "PowBackward0"),
    "log_softmax": (lambda x: x.log_softmax(0), "LogSoftmaxBackward0"),
    "cumsum": (lambda x: x.cumsum(1), "CumsumBackward0"),
    "cumprod": (lambda x: x.cumprod(1), "CumprodBackward0"),
    "cummax": (lambda x: x.cummax(1), "CummaxBackward0"),
    "logcumsumexp": (lambda x: x.logcumsumexp(0), "LogcumsumexpBackward0"),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_gradient_against_differences(name):
    f, node = SMOOTH[name]
    values = [[1.0, 2.5, -0.5], [0.0, 3.5, -1.5]]
    got, got_node = grad_of(f, values)
    assert got_node == node
    for row, want in zip(got, numeric(f, values)):
        assert row == pytest.approx(want, rel=1e-5, abs=1e-7)


def test_second_derivative_of_product_with_a_zero():
    x = torch.tensor([2.0, 0.0, 3.0], dtype=torch.float64, requires_grad=True)
    (g,) = torch.autograd.grad(x.prod(), x, create_graph=True)
    assert g.tolist() == [0.0, 6.0, 0.0]
    g.sum().backward()
    assert x.grad.tolist() == [3.0, 5.0, 2.0]


def test_result_dtypes():
    i = torch.tensor([1, 2, 3], dtype=torch.int32)
    assert i.sum().dtype is torch.int64 and i.prod().dtype is torch.int64
    assert i.amax().dtype is torch.int32 and i.max(0)[1].dtype is torch.int64
    assert torch.tensor([True, True]).sum().item() == 2
    assert i.sum(dtype=torch.float64).dtype is torch.float64
    assert torch.tensor([1, 0], dtype=torch.uint8).any().dtype is torch.uint8
    z = torch.tensor([1 + 2j, 3 - 4j])
    assert z.sum().item() == 4 - 2j and z.prod().item() == 11 + 2j
    assert z.var().dtype is torch.float32 and z.var().item() == pytest.approx(20.0)


def test_halves_accumulate_in_float():
    x = torch.ones(10000, dtype=torch.float16)
    assert x.sum().item() == 10000.0 and x.mean().item() == 1.0


def test_sum_of_many_floats_keeps_its_digits():
    x = torch.ones(1 << 22) * 0.1
    assert x.sum().item() == pytest.approx(0.1 * (1 << 22), rel=1e-6)


@pytest.mark.parametrize("n", [1, 31, 32, 33, 1023, 1024, 1025, 5000])
def test_lengths_around_lanes_and_blocks(n):
    values = [(i * 7919) % 1009 - 500 for i in range(n)]
    for dtype in (torch.int64, torch.float32, torch.float64):
        x = torch.tensor(values, dtype=dtype)
        assert x.sum().item() == sum(values)
        assert x.max().item() == max(values) and x.argmax().item() == values.index(max(values))
        assert x.min().item() == min(values) and x.argmin().item() == values.index(min(values))
    z = torch.tensor([complex(v, -v) for v in values], dtype=torch.complex128)
    assert z.sum().item() == complex(sum(values), -sum(values))


def test_nan_wins():
    x = torch.tensor([1.0, nan, 3.0, nan])
    assert math.isnan(x.max().item()) and math.isnan(x.amin().item())
    assert x.argmax().item() == 1 and x.argmin().item() == 1
    assert x.nansum().item() == 4.0 and x.nanmean().item() == 2.0
    assert x.cummax(0)[1].tolist() == [0, 1, 1, 3]


def test_dims_keepdim_and_strides():
    x = torch.tensor([[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]]])
    assert x.sum((0, 2)).tolist() == [14.0, 22.0]
    assert x.sum((0, -1), keepdim=True).shape == (1, 2, 1)
    assert x.transpose(0, 2).amax(0).tolist() == [[2.0, 6.0], [4.0, 8.0]]
    assert x.transpose(0, 1).cumsum(2).tolist() == [[[1.0, 3.0], [5.0, 11.0]], [[3.0, 7.0], [7.0, 15.0]]]
    assert x.argmax(1).tolist() == [[1, 1], [1, 1]]


def test_softmax_of_infinities():
    assert torch.tensor([0.0, -inf]).softmax(0).tolist() == [1.0, 0.0]
    assert all(math.isnan(v) for v in torch.tensor([-inf, -inf]).softmax(0).tolist())
    assert torch.tensor([-inf, -inf]).logsumexp(0).item() == -inf
    assert torch.tensor([1e4, 1e4]).log_softmax(0).tolist() == pytest.approx([-math.log(2)] * 2)


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda e: e.max(), RuntimeError, "max(): Expected reduction dim to be specified for input.numel() == 0."),
        (lambda e: e.max(0), IndexError, "max(): Expected reduction dim 0 to have non-zero size."),
        (lambda e: e.amax(0), IndexError, "amax(): Expected reduction dim 0 to have non-zero size."),
        (lambda e: e.argmin(), IndexError, "argmin(): Expected reduction dim to be specified"),
        (lambda e: torch.ones(3, 3).sum((0, -2)), RuntimeError, "dim 0 appears multiple times in the list of dims"),
        (lambda e: torch.ones(3).sum(4), IndexError, "Dimension out of range (expected to be in range of [-1, 0], but got 4)"),
        (lambda e: torch.ones(3, dtype=torch.int64).mean(), RuntimeError, "mean(): could not infer output dtype."),
        (lambda e: torch.ones(3, dtype=torch.int64).std(), RuntimeError, "std and var only support floating point and complex dtypes"),
        (lambda e: torch.ones(3, dtype=torch.complex64).argmax(), RuntimeError, "argmax(): does not support complex input"),
        (lambda e: torch.ones(3, dtype=torch.complex64).max(), NotImplementedError, "\"max_all\" not implemented for 'ComplexFloat'"),
    ],
)
def test_errors(call, kind, text):
    with pytest.raises(kind) as e:
        call(torch.zeros(0, 3))
    assert text in str(e.value)


def test_out_is_written_and_resized():
    out = torch.empty(2)
    assert torch.sum(torch.ones(2, 3), 1, out=out) is out and out.tolist() == [3.0, 3.0]
    v, k = torch.empty(0), torch.empty(0, dtype=torch.int64)
    torch.max(torch.tensor([[1.0, 5.0], [7.0, 2.0]]), 1, out=(v, k))
    assert v.tolist() == [5.0, 7.0] and k.tolist() == [1, 0]
