"""Adafactor (Shazeer and Stern, 2018), with a given rate instead of the paper's relative one."""

import mindtorch_v2 as torch

from .optimizer import Optimizer, _evaluate, _get_scalar_dtype, _get_value, _without_grad

__all__ = ["Adafactor", "adafactor"]


class Adafactor(Optimizer):
    """Adam without momentum whose squared gradients are kept as one mean per row and one per
    column.

    `beta2_decay` (<= 0): the weight of the new square at step t is ``t ** beta2_decay``. `eps` is
    the pair of the smallest mean square (None: the resolution of the dtype) and the smallest scale
    of a parameter. `d` (>= 1) limits the root mean square of a step. `weight_decay` shrinks the
    parameter by ``lr * weight_decay``.

    State of a parameter: "step" (0-dim), and "row_var" (last dimension 1), "col_var" (last but one
    dimension 1), or for fewer than two dimensions "variance".
    """

    def __init__(
        self,
        params,
        lr=1e-2,
        beta2_decay=-0.8,
        eps=(None, 1e-3),
        d=1.0,
        weight_decay=0.0,
        *,
        foreach=None,
        maximize=False,
    ):
        if isinstance(lr, torch.Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        if not 0.0 <= lr:  # noqa: SIM300
            raise ValueError(f"Learning rate should be >= 0 but is: {lr}")
        if not beta2_decay <= 0.0:
            raise ValueError(f"beta2_decay should be <= 0 but is: {beta2_decay}")
        if eps[0] is not None and not eps[0] >= 0.0:
            raise ValueError(f"epsilon1 should be >= 0 but is: {eps[0]}")
        if not eps[1] >= 0.0:
            raise ValueError(f"epsilon2 should be >= 0 but is: {eps[1]}")
        if not d >= 1.0:
            raise ValueError(f"Clipping threshold d should be >= 1 but is: {d}")
        if not weight_decay >= 0.0:
            raise ValueError(f"weight_decay should be >= 0 but is: {weight_decay}")
        super().__init__(
            params,
            {
                "lr": lr,
                "beta2_decay": beta2_decay,
                "eps": eps,
                "d": d,
                "weight_decay": weight_decay,
                "foreach": foreach,
                "maximize": maximize,
            },
        )

    def __setstate__(self, state):
        super().__setstate__(state)
        for group in self.param_groups:
            group.setdefault("foreach", None)
        for p_state in self.state.values():
            if (
                isinstance(p_state, dict)
                and "step" in p_state
                and not torch.is_tensor(p_state["step"])
            ):
                p_state["step"] = torch.tensor(float(p_state["step"]), dtype=_get_scalar_dtype())

    def _init_state(self, grad, state):
        state["step"] = torch.tensor(0.0, dtype=_get_scalar_dtype())
        if grad.dim() > 1:
            shape = list(grad.shape)
            state["row_var"] = grad.new_zeros(shape[:-1] + [1])
            state["col_var"] = grad.new_zeros(shape[:-2] + [1, shape[-1]])
        else:
            state["variance"] = torch.zeros_like(grad, memory_format=torch.preserve_format)

    @_without_grad
    def step(self, closure=None):
        """Update all parameters that have a gradient; returns the loss of `closure`, called with
        gradients on.
        """
        loss = _evaluate(closure)
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            for p in params:
                if torch.is_complex(p):
                    raise RuntimeError("Adafactor does not support complex parameters")
                if p.grad.is_sparse:
                    raise RuntimeError("Adafactor does not support sparse gradients")
                if not self.state[p]:
                    self._init_state(p.grad, self.state[p])
            states = [self.state[p] for p in params]
            eps1, eps2 = group["eps"]
            adafactor(
                params,
                [p.grad for p in params],
                [state.get("row_var") for state in states],
                [state.get("col_var") for state in states],
                [state.get("variance") for state in states],
                [state["step"] for state in states],
                foreach=group["foreach"],
                grad_scale=getattr(self, "grad_scale", None),
                found_inf=getattr(self, "found_inf", None),
                d=group["d"],
                lr=group["lr"],
                beta2_decay=group["beta2_decay"],
                weight_decay=group["weight_decay"],
                eps1=eps1,
                eps2=eps2,
                maximize=group["maximize"],
            )
        return loss


def adafactor(
    params,
    grads,
    row_vars,
    col_vars,
    variances,
    state_steps,
    foreach=None,
    grad_scale=None,
    found_inf=None,
    has_complex=False,
    *,
    d,
    lr,
    beta2_decay,
    weight_decay,
    eps1,
    eps2,
    maximize,
):
    """One step of Adafactor on parallel lists, in place; of a parameter's three variances the
    unused are None.
    """
    if not all(isinstance(t, torch.Tensor) for t in state_steps):
        raise RuntimeError("`state_steps` argument must contain a list of singleton tensors")
    assert grad_scale is None and found_inf is None, (
        "Grad scaling should occur outside of optimizer.step()"
    )
    lr = _get_value(lr)
    for i, param in enumerate(params):
        grad = -grads[i] if maximize else grads[i]
        state_steps[i] += 1
        step = state_steps[i].item()
        smallest = torch.finfo(param.dtype).eps if eps1 is None else eps1
        weight_of_new = step**beta2_decay
        rate = max(eps2, param.norm(2).item() / param.numel() ** 0.5) * min(lr, 1 / step**0.5)
        if weight_decay != 0:
            param.mul_(1 - lr * weight_decay)

        if grad.dim() > 1:
            row, col = row_vars[i], col_vars[i]
            assert row is not None and col is not None, (
                "row_var and col_var should be defined when grad is multidimensional"
            )
            row.lerp_(
                torch.norm(grad, dim=-1, keepdim=True).square_().div_(grad.size(-1)), weight_of_new
            )
            col.lerp_(
                torch.norm(grad, dim=-2, keepdim=True).square_().div_(grad.size(-2)), weight_of_new
            )
            variance = row @ col
            variance.div_(row.mean(dim=-2, keepdim=True).clamp_(min=smallest))
        else:
            assert variances[i] is not None, "variance should be defined when grad is a vector"
            variances[i].lerp_(grad.square(), weight_of_new)
            variance = variances[i].clone()
        change = variance.clamp_(min=smallest * smallest).rsqrt_().mul_(grad)
        excess = max(1.0, change.norm(2).item() / (change.numel() ** 0.5 * d))
        param.add_(change, alpha=-rate / excess)
