"""Functions that are more than a call of an operator."""

import inspect
import pickle

import numpy as np
import pytest

import mindtorch_v2 as torch
from mindtorch_v2.nn import functional as F


def close(got, want, tolerance=1e-5):
    np.testing.assert_allclose(got.detach().numpy(), want, rtol=tolerance, atol=tolerance)


# ------------------------------------------------------------------------------- interpolation


def test_nearest_takes_the_pixel_below_or_the_closest_centre():
    x = torch.arange(5.0).view(1, 1, 5)
    assert F.interpolate(x, 3).flatten().tolist() == [0.0, 1.0, 3.0]
    assert F.interpolate(x, 3, mode="nearest-exact").flatten().tolist() == [0.0, 2.0, 4.0]


def test_linear_with_and_without_corners():
    x = torch.tensor([[[0.0, 4.0]]])
    corners = F.interpolate(x, 5, mode="linear", align_corners=True)
    assert corners.flatten().tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
    edges = F.interpolate(x, 4, mode="linear")
    assert edges.flatten().tolist() == [0.0, 1.0, 3.0, 4.0]


def test_area_and_antialias_average():
    x = torch.arange(16.0).view(1, 1, 4, 4)
    want = np.arange(16.0).reshape(2, 2, 2, 2).mean((1, 3))
    close(F.interpolate(x, 2, mode="area")[0, 0], want)
    smooth = F.interpolate(x, 2, mode="bilinear", antialias=True)
    assert smooth.mean().item() == pytest.approx(7.5)


def test_scale_factors():
    x = torch.arange(5.0).view(1, 1, 5)
    assert F.interpolate(x, scale_factor=2.5).shape[-1] == 12
    assert F.interpolate(x, scale_factor=[0.5], mode="area").shape[-1] == 2
    kept = F.interpolate(x, scale_factor=0.5, mode="linear")
    anew = F.interpolate(x, scale_factor=0.5, mode="linear", recompute_scale_factor=True)
    assert kept.flatten().tolist() == [0.5, 2.5] and anew.flatten().tolist() == [0.75, 3.25]


@pytest.mark.parametrize(
    "shape, options, error, text",
    [
        ((1, 1, 4), {}, ValueError, "either size or scale_factor should be defined"),
        ((1, 1, 4), {"size": 2, "scale_factor": 2}, ValueError, "only one of size or scale_fac"),
        ((1, 1, 4), {"size": (2, 2)}, ValueError, "must have the same number of spatial dim"),
        ((1, 1, 4), {"size": [2.0]}, TypeError, "expected size to be one of int or Tuple"),
        ((1, 1, 4), {"size": 2, "align_corners": True}, ValueError, "align_corners option can"),
        ((1, 1, 4), {"size": 2, "antialias": True}, ValueError, "Anti-alias option is restrict"),
        ((1, 1, 4), {"size": 2, "mode": "bilinear"}, NotImplementedError, "Got 3D input, but b"),
        ((1, 1, 4), {"size": 2, "mode": "some"}, NotImplementedError, "(got some)"),
        ((4, 4), {"size": 2}, NotImplementedError, "(got 2D)"),
        ((1, 1, 4, 4), {"size": 2, "mode": "lanczos"}, ValueError, "requires antialias=True"),
        (
            (1, 1, 4),
            {"size": 2, "recompute_scale_factor": True},
            ValueError,
            "recompute_scale_factor is not meaningful with an explicit size.",
        ),
    ],
)
def test_interpolation_checks(shape, options, error, text):
    with pytest.raises(error) as caught:
        F.interpolate(torch.ones(shape), **options)
    assert text in str(caught.value)


def test_identity_grid_gives_the_image_back():
    x = torch.rand(2, 3, 4, 5)
    theta = torch.eye(2, 3).expand(2, 2, 3)
    for corners in (True, False):
        grid = F.affine_grid(theta, x.shape, align_corners=corners)
        close(F.grid_sample(x, grid, align_corners=corners), x.numpy())
    with pytest.warns(UserWarning, match="Default grid_sample and affine_grid behavior"):
        F.affine_grid(theta, x.shape)
    with pytest.raises(ValueError, match="expected mode to be 'bilinear', 'nearest' or 'bicubic'"):
        F.grid_sample(x, grid, mode="some")
    with pytest.raises(ValueError, match="Expected a batch of 2D affine matrices of shape Nx2x3"):
        F.affine_grid(torch.ones(1, 3, 3), (1, 1, 2, 2), align_corners=False)
    with pytest.raises(ValueError, match="Expected non-zero, positive output size"):
        F.affine_grid(theta, (2, 3, 0, 5), align_corners=False)


# ------------------------------------------------------------------------------------- samples


def test_gumbel_softmax():
    logits = torch.randn(200, 5, requires_grad=True)
    soft = F.gumbel_softmax(logits, tau=0.5)
    close(soft.sum(-1), np.ones(200), 1e-5)
    hard = F.gumbel_softmax(logits, hard=True)
    assert hard.max(-1).values.detach().round(decimals=5).tolist() == [1.0] * 200
    assert sorted(hard.detach().round(decimals=5).unique().abs().tolist())[-1] == 1.0
    (hard * torch.arange(5.0)).sum().backward()
    assert logits.grad.abs().sum().item() > 0
    with pytest.warns(UserWarning, match="has no effect"):
        F.gumbel_softmax(logits, eps=1.0)


def test_rows_of_gumbel_softmax_follow_the_probabilities():
    logits = torch.log(torch.tensor([0.1, 0.2, 0.7])).expand(20000, 3)
    close(F.gumbel_softmax(logits, hard=True).mean(0), [0.1, 0.2, 0.7], 0.02)


# ------------------------------------------------------------------------------- small helpers


def test_normalize():
    x = torch.tensor([[3.0, 4.0], [0.0, 0.0]])
    close(F.normalize(x), [[0.6, 0.8], [0.0, 0.0]])
    close(F.normalize(x, p=1, dim=0), [[1.0, 1.0], [0.0, 0.0]])
    out = torch.empty(2, 2)
    assert F.normalize(x, out=out) is out and out[0, 0].item() == pytest.approx(0.6)


def test_one_hot_and_pad():
    assert F.one_hot(torch.tensor([0, 2]), 3).tolist() == [[1, 0, 0], [0, 0, 1]]
    assert F.pad(torch.ones(1, 2), (1, 2), value=5.0).tolist() == [[5.0, 1.0, 1.0, 5.0, 5.0]]
    assert F.pad(torch.ones(1, 3), (-1, -1)).tolist() == [[1.0]]


def test_pooling_functions_choose_by_return_indices():
    x = torch.arange(8.0).view(1, 1, 8)
    assert F.max_pool1d(x, 2).tolist() == [[[1.0, 3.0, 5.0, 7.0]]]
    values, places = F.max_pool1d(x, 2, return_indices=True)
    assert places.tolist() == [[[1, 3, 5, 7]]] and values.tolist() == F.max_pool1d(x, 2).tolist()
    assert len(F.adaptive_max_pool1d(x, 2, True)) == 2
    assert F.max_pool1d.__name__ == "max_pool1d"


def test_functions_pickle_by_their_public_name():
    for function in (F.relu, F.max_pool2d, F.multi_head_attention_forward):
        assert function.__module__ == F.__name__
        assert pickle.loads(pickle.dumps(function)) is function


def test_every_function_says_what_it_does():
    bare = [
        name
        for name, value in vars(F).items()
        if inspect.isfunction(value) and name[0] != "_" and not value.__doc__
    ]
    assert bare == []


def test_arguments_with_torch_function_take_over():
    calls = []

    class Mine(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            calls.append((func, len(args), sorted(kwargs or {})))
            return "mine"

    x = torch.ones(2, 2).as_subclass(Mine)
    plain = torch.ones(2, 2)
    assert F.relu(x, inplace=True) == "mine"
    assert F.max_pool2d(x, 2) == "mine"
    assert F.mse_loss(plain, x, reduction="sum") == "mine"
    assert F.layer_norm(plain, (2,), x) == "mine"
    names = [(f.__name__, n, k) for f, n, k in calls]
    assert names[0] == ("relu", 1, ["inplace"])
    assert names[1][:2] == ("max_pool2d", 2)
    assert names[2] == ("mse_loss", 2, ["reduce", "reduction", "size_average", "weight"])
    assert names[3] == ("layer_norm", 2, ["bias", "eps", "weight"])
    assert calls[0][0] is F.relu and calls[1][0] is F.max_pool2d
