"""Adamax (Kingma and Ba, 2015, section 7.1)."""

import mindtorch_v2 as torch

from .optimizer import (
    Optimizer,
    _check_betas,
    _check_lr,
    _check_not_negative,
    _evaluate,
    _get_scalar_dtype,
    _get_value,
    _refuse_capturable,
    _tensor_steps,
    _use_grad_for_differentiable,
    _view_as_real,
)

__all__ = ["Adamax", "adamax"]


class Adamax(Optimizer):
    """Adam with a decaying maximum of the gradient's size in the place of the root mean square.

    State of a parameter: "step" (0-dim), "exp_avg", "exp_inf" (like the parameter). See `Adam` for
    the flags.
    """

    def __init__(
        self,
        params,
        lr=2e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=0,
        foreach=None,
        *,
        maximize=False,
        differentiable=False,
        capturable=False,
    ):
        _check_lr(lr)
        _check_not_negative("epsilon", eps)
        _check_betas(betas)
        _check_not_negative("weight_decay", weight_decay)
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "capturable": capturable,
            },
        )

    def __setstate__(self, state):
        super().__setstate__(state)
        for group in self.param_groups:
            group.setdefault("foreach", None)
            for name in ("maximize", "differentiable", "capturable"):
                group.setdefault(name, False)
        _tensor_steps(self)

    @_use_grad_for_differentiable
    def step(self, closure=None):
        """Update all parameters that have a gradient; returns the loss of `closure`, called with
        gradients on.
        """
        loss = _evaluate(closure)
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            for p in params:
                if p.grad.is_sparse:
                    raise RuntimeError("Adamax does not support sparse gradients")
                state = self.state[p]
                if not state:
                    on = p.device if group["capturable"] else None
                    state["step"] = torch.zeros((), dtype=_get_scalar_dtype(), device=on)
                    state["exp_avg"] = torch.zeros_like(p, memory_format=torch.preserve_format)
                    state["exp_inf"] = torch.zeros_like(p, memory_format=torch.preserve_format)
            states = [self.state[p] for p in params]
            beta1, beta2 = group["betas"]
            adamax(
                params,
                [p.grad for p in params],
                [state["exp_avg"] for state in states],
                [state["exp_inf"] for state in states],
                [state["step"] for state in states],
                foreach=group["foreach"],
                maximize=group["maximize"],
                differentiable=group["differentiable"],
                capturable=group["capturable"],
                eps=group["eps"],
                beta1=beta1,
                beta2=beta2,
                lr=group["lr"],
                weight_decay=group["weight_decay"],
            )
        return loss


def adamax(
    params,
    grads,
    exp_avgs,
    exp_infs,
    state_steps,
    foreach=None,
    maximize=False,
    differentiable=False,
    capturable=False,
    has_complex=False,
    *,
    eps,
    beta1,
    beta2,
    lr,
    weight_decay,
):
    """One step of Adamax on parallel lists, in place. `state_steps` are 0-dim tensors."""
    if not all(isinstance(t, torch.Tensor) for t in state_steps):
        raise RuntimeError(
            "API has changed, `state_steps` argument must contain a list of singleton tensors"
        )
    if capturable:
        _refuse_capturable(params, state_steps, "params and state_steps", supports_xla=not foreach)
    if not differentiable:
        lr, beta1, beta2, weight_decay = map(_get_value, (lr, beta1, beta2, weight_decay))
    _view_as_real(params, grads, exp_avgs, exp_infs)
    for i, param in enumerate(params):
        state_steps[i] += 1
        grad = -grads[i] if maximize else grads[i]
        if weight_decay != 0:
            grad = grad.add(param, alpha=weight_decay)
        exp_avg, exp_inf = exp_avgs[i], exp_infs[i]
        exp_avg.lerp_(grad, 1 - beta1)
        size = grad.abs().add_(eps)
        if differentiable:
            exp_inf.copy_(torch.maximum(exp_inf * beta2, size))
            exp_avg, exp_inf = exp_avg.clone(), exp_inf.clone()
        else:
            torch.maximum(exp_inf.mul_(beta2), size, out=exp_inf)
        rate = lr / (1 - beta1 ** state_steps[i].item())
        if isinstance(rate, torch.Tensor):
            param.sub_(exp_avg / exp_inf * rate)
        else:
            param.addcdiv_(exp_avg, exp_inf, value=-rate)
