"""Which way attention takes, and causal masks that know what they are."""

import pytest

import mindtorch_v2 as torch
from mindtorch_v2.nn import functional as F  # noqa: N812
from mindtorch_v2.nn.attention import SDPBackend, sdpa_kernel
from mindtorch_v2.nn.attention.bias import CausalBias, causal_lower_right, causal_upper_left

FLASH = "ScaledDotProductFlashAttentionForCpuBackward0"


@pytest.fixture
def q():
    return torch.randn(1, 2, 8, 16, requires_grad=True)


def way(q, **options):
    return type(F.scaled_dot_product_attention(q, q, q, **options).grad_fn).__name__


def test_ways_are_chosen_and_put_back(q):
    assert way(q) == FLASH
    with sdpa_kernel(SDPBackend.MATH):
        assert way(q) != FLASH
        assert not torch.backends.cuda.flash_sdp_enabled()
        with sdpa_kernel([SDPBackend.MATH, SDPBackend.FLASH_ATTENTION]):
            assert way(q) == FLASH
        assert way(q) != FLASH
    assert way(q) == FLASH
    assert torch.backends.cuda.flash_sdp_enabled()
    with pytest.raises(ZeroDivisionError), sdpa_kernel(SDPBackend.MATH):
        raise ZeroDivisionError
    assert way(q) == FLASH


def test_both_ways_give_the_same(q):
    fast = F.scaled_dot_product_attention(q, q, q, is_causal=True)
    (of_fast,) = torch.autograd.grad(fast.sin().sum(), q)
    with sdpa_kernel(SDPBackend.MATH):
        plain = F.scaled_dot_product_attention(q, q, q, is_causal=True)
    (of_plain,) = torch.autograd.grad(plain.sin().sum(), q)
    assert torch.allclose(fast, plain, atol=1e-6)
    assert torch.allclose(of_fast, of_plain, atol=1e-5)


def test_forbidden_ways_raise(q):
    with sdpa_kernel(SDPBackend.EFFICIENT_ATTENTION):
        with pytest.raises(RuntimeError, match="No viable backend for scaled_dot_product_attention"):
            way(q)
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        with pytest.raises(RuntimeError, match="No available kernel"):
            way(q, dropout_p=0.5)
    with pytest.raises(AssertionError, match="Backend must be an instance of SDPBackend"):
        with sdpa_kernel(1):
            pass


def test_switches_of_backends(q):
    torch.backends.cuda.enable_flash_sdp(False)
    try:
        assert way(q) != FLASH
    finally:
        torch.backends.cuda.enable_flash_sdp(True)
    assert way(q) == FLASH


@pytest.mark.parametrize("make, shift", [(causal_upper_left, 0), (causal_lower_right, 3)])
def test_causal_biases(make, shift):
    bias = make(5, 8)
    mask = torch.ones(5, 8, dtype=torch.bool).tril(shift)
    assert isinstance(bias, CausalBias)
    assert torch.equal(bias._materialize(), mask)
    assert repr(bias) == repr(mask)
    q, k = torch.randn(1, 2, 5, 16), torch.randn(1, 2, 8, 16)
    got = F.scaled_dot_product_attention(q, k, k, attn_mask=bias)
    assert torch.allclose(got, F.scaled_dot_product_attention(q, k, k, attn_mask=mask), atol=1e-6)


def test_causal_biases_are_checked(q):
    with pytest.raises(AssertionError, match="causal_upper_left only supports 2D tensors"):
        causal_upper_left(2, 3, 4)
    with pytest.raises(ValueError, match="should not be used with causal=True"):
        F.scaled_dot_product_attention(q, q, q, attn_mask=causal_upper_left(8, 8), is_causal=True)
    with pytest.warns(UserWarning, match="will produce NaNs"):
        causal_lower_right(9, 8)
