"""Resizing, sampling and padding of images, and windows of them as columns."""

import math
import warnings

from ...overrides import has_torch_function_unary, has_torch_function_variadic
from ..modules.utils import _pair
from .common import Tensor, nn_ops, redirect, torch
from .pooling import adaptive_avg_pool2d, adaptive_avg_pool3d

GRID_SAMPLE_INTERPOLATION_MODES = {"bilinear": 0, "nearest": 1, "bicubic": 2}
GRID_SAMPLE_PADDING_MODES = {"zeros": 0, "border": 1, "reflection": 2}

# interpolation mode -> operator by the number of spatial dimensions, and whether it takes
# align_corners
_UPSAMPLE = {
    "nearest": ({1: "upsample_nearest1d", 2: "upsample_nearest2d", 3: "upsample_nearest3d"}, False),
    "nearest-exact": (
        {
            1: "_upsample_nearest_exact1d",
            2: "_upsample_nearest_exact2d",
            3: "_upsample_nearest_exact3d",
        },
        False,
    ),
    "linear": ({1: "upsample_linear1d"}, True),
    "bilinear": ({2: "upsample_bilinear2d"}, True),
    "bicubic": ({2: "upsample_bicubic2d"}, True),
    "trilinear": ({3: "upsample_trilinear3d"}, True),
}
_ANTIALIASED = {
    "bilinear": "_upsample_bilinear2d_aa",
    "bicubic": "_upsample_bicubic2d_aa",
    "lanczos": "_upsample_lanczos2d_aa",
}
_ONLY_DIMS = {"linear": 3, "bilinear": 4, "trilinear": 5}


def _is_integer(x) -> bool:
    return isinstance(x, int) or hasattr(x, "__index__")


def _spread_over_dims(value, dims, what, spatial):
    """``value`` for each of ``dims`` dimensions, or a ValueError on a sequence of other length."""
    if not isinstance(value, (list, tuple)):
        return [value] * dims
    if len(value) == dims:
        return value
    if what == "size":
        raise ValueError(
            "Input and output must have the same number of spatial dimensions, but got "
            f"input with spatial dimensions of {spatial} and output size of {value}. "
            "Please provide input tensor in (N, C, d1, d2, ...,dK) format and "
            "output size in (o1, o2, ...,oK) format."
        )
    raise ValueError(
        "Input and scale_factor must have the same number of spatial dimensions, but "
        f"got input with spatial dimensions of {spatial} and "
        f"scale_factor of shape {value}. "
        "Please provide input tensor in (N, C, d1, d2, ...,dK) format and "
        "scale_factor in (s1, s2, ...,sK) format."
    )


def interpolate(
    input: Tensor,
    size: int | None = None,
    scale_factor: list[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """Resize the spatial dimensions of ``input``, (N, C, L), (N, C, H, W) or (N, C, D, H, W).

    Args:
        size: int or one per spatial dimension; either this or ``scale_factor``.
        scale_factor: number or one per spatial dimension.
        mode: "nearest", "nearest-exact" (pixel centres rounded to nearest), "linear" (3-d),
            "bilinear", "bicubic" (4-d), "trilinear" (5-d), "lanczos" (4-d, with ``antialias``) or
            "area" (means).
        align_corners: for the linear and cubic modes, whether the centres of the corner pixels
            (True) or their outer edges (False, the default) coincide.
        recompute_scale_factor: compute positions from the ratio of the sizes instead of from
            ``scale_factor``; they differ where the size had to be rounded down.
        antialias: widen the filter when shrinking; for "bilinear", "bicubic" and "lanczos".

    Raises:
        ValueError, TypeError: on arguments that do not go together.
        NotImplementedError: on a mode that does not fit the number of dimensions.
    """
    if has_torch_function_unary(input):
        return redirect(interpolate, locals())
    if mode in ("nearest", "area", "nearest-exact"):
        if align_corners is not None:
            raise ValueError(
                "align_corners option can only be set with the "
                "interpolating modes: linear | bilinear | bicubic | trilinear"
            )
    elif align_corners is None:
        align_corners = False
    ndim = input.dim()
    spatial = ndim - 2
    if size is not None and scale_factor is not None:
        raise ValueError("only one of size or scale_factor should be defined")
    if size is None and scale_factor is None:
        raise ValueError("either size or scale_factor should be defined")
    scales = None
    if size is not None:
        one = not isinstance(size, (list, tuple))
        size = _spread_over_dims(size, spatial, "size", list(input.shape[2:]))
        if not one and not all(_is_integer(x) for x in size):
            raise TypeError(
                "expected size to be one of int or Tuple[int] or Tuple[int, int] or "
                f"Tuple[int, int, int], but got size with types {[type(x) for x in size]}"
            )
    else:
        scales = _spread_over_dims(scale_factor, spatial, "scale_factor", list(input.shape[2:]))
    if recompute_scale_factor and size is not None:
        raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
    if scales is not None and (recompute_scale_factor or mode == "area"):
        size = [math.floor(float(input.size(i + 2)) * scales[i]) for i in range(spatial)]
        scales = None
    if antialias and not (mode in _ANTIALIASED and ndim == 4):
        raise ValueError(
            "Anti-alias option is restricted to bilinear, bicubic, and lanczos modes and requires "
            "a 4-D tensor as input"
        )
    if mode == "area" and spatial in (1, 2, 3):
        return (torch.adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d)[spatial - 1](
            input, size
        )
    if mode == "lanczos" and ndim == 4 and align_corners:
        raise ValueError("Lanczos mode does not support align_corners=True")
    if antialias:
        op = getattr(nn_ops, _ANTIALIASED[mode])
        return op(input, size, align_corners, scales)
    if mode == "lanczos" and ndim == 4:
        raise ValueError("Lanczos mode requires antialias=True")
    ops, takes_corners = _UPSAMPLE.get(mode, ({}, False))
    if spatial in ops:
        op = getattr(nn_ops, ops[spatial])
        if takes_corners:
            return op(input, size, align_corners, scales)
        return op(input, size, scales)
    if ndim in (3, 4, 5) and mode in _ONLY_DIMS:
        raise NotImplementedError(
            f"Got {ndim}D input, but {mode} mode needs {_ONLY_DIMS[mode]}D input"
        )
    raise NotImplementedError(
        f"Input Error: Only 3D, 4D and 5D input Tensors supported (got {ndim}D) for the modes: "
        "nearest | linear | bilinear | bicubic | trilinear | lanczos | area | nearest-exact "
        f"(got {mode})"
    )


def upsample(input, size=None, scale_factor=None, mode="nearest", align_corners=None):
    """The former name of `interpolate`; deprecated."""
    warnings.warn(
        "`nn.functional.upsample` is deprecated. Use `nn.functional.interpolate` instead.",
        stacklevel=2,
    )
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input, size=None, scale_factor=None):
    """`interpolate` with mode "nearest"; deprecated."""
    warnings.warn(
        "`nn.functional.upsample_nearest` is deprecated. Use `nn.functional.interpolate` instead.",
        stacklevel=2,
    )
    return interpolate(input, size, scale_factor, mode="nearest")


def upsample_bilinear(input, size=None, scale_factor=None):
    """`interpolate` with mode "bilinear" and ``align_corners=True``; deprecated."""
    warnings.warn(
        "`nn.functional.upsample_bilinear` is deprecated. Use `nn.functional.interpolate` instead.",
        stacklevel=2,
    )
    return interpolate(input, size, scale_factor, mode="bilinear", align_corners=True)


def _default_align_corners():
    warnings.warn(
        "Default grid_sample and affine_grid behavior has changed "
        "to align_corners=False since 1.3.0. Please specify "
        "align_corners=True if the old behavior is desired. "
        "See the documentation of grid_sample for details.",
        stacklevel=3,
    )
    return False


def grid_sample(
    input: Tensor,
    grid: Tensor,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:
    """Values of ``input`` at the places in ``grid``.

    Args:
        input: (N, C, H, W) or (N, C, D, H, W).
        grid: (N, H', W', 2) with (x, y), or (N, D', H', W', 3) with (x, y, z), the edges of the
            input at -1 and 1.
        mode: "bilinear" (trilinear in 5-d), "nearest" or "bicubic" (4-d only).
        padding_mode: beyond the edge "zeros", the nearest value ("border") or "reflection".
        align_corners: whether -1 and 1 mean centres (True) or outer edges (False) of the pixels at
            the edge. Leaving it out means False, with a warning.

    Returns:
        Tensor of the grid's spatial shape after (N, C).
    """
    if has_torch_function_variadic(input, grid):
        return redirect(grid_sample, locals())
    if mode not in GRID_SAMPLE_INTERPOLATION_MODES:
        raise ValueError(
            "nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or "
            f"'bicubic', but got: '{mode}'"
        )
    if padding_mode not in GRID_SAMPLE_PADDING_MODES:
        raise ValueError(
            "nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or "
            f"'reflection', but got: '{padding_mode}'"
        )
    if align_corners is None:
        align_corners = _default_align_corners()
    return torch.grid_sampler(
        input,
        grid,
        GRID_SAMPLE_INTERPOLATION_MODES[mode],
        GRID_SAMPLE_PADDING_MODES[padding_mode],
        align_corners,
    )


def affine_grid(theta: Tensor, size: list[int], align_corners: bool | None = None) -> Tensor:
    """Grids for `grid_sample` from affine maps of the output's coordinates to the input's.

    Args:
        theta: (N, 2, 3) or (N, 3, 4), floating point.
        size: (N, C, H, W) or (N, C, D, H, W), the size of the image to be.
        align_corners: as for `grid_sample`.

    Returns:
        Tensor (N, H, W, 2) or (N, D, H, W, 3).
    """
    if has_torch_function_unary(theta):
        return redirect(affine_grid, locals())
    if align_corners is None:
        align_corners = _default_align_corners()
    if not theta.is_floating_point():
        raise ValueError(f"Expected theta to have floating point type, but got {theta.dtype}")
    n = len(size) - 2
    if n not in (2, 3):
        raise NotImplementedError(
            "affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, "
            f"respectively. Got size {size}."
        )
    if theta.dim() != 3 or theta.shape[1:] != (n, n + 1):
        raise ValueError(
            f"Expected a batch of {n}D affine matrices of shape Nx{n}x{n + 1} for size {size}. "
            f"Got {theta.shape}."
        )
    if min(size) <= 0:
        raise ValueError(f"Expected non-zero, positive output size. Got {size}")
    if align_corners and min(size[2:]) == 1:
        warnings.warn(
            "Since version 1.3.0, affine_grid behavior has changed "
            "for unit-size grids when align_corners=True. "
            "This is not an intended use case of affine_grid. "
            "See the documentation of affine_grid for details.",
            stacklevel=2,
        )
    return torch.affine_grid_generator(theta, size, align_corners)


def pad(
    input: Tensor, pad: list[int], mode: str = "constant", value: float | None = None
) -> Tensor:
    """Add to both ends of the last dimensions of ``input``.

    Args:
        pad: numbers of elements before and after, of the last dimension, the one before it, and so
            on. Negative numbers cut off.
        mode: "constant", or for the last 1 to 3 dimensions "reflect", "replicate" or "circular".
        value: what to fill with in mode "constant"; 0 by default.
    """
    if has_torch_function_unary(input):
        return redirect(_pad, locals())
    return nn_ops.pad(input, pad, mode, value)


_pad = pad


def unfold(input: Tensor, kernel_size, dilation=1, padding=0, stride=1) -> Tensor:
    """The windows of an image as columns.

    ``input`` is (N, C, H, W) or (C, H, W); the result (N, C * kh * kw, L) or without N, L the
    number of windows. The other arguments are an int or a pair. RuntimeError if no window fits.
    """
    if has_torch_function_unary(input):
        return redirect(unfold, locals())
    return nn_ops.im2col(input, _pair(kernel_size), _pair(dilation), _pair(padding), _pair(stride))


def fold(input: Tensor, output_size, kernel_size, dilation=1, padding=0, stride=1) -> Tensor:
    """Sum of windows given as columns, at their places in an image.

    ``input`` is (N, C * kh * kw, L) or without N, as `unfold` gives it; the result (N, C, H, W)
    with (H, W) = ``output_size``. RuntimeError if L is not the number of windows.
    """
    if has_torch_function_unary(input):
        return redirect(fold, locals())
    return nn_ops.col2im(
        input,
        _pair(output_size),
        _pair(kernel_size),
        _pair(dilation),
        _pair(padding),
        _pair(stride),
    )


def assert_int_or_pair(arg: list[int], arg_name: str, message: str) -> None:
    """AssertionError, with ``message`` about ``arg_name``, if ``arg`` is no int and no pair."""
    if not (isinstance(arg, int) or len(arg) == 2):
        raise AssertionError(message.format(arg_name))
