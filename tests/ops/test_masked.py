"""Masked reductions against NumPy's masked arrays, their identities, gradients and errors."""

import math

import numpy as np
import pytest

import mindtorch_v2 as torch
from mindtorch_v2 import masked


@pytest.fixture
def x():
    return torch.randn(4, 5, 6, dtype=torch.float64)


@pytest.fixture
def mask():
    m = torch.rand(4, 5, 6) > 0.4
    m[:, 0, 0] = True  # no slice below is empty
    return m


@pytest.mark.parametrize("dim", [None, (0, 2), -1])
@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("name", ["sum", "prod", "mean", "amax", "amin", "var", "std"])
def test_reductions(name, dim, keepdim, x, mask):
    mask[:, :, 0] = True
    numbers = np.ma.masked_array(x.numpy(), ~mask.numpy())
    want = getattr(numbers, name.removeprefix("a"))(axis=dim, keepdims=keepdim)
    more = {"unbiased": False} if name in ("var", "std") else {}
    got = getattr(masked, name)(x, dim, keepdim=keepdim, mask=mask, **more)
    np.testing.assert_allclose(got.numpy(), np.asarray(want), atol=1e-12)


def test_norms_and_medians(x, mask):
    numbers = np.ma.masked_array(x.numpy(), ~mask.numpy())
    mask[:, :, 0] = True
    numbers = np.ma.masked_array(x.numpy(), ~mask.numpy())
    np.testing.assert_allclose(masked.norm(x, 2.0, 1, mask=mask).numpy(), np.sqrt(np.asarray((numbers**2).sum(1).filled(0))), atol=1e-12)
    np.testing.assert_allclose(masked.logsumexp(x, -1, mask=mask).numpy(), np.log(np.asarray(np.exp(numbers).sum(-1))), atol=1e-12)
    assert masked.norm(x, -math.inf, -1, mask=torch.zeros(6, dtype=torch.bool)).isinf().all()
    lower = masked.median(torch.tensor([[4, 1, 9, 3]]), mask=torch.tensor([True, True, False, True]))
    assert lower.tolist() == [3] and lower.dtype is torch.int64


def test_slices(x, mask):
    mask[..., 0] = True
    e = x.exp() * mask
    assert torch.allclose(masked.softmax(x, -1, mask=mask), e / e.sum(-1, keepdim=True))
    e = (-x).exp() * mask
    assert torch.allclose(masked.softmin(x, -1, mask=mask), e / e.sum(-1, keepdim=True))
    assert torch.allclose(masked.log_softmax(x, -1, mask=mask).exp(), masked.softmax(x, -1, mask=mask))
    assert torch.allclose(masked.cumsum(x, 1, mask=mask), (x * mask).cumsum(1))
    assert torch.allclose(masked.cumprod(x, 1, mask=mask), torch.where(mask, x, torch.ones_like(x)).cumprod(1))
    size = (x * mask).pow(2).sum(-1, keepdim=True).sqrt()
    assert torch.allclose(masked.normalize(x, 2.0, -1, mask=mask), x * mask / size)


def test_nothing_gives_the_identity():
    x, none = torch.ones(2, 3), torch.zeros(3, dtype=torch.bool)
    for name, value in [("sum", 0), ("prod", 1), ("amax", -math.inf), ("amin", math.inf), ("logsumexp", -math.inf)]:
        assert getattr(masked, name)(x, 1, mask=none).tolist() == [value] * 2
    for name in ("mean", "median", "var"):
        assert getattr(masked, name)(x, 1, mask=none).isnan().all()
    assert masked.amax(x.to(torch.int8), 1, mask=none).tolist() == [-128] * 2
    assert masked.argmax(x, 1, mask=none).dtype is torch.float32
    assert masked.sum(x.to(torch.int8), 1, mask=none).dtype is torch.int64


def test_masks_broadcast_and_dims_may_be_empty():
    x = torch.arange(6.0).reshape(2, 3)
    assert masked.sum(x, (), mask=torch.tensor([1.0, 0.0, 1.0])).tolist() == 10
    assert masked.sum(x, 0).tolist() == [3.0, 5.0, 7.0]


def test_gradients(x, mask):
    mask[..., 0] = True
    x.requires_grad_()
    for f in (masked.sum, masked.prod, masked.mean, masked.amax, masked.var, masked.logsumexp, masked.softmax, masked.normalize):
        args = (2.0, 1) if f is masked.normalize else (2,)
        assert torch.autograd.gradcheck(lambda v: f(v, *args, mask=mask), (x,)), f.__name__


@pytest.mark.parametrize("call, error, text", [
    (lambda x: masked.sum(x, 5), IndexError, r"Dimension out of range \(expected to be in range of \[-2, 1\], but got 5\)"),
    (lambda x: masked.sum(x, (0, 0)), RuntimeError, "dim=0 appears multiple times in the list of dims"),
    (lambda x: masked.sum(x, 0, mask=torch.ones(1, 2, 3)), IndexError, "mask dimensionality higher than of the input"),
    (lambda x: masked.mean(x.long()), ValueError, r"mean\(\): Could not infer output dtype."),
    (lambda x: masked.amax(x.bool(), 1, mask=x.bool()), NotImplementedError, "identity of amax on torch.bool input"),
    (lambda x: masked.median(x.long(), 1, mask=x.bool()), ValueError, "masked median expects no fully masked out rows"),
    (lambda x: masked.var(x, 1, True, correction=1), AssertionError, "Only one of unbiased and correction may be given"),
])
def test_errors(call, error, text):
    with pytest.raises(error, match=text):
        call(torch.zeros(2, 3))
