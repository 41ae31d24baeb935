"""Averages of models."""

import pytest

import mindtorch_v2 as torch
from mindtorch_v2 import optim
from mindtorch_v2.optim import swa_utils


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(2))
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, x):
        return x * self.weight


def run(average, net, values):
    for value in values:
        with torch.no_grad():
            net.weight.fill_(value)
            net.seen.fill_(value)
        average.update_parameters(net)


def test_equal_means():
    net = Net()
    average = swa_utils.AveragedModel(net)
    run(average, net, [1.0, 2.0, 6.0])
    assert average.module.weight.tolist() == pytest.approx([3.0, 3.0])
    assert average.module.seen.item() == 6.0  # buffers are copied
    assert average.n_averaged.item() == 3
    assert average(torch.ones(2)).tolist() == pytest.approx([3.0, 3.0])
    assert net.weight.tolist() == [6.0, 6.0]


@pytest.mark.parametrize(
    "kwargs",
    [
        {"multi_avg_fn": swa_utils.get_ema_multi_avg_fn(0.5)},
        {"avg_fn": swa_utils.get_ema_avg_fn(0.5)},
        {"avg_fn": lambda average, new, n: 0.5 * average + 0.5 * new},
    ],
)
def test_moving_means(kwargs):
    net = Net()
    average = swa_utils.AveragedModel(net, use_buffers=True, **kwargs)
    run(average, net, [1.0, 3.0, 6.0])
    assert average.module.weight.tolist() == pytest.approx([4.0, 4.0])
    assert average.module.seen.item() == pytest.approx(4.0)


def test_one_function_only():
    with pytest.raises(AssertionError, match="Only one of avg_fn and multi_avg_fn"):
        swa_utils.AveragedModel(Net(), avg_fn=len, multi_avg_fn=len)
    with pytest.raises(ValueError, match="Invalid decay value 1.5 provided"):
        swa_utils.get_ema_avg_fn(1.5)


def test_update_bn_recomputes_the_statistics():
    net = torch.nn.Sequential(torch.nn.BatchNorm1d(2, momentum=0.3))
    net.eval()
    batches = [torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[5.0, 6.0], [7.0, 8.0]])]
    swa_utils.update_bn([(b, "label") for b in batches], net)
    assert net[0].running_mean.tolist() == pytest.approx([4.0, 5.0])
    assert net[0].running_var.tolist() == pytest.approx([2.0, 2.0])
    assert net[0].momentum == 0.3 and not net.training


def test_swalr_moves_to_its_rate():
    optimizer = optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = swa_utils.SWALR(optimizer, 0.2, anneal_epochs=4, anneal_strategy="linear")
    seen = []
    for _ in range(7):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert seen == pytest.approx([1.0, 0.8, 0.6, 0.4, 0.2, 0.2, 0.2])
    assert "anneal_func" not in scheduler.state_dict()
    with pytest.raises(ValueError, match="anneal_strategy must be one of"):
        swa_utils.SWALR(optimizer, 0.2, anneal_strategy="x")
