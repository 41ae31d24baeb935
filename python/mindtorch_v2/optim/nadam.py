"""NAdam: Adam with Nesterov momentum (Dozat, 2016)."""

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

__all__ = ["NAdam", "nadam"]


class NAdam(Optimizer):
    """Adam that looks ahead along its momentum, under the schedule of momenta of the paper.

    The momentum of step t is ``beta1 * (1 - 0.5 * 0.96 ** (t * momentum_decay))``. See `Adam` for
    the other options and the flags. State of a parameter: "step", "mu_product" (0-dim), "exp_avg",
    "exp_avg_sq" (like the parameter).
    """

    def __init__(
        self,
        params,
        lr=2e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=0,
        momentum_decay=4e-3,
        decoupled_weight_decay=False,
        *,
        foreach=None,
        maximize=False,
        capturable=False,
        differentiable=False,
    ):
        _check_lr(lr)
        _check_not_negative("epsilon", eps)
        _check_betas(betas)
        _check_not_negative("weight_decay", weight_decay)
        _check_not_negative("momentum_decay", momentum_decay)
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "momentum_decay": momentum_decay,
                "decoupled_weight_decay": decoupled_weight_decay,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
            },
        )

    def __setstate__(self, state):
        super().__setstate__(state)
        for group in self.param_groups:
            group.setdefault("foreach", None)
            for name in ("maximize", "capturable", "differentiable", "decoupled_weight_decay"):
                group.setdefault(name, False)
        _tensor_steps(self)
        for p_state in self.state.values():
            if (
                isinstance(p_state, dict)
                and "mu_product" in p_state
                and not torch.is_tensor(p_state["mu_product"])
            ):
                p_state["mu_product"] = torch.tensor(
                    p_state["mu_product"], dtype=_get_scalar_dtype()
                )

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
                    raise RuntimeError("NAdam does not support sparse gradients")
                state = self.state[p]
                if not state:
                    on = p.device if group["capturable"] else None
                    state["step"] = torch.zeros((), dtype=_get_scalar_dtype(), device=on)
                    state["mu_product"] = torch.ones((), dtype=_get_scalar_dtype(), device=on)
                    state["exp_avg"] = torch.zeros_like(p, memory_format=torch.preserve_format)
                    state["exp_avg_sq"] = torch.zeros_like(p, memory_format=torch.preserve_format)
            states = [self.state[p] for p in params]
            beta1, beta2 = group["betas"]
            nadam(
                params,
                [p.grad for p in params],
                [state["exp_avg"] for state in states],
                [state["exp_avg_sq"] for state in states],
                [state["mu_product"] for state in states],
                [state["step"] for state in states],
                decoupled_weight_decay=group["decoupled_weight_decay"],
                foreach=group["foreach"],
                capturable=group["capturable"],
                differentiable=group["differentiable"],
                maximize=group["maximize"],
                beta1=beta1,
                beta2=beta2,
                lr=group["lr"],
                weight_decay=group["weight_decay"],
                momentum_decay=group["momentum_decay"],
                eps=group["eps"],
            )
        return loss


def nadam(
    params,
    grads,
    exp_avgs,
    exp_avg_sqs,
    mu_products,
    state_steps,
    decoupled_weight_decay=False,
    foreach=None,
    capturable=False,
    differentiable=False,
    has_complex=False,
    maximize=False,
    *,
    beta1,
    beta2,
    lr,
    weight_decay,
    momentum_decay,
    eps,
):
    """One step of NAdam on parallel lists, in place. `state_steps` and `mu_products` are 0-dim
    tensors.
    """
    if not all(isinstance(t, torch.Tensor) for t in state_steps):
        raise RuntimeError(
            "API has changed, `state_steps` argument must contain a list of singleton tensors"
        )
    if not all(isinstance(t, torch.Tensor) for t in mu_products):
        raise RuntimeError(
            "API has changed, `mu_products` argument must contain a list of singleton tensors"
        )
    if capturable:
        words = (
            "params, mu_products, and state_steps"
            if foreach
            else "params, mu_products and state_steps"
        )
        _refuse_capturable(params, state_steps, words, supports_xla=not foreach)
    if not differentiable:
        lr, beta1, beta2, weight_decay = map(_get_value, (lr, beta1, beta2, weight_decay))
    _view_as_real(params, grads, exp_avgs, exp_avg_sqs)
    for i, param in enumerate(params):
        grad = -grads[i] if maximize else grads[i]
        exp_avg, exp_avg_sq = exp_avgs[i], exp_avg_sqs[i]
        state_steps[i] += 1
        step = state_steps[i].item()
        if weight_decay != 0:
            if decoupled_weight_decay:
                param.mul_(1 - lr * weight_decay)
            else:
                grad = grad.add(param, alpha=weight_decay)

        mu = beta1 * (1.0 - 0.5 * (0.96 ** (step * momentum_decay)))
        mu_next = beta1 * (1.0 - 0.5 * (0.96 ** ((step + 1) * momentum_decay)))
        mu_products[i] *= mu
        product = mu_products[i].clone() if differentiable else mu_products[i].item()

        exp_avg.lerp_(grad, 1 - beta1)
        exp_avg_sq.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        root = exp_avg_sq.div(1 - beta2**step).sqrt()
        of_grad = lr * (1.0 - mu) / (1.0 - product)
        of_mean = lr * mu_next / (1.0 - product * mu_next)
        if differentiable:
            root = root.add(eps)
            param.sub_(grad / root * of_grad)
            param.sub_(exp_avg.clone() / root * of_mean)
        else:
            root.add_(eps)
            param.addcdiv_(grad, root, value=-of_grad)
            param.addcdiv_(exp_avg, root, value=-of_mean)
