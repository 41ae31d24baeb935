"""Initial values: bounds, moments, structure, and the order in which random numbers are drawn."""

import math

import pytest

import mindtorch_v2 as torch
from mindtorch_v2 import nn
from mindtorch_v2.nn import init


def moments(t):
    return t.mean().item(), t.std().item()


def test_constants_work_in_place_and_outside_of_the_graph():
    p = nn.Parameter(torch.ones(2, 3))
    assert init.zeros_(p) is p and p.sum().item() == 0.0 and p.is_leaf
    assert init.ones_(p).sum().item() == 6.0
    assert init.constant_(p, 2.5)[0, 0].item() == 2.5
    assert init.eye_(p).tolist() == [[1, 0, 0], [0, 1, 0]]
    assert p.requires_grad
    with pytest.raises(ValueError, match="Only tensors with 2 dimensions are supported"):
        init.eye_(torch.ones(2))


def test_distributions():
    t = torch.empty(200, 300)
    init.uniform_(t, -1, 3)
    assert t.min().item() >= -1 and t.max().item() < 3 and abs(t.mean().item() - 1) < 0.05
    init.normal_(t, 2, 0.5)
    mean, std = moments(t)
    assert abs(mean - 2) < 0.01 and abs(std - 0.5) < 0.01
    init.trunc_normal_(t, 0, 1, -0.5, 1.0)
    assert t.min().item() >= -0.5 and t.max().item() <= 1.0 and t.max().item() > 0.99


def test_generators():
    a, b = torch.empty(5), torch.empty(5)
    init.normal_(a, generator=torch.Generator().manual_seed(7))
    init.normal_(b, generator=torch.Generator().manual_seed(7))
    assert a.tolist() == b.tolist()


def test_layers_draw_weight_then_bias():
    torch.manual_seed(5)
    layer = nn.Linear(3, 2)
    torch.manual_seed(5)
    bound = 1 / math.sqrt(3)
    weight = torch.empty(2, 3).uniform_(-bound, bound)
    bias = torch.empty(2).uniform_(-bound, bound)
    assert layer.bias.tolist() == bias.tolist()
    # the bound of the weight is computed another way: equal up to the last place
    assert (layer.weight - weight).abs().max().item() < 1e-6


@pytest.mark.parametrize(
    "name, param, gain",
    [
        ("linear", None, 1),
        ("conv2d", None, 1),
        ("sigmoid", None, 1),
        ("tanh", None, 5 / 3),
        ("relu", None, math.sqrt(2)),
        ("leaky_relu", None, math.sqrt(2 / (1 + 0.01**2))),
        ("leaky_relu", 0.5, math.sqrt(2 / 1.25)),
        ("selu", None, 0.75),
    ],
)
def test_gains(name, param, gain):
    assert init.calculate_gain(name, param) == gain


def test_unknown_gains():
    with pytest.raises(ValueError, match="Unsupported nonlinearity some"):
        init.calculate_gain("some")
    with pytest.raises(ValueError, match="negative_slope x not a valid number"):
        init.calculate_gain("leaky_relu", "x")


def test_fans_count_the_window():
    assert init._calculate_fan_in_and_fan_out(torch.empty(4, 3, 2, 5)) == (30, 40)
    with pytest.raises(ValueError, match="fewer than 2 dimensions"):
        init._calculate_fan_in_and_fan_out(torch.empty(4))


def test_xavier():
    t = torch.empty(300, 500)
    std = 2 * math.sqrt(2 / 800)
    init.xavier_uniform_(t, gain=2)
    assert t.abs().max().item() <= math.sqrt(3) * std and abs(moments(t)[1] / std - 1) < 0.02
    init.xavier_normal_(t, gain=2)
    assert abs(moments(t)[1] / std - 1) < 0.02


@pytest.mark.parametrize("mode, fan", [("fan_in", 500), ("fan_out", 300)])
def test_kaiming(mode, fan):
    t = torch.empty(300, 500)
    std = math.sqrt(2 / fan)
    init.kaiming_normal_(t, mode=mode, nonlinearity="relu")
    assert abs(moments(t)[1] / std - 1) < 0.02
    init.kaiming_uniform_(t, mode=mode, nonlinearity="relu")
    assert t.abs().max().item() <= math.sqrt(3) * std and abs(moments(t)[1] / std - 1) < 0.02
    with pytest.raises(ValueError, match="Mode some not supported, please use one of"):
        init.kaiming_normal_(t, mode="some")


def test_nothing_to_fill():
    with pytest.warns(UserWarning, match="Initializing zero-element tensors is a no-op"):
        assert init.kaiming_uniform_(torch.empty(0, 3)).shape == (0, 3)


@pytest.mark.parametrize("shape", [(4, 4), (3, 5), (5, 3), (4, 2, 2)])
def test_orthogonal(shape):
    t = init.orthogonal_(torch.empty(shape), gain=2).flatten(1)
    small = t @ t.T if t.shape[0] <= t.shape[1] else t.T @ t
    assert (small - 4 * torch.eye(min(t.shape))).abs().max().item() < 1e-5


def test_dirac_passes_channels_on():
    conv = nn.Conv2d(3, 3, 3, padding=1, bias=False)
    init.dirac_(conv.weight)
    x = torch.rand(1, 3, 4, 4)
    assert (conv(x) - x).abs().max().item() == 0.0
    grouped = init.dirac_(torch.empty(4, 2, 3), groups=2)
    assert grouped.sum().item() == 4.0 and grouped[2, 0, 1].item() == 1.0
    with pytest.raises(ValueError, match="dim 0 must be divisible by groups"):
        init.dirac_(torch.empty(3, 2, 3), groups=2)
    with pytest.raises(ValueError, match="Only tensors with 3, 4, or 5 dimensions"):
        init.dirac_(torch.empty(3, 2))


def test_sparse():
    t = init.sparse_(torch.empty(10, 20), 0.25, std=0.1)
    assert ((t == 0).sum(0) == 3).all(), "ceil(0.25 * 10) zeros in every column"


def test_former_names_warn():
    with pytest.warns(FutureWarning, match="`nn.init.uniform` is now deprecated in favor of"):
        init.uniform(torch.empty(2))


def test_skipped_initialisation():
    m = nn.utils.skip_init(nn.Linear, 3, 2)
    assert m.weight.shape == (2, 3) and not m.weight.is_meta
    with pytest.raises(RuntimeError, match="Module must support a 'device' arg"):
        nn.utils.skip_init(nn.ReLU)
    with pytest.raises(RuntimeError, match="Expected a Module"):
        nn.utils.skip_init(int)
