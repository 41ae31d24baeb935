"""Distributions against what must hold of them: densities integrate to one, samples have the moments
and the densities that are claimed, divergences agree with their definition."""

import math

import pytest

import mindtorch_v2 as torch
import mindtorch_v2.distributions as D


def t(values):
    return torch.tensor(values, dtype=torch.float64)


# of one real variable: distribution and an interval that holds nearly all of it
CONTINUOUS = {
    "Beta": (lambda: D.Beta(t(2.0), t(3.5)), 0, 1),
    "Cauchy": (lambda: D.Cauchy(t(0.5), t(0.5)), -200, 200),
    "Chi2": (lambda: D.Chi2(t(4.0)), 0, 60),
    "ContinuousBernoulli": (lambda: D.ContinuousBernoulli(t(0.2)), 0, 1),
    "ContinuousBernoulli near half": (lambda: D.ContinuousBernoulli(t(0.5002)), 0, 1),
    "Exponential": (lambda: D.Exponential(t(1.7)), 0, 25),
    "FisherSnedecor": (lambda: D.FisherSnedecor(t(6.0), t(30.0)), 0, 60),
    "Gamma": (lambda: D.Gamma(t(2.5), t(1.5)), 0, 40),
    "GeneralizedPareto": (lambda: D.GeneralizedPareto(t(0.5), t(1.0), t(-0.3)), 0.5, 3.8333333),
    "Gumbel": (lambda: D.Gumbel(t(0.5), t(1.2)), -3.5, 40),
    "HalfNormal": (lambda: D.HalfNormal(t(1.3)), 0, 14),
    "InverseGamma": (lambda: D.InverseGamma(t(6.0), t(2.0)), 0, 40),
    "Kumaraswamy": (lambda: D.Kumaraswamy(t(2.0), t(3.0)), 0, 1),
    "Laplace": (lambda: D.Laplace(t(0.5), t(0.8)), -20, 21),
    "LogNormal": (lambda: D.LogNormal(t(0.1), t(0.5)), 0, 40),
    "Normal": (lambda: D.Normal(t(0.5), t(2.0)), -20, 21),
    "Pareto": (lambda: D.Pareto(t(1.0), t(6.0)), 1, 60),
    "RelaxedBernoulli": (lambda: D.RelaxedBernoulli(t(2.0), t(0.3)), 0, 1),
    "StudentT": (lambda: D.StudentT(t(7.0), t(0.5), t(0.8)), -60, 60),
    "Uniform": (lambda: D.Uniform(t(-1.0), t(3.0)), -1, 3),
    "VonMises": (lambda: D.VonMises(t(0.5), t(2.0)), -math.pi, math.pi),
    "Weibull": (lambda: D.Weibull(t(1.5), t(2.0)), 0, 12),
}
DISCRETE = {
    "Bernoulli": (lambda: D.Bernoulli(t(0.3)), 1),
    "Binomial": (lambda: D.Binomial(12, t(0.3)), 12),
    "Geometric": (lambda: D.Geometric(t(0.3)), 120),
    "NegativeBinomial": (lambda: D.NegativeBinomial(t(3.5), t(0.4)), 120),
    "Poisson": (lambda: D.Poisson(t(6.5)), 60),
}
MULTIVARIATE = {
    "Dirichlet": lambda: D.Dirichlet(t([0.7, 2.0, 1.5])),
    "LowRankMultivariateNormal": lambda: D.LowRankMultivariateNormal(
        t([0.0, 1.0]), t([[1.0], [0.5]]), t([0.5, 1.0])
    ),
    "Multinomial": lambda: D.Multinomial(5, t([0.2, 0.5, 0.3])),
    "MultivariateNormal": lambda: D.MultivariateNormal(t([0.0, 1.0]), t([[2.0, 0.5], [0.5, 1.0]])),
    "OneHotCategorical": lambda: D.OneHotCategorical(t([0.2, 0.5, 0.3])),
    "Wishart": lambda: D.Wishart(t(5.0), t([[2.0, 0.5], [0.5, 1.0]])),
    "MixtureSameFamily": lambda: D.MixtureSameFamily(
        D.Categorical(t([0.3, 0.7])), D.Normal(t([-1.0, 2.0]), t([1.0, 0.5]))
    ),
}


def grid(low, high, n=40001):
    """Midpoints of n cells, and their width."""
    width = (high - low) / n
    return low + width * (torch.arange(n, dtype=torch.float64) + 0.5), width


@pytest.mark.parametrize("name", CONTINUOUS)
def test_density_integrates_to_one(name):
    make, low, high = CONTINUOUS[name]
    x, width = grid(low, high)
    density = make().log_prob(x).exp()
    assert abs(float(density.sum()) * width - 1) < 2e-3


@pytest.mark.parametrize("name", CONTINUOUS)
def test_cdf_is_the_integral(name):
    make, low, high = CONTINUOUS[name]
    d = make()
    x, width = grid(low, high)
    try:
        cdf = d.cdf(x)
    except NotImplementedError:
        pytest.skip("no cdf in closed form")
    steps = d.log_prob(x).exp() * width
    integral = steps.cumsum(0) - steps / 2 + float(d.cdf(t(low)) if name == "Cauchy" else 0)
    assert float((cdf - integral).abs().max()) < 2e-3


@pytest.mark.parametrize("name", CONTINUOUS)
def test_icdf_inverts_the_cdf(name):
    d = CONTINUOUS[name][0]()
    q = t([0.05, 0.3, 0.5, 0.9])
    try:
        x = d.icdf(q)
    except NotImplementedError:
        pytest.skip("no quantiles in closed form")
    assert torch.allclose(d.cdf(x), q, atol=1e-9)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_entropy_and_moments_are_integrals(name):
    make, low, high = CONTINUOUS[name]
    d = make()
    x, width = grid(low, high)
    log_p = d.log_prob(x)
    p = log_p.exp() * width
    checked = 0
    for what, integral in (
        ("mean", lambda: (p * x).sum()),
        ("variance", lambda: (p * (x - (p * x).sum()) ** 2).sum()),
        ("entropy", lambda: -(p * log_p.clamp(min=-700)).sum()),
    ):
        try:
            claimed = getattr(d, what)
            claimed = claimed() if what == "entropy" else claimed
        except NotImplementedError:
            continue
        if name in ("Cauchy", "VonMises") and what != "entropy":
            continue  # no moments; circular ones
        checked += 1
        assert abs(float(claimed - integral())) < 0.02 * max(1, abs(float(claimed))), what
    assert checked or name in ("RelaxedBernoulli", "VonMises")


@pytest.mark.parametrize("name", CONTINUOUS)
def test_samples_follow_the_cdf(name):
    """Kolmogorov and Smirnov's distance of 4000 draws: above 0.031 once in a thousand times."""
    make, low, high = CONTINUOUS[name]
    d = make()
    torch.manual_seed(5)
    draws = d.sample((4000,)).sort()[0]
    x, width = grid(low, high)
    cdf = (d.log_prob(x).exp() * width).cumsum(0)
    at = ((draws - low) / width).long().clamp(0, x.numel() - 1)
    empirical = (torch.arange(4000, dtype=torch.float64) + 0.5) / 4000
    shift = float(d.cdf(t(low))) if name == "Cauchy" else 0
    assert float((cdf[at] + shift - empirical).abs().max()) < 0.031


@pytest.mark.parametrize("name", DISCRETE)
def test_probabilities(name):
    make, top = DISCRETE[name]
    d = make()
    k = torch.arange(top + 1, dtype=torch.float64)
    p = d.log_prob(k).exp()
    assert abs(float(p.sum()) - 1) < 1e-9
    mean = (p * k).sum()
    assert torch.allclose(d.mean, mean)
    assert torch.allclose(d.variance, (p * (k - mean) ** 2).sum())
    try:
        entropy = d.entropy()
    except NotImplementedError:
        assert name in ("NegativeBinomial", "Poisson")
    else:
        assert torch.allclose(entropy, -(p * p.log()).sum())
    torch.manual_seed(2)
    n = 5000
    counts = torch.bincount(d.sample((n,)).long(), minlength=top + 1)[: top + 1].double()
    often = p * n > 20
    z = (counts - n * p)[often] / (n * p * (1 - p))[often].sqrt()
    assert float(z.abs().max()) < 4.5


@pytest.mark.parametrize("name", MULTIVARIATE)
def test_moments_of_samples(name):
    d = MULTIVARIATE[name]()
    torch.manual_seed(1)
    n = 6000
    draws = d.sample((n,))
    error = (draws.mean(0) - d.mean) / (d.variance / n).sqrt()
    assert float(error.abs().max()) < 4.5
    spread = draws.var(0)
    assert torch.allclose(spread, d.variance, rtol=0.15, atol=0.01)


@pytest.mark.parametrize("name", MULTIVARIATE)
def test_entropy_is_the_mean_of_the_log_density(name):
    d = MULTIVARIATE[name]()
    try:
        entropy = d.entropy()
    except NotImplementedError:
        pytest.skip("no entropy in closed form")
    torch.manual_seed(1)
    information = -d.log_prob(d.sample((6000,)))
    error = (information.mean(0) - entropy) / (information.var(0) / 6000).sqrt()
    assert float(error.abs().max()) < 4.5


def test_correlation_matrices():
    d = D.LKJCholesky(4, t(2.0))
    torch.manual_seed(0)
    factors = d.sample((2000,))
    assert bool(D.constraints.corr_cholesky.check(factors).all())
    r = factors @ factors.mT
    # each correlation is 2 x - 1 with x ~ Beta(c + (n - 2) / 2, the same): variance 1 / (2 c + n - 1)
    off = r[:, 1, 0]
    assert abs(float(off.mean())) < 0.04
    assert abs(float(off.var()) - 1 / 7) < 0.02


GAMMA = [(0.05, 1e-4), (0.3, 0.2), (1.0, 1.0), (2.5, 0.1), (2.5, 9.0), (30.0, 25.0), (30.0, 45.0), (900.0, 930.0)]


def gamma_cdf(a, x):
    return float(torch.special.gammainc(t(a), t(x)))


@pytest.mark.parametrize("a, x", [c for c in GAMMA if c[0] < 20])
def test_gradient_of_gamma_draws(a, x):
    h = 1e-4 * a
    slope = (gamma_cdf(a + h, x) - gamma_cdf(a - h, x)) / (2 * h)
    density = math.exp((a - 1) * math.log(x) - x - math.lgamma(a))
    got = float(torch._standard_gamma_grad(t(a), t(x)))
    assert got == pytest.approx(-slope / density, rel=2e-4)


@pytest.mark.parametrize("a", [50.0, 900.0, 1e5, 3e7])
def test_gradient_of_large_gamma_draws(a):
    """Both expansions meet where they change over, and tend to the normal limit 1 + z / (2 sqrt a)."""
    below, above = (float(torch._standard_gamma_grad(t(a), t(x))) for x in (a + 1, (a + 1) * (1 + 1e-12)))
    assert below == pytest.approx(above, rel=1e-8)
    for z in (-2.0, 0.0, 2.0):
        got = float(torch._standard_gamma_grad(t(a), t(a + z * math.sqrt(a))))
        assert got == pytest.approx(1 + z / (2 * math.sqrt(a)), abs=3 / a + 1e-7)


@pytest.mark.parametrize("a, b", [(0.7, 1.3), (2.0, 5.0), (8.0, 3.0), (40.0, 60.0)])
@pytest.mark.parametrize("q", [0.05, 0.4, 0.9])
def test_gradient_of_beta_draws(a, b, q):
    def cdf(first, x):
        """By the midpoint rule; for a small exponent with the substitution u = y^first, which takes the
        singularity away."""
        if first > 3:
            u, width = grid(0.0, x, 200000)
            log_beta = math.lgamma(first) + math.lgamma(b) - math.lgamma(first + b)
            return float((u ** (first - 1) * (1 - u) ** (b - 1)).sum()) * width * math.exp(-log_beta)
        u, width = grid(0.0, x**first, 200000)
        total = (((1 - u ** (1 / first)) ** (b - 1)).sum()) * width / first
        log_beta = math.lgamma(first) + math.lgamma(b) - math.lgamma(first + b)
        return float(total) * math.exp(-log_beta)

    low, high = 0.0, 1 - 1e-9
    for _ in range(40):
        x = (low + high) / 2
        low, high = (x, high) if cdf(a, x) < q else (low, x)
    h = 1e-4 * a
    slope = (cdf(a + h, x) - cdf(a - h, x)) / (2 * h)
    log_beta = math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
    density = math.exp((a - 1) * math.log(x) + (b - 1) * math.log1p(-x) - log_beta)
    got = float(torch._dirichlet_grad(t(x), t(a), t(a + b)))
    assert got == pytest.approx(-slope / density / (1 - x), rel=2e-3)


def test_gradients_of_means():
    """The mean of many gradients is the gradient of the mean."""
    torch.manual_seed(0)
    a = t([0.5, 3.0]).requires_grad_()
    D.Gamma(a, t(1.0)).rsample((4000,)).mean(0).sum().backward()
    assert torch.allclose(a.grad, t([1.0, 1.0]), atol=0.08)
    c = t([1.0, 2.0, 3.0]).requires_grad_()
    d = D.Dirichlet(c)
    (sampled,) = torch.autograd.grad(d.rsample((4000,)).mean(0)[1], c)
    (exact,) = torch.autograd.grad(d.mean[1], c)
    assert torch.allclose(sampled, exact, atol=0.01)


@pytest.mark.parametrize(
    "p, q, low, high",
    [
        (D.Normal(t(0.5), t(1.0)), D.Laplace(t(0.0), t(1.5)), -12, 12),
        (D.Normal(t(0.5), t(1.0)), D.Gumbel(t(0.0), t(1.5)), -12, 12),
        (D.Beta(t(2.0), t(3.0)), D.Normal(t(0.0), t(1.5)), 0, 1),
        (D.Gamma(t(2.0), t(3.0)), D.Gumbel(t(0.3), t(1.5)), 0, 15),
        (D.Uniform(t(0.2), t(0.7)), D.Beta(t(2.0), t(3.0)), 0.2, 0.7),
        (D.Pareto(t(1.0), t(5.0)), D.Gamma(t(2.0), t(1.5)), 1, 150),
        (D.Cauchy(t(0.0), t(0.02)), D.Cauchy(t(0.01), t(0.03)), -60, 60),
        (D.ContinuousBernoulli(t(0.2)), D.Exponential(t(2.0)), 0, 1),
    ],
)
def test_divergence_is_its_integral(p, q, low, high):
    x, width = grid(low, high, 200001)
    log_p = p.log_prob(x)
    integral = float((log_p.exp() * (log_p - q.log_prob(x))).sum()) * width
    assert float(D.kl_divergence(p, q)) == pytest.approx(integral, rel=5e-3, abs=2e-3)


def test_divergence_from_itself_is_zero():
    for make in [c[0] for c in CONTINUOUS.values()] + [c[0] for c in DISCRETE.values()]:
        d = make()
        try:
            divergence = D.kl_divergence(d, d)
        except NotImplementedError:
            continue
        assert abs(float(divergence)) < 1e-12, d


def test_derivatives_of_lgamma():
    x = t([0.3, 1.0, 2.5, 7.0, -0.7, -3.2]).requires_grad_()
    h = 1e-5
    for function, derivative in (
        (torch.lgamma, torch.digamma),
        (torch.digamma, lambda x: torch.polygamma(1, x)),
        (lambda x: torch.polygamma(1, x), lambda x: torch.polygamma(2, x)),
    ):
        with torch.no_grad():
            slope = (function(x + h) - function(x - h)) / (2 * h)
        assert torch.allclose(derivative(x), slope, rtol=1e-6)
        (recorded,) = torch.autograd.grad(function(x).sum(), x)
        assert torch.allclose(recorded, derivative(x))
    assert float(torch.polygamma(1, t(1.0))) == pytest.approx(math.pi**2 / 6, rel=1e-14)
    # psi^(3)(1/2) = pi^4
    assert float(torch.polygamma(3, t(0.5))) == pytest.approx(math.pi**4, rel=1e-14)


def test_transforms_are_inverse_and_have_their_volume():
    x = t([0.3, -0.6])
    for transform in (
        D.StickBreakingTransform(),
        D.ComposeTransform([D.AffineTransform(1.0, t([2.0, -3.0])), D.TanhTransform()]),
        D.IndependentTransform(D.SigmoidTransform(), 1),
        D.ComposeTransform([D.ExpTransform(), D.PowerTransform(t(1.5)), D.SoftplusTransform()]),
    ):
        assert torch.allclose(transform.inv(transform(x)), x)
        h = 1e-6
        columns = [
            (transform(x + h * e) - transform(x - h * e))[:2] / (2 * h) for e in (t([1.0, 0.0]), t([0.0, 1.0]))
        ]
        det = columns[0][0] * columns[1][1] - columns[0][1] * columns[1][0]
        volume = transform.log_abs_det_jacobian(x, transform(x)).sum()
        assert float(volume) == pytest.approx(math.log(abs(float(det))), abs=1e-6)


def test_validation_can_be_turned_off():
    assert float(D.Normal(0.0, -1.0, validate_args=False).scale) == -1
    D.Distribution.set_default_validate_args(False)
    try:
        assert float(D.Normal(0.0, -2.0).scale) == -2
        with pytest.raises(ValueError, match="parameter scale"):
            D.Normal(0.0, -2.0, validate_args=True)
    finally:
        D.Distribution.set_default_validate_args(True)


def test_lazy_attributes_keep_their_gradients():
    probs = t([0.2, 0.7]).requires_grad_()
    d = D.Bernoulli(probs)
    with torch.no_grad():
        logits = d.logits
    assert logits.requires_grad and d.logits is logits
    assert isinstance(D.Bernoulli.logits, D.utils.lazy_property)


def test_a_cache_gives_the_very_input_back():
    transform = D.TanhTransform(cache_size=1)
    x = t([3.0, 25.0])
    assert transform.inv(transform(x)) is x
    d = D.TransformedDistribution(D.Normal(t(0.0), t(9.0)), transform)
    draw = d.rsample((50,))
    assert bool(torch.isfinite(d.log_prob(draw)).all())


def test_pickling():
    import pickle

    d = pickle.loads(pickle.dumps(D.LogNormal(t(0.3), t(2.0))))
    assert float(d.log_prob(t(1.5))) == float(D.LogNormal(t(0.3), t(2.0)).log_prob(t(1.5)))
    transform = D.SigmoidTransform()
    assert transform.inv is not None
    assert pickle.loads(pickle.dumps(transform)) == transform
