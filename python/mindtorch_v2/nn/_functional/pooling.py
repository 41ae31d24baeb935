"""Pooling: replace each window of the spatial dimensions by one value.

``input`` is (N, C, ...) or (C, ...), with 1, 2 or 3 spatial dimensions as the name says. Window,
stride (default: the window), padding and dilation are an int for all dimensions or one per
dimension. The result has ``floor((L + 2 * padding - dilation * (window - 1) - 1) / stride) + 1``
places for a length L; ``ceil_mode`` rounds up instead, but no window starts in the right padding.
"""

from ...overrides import has_torch_function_unary, has_torch_function_variadic
from ..modules.utils import _list_with_default, _pair, _single, _triple
from .activation import relu
from .common import Tensor, nn_ops, redirect, torch

if hasattr(torch, "avg_pool1d"):
    avg_pool1d = torch.avg_pool1d
if hasattr(nn_ops, "avg_pool2d"):
    avg_pool2d = nn_ops.avg_pool2d
if hasattr(nn_ops, "avg_pool3d"):
    avg_pool3d = nn_ops.avg_pool3d
if hasattr(torch, "adaptive_avg_pool1d"):
    adaptive_avg_pool1d = torch.adaptive_avg_pool1d


def _by_return_indices(position, with_indices, values, name, doc):
    """A function that calls one of two by its argument ``return_indices``, False by default.

    ``position`` is the place of that argument when it is not given by name.
    """

    def fn(*args, **kwargs):
        if "return_indices" in kwargs:
            flag = kwargs["return_indices"]
        else:
            flag = position < len(args) and args[position]
        return (with_indices if flag else values)(*args, **kwargs)

    fn.__name__ = fn.__qualname__ = name
    fn.__doc__ = doc
    return fn


# ------------------------------------------------------------------------------------ maximum


def max_pool1d_with_indices(
    input: Tensor,
    kernel_size,
    stride=None,
    padding=0,
    dilation=1,
    ceil_mode: bool = False,
    return_indices: bool = False,
):
    """(values, indices) of `max_pool1d`; an index counts along the length of the input."""
    if has_torch_function_unary(input):
        return redirect(max_pool1d_with_indices, locals())
    stride = [] if stride is None else stride
    return torch.max_pool1d_with_indices(input, kernel_size, stride, padding, dilation, ceil_mode)


def _max_pool1d(
    input: Tensor,
    kernel_size,
    stride=None,
    padding=0,
    dilation=1,
    ceil_mode: bool = False,
    return_indices: bool = False,
):
    if has_torch_function_unary(input):
        return redirect(max_pool1d, locals(), _max_pool1d)
    stride = [] if stride is None else stride
    return torch.max_pool1d(input, kernel_size, stride, padding, dilation, ceil_mode)


def max_pool2d_with_indices(
    input: Tensor,
    kernel_size,
    stride=None,
    padding=0,
    dilation=1,
    ceil_mode: bool = False,
    return_indices: bool = False,
):
    """(values, indices) of `max_pool2d`; an index counts over the rows of the plane."""
    if has_torch_function_unary(input):
        return redirect(max_pool2d_with_indices, locals())
    stride = [] if stride is None else stride
    return nn_ops.max_pool2d_with_indices(input, kernel_size, stride, padding, dilation, ceil_mode)


def _max_pool2d(
    input: Tensor,
    kernel_size,
    stride=None,
    padding=0,
    dilation=1,
    ceil_mode: bool = False,
    return_indices: bool = False,
):
    if has_torch_function_unary(input):
        return redirect(max_pool2d, locals(), _max_pool2d)
    stride = [] if stride is None else stride
    return torch.max_pool2d(input, kernel_size, stride, padding, dilation, ceil_mode)


def max_pool3d_with_indices(
    input: Tensor,
    kernel_size,
    stride=None,
    padding=0,
    dilation=1,
    ceil_mode: bool = False,
    return_indices: bool = False,
):
    """(values, indices) of `max_pool3d`; an index counts over the whole volume."""
    if has_torch_function_unary(input):
        return redirect(max_pool3d_with_indices, locals())
    stride = [] if stride is None else stride
    return nn_ops.max_pool3d_with_indices(input, kernel_size, stride, padding, dilation, ceil_mode)


def _max_pool3d(
    input: Tensor,
    kernel_size,
    stride=None,
    padding=0,
    dilation=1,
    ceil_mode: bool = False,
    return_indices: bool = False,
):
    if has_torch_function_unary(input):
        return redirect(max_pool3d, locals(), _max_pool3d)
    stride = [] if stride is None else stride
    return torch.max_pool3d(input, kernel_size, stride, padding, dilation, ceil_mode)


_MAX_POOL = """Maximum over each window of {0} spatial dimension{1}.

    {2}(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False,
    return_indices=False)

    Padding counts as minus infinity and is at most half the window. With ``return_indices`` the
    result is the pair (values, int64 indices), which `{3}` can undo.
    """
max_pool1d = _by_return_indices(
    6,
    max_pool1d_with_indices,
    _max_pool1d,
    "max_pool1d",
    _MAX_POOL.format(1, "", "max_pool1d", "max_unpool1d"),
)
max_pool2d = _by_return_indices(
    6,
    max_pool2d_with_indices,
    _max_pool2d,
    "max_pool2d",
    _MAX_POOL.format(2, "s", "max_pool2d", "max_unpool2d"),
)
max_pool3d = _by_return_indices(
    6,
    max_pool3d_with_indices,
    _max_pool3d,
    "max_pool3d",
    _MAX_POOL.format(3, "s", "max_pool3d", "max_unpool3d"),
)


def _fractional_sizes(name, input, output_size, output_ratio, random_samples, ntuple, n):
    """Output size and random numbers (per sample, channel and dimension) of fractional pooling."""
    if output_size is None and output_ratio is None:
        raise ValueError(f"{name} requires specifying either an output_size or an output_ratio")
    if output_size is None:
        ratio = ntuple(output_ratio)
        if n == 2 and len(ratio) > n:
            raise ValueError(
                f"{name} requires output_ratio to either be a single Int or tuple of Ints."
            )
        output_size = [int(input.size(i - n) * ratio[i]) for i in range(n)]
    if random_samples is None:
        samples = 1 if input.dim() == n + 1 else input.size(0)
        channels = input.size(-n - 1)
        random_samples = torch.rand(samples, channels, n, dtype=input.dtype, device=input.device)
    return output_size, random_samples


def fractional_max_pool2d_with_indices(
    input: Tensor,
    kernel_size,
    output_size=None,
    output_ratio=None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
):
    """(values, indices) of `fractional_max_pool2d`."""
    if has_torch_function_variadic(input, _random_samples):
        return redirect(fractional_max_pool2d_with_indices, locals())
    size, samples = _fractional_sizes(
        "fractional_max_pool2d", input, output_size, output_ratio, _random_samples, _pair, 2
    )
    return nn_ops.fractional_max_pool2d(input, kernel_size, size, samples)


def _fractional_max_pool2d(
    input: Tensor,
    kernel_size,
    output_size=None,
    output_ratio=None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
):
    if has_torch_function_variadic(input, _random_samples):
        return redirect(fractional_max_pool2d, locals(), _fractional_max_pool2d)
    return fractional_max_pool2d_with_indices(
        input, kernel_size, output_size, output_ratio, return_indices, _random_samples
    )[0]


def fractional_max_pool3d_with_indices(
    input: Tensor,
    kernel_size,
    output_size=None,
    output_ratio=None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
):
    """(values, indices) of `fractional_max_pool3d`."""
    if has_torch_function_variadic(input, _random_samples):
        return redirect(fractional_max_pool3d_with_indices, locals())
    size, samples = _fractional_sizes(
        "fractional_max_pool3d", input, output_size, output_ratio, _random_samples, _triple, 3
    )
    return nn_ops.fractional_max_pool3d(input, kernel_size, size, samples)


def _fractional_max_pool3d(
    input: Tensor,
    kernel_size,
    output_size=None,
    output_ratio=None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
):
    if has_torch_function_variadic(input, _random_samples):
        return redirect(fractional_max_pool3d, locals(), _fractional_max_pool3d)
    return fractional_max_pool3d_with_indices(
        input, kernel_size, output_size, output_ratio, return_indices, _random_samples
    )[0]


_FRACTIONAL = """Maximum over windows at random places that tile {0} dimensions.

    {1}(input, kernel_size, output_size=None, output_ratio=None,
    return_indices=False, _random_samples=None)

    The number of windows is ``output_size``, or ``output_ratio`` (between 0 and 1) times the size
    of the input. ``_random_samples`` in [0, 1), one per sample, channel and dimension, fixes the
    places. Graham, 2014. ValueError if neither size nor ratio is given.
    """
fractional_max_pool2d = _by_return_indices(
    4,
    fractional_max_pool2d_with_indices,
    _fractional_max_pool2d,
    "fractional_max_pool2d",
    _FRACTIONAL.format(2, "fractional_max_pool2d"),
)
fractional_max_pool3d = _by_return_indices(
    4,
    fractional_max_pool3d_with_indices,
    _fractional_max_pool3d,
    "fractional_max_pool3d",
    _FRACTIONAL.format(3, "fractional_max_pool3d"),
)


def _unpool_output_size(input, kernel_size, stride, padding, output_size):
    shape = input.size()
    n = len(kernel_size)
    default = [(shape[d - n] - 1) * stride[d] + kernel_size[d] - 2 * padding[d] for d in range(n)]
    if output_size is None:
        return default
    if len(output_size) == n + 2:
        output_size = output_size[2:]
    if len(output_size) != n:
        raise ValueError(
            "output_size should be a sequence containing "
            f"{n} or {n + 2} elements, but it has a length of '{len(output_size)}'"
        )
    for d in range(n):
        low, high = default[d] - stride[d], default[d] + stride[d]
        if not low < output_size[d] < high:
            raise ValueError(
                f'invalid output_size "{output_size}" (dim {d} must be between {low} and {high})'
            )
    return output_size


def _unpool(fn, ntuple, op, given):
    input, indices = given["input"], given["indices"]
    if has_torch_function_variadic(input, indices):
        return redirect(fn, given)
    window, padding = ntuple(given["kernel_size"]), ntuple(given["padding"])
    stride = window if given["stride"] is None else ntuple(given["stride"])
    size = _unpool_output_size(input, window, stride, padding, given["output_size"])
    return op(input, indices, size, stride, padding)


def max_unpool1d(
    input: Tensor, indices: Tensor, kernel_size, stride=None, padding=0, output_size=None
) -> Tensor:
    """Put the values of `max_pool1d` back at their ``indices``, with zeros elsewhere.

    ``output_size`` says which of the possible lengths the pooled input had.
    """

    def op(input, indices, size, stride, padding):
        flat = nn_ops.max_unpool2d(input.unsqueeze(-1), indices.unsqueeze(-1), [*size, 1])
        return flat.squeeze(-1)

    return _unpool(max_unpool1d, _single, op, dict(locals()))


def max_unpool2d(
    input: Tensor, indices: Tensor, kernel_size, stride=None, padding=0, output_size=None
) -> Tensor:
    """Put the values of `max_pool2d` back at their ``indices``, with zeros elsewhere.

    ``output_size`` says which of the possible sizes the pooled input had.
    """

    def op(input, indices, size, stride, padding):
        return nn_ops.max_unpool2d(input, indices, size)

    return _unpool(max_unpool2d, _pair, op, dict(locals()))


def max_unpool3d(
    input: Tensor, indices: Tensor, kernel_size, stride=None, padding=0, output_size=None
) -> Tensor:
    """Put the values of `max_pool3d` back at their ``indices``, with zeros elsewhere.

    ``output_size`` says which of the possible sizes the pooled input had.
    """
    return _unpool(max_unpool3d, _triple, nn_ops.max_unpool3d, dict(locals()))


# ---------------------------------------------------------------------------------- power mean


def lp_pool1d(
    input: Tensor, norm_type: int | float, kernel_size: int, stride=None, ceil_mode: bool = False
) -> Tensor:
    """``sum(x ** norm_type) ** (1 / norm_type)`` over each window of 1 spatial dimension.

    Where the sum is zero or below, the result is zero and its gradient nan.
    """
    if has_torch_function_unary(input):
        return redirect(lp_pool1d, locals())
    return _lp_pool(avg_pool1d, _single, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(
    input: Tensor, norm_type: int | float, kernel_size, stride=None, ceil_mode: bool = False
) -> Tensor:
    """`lp_pool1d` over 2 spatial dimensions."""
    if has_torch_function_unary(input):
        return redirect(lp_pool2d, locals())
    return _lp_pool(avg_pool2d, _pair, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(
    input: Tensor, norm_type: int | float, kernel_size, stride=None, ceil_mode: bool = False
) -> Tensor:
    """`lp_pool1d` over 3 spatial dimensions."""
    if has_torch_function_unary(input):
        return redirect(lp_pool3d, locals())
    return _lp_pool(avg_pool3d, _triple, input, norm_type, kernel_size, stride, ceil_mode)


def _lp_pool(avg_pool, ntuple, input, norm_type, kernel_size, stride, ceil_mode):
    window = ntuple(kernel_size)
    if ntuple is _pair:
        _, _ = window
    elif ntuple is _triple:
        _, _, _ = window
    power = input.pow(norm_type)
    if stride is None:
        mean = avg_pool(power, kernel_size, padding=0, ceil_mode=ceil_mode)
    else:
        mean = avg_pool(power, kernel_size, stride, 0, ceil_mode)
    count = 1
    for n in window:
        count *= n
    return (torch.sign(mean) * relu(torch.abs(mean))).mul(count).pow(1.0 / norm_type)


# ------------------------------------------------------------------------------------ adaptive


def adaptive_max_pool1d_with_indices(input: Tensor, output_size, return_indices: bool = False):
    """(values, indices) of `adaptive_max_pool1d`."""
    if has_torch_function_unary(input):
        return redirect(adaptive_max_pool1d_with_indices, locals())
    return torch.adaptive_max_pool1d(input, output_size)


def _adaptive_max_pool1d(input: Tensor, output_size, return_indices: bool = False):
    if has_torch_function_unary(input):
        return redirect(adaptive_max_pool1d, locals(), _adaptive_max_pool1d)
    return adaptive_max_pool1d_with_indices(input, output_size)[0]


def adaptive_max_pool2d_with_indices(input: Tensor, output_size, return_indices: bool = False):
    """(values, indices) of `adaptive_max_pool2d`."""
    if has_torch_function_unary(input):
        return redirect(adaptive_max_pool2d_with_indices, locals())
    return nn_ops.adaptive_max_pool2d(input, _list_with_default(output_size, input.size()))


def _adaptive_max_pool2d(input: Tensor, output_size, return_indices: bool = False):
    if has_torch_function_unary(input):
        return redirect(adaptive_max_pool2d, locals(), _adaptive_max_pool2d)
    return adaptive_max_pool2d_with_indices(input, output_size)[0]


def adaptive_max_pool3d_with_indices(input: Tensor, output_size, return_indices: bool = False):
    """(values, indices) of `adaptive_max_pool3d`."""
    if has_torch_function_unary(input):
        return redirect(adaptive_max_pool3d_with_indices, locals())
    return nn_ops.adaptive_max_pool3d(input, _list_with_default(output_size, input.size()))


def _adaptive_max_pool3d(input: Tensor, output_size, return_indices: bool = False):
    if has_torch_function_unary(input):
        return redirect(adaptive_max_pool3d, locals(), _adaptive_max_pool3d)
    return adaptive_max_pool3d_with_indices(input, output_size)[0]


_ADAPTIVE = """Maximum over windows chosen so that the result has a given size.

    {0}(input, output_size, return_indices=False)

    Window i of n over a length L covers the places from ``floor(i * L / n)`` to
    ``ceil((i + 1) * L / n)``. {1}With ``return_indices`` the result is (values, indices).
    """
_KEEP = "None in ``output_size`` keeps the input's size. "
adaptive_max_pool1d = _by_return_indices(
    2,
    adaptive_max_pool1d_with_indices,
    _adaptive_max_pool1d,
    "adaptive_max_pool1d",
    _ADAPTIVE.format("adaptive_max_pool1d", ""),
)
adaptive_max_pool2d = _by_return_indices(
    2,
    adaptive_max_pool2d_with_indices,
    _adaptive_max_pool2d,
    "adaptive_max_pool2d",
    _ADAPTIVE.format("adaptive_max_pool2d", _KEEP),
)
adaptive_max_pool3d = _by_return_indices(
    2,
    adaptive_max_pool3d_with_indices,
    _adaptive_max_pool3d,
    "adaptive_max_pool3d",
    _ADAPTIVE.format("adaptive_max_pool3d", _KEEP),
)


def adaptive_avg_pool2d(input: Tensor, output_size) -> Tensor:
    """Mean over windows chosen so that the result has ``output_size`` (None: the input's size)."""
    if has_torch_function_unary(input):
        return redirect(adaptive_avg_pool2d, locals())
    return nn_ops.adaptive_avg_pool2d(input, _list_with_default(output_size, input.size()))


def adaptive_avg_pool3d(input: Tensor, output_size) -> Tensor:
    """Mean over windows chosen so that the result has ``output_size`` (None: the input's size)."""
    if has_torch_function_unary(input):
        return redirect(adaptive_avg_pool3d, locals())
    return nn_ops.adaptive_avg_pool3d(input, _list_with_default(output_size, input.size()))
