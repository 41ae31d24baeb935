"""Random tensors for tests."""

import math

import mindtorch_v2 as torch

_INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
_INTEGERS += (torch.uint16, torch.uint32, torch.uint64)
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_COMPLEX = (torch.complex64, torch.complex128)


def make_tensor(
    *shape,
    dtype,
    device,
    low=None,
    high=None,
    requires_grad=False,
    noncontiguous=False,
    exclude_zero=False,
    memory_format=None,
):
    """A tensor of random values, uniform on [low, high).

    Args:
        shape (int... or a sequence): The sizes.
        dtype (torch.dtype), device (torch.device): Of the result; both have to be named.
        low, high (number): Bounds; by default 0 and 2 for bool, 0 and 10 for unsigned integers, -9 and
            10 for the others, -9 and 9 for floating point and for both parts of complex dtypes. They
            are cut to what the dtype can hold.
        requires_grad (bool): Whether the result requires gradients.
        noncontiguous (bool): Every second element of a longer last dimension.
        exclude_zero (bool): Zeros become the smallest positive value (1, for integers).
        memory_format (torch.memory_format): Of the result; not together with noncontiguous.

    Raises:
        ValueError: Bounds in the wrong order or not numbers, integers or bool that require
            gradients, noncontiguous with a memory format.
        TypeError: A dtype that is not known.

    Reference behaviour: torch.testing.make_tensor.
    """
    if len(shape) == 1 and isinstance(shape[0], (tuple, list)):
        shape = tuple(shape[0])
    if noncontiguous and memory_format is not None:
        raise ValueError(
            "The parameters `noncontiguous` and `memory_format` are mutually exclusive, "
            f"but got noncontiguous={noncontiguous!r} and memory_format={memory_format!r}"
        )
    if requires_grad and dtype in (torch.bool, *_INTEGERS):
        raise ValueError(
            "`requires_grad=True` is not supported for boolean and integral dtypes, "
            f"but got {dtype=}"
        )
    draw = shape
    apart = noncontiguous and len(shape) > 0 and math.prod(shape) > 1
    if apart:
        draw = (*shape[:-1], 2 * shape[-1])
    if dtype in _FLOATS or dtype in _COMPLEX:
        info = torch.finfo(dtype)
        low, high = _bounds(dtype, low, high, (-9, 9), (info.min, info.max))
        result = torch.empty(draw, device=device, dtype=dtype)
        (torch.view_as_real(result) if dtype in _COMPLEX else result).uniform_(low, high)
    elif dtype is torch.bool or dtype in _INTEGERS:
        if dtype is torch.bool:
            usual, limits = (0, 2), (0, 2)
        else:
            info = torch.iinfo(dtype)
            usual = (-9 if info.min < 0 else 0, 10)
            limits = (info.min, info.max + (dtype is not torch.int64))
        low, high = _bounds(dtype, low, high, usual, limits)
        result = torch.randint(math.ceil(low), math.ceil(high), draw, device=device, dtype=dtype)
    else:
        raise TypeError(
            f"The requested dtype '{dtype}' is not supported by torch.testing.make_tensor()."
            " To request support, file an issue at: https://github.com/pytorch/pytorch/issues"
        )
    if apart:
        result = result[..., 1::2]
    elif memory_format is not None:
        result = result.clone(memory_format=memory_format)
    if exclude_zero:
        is_inexact = dtype in _FLOATS or dtype in _COMPLEX
        result[result == 0] = torch.finfo(dtype).tiny if is_inexact else 1
    return result.requires_grad_() if requires_grad else result


def _bounds(dtype, low, high, usual, limits):
    """Bounds given or usual, cut to the limits of the dtype."""
    low = usual[0] if low is None else low
    high = usual[1] if high is None else high
    if low != low or high != high:
        raise ValueError(f"`low` and `high` cannot be NaN, but got low={low!r} and high={high!r}")
    is_inexact = dtype in _FLOATS or dtype in _COMPLEX
    if low > high or (low == high and not is_inexact):
        raise ValueError(f"`low` must be less than `high`, but got {low} >= {high}")
    if high < limits[0] or low > limits[1] or (not is_inexact and low == limits[1]):
        raise ValueError(
            f"The value interval specified by `low` and `high` is [{low}, {high}), "
            f"but {dtype} only supports [{limits[0]}, {limits[1]}{']' if is_inexact else ')'}"
        )
    return max(low, limits[0]), min(high, limits[1])
