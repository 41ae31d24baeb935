"""Parametrisations, and the two older normalisations by hooks."""

import copy
import pickle

import numpy as np
import pytest

import mindtorch_v2 as torch
from mindtorch_v2 import nn
from mindtorch_v2.nn.utils import parametrizations, parametrize


def close(got, want, tolerance=1e-5):
    if isinstance(want, torch.Tensor):
        want = want.detach().numpy()
    np.testing.assert_allclose(got.detach().numpy(), want, rtol=tolerance, atol=tolerance)


class Doubled(nn.Module):
    def forward(self, x):
        return x * 2

    def right_inverse(self, x):
        return x / 2


class Sum(nn.Module):
    def forward(self, a, b):
        return a + b

    def right_inverse(self, x):
        return x / 4, x * 3 / 4


def test_register_assign_remove():
    m = nn.Linear(2, 3)
    weight, before = m.weight, m.weight.detach().clone()
    assert parametrize.register_parametrization(m, "weight", Doubled()) is m
    assert type(m).__name__ == "ParametrizedLinear" and isinstance(m, nn.Linear)
    assert parametrize.is_parametrized(m) and parametrize.is_parametrized(m, "weight")
    assert not parametrize.is_parametrized(m, "bias")
    assert parametrize.type_before_parametrizations(m) is nn.Linear
    close(m.weight, before)
    assert m.parametrizations.weight.original is weight
    assert list(m.state_dict()) == ["bias", "parametrizations.weight.original"]
    m.weight = torch.ones(3, 2)
    assert weight.tolist() == [[0.5, 0.5]] * 3 and m.weight.tolist() == [[1.0, 1.0]] * 3
    m(torch.ones(1, 2)).sum().backward()
    assert weight.grad.tolist() == [[2.0, 2.0]] * 3
    parametrize.remove_parametrizations(m, "weight")
    assert type(m) is nn.Linear and m.weight is weight and weight.tolist() == [[1.0, 1.0]] * 3
    assert list(m.state_dict()) == ["bias", "weight"]
    with pytest.raises(ValueError, match="does not have a parametrization on weight"):
        parametrize.remove_parametrizations(m, "weight")


def test_several_originals():
    m = nn.Linear(2, 3)
    before = m.weight.detach().clone()
    parametrize.register_parametrization(m, "weight", Sum())
    chain = m.parametrizations.weight
    assert not chain.is_tensor and chain.ntensors == 2
    close(chain.original1, before * 0.75)
    assert isinstance(chain.original0, nn.Parameter)
    close(m.weight, before)
    with pytest.raises(ValueError, match="Cannot leave unparametrized"):
        parametrize.remove_parametrizations(m, "weight", leave_parametrized=False)
    parametrize.remove_parametrizations(m, "weight")
    close(m.weight, before)


def test_chains_apply_in_order():
    m = nn.Linear(1, 1, bias=False)
    nn.init.ones_(m.weight)

    class PlusOne(nn.Module):
        def forward(self, x):
            return x + 1

    parametrize.register_parametrization(m, "weight", Doubled())
    parametrize.register_parametrization(m, "weight", PlusOne())
    assert m.weight.item() == 2.0
    with pytest.raises(RuntimeError, match="PlusOne does not implement right_inverse"):
        m.weight = torch.ones(1, 1)


@pytest.mark.parametrize(
    "function, text",
    [
        (lambda x: x.double(), "may not change the dtype of the tensor"),
        (lambda x: x[:1], "may not change the shape of the tensor"),
        (lambda x: 5, "A parametrization must return a tensor. Got int."),
    ],
)
def test_results_are_checked_unless_unsafe(function, text):
    class Custom(nn.Module):
        def forward(self, x):
            return function(x)

    m = nn.Linear(2, 3)
    with pytest.raises(ValueError, match=text):
        parametrize.register_parametrization(m, "weight", Custom())
    assert type(m) is nn.Linear and "weight" in m._parameters
    parametrize.register_parametrization(m, "weight", Custom(), unsafe=True)


def test_unknown_names():
    with pytest.raises(ValueError, match="does not have a parameter, a buffer, or a"):
        parametrize.register_parametrization(nn.Linear(1, 1), "other", Doubled())


def test_cache():
    calls = []

    class Counted(nn.Module):
        def forward(self, x):
            calls.append(1)
            return x * 2

    m = nn.Linear(1, 1)
    parametrize.register_parametrization(m, "weight", Counted())
    calls.clear()
    with parametrize.cached():
        assert m.weight is m.weight
    assert len(calls) == 1
    assert m.weight is not m.weight and len(calls) == 3


def test_copying_and_pickling():
    m = nn.Linear(1, 1)
    parametrize.register_parametrization(m, "weight", Doubled())
    twin = copy.deepcopy(m)
    assert type(twin) is type(m)
    assert twin.parametrizations.weight.original is not m.parametrizations.weight.original
    close(twin.weight, m.weight)
    with pytest.raises(RuntimeError, match="only supported through state_dict()"):
        pickle.dumps(m)


def test_transfer():
    a, b = nn.Linear(2, 3), nn.Linear(2, 3)
    parametrize.register_parametrization(a, "weight", Doubled())
    parametrize.transfer_parametrizations_and_params(a, b)
    assert b.parametrizations.weight.original is a.parametrizations.weight.original


# ------------------------------------------------------------------------------- normalisation


@pytest.mark.parametrize("dim", [0, 1, None])
def test_weight_norm(dim):
    m = nn.Linear(2, 3)
    before = m.weight.detach().clone()
    parametrizations.weight_norm(m, dim=dim)
    close(m.weight, before)
    g, v = m.parametrizations.weight.original0, m.parametrizations.weight.original1
    lengths = before.norm() if dim is None else before.norm(dim=1 - dim, keepdim=True)
    close(g.view(-1), lengths.view(-1))
    with torch.no_grad():
        g.mul_(2)
        v.mul_(7)
    close(m.weight, before * 2)


def test_weight_norm_takes_old_states():
    m = parametrizations.weight_norm(nn.Linear(2, 3))
    old = {"bias": torch.zeros(3), "weight_g": torch.ones(3, 1), "weight_v": torch.ones(3, 2)}
    m.load_state_dict(old)
    close(m.weight, np.full((3, 2), 1 / np.sqrt(2)))


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated")
def test_weight_norm_by_hooks():
    m = nn.Linear(2, 3)
    before = m.weight.detach().clone()
    nn.utils.weight_norm(m)
    assert list(m.state_dict()) == ["bias", "weight_g", "weight_v"]
    with torch.no_grad():
        m.weight_g.mul_(2)
    m(torch.ones(1, 2)).sum().backward()
    close(m.weight, before * 2)
    assert m.weight_v.grad is not None
    with pytest.raises(RuntimeError, match="Cannot register two weight_norm hooks"):
        nn.utils.weight_norm(m)
    nn.utils.remove_weight_norm(m)
    close(m.weight, before * 2)
    assert isinstance(m.weight, nn.Parameter) and not m._forward_pre_hooks
    with pytest.raises(ValueError, match="weight_norm of 'weight' not found"):
        nn.utils.remove_weight_norm(m)


def largest(w):
    return np.linalg.svd(w.detach().flatten(1).numpy(), compute_uv=False)[0]


def test_spectral_norm():
    m = parametrizations.spectral_norm(nn.Conv2d(3, 4, 2))
    assert largest(m.weight) == pytest.approx(1.0, abs=1e-2)
    v = m.parametrizations.weight[0]._v.clone()
    m.eval()
    close(m.weight, m.weight)
    assert m.parametrizations.weight[0]._v.tolist() == v.tolist()
    with pytest.raises(ValueError, match="Expected n_power_iterations to be positive"):
        parametrizations.spectral_norm(nn.Linear(2, 2), n_power_iterations=0)


def test_spectral_norm_by_hooks():
    m = nn.utils.spectral_norm(nn.Linear(4, 5), n_power_iterations=30)
    assert list(m.state_dict()) == ["bias", "weight_orig", "weight_u", "weight_v"]
    m(torch.ones(1, 4)).sum().backward()
    assert largest(m.weight) == pytest.approx(1.0, abs=1e-3)
    assert m.weight_orig.grad is not None
    u = m.weight_u.clone()
    m.eval()(torch.ones(1, 4))
    assert m.weight_u.tolist() == u.tolist(), "estimates improve in training only"
    other = nn.utils.spectral_norm(nn.Linear(4, 5))
    other.load_state_dict(m.state_dict())
    nn.utils.remove_spectral_norm(m)
    assert list(m.state_dict()) == ["bias", "weight"] and not m._forward_pre_hooks
    with pytest.raises(ValueError, match="spectral_norm of 'weight' not found"):
        nn.utils.remove_spectral_norm(m)


@pytest.mark.parametrize("shape", [(4, 4), (3, 5), (5, 3)])
@pytest.mark.parametrize("kind", [None, "matrix_exp", "cayley", "householder"])
@pytest.mark.parametrize("trivial", [True, False])
def test_orthogonal(shape, kind, trivial):
    m = nn.Linear(shape[1], shape[0])
    parametrizations.orthogonal(m, "weight", kind, use_trivialization=trivial)

    def error(w):
        small = w @ w.T if shape[0] <= shape[1] else w.T @ w
        return (small - torch.eye(min(shape))).abs().max().item()

    assert error(m.weight) < 1e-5
    loss = (m.weight * torch.arange(float(shape[0] * shape[1])).view(shape)).sum()
    (grad,) = torch.autograd.grad(loss, m.parametrizations.weight.original)
    with torch.no_grad():
        m.parametrizations.weight.original.sub_(grad, alpha=0.01)
    if kind != "householder" and not (kind is None and shape[0] != shape[1]):
        assert error(m.weight) < 1e-4, "a step along the gradient keeps it orthogonal"
    if trivial or kind == "householder" or (kind is None and shape[0] != shape[1]):
        value = nn.init.orthogonal_(torch.empty(shape))
        m.weight = value
        close(m.weight, value, 1e-4)


def test_orthogonal_checks():
    with pytest.raises(ValueError, match="has no parameter or buffer with name 'other'"):
        parametrizations.orthogonal(nn.Linear(2, 2), "other")
    with pytest.raises(ValueError, match="Got a tensor of 1 dimensions"):
        parametrizations.orthogonal(nn.Linear(2, 2), "bias")
    with pytest.raises(ValueError, match='orthogonal_map has to be one of "matrix_exp"'):
        parametrizations.orthogonal(nn.Linear(2, 2), "weight", "some")
