"""Losses against NumPy."""

import math

import numpy as np
import pytest

import mindtorch_v2 as torch
from mindtorch_v2 import nn
from mindtorch_v2.nn import functional as F


def tensor(*shape, seed=0, low=-2.0, high=2.0):
    numbers = np.random.RandomState(seed).uniform(low, high, shape).astype(np.float32)
    return torch.from_numpy(numbers), numbers.astype(np.float64)


def close(got, want, tolerance=1e-5):
    np.testing.assert_allclose(got.detach().numpy(), want, rtol=tolerance, atol=tolerance)


def log_softmax(x, axis=1):
    x = x - x.max(axis, keepdims=True)
    return x - np.log(np.exp(x).sum(axis, keepdims=True))


def huber(d, delta):
    return np.where(abs(d) <= delta, d**2 / 2, delta * (abs(d) - delta / 2))


softplus = lambda x: np.log1p(np.exp(x))  # noqa: E731
ELEMENTWISE = [
    (nn.L1Loss, {}, lambda x, y: abs(x - y), None),
    (nn.MSELoss, {}, lambda x, y: (x - y) ** 2, None),
    (nn.HuberLoss, {"delta": 0.7}, lambda x, y: huber(x - y, 0.7), None),
    (nn.SmoothL1Loss, {"beta": 0.7}, lambda x, y: huber(x - y, 0.7) / 0.7, None),
    (nn.SoftMarginLoss, {}, lambda x, y: softplus(-y * x), "signs"),
    (nn.BCEWithLogitsLoss, {}, lambda x, y: softplus(x) - y * x, "probabilities"),
    (nn.PoissonNLLLoss, {}, lambda x, y: np.exp(x) - y * x, "probabilities"),
    (
        nn.HingeEmbeddingLoss,
        {"margin": 0.5},
        lambda x, y: np.where(y == 1, x, np.maximum(0, 0.5 - x)),
        "signs",
    ),
    (nn.KLDivLoss, {}, lambda x, y: y * (np.log(y) - x), "probabilities"),
]


@pytest.mark.parametrize("layer, options, want, kind", ELEMENTWISE)
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
def test_elementwise(layer, options, want, kind, reduction):
    x, n = tensor(4, 3)
    if kind == "signs":
        k = np.sign(np.random.RandomState(1).uniform(-1, 1, (4, 3)))
        y = torch.from_numpy(k.astype(np.float32))
    elif kind == "probabilities":
        y, k = tensor(4, 3, seed=1, low=0.1, high=0.9)
    else:
        y, k = tensor(4, 3, seed=1)
    loss = want(n, k)
    loss = loss if reduction == "none" else getattr(loss, reduction)()
    close(layer(reduction=reduction, **options)(x, y), loss)


def test_binary_cross_entropy():
    (x, n), (y, k) = tensor(5, low=0.1, high=0.9), tensor(5, seed=1, low=0.0, high=1.0)
    want = -(k * np.log(n) + (1 - k) * np.log(1 - n))
    close(nn.BCELoss(reduction="none")(x, y), want)
    w, m = tensor(5, seed=2, low=0.0, high=1.0)
    close(nn.BCELoss(weight=w, reduction="sum")(x, y), (m * want).sum())
    with pytest.raises(ValueError, match="is deprecated. Please ensure they have the same size"):
        nn.BCELoss()(x, y[:3])
    with pytest.raises(ValueError, match="must be the same as input size"):
        nn.BCEWithLogitsLoss()(x, y[:3])


def test_positive_weight():
    (x, n), (y, k) = tensor(4, 2), tensor(4, 2, seed=1, low=0.0, high=1.0)
    p = np.array([3.0, 0.5])
    m = nn.BCEWithLogitsLoss(pos_weight=torch.tensor([3.0, 0.5]))
    close(m(x, y), (p * k * softplus(-n) + (1 - k) * softplus(n)).mean())
    assert list(m.state_dict()) == ["pos_weight"]


def test_cross_entropy_of_classes():
    x, n = tensor(5, 4)
    target = np.array([0, 3, 1, 1, 2])
    y = torch.from_numpy(target)
    each = -log_softmax(n)[np.arange(5), target]
    close(nn.CrossEntropyLoss()(x, y), each.mean())
    close(nn.NLLLoss()(nn.LogSoftmax(1)(x), y), each.mean())
    w = np.array([1.0, 2.0, 0.5, 3.0])
    weight = torch.tensor(w, dtype=torch.float32)
    close(nn.CrossEntropyLoss(weight)(x, y), (w[target] * each).sum() / w[target].sum())
    close(nn.CrossEntropyLoss(ignore_index=1)(x, y), each[target != 1].mean())
    smooth = 0.9 * each.mean() - 0.1 * log_softmax(n).mean()
    close(nn.CrossEntropyLoss(label_smoothing=0.1)(x, y), smooth)


def test_cross_entropy_of_distributions_and_images():
    x, n = tensor(2, 3, 4)
    p = np.exp(log_softmax(tensor(2, 3, 4, seed=1)[1]))
    want = -(p * log_softmax(n)).sum(1).mean()
    close(nn.CrossEntropyLoss()(x, torch.from_numpy(p.astype(np.float32))), want)
    target = np.random.RandomState(0).randint(0, 3, (2, 4))
    each = -np.take_along_axis(log_softmax(n), target[:, None], 1)
    close(nn.CrossEntropyLoss()(x, torch.from_numpy(target)), each.mean())


def test_linear_cross_entropy():
    m = nn.LinearCrossEntropyLoss(3, 4, bias=True)
    x, _ = tensor(5, 3)
    y = torch.tensor([0, 1, 2, 3, 1])
    close(m(x, y), nn.CrossEntropyLoss()(m.linear(x), y).item())
    m = nn.LinearCrossEntropyLoss(3, 4, out_features=(2,))
    y = torch.tensor([[0, 1], [2, 3]])
    scores = m.linear(x[:2]).view(2, 4, 2)
    close(m(x[:2], y), nn.CrossEntropyLoss()(scores, y).item())
    half = F.linear_cross_entropy(
        x.bfloat16(),
        m.linear.weight[:4].detach().bfloat16(),
        torch.tensor([0] * 5),
        options=nn.LinearCrossEntropyOptions(acc_dtype=torch.float32),
    )
    assert half.dtype == torch.bfloat16
    with pytest.raises(ValueError, match="invalid acc_policy: 'x'"):
        nn.LinearCrossEntropyOptions(acc_policy="x")
    with pytest.raises(RuntimeError, match="in_features"):
        F.linear_cross_entropy(x, torch.ones(4, 2), y)


def test_margin_losses():
    x, n = tensor(3, 4)
    y = np.array([0, 2, 3])
    gaps = np.maximum(0, 1 - n[np.arange(3), y][:, None] + n)
    gaps[np.arange(3), y] = 0
    close(nn.MultiMarginLoss()(x, torch.from_numpy(y)), (gaps.sum(1) / 4).mean())
    close(nn.MultiMarginLoss(p=2)(x, torch.from_numpy(y)), ((gaps**2).sum(1) / 4).mean())
    target = torch.tensor([[0, 2, -1, 1]])
    row = n[0]
    want = sum(max(0, 1 - (row[j] - row[i])) for j in (0, 2) for i in (1, 3)) / 4
    close(nn.MultiLabelMarginLoss()(x[:1], target), want)
    (a, p), (b, q) = tensor(5, seed=3), tensor(5, seed=4)
    sign = np.array([1.0, -1, 1, 1, -1])
    s = torch.tensor(sign, dtype=torch.float32)
    want = np.maximum(0, -sign * (p - q) + 0.2).mean()
    close(nn.MarginRankingLoss(0.2)(a, b, s), want)
    with pytest.raises(ValueError, match="only p == 1 and p == 2 supported"):
        nn.MultiMarginLoss(p=3)
    with pytest.raises(RuntimeError, match="All input tensors should have same dimension"):
        nn.MarginRankingLoss()(a, b, s[None])


def test_multilabel_soft_margin():
    (x, n), (y, k) = tensor(3, 4), tensor(3, 4, seed=1, low=0.0, high=1.0)
    want = (k * softplus(-n) + (1 - k) * softplus(n)).mean(1).mean()
    close(nn.MultiLabelSoftMarginLoss()(x, y), want)


def test_cosine_embedding():
    (x, n), (y, k) = tensor(4, 3), tensor(4, 3, seed=1)
    cosine = (n * k).sum(1) / np.linalg.norm(n, axis=1) / np.linalg.norm(k, axis=1)
    sign = np.array([1, -1, 1, -1])
    want = np.where(sign == 1, 1 - cosine, np.maximum(0, cosine - 0.1)).mean()
    close(nn.CosineEmbeddingLoss(0.1)(x, y, torch.from_numpy(sign)), want)


@pytest.mark.parametrize("swap", [False, True])
def test_triplet_margin(swap):
    (a, i), (p, j), (m, k) = (tensor(4, 3, seed=s) for s in range(3))
    distance = lambda u, v: np.linalg.norm(u - v + 1e-6, axis=1)  # noqa: E731
    far = distance(i, k)
    if swap:
        far = np.minimum(far, distance(j, k))
    want = np.maximum(0, 1 + distance(i, j) - far).mean()
    close(nn.TripletMarginLoss(swap=swap)(a, p, m), want, 1e-4)
    close(nn.TripletMarginWithDistanceLoss(swap=swap)(a, p, m), want, 1e-4)
    manhattan = lambda u, v: (u - v).abs().sum(1)  # noqa: E731
    custom = nn.TripletMarginWithDistanceLoss(distance_function=manhattan, margin=0.5)
    want = np.maximum(0, 0.5 + abs(i - j).sum(1) - abs(i - k).sum(1)).mean()
    close(custom(a, p, m), want)
    with pytest.raises(ValueError, match="expected margin to be greater than 0, got 0 instead"):
        nn.TripletMarginLoss(0)


def test_gaussian_likelihood():
    (x, n), (y, k), (v, s) = tensor(4, 3), tensor(4, 3, seed=1), tensor(4, seed=2, low=0.1)
    s = np.maximum(s, 1e-6)[:, None]
    want = ((np.log(s) + (n - k) ** 2 / s) / 2 + math.log(2 * math.pi) / 2).mean()
    close(nn.GaussianNLLLoss(full=True)(x, y, v), want, 1e-4)
    close(F.gaussian_nll_loss(x, y, 2.0), ((math.log(2) + (n - k) ** 2 / 2) / 2).mean(), 1e-4)
    with pytest.raises(ValueError, match="var has negative entry/entries"):
        nn.GaussianNLLLoss()(x, y, -v)
    with pytest.raises(ValueError, match="var is of incorrect size"):
        nn.GaussianNLLLoss()(x, y, v[:2])


def test_divergence_per_sample():
    (x, n), (y, k) = tensor(4, 3), tensor(4, 3, seed=1, low=0.1, high=0.9)
    want = (k * (np.log(k) - n)).sum() / 4
    close(nn.KLDivLoss(reduction="batchmean")(x, y), want)
    logs = nn.KLDivLoss(reduction="batchmean", log_target=True)(x, y.log())
    close(logs, want, 1e-4)


def test_ctc_counts_all_alignments():
    # two steps, label "1": the paths 1-, -1, 11
    probs = np.array([[0.6, 0.4], [0.3, 0.7]])
    logs = torch.from_numpy(np.log(probs).astype(np.float32))[:, None]
    paths = 0.4 * 0.3 + 0.6 * 0.7 + 0.4 * 0.7
    loss = nn.CTCLoss(reduction="none")(logs, torch.tensor([[1]]), (2,), (1,))
    close(loss, [-math.log(paths)])
    impossible = nn.CTCLoss(zero_infinity=True)(logs, torch.tensor([[1, 1]]), (2,), (2,))
    assert impossible.item() == 0.0


def test_weighted_regression():
    (x, n), (y, k), (w, m) = tensor(3, 2), tensor(3, 2, seed=1), tensor(3, 2, seed=2, low=0.1)
    for function, each in ((F.mse_loss, (n - k) ** 2), (F.l1_loss, abs(n - k))):
        close(function(x, y, weight=w), (m * each).sum() / m.sum(), 1e-4)
        close(function(x, y, weight=w, reduction="none"), m * each)
    with pytest.raises(ValueError, match="Weights and input must have the same size"):
        F.mse_loss(x, y, weight=w[0])


def test_reductions_are_checked():
    x = torch.ones(2)
    with pytest.raises(ValueError, match="some is not a valid value for reduction"):
        F.mse_loss(x, x, reduction="some")
    with pytest.warns(UserWarning, match="please use reduction='sum' instead"):
        assert F.mse_loss(x, x * 3, size_average=False).item() == 8.0
    with pytest.warns(UserWarning, match="This will likely lead to incorrect results"):
        F.mse_loss(torch.ones(2, 2), x)
