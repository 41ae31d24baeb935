"""Averages of models over training: stochastic weight averaging (Izmailov et al., 2018) and moving
averages.
"""

import itertools
import math

import mindtorch_v2 as torch

from ..nn import Module
from .lr_scheduler import LRScheduler, _format_param

__all__ = [
    "AveragedModel",
    "update_bn",
    "SWALR",
    "get_ema_multi_avg_fn",
    "get_swa_multi_avg_fn",
    "get_ema_avg_fn",
    "get_swa_avg_fn",
]


def _check_decay(decay):
    if decay < 0.0 or decay > 1.0:
        raise ValueError(
            f"Invalid decay value {decay} provided. Please provide a value in [0,1] range."
        )


def _no_grad(func):
    """Run `func` with gradients off."""
    from functools import wraps

    @wraps(func)
    def wrapper(*args, **kwargs):
        with torch.no_grad():
            return func(*args, **kwargs)

    return wrapper


def _has_mean(tensors):
    return torch.is_floating_point(tensors[0]) or torch.is_complex(tensors[0])


def get_ema_multi_avg_fn(decay=0.999):
    """A function ``f(averages, params, n)`` that moves the tensors `averages` by ``1 - decay``
    towards `params`.
    """
    _check_decay(decay)

    @_no_grad
    def ema_update(ema_param_list, current_param_list, _):
        if _has_mean(ema_param_list):
            torch._foreach_lerp_(ema_param_list, current_param_list, 1 - decay)
        else:
            for average, param in zip(ema_param_list, current_param_list, strict=False):
                average.copy_(average * decay + param * (1 - decay))

    return ema_update


def get_swa_multi_avg_fn():
    """A function ``f(averages, params, n)`` that adds `params` as number n + 1 to the means
    `averages`.
    """

    @_no_grad
    def swa_update(averaged_param_list, current_param_list, num_averaged):
        if _has_mean(averaged_param_list):
            torch._foreach_lerp_(
                averaged_param_list, current_param_list, 1 / (float(num_averaged) + 1)
            )
        else:
            for average, param in zip(averaged_param_list, current_param_list, strict=False):
                average.add_(
                    torch.div(param - average, num_averaged + 1, rounding_mode="trunc").to(
                        average.dtype
                    )
                )

    return swa_update


def get_ema_avg_fn(decay=0.999):
    """A function ``f(average, param, n)``: it returns ``decay * average + (1 - decay) * param``."""
    _check_decay(decay)

    @_no_grad
    def ema_update(ema_param, current_param, num_averaged):
        return decay * ema_param + (1 - decay) * current_param

    return ema_update


def get_swa_avg_fn():
    """A function ``f(average, param, n)`` that returns the mean with `param` as number n + 1."""

    @_no_grad
    def swa_update(averaged_param, current_param, num_averaged):
        return averaged_param + (current_param - averaged_param) / (num_averaged + 1)

    return swa_update


class AveragedModel(Module):
    """A copy of `model` whose parameters are averages over the models given to `update_parameters`.

    By default equal means. `avg_fn` (average, param, n) returns a new average; `multi_avg_fn`
    (averages, params, n) changes lists of one dtype in place; only one of them may be given
    (AssertionError). With `use_buffers` buffers are averaged too, else copied. `n_averaged` (int64
    buffer) counts the updates.
    """

    def __init__(self, model, device=None, avg_fn=None, multi_avg_fn=None, use_buffers=False):
        from copy import deepcopy

        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", torch.tensor(0, dtype=torch.long, device=device))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args, **kwargs):
        """The averaged model's output."""
        return self.module(*args, **kwargs)

    def _averaged_tensors(self, model):
        tensors = model.parameters()
        return itertools.chain(tensors, model.buffers()) if self.use_buffers else tensors

    def update_parameters(self, model):
        """Take the parameters of `model`, of the same structure, into the averages."""
        first = bool(self.n_averaged == 0)
        averages, params = [], []
        for average, param in zip(
            self._averaged_tensors(self.module), self._averaged_tensors(model), strict=False
        ):
            average, param = average.detach(), param.detach().to(average.device)
            averages.append(average)
            params.append(param)
            if first:
                average.copy_(param)
        if not first:
            if self.avg_fn is None:
                self._update_all(averages, params)
            else:
                n = self.n_averaged
                for average, param in zip(averages, params, strict=False):
                    average.copy_(self.avg_fn(average, param, n.to(average.device)))
        if not self.use_buffers:
            for average, buffer in zip(self.module.buffers(), model.buffers(), strict=False):
                average.detach().copy_(buffer.detach().to(average.device))
        self.n_averaged += 1

    def _update_all(self, averages, params):
        update = self.multi_avg_fn or get_swa_multi_avg_fn()
        groups = {}
        for average, param in zip(averages, params, strict=False):
            lists = groups.setdefault((average.device, average.dtype), ([], []))
            lists[0].append(average)
            lists[1].append(param)
        for (device, _), (some_averages, some_params) in groups.items():
            update(some_averages, some_params, self.n_averaged.to(device))


@_no_grad
def update_bn(loader, model, device=None):
    """Compute the running statistics of all batch norms of `model` anew over the batches of
    `loader`.

    A batch is an input or a list or tuple with the input first; it is moved to `device` if that is
    given. The statistics are plain means over the batches. The model goes through training mode and
    back.
    """
    momenta = {}
    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.reset_running_stats()
            momenta[module] = module.momentum
    if not momenta:
        return
    was_training = model.training
    model.train()
    for module in momenta:
        module.momentum = None
    for batch in loader:
        if isinstance(batch, (list, tuple)):
            batch = batch[0]
        if device is not None:
            batch = batch.to(device)
        model(batch)
    for module, momentum in momenta.items():
        module.momentum = momentum
    model.train(was_training)


class SWALR(LRScheduler):
    """Moves the rate from what it is to the constant `swa_lr` within `anneal_epochs`, by a cosine
    or a line.

    `swa_lr` is a number or a list, one per group; `anneal_strategy` is "cos" or "linear".
    """

    def __init__(self, optimizer, swa_lr, anneal_epochs=10, anneal_strategy="cos", last_epoch=-1):
        for rate, group in zip(
            _format_param("swa_lr", optimizer, swa_lr), optimizer.param_groups, strict=False
        ):
            group["swa_lr"] = rate
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}"
            )
        self._set_anneal_func(anneal_strategy)
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    @staticmethod
    def _linear_anneal(t):
        return t

    @staticmethod
    def _cosine_anneal(t):
        return (1 - math.cos(math.pi * t)) / 2

    def _set_anneal_func(self, anneal_strategy):
        self._anneal_strategy = anneal_strategy
        self.anneal_func = self._cosine_anneal if anneal_strategy == "cos" else self._linear_anneal

    @staticmethod
    def _get_initial_lr(lr, swa_lr, alpha):
        """The rate before annealing, of which `lr` is what the part `alpha` has left."""
        return swa_lr if alpha == 1 else (lr - alpha * swa_lr) / (1 - alpha)

    def get_lr(self):
        lrs = self._current()
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = (
            self.anneal_func(max(0, min(1, s / max(1, self.anneal_epochs))))
            for s in (step - 1, step)
        )
        targets = [group["swa_lr"] for group in self.optimizer.param_groups]
        starts = [
            self._get_initial_lr(lr, target, before)
            for lr, target in zip(lrs, targets, strict=False)
        ]
        return [
            target * now + start * (1 - now) for start, target in zip(starts, targets, strict=False)
        ]

    def state_dict(self):
        """All attributes but the optimizer and the annealing function, which the strategy's name
        stands for.
        """
        return {
            key: value
            for key, value in self.__dict__.items()
            if key not in ("optimizer", "anneal_func")
        }

    def load_state_dict(self, state_dict):
        """Take over a state."""
        self.__dict__.update(state_dict)
        self._set_anneal_func(self._anneal_strategy)
