"""What masked functions share: dimensions, masks, identities."""

from .. import _C

_VF = _C._VariableFunctions


def dims_of(dim, ndim):
    """The dimensions named by None or () (all), an int or a sequence, sorted and not negative."""
    if dim is None or (isinstance(dim, (tuple, list)) and not dim):
        return tuple(range(ndim))
    size = max(ndim, 1)
    found = []
    for d in dim if isinstance(dim, (tuple, list)) else (dim,):
        if d >= size or d < -size:
            raise IndexError(
                f"Dimension out of range (expected to be in range of [{-size}, {size - 1}], but got {d})"
            )
        if d % size in found:
            raise RuntimeError(f"dim={d % size} appears multiple times in the list of dims")
        found.append(d % size)
    return tuple(sorted(found))


def mask_of(input, mask):
    """The mask as bools of the input's shape. IndexError where it has more dimensions than the input,
    RuntimeError where it does not broadcast."""
    if mask.shape != input.shape:
        if mask.ndim > input.ndim:
            raise IndexError(
                "_input_mask expected broadcastable mask (got mask dimensionality higher than of the input)"
            )
        mask = _VF.broadcast_to(mask, input.shape)
    return mask if mask.dtype is _C.bool else mask.to(dtype=_C.bool)


def identity(name, dtype):
    """What an operation ignores."""
    if name in ("sum", "cumsum", "norm", "prod", "cumprod"):
        return 1 if name in ("prod", "cumprod") else 0
    low = name not in ("amin", "argmin")
    if dtype.is_floating_point or (dtype.is_complex and name == "logsumexp"):
        return float("-inf") if low else float("inf")
    if dtype is _C.bool:
        raise NotImplementedError(f"identity of {name} on {dtype} input")
    if dtype.is_complex:
        raise TypeError("torch.iinfo() requires an integer input type. Use torch.finfo to handle 'torch.iinfo'")
    bits = 8 * dtype.itemsize - dtype.is_signed
    least = -(1 << bits) if dtype.is_signed else 0
    return least if low else (1 << bits) - 1


def fill(input, mask, value):
    """Masked elements replaced by a number, which is called for only if there is a mask."""
    if mask is None:
        return input
    value = value() if callable(value) else value
    return _VF.where(mask_of(input, mask), input, _VF.full((), value, dtype=input.dtype, device=input.device))


def filled(name, input, mask):
    """Masked elements replaced by the identity of an operation."""
    return fill(input, mask, lambda: identity(name, input.dtype))


def widened(dtype):
    """The dtype in which sums and products of integers are given."""
    return _C.int64 if not (dtype.is_floating_point or dtype.is_complex) else dtype
