"""The LKJ distribution of correlation matrices, as their Cholesky factors."""

import math

import mindtorch_v2 as torch

from . import constraints
from .beta import Beta
from .distribution import Distribution
from .utils import _diagonal_matrix, broadcast_all

__all__ = ["LKJCholesky"]


def _log_multivariate_gamma(a, p):
    """log Gamma_p(a): p (p - 1) / 4 log pi plus the sum of lgamma(a - j / 2), j < p."""
    steps = torch.arange(p, dtype=a.dtype, device=a.device) / 2
    return p * (p - 1) / 4 * math.log(math.pi) + torch.lgamma(a.unsqueeze(-1) - steps).sum(-1)


class LKJCholesky(Distribution):
    """Lower Cholesky factors (..., dim, dim) of correlation matrices R, whose density is
    proportional to det(R)^(concentration - 1); for 1 it is uniform over correlation matrices.

    Draws are made by the onion method (Lewandowski, Kurowicka and Joe, 2009, "Generating random
    correlation matrices based on vines and extended onion method").

    Raises:
        ValueError: `dim` is less than 2.
    """

    arg_constraints = {"concentration": constraints.positive}
    support = constraints.corr_cholesky

    def __init__(self, dim, concentration=1.0, validate_args=None):
        if dim < 2:
            raise ValueError(
                f"Expected dim to be an integer greater than or equal to 2. Found dim={dim}."
            )
        self.dim = dim
        (self.concentration,) = broadcast_all(concentration)
        # the squared length of row i left of the diagonal follows a beta distribution
        options = {"dtype": self.concentration.dtype, "device": self.concentration.device}
        offset = torch.arange(self.dim - 1, **options)
        offset = torch.cat([offset.new_zeros((1,)), offset])
        marginal = self.concentration + 0.5 * (self.dim - 2)
        self._beta = Beta(offset + 0.5, marginal.unsqueeze(-1) - 0.5 * offset)
        super().__init__(self.concentration.size(), torch.Size((dim, dim)), validate_args)

    def expand(self, batch_shape, _instance=None):
        new = self._expanded(LKJCholesky, batch_shape, _instance, concentration=0)
        new.dim = self.dim
        new._beta = self._beta.expand(new.batch_shape + (self.dim,))
        return new

    def sample(self, sample_shape=torch.Size()):  # noqa: B008
        square = self._beta.sample(sample_shape).unsqueeze(-1)
        normal = torch.randn(
            self._extended_shape(sample_shape), dtype=square.dtype, device=square.device
        ).tril(-1)
        direction = normal / torch.linalg.vector_norm(normal, dim=-1, keepdim=True)
        direction[..., 0, :].fill_(0.0)  # the first row has nothing left of the diagonal
        w = torch.sqrt(square) * direction
        rest = torch.clamp(1 - torch.sum(w**2, dim=-1), min=torch.finfo(w.dtype).tiny)
        return w + _diagonal_matrix(rest.sqrt())

    def log_prob(self, value):
        # the density of the matrix times the volume that the factor takes: powers of the diagonal
        if self._validate_args:
            self._validate_sample(value)
        diagonal = value.diagonal(dim1=-1, dim2=-2)[..., 1:]
        order = torch.arange(2, self.dim + 1, device=self.concentration.device)
        order = 2 * (self.concentration - 1).unsqueeze(-1) + self.dim - order
        density = torch.sum(order * diagonal.log(), dim=-1)
        # the normalizing constant, page 1999 of the paper
        rows = self.dim - 1
        alpha = self.concentration + 0.5 * rows
        constant = 0.5 * rows * math.log(math.pi) + _log_multivariate_gamma(alpha - 0.5, rows)
        return density - (constant - torch.lgamma(alpha) * rows)
