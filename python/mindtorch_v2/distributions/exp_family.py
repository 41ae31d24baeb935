"""Exponential families: densities h(x) exp(t(x) . theta - F(theta))."""

import mindtorch_v2 as torch

from .distribution import Distribution

__all__ = ["ExponentialFamily"]


class ExponentialFamily(Distribution):
    """A family known by its natural parameters theta and log normalizer F.

    Subclasses give `_natural_params` (a tuple of tensors), `_log_normalizer(*natural_params)` and
    `_mean_carrier_measure`, the mean of log h(x). Entropy and divergences follow by differentiating
    F (Nielsen and Nock, 2010, "Entropies and cross-entropies of exponential families").
    """

    @property
    def _natural_params(self):
        raise NotImplementedError

    def _log_normalizer(self, *natural_params):
        raise NotImplementedError

    @property
    def _mean_carrier_measure(self):
        raise NotImplementedError

    def entropy(self):
        """F(theta) - theta . grad F(theta) - E[log h(x)]."""
        params = [p.detach().requires_grad_() for p in self._natural_params]
        normalizer = self._log_normalizer(*params)
        gradients = torch.autograd.grad(normalizer.sum(), params, create_graph=True)
        result = normalizer - self._mean_carrier_measure
        for p, g in zip(params, gradients):
            product = p * g
            result = result - product.reshape(self._batch_shape + (-1,)).sum(-1)
        return result
