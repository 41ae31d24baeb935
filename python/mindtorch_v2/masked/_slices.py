"""Masked functions along one dimension that keep the shape."""

from .. import _C
from ._common import dims_of, fill, filled
from ._reductions import norm

_VF = _C._VariableFunctions


def _along(name, ignored, input, dim, dtype, mask):
    dtype = dtype or input.dtype
    dim = dims_of(dim, input.ndim)[0]
    return getattr(_VF, name)(filled(ignored, input, mask), dim, dtype=dtype).to(dtype=dtype)


def cumsum(input, dim, *, dtype=None, mask=None):
    """Running sums; masked elements add nothing."""
    return _along("cumsum", "cumsum", input, dim, dtype, mask)


def cumprod(input, dim, *, dtype=None, mask=None):
    """Running products; masked elements count as 1."""
    return _along("cumprod", "cumprod", input, dim, dtype, mask)


def softmax(input, dim, *, dtype=None, mask=None):
    """Softmax of what is not masked; 0 where it is, NaN in a slice that is masked as a whole."""
    return _along("softmax", "amax", input, dim, dtype, mask)


def log_softmax(input, dim, *, dtype=None, mask=None):
    """log of softmax."""
    return _along("log_softmax", "amax", input, dim, dtype, mask)


def softmin(input, dim, *, dtype=None, mask=None):
    """softmax of -input."""
    dtype = dtype or input.dtype
    dim = dims_of(dim, input.ndim)[0]
    return _VF.softmax(-filled("amin", input, mask), dim, dtype=dtype)


def normalize(input, ord, dim, *, eps=1e-12, dtype=None, mask=None):
    """Divided by the norm of order `ord` along a dimension, or eps where that is smaller."""
    dtype = dtype or input.dtype
    dim = dims_of(dim, input.ndim)[0]
    size = norm(input, ord, dim, keepdim=True, dtype=dtype, mask=mask)
    size = _VF.maximum(size, size.new_full((), eps))
    return fill(input, mask, 0) / size


def logaddexp(input, other, *, dtype=None, input_mask=None, other_mask=None):
    """log(exp(input) + exp(other)), masked elements as -inf."""
    dtype = dtype or input.dtype
    a, b = filled("logaddexp", input, input_mask), filled("logaddexp", other, other_mask)
    return _VF.logaddexp(a, b).to(dtype=dtype)
