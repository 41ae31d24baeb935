"""Dropout in its variants: drop at random, scale the rest so that the mean stays."""

import warnings

from ...overrides import has_torch_function_unary
from .common import Tensor, redirect, torch


def _check_p(p):
    if p < 0.0 or p > 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Set elements to zero with probability ``p`` and scale the others by ``1 / (1 - p)``.

    Without ``training`` the input comes back as it is. ValueError if ``p`` is no probability.
    Hinton et al., 2012.
    """
    if has_torch_function_unary(input):
        return redirect(dropout, locals())
    _check_p(p)
    return torch.dropout_(input, p, training) if inplace else torch.dropout(input, p, training)


def alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """Dropout that keeps mean and variance of activations after `selu`. Klambauer et al., 2017."""
    if has_torch_function_unary(input):
        return redirect(alpha_dropout, locals())
    _check_p(p)
    return (torch.alpha_dropout_ if inplace else torch.alpha_dropout)(input, p, training)


def _drop_channels(input, p, training, inplace, batched):
    if not batched:
        input = input.unsqueeze_(0) if inplace else input.unsqueeze(0)
    out = (torch.feature_dropout_ if inplace else torch.feature_dropout)(input, p, training)
    if not batched:
        out = out.squeeze_(0) if inplace else out.squeeze(0)
    return out


def dropout1d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """`dropout` of whole channels: ``input`` is (N, C, L) or (C, L)."""
    if has_torch_function_unary(input):
        return redirect(dropout1d, locals())
    _check_p(p)
    dims = input.dim()
    if dims not in (2, 3):
        raise RuntimeError(
            f"dropout1d: Expected 2D or 3D input, but received a {dims}D input. "
            "Note that dropout1d exists to provide channel-wise dropout on inputs with 1 "
            "spatial dimension, a channel dimension, and an optional batch dimension "
            "(i.e. 2D or 3D inputs)."
        )
    return _drop_channels(input, p, training, inplace, dims == 3)


def _warn_dims(name, dims, spatial, sizes):
    warnings.warn(
        f"{name}: Received a {dims}-D input to {name}, which is deprecated "
        "and will result in an error in a future release. To retain the behavior "
        "and silence this warning, please use dropout instead. Note that "
        f"{name} exists to provide channel-wise dropout on inputs with {spatial} spatial "
        f"dimensions, a channel dimension, and an optional batch dimension (i.e. {sizes} inputs).",
        stacklevel=3,
    )


def dropout2d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """`dropout` of whole channels: ``input`` is (N, C, H, W), or (N, C, L) with a warning."""
    if has_torch_function_unary(input):
        return redirect(dropout2d, locals())
    _check_p(p)
    dims = input.dim()
    if dims not in (3, 4):
        _warn_dims("dropout2d", dims, 2, "3D or 4D")
    if dims == 3:
        warnings.warn(
            "dropout2d: Received a 3D input to dropout2d and assuming that channel-wise "
            "1D dropout behavior is desired - input is interpreted as shape (N, C, L), where C "
            "is the channel dim. This behavior will change in a future release to interpret the "
            "input as one without a batch dimension, i.e. shape (C, H, W). To maintain the 1D "
            "channel-wise dropout behavior, please switch to using dropout1d instead.",
            stacklevel=2,
        )
    return _drop_channels(input, p, training, inplace, True)


def dropout3d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """`dropout` of whole channels: ``input`` is (N, C, D, H, W) or (C, D, H, W)."""
    if has_torch_function_unary(input):
        return redirect(dropout3d, locals())
    _check_p(p)
    dims = input.dim()
    if dims not in (4, 5):
        _warn_dims("dropout3d", dims, 3, "4D or 5D")
    return _drop_channels(input, p, training, inplace, dims == 5)


def feature_alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """`alpha_dropout` of whole channels: ``input`` is (N, C, ...)."""
    if has_torch_function_unary(input):
        return redirect(feature_alpha_dropout, locals())
    _check_p(p)
    op = torch.feature_alpha_dropout_ if inplace else torch.feature_alpha_dropout
    return op(input, p, training)
