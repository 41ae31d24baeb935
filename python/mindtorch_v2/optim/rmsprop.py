"""RMSprop (Hinton, lecture 6 of "Neural Networks for Machine Learning", 2012), and its centred form
(Graves, 2013).
"""

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

__all__ = ["RMSprop", "rmsprop"]


class RMSprop(Optimizer):
    """Steps by the gradient over the root of a running mean of its square.

    `alpha` is the weight of the old mean; `centered` takes the running mean of the gradient,
    squared, off it; `momentum` sums the quotients in a decaying buffer. See `Adam` for the flags.

    State of a parameter: "step" (0-dim), "square_avg", where used "momentum_buffer" and "grad_avg".
    """

    def __init__(
        self,
        params,
        lr=1e-2,
        alpha=0.99,
        eps=1e-8,
        weight_decay=0,
        momentum=0,
        centered=False,
        capturable=False,
        foreach=None,
        maximize=False,
        differentiable=False,
    ):
        _check_lr(lr)
        _check_not_negative("epsilon", eps)
        _check_not_negative("momentum", momentum)
        _check_not_negative("weight_decay", weight_decay)
        _check_not_negative("alpha", alpha)
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "alpha": alpha,
                "eps": eps,
                "centered": centered,
                "weight_decay": weight_decay,
                "capturable": capturable,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
            },
        )

    def __setstate__(self, state):
        super().__setstate__(state)
        for group in self.param_groups:
            group.setdefault("momentum", 0)
            group.setdefault("foreach", None)
            for name in ("centered", "maximize", "differentiable", "capturable"):
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
            momentum, centered = group["momentum"] > 0, group["centered"]
            for p in params:
                if p.grad.is_sparse:
                    raise RuntimeError("RMSprop does not support sparse gradients")
                state = self.state[p]
                if not state:
                    on = p.device if group["capturable"] else None
                    state["step"] = torch.zeros((), dtype=_get_scalar_dtype(), device=on)
                    for used, name in (
                        (True, "square_avg"),
                        (momentum, "momentum_buffer"),
                        (centered, "grad_avg"),
                    ):
                        if used:
                            state[name] = torch.zeros_like(p, memory_format=torch.preserve_format)
            states = [self.state[p] for p in params]
            rmsprop(
                params,
                [p.grad for p in params],
                [state["square_avg"] for state in states],
                [state["grad_avg"] for state in states] if centered else [],
                [state["momentum_buffer"] for state in states] if momentum else [],
                [state["step"] for state in states],
                foreach=group["foreach"],
                maximize=group["maximize"],
                differentiable=group["differentiable"],
                capturable=group["capturable"],
                lr=group["lr"],
                alpha=group["alpha"],
                eps=group["eps"],
                weight_decay=group["weight_decay"],
                momentum=group["momentum"],
                centered=centered,
            )
        return loss


def rmsprop(
    params,
    grads,
    square_avgs,
    grad_avgs,
    momentum_buffer_list,
    state_steps,
    foreach=None,
    maximize=False,
    differentiable=False,
    capturable=False,
    has_complex=False,
    *,
    lr,
    alpha,
    eps,
    weight_decay,
    momentum,
    centered,
):
    """One step of RMSprop on parallel lists, in place. `state_steps` are 0-dim tensors."""
    if not all(isinstance(t, torch.Tensor) for t in state_steps):
        raise RuntimeError(
            "API has changed, `state_steps` argument must contain a list of singleton tensors"
        )
    if capturable:
        _refuse_capturable(params, state_steps, "params and state_steps")
    if not differentiable:
        lr = _get_value(lr)
    used = (
        [square_avgs]
        + ([grad_avgs] if centered else [])
        + ([momentum_buffer_list] if momentum > 0 else [])
    )
    _view_as_real(params, grads, *used)
    for i, param in enumerate(params):
        state_steps[i] += 1
        grad = -grads[i] if maximize else grads[i]
        if weight_decay != 0:
            grad = grad.add(param, alpha=weight_decay)
        square_avg = square_avgs[i]
        square_avg.mul_(alpha).addcmul_(grad, grad, value=1 - alpha)
        if centered:
            grad_avg = grad_avgs[i]
            grad_avg.lerp_(grad, 1 - alpha)
            mean = grad_avg.clone() if differentiable else grad_avg
            root = square_avg.addcmul(mean, mean, value=-1).sqrt_()
        else:
            root = square_avg.sqrt()
        root = root.add(eps) if differentiable else root.add_(eps)

        if momentum > 0:
            buffer = momentum_buffer_list[i]
            buffer.mul_(momentum).addcdiv_(grad, root)
            change = buffer.clone() if differentiable else buffer
        elif isinstance(lr, torch.Tensor):
            change = grad / root
        else:
            param.addcdiv_(grad, root, value=-lr)
            continue
        if isinstance(lr, torch.Tensor):
            param.sub_(change * lr)
        else:
            param.add_(change, alpha=-lr)
