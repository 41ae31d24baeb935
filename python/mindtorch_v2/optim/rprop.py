"""Resilient backpropagation (Riedmiller and Braun, 1993), the variant that skips a step where the
sign changed.
"""

import mindtorch_v2 as torch

from .optimizer import (
    Optimizer,
    _check_lr,
    _evaluate,
    _get_scalar_dtype,
    _refuse_capturable,
    _tensor_steps,
    _use_grad_for_differentiable,
    _view_as_real,
)

__all__ = ["Rprop", "rprop"]


class Rprop(Optimizer):
    """Steps by a size of each entry's own that grows while its gradient keeps its sign and shrinks
    when it changes.

    `lr` is the first size, `etas` the factors of shrinking and growing, `step_sizes` the smallest
    and the largest size. See `Adam` for the flags. State of a parameter: "step" (0-dim), "prev"
    (the last gradient), "step_size".
    """

    def __init__(
        self,
        params,
        lr=1e-2,
        etas=(0.5, 1.2),
        step_sizes=(1e-6, 50),
        *,
        capturable=False,
        foreach=None,
        maximize=False,
        differentiable=False,
    ):
        _check_lr(lr)
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}")
        super().__init__(
            params,
            {
                "lr": lr,
                "etas": etas,
                "step_sizes": step_sizes,
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
                grad = p.grad
                if grad.is_sparse:
                    raise RuntimeError("Rprop does not support sparse gradients")
                state = self.state[p]
                if not state:
                    on = p.device if group["capturable"] else None
                    state["step"] = torch.zeros((), dtype=_get_scalar_dtype(), device=on)
                    state["prev"] = torch.zeros_like(p, memory_format=torch.preserve_format)
                    first = float(group["lr"])
                    if torch.is_complex(p):
                        # The parts step on their own, so both need a size.
                        first = complex(first, first)
                    state["step_size"] = torch.full_like(grad, first)
            states = [self.state[p] for p in params]
            etaminus, etaplus = group["etas"]
            smallest, largest = group["step_sizes"]
            rprop(
                params,
                [p.grad for p in params],
                [state["prev"] for state in states],
                [state["step_size"] for state in states],
                [state["step"] for state in states],
                foreach=group["foreach"],
                capturable=group["capturable"],
                maximize=group["maximize"],
                differentiable=group["differentiable"],
                step_size_min=smallest,
                step_size_max=largest,
                etaminus=etaminus,
                etaplus=etaplus,
            )
        return loss


def rprop(
    params,
    grads,
    prevs,
    step_sizes,
    state_steps,
    foreach=None,
    capturable=False,
    maximize=False,
    differentiable=False,
    has_complex=False,
    *,
    step_size_min,
    step_size_max,
    etaminus,
    etaplus,
):
    """One step of Rprop on parallel lists, in place. `state_steps` are 0-dim tensors."""
    if not all(isinstance(t, torch.Tensor) for t in state_steps):
        raise RuntimeError(
            "API has changed, `state_steps` argument must contain a list of singleton tensors"
        )
    if capturable:
        _refuse_capturable(params, state_steps, "params and state_steps")
    _view_as_real(params, grads, prevs, step_sizes)
    for i, param in enumerate(params):
        grad = -grads[i] if maximize else grads[i]
        prev, size = prevs[i], step_sizes[i]
        state_steps[i] += 1
        agreement = grad.mul(prev.clone() if differentiable else prev).sign()
        factor = (
            torch.ones_like(size)
            .masked_fill_(agreement > 0, etaplus)
            .masked_fill_(agreement < 0, etaminus)
        )
        size.mul_(factor).clamp_(step_size_min, step_size_max)
        grad = grad.masked_fill(agreement < 0, 0)
        param.addcmul_(grad.sign(), size.clone() if differentiable else size, value=-1)
        prev.copy_(grad)
