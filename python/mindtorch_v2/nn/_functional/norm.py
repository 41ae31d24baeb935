"""Normalisation: shift and scale to mean 0 and variance 1 over some of the dimensions."""

from ...overrides import has_torch_function_unary, has_torch_function_variadic
from .common import Tensor, redirect, torch

# The switch between vendor kernels at the end of the operators' signatures; the CPU has one kernel.
_NO_CUDNN = False


def _verify_batch_size(size) -> None:
    count = size[0]
    for n in size[2:]:
        count *= n
    if count == 1:
        raise ValueError(
            f"Expected more than 1 value per channel when training, got input size {size}"
        )


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise each channel over batch and space, then scale and shift. Ioffe & Szegedy, 2015.

    Args:
        input: (N, C) or (N, C, ...).
        running_mean, running_var: (C,), used instead of the batch's own statistics outside of
            training; in training updated in place by ``(1 - momentum) * old + momentum * new``
            (with the unbiased variance).
        weight, bias: (C,), scale and shift.
        eps: added to the variance.

    Raises:
        ValueError: in training with a single value per channel; for a negative ``eps``, or 0 in
            training.
    """
    if has_torch_function_variadic(input, running_mean, running_var, weight, bias):
        return redirect(batch_norm, locals())
    if training:
        _verify_batch_size(input.size())
        if eps <= 0.0:
            raise ValueError(f"batch_norm eps must be positive during training, but got {eps}")
    elif eps < 0.0:
        raise ValueError(f"batch_norm eps must be non-negative, but got {eps}")
    return torch.batch_norm(
        input, weight, bias, running_mean, running_var, training, momentum, eps, _NO_CUDNN
    )


def _verify_spatial_size(size) -> None:
    count = 1
    for n in size[2:]:
        count *= n
    if count == 1:
        raise ValueError(
            f"Expected more than 1 spatial element when training, got input size {size}"
        )


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise each channel of each sample of ``input`` (N, C, ...) over space.

    The arguments are those of `batch_norm`, with ``use_input_stats`` for ``training``. ValueError
    if there is a single spatial element. Ulyanov et al., 2016.
    """
    if has_torch_function_variadic(input, running_mean, running_var, weight, bias):
        return redirect(instance_norm, locals())
    if use_input_stats:
        _verify_spatial_size(input.size())
    return torch.instance_norm(
        input, weight, bias, running_mean, running_var, use_input_stats, momentum, eps, _NO_CUDNN
    )


def layer_norm(
    input: Tensor,
    normalized_shape: list[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise over the last dimensions, whose sizes are ``normalized_shape``. Ba et al., 2016.

    ``weight`` and ``bias`` of that shape scale and shift; ``eps`` is added to the variance.
    """
    if has_torch_function_variadic(input, weight, bias):
        return redirect(layer_norm, locals())
    return torch.layer_norm(input, normalized_shape, weight, bias, eps, _NO_CUDNN)


def rms_norm(
    input: Tensor,
    normalized_shape: list[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    """Divide by the root mean square over the last dimensions. Zhang & Sennrich, 2019.

    ``weight`` of shape ``normalized_shape`` scales; ``eps`` (default: the machine epsilon of the
    dtype) is added under the root.
    """
    if has_torch_function_variadic(input, weight):
        return redirect(rms_norm, locals())
    return torch.rms_norm(input, normalized_shape, weight, eps)


def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise each of ``num_groups`` groups of channels of ``input`` (N, C, ...). Wu & He, 2018.

    ``weight`` and ``bias`` (C,) scale and shift. RuntimeError for less than two dimensions or a
    number of channels that the groups do not divide.
    """
    if has_torch_function_variadic(input, weight, bias):
        return redirect(group_norm, locals())
    if input.dim() < 2:
        raise RuntimeError(
            f"Expected at least 2 dimensions for input tensor but received {input.dim()}"
        )
    size = input.size()
    _verify_batch_size([size[0] * size[1] // num_groups, num_groups, *size[2:]])
    return torch.group_norm(input, num_groups, weight, bias, eps, _NO_CUDNN)


def local_response_norm(
    input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """Divide by ``(k + alpha * m) ** beta``, m the mean square of ``size`` neighbouring channels.

    ``input`` is (N, C, L, ...); channels beyond the edge count as zero. Krizhevsky et al., 2012.
    """
    if has_torch_function_unary(input):
        return redirect(local_response_norm, locals())
    dim = input.dim()
    if dim < 3:
        # the run of blanks is part of PyTorch's text
        raise ValueError(
            f"Expected 3D or higher dimensionality {'input':>30} (got {dim} dimensions)"
        )
    if input.numel() == 0:
        return input
    from .pooling import avg_pool2d, avg_pool3d
    from .vision import pad

    # the mean over channels is a pooling with the channels as first spatial dimension
    square = input.mul(input)
    edge = (size // 2, (size - 1) // 2)
    if dim == 3:
        square = pad(square.unsqueeze(1), (0, 0, *edge))
        mean = avg_pool2d(square, (size, 1), stride=1).squeeze(1)
    else:
        shape = input.size()
        square = square.view(shape[0], 1, shape[1], shape[2], -1)
        square = pad(square, (0, 0, 0, 0, *edge))
        mean = avg_pool3d(square, (size, 1, 1), stride=1).squeeze(1).view(shape)
    return input / mean.mul(alpha).add(k).pow(beta)


def normalize(
    input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: Tensor | None = None
) -> Tensor:
    """``input`` divided by its p-norm along ``dim`` (an int or tuple), or by ``eps`` if greater.

    With ``out`` the result is written there, outside of the graph.
    """
    if has_torch_function_variadic(input, out):
        return redirect(normalize, locals())
    length = input.norm(p, dim, keepdim=True).clamp_min(eps).expand_as(input)
    return input / length if out is None else torch.div(input, length, out=out)
