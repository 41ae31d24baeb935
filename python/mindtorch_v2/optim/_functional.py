"""Steps of the optimizers as functions on parallel lists."""

import mindtorch_v2 as torch

from .adadelta import adadelta  # noqa: F401
from .adagrad import adagrad  # noqa: F401
from .adam import adam  # noqa: F401
from .adamax import adamax  # noqa: F401
from .adamw import adamw  # noqa: F401
from .asgd import asgd  # noqa: F401
from .nadam import nadam  # noqa: F401
from .optimizer import _get_value
from .radam import radam  # noqa: F401
from .rmsprop import rmsprop  # noqa: F401
from .rprop import rprop  # noqa: F401
from .sgd import sgd  # noqa: F401


def sparse_adam(
    params, grads, exp_avgs, exp_avg_sqs, state_steps, *, eps, beta1, beta2, lr, maximize
):
    """One step of `SparseAdam` on parallel lists, in place; `state_steps` are ints that count this
    step already.
    """
    lr = _get_value(lr)
    for param, grad, exp_avg, exp_avg_sq, step in zip(
        params, grads, exp_avgs, exp_avg_sqs, state_steps, strict=False
    ):
        grad = (-grad if maximize else grad).coalesce()  # sums equal indices
        values = grad._values()
        if values.numel() == 0:
            continue

        def at_grad(entries, grad=grad):
            return torch.sparse_coo_tensor(grad._indices(), entries, grad.size())

        old_mean = exp_avg.sparse_mask(grad)._values()
        old_square = exp_avg_sq.sparse_mask(grad)._values()
        to_mean = (values - old_mean).mul_(1 - beta1)
        to_square = values.pow(2).sub_(old_square).mul_(1 - beta2)
        exp_avg.add_(at_grad(to_mean))
        exp_avg_sq.add_(at_grad(to_square))

        mean = to_mean.add_(old_mean)
        root = to_square.add_(old_square).sqrt_().add_(eps)
        rate = lr * (1 - beta2**step) ** 0.5 / (1 - beta1**step)
        param.add_(at_grad(mean.div_(root).mul_(-rate)))
