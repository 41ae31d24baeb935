"""Kullback-Leibler divergences in closed form."""

import math
import warnings

import mindtorch_v2 as torch
from mindtorch_v2 import inf
from mindtorch_v2.nn.functional import softplus

from .bernoulli import Bernoulli
from .beta import Beta
from .binomial import Binomial
from .categorical import Categorical
from .cauchy import Cauchy
from .continuous_bernoulli import ContinuousBernoulli
from .dirichlet import Dirichlet
from .distribution import Distribution
from .exp_family import ExponentialFamily
from .exponential import Exponential
from .gamma import Gamma
from .geometric import Geometric
from .gumbel import Gumbel
from .half_normal import HalfNormal
from .independent import Independent
from .laplace import Laplace
from .lowrank_multivariate_normal import LowRankMultivariateNormal
from .multivariate_normal import MultivariateNormal, _batch_mahalanobis, _half_log_det
from .normal import Normal
from .one_hot_categorical import OneHotCategorical
from .pareto import Pareto
from .poisson import Poisson
from .transformed_distribution import TransformedDistribution
from .uniform import Uniform
from .utils import _diagonal_matrix, _broadcast_shapes, _sum_rightmost, euler_constant

__all__ = ["kl_divergence", "register_kl"]

_KL_REGISTRY = {}  # (type of p, type of q): function
_KL_MEMOIZE = {}  # the same, for the types of arguments that were asked for


def register_kl(type_p, type_q):
    """Decorates `f(p, q)` as the divergence of distributions of these classes. The closest bases
    decide; where p's and q's disagree, p's win, with a RuntimeWarning.

    Raises:
        TypeError: an argument is no class.
    """
    for kind in (type_p, type_q):
        if not isinstance(kind, type):
            raise TypeError("issubclass() arg 1 must be a class")

    def decorator(fun):
        _KL_REGISTRY[type_p, type_q] = fun
        _KL_MEMOIZE.clear()
        return fun

    return decorator


def _dispatch_kl(type_p, type_q):
    """The function registered for the closest bases, or NotImplemented."""
    matches = [
        (super_p, super_q)
        for super_p, super_q in _KL_REGISTRY
        if issubclass(type_p, super_p) and issubclass(type_q, super_q)
    ]
    if not matches:
        return NotImplemented

    def distance_p(match):
        return type_p.__mro__.index(match[0])

    def distance_q(match):
        return type_q.__mro__.index(match[1])

    left = min(matches, key=lambda m: (distance_p(m), distance_q(m)))
    right = min(matches, key=lambda m: (distance_q(m), distance_p(m)))
    left_fun, right_fun = _KL_REGISTRY[left], _KL_REGISTRY[right]
    if left_fun is not right_fun:
        warnings.warn(
            f"Ambiguous kl_divergence({type_p.__name__}, {type_q.__name__}). "
            f"Please register_kl({left[0].__name__}, {right[1].__name__})",
            RuntimeWarning,
            stacklevel=3,
        )
    return left_fun


def kl_divergence(p, q):
    """KL(p || q) = E_p[log p(x) - log q(x)] in nats, of shape batch_shape.

    Raises:
        NotImplementedError: no formula is registered for the two classes.
    """
    key = type(p), type(q)
    fun = _KL_MEMOIZE.get(key)
    if fun is None:
        fun = _KL_MEMOIZE[key] = _dispatch_kl(*key)
    if fun is NotImplemented:
        raise NotImplementedError(
            "No KL(p || q) is implemented for p type "
            f"{p.__class__.__name__} and q type {q.__class__.__name__}"
        )
    return fun(p, q)


def _x_log_x(x):
    return torch.xlogy(x, x)


def _outside(result, mask):
    """Infinity where the support of p exceeds that of q."""
    return result.masked_fill(mask, inf)


# ---- the same family -----------------------------------------------------------------------------


@register_kl(Bernoulli, Bernoulli)
def _kl_bernoulli_bernoulli(p, q):
    ones = p.probs * (softplus(-q.logits) - softplus(-p.logits))
    ones = ones.masked_fill(q.probs == 0, inf).masked_fill(p.probs == 0, 0)
    zeros = (1 - p.probs) * (softplus(q.logits) - softplus(p.logits))
    zeros = zeros.masked_fill(q.probs == 1, inf).masked_fill(p.probs == 1, 0)
    return ones + zeros


@register_kl(Beta, Beta)
def _kl_beta_beta(p, q):
    total_p = p.concentration1 + p.concentration0
    total_q = q.concentration1 + q.concentration0
    constants = (
        q.concentration1.lgamma() + q.concentration0.lgamma() + total_p.lgamma()
    ) - (p.concentration1.lgamma() + p.concentration0.lgamma() + total_q.lgamma())
    return (
        constants
        + (p.concentration1 - q.concentration1) * torch.digamma(p.concentration1)
        + (p.concentration0 - q.concentration0) * torch.digamma(p.concentration0)
        + (total_q - total_p) * torch.digamma(total_p)
    )


@register_kl(Binomial, Binomial)
def _kl_binomial_binomial(p, q):
    if (p.total_count < q.total_count).any():
        raise NotImplementedError(
            "KL between Binomials where q.total_count > p.total_count is not implemented"
        )
    one = p.probs * (p.logits - q.logits) + (-p.probs).log1p() - (-q.probs).log1p()
    return _outside(p.total_count * one, p.total_count > q.total_count)


@register_kl(Categorical, Categorical)
def _kl_categorical_categorical(p, q):
    t = p.probs * (p.logits - q.logits)
    t = t.masked_fill((q.probs == 0).expand_as(t), inf)
    return t.masked_fill((p.probs == 0).expand_as(t), 0).sum(-1)


def _log_constant(d):
    """Log of the density of a continuous Bernoulli at 0."""
    return d._cont_bern_log_norm() + torch.log1p(-d.probs)


@register_kl(ContinuousBernoulli, ContinuousBernoulli)
def _kl_continuous_bernoulli_continuous_bernoulli(p, q):
    return p.mean * (p.logits - q.logits) + _log_constant(p) - _log_constant(q)


@register_kl(Dirichlet, Dirichlet)
def _kl_dirichlet_dirichlet(p, q):
    total_p, total_q = p.concentration.sum(-1), q.concentration.sum(-1)
    constants = (
        total_p.lgamma()
        - total_q.lgamma()
        - (p.concentration.lgamma() - q.concentration.lgamma()).sum(-1)
    )
    weights = p.concentration.digamma() - total_p.digamma().unsqueeze(-1)
    return constants + ((p.concentration - q.concentration) * weights).sum(-1)


@register_kl(Exponential, Exponential)
def _kl_exponential_exponential(p, q):
    ratio = q.rate / p.rate
    return -ratio.log() + ratio - 1


@register_kl(ExponentialFamily, ExponentialFamily)
def _kl_expfamily_expfamily(p, q):
    # the Bregman divergence of the log normalizer (Nielsen and Nock, 2010)
    if type(p) is not type(q):
        raise NotImplementedError(
            "The cross KL-divergence between different exponential families cannot "
            "                            be computed using Bregman divergences"
        )
    params_p = [x.detach().requires_grad_() for x in p._natural_params]
    params_q = q._natural_params
    normalizer = p._log_normalizer(*params_p)
    gradients = torch.autograd.grad(normalizer.sum(), params_p, create_graph=True)
    result = q._log_normalizer(*params_q) - normalizer
    for a, b, g in zip(params_p, params_q, gradients):
        result = result - _sum_rightmost((b - a) * g, len(q.event_shape))
    return result


@register_kl(Gamma, Gamma)
def _kl_gamma_gamma(p, q):
    return (
        q.concentration * (p.rate / q.rate).log()
        + torch.lgamma(q.concentration)
        - torch.lgamma(p.concentration)
        + (p.concentration - q.concentration) * torch.digamma(p.concentration)
        + (q.rate - p.rate) * (p.concentration / p.rate)
    )


@register_kl(Gumbel, Gumbel)
def _kl_gumbel_gumbel(p, q):
    ratio = p.scale / q.scale
    shift = (p.loc - q.loc) / q.scale
    return (
        -ratio.log()
        + shift
        + ratio * euler_constant
        + torch.exp((1 + ratio).lgamma() - shift)
        - (1 + euler_constant)
    )


@register_kl(Geometric, Geometric)
def _kl_geometric_geometric(p, q):
    return -p.entropy() - torch.log1p(-q.probs) / p.probs - q.logits


@register_kl(HalfNormal, HalfNormal)
def _kl_halfnormal_halfnormal(p, q):
    return _kl_normal_normal(p.base_dist, q.base_dist)


@register_kl(Laplace, Laplace)
def _kl_laplace_laplace(p, q):
    ratio = p.scale / q.scale
    distance = (p.loc - q.loc).abs()
    return -ratio.log() + distance / q.scale + ratio * torch.exp(-distance / p.scale) - 1


def _half_log_det_of(d):
    if isinstance(d, LowRankMultivariateNormal):
        return 0.5 * d._log_det()
    return _half_log_det(d._unbroadcasted_scale_tril)


def _trace_under(factor, matrix):
    """trace((L L^T)^-1 A A^T): the squares of L^-1 A."""
    return torch.linalg.solve_triangular(factor, matrix, upper=False).pow(2).sum((-2, -1))


def _normal_kl(p, q, trace, distance):
    n = p.event_shape[0]
    return _half_log_det_of(q) - _half_log_det_of(p) + 0.5 * (trace + distance - n)


def _check_sizes(p, q, names):
    if p.event_shape != q.event_shape:
        raise ValueError(
            f"KL-divergence between two {names} with                          different event shapes cannot be computed"
        )


def _under_low_rank(q, matrix):
    """trace(S^-1 A A^T) for S = W W^T + D, by the Woodbury identity."""
    factor, diagonal = q._unbroadcasted_cov_factor, q._unbroadcasted_cov_diag
    scaled = factor.mT / diagonal.unsqueeze(-2)
    inner = _trace_under(q._capacitance_tril, scaled @ matrix)
    return (matrix.pow(2) / diagonal.unsqueeze(-1)).sum((-2, -1)) - inner


def _low_rank_parts(p):
    """A with A A^T = W W^T + D."""
    diagonal = _diagonal_matrix(p._unbroadcasted_cov_diag.sqrt())
    factor = p._unbroadcasted_cov_factor
    shape = _broadcast_shapes(factor.shape[:-2], diagonal.shape[:-2])
    return torch.cat(
        [factor.expand(shape + factor.shape[-2:]), diagonal.expand(shape + diagonal.shape[-2:])], -1
    )


@register_kl(LowRankMultivariateNormal, LowRankMultivariateNormal)
def _kl_lowrank_lowrank(p, q):
    _check_sizes(p, q, "Low Rank Multivariate Normals")
    distance = _under_low_rank(q, (q.loc - p.loc).unsqueeze(-1))
    return _normal_kl(p, q, _under_low_rank(q, _low_rank_parts(p)), distance)


@register_kl(MultivariateNormal, LowRankMultivariateNormal)
def _kl_multivariatenormal_lowrank(p, q):
    _check_sizes(p, q, "(Low Rank) Multivariate Normals")
    distance = _under_low_rank(q, (q.loc - p.loc).unsqueeze(-1))
    return _normal_kl(p, q, _under_low_rank(q, p._unbroadcasted_scale_tril), distance)


@register_kl(LowRankMultivariateNormal, MultivariateNormal)
def _kl_lowrank_multivariatenormal(p, q):
    _check_sizes(p, q, "(Low Rank) Multivariate Normals")
    factor = q._unbroadcasted_scale_tril
    distance = _batch_mahalanobis(factor, q.loc - p.loc)
    return _normal_kl(p, q, _trace_under(factor, _low_rank_parts(p)), distance)


@register_kl(MultivariateNormal, MultivariateNormal)
def _kl_multivariatenormal_multivariatenormal(p, q):
    _check_sizes(p, q, "Multivariate Normals")
    factor = q._unbroadcasted_scale_tril
    distance = _batch_mahalanobis(factor, q.loc - p.loc)
    return _normal_kl(p, q, _trace_under(factor, p._unbroadcasted_scale_tril), distance)


@register_kl(Normal, Normal)
def _kl_normal_normal(p, q):
    ratio = (p.scale / q.scale).pow(2)
    shift = ((p.loc - q.loc) / q.scale).pow(2)
    return 0.5 * (ratio + shift - 1 - ratio.log())


@register_kl(OneHotCategorical, OneHotCategorical)
def _kl_onehotcategorical_onehotcategorical(p, q):
    return _kl_categorical_categorical(p._categorical, q._categorical)


@register_kl(Pareto, Pareto)
def _kl_pareto_pareto(p, q):
    ratio = q.alpha / p.alpha
    result = q.alpha * (p.scale / q.scale).log() - ratio.log() + ratio - 1
    return _outside(result, p.support.lower_bound < q.support.lower_bound)


@register_kl(Poisson, Poisson)
def _kl_poisson_poisson(p, q):
    return p.rate * (p.rate.log() - q.rate.log()) - (p.rate - q.rate)


@register_kl(TransformedDistribution, TransformedDistribution)
def _kl_transformed_transformed(p, q):
    if p.transforms != q.transforms:
        raise NotImplementedError
    if p.event_shape != q.event_shape:
        raise NotImplementedError
    return kl_divergence(p.base_dist, q.base_dist)


@register_kl(Uniform, Uniform)
def _kl_uniform_uniform(p, q):
    result = ((q.high - q.low) / (p.high - p.low)).log()
    return _outside(result, (q.low > p.low) | (q.high < p.high))


@register_kl(Independent, Independent)
def _kl_independent_independent(p, q):
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise NotImplementedError
    return _sum_rightmost(kl_divergence(p.base_dist, q.base_dist), p.reinterpreted_batch_ndims)


@register_kl(Cauchy, Cauchy)
def _kl_cauchy_cauchy(p, q):
    # Chyzak and Nielsen, 2019, arXiv:1905.10965
    spread = (p.scale + q.scale).pow(2) + (p.loc - q.loc).pow(2)
    return spread.log() - (4 * p.scale * q.scale).log()


# ---- different families --------------------------------------------------------------------------


def _register_infinite(kind, others, shape_of):
    """p of this class leaves the support of q: infinite, of the shape of p's parameter."""

    def infinite(p, q):
        return torch.full_like(getattr(p, shape_of), inf)

    for other in others:
        register_kl(kind, other)(infinite)


_BOUNDED = (Beta, ContinuousBernoulli, Pareto, Uniform)
_register_infinite(Beta, (Pareto,), "concentration1")
_register_infinite(ContinuousBernoulli, (Pareto,), "probs")
_register_infinite(Exponential, _BOUNDED, "rate")
_register_infinite(Gamma, _BOUNDED, "concentration")
_register_infinite(Gumbel, (*_BOUNDED, Exponential, Gamma), "loc")
_register_infinite(Laplace, (*_BOUNDED, Exponential, Gamma), "loc")
_register_infinite(Normal, (*_BOUNDED, Exponential, Gamma), "loc")
_register_infinite(Pareto, (Beta, ContinuousBernoulli, Uniform), "scale")
_register_infinite(Poisson, (Bernoulli, Binomial), "rate")


def _against_exponential(p, q):
    """Cross entropy of a distribution with a mean and an exponential one."""
    return q.rate * p.mean - q.rate.log()


def _against_normal(second, first, q):
    """Cross entropy of a distribution of these first moments and a normal one."""
    var = q.scale.pow(2)
    spread = 0.5 * second - q.loc * first + 0.5 * q.loc.pow(2)
    return 0.5 * (var * (2 * math.pi)).log() + spread / var


def _gamma_constant(q):
    return torch.lgamma(q.concentration) - q.concentration * q.rate.log()


@register_kl(Bernoulli, Poisson)
def _kl_bernoulli_poisson(p, q):
    return -p.entropy() - (p.probs * q.rate.log() - q.rate)


@register_kl(Beta, ContinuousBernoulli)
def _kl_beta_continuous_bernoulli(p, q):
    return -p.entropy() - p.mean * q.logits - _log_constant(q)


@register_kl(Beta, Exponential)
def _kl_beta_exponential(p, q):
    return -p.entropy() + _against_exponential(p, q)


@register_kl(Beta, Gamma)
def _kl_beta_gamma(p, q):
    log_mean = p.concentration1.digamma() - (p.concentration1 + p.concentration0).digamma()
    return -p.entropy() + _gamma_constant(q) - (q.concentration - 1) * log_mean + q.rate * p.mean


@register_kl(Beta, Normal)
def _kl_beta_normal(p, q):
    return -p.entropy() + _against_normal(p.variance + p.mean.pow(2), p.mean, q)


@register_kl(Beta, Uniform)
def _kl_beta_uniform(p, q):
    return _outside(-p.entropy() + (q.high - q.low).log(), (q.low > 0) | (q.high < 1))


@register_kl(ContinuousBernoulli, Exponential)
def _kl_continuous_bernoulli_exponential(p, q):
    return -p.entropy() + _against_exponential(p, q)


@register_kl(ContinuousBernoulli, Normal)
def _kl_continuous_bernoulli_normal(p, q):
    return -p.entropy() + _against_normal(p.variance + p.mean.pow(2), p.mean, q)


@register_kl(ContinuousBernoulli, Uniform)
def _kl_continuous_bernoulli_uniform(p, q):
    result = -p.entropy() + (q.high - q.low).log()
    inside = (q.low >= p.support.lower_bound) | (q.high <= p.support.upper_bound)
    return _outside(result, inside)


@register_kl(Exponential, Gamma)
def _kl_exponential_gamma(p, q):
    ratio = q.rate / p.rate
    return (
        -q.concentration * torch.log(ratio)
        + ratio
        + torch.lgamma(q.concentration)
        + q.concentration * euler_constant
        - (1 + euler_constant)
    )


@register_kl(Exponential, Gumbel)
def _kl_exponential_gumbel(p, q):
    product = p.rate * q.scale
    shift = q.loc / q.scale
    expected = torch.exp(shift) * product / (product + 1)
    return product.log() - 1 - shift + expected + product.reciprocal()


@register_kl(Exponential, Normal)
def _kl_exponential_normal(p, q):
    return -p.entropy() + _against_normal(2 / p.rate.pow(2), 1 / p.rate, q)


@register_kl(Gamma, Exponential)
def _kl_gamma_exponential(p, q):
    return -p.entropy() + _against_exponential(p, q)


@register_kl(Gamma, Gumbel)
def _kl_gamma_gumbel(p, q):
    a, product = p.concentration, p.rate * q.scale
    shift = q.loc / q.scale
    return (
        (a - 1) * a.digamma()
        - a.lgamma()
        - a
        + product.log()
        + a / product
        + torch.exp(shift) * (1 + product.reciprocal()).pow(-a)
        - shift
    )


@register_kl(Gamma, Normal)
def _kl_gamma_normal(p, q):
    a, b = p.concentration, p.rate
    return -p.entropy() + _against_normal((a.pow(2) + a) / b.pow(2), a / b, q)


@register_kl(Gumbel, Normal)
def _kl_gumbel_normal(p, q):
    ratio = p.scale / q.scale
    shift = (p.loc + p.scale * euler_constant - q.loc) / q.scale
    return (
        -(ratio / math.sqrt(2 * math.pi)).log()
        + (math.pi * ratio * 0.5).pow(2) / 3
        + shift.pow(2) * 0.5
        - (euler_constant + 1)
    )


@register_kl(Laplace, Normal)
def _kl_laplace_normal(p, q):
    return -p.entropy() + _against_normal(2 * p.scale.pow(2) + p.loc.pow(2), p.loc, q)


@register_kl(Normal, Gumbel)
def _kl_normal_gumbel(p, q):
    ratio = (p.scale / q.scale).pow(2)
    shift = (p.loc - q.loc) / q.scale
    expected = torch.exp(-shift + 0.5 * ratio)
    return -0.5 * ratio.log() + shift + expected - 0.5 * (1 + math.log(2 * math.pi))


@register_kl(Normal, Laplace)
def _kl_normal_laplace(p, q):
    distance = p.loc - q.loc
    z = distance / p.scale
    folded = math.sqrt(2 / math.pi) * p.scale * torch.exp(-0.5 * z.pow(2)) + distance * torch.erf(
        math.sqrt(0.5) * z
    )
    return (
        -(p.scale / q.scale).log() + folded / q.scale - 0.5 * (1 + math.log(0.5 * math.pi))
    )


@register_kl(Pareto, Exponential)
def _kl_pareto_exponential(p, q):
    product = p.scale * q.rate
    result = (p.alpha / product).log() - p.alpha.reciprocal() + p.alpha * product / (p.alpha - 1) - 1
    return _outside(result, p.alpha <= 1)


@register_kl(Pareto, Gamma)
def _kl_pareto_gamma(p, q):
    log_mean = p.scale.log() + p.alpha.reciprocal()
    result = (
        p.alpha.log()
        - log_mean
        + _gamma_constant(q)
        + (1 - q.concentration) * log_mean
        + q.rate * p.alpha * p.scale / (p.alpha - 1)
        - 1
    )
    return _outside(result, p.alpha <= 1)


@register_kl(Pareto, Normal)
def _kl_pareto_normal(p, q):
    unit = p.scale / (p.alpha - 1)
    spread = p.alpha * unit.pow(2) / (p.alpha - 2) + (p.alpha * unit - q.loc).pow(2)
    result = (
        (math.sqrt(2 * math.pi) * q.scale * p.alpha / p.scale).log()
        - p.alpha.reciprocal()
        + spread / (2 * q.scale.pow(2))
        - 1
    )
    return _outside(result, p.alpha <= 2)


def _mean_log(low, high):
    """Mean of log x over [low, high]."""
    return (_x_log_x(high) - _x_log_x(low)) / (high - low) - 1


@register_kl(Uniform, Beta)
def _kl_uniform_beta(p, q):
    a, b = q.concentration1, q.concentration0
    result = (
        a.lgamma()
        + b.lgamma()
        - (a + b).lgamma()
        - torch.log(p.high - p.low)
        - (a - 1) * _mean_log(p.low, p.high)
        - (b - 1) * _mean_log(1 - p.high, 1 - p.low)
    )
    return _outside(result, (p.high > 1) | (p.low < 0))


@register_kl(Uniform, ContinuousBernoulli)
def _kl_uniform_continuous_bernoulli(p, q):
    result = -p.entropy() - p.mean * q.logits - _log_constant(q)
    inside = (p.high >= q.support.upper_bound) | (p.low <= q.support.lower_bound)
    return _outside(result, inside)


@register_kl(Uniform, Exponential)
def _kl_uniform_exponential(p, q):
    return _outside(-p.entropy() + _against_exponential(p, q), p.low < 0)


@register_kl(Uniform, Gamma)
def _kl_uniform_gamma(p, q):
    result = (
        -torch.log(p.high - p.low)
        + _gamma_constant(q)
        + (1 - q.concentration) * _mean_log(p.low, p.high)
        + q.rate * p.mean
    )
    return _outside(result, p.low < 0)


@register_kl(Uniform, Gumbel)
def _kl_uniform_gumbel(p, q):
    unit = q.scale / (p.high - p.low)
    high, low = (p.high - q.loc) / q.scale, (p.low - q.loc) / q.scale
    return unit.log() + 0.5 * (high + low) - unit * (torch.exp(-high) - torch.exp(-low))


@register_kl(Uniform, Normal)
def _kl_uniform_normal(p, q):
    width = p.high - p.low
    spread = width.pow(2) / 12 + (p.mean - q.loc).pow(2)
    return (math.sqrt(math.pi * 2) * q.scale / width).log() + 0.5 * spread / q.scale.pow(2)


@register_kl(Uniform, Pareto)
def _kl_uniform_pareto(p, q):
    width = p.high - p.low
    constant = (q.alpha * q.scale.pow(q.alpha) * width).log()
    result = _mean_log(p.low, p.high) * (q.alpha + 1) - constant
    return _outside(result, p.low < q.support.lower_bound)


def _add_kl_info():
    """Appends the list of the pairs to the docstring of `kl_divergence`."""
    pairs = sorted(f"{p.__name__} and {q.__name__}" for p, q in _KL_REGISTRY)
    kl_divergence.__doc__ += "\n    Pairs of classes:\n" + "\n".join(f"        {x}" for x in pairs)
