"""Stochastic gradient descent with momentum, in the form where the learning rate multiplies the
buffer.
"""

import mindtorch_v2 as torch

from .optimizer import (
    Optimizer,
    _check_fused_once,
    _evaluate,
    _get_value,
    _group_by_dtype,
    _one_call_serves,
    _set_grad_scaling,
    _use_grad_for_differentiable,
)

__all__ = ["SGD", "sgd"]


class SGD(Optimizer):
    """Steps against the gradient, or against a decaying sum of gradients.

    ``buffer = momentum * buffer + (1 - dampening) * grad`` starts at the first gradient, undamped;
    `nesterov` adds ``momentum * buffer`` to the gradient instead of taking the buffer.
    `weight_decay` adds ``weight_decay * param`` to the gradient. `lr` is a number or a tensor of
    one element. See `Adam` for the flags.

    State of a parameter: with momentum "momentum_buffer", else none. Sparse gradients are accepted
    where momentum is 0 or the buffer is sparse too.
    """

    def __init__(
        self,
        params,
        lr=1e-3,
        momentum=0,
        dampening=0,
        weight_decay=0,
        nesterov=False,
        *,
        maximize=False,
        foreach=None,
        differentiable=False,
        fused=None,
    ):
        if isinstance(lr, torch.Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        if lr < 0.0:
            raise ValueError(f"Invalid learning rate: {lr}")
        if momentum < 0.0:
            raise ValueError(f"Invalid momentum value: {momentum}")
        if weight_decay < 0.0:
            raise ValueError(f"Invalid weight_decay value: {weight_decay}")
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "dampening": dampening,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
                "maximize": maximize,
                "foreach": foreach,
                "differentiable": differentiable,
                "fused": fused,
            },
        )
        if fused:
            _set_grad_scaling(self)
            if differentiable:
                raise RuntimeError("`fused` does not support `differentiable`")
            if foreach:
                raise RuntimeError("`fused` and `foreach` cannot be `True` together.")

    def __setstate__(self, state):
        super().__setstate__(state)
        for group in self.param_groups:
            for name in ("nesterov", "maximize", "differentiable", "fused"):
                group.setdefault(name, False)
            group.setdefault("foreach", None)

    @_use_grad_for_differentiable
    def step(self, closure=None):
        """Update all parameters that have a gradient; returns the loss of `closure`, called with
        gradients on.
        """
        loss = _evaluate(closure)
        all_state = self.state
        for group in self.param_groups:
            params, grads = [], []
            for p in group["params"]:
                grad = p.grad
                if grad is not None:
                    params.append(p)
                    grads.append(grad)
            _check_fused_once(self, group)
            if not params:
                continue
            momentum = group["momentum"]
            if momentum != 0:
                states = [all_state[p] for p in params]
                buffers = [state.get("momentum_buffer") for state in states]
            else:
                states = buffers = [None] * len(params)
            fresh = momentum != 0 and any(buffer is None for buffer in buffers)
            _update(
                params,
                grads,
                buffers,
                _one_call_serves(params, grads),
                fused=group["fused"],
                differentiable=group["differentiable"],
                grad_scale=getattr(self, "grad_scale", None),
                found_inf=getattr(self, "found_inf", None),
                weight_decay=group["weight_decay"],
                momentum=momentum,
                lr=group["lr"],
                dampening=group["dampening"],
                nesterov=group["nesterov"],
                maximize=group["maximize"],
            )
            if fresh:
                for state, buffer in zip(states, buffers, strict=False):
                    state["momentum_buffer"] = buffer
        return loss


def sgd(
    params,
    d_p_list,
    momentum_buffer_list,
    has_sparse_grad=False,
    foreach=None,
    fused=None,
    grad_scale=None,
    found_inf=None,
    *,
    weight_decay,
    momentum,
    lr,
    dampening,
    nesterov,
    maximize,
):
    """One step of SGD on parallel lists, in place; buffers that are None are made and put into
    their list.
    """
    if not params:
        return
    _update(
        params,
        d_p_list,
        momentum_buffer_list,
        _one_call_serves(params, d_p_list),
        fused=fused,
        differentiable=torch.is_grad_enabled(),
        grad_scale=grad_scale,
        found_inf=found_inf,
        weight_decay=weight_decay,
        momentum=momentum,
        lr=lr,
        dampening=dampening,
        nesterov=nesterov,
        maximize=maximize,
    )


def _update(
    params,
    grads,
    buffers,
    uniform,
    *,
    fused,
    differentiable,
    grad_scale,
    found_inf,
    weight_decay,
    momentum,
    lr,
    dampening,
    nesterov,
    maximize,
):
    """Choose between the multi-tensor operator and the tensor-by-tensor way; `uniform` says that
    the first may serve.
    """
    if not differentiable:
        lr, weight_decay = _get_value(lr), _get_value(weight_decay)
    if fused or (
        uniform and fused is None and not differentiable and hasattr(torch, "_fused_sgd_")
    ):
        if not uniform and any(grad.is_sparse for grad in grads):
            raise RuntimeError("`_fused_sgd` does not support sparse gradients")
        options = {
            "weight_decay": weight_decay,
            "momentum": momentum,
            "lr": lr,
            "dampening": dampening,
            "nesterov": nesterov,
            "maximize": maximize,
            "grad_scale": grad_scale,
            "found_inf": found_inf,
        }
        missing = [i for i, buffer in enumerate(buffers) if buffer is None] if momentum != 0 else []
        if missing:
            for i in missing:
                buffers[i] = torch.empty_like(grads[i])
            first = set(missing)
            rest = [i for i in range(len(params)) if i not in first]
        for index, is_first_step in (
            ((missing, True), (rest, False)) if missing else ((None, False),)
        ):
            lists = (params, grads, buffers if momentum != 0 else [])
            if index is not None:
                lists = tuple([t[i] for i in index] for t in lists)
            if lists[0]:
                for part in [lists] if uniform else _group_by_dtype(lists):
                    torch._fused_sgd_(*part, is_first_step=is_first_step, **options)
        return

    assert grad_scale is None and found_inf is None, "Expected grad_scale and found_inf to be None"
    for i, param in enumerate(params):
        grad = -grads[i] if maximize else grads[i]
        if isinstance(weight_decay, torch.Tensor):
            grad = grad + param * weight_decay
        elif weight_decay != 0:
            grad = grad.add(param, alpha=weight_decay)
        if momentum != 0:
            buffer = buffers[i]
            if buffer is None:
                buffer = grad.detach().clone()
                buffers[i] = buffer
            else:
                buffer.mul_(momentum).add_(grad, alpha=1 - dampening)
            if differentiable:
                buffer = buffer.clone()  # the buffer changes in place in the next step
            grad = grad.add(buffer, alpha=momentum) if nesterov else buffer
        if isinstance(lr, torch.Tensor):
            param.sub_(grad * lr)
        else:
            param.add_(grad, alpha=-lr)
