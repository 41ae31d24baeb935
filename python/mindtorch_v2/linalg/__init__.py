"""Linear algebra: factorizations, systems, spectra, norms and products of matrices and batches of
them. The functions take tensors of shape (*, m, n), in which * is any number of batch dimensions."""

from .. import _C
from .._C import _LinAlgError as LinAlgError

_made = {
    name.removeprefix("linalg_"): function
    for name, function in vars(_C._linalg).items()
    if name.startswith("linalg_")
}
globals().update(_made)
__all__ = ["LinAlgError", *sorted(_made)]
