"""The generalized Pareto distribution."""

import mindtorch_v2 as torch
from mindtorch_v2 import inf, nan

from . import constraints
from .distribution import Distribution
from .utils import broadcast_all

__all__ = ["GeneralizedPareto"]


class GeneralizedPareto(Distribution):
    """Generalized Pareto distribution: survival (1 + concentration z)^(-1 / concentration) with
    z = (x - loc) / scale, exp(-z) for concentration 0; bounded above where it is negative."""

    arg_constraints = {
        "loc": constraints.real,
        "scale": constraints.positive,
        "concentration": constraints.real,
    }
    has_rsample = True

    def __init__(self, loc, scale, concentration, validate_args=None):
        self.loc, self.scale, self.concentration = broadcast_all(loc, scale, concentration)
        super().__init__(self.loc.size(), validate_args=validate_args)

    def expand(self, batch_shape, _instance=None):
        return self._expanded(
            GeneralizedPareto, batch_shape, _instance, loc=0, scale=0, concentration=0
        )

    def _z(self, x):
        return (x - self.loc) / self.scale

    def _is_exponential(self):
        return torch.isclose(self.concentration, torch.zeros_like(self.concentration))

    def _safe_concentration(self):
        """The concentration, 1 where it is 0 and another formula holds."""
        one = torch.ones_like(self.concentration)
        return torch.where(self._is_exponential(), one, self.concentration)

    def rsample(self, sample_shape=torch.Size()):  # noqa: B008
        shape = self._extended_shape(sample_shape)
        u = torch.rand(shape, dtype=self.loc.dtype, device=self.loc.device)
        return self.icdf(u)

    def log_survival_function(self, value):
        """Logarithm of the probability of values above `value`."""
        if self._validate_args:
            self._validate_sample(value)
        z, k = self._z(value), self._safe_concentration()
        return torch.where(self._is_exponential(), -z, -torch.log1p(k * z) / k)

    def log_prob(self, value):
        if self._validate_args:
            self._validate_sample(value)
        z, k = self._z(value), self._safe_concentration()
        power = torch.where(self._is_exponential(), z, (1 + 1 / k) * torch.log1p(k * z))
        return -self.scale.log() - power

    def log_cdf(self, value):
        """Logarithm of the cdf."""
        return torch.log1p(-torch.exp(self.log_survival_function(value)))

    def cdf(self, value):
        return torch.exp(self.log_cdf(value))

    def icdf(self, value):
        k = self._safe_concentration()
        log_survival = torch.log1p(-value)
        z = torch.where(self._is_exponential(), -log_survival, torch.expm1(-k * log_survival) / k)
        return self.loc + self.scale * z

    @property
    def mean(self):
        k = self.concentration
        valid = k < 1
        safe = torch.where(valid, k, 0.5)
        return torch.where(valid, self.loc + self.scale / (1 - safe), nan)

    @property
    def variance(self):
        k = self.concentration
        valid = k < 0.5
        safe = torch.where(valid, k, 0.25)
        result = self.scale**2 / ((1 - safe) ** 2 * (1 - 2 * safe)) + torch.zeros_like(self.loc)
        return torch.where(valid, result, nan)

    def entropy(self):
        return torch.log(self.scale) + self.concentration + 1

    @property
    def mode(self):
        return self.loc

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self):
        upper = torch.where(
            self.concentration < 0, self.loc - self.scale / self.concentration, inf
        )
        return constraints.interval(self.loc, upper)
