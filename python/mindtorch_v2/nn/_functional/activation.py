"""Activation functions.

All work element by element on tensors of any shape unless a dimension is given, keep shape and
floating point dtype, and with ``inplace`` overwrite and return ``input``.
"""

import warnings

from ...overrides import has_torch_function_unary
from .common import Tensor, nn_ops, redirect, torch


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """``input`` where it is greater than ``threshold``, else ``value``."""
    if has_torch_function_unary(input):
        return redirect(_threshold, locals())
    return (torch.threshold_ if inplace else torch.threshold)(input, threshold, value)


_threshold = threshold


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """``max(input, 0)``, the rectified linear unit."""
    if has_torch_function_unary(input):
        return redirect(relu, locals())
    return torch.relu_(input) if inplace else torch.relu(input)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """``min(max(input, 0), 6)``."""
    if has_torch_function_unary(input):
        return redirect(relu6, locals())
    return nn_ops.relu6_(input) if inplace else nn_ops.relu6(input)


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """Gated linear unit: ``a * sigmoid(b)`` for the halves ``a``, ``b`` of ``input`` along ``dim``.

    Dauphin et al., 2016. RuntimeError for a scalar or an odd size.
    """
    if has_torch_function_unary(input):
        return redirect(glu, locals())
    if input.dim() == 0:
        raise RuntimeError("glu does not support scalars because halving size must be even")
    return nn_ops.glu(input, dim)


def hardtanh(
    input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Tensor:
    """``input`` clamped to ``[min_val, max_val]``; ValueError if the bounds are in wrong order."""
    if has_torch_function_unary(input):
        return redirect(hardtanh, locals())
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    return (nn_ops.hardtanh_ if inplace else nn_ops.hardtanh)(input, min_val, max_val)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """``input`` where positive, else ``alpha * (exp(input) - 1)``. Clevert et al., 2015."""
    if has_torch_function_unary(input):
        return redirect(elu, locals())
    return (nn_ops.elu_ if inplace else nn_ops.elu)(input, alpha)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """``scale * elu(input, alpha)`` with the self-normalising constants.

    alpha = 1.6732632423543772, scale = 1.0507009873554805; Klambauer et al., 2017.
    """
    if has_torch_function_unary(input):
        return redirect(selu, locals())
    return (torch.selu_ if inplace else torch.selu)(input)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """``max(0, input) + min(0, alpha * (exp(input / alpha) - 1))``. Barron, 2017."""
    if has_torch_function_unary(input):
        return redirect(celu, locals())
    return (torch.celu_ if inplace else torch.celu)(input, alpha)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """``input`` where positive, else ``negative_slope * input``."""
    if has_torch_function_unary(input):
        return redirect(leaky_relu, locals())
    return (nn_ops.leaky_relu_ if inplace else nn_ops.leaky_relu)(input, negative_slope)


def rrelu(
    input: Tensor,
    lower: float = 1.0 / 8,
    upper: float = 1.0 / 3,
    training: bool = False,
    inplace: bool = False,
) -> Tensor:
    """Leaky ReLU with a random slope per element, from the uniform distribution [lower, upper).

    Outside of training the slope is the mean of the two. Xu et al., 2015.
    """
    if has_torch_function_unary(input):
        return redirect(rrelu, locals())
    return (torch.rrelu_ if inplace else torch.rrelu)(input, lower, upper, training)


def tanhshrink(input):
    """``input - tanh(input)``."""
    if has_torch_function_unary(input):
        return redirect(tanhshrink, locals())
    return input - input.tanh()


def softsign(input):
    """``input / (1 + |input|)``."""
    if has_torch_function_unary(input):
        return redirect(softsign, locals())
    return input / (input.abs() + 1)


def tanh(input):
    """Hyperbolic tangent; the same as ``Tensor.tanh``."""
    return input.tanh()


def sigmoid(input):
    """``1 / (1 + exp(-input))``; the same as ``Tensor.sigmoid``."""
    return input.sigmoid()


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """``relu6(input + 3) / 6``."""
    if has_torch_function_unary(input):
        return redirect(hardsigmoid, locals())
    return (nn_ops.hardsigmoid_ if inplace else nn_ops.hardsigmoid)(input)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """``input * sigmoid(input)``, also called swish. Hendrycks & Gimpel, 2016."""
    if has_torch_function_unary(input):
        return redirect(silu, locals())
    return (nn_ops.silu_ if inplace else nn_ops.silu)(input)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """``input * tanh(softplus(input))``. Misra, 2019."""
    if has_torch_function_unary(input):
        return redirect(mish, locals())
    return (nn_ops.mish_ if inplace else nn_ops.mish)(input)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """``input * relu6(input + 3) / 6``. Howard et al., 2019."""
    if has_torch_function_unary(input):
        return redirect(hardswish, locals())
    return (nn_ops.hardswish_ if inplace else nn_ops.hardswish)(input)


def _get_softmax_dim(name: str, ndim: int, stacklevel: int) -> int:
    """The dimension that softmax took before it had to be said."""
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. "
        "Change the call to include dim=X as an argument.",
        stacklevel=stacklevel,
    )
    return 0 if ndim in (0, 1, 3) else 1


def softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype=None) -> Tensor:
    """``exp(input) / sum(exp(input))`` along ``dim``, computed without overflow.

    With ``dtype`` the input is cast first. Leaving ``dim`` out is deprecated.
    """
    if has_torch_function_unary(input):
        return redirect(softmax, locals())
    if dim is None:
        dim = _get_softmax_dim("softmax", input.dim(), _stacklevel)
    return input.softmax(dim) if dtype is None else input.softmax(dim, dtype=dtype)


def softmin(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype=None) -> Tensor:
    """``softmax(-input)`` along ``dim``; the arguments are those of `softmax`."""
    if has_torch_function_unary(input):
        return redirect(softmin, locals())
    if dim is None:
        dim = _get_softmax_dim("softmin", input.dim(), _stacklevel)
    return (-input).softmax(dim) if dtype is None else (-input).softmax(dim, dtype=dtype)


def log_softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype=None) -> Tensor:
    """Logarithm of `softmax` along ``dim``, more exact than the two one after the other."""
    if has_torch_function_unary(input):
        return redirect(log_softmax, locals())
    if dim is None:
        dim = _get_softmax_dim("log_softmax", input.dim(), _stacklevel)
    return input.log_softmax(dim) if dtype is None else input.log_softmax(dim, dtype=dtype)


def gumbel_softmax(
    logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1
) -> Tensor:
    """Differentiable sample of one-hot vectors along ``dim`` (Jang et al., Maddison et al., 2016).

    Args:
        logits: unnormalised log-probabilities, any shape.
        tau: temperature above zero; the lower, the closer to one-hot.
        hard: return exact one-hot vectors whose gradient is that of the soft sample.
        eps: without effect, deprecated.
    """
    if has_torch_function_unary(logits):
        return redirect(gumbel_softmax, locals())
    if eps != 1e-10:
        warnings.warn("`eps` parameter is deprecated and has no effect.", stacklevel=2)
    noise = torch.empty_like(logits, memory_format=torch.contiguous_format)
    noise = -noise.exponential_().log()
    soft = ((logits + noise) / tau).softmax(dim)
    if not hard:
        return soft
    best = soft.max(dim, keepdim=True)[1]
    one_hot = torch.zeros_like(logits, memory_format=torch.contiguous_format)
    one_hot = one_hot.scatter_(dim, best, 1.0)
    return one_hot - soft.detach() + soft
