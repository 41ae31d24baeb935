"""Adam (Kingma and Ba, 2015), with AMSGrad (Reddi et al., 2018) and decoupled weight decay as
options.
"""

import mindtorch_v2 as torch

from .optimizer import (
    Optimizer,
    _check_betas,
    _check_fused_once,
    _check_lr,
    _check_not_negative,
    _count_back,
    _count_up,
    _dispatch_sqrt,
    _evaluate,
    _get_scalar_dtype,
    _get_value,
    _group_by_dtype,
    _one_call_serves,
    _refuse_capturable,
    _set_grad_scaling,
    _tensor_steps,
    _to_scalar,
    _use_grad_for_differentiable,
    _view_as_real,
)

__all__ = ["Adam", "adam"]


class Adam(Optimizer):
    """Steps by running means of the gradient and of its square, both corrected for their start at
    zero.

    `lr` and `betas` are numbers or tensors of one element. `weight_decay` adds ``weight_decay *
    param`` to the gradient, or with `decoupled_weight_decay` shrinks the parameter itself.
    `amsgrad` divides by the largest mean square so far. `maximize` climbs. `differentiable` records
    the step for autograd. `fused=False` forces the tensor-by-tensor way, `fused=True` the
    multi-tensor operator, also for float16 and bfloat16.

    State of a parameter: "step" (0-dim), "exp_avg", "exp_avg_sq", with `amsgrad` "max_exp_avg_sq"
    (shape and dtype of the parameter). ValueError for options out of range, RuntimeError for
    options that exclude each other.
    """

    def __init__(
        self,
        params,
        lr=1e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=0,
        amsgrad=False,
        *,
        foreach=None,
        maximize=False,
        capturable=False,
        differentiable=False,
        fused=None,
        decoupled_weight_decay=False,
    ):
        if isinstance(lr, torch.Tensor) and foreach and not capturable:
            raise ValueError(
                "lr as a Tensor is not supported for capturable=False and foreach=True"
            )
        _check_lr(lr)
        _check_not_negative("epsilon", eps)
        _check_betas(betas)
        _check_not_negative("weight_decay", weight_decay)
        of_tensors = [isinstance(beta, torch.Tensor) for beta in betas[:2]]
        if of_tensors != [True, True] and not all(isinstance(beta, float) for beta in betas[:2]):
            raise ValueError("betas must be either both floats or both Tensors")
        for i in (0, 1):
            if of_tensors[i] and foreach and not capturable:
                raise ValueError(
                    f"betas[{i}] as a Tensor is not supported for capturable=False and foreach=True"
                )
            if of_tensors[i] and betas[i].numel() != 1:
                raise ValueError(f"Tensor betas[{i}] must be 1-element")
        betas = tuple(map(_to_scalar, betas))

        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "amsgrad": amsgrad,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "decoupled_weight_decay": decoupled_weight_decay,
            },
        )
        if fused:
            if differentiable:
                raise RuntimeError("`fused` does not support `differentiable`")
            _set_grad_scaling(self)
            if foreach:
                raise RuntimeError("`fused` and `foreach` cannot be `True` together.")

    def __setstate__(self, state):
        super().__setstate__(state)
        for group in self.param_groups:
            for name in (
                "amsgrad",
                "maximize",
                "capturable",
                "differentiable",
                "decoupled_weight_decay",
            ):
                group.setdefault(name, False)
            group.setdefault("foreach", None)
            group.setdefault("fused", None)
        _tensor_steps(self)

    def _init_state(self, p, state, group):
        if group["capturable"] or group["fused"]:
            state["step"] = torch.zeros(
                (), dtype=_get_scalar_dtype(is_fused=group["fused"]), device=p.device
            )
        else:
            state["step"] = torch.tensor(0.0, dtype=_get_scalar_dtype())
        state["exp_avg"] = torch.zeros_like(p, memory_format=torch.preserve_format)
        state["exp_avg_sq"] = torch.zeros_like(p, memory_format=torch.preserve_format)
        if group["amsgrad"]:
            state["max_exp_avg_sq"] = torch.zeros_like(p, memory_format=torch.preserve_format)

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
            if not params:
                continue
            uniform = _one_call_serves(params, grads)
            if not uniform and any(grad.is_sparse for grad in grads):
                raise RuntimeError(
                    "Adam does not support sparse gradients, please consider SparseAdam instead"
                )
            _check_fused_once(self, group)

            states = [all_state[p] for p in params]
            if not all(states):
                for p, state in zip(params, states, strict=False):
                    if not state:
                        self._init_state(p, state, group)
            steps = [state["step"] for state in states]
            amsgrad, differentiable, lr = group["amsgrad"], group["differentiable"], group["lr"]
            beta1, beta2 = group["betas"]
            if differentiable and any(step.requires_grad for step in steps):
                raise RuntimeError(
                    "`requires_grad` is not supported for `step` in differentiable mode"
                )
            if group["foreach"] and isinstance(lr, torch.Tensor) and not group["capturable"]:
                raise RuntimeError(
                    "lr as a Tensor is not supported for capturable=False and foreach=True"
                )
            _update(
                params,
                grads,
                [state["exp_avg"] for state in states],
                [state["exp_avg_sq"] for state in states],
                [state["max_exp_avg_sq"] for state in states] if amsgrad else [],
                steps,
                uniform,
                foreach=group["foreach"],
                fused=group["fused"],
                capturable=group["capturable"],
                differentiable=differentiable,
                grad_scale=getattr(self, "grad_scale", None),
                found_inf=getattr(self, "found_inf", None),
                amsgrad=amsgrad,
                beta1=beta1,
                beta2=beta2,
                lr=lr,
                weight_decay=group["weight_decay"],
                eps=group["eps"],
                maximize=group["maximize"],
                decoupled=group["decoupled_weight_decay"],
            )
        return loss


def adam(
    params,
    grads,
    exp_avgs,
    exp_avg_sqs,
    max_exp_avg_sqs,
    state_steps,
    foreach=None,
    capturable=False,
    differentiable=False,
    fused=None,
    grad_scale=None,
    found_inf=None,
    has_complex=False,
    decoupled_weight_decay=False,
    *,
    amsgrad,
    beta1,
    beta2,
    lr,
    weight_decay,
    eps,
    maximize,
):
    """One step of Adam on parallel lists, in place. `state_steps` are 0-dim tensors; see `Adam` for
    the options.
    """
    if not all(isinstance(t, torch.Tensor) for t in state_steps):
        raise RuntimeError(
            "API has changed, `state_steps` argument must contain a list of singleton tensors"
        )
    if not params:
        return
    _update(
        params,
        grads,
        exp_avgs,
        exp_avg_sqs,
        max_exp_avg_sqs,
        state_steps,
        _one_call_serves(params, grads),
        foreach=foreach,
        fused=fused,
        capturable=capturable,
        differentiable=differentiable,
        grad_scale=grad_scale,
        found_inf=found_inf,
        amsgrad=amsgrad,
        beta1=beta1,
        beta2=beta2,
        lr=lr,
        weight_decay=weight_decay,
        eps=eps,
        maximize=maximize,
        decoupled=decoupled_weight_decay,
    )


def _update(
    params,
    grads,
    exp_avgs,
    exp_avg_sqs,
    max_exp_avg_sqs,
    steps,
    uniform,
    *,
    foreach,
    fused,
    capturable,
    differentiable,
    grad_scale,
    found_inf,
    amsgrad,
    beta1,
    beta2,
    lr,
    weight_decay,
    eps,
    maximize,
    decoupled,
):
    """Choose between the multi-tensor operator and the tensor-by-tensor way; `uniform` says that
    the first may serve.
    """
    name = "_fused_adamw_" if decoupled else "_fused_adam_"
    if fused or (
        uniform and fused is None and not (capturable or differentiable) and hasattr(torch, name)
    ):
        if differentiable:
            raise RuntimeError("Adam with fused=True does not support differentiable=True")
        operator = getattr(torch, name)
        options = {
            "lr": float(lr),
            "beta1": float(beta1),
            "beta2": float(beta2),
            "weight_decay": float(weight_decay),
            "eps": eps,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "grad_scale": grad_scale,
            "found_inf": found_inf,
        }
        lists = (params, grads, exp_avgs, exp_avg_sqs, max_exp_avg_sqs, steps)
        for part in [lists] if uniform else _group_by_dtype(lists):
            _count_up(part[-1])
            operator(*part, **options)
            _count_back(part[-1], found_inf)
        return

    assert grad_scale is None and found_inf is None, "Expected grad_scale and found_inf to be None"
    if capturable:
        _refuse_capturable(params, steps, "params and state_steps", supports_xla=not foreach)
    if not differentiable:
        lr, beta1, beta2, weight_decay = map(_get_value, (lr, beta1, beta2, weight_decay))
    _view_as_real(params, grads, exp_avgs, exp_avg_sqs, *([max_exp_avg_sqs] if amsgrad else []))
    for i, param in enumerate(params):
        grad = -grads[i] if maximize else grads[i]
        exp_avg, exp_avg_sq = exp_avgs[i], exp_avg_sqs[i]
        steps[i] += 1
        step = steps[i] if differentiable else steps[i].item()
        if _any_nonzero(weight_decay):
            if decoupled:
                param.mul_(1 - lr * weight_decay)
            elif differentiable:
                grad = grad + param * weight_decay
            else:
                grad = grad.add(param, alpha=weight_decay)
        step_size = lr / (1 - beta1**step)
        root2 = _dispatch_sqrt(1 - beta2**step)

        exp_avg.lerp_(grad, 1 - beta1)
        if differentiable:
            exp_avg_sq.mul_(beta2).add_(grad * grad * (1 - beta2))
        else:
            exp_avg_sq.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        if amsgrad:
            largest = max_exp_avg_sqs[i]
            if differentiable:
                largest.copy_(torch.maximum(largest.clone(), exp_avg_sq.clone()))
            else:
                torch.maximum(largest, exp_avg_sq, out=largest)
            exp_avg_sq = largest

        if differentiable:
            # The states change in place in the next step: what the backward pass reads must be
            # copies. The rate goes into the denominator, in the order in which PyTorch rounds: with
            # a float32 step this shows in float64 parameters.
            rate = -step_size
            denom = exp_avg_sq.sqrt() / (root2 * rate) + eps / rate
            param.addcdiv_(exp_avg.clone(), denom)
        else:
            denom = exp_avg_sq.sqrt().div_(root2).add_(eps)
            param.addcdiv_(exp_avg, denom, value=-step_size)


def _any_nonzero(weight_decay):
    return isinstance(weight_decay, torch.Tensor) or weight_decay != 0
