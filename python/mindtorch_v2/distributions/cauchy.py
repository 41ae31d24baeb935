"""The Cauchy distribution."""

import math

import mindtorch_v2 as torch
from mindtorch_v2 import inf, nan

from . import constraints
from .distribution import Distribution
from .utils import broadcast_all

__all__ = ["Cauchy"]


class Cauchy(Distribution):
    """Cauchy (Lorentz) distribution of median `loc` and half width at half maximum `scale`. It has
    neither mean nor variance."""

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.real
    has_rsample = True

    def __init__(self, loc, scale, validate_args=None):
        self.loc, self.scale = broadcast_all(loc, scale)
        super().__init__(self.loc.size(), validate_args=validate_args)

    def expand(self, batch_shape, _instance=None):
        return self._expanded(Cauchy, batch_shape, _instance, loc=0, scale=0)

    def _everywhere(self, number):
        shape = self._extended_shape()
        return torch.full(shape, number, dtype=self.loc.dtype, device=self.loc.device)

    @property
    def mean(self):
        return self._everywhere(nan)

    @property
    def mode(self):
        return self.loc

    @property
    def variance(self):
        return self._everywhere(inf)

    def rsample(self, sample_shape=torch.Size()):  # noqa: B008
        eps = self.loc.new_empty(self._extended_shape(sample_shape)).cauchy_()
        return self.loc + eps * self.scale

    def log_prob(self, value):
        if self._validate_args:
            self._validate_sample(value)
        x = (value - self.loc) / self.scale
        return -math.log(math.pi) - self.scale.log() - (x**2).log1p()

    def cdf(self, value):
        if self._validate_args:
            self._validate_sample(value)
        return torch.atan((value - self.loc) / self.scale) / math.pi + 0.5

    def icdf(self, value):
        return torch.tan(math.pi * (value - 0.5)) * self.scale + self.loc

    def entropy(self):
        return math.log(4 * math.pi) + self.scale.log()
