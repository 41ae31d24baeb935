"""Masked reductions. Shapes: `dim` (None, int or ints) leaves, with keepdim stays with size 1; all
dimensions without it. The result has `dtype`, by default the input's (sums and products of integers:
int64)."""

from .. import _C
from ._common import dims_of, fill, filled, mask_of, widened

_VF = _C._VariableFunctions


def sum(input, dim=None, *, keepdim=False, dtype=None, mask=None):
    """The sum; 0 of nothing."""
    dtype = dtype or widened(input.dtype)
    dims = dims_of(dim, input.ndim)
    return _VF.sum(filled("sum", input, mask), dims, keepdim=bool(keepdim), dtype=dtype)


def prod(input, dim=None, *, keepdim=False, dtype=None, mask=None):
    """The product; 1 of nothing."""
    dtype = dtype or widened(input.dtype)
    dims = dims_of(dim, input.ndim)
    result = filled("prod", input, mask)
    for d in reversed(dims):
        result = result.prod(dim=d, keepdim=bool(keepdim))
    return result.to(dtype=dtype)


def _extreme(name, input, dim, keepdim, dtype, mask):
    dtype = dtype or input.dtype
    x = filled(name, input, mask)
    if name.startswith("arg"):
        return getattr(_VF, name)(x, dim, bool(keepdim)).to(dtype=dtype)
    return getattr(_VF, name)(x, dims_of(dim, input.ndim), bool(keepdim)).to(dtype=dtype)


def amax(input, dim=None, *, keepdim=False, dtype=None, mask=None):
    """The largest element; the least number of the dtype of nothing."""
    return _extreme("amax", input, dim, keepdim, dtype, mask)


def amin(input, dim=None, *, keepdim=False, dtype=None, mask=None):
    """The smallest element; the largest number of the dtype of nothing."""
    return _extreme("amin", input, dim, keepdim, dtype, mask)


def argmax(input, dim=None, *, keepdim=False, dtype=None, mask=None):
    """The place of the largest element, as a number of the input's dtype unless `dtype` is given."""
    return _extreme("argmax", input, dim, keepdim, dtype, mask)


def argmin(input, dim=None, *, keepdim=False, dtype=None, mask=None):
    """The place of the smallest element, as a number of the input's dtype unless `dtype` is given."""
    return _extreme("argmin", input, dim, keepdim, dtype, mask)


def _count(input, dims, keepdim, mask):
    if mask is None:
        ones = _VF.ones(input.shape, dtype=_C.int64, device=input.device)
        return sum(ones, dims, keepdim=keepdim)
    return sum(mask_of(input, mask).to(dtype=_C.int64), dims, keepdim=keepdim)


def mean(input, dim=None, *, keepdim=False, dtype=None, mask=None):
    """The mean of what is not masked; NaN of nothing. ValueError for integers without a `dtype`."""
    dtype = dtype or input.dtype
    if not (dtype.is_floating_point or dtype.is_complex):
        raise ValueError(
            "mean(): Could not infer output dtype. Input dtype must be either a floating point or complex "
            f"dtype. Got: {dtype}"
        )
    dims = dims_of(dim, input.ndim)
    total = sum(input, dims, keepdim=keepdim, dtype=dtype, mask=mask)
    return total / _count(input, dims, keepdim, mask)


def median(input, dim=-1, *, keepdim=False, dtype=None, mask=None):
    """The lower median along one dimension; NaN of nothing, ValueError of nothing in integers."""
    dtype = dtype or input.dtype
    dim = dims_of(dim, input.ndim)[0]
    real = input.dtype.is_floating_point
    x = input if real else input.to(dtype=_C.float32)
    result = _VF.nanmedian(fill(x, mask, float("nan")), dim, bool(keepdim)).values
    if real:
        return result.to(dtype=dtype)
    if result.isnan().any():
        raise ValueError("masked median expects no fully masked out rows if dtype is not floating point")
    return result.to(dtype=dtype)


def logsumexp(input, dim=None, *, keepdim=False, dtype=None, mask=None):
    """log of the sum of exp."""
    dtype = dtype or input.dtype
    dims = dims_of(dim, input.ndim)
    return _VF.logsumexp(filled("logsumexp", input, mask), dims, keepdim=bool(keepdim)).to(dtype=dtype)


def norm(input, ord=2.0, dim=None, *, keepdim=False, dtype=None, mask=None):
    """The vector norm of order `ord` over dimensions, 0 of nothing (infinity for ord=-inf)."""
    dims = dims_of(dim, input.ndim)
    ignored = float("inf") if ord is not None and ord < 0 else 0
    return _C._linalg.linalg_vector_norm(fill(input, mask, ignored), ord, dims, bool(keepdim), dtype=dtype)


def _spread(input, dim, unbiased, correction, keepdim, dtype, mask, root):
    if unbiased is not None and correction is not None:
        raise AssertionError("Only one of unbiased and correction may be given")
    if correction is None:
        correction = 1 if unbiased is None or unbiased else 0
    dtype = dtype or input.dtype
    if not (dtype.is_floating_point or dtype.is_complex):
        dtype = _C.float32
    dims = dims_of(dim, input.ndim)
    count = _count(input, dims, True, mask)
    away = input - sum(input, dims, keepdim=True, dtype=dtype, mask=mask) / count
    total = sum(away * away.conj(), dims, keepdim=keepdim, dtype=dtype, mask=mask)
    if not keepdim:
        count = count.reshape(total.shape)
    if correction != 0:
        count = count - correction
        count = _VF.maximum(count, count.new_zeros(()))
    result = (total / count).to(dtype=dtype)
    return _VF.sqrt(result) if root else result


def var(input, dim=None, unbiased=None, *, correction=None, keepdim=False, dtype=None, mask=None):
    """The variance, divided by the count less `correction` (unbiased: 1, the default)."""
    return _spread(input, dim, unbiased, correction, keepdim, dtype, mask, False)


def std(input, dim=None, unbiased=None, *, correction=None, keepdim=False, dtype=None, mask=None):
    """The root of var."""
    return _spread(input, dim, unbiased, correction, keepdim, dtype, mask, True)
