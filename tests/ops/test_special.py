"""Special functions against SciPy (where installed), at ends and branch points, and their gradients."""

import math

import numpy as np
import pytest

import mindtorch_v2 as torch

sc = pytest.importorskip("scipy.special")
S = torch.special

EVERYWHERE = np.concatenate([np.linspace(-30, 30, 241), np.linspace(-1, 1, 81), [1e-8, -1e-8, 1e-3, 100.0, -100.0]])
POSITIVE = np.concatenate([np.linspace(0.01, 12, 150), np.geomspace(1e-6, 600, 60)])
UNIT = np.concatenate([np.linspace(0, 1, 101), [1e-12, 1 - 1e-9]])

ONE = [
    ("gammaln", sc.gammaln, EVERYWHERE, 1e-13),
    ("digamma", sc.digamma, POSITIVE, 1e-13),
    ("psi", sc.psi, EVERYWHERE[EVERYWHERE % 1 != 0], 1e-11),
    ("erf", sc.erf, EVERYWHERE, 1e-14),
    ("erfc", sc.erfc, EVERYWHERE, 1e-13),
    ("erfcx", sc.erfcx, EVERYWHERE[EVERYWHERE > -20], 1e-13),
    ("erfinv", sc.erfinv, np.linspace(-1, 1, 101), 1e-13),
    ("ndtr", sc.ndtr, EVERYWHERE, 1e-13),
    ("ndtri", sc.ndtri, UNIT, 1e-13),
    ("log_ndtr", sc.log_ndtr, EVERYWHERE, 1e-12),
    ("entr", sc.entr, EVERYWHERE, 1e-13),
    ("expit", sc.expit, EVERYWHERE, 1e-13),
    ("logit", sc.logit, UNIT, 1e-13),
    ("sinc", np.sinc, EVERYWHERE, 1e-12),
    ("i0", sc.i0, EVERYWHERE, 1e-13),
    ("i0e", sc.i0e, EVERYWHERE, 1e-13),
    ("i1", sc.i1, EVERYWHERE, 1e-13),
    ("i1e", sc.i1e, EVERYWHERE, 1e-13),
    ("bessel_j0", sc.j0, EVERYWHERE, 1e-12),
    ("bessel_j1", sc.j1, EVERYWHERE, 1e-12),
    ("bessel_y0", sc.y0, POSITIVE, 1e-12),
    ("bessel_y1", sc.y1, POSITIVE, 1e-12),
    ("modified_bessel_i0", sc.i0, EVERYWHERE, 1e-13),
    ("modified_bessel_i1", sc.i1, EVERYWHERE, 1e-13),
    ("modified_bessel_k0", sc.k0, POSITIVE, 1e-12),
    ("modified_bessel_k1", sc.k1, POSITIVE, 1e-12),
    ("scaled_modified_bessel_k0", sc.k0e, POSITIVE, 1e-12),
    ("scaled_modified_bessel_k1", sc.k1e, POSITIVE, 1e-12),
    ("spherical_bessel_j0", lambda x: sc.spherical_jn(0, x), EVERYWHERE, 1e-12),
    ("airy_ai", lambda x: sc.airy(x)[0], EVERYWHERE[np.abs(EVERYWHERE) <= 25], 1e-10),
]


def near(ours, theirs, tol):
    ours, theirs = ours.numpy().astype(np.float64), np.asarray(theirs, dtype=np.float64)
    np.testing.assert_allclose(ours, theirs, rtol=tol, atol=tol)


@pytest.mark.parametrize("name, reference, x, tol", ONE, ids=[case[0] for case in ONE])
def test_one_argument(name, reference, x, tol):
    f = getattr(S, name)
    with np.errstate(all="ignore"):
        near(f(torch.from_numpy(x.copy())), reference(x), tol)
        single = x.astype(np.float32)
        near(f(torch.from_numpy(single)), reference(single.astype(np.float64)).astype(np.float32), 2e-6)
    assert f(torch.arange(1, 3)).dtype is torch.float32
    assert f(torch.tensor(math.nan)).isnan().item()


@pytest.mark.parametrize("n", [0, 1, 2, 5, 12])
def test_polynomials(n):
    x = np.linspace(-1.5, 1.5, 61)
    t = torch.from_numpy(x.copy())
    for name, reference in [("chebyshev_polynomial_t", sc.eval_chebyt), ("chebyshev_polynomial_u", sc.eval_chebyu),
                            ("hermite_polynomial_h", sc.eval_hermite), ("hermite_polynomial_he", sc.eval_hermitenorm),
                            ("laguerre_polynomial_l", sc.eval_laguerre), ("legendre_polynomial_p", sc.eval_legendre)]:
        near(getattr(S, name)(t, n), reference(n, x), 1e-10)
    near(S.shifted_chebyshev_polynomial_t((t + 1) / 2, n), sc.eval_chebyt(n, x), 1e-9)
    assert S.legendre_polynomial_p(t, torch.tensor(n)).dtype is torch.float64


def test_two_arguments():
    a = torch.linspace(0.05, 40, 60, dtype=torch.float64)[:, None]
    x = torch.linspace(0, 60, 61, dtype=torch.float64)
    near(S.gammainc(a, x), sc.gammainc(a.numpy(), x.numpy()), 1e-12)
    near(S.gammaincc(a, x), sc.gammaincc(a.numpy(), x.numpy()), 1e-12)
    near(S.zeta(a + 1, x + 0.25), sc.zeta(a.numpy() + 1, x.numpy() + 0.25), 1e-12)
    near(S.zeta(3.0, x + 1), sc.zeta(3.0, x.numpy() + 1), 1e-12)
    near(S.xlogy(x, a), sc.xlogy(x.numpy(), a.numpy()), 1e-13)
    near(S.xlog1py(x, a), sc.xlog1py(x.numpy(), a.numpy()), 1e-13)
    for n in range(4):
        near(S.polygamma(n, a[:, 0]), sc.polygamma(n, a[:, 0].numpy()), 1e-11)
    near(S.multigammaln(a + 3, 3)[:, 0], [sc.multigammaln(v, 3) for v in a[:, 0].numpy() + 3], 1e-12)


def test_large_gamma_arguments():
    a = torch.tensor([1e3, 1e4, 2e5], dtype=torch.float64)
    for shift in (-0.05, -1e-3, 0.0, 1e-3, 0.05):
        x = a * (1 + shift)
        near(torch.igamma(a, x), sc.gammainc(a.numpy(), x.numpy()), 1e-9)
        near(torch.igammac(a, x), sc.gammaincc(a.numpy(), x.numpy()), 1e-9)


def test_gradients():
    x = (torch.rand(6, dtype=torch.float64) * 2 + 0.3).requires_grad_()
    p = (torch.rand(6, dtype=torch.float64) * 0.8 + 0.1).requires_grad_()
    for name in ("gammaln", "digamma", "erf", "erfc", "erfcx", "ndtr", "log_ndtr", "entr", "expit", "sinc", "i0", "i0e", "i1", "i1e"):
        assert torch.autograd.gradcheck(getattr(S, name), (x,)), name
        assert torch.autograd.gradgradcheck(getattr(S, name), (x,)), name
    for name in ("ndtri", "logit", "erfinv"):
        assert torch.autograd.gradcheck(getattr(S, name), (p,)), name
    for n in range(3):
        assert torch.autograd.gradcheck(lambda v: torch.polygamma(n, v), (x,))
    assert torch.autograd.gradcheck(lambda v: torch.mvlgamma(v + 2, 2), (x,))
    assert torch.autograd.gradcheck(torch.xlogy, (x, p)) and torch.autograd.gradcheck(S.xlog1py, (x, p))
    assert torch.autograd.gradcheck(lambda v: torch.igamma(p.detach(), v), (x,))
    assert torch.autograd.gradcheck(lambda v: S.zeta(2.5, v), (x,))
    assert torch.autograd.gradcheck(torch.ldexp, (x, p))


def test_parts_of_floats():
    x = torch.tensor([0.0, 1.0, -3.5, 1e-40, 1e30, math.inf])
    mantissa, exponent = torch.frexp(x)
    want = np.frexp(x.numpy())
    assert mantissa.tolist() == want[0].tolist() and exponent.dtype is torch.int32
    assert exponent.tolist()[:-1] == want[1].tolist()[:-1]
    assert torch.ldexp(mantissa, exponent)[:5].tolist() == x[:5].tolist()


@pytest.mark.parametrize("call, error, text", [
    (lambda: torch.polygamma(-1, torch.ones(2)), RuntimeError, r"polygamma\(n, x\) does not support negative n."),
    (lambda: torch.mvlgamma(torch.ones(2), 0), RuntimeError, "p has to be greater than or equal to 1"),
    (lambda: torch.frexp(torch.ones(2, dtype=torch.int64)), RuntimeError, r"torch.frexp\(\) only supports floating-point dtypes"),
    (lambda: S.erfcx(torch.ones(2, dtype=torch.complex64)), RuntimeError, "not implemented for 'ComplexFloat'"),
])
def test_errors(call, error, text):
    with pytest.raises(error, match=text):
        call()
