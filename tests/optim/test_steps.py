"""Steps of the optimizers: closed forms, what one step leaves behind, gradients through steps."""

import math

import pytest

import mindtorch_v2 as torch
from mindtorch_v2 import optim

PLAIN = {
    "SGD": {"momentum": 0.9, "weight_decay": 0.1},
    "Adam": {"amsgrad": True, "weight_decay": 0.1},
    "AdamW": {},
    "Adagrad": {"lr_decay": 0.1},
    "RMSprop": {"momentum": 0.5, "centered": True},
    "Adadelta": {},
    "Adamax": {},
    "NAdam": {},
    "RAdam": {"betas": (0.5, 0.8)},
    "ASGD": {},
    "Rprop": {},
    "Adafactor": {},
}


def parameter(*values, dtype=torch.float64):
    return torch.nn.Parameter(torch.tensor(values, dtype=dtype))


def stepped(optimizer, p, *grads):
    for grad in grads:
        p.grad = torch.tensor(grad, dtype=p.dtype)
        optimizer.step()
    return p.tolist()


@pytest.fixture(params=[None, True, False], ids=["default", "fused", "one by one"])
def fused(request):
    return request.param


def test_sgd_with_momentum(fused):
    p = parameter(1.0, -2.0)
    optimizer = optim.SGD([p], lr=0.1, momentum=0.5, dampening=0.25, fused=fused)
    assert stepped(optimizer, p, [1.0, 2.0]) == pytest.approx([0.9, -2.2])
    # buffer = 0.5 * (1, 2) + 0.75 * (2, 0)
    assert stepped(optimizer, p, [2.0, 0.0]) == pytest.approx([0.7, -2.3])
    assert optimizer.state[p]["momentum_buffer"].tolist() == pytest.approx([2.0, 1.0])


def test_sgd_nesterov_decay_and_ascent(fused):
    p = parameter(2.0)
    optimizer = optim.SGD([p], lr=0.1, momentum=0.5, nesterov=True, weight_decay=0.5, fused=fused)
    # grad 1 + 0.5 * 2 = 2, step 2 + 0.5 * 2
    assert stepped(optimizer, p, [1.0]) == pytest.approx([1.7])
    q = parameter(2.0)
    assert stepped(optim.SGD([q], lr=0.1, maximize=True, fused=fused), q, [3.0]) == pytest.approx(
        [2.3]
    )


def test_sgd_without_momentum_keeps_no_state(fused):
    p = parameter(2.0)
    optimizer = optim.SGD([p], lr=0.5, fused=fused)
    assert stepped(optimizer, p, [1.0], [1.0]) == [1.0]
    assert len(optimizer.state) == 0


def test_a_late_parameter_starts_its_own_momentum(fused):
    p, q = parameter(0.0), parameter(0.0)
    optimizer = optim.SGD([p, q], lr=1.0, momentum=0.5, dampening=0.5, fused=fused)
    stepped(optimizer, p, [1.0])
    q.grad = torch.ones(1, dtype=q.dtype)
    stepped(optimizer, p, [1.0])
    assert p.tolist() == [-2.0]  # 1, then 0.5 * 1 + 0.5 * 1
    assert q.tolist() == [-1.0]  # its first gradient is not damped


def test_adam_first_steps(fused):
    p = parameter(1.0, 1.0)
    optimizer = optim.Adam([p], lr=0.1, betas=(0.5, 0.75), eps=0.0, fused=fused)
    assert stepped(optimizer, p, [3.0, -0.01]) == pytest.approx([0.9, 1.1])  # by sign
    stepped(optimizer, p, [1.0, 0.01])
    state = optimizer.state[p]
    assert state["exp_avg"].tolist() == pytest.approx([1.25, 0.0025])
    assert state["exp_avg_sq"].tolist() == pytest.approx([1.9375, 4.375e-5])
    mean, square = 1.25 / 0.75, 1.9375 / 0.4375
    assert p[0].item() == pytest.approx(0.9 - 0.1 * mean / math.sqrt(square))
    assert state["step"].item() == 2
    assert state["step"].dtype == torch.float32 and state["step"].shape == ()


def test_amsgrad_keeps_the_largest_mean_square(fused):
    p = parameter(0.0)
    optimizer = optim.Adam([p], lr=0.1, betas=(0.0, 0.5), eps=0.0, amsgrad=True, fused=fused)
    stepped(optimizer, p, [4.0], [1.0])
    state = optimizer.state[p]
    assert state["exp_avg_sq"].tolist() == [4.5]
    assert state["max_exp_avg_sq"].tolist() == [8.0]
    # first step 0.1, second 0.1 * 1 / sqrt(8 / 0.75)
    assert p.item() == pytest.approx(-0.1 - 0.1 / math.sqrt(8 / 0.75))


def test_decoupled_decay(fused):
    p, q = parameter(10.0), parameter(10.0)
    stepped(optim.AdamW([p], lr=0.1, weight_decay=0.5, eps=0.0, fused=fused), p, [1.0])
    assert p.item() == pytest.approx(10 * 0.95 - 0.1)
    stepped(optim.Adam([q], lr=0.1, weight_decay=0.5, eps=0.0, fused=fused), q, [1.0])
    assert q.item() == pytest.approx(9.9)


def test_adagrad(fused):
    p = parameter(1.0)
    optimizer = optim.Adagrad([p], lr=0.5, lr_decay=1.0, eps=0.0, fused=fused)
    assert optimizer.state[p]["sum"].tolist() == [0.0]
    stepped(optimizer, p, [3.0], [4.0])
    assert optimizer.state[p]["sum"].tolist() == [25.0]
    assert p.item() == pytest.approx(1 - 0.5 - 0.25 * 4 / 5)


def test_rmsprop():
    p = parameter(1.0)
    stepped(optim.RMSprop([p], lr=0.1, alpha=0.75, eps=0.0), p, [3.0])
    assert p.item() == pytest.approx(1 - 0.1 / 0.5)
    q = parameter(1.0)
    stepped(optim.RMSprop([q], lr=0.1, alpha=0.75, eps=0.0, centered=True), q, [4.0])
    assert q.item() == pytest.approx(1 - 0.1 * 4 / math.sqrt(4 - 1))


def test_rprop_sizes():
    p = parameter(0.0, 0.0)
    optimizer = optim.Rprop([p], lr=0.1, etas=(0.5, 2.0), step_sizes=(0.01, 0.15))
    assert stepped(optimizer, p, [1.0, -5.0]) == pytest.approx([-0.1, 0.1])
    # the first entry keeps its sign: larger, at most 0.15; the second turns: half, and no step
    assert stepped(optimizer, p, [1.0, 5.0]) == pytest.approx([-0.25, 0.1])
    assert optimizer.state[p]["step_size"].tolist() == pytest.approx([0.15, 0.05])
    assert optimizer.state[p]["prev"].tolist() == [1.0, 0.0]


def test_asgd_averages():
    p = parameter(1.0)
    optimizer = optim.ASGD([p], lr=0.5, lambd=0.0, t0=1)
    seen = []
    for grad in (1.0, 1.0, -1.0, 1.0):
        seen.append(stepped(optimizer, p, [grad])[0])
    # The weight of a value is set by the step before it: values 1 and 2 replace the average.
    average = seen[2] / 1
    assert seen == pytest.approx([0.5, 0.0, 0.5, 0.0])
    average = average + (seen[3] - average) / 2
    assert optimizer.state[p]["ax"].item() == pytest.approx(average)


def test_adafactor_factors_its_squares():
    p = torch.nn.Parameter(torch.ones(3, 4))
    optimizer = optim.Adafactor([p], lr=0.5)
    p.grad = torch.ones(3, 4) * torch.tensor([[1.0], [2.0], [4.0]])
    optimizer.step()
    state = optimizer.state[p]
    assert state["row_var"].shape == (3, 1) and state["col_var"].shape == (1, 4)
    assert state["row_var"].flatten().tolist() == pytest.approx([1.0, 4.0, 16.0])
    # A gradient of rank one is reproduced exactly: every entry steps by lr * rms(p) = 0.5.
    assert p.flatten().tolist() == pytest.approx([0.5] * 12, rel=1e-5)


def test_muon_steps_along_an_orthogonal_matrix():
    p = torch.nn.Parameter(torch.zeros(4, 4))
    optimizer = optim.Muon([p], lr=1.0, weight_decay=0, ns_steps=8)
    p.grad = torch.diag(torch.tensor([4.0, 3.0, 2.0, 1.0]))
    optimizer.step()
    singular = torch.linalg.svdvals(p.detach())
    assert singular.min() > 0.6 and singular.max() < 1.3
    off_diagonal = p.detach() - torch.diag(torch.diagonal(p.detach()))
    assert off_diagonal.abs().max() < 0.05


def test_sparse_adam_leaves_other_rows_alone():
    p = torch.nn.Parameter(torch.ones(4, 2))
    optimizer = optim.SparseAdam([p], lr=0.1)
    p.grad = torch.sparse_coo_tensor([[1, 3, 3]], [[1.0, 1.0], [2.0, 2.0], [2.0, -2.0]], (4, 2))
    optimizer.step()
    assert p[0].tolist() == p[2].tolist() == [1.0, 1.0]
    assert p[1].tolist() == pytest.approx([0.9, 0.9])
    assert p[3, 0].item() == pytest.approx(0.9)
    assert p[3, 1].item() == pytest.approx(1.0)  # the two values cancel
    assert optimizer.state[p]["step"] == 1
    p.grad = torch.ones(4, 2)
    with pytest.raises(RuntimeError, match="does not support dense gradients"):
        optimizer.step()


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
def test_lbfgs_solves_a_quadratic(search):
    a = torch.tensor([[3.0, 1.0], [1.0, 2.0]], dtype=torch.float64)
    b = torch.tensor([1.0, 1.0], dtype=torch.float64)
    p = parameter(5.0, -7.0)
    optimizer = optim.LBFGS(
        [p], lr=0.5 if search is None else 1, max_iter=60, line_search_fn=search
    )

    def closure():
        optimizer.zero_grad()
        loss = 0.5 * p @ a @ p - b @ p
        loss.backward()
        return loss

    first = optimizer.step(closure)
    assert first.item() == pytest.approx(0.5 * (75 - 70 + 98) + 2)
    assert p.tolist() == pytest.approx([0.2, 0.4], abs=1e-4)
    assert optimizer.state[p]["func_evals"] <= 75


def test_lbfgs_search_finds_the_bottom_of_a_curved_valley():
    p = parameter(-1.2, 1.0)
    optimizer = optim.LBFGS(
        [p], max_iter=100, tolerance_change=1e-14, line_search_fn="strong_wolfe"
    )

    def closure():
        optimizer.zero_grad()
        loss = 100 * (p[1] - p[0] ** 2) ** 2 + (1 - p[0]) ** 2
        loss.backward()
        return loss

    optimizer.step(closure)
    assert p.tolist() == pytest.approx([1.0, 1.0], abs=1e-5)


@pytest.mark.parametrize("name", PLAIN)
def test_ways_agree(name):
    """Flags that choose an implementation, and splitting into groups, do not change the values."""
    variants = [{}, {"foreach": True}, {"foreach": False}]
    if name in ("SGD", "Adam", "AdamW", "Adagrad"):
        variants += [{"fused": True}, {"fused": False}]
    results = []
    for flags in [*variants, "groups"]:
        ps = [parameter(0.3, -1.5), torch.nn.Parameter(torch.ones(2, 3, dtype=torch.float64))]
        given = [{"params": [p]} for p in ps] if flags == "groups" else ps
        options = {} if flags == "groups" else flags
        optimizer = getattr(optim, name)(given, lr=0.05, **PLAIN[name], **options)
        for i in range(4):
            for p in ps:
                p.grad = (p.detach() - 0.7) * (i + 1)
            optimizer.step()
        results.append([p.detach().clone() for p in ps])
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert torch.allclose(a, b, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", [n for n in PLAIN if n not in ("Adafactor",)])
def test_gradients_flow_through_steps(name):
    """With `differentiable`, the derivative of the result by a gradient is its finite difference.

    (SGD is taken without momentum: the first gradient enters the buffer detached.)
    """
    options = {"weight_decay": 0.1} if name == "SGD" else PLAIN[name]

    def after(factor):
        p = torch.tensor([0.5, -0.8], dtype=torch.float64).clone()
        optimizer = getattr(optim, name)([p], lr=0.1, differentiable=True, **options)
        for i in range(3):
            p.grad = factor * torch.tensor([1.0, 0.5], dtype=torch.float64) * (i + 1)
            optimizer.step()
        return (p * torch.tensor([1.0, 3.0], dtype=torch.float64)).sum()

    factor = torch.tensor(0.4, dtype=torch.float64, requires_grad=True)
    after(factor).backward()
    h = 1e-5
    with torch.no_grad():
        numeric = (after(factor + h) - after(factor - h)).item() / (2 * h)
    assert factor.grad.item() == pytest.approx(numeric, rel=1e-4, abs=1e-7)


def test_a_learning_rate_can_be_learned():
    lr = torch.tensor(0.1, dtype=torch.float64, requires_grad=True)
    p = torch.tensor([1.0, 2.0], dtype=torch.float64).clone()
    optimizer = optim.SGD([p], lr=lr, differentiable=True)
    p.grad = torch.tensor([3.0, 4.0], dtype=torch.float64)
    optimizer.step()
    p.sum().backward()
    assert lr.grad.item() == pytest.approx(-7.0)


@pytest.mark.parametrize("name", [n for n in PLAIN if n != "Adafactor"])
def test_complex_parameters_step_like_pairs_of_reals(name):
    start = torch.tensor([[1.0, -2.0], [0.5, 3.0]], dtype=torch.float64)
    z = torch.nn.Parameter(torch.view_as_complex(start.clone()))
    r = torch.nn.Parameter(start.clone())
    make = getattr(optim, name)
    pair = make([z], lr=0.05, **PLAIN[name]), make([r], lr=0.05, **PLAIN[name])
    for i in range(3):
        grad = torch.tensor([[0.3, -1.0], [2.0, 0.1]], dtype=torch.float64) * (1 - 0.7 * i)
        z.grad, r.grad = torch.view_as_complex(grad.clone()), grad
        for optimizer in pair:
            optimizer.step()
    assert torch.allclose(torch.view_as_real(z.detach()), r.detach(), rtol=1e-12)


@pytest.mark.parametrize("name", PLAIN)
def test_training_reaches_the_target(name):
    torch.manual_seed(0)
    target = torch.randn(6, 4)
    p = torch.nn.Parameter(torch.randn(6, 4))
    lr = {"Adadelta": 20.0, "Adagrad": 0.5, "ASGD": 0.1, "SGD": 0.05}.get(name, 0.1)
    options = {} if name in ("Adam", "SGD") else PLAIN[name]
    optimizer = getattr(optim, name)([p], lr=lr, **options)

    def closure():
        optimizer.zero_grad()
        loss = ((p - target) ** 2).sum()
        loss.backward()
        return loss

    first = optimizer.step(closure).item()
    for _ in range(200):
        last = optimizer.step(closure).item()
    assert last < 0.02 * first
