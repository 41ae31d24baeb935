"""Limiting the size of gradients."""

import warnings

import mindtorch_v2 as torch

__all__ = ["clip_grad_norm", "clip_grad_norm_", "clip_grad_value_"]

Tensor = torch.Tensor


def _as_list(parameters):
    """The tensors given as one tensor or an iterable; warns of a generator that gives nothing."""
    if isinstance(parameters, Tensor):
        return [parameters]
    exhaustible = not hasattr(parameters, "__len__")
    parameters = list(parameters)
    if exhaustible and not parameters:
        warnings.warn(
            "`parameters` is an empty generator, no gradient clipping will occur.", stacklevel=3
        )
    return parameters


def _grads(parameters):
    return [p.grad for p in parameters if p.grad is not None]


def _groups(tensors):
    """Lists of the tensors of one device and dtype."""
    groups = {}
    for t in tensors:
        groups.setdefault((t.device, t.dtype), []).append(t)
    return groups.items()


def _get_total_norm(tensors, norm_type=2.0, error_if_nonfinite=False, foreach=None):
    """The norm of all tensors together, as if they were one vector.

    Args:
        tensors: one tensor or an iterable of them.
        norm_type: order of the norm; may be inf.
        error_if_nonfinite: RuntimeError if the norm is nan or infinite.
        foreach: take the operators on lists of tensors; by default wherever they exist.

    Returns:
        Scalar tensor; 0 without tensors.
    """
    tensors = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    norm_type = float(norm_type)
    if not tensors:
        return torch.tensor(0.0)
    with torch.no_grad():
        norms = []
        for _, group in _groups(tensors):
            if foreach is not False and hasattr(torch, "_foreach_norm"):
                norms += torch._foreach_norm(group, norm_type)
            else:
                norms += [torch.linalg.vector_norm(t, norm_type) for t in group]
        device = tensors[0].device
        total = torch.linalg.vector_norm(torch.stack([n.to(device) for n in norms]), norm_type)
        if error_if_nonfinite and torch.logical_or(total.isnan(), total.isinf()):
            raise RuntimeError(
                f"The total norm of order {norm_type} for gradients from "
                "`parameters` is non-finite, so it cannot be clipped. To disable "
                "this error and scale the gradients by the non-finite norm anyway, "
                "set `error_if_nonfinite=False`"
            )
    return total


def _clip_grads_with_norm_(parameters, max_norm, total_norm, foreach=None) -> None:
    """Scale the gradients by ``max_norm / total_norm`` if that is less than 1, in place."""
    grads = _grads(_as_list(parameters))
    if not grads:
        return
    with torch.no_grad():
        factor = torch.clamp(float(max_norm) / (total_norm + 1e-6), max=1.0)
        for (device, _), group in _groups(grads):
            here = factor.to(device)
            if foreach is not False and hasattr(torch, "_foreach_mul_"):
                torch._foreach_mul_(group, here)
            else:
                for grad in group:
                    grad.mul_(here)


def clip_grad_norm_(parameters, max_norm, norm_type=2.0, error_if_nonfinite=False, foreach=None):
    """Scale the gradients down, in place, so that their norm together is at most ``max_norm``.

    Args:
        parameters: one tensor or an iterable of them; those without gradient are left out.
        norm_type: order of the norm; may be inf.
        error_if_nonfinite: RuntimeError if the norm is nan or infinite, instead of scaling by it.
        foreach: take the operators on lists of tensors; by default wherever they exist.

    Returns:
        The norm before clipping, a scalar tensor.
    """
    parameters = _as_list(parameters)
    total = _get_total_norm(_grads(parameters), norm_type, error_if_nonfinite, foreach)
    _clip_grads_with_norm_(parameters, max_norm, total, foreach)
    return total


def clip_grad_norm(parameters, max_norm, norm_type=2.0, error_if_nonfinite=False, foreach=None):
    """The former name of `clip_grad_norm_`; deprecated."""
    warnings.warn(
        "`torch.nn.utils.clip_grad_norm` is now deprecated "
        "in favor of `torch.nn.utils.clip_grad_norm_`.",
        FutureWarning,
        stacklevel=2,
    )
    return clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite, foreach)


def clip_grad_value_(parameters, clip_value, foreach=None) -> None:
    """Clamp every element of the gradients to ``[-clip_value, clip_value]``, in place.

    ``parameters`` and ``foreach`` are those of `clip_grad_norm_`.
    """
    parameters = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    clip_value = float(clip_value)
    lists = foreach is not False and hasattr(torch, "_foreach_clamp_min_")
    with torch.no_grad():
        for _, group in _groups(_grads(parameters)):
            if lists:
                torch._foreach_clamp_min_(group, -clip_value)
                torch._foreach_clamp_max_(group, clip_value)
            else:
                for grad in group:
                    grad.clamp_(min=-clip_value, max=clip_value)


# the public names, which PyTorch has in the package only
get_total_norm = _get_total_norm
clip_grads_with_norm_ = _clip_grads_with_norm_
