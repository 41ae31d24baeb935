"""Multivariate normal distributions with a covariance of low rank plus a diagonal."""

import math

import mindtorch_v2 as torch

from . import constraints
from .distribution import Distribution
from .multivariate_normal import _batch_mahalanobis, _batch_mv
from .utils import _diagonal_matrix, _broadcast_shapes, _standard_normal, lazy_property

__all__ = ["LowRankMultivariateNormal"]


def _batch_capacitance_tril(factor, diagonal):
    """Cholesky factor of I + W^T D^-1 W, of the size of the rank."""
    rank = factor.size(-1)
    scaled = factor.mT / diagonal.unsqueeze(-2)
    one = torch.eye(rank, dtype=factor.dtype, device=factor.device)
    return torch.linalg.cholesky(torch.matmul(scaled, factor).contiguous() + one)


def _batch_lowrank_logdet(factor, diagonal, capacitance_tril):
    """log det(W W^T + D), by the matrix determinant lemma."""
    return 2 * capacitance_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1) + diagonal.log().sum(-1)


def _batch_lowrank_mahalanobis(factor, diagonal, x, capacitance_tril):
    """x^T (W W^T + D)^-1 x, by the Woodbury identity."""
    scaled = factor.mT / diagonal.unsqueeze(-2)
    inner = _batch_mahalanobis(capacitance_tril, _batch_mv(scaled, x))
    return (x.pow(2) / diagonal).sum(-1) - inner


class LowRankMultivariateNormal(Distribution):
    """Normal distribution of vectors (..., n) of mean `loc` and covariance W W^T + D, with
    `cov_factor` W (..., n, rank) and `cov_diag` the diagonal of D (..., n).

    Raises:
        ValueError: a parameter has too few dimensions or sizes that do not fit.
    """

    arg_constraints = {
        "loc": constraints.real_vector,
        "cov_factor": constraints.independent(constraints.real, 2),
        "cov_diag": constraints.independent(constraints.positive, 1),
    }
    support = constraints.real_vector
    has_rsample = True

    def __init__(self, loc, cov_factor, cov_diag, validate_args=None):
        if loc.dim() < 1:
            raise ValueError("loc must be at least one-dimensional.")
        event_shape = loc.shape[-1:]
        if cov_factor.dim() < 2:
            raise ValueError(
                "cov_factor must be at least two-dimensional, with optional leading batch dimensions"
            )
        if cov_factor.shape[-2:-1] != event_shape:
            raise ValueError(
                f"cov_factor must be a batch of matrices with shape {event_shape[0]} x m"
            )
        if cov_diag.shape[-1:] != event_shape:
            raise ValueError(f"cov_diag must be a batch of vectors with shape {event_shape}")
        try:
            batch_shape = _broadcast_shapes(
                loc.shape[:-1], cov_factor.shape[:-2], cov_diag.shape[:-1]
            )
        except RuntimeError as error:
            raise ValueError(
                f"Incompatible batch shapes: loc {loc.shape}, cov_factor {cov_factor.shape}, "
                f"cov_diag {cov_diag.shape}"
            ) from error
        self.loc = loc.expand(batch_shape + event_shape)
        self.cov_factor = cov_factor.expand(batch_shape + cov_factor.shape[-2:])
        self.cov_diag = cov_diag.expand(batch_shape + event_shape)
        super().__init__(batch_shape, event_shape, validate_args=validate_args)
        self._unbroadcasted_cov_factor = cov_factor
        self._unbroadcasted_cov_diag = cov_diag
        self._capacitance_tril = _batch_capacitance_tril(cov_factor, cov_diag)

    def expand(self, batch_shape, _instance=None):
        new = self._expanded(
            LowRankMultivariateNormal, batch_shape, _instance, loc=1, cov_factor=2, cov_diag=1
        )
        for name in ("_unbroadcasted_cov_factor", "_unbroadcasted_cov_diag", "_capacitance_tril"):
            setattr(new, name, getattr(self, name))
        return new

    @property
    def mean(self):
        return self.loc

    @property
    def mode(self):
        return self.loc

    def _matrix_shape(self):
        return self._batch_shape + self._event_shape + self._event_shape

    @lazy_property
    def variance(self):
        diagonal = self._unbroadcasted_cov_factor.pow(2).sum(-1) + self._unbroadcasted_cov_diag
        return diagonal.expand(self._batch_shape + self._event_shape)

    @lazy_property
    def scale_tril(self):
        # W W^T + D = D^1/2 (D^-1/2 W W^T D^-1/2 + I) D^1/2, which factors more stably
        root = self._unbroadcasted_cov_diag.sqrt().unsqueeze(-1)
        scaled = self._unbroadcasted_cov_factor / root
        inner = torch.matmul(scaled, scaled.mT).contiguous()
        one = torch.eye(self._event_shape[0], dtype=inner.dtype, device=inner.device)
        return (root * torch.linalg.cholesky(inner + one)).expand(self._matrix_shape())

    def _diagonal_matrix(self, diagonal):
        return _diagonal_matrix(diagonal)

    @lazy_property
    def covariance_matrix(self):
        factor = self._unbroadcasted_cov_factor
        covariance = torch.matmul(factor, factor.mT) + self._diagonal_matrix(
            self._unbroadcasted_cov_diag
        )
        return covariance.expand(self._matrix_shape())

    @lazy_property
    def precision_matrix(self):
        # Woodbury: D^-1 - D^-1 W (I + W^T D^-1 W)^-1 W^T D^-1
        scaled = self._unbroadcasted_cov_factor.mT / self._unbroadcasted_cov_diag.unsqueeze(-2)
        half = torch.linalg.solve_triangular(self._capacitance_tril, scaled, upper=False)
        inverse = self._diagonal_matrix(self._unbroadcasted_cov_diag.reciprocal())
        return (inverse - torch.matmul(half.mT, half)).expand(self._matrix_shape())

    def rsample(self, sample_shape=torch.Size()):  # noqa: B008
        shape = self._extended_shape(sample_shape)
        options = {"dtype": self.loc.dtype, "device": self.loc.device}
        eps_w = _standard_normal(shape[:-1] + self.cov_factor.shape[-1:], **options)
        eps_d = _standard_normal(shape, **options)
        return (
            self.loc
            + _batch_mv(self._unbroadcasted_cov_factor, eps_w)
            + self._unbroadcasted_cov_diag.sqrt() * eps_d
        )

    def _log_det(self):
        return _batch_lowrank_logdet(
            self._unbroadcasted_cov_factor, self._unbroadcasted_cov_diag, self._capacitance_tril
        )

    def log_prob(self, value):
        if self._validate_args:
            self._validate_sample(value)
        distance = _batch_lowrank_mahalanobis(
            self._unbroadcasted_cov_factor,
            self._unbroadcasted_cov_diag,
            value - self.loc,
            self._capacitance_tril,
        )
        n = self._event_shape[0]
        return -0.5 * (n * math.log(2 * math.pi) + self._log_det() + distance)

    def entropy(self):
        n = self._event_shape[0]
        result = 0.5 * (n * (1.0 + math.log(2 * math.pi)) + self._log_det())
        return result.expand(self._batch_shape) if self._batch_shape else result
