"""Averaged stochastic gradient descent (Polyak and Juditsky, 1992)."""

import mindtorch_v2 as torch

from .optimizer import (
    Optimizer,
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

__all__ = ["ASGD", "asgd"]


class ASGD(Optimizer):
    """Gradient descent at a falling rate that also keeps the average of the parameters, from step
    `t0` on.

    The rate of step t is ``lr / (1 + lambd * lr * t) ** alpha``; `lambd` also shrinks the parameter
    each step. See `Adam` for the flags. State of a parameter: "step", "eta" (the rate), "mu" (the
    weight of the newest value) (all 0-dim), "ax" (the average, like the parameter).
    """

    def __init__(
        self,
        params,
        lr=1e-2,
        lambd=1e-4,
        alpha=0.75,
        t0=1e6,
        weight_decay=0,
        foreach=None,
        maximize=False,
        differentiable=False,
        capturable=False,
    ):
        _check_lr(lr)
        _check_not_negative("weight_decay", weight_decay)
        super().__init__(
            params,
            {
                "lr": lr,
                "lambd": lambd,
                "alpha": alpha,
                "t0": t0,
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
        for p_state in self.state.values():
            if isinstance(p_state, dict):
                for name in ("eta", "mu"):
                    if name in p_state and not torch.is_tensor(p_state[name]):
                        p_state[name] = torch.tensor(p_state[name], dtype=_get_scalar_dtype())

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
                    raise RuntimeError("ASGD does not support sparse gradients")
                state = self.state[p]
                if not state:
                    dtype = _get_scalar_dtype()
                    state["step"] = torch.zeros((), dtype=dtype, device=p.device)
                    state["eta"] = (
                        torch.as_tensor(group["lr"], device=p.device, dtype=dtype).clone().detach()
                    )
                    state["mu"] = torch.ones((), dtype=dtype, device=p.device)
                    state["ax"] = torch.zeros_like(p, memory_format=torch.preserve_format)
            states = [self.state[p] for p in params]
            asgd(
                params,
                [p.grad for p in params],
                [state["ax"] for state in states],
                [state["mu"] for state in states],
                [state["eta"] for state in states],
                [state["step"] for state in states],
                foreach=group["foreach"],
                maximize=group["maximize"],
                differentiable=group["differentiable"],
                capturable=group["capturable"],
                lambd=group["lambd"],
                lr=group["lr"],
                t0=group["t0"],
                alpha=group["alpha"],
                weight_decay=group["weight_decay"],
            )
        return loss


def asgd(
    params,
    grads,
    axs,
    mus,
    etas,
    state_steps,
    foreach=None,
    maximize=False,
    differentiable=False,
    capturable=False,
    has_complex=False,
    *,
    lambd,
    lr,
    t0,
    alpha,
    weight_decay,
):
    """One step of ASGD on parallel lists, in place. `mus`, `etas` and `state_steps` are 0-dim
    tensors.
    """
    if capturable:
        _refuse_capturable(
            params, state_steps, "params, mus, etas, and state_steps", supports_xla=not foreach
        )
    if not differentiable:
        lr = _get_value(lr)
    _view_as_real(params, grads, axs)
    for i, param in enumerate(params):
        grad = -grads[i] if maximize else grads[i]
        ax, mu, eta = axs[i], mus[i], etas[i]
        state_steps[i] += 1
        step = state_steps[i].item()
        if weight_decay != 0:
            grad = grad.add(param, alpha=weight_decay)
        rate = eta.item()
        param.mul_(1 - lambd * rate)
        param.add_(grad, alpha=-rate)
        if mu.item() != 1:
            ax.add_(param.sub(ax).mul_(mu.item()))
        else:
            ax.copy_(param)
        eta.copy_(torch.as_tensor(lr / ((1 + lambd * lr * step) ** alpha)))
        mu.fill_(1 / max(1, step - t0))
