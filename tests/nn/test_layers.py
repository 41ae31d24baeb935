"""Layers against NumPy: values, shapes, printed forms, refused arguments."""

import math

import numpy as np
import pytest

import mindtorch_v2 as torch
from mindtorch_v2 import nn


def tensor(*shape, seed=0):
    numbers = np.random.RandomState(seed).uniform(-2, 2, shape).astype(np.float32)
    return torch.from_numpy(numbers), numbers.astype(np.float64)


def close(got, want, tolerance=1e-5):
    np.testing.assert_allclose(got.detach().numpy(), want, rtol=tolerance, atol=tolerance)


def numbers_of(parameter):
    return parameter.detach().numpy().astype(np.float64)


# --------------------------------------------------------------------------------- activations

sigmoid = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731
softplus = lambda x: np.log1p(np.exp(x))  # noqa: E731
erf = np.vectorize(math.erf)
A, S = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946
ACTIVATIONS = [
    (nn.ReLU(), lambda x: np.maximum(x, 0), "ReLU()"),
    (nn.ReLU6(), lambda x: np.clip(x, 0, 6), "ReLU6()"),
    (nn.Threshold(0.5, 9.0), lambda x: np.where(x > 0.5, x, 9.0), "threshold=0.5, value=9.0"),
    (nn.Hardtanh(-0.5, 0.7), lambda x: np.clip(x, -0.5, 0.7), "min_val=-0.5, max_val=0.7"),
    (nn.Sigmoid(), sigmoid, "Sigmoid()"),
    (nn.Hardsigmoid(), lambda x: np.clip(x / 6 + 0.5, 0, 1), "Hardsigmoid()"),
    (nn.Tanh(), np.tanh, "Tanh()"),
    (nn.SiLU(), lambda x: x * sigmoid(x), "SiLU()"),
    (nn.Mish(), lambda x: x * np.tanh(softplus(x)), "Mish()"),
    (nn.Hardswish(), lambda x: x * np.clip(x + 3, 0, 6) / 6, "Hardswish()"),
    (nn.ELU(0.5), lambda x: np.where(x > 0, x, 0.5 * np.expm1(x)), "ELU(alpha=0.5)"),
    (nn.CELU(0.5), lambda x: np.where(x > 0, x, 0.5 * np.expm1(x / 0.5)), "CELU(alpha=0.5)"),
    (nn.SELU(), lambda x: S * np.where(x > 0, x, A * np.expm1(x)), "SELU()"),
    (nn.GELU(), lambda x: x * (1 + erf(x / math.sqrt(2))) / 2, "GELU(approximate='none')"),
    (
        nn.GELU("tanh"),
        lambda x: x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
        "GELU(approximate='tanh')",
    ),
    (nn.Hardshrink(0.6), lambda x: np.where(abs(x) > 0.6, x, 0), "Hardshrink(0.6)"),
    (nn.Softshrink(0.6), lambda x: np.sign(x) * np.maximum(abs(x) - 0.6, 0), "Softshrink(0.6)"),
    (nn.Tanhshrink(), lambda x: x - np.tanh(x), "Tanhshrink()"),
    (nn.LeakyReLU(0.2), lambda x: np.where(x > 0, x, 0.2 * x), "LeakyReLU(negative_slope=0.2)"),
    (nn.LogSigmoid(), lambda x: np.log(sigmoid(x)), "LogSigmoid()"),
    (nn.Softplus(2.0), lambda x: softplus(2 * x) / 2, "Softplus(beta=2.0, threshold=20.0)"),
    (nn.Softsign(), lambda x: x / (1 + abs(x)), "Softsign()"),
    (nn.PReLU(init=0.3), lambda x: np.where(x > 0, x, 0.3 * x), "PReLU(num_parameters=1)"),
    (nn.RReLU().eval(), lambda x: np.where(x > 0, x, x * 11 / 48), "RReLU(lower=0.125"),
]


@pytest.mark.parametrize("layer, want, text", ACTIVATIONS, ids=lambda v: type(v).__name__)
def test_activations(layer, want, text):
    x, n = tensor(4, 5)
    close(layer(x), want(n))
    assert text in repr(layer)


def test_inplace_activations_overwrite():
    for layer in (nn.ReLU(True), nn.ELU(inplace=True), nn.Hardtanh(inplace=True), nn.SiLU(True)):
        x = torch.tensor([-3.0, 0.5])
        assert layer(x) is x and x[0].item() >= -1.0
        assert "inplace=True" in repr(layer)


def softmax(x, axis):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def test_softmax_family():
    x, n = tensor(2, 3, 4, 5)
    close(nn.Softmax(1)(x), softmax(n, 1))
    close(nn.Softmin(-1)(x), softmax(-n, -1))
    close(nn.LogSoftmax(0)(x), np.log(softmax(n, 0)))
    close(nn.Softmax2d()(x), softmax(n, 1))
    with pytest.raises(ValueError, match="expected input to be 3D or 4D, got 2D instead"):
        nn.Softmax2d()(x[0, 0])
    with pytest.warns(UserWarning, match="Implicit dimension choice for softmax"):
        close(nn.Softmax()(x[0]), softmax(n[0], 0))


def test_gated_linear_unit():
    x, n = tensor(3, 8)
    close(nn.GLU()(x), n[:, :4] * sigmoid(n[:, 4:]))
    with pytest.raises(RuntimeError, match="does not support scalars"):
        nn.GLU()(x[0, 0])


def test_random_slopes_lie_between_the_bounds():
    out = nn.RReLU(0.1, 0.4)(-torch.ones(1000))
    assert -0.4 <= out.min().item() < -0.35 and -0.15 < out.max().item() <= -0.1


def test_bounds_in_wrong_order():
    with pytest.raises(AssertionError, match=r"max_val \(1\) must be greater than min_val \(2\)"):
        nn.Hardtanh(2, 1)


# --------------------------------------------------------------------------------- linear maps


def test_linear():
    x, n = tensor(2, 3, 4)
    m = nn.Linear(4, 5)
    close(m(x), n @ numbers_of(m.weight).T + numbers_of(m.bias))
    assert nn.Linear(4, 5, bias=False).bias is None
    assert repr(m) == "Linear(in_features=4, out_features=5, bias=True)"
    bound = 1 / math.sqrt(4)
    assert m.weight.abs().max().item() <= bound and m.bias.abs().max().item() <= bound
    assert nn.Linear(2, 2, dtype=torch.float64).weight.dtype == torch.float64


def test_linear_finds_its_weight_wherever_it_is():
    m = nn.Linear(2, 2, bias=False)
    del m.weight
    m.weight = torch.eye(2)
    assert m(torch.ones(1, 2)).tolist() == [[1.0, 1.0]]

    class Doubled(nn.Linear):
        @property
        def weight(self):
            return self._parameters["weight"] * 2

        @weight.setter
        def weight(self, value):
            self._parameters["weight"] = value

    m = Doubled.__new__(Doubled)
    nn.Module.__init__(m)
    m._parameters.update(weight=nn.Parameter(torch.eye(2)), bias=None)
    assert m(torch.ones(1, 2)).tolist() == [[2.0, 2.0]]


def test_bilinear():
    (x, n), (y, k) = tensor(6, 3), tensor(6, 4, seed=1)
    m = nn.Bilinear(3, 4, 2)
    want = np.einsum("bi,oij,bj->bo", n, numbers_of(m.weight), k) + numbers_of(m.bias)
    close(m(x, y), want)
    with pytest.raises(ValueError, match="in1_features must be > 0"):
        nn.Bilinear(0, 1, 1)


def test_identity_takes_anything():
    assert nn.Identity(3, x=4)(5) == 5


# -------------------------------------------------------------------------------- convolutions


def correlate(x, w, b, stride, dilation):
    """Plain loops over the output places of (N, C, H, W)."""
    N, _, H, W = x.shape
    O, _, kh, kw = w.shape
    oh = (H - dilation * (kh - 1) - 1) // stride + 1
    ow = (W - dilation * (kw - 1) - 1) // stride + 1
    out = np.zeros((N, O, oh, ow))
    for i in range(oh):
        for j in range(ow):
            rows = slice(i * stride, i * stride + dilation * (kh - 1) + 1, dilation)
            cols = slice(j * stride, j * stride + dilation * (kw - 1) + 1, dilation)
            out[:, :, i, j] = np.einsum("nchw,ochw->no", x[:, :, rows, cols], w) + b
    return out


@pytest.mark.parametrize("stride, padding, dilation", [(1, 0, 1), (2, 1, 1), (1, 2, 2)])
def test_conv2d(stride, padding, dilation):
    x, n = tensor(2, 3, 7, 6)
    m = nn.Conv2d(3, 4, (3, 2), stride, padding, dilation)
    padded = np.pad(n, [(0, 0), (0, 0), (padding, padding), (padding, padding)])
    want = correlate(padded, numbers_of(m.weight), numbers_of(m.bias), stride, dilation)
    close(m(x), want)
    close(m(x[0]), want[0])


@pytest.mark.parametrize(
    "mode, numpy_mode", [("reflect", "reflect"), ("replicate", "edge"), ("circular", "wrap")]
)
def test_padding_modes(mode, numpy_mode):
    x, n = tensor(1, 1, 5, 5)
    m = nn.Conv2d(1, 1, 3, padding=(1, 2), padding_mode=mode)
    padded = np.pad(n, [(0, 0), (0, 0), (1, 1), (2, 2)], mode=numpy_mode)
    close(m(x), correlate(padded, numbers_of(m.weight), numbers_of(m.bias), 1, 1))
    assert f"padding_mode={mode}" in repr(m)


def test_same_padding_keeps_the_size():
    for mode in ("zeros", "circular"):
        m = nn.Conv2d(2, 2, (3, 5), padding="same", dilation=(3, 1), padding_mode=mode)
        assert m(torch.ones(1, 2, 7, 5)).shape == (1, 2, 7, 5)
    with pytest.raises(ValueError, match="padding='same' is not supported for strided"):
        nn.Conv1d(1, 1, 2, stride=2, padding="same")
    with pytest.raises(ValueError, match="Invalid padding string 'some'"):
        nn.Conv1d(1, 1, 2, padding="some")


def test_groups_split_channels():
    x, n = tensor(1, 4, 5, 5)
    m = nn.Conv2d(4, 6, 3, groups=2, bias=False)
    w = numbers_of(m.weight)
    assert w.shape == (6, 2, 3, 3)
    want = [correlate(n[:, 2 * g : 2 * g + 2], w[3 * g : 3 * g + 3], 0, 1, 1) for g in (0, 1)]
    close(m(x), np.concatenate(want, 1))
    with pytest.raises(ValueError, match="in_channels must be divisible by groups"):
        nn.Conv2d(3, 4, 1, groups=2)
    with pytest.raises(ValueError, match="out_channels must be divisible by groups"):
        nn.Conv2d(4, 3, 1, groups=2)


def test_transposed_convolution_is_the_gradient():
    m = nn.ConvTranspose2d(4, 3, 3, stride=2, padding=1, output_padding=1, bias=False)
    conv = nn.Conv2d(3, 4, 3, stride=2, padding=1, bias=False)
    conv.weight = m.weight
    y, _ = tensor(2, 4, 4, 4)
    x = torch.zeros(2, 3, 8, 8, requires_grad=True)
    (conv(x) * y).sum().backward()
    close(m(y), x.grad.numpy())


def test_transposed_output_sizes():
    m = nn.ConvTranspose1d(1, 1, 3, stride=2, padding=1)
    x = torch.ones(1, 1, 5)
    assert m(x).shape[-1] == 9 and m(x, output_size=(10,)).shape[-1] == 10
    assert m(x, output_size=(1, 1, 10)).shape[-1] == 10
    with pytest.raises(ValueError, match=r"valid sizes range from \[9\] to \[10\]"):
        m(x, output_size=(11,))
    with pytest.raises(ValueError, match="must have 1 or 3 elements"):
        m(x, output_size=(1, 9))
    with pytest.raises(ValueError, match='Only "zeros" padding mode'):
        nn.ConvTranspose1d(1, 1, 3, padding_mode="reflect")


def test_conv1d_and_conv3d():
    x, n = tensor(1, 2, 6)
    m = nn.Conv1d(2, 3, 3)
    w = numbers_of(m.weight)
    want = np.stack([(n[:, :, i : i + 3] * w).sum((1, 2)) for i in range(4)], -1)
    close(m(x)[0], want + numbers_of(m.bias)[:, None])
    x, n = tensor(1, 1, 3, 3, 3)
    m = nn.Conv3d(1, 1, 3, bias=False)
    close(m(x).reshape(()), (n * numbers_of(m.weight)).sum())


# ------------------------------------------------------------------------------- normalisation


def normalised(x, axes, eps=1e-5):
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)


@pytest.mark.parametrize(
    "layer, shape, axes",
    [
        (nn.BatchNorm1d, (6, 3), (0,)),
        (nn.BatchNorm1d, (4, 3, 5), (0, 2)),
        (nn.BatchNorm2d, (2, 3, 4, 4), (0, 2, 3)),
        (nn.BatchNorm3d, (2, 3, 2, 3, 2), (0, 2, 3, 4)),
    ],
)
def test_batch_norm(layer, shape, axes):
    x, n = tensor(*shape)
    m = layer(3)
    close(m(x), normalised(n, axes), 1e-4)
    size = n.size / 3
    close(m.running_mean, 0.1 * n.mean(axes))
    close(m.running_var, 0.9 + 0.1 * n.var(axes) * size / (size - 1))
    assert m.num_batches_tracked.item() == 1
    m.eval()
    shaped = [1, 3] + [1] * (len(shape) - 2)
    mean, var = numbers_of(m.running_mean), numbers_of(m.running_var)
    want = (n - mean.reshape(shaped)) / np.sqrt(var.reshape(shaped) + 1e-5)
    close(m(x), want, 1e-4)


def test_batch_norm_keeps_the_plain_average_without_momentum():
    m = nn.BatchNorm1d(2, momentum=None)
    batches = [tensor(5, 2, seed=i) for i in range(3)]
    for x, _ in batches:
        m(x)
    close(m.running_mean, np.mean([n.mean(0) for _, n in batches], 0))


def test_batch_norm_without_statistics():
    m = nn.BatchNorm1d(2, affine=False, track_running_stats=False).eval()
    x, n = tensor(5, 2)
    close(m(x), normalised(n, (0,)), 1e-4)
    assert m.running_mean is None and list(m.state_dict()) == []


def test_batch_norm_checks():
    with pytest.raises(ValueError, match=r"expected 2D or 3D input \(got 4D input\)"):
        nn.BatchNorm1d(2)(torch.ones(1, 2, 1, 1))
    with pytest.raises(ValueError, match=r"expected 4D input \(got 2D input\)"):
        nn.BatchNorm2d(2)(torch.ones(1, 2))
    with pytest.raises(ValueError, match="Expected more than 1 value per channel when training"):
        nn.BatchNorm1d(2)(torch.ones(1, 2))
    with pytest.raises(ValueError, match="eps must be positive during training, but got 0"):
        nn.BatchNorm1d(2, eps=0)(torch.ones(2, 2))


def test_states_from_before_the_counter():
    m = nn.BatchNorm1d(2)
    state = dict(m.state_dict())
    del state["num_batches_tracked"]
    assert m.load_state_dict(state).missing_keys == []


def test_instance_norm():
    x, n = tensor(2, 3, 5)
    close(nn.InstanceNorm1d(3)(x), normalised(n, (2,)), 1e-4)
    close(nn.InstanceNorm1d(3)(x[0]), normalised(n, (2,))[0], 1e-4)
    with pytest.warns(UserWarning, match="does not match num_features"):
        nn.InstanceNorm1d(4)(x)
    with pytest.raises(ValueError, match=r"to match num_features \(4\), but got: 3"):
        nn.InstanceNorm1d(4, affine=True)(x)


def test_layer_group_and_rms_norm():
    x, n = tensor(2, 4, 6)
    close(nn.LayerNorm(6)(x), normalised(n, (2,)), 1e-4)
    close(nn.LayerNorm((4, 6))(x), normalised(n, (1, 2)), 1e-4)
    grouped = normalised(n.reshape(2, 2, 2, 6), (2, 3)).reshape(n.shape)
    close(nn.GroupNorm(2, 4)(x), grouped, 1e-4)
    rms = np.sqrt((n**2).mean(-1, keepdims=True) + 1e-3)
    close(nn.RMSNorm(6, eps=1e-3)(x), n / rms, 1e-4)
    assert nn.LayerNorm(6, bias=False).bias is None
    assert nn.LayerNorm(6, elementwise_affine=False).weight is None
    with pytest.raises(ValueError, match=r"num_channels \(3\) must be divisible by num_groups"):
        nn.GroupNorm(2, 3)


def test_local_response_norm():
    x, n = tensor(2, 5, 3, 2)
    padded = np.pad(n**2, [(0, 0), (1, 1), (0, 0), (0, 0)])
    mean = sum(padded[:, i : i + 5] for i in range(3)) / 3
    want = n / (2 + 0.1 * mean) ** 0.75
    close(nn.LocalResponseNorm(3, alpha=0.1, k=2.0)(x), want)
    with pytest.raises(ValueError, match="Expected 3D or higher dimensionality"):
        nn.LocalResponseNorm(3)(x[0, 0])


# ------------------------------------------------------------------------------------- pooling


def windows(n, k, s):
    H, W = n.shape[-2:]
    for i in range((H - k) // s + 1):
        for j in range((W - k) // s + 1):
            yield i, j, n[..., i * s : i * s + k, j * s : j * s + k]


@pytest.mark.parametrize("k, s", [(2, 2), (3, 1)])
def test_pooling_in_two_dimensions(k, s):
    x, n = tensor(2, 3, 5, 6)
    top, mean = nn.MaxPool2d(k, s)(x), nn.AvgPool2d(k, s)(x)
    power = nn.LPPool2d(2, k, s)(x)
    for i, j, w in windows(n, k, s):
        close(top[..., i, j], w.max((-2, -1)))
        close(mean[..., i, j], w.mean((-2, -1)))
        close(power[..., i, j], np.sqrt((w**2).sum((-2, -1))), 1e-4)


def test_unpooling_puts_values_back():
    x, n = tensor(1, 1, 4, 4)
    pool, unpool = nn.MaxPool2d(2, return_indices=True), nn.MaxUnpool2d(2)
    values, places = pool(x)
    out = unpool(values, places)
    kept = np.zeros_like(n)
    for _, _, w in windows(n, 2, 2):
        kept[n == w.max()] = w.max()
    close(out, kept)
    with pytest.raises(ValueError, match=r"dim 0 must be between 2 and 6"):
        unpool(values, places, output_size=(6, 4))
    with pytest.raises(ValueError, match="containing 2 or 4 elements"):
        unpool(values, places, output_size=(4,))


def test_adaptive_pooling():
    x, n = tensor(1, 2, 7, 5)
    edges = lambda size, parts: [  # noqa: E731
        (i * size // parts, -(-(i + 1) * size // parts)) for i in range(parts)
    ]
    mean, top = nn.AdaptiveAvgPool2d((3, None))(x), nn.AdaptiveMaxPool2d((3, 5))(x)
    for i, (a, b) in enumerate(edges(7, 3)):
        close(mean[0, :, i], n[0, :, a:b].mean(1))
        close(top[0, :, i], n[0, :, a:b].max(1))
    close(nn.AdaptiveAvgPool1d(1)(x[0])[..., 0], n[0].mean(-1))


def test_average_pooling_counts_padding_or_not():
    x = torch.ones(1, 1, 2, 2)
    assert nn.AvgPool2d(2, 2, padding=1)(x).tolist() == [[[[0.25, 0.25], [0.25, 0.25]]]]
    m = nn.AvgPool2d(2, 2, padding=1, count_include_pad=False)
    assert m(x).tolist() == [[[[1.0, 1.0], [1.0, 1.0]]]]
    assert nn.AvgPool2d(2, divisor_override=2)(x).item() == 2.0


def test_fractional_pooling():
    x, _ = tensor(2, 3, 8, 8)
    m = nn.FractionalMaxPool2d(2, output_ratio=0.5)
    assert m(x).shape == (2, 3, 4, 4)
    samples = torch.full((2, 3, 2), 0.3)
    fixed = nn.FractionalMaxPool2d(2, output_size=3, _random_samples=samples)
    assert fixed(x).tolist() == fixed(x).tolist()
    with pytest.raises(ValueError, match="requires specifying either an output size"):
        nn.FractionalMaxPool2d(2)
    with pytest.raises(ValueError, match="only one of output_size and output_ratio"):
        nn.FractionalMaxPool2d(2, 3, 0.5)
    with pytest.raises(ValueError, match="output_ratio must be between 0 and 1"):
        nn.FractionalMaxPool2d(2, output_ratio=1.5)


# ------------------------------------------------------------------------------------- padding


@pytest.mark.parametrize(
    "layer, mode, options",
    [
        (nn.ZeroPad2d, "constant", {}),
        (nn.ReflectionPad2d, "reflect", {}),
        (nn.ReplicationPad2d, "edge", {}),
        (nn.CircularPad2d, "wrap", {}),
    ],
)
def test_padding(layer, mode, options):
    x, n = tensor(1, 2, 4, 5)
    close(layer((1, 2, 3, 0))(x), np.pad(n, [(0, 0), (0, 0), (3, 0), (1, 2)], mode=mode))
    assert repr(layer(1)) == f"{layer.__name__}((1, 1, 1, 1))"


def test_constant_padding():
    x, n = tensor(2, 3)
    close(nn.ConstantPad1d((1, 2), 7.0)(x), np.pad(n, [(0, 0), (1, 2)], constant_values=7.0))
    assert nn.ConstantPad3d(1, 0)(torch.ones(1, 1, 1, 1)).shape == (1, 3, 3, 3)
    with pytest.raises(ValueError, match="expected 3D or 4D input"):
        nn.CircularPad2d(1)(x)


# ------------------------------------------------------------------------------------- dropout


def test_dropout():
    x = torch.ones(10000)
    out = nn.Dropout(0.25)(x)
    assert set(out.unique().tolist()) == {0.0, float(np.float32(1 / 0.75))}
    assert 0.22 < (out == 0).float().mean().item() < 0.28
    assert nn.Dropout(0.25).eval()(x).tolist() == x.tolist()
    assert nn.Dropout(1.0)(x).sum().item() == 0.0
    with pytest.raises(ValueError, match="has to be between 0 and 1, but got 1.5"):
        nn.Dropout(1.5)
    assert repr(nn.Dropout(0.3)) == "Dropout(p=0.3, inplace=False)"


@pytest.mark.parametrize(
    "layer, shape", [(nn.Dropout1d, (50, 8, 3)), (nn.Dropout2d, (50, 8, 3, 2))]
)
def test_channel_dropout(layer, shape):
    out = layer(0.5)(torch.ones(shape)).flatten(2)
    assert bool(((out == out[..., :1]).all(-1)).all()), "channels are dropped as a whole"
    assert set(out.unique().tolist()) == {0.0, 2.0}


def test_alpha_dropout_keeps_mean_and_variance():
    torch.manual_seed(0)
    out = nn.AlphaDropout(0.3)(torch.randn(100000))
    assert abs(out.mean().item()) < 0.02 and abs(out.var().item() - 1) < 0.05


# ---------------------------------------------------------------------------------- embeddings


def test_embedding():
    m = nn.Embedding(5, 3, padding_idx=-1)
    assert m.padding_idx == 4 and m.weight[4].tolist() == [0.0, 0.0, 0.0]
    index = torch.tensor([[0, 4], [2, 2]])
    assert m(index).tolist() == m.weight.detach()[index].tolist()
    m(index).sum().backward()
    assert m.weight.grad[:, 0].tolist() == [1.0, 0.0, 2.0, 0.0, 0.0]
    table = torch.arange(6.0).view(3, 2)
    fixed = nn.Embedding.from_pretrained(table)
    assert not fixed.weight.requires_grad and fixed(torch.tensor(1)).tolist() == [2.0, 3.0]
    with pytest.raises(AssertionError, match="Padding_idx must be within num_embeddings"):
        nn.Embedding(5, 3, padding_idx=5)
    assert repr(m) == "Embedding(5, 3, padding_idx=4)"


def test_embedding_rows_within_the_norm():
    m = nn.Embedding.from_pretrained(torch.full((2, 4), 3.0), max_norm=1.0)
    close(m(torch.tensor([0])), np.full((1, 4), 0.5))
    assert m.weight[1].tolist() == [3.0] * 4, "rows that are not looked up stay"


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_embedding_bag(mode):
    m = nn.EmbeddingBag(5, 3, mode=mode)
    w = numbers_of(m.weight)
    want = lambda rows: getattr(w[rows], mode)(0)  # noqa: E731
    out = m(torch.tensor([0, 1, 2, 3]), torch.tensor([0, 3]))
    close(out, np.stack([want([0, 1, 2]), want([3])]))
    close(m(torch.tensor([[0, 1], [4, 4]])), np.stack([want([0, 1]), want([4, 4])]))


def test_embedding_bag_checks():
    m = nn.EmbeddingBag(5, 3)
    for index, offsets, text in (
        (torch.tensor([0]), None, "offsets has to be a 1D Tensor but got None"),
        (torch.tensor([[0]]), torch.tensor([0]), "if input is 2D, then offsets has to be None"),
        (torch.zeros(1, 1, 1, dtype=torch.int64), None, "input has to be 1D or 2D Tensor"),
    ):
        with pytest.raises(ValueError, match=text):
            m(index, offsets)
    with pytest.raises(NotImplementedError, match="only supported for mode='sum'"):
        m(torch.tensor([[0]]), per_sample_weights=torch.ones(1, 1))


# ---------------------------------------------------------------------------------- the others


def test_flatten_and_unflatten():
    x = torch.ones(2, 3, 4)
    assert nn.Flatten()(x).shape == (2, 12) and nn.Flatten(0, 1)(x).shape == (6, 4)
    assert nn.Unflatten(1, (3, 1))(x).shape == (2, 3, 1, 4)
    with pytest.raises(TypeError, match="must be tuple of ints, but found element of type float"):
        nn.Unflatten(1, (3, 1.0))


def test_fold_undoes_unfold_up_to_counts():
    x, n = tensor(1, 2, 4, 4)
    columns = nn.Unfold(2)(x)
    assert columns.shape == (1, 8, 9)
    close(columns[0, :, 0], n[0, :, :2, :2].reshape(8))
    counts = nn.Fold((4, 4), 2)(nn.Unfold(2)(torch.ones(1, 2, 4, 4)))
    close(nn.Fold((4, 4), 2)(columns) / counts, n)


def test_pixel_and_channel_shuffle():
    x, n = tensor(1, 8, 2, 3)
    want = n.reshape(1, 2, 2, 2, 2, 3).transpose(0, 1, 4, 2, 5, 3).reshape(1, 2, 4, 6)
    close(nn.PixelShuffle(2)(x), want)
    close(nn.PixelUnshuffle(2)(nn.PixelShuffle(2)(x)), n)
    shuffled = n.reshape(1, 2, 4, 2, 3).transpose(0, 2, 1, 3, 4).reshape(n.shape)
    close(nn.ChannelShuffle(2)(x), shuffled)


def test_distances():
    (x, n), (y, k) = tensor(4, 3), tensor(4, 3, seed=1)
    close(nn.PairwiseDistance()(x, y), np.linalg.norm(n - k + 1e-6, axis=1), 1e-4)
    cosine = (n * k).sum(1) / np.linalg.norm(n, axis=1) / np.linalg.norm(k, axis=1)
    close(nn.CosineSimilarity()(x, y), cosine)


def test_upsample():
    x = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    near = nn.Upsample(scale_factor=2)(x)
    assert near[0, 0, 0].tolist() == [1.0, 1.0, 2.0, 2.0]
    corners = nn.UpsamplingBilinear2d(size=(3, 3))(x)
    assert corners[0, 0].tolist() == [[1.0, 1.5, 2.0], [2.0, 2.5, 3.0], [3.0, 3.5, 4.0]]
    assert repr(nn.Upsample(scale_factor=2)) == "Upsample(scale_factor=2.0, mode='nearest')"


def test_adaptive_log_softmax():
    m = nn.AdaptiveLogSoftmaxWithLoss(6, 10, [3, 6], div_value=2.0)
    x, _ = tensor(5, 6)
    target = torch.tensor([0, 4, 9, 2, 7])
    full = m.log_prob(x)
    close(full.exp().sum(1), np.ones(5))
    out = m(x, target)
    close(out.output, full.gather(1, target[:, None])[:, 0].detach().numpy())
    close(out.loss, -out.output.detach().numpy().mean())
    assert m.predict(x).tolist() == full.argmax(1).tolist()
    with pytest.raises(RuntimeError, match=r"should be in \[0, 9\], but values in range"):
        m(x, target + 5)
    with pytest.raises(ValueError, match="cutoffs should be a sequence of unique"):
        nn.AdaptiveLogSoftmaxWithLoss(6, 10, [6, 3])


def test_data_parallel_passes_calls_on():
    inner = nn.Linear(2, 2)
    m = nn.DataParallel(inner)
    x = torch.ones(1, 2)
    assert m(x).tolist() == inner(x).tolist()
    state = m.state_dict()
    assert list(state) == ["module.weight", "module.bias"]
    nn.modules.utils.consume_prefix_in_state_dict_if_present(state, "module.")
    assert list(state) == ["weight", "bias"] and list(state._metadata) == [""]
    inner.load_state_dict(state)
