"""Reductions and normalisations that leave masked elements out.

`mask` is True where an element takes part; it broadcasts to the input's shape. Masked elements count
as the identity of the operation, so a slice without elements gives that identity, or NaN where there
is none. Reference behaviour: torch.masked.
"""

from ._reductions import (
    amax, amin, argmax, argmin, logsumexp, mean, median, norm, prod, std, sum, var,
)  # fmt: skip
from ._slices import cumprod, cumsum, log_softmax, logaddexp, normalize, softmax, softmin

__all__ = [
    "amax", "amin", "argmax", "argmin", "cumprod", "cumsum", "log_softmax", "logaddexp", "logsumexp",
    "mean", "median", "norm", "normalize", "prod", "softmax", "softmin", "std", "sum", "var",
]  # fmt: skip
