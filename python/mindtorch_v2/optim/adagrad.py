"""Adagrad (Duchi, Hazan and Singer, 2011)."""

import mindtorch_v2 as torch

from .optimizer import (
    Optimizer,
    _check_fused_once,
    _check_lr,
    _check_not_negative,
    _count_back,
    _count_up,
    _evaluate,
    _get_scalar_dtype,
    _get_value,
    _group_by_dtype,
    _one_call_serves,
    _set_grad_scaling,
    _tensor_steps,
    _use_grad_for_differentiable,
)

__all__ = ["Adagrad", "adagrad"]


class Adagrad(Optimizer):
    """Steps by the gradient over the root of the sum of all squared gradients so far.

    The rate of step t (from 0) is ``lr / (1 + t * lr_decay)``. The sums start at
    `initial_accumulator_value`. Sparse gradients update the touched entries only and exclude
    `weight_decay`. See `Adam` for the flags.

    State of a parameter, made with the optimizer: "step" (0-dim), "sum" (like the parameter).
    """

    def __init__(
        self,
        params,
        lr=1e-2,
        lr_decay=0,
        weight_decay=0,
        initial_accumulator_value=0,
        eps=1e-10,
        foreach=None,
        *,
        maximize=False,
        differentiable=False,
        fused=None,
    ):
        _check_lr(lr)
        _check_not_negative("lr_decay", lr_decay)
        _check_not_negative("weight_decay", weight_decay)
        if not initial_accumulator_value >= 0.0:
            raise ValueError(
                f"Invalid initial_accumulator_value value: {initial_accumulator_value}"
            )
        _check_not_negative("epsilon", eps)
        super().__init__(
            params,
            {
                "lr": lr,
                "lr_decay": lr_decay,
                "eps": eps,
                "weight_decay": weight_decay,
                "initial_accumulator_value": initial_accumulator_value,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "fused": fused,
            },
        )
        if fused:
            if differentiable:
                raise RuntimeError("`fused` does not support `differentiable`")
            if foreach:
                raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
            _set_grad_scaling(self)

        for group in self.param_groups:
            for p in group["params"]:
                self._init_state(p, self.state[p], group)

    def _init_state(self, p, state, group):
        if group["fused"]:
            state["step"] = torch.zeros((), dtype=_get_scalar_dtype(is_fused=True), device=p.device)
        else:
            state["step"] = torch.tensor(0.0, dtype=_get_scalar_dtype())
        start = group["initial_accumulator_value"]
        if torch.is_complex(p):
            start = complex(start, start)
        state["sum"] = torch.full_like(p, start, memory_format=torch.preserve_format)

    def __setstate__(self, state):
        super().__setstate__(state)
        for group in self.param_groups:
            group.setdefault("foreach", None)
            group.setdefault("maximize", False)
            group.setdefault("differentiable", False)
            group.setdefault("fused", None)
        _tensor_steps(self)

    def share_memory(self):
        """Move the sums into shared memory, so that forked processes update the same ones."""
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p]["sum"].share_memory_()

    @_use_grad_for_differentiable
    def step(self, closure=None):
        """Update all parameters that have a gradient; returns the loss of `closure`, called with
        gradients on.
        """
        loss = _evaluate(closure)
        for group in self.param_groups:
            params, grads, states = [], [], []
            for p in group["params"]:
                grad = p.grad
                if grad is not None:
                    params.append(p)
                    grads.append(grad)
                    state = self.state[p]
                    if not state:
                        self._init_state(p, state, group)
                    states.append(state)
            if not params:
                continue
            _check_fused_once(self, group)
            _update(
                params,
                grads,
                [state["sum"] for state in states],
                [state["step"] for state in states],
                fused=group["fused"],
                differentiable=group["differentiable"],
                grad_scale=getattr(self, "grad_scale", None),
                found_inf=getattr(self, "found_inf", None),
                lr=group["lr"],
                weight_decay=group["weight_decay"],
                lr_decay=group["lr_decay"],
                eps=group["eps"],
                maximize=group["maximize"],
            )
        return loss


def adagrad(
    params,
    grads,
    state_sums,
    state_steps,
    fused=None,
    grad_scale=None,
    found_inf=None,
    has_sparse_grad=False,
    foreach=None,
    differentiable=False,
    has_complex=False,
    *,
    lr,
    weight_decay,
    lr_decay,
    eps,
    maximize,
):
    """One step of Adagrad on parallel lists, in place. `state_steps` are 0-dim tensors."""
    if not all(isinstance(t, torch.Tensor) for t in state_steps):
        raise RuntimeError(
            "API has changed, `state_steps` argument must contain a list of singleton tensors"
        )
    if not params:
        return
    _update(
        params,
        grads,
        state_sums,
        state_steps,
        fused=fused,
        differentiable=differentiable,
        grad_scale=grad_scale,
        found_inf=found_inf,
        lr=lr,
        weight_decay=weight_decay,
        lr_decay=lr_decay,
        eps=eps,
        maximize=maximize,
    )


def _update(
    params,
    grads,
    sums,
    steps,
    *,
    fused,
    differentiable,
    grad_scale,
    found_inf,
    lr,
    weight_decay,
    lr_decay,
    eps,
    maximize,
):
    uniform = _one_call_serves(params, grads)
    if fused or (
        uniform and fused is None and not differentiable and hasattr(torch, "_fused_adagrad_")
    ):
        if not uniform and any(
            grad.is_sparse or torch.is_complex(p) for p, grad in zip(params, grads, strict=False)
        ):
            raise RuntimeError("`fused` does not support sparse grad or complex param")
        if differentiable:
            raise RuntimeError("adagrad with fused=True does not support differentiable=True")
        options = {
            "lr": float(lr),
            "lr_decay": lr_decay,
            "weight_decay": float(weight_decay),
            "eps": eps,
            "maximize": maximize,
            "grad_scale": grad_scale,
            "found_inf": found_inf,
        }
        lists = (params, grads, sums, steps)
        for part in [lists] if uniform else _group_by_dtype(lists):
            _count_up(part[-1])
            torch._fused_adagrad_(*part, **options)
            _count_back(part[-1], found_inf)
        return

    assert grad_scale is None and found_inf is None, "Expected grad_scale and found_inf to be None"
    if not differentiable:
        lr = _get_value(lr)
    for param, grad, total, step_t in zip(params, grads, sums, steps, strict=False):
        step_t += 1
        if maximize:
            grad = -grad
        if weight_decay != 0:
            if grad.is_sparse:
                raise RuntimeError("weight_decay option is not compatible with sparse gradients")
            grad = grad.add(param, alpha=weight_decay)
        rate = lr / (1 + (step_t.item() - 1) * lr_decay)

        if grad.is_sparse:
            _sparse_step(param, grad.coalesce(), total, rate, eps)
            continue
        if torch.is_complex(param):
            param, grad, total = map(torch.view_as_real, (param, grad, total))
        total.addcmul_(grad, grad, value=1)
        if isinstance(rate, torch.Tensor):
            param.sub_(grad / (total.sqrt() + eps) * rate)
        elif differentiable:
            param.addcdiv_(grad, total.sqrt() + eps, value=-rate)
        else:
            param.addcdiv_(grad, total.sqrt().add_(eps), value=-rate)


def _sparse_step(param, grad, total, rate, eps):
    """The update of the entries that the coalesced sparse `grad` holds; equal indices were summed
    before.
    """
    if grad._values().numel() == 0:
        return

    def like_grad(values):
        return torch.sparse_coo_tensor(grad._indices(), values, grad.size())

    values = grad._values()
    total.add_(like_grad(values.pow(2)))
    root = total.sparse_mask(grad)._values().sqrt_().add_(eps)
    param.add_(like_grad(values / root), alpha=-rate)
