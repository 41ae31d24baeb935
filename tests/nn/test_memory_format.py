"""What is channels_last stays so, with the same values."""

import pytest

import mindtorch_v2 as torch
import mindtorch_v2.nn.functional as F

FUNCTIONS = {
    "conv2d": lambda x: F.conv2d(x, torch.ones(4, 3, 3, 3)),
    "conv2d 1 x 1": lambda x: F.conv2d(x, torch.ones(4, 3, 1, 1)),
    "conv2d of groups": lambda x: F.conv2d(x, torch.ones(3, 1, 3, 3), groups=3),
    "conv_transpose2d": lambda x: F.conv_transpose2d(x, torch.ones(3, 4, 3, 3)),
    "max_pool2d": lambda x: F.max_pool2d(x, 2),
    "avg_pool2d": lambda x: F.avg_pool2d(x, 2),
    "adaptive_avg_pool2d": lambda x: F.adaptive_avg_pool2d(x, 2),
    "adaptive_max_pool2d": lambda x: F.adaptive_max_pool2d(x, 2),
    "max_unpool2d": lambda x: F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), 2),
    "interpolate": lambda x: F.interpolate(x, scale_factor=2),
    "interpolate bilinear": lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"),
    "pad reflect": lambda x: F.pad(x, (1, 1, 1, 1), mode="reflect"),
    "batch_norm": lambda x: F.batch_norm(x, torch.zeros(3), torch.ones(3), training=True),
    "relu": F.relu,
    "sort": lambda x: x.sort(1).values,
    "cat": lambda x: torch.cat([x, x], 1),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_channels_last_stays(name, dtype):
    torch.manual_seed(0)
    packed = torch.randn(2, 3, 8, 8, dtype=dtype)
    torch.set_default_dtype(dtype)
    try:
        expected = FUNCTIONS[name](packed)
        result = FUNCTIONS[name](packed.to(memory_format=torch.channels_last))
    finally:
        torch.set_default_dtype(torch.float32)
    assert expected.is_contiguous()
    assert result.is_contiguous(memory_format=torch.channels_last)
    assert torch.allclose(result, expected, atol=1e-5)


def test_the_format_of_the_weight_counts():
    x, w = torch.randn(2, 3, 8, 8), torch.randn(4, 3, 3, 3)
    y = F.conv2d(x, w.to(memory_format=torch.channels_last))
    assert y.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(y, F.conv2d(x, w))


def test_formats_on_the_meta_device():
    x = torch.empty(2, 3, 8, 8, device="meta").to(memory_format=torch.channels_last)
    assert F.max_pool2d(x, 2).stride() == (48, 1, 12, 3)


def test_given_results_keep_their_own():
    x = torch.randn(2, 3, 8, 8).to(memory_format=torch.channels_last)
    out = torch.empty(2, 3, 4, 4)
    torch._C._nn.avg_pool2d(x, [2, 2], out=out)
    assert out.is_contiguous()
    assert torch.equal(out, F.avg_pool2d(x, 2))
