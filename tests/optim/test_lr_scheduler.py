"""Schedules of learning rates, against their formulas."""

import math
import warnings

import pytest

import mindtorch_v2 as torch
from mindtorch_v2 import optim
from mindtorch_v2.optim import lr_scheduler as schedules


def sgd(lr=1.0, **kwargs):
    return optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr, **kwargs)


def rates(scheduler, n):
    """The rates of epochs 0 to n - 1."""
    out = []
    for _ in range(n):
        out.append(scheduler.optimizer.param_groups[0]["lr"])
        scheduler.optimizer.step()
        scheduler.step()
    return out


CASES = {
    "step": (lambda o: schedules.StepLR(o, 3, 0.5), lambda e: 0.5 ** (e // 3)),
    "multistep": (
        lambda o: schedules.MultiStepLR(o, [2, 5, 5], 0.5),
        lambda e: 0.5 ** ((e >= 2) + 2 * (e >= 5)),
    ),
    "constant": (lambda o: schedules.ConstantLR(o, 0.25, 4), lambda e: 0.25 if e < 4 else 1.0),
    "linear": (
        lambda o: schedules.LinearLR(o, 0.5, 1.0, 5),
        lambda e: 0.5 + 0.5 * min(e, 5) / 5,
    ),
    "exponential": (lambda o: schedules.ExponentialLR(o, 0.9), lambda e: 0.9**e),
    "polynomial": (
        lambda o: schedules.PolynomialLR(o, 6, 2.0),
        lambda e: (1 - min(e, 6) / 6) ** 2,
    ),
    "cosine": (
        lambda o: schedules.CosineAnnealingLR(o, 5, 0.1),
        lambda e: 0.1 + 0.45 * (1 + math.cos(math.pi * e / 5)),
    ),
    "lambda": (lambda o: schedules.LambdaLR(o, lambda e: 1 / (e + 1)), lambda e: 1 / (e + 1)),
    "multiplicative": (
        lambda o: schedules.MultiplicativeLR(o, lambda e: 0.5 if e % 2 else 1.0),
        lambda e: 0.5 ** ((e + 1) // 2),
    ),
    "restarts": (
        lambda o: schedules.CosineAnnealingWarmRestarts(o, 2, 2),
        lambda e: 0.5 + 0.5 * math.cos(
            math.pi * (e / 2 if e < 2 else (e - 2) / 4 if e < 6 else (e - 6) / 8)
        ),
    ),
    "cyclic": (
        lambda o: schedules.CyclicLR(o, 0.0, 1.0, 2, 4, cycle_momentum=False),
        lambda e: (e % 6) / 2 if e % 6 <= 2 else 1 - (e % 6 - 2) / 4,
    ),
    "cyclic halved": (
        lambda o: schedules.CyclicLR(o, 0.0, 1.0, 2, mode="triangular2", cycle_momentum=False),
        lambda e: (1 - abs(e % 4 - 2) / 2) * 0.5 ** (e // 4),
    ),
    "one cycle": (
        lambda o: schedules.OneCycleLR(
            o, 1.0, total_steps=11, pct_start=3 / 11, anneal_strategy="linear", div_factor=10,
            final_div_factor=10, cycle_momentum=False,
        ),
        lambda e: 0.1 + 0.9 * e / 2 if e <= 2 else 1 - 0.99 * (e - 2) / 8,
    ),
    "sequence": (
        lambda o: schedules.SequentialLR(
            o, [schedules.ConstantLR(o, 0.1, 9), schedules.ExponentialLR(o, 0.5)], [3]
        ),
        lambda e: 0.1 if e < 3 else 0.5 ** (e - 3),
    ),
    "chain": (
        lambda o: schedules.ChainedScheduler(
            [schedules.ConstantLR(o, 0.5, 3), schedules.ExponentialLR(o, 0.5)]
        ),
        lambda e: 0.5**e * (0.5 if e < 3 else 1.0),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_formula(name):
    make, formula = CASES[name]
    got = rates(make(sgd()), 11)
    assert got == pytest.approx([formula(e) for e in range(11)], abs=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_state_dict_goes_round(name):
    make, formula = CASES[name]
    first = make(sgd())
    rates(first, 4)
    again = make(sgd())
    again.load_state_dict(first.state_dict())
    again.optimizer.load_state_dict(first.optimizer.state_dict())
    assert rates(again, 6) == pytest.approx([formula(e) for e in range(4, 10)], abs=1e-12)
    assert again.get_last_lr() == [again.optimizer.param_groups[0]["lr"]]


@pytest.mark.parametrize("name", ["step", "multistep", "linear", "exponential", "cosine"])
def test_jumps_use_the_closed_form(name):
    make, formula = CASES[name]
    scheduler = make(sgd())
    scheduler.optimizer.step()
    for epoch in (7, 2, 0):
        with pytest.warns(UserWarning, match="The epoch parameter in `scheduler.step"):
            scheduler.step(epoch)
        assert scheduler.get_last_lr() == pytest.approx([formula(epoch)])


def test_going_on_from_an_epoch():
    optimizer = sgd()
    with pytest.raises(KeyError, match="param 'initial_lr' is not specified in param_groups.0."):
        schedules.ExponentialLR(optimizer, 0.5, last_epoch=3)
    rates(schedules.LambdaLR(optimizer, lambda e: 0.5**e), 4)
    again = schedules.LambdaLR(optimizer, lambda e: 0.5**e, last_epoch=4)
    assert again.last_epoch == 5
    assert rates(again, 2) == [0.5**5, 0.5**6]


def test_each_group_has_its_rate():
    p, q = (torch.nn.Parameter(torch.zeros(1)) for _ in range(2))
    optimizer = optim.SGD([{"params": p}, {"params": q, "lr": 0.2}], lr=1.0)
    scheduler = schedules.LambdaLR(optimizer, [lambda e: 0.5**e, lambda e: 1 + e])
    optimizer.step()
    scheduler.step()
    assert scheduler.get_last_lr() == [0.5, 0.4]
    with pytest.raises(ValueError, match="Expected 2 lr_lambdas, but got 1"):
        schedules.LambdaLR(optimizer, [lambda e: 1])


def test_tensor_rates_change_in_place():
    lr = torch.tensor(1.0)
    optimizer = sgd(lr)
    scheduler = schedules.ExponentialLR(optimizer, 0.5)
    optimizer.step()
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] is lr and lr.item() == 0.5
    assert scheduler.base_lrs[0].item() == 1.0


def test_momentum_goes_against_the_rate():
    optimizer = sgd(momentum=0.9)
    scheduler = schedules.OneCycleLR(optimizer, 1.0, total_steps=10)
    pairs = []
    for _ in range(9):
        group = optimizer.param_groups[0]
        pairs.append((group["lr"], group["momentum"]))
        optimizer.step()
        scheduler.step()
    assert max(pairs) == pytest.approx((1.0, 0.85))
    assert min(pairs)[1] > 0.94
    adam = optim.Adam([torch.nn.Parameter(torch.zeros(1))])
    schedules.CyclicLR(adam, 0.1, 0.2)
    assert adam.param_groups[0]["betas"] == (0.9, 0.999)
    with pytest.raises(ValueError, match="must support momentum or beta1"):
        schedules.CyclicLR(optim.Adagrad([torch.nn.Parameter(torch.zeros(1))]), 0.1, 0.2)


def test_one_cycle_ends():
    scheduler = schedules.OneCycleLR(sgd(momentum=0.9), 1.0, total_steps=3)
    rates(scheduler, 3)
    with pytest.raises(ValueError, match="Tried to step 4 times"):
        scheduler.step()


def test_plateau():
    optimizer = sgd()
    scheduler = schedules.ReduceLROnPlateau(
        optimizer, patience=1, factor=0.1, cooldown=1, min_lr=5e-3
    )
    seen = []
    for value in (1.0, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8):
        scheduler.step(torch.tensor(value))
        seen.append(scheduler.get_last_lr()[0])
    assert seen == pytest.approx([1.0] * 3 + [0.1] * 3 + [0.01] * 3 + [5e-3] * 4)
    state = scheduler.state_dict()
    assert state["best"] == pytest.approx(0.8) and "optimizer" not in state


def test_warnings_about_the_order_of_steps():
    scheduler = schedules.ExponentialLR(sgd(), 0.5)
    with pytest.warns(UserWarning, match="Detected call of `lr_scheduler.step..` before"):
        scheduler.step()
    scheduler = schedules.ExponentialLR(sgd(), 0.5)
    scheduler.optimizer.step = lambda: None
    with pytest.warns(UserWarning, match="`optimizer.step..` has been overridden"):
        scheduler.step()
    scheduler = schedules.ExponentialLR(sgd(), 0.5)
    scheduler.optimizer.step()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scheduler.step()
    with pytest.warns(UserWarning, match="please use `get_last_lr"):
        scheduler.get_lr()


def test_a_scheduler_does_not_keep_its_optimizer_in_a_cycle():
    import gc
    import weakref

    gc.collect()
    optimizer = sgd()
    scheduler = schedules.ExponentialLR(optimizer, 0.5)
    ref = weakref.ref(optimizer)
    gc.disable()
    try:
        del optimizer, scheduler
        assert ref() is None
    finally:
        gc.enable()


def test_refused():
    with pytest.raises(TypeError, match="int is not an Optimizer"):
        schedules.StepLR(5, 2)
    o = sgd()
    with pytest.raises(ValueError, match="Factor should be < 1.0."):
        schedules.ReduceLROnPlateau(o, factor=1.0)
    with pytest.raises(ValueError, match="does not support `ReduceLROnPlateau`"):
        schedules.ChainedScheduler([schedules.ReduceLROnPlateau(o)])
    with pytest.raises(ValueError, match="belong to the same optimizer"):
        schedules.SequentialLR(o, [schedules.StepLR(sgd(), 1)], [])
    with pytest.raises(ValueError, match="You must define either total_steps OR"):
        schedules.OneCycleLR(o, 0.1)
