"""Special functions."""

_S = ("special",)
_N = {"inplace": False, "py": _S}

# ---- gamma and zeta ------------------------------------------------------------------------------
unary("digamma(Tensor self) -> Tensor", kernel="mt_digamma(a)", dtypes=FLOAT, promotes="int_to_float", names=("special_digamma", "special_psi"),
      grad="grad * polygamma(1, self)", jvp="auto", doc="Logarithmic derivative of the gamma function.")
unary("_polygamma(Tensor self, int order) -> Tensor", kernel="mt_poly_gamma(a, order)", dtypes=FLOAT, promotes="int_to_float", hidden=True, inplace=False, out=False,
      node="PolygammaBackward0", kernel_name="polygamma", grad={"self": "grad * polygamma(order + 1, self)"}, doc="Derivative n of digamma.")
composite("polygamma(int n, Tensor self) -> Tensor", out=True, names=("special_polygamma",), doc="Derivative n of digamma.")
composite("polygamma_(Tensor(a!) self, int n) -> Tensor(a!)", py=("method",), doc="polygamma in place.")
func("_mvlgamma(Tensor self, int p) -> Tensor", hidden=True, node="MvlgammaBackward0", doc="Logarithm of the multivariate gamma function.",
     grad={"self": "grad * (self.unsqueeze(-1) + arange(-0.5 * p + 0.5, 0.5, 0.5, dtype=self.dtype)).digamma().sum([-1], False)"})
composite("mvlgamma(Tensor self, int p) -> Tensor", inplace=True, out=True, names=("special_multigammaln",), body="_mvlgamma(self, p)",
          doc="Logarithm of the multivariate gamma function.")
binary("_zeta(Tensor self, Tensor other) -> Tensor", kernel="mt_hurwitz(a, b)", dtypes=REAL, promotes="int_to_float", hidden=True, inplace=False, out=False,
       node="SpecialZetaBackward0", kernel_name="zeta_cpu", grad={"other": "grad * -self * _zeta(self + 1, other)"}, doc="Hurwitz zeta function.")
binary("igamma(Tensor self, Tensor other) -> Tensor", kernel="mt_gamma_p(a, b)", dtypes=FLOAT, promotes="int_to_float", names=("special_gammainc",),
       grad={"other": "grad * ((self - 1) * other.log() - other - self.lgamma()).exp()"}, kernel_name="igamma_cpu", doc="Lower incomplete gamma function over gamma.")
binary("igammac(Tensor self, Tensor other) -> Tensor", kernel="mt_gamma_q(a, b)", dtypes=FLOAT, promotes="int_to_float", names=("special_gammaincc",),
       grad={"other": "-(grad * ((self - 1) * other.log() - other - self.lgamma()).exp())"}, kernel_name="igammac_cpu", doc="Upper incomplete gamma function over gamma.")

# ---- error functions, entropy --------------------------------------------------------------------
unary("special_erfcx(Tensor self) -> Tensor", kernel="mt_erfcx(a)", dtypes=REAL, promotes="int_to_float", kernel_name="erfcx_cpu",
      grad="(2 * self * result - 1.1283791670955126) * grad", jvp="auto", doc="exp(x^2) erfc(x).", **_N)
composite("special_ndtr(Tensor self) -> Tensor", py=_S, out=True, body="erfc(self * -0.7071067811865476) * 0.5", doc="Distribution function of the normal distribution.")
unary("special_ndtri(Tensor self) -> Tensor", kernel="mt_ndtri(a)", dtypes=REAL, promotes="int_to_float", kernel_name="ndtri_cpu",
      grad="grad * (result * result * 0.5).exp() * 2.5066282746310002", jvp="auto", doc="Inverse of ndtr.", **_N)
unary("special_log_ndtr(Tensor self) -> Tensor", kernel="mt_log_ndtr(a)", dtypes=REAL, promotes="int_to_float", kernel_name="log_ndtr_cpu",
      grad="grad / special_erfcx(self * -0.7071067811865476) * 0.7978845608028654", jvp="auto", doc="Logarithm of ndtr.", **_N)
unary("special_entr(Tensor self) -> Tensor", kernel="a != a ? a : a > 0 ? -a * mt_log(a) : a == 0 ? 0 : -INFINITY", dtypes=FLOAT, promotes="int_to_float",
      grad="grad * (-(self.log() + 1))", jvp="auto", doc="-x log(x).", **_N)
unary("_logit(Tensor self) -> Tensor", kernel="mt_logit(a)", dtypes=FLOAT, promotes="int_to_float", hidden=True, inplace=False, out=False,
      node="LogitBackward0", kernel_name="logit_cpu", grad="grad / (self * (1 - self))", jvp="auto", doc="log(x / (1 - x)).")
composite("logit(Tensor self, float? eps=None) -> Tensor", inplace=True, out=True, names=("special_logit",), doc="log(x / (1 - x)), x kept eps from 0 and 1.")
binary("_xlog1py(Tensor self, Tensor other) -> Tensor", kernel="mt_xlog1py(a, b)", dtypes=FLOAT, promotes="int_to_float", hidden=True,
       inplace=False, out=False, node="SpecialXlog1PyBackward0", kernel_name="xlog1py_cpu",
       grad={"self": "grad * other.log1p().masked_fill((self == 0).logical_and(other <= -1), 0)", "other": "grad * self / (other + 1)"}, doc="x log1p(y), 0 where x is.")
for _name, _impl in (("zeta", "_zeta"), ("xlog1py", "_xlog1py")):
    composite(f"special_{_name}(Tensor self, Tensor other) -> Tensor", py=_S, out="out", body=f"{_impl}(self, other)", doc=f"{_name} of two tensors.")
    composite(f"special_{_name}.other_scalar(Tensor self, Scalar other) -> Tensor", py=_S, out="other_scalar_out", body=f"{_impl}(self, other)",
              doc=f"{_name} of a tensor and a number.")
    composite(f"special_{_name}.self_scalar(Scalar self, Tensor other) -> Tensor", py=_S, out="self_scalar_out", body=f"{_impl}(self, other)",
              doc=f"{_name} of a number and a tensor.")
composite("special_xlogy(Tensor self, Tensor other) -> Tensor", py=_S, out="out", body="xlogy(self, other)", doc="xlogy.")
composite("special_xlogy.other_scalar(Tensor self, Scalar other) -> Tensor", py=_S, out="other_scalar_out", body="xlogy(self, wrapped(other))", doc="xlogy.")
composite("special_xlogy.self_scalar(Scalar self, Tensor other) -> Tensor", py=_S, out="self_scalar_out", body="xlogy(wrapped(self), other)", doc="xlogy.")
helper("wrapped(Scalar x) -> Tensor")
composite("special_gammaln(Tensor self) -> Tensor", py=_S, out=True, body="lgamma(self)", doc="lgamma.")
composite("special_expm1(Tensor self) -> Tensor", py=_S, out=True, body="expm1(self)", doc="expm1.")
composite("special_log1p(Tensor self) -> Tensor", py=_S, out=True, body="log1p(self)", doc="log1p.")
composite("special_round(Tensor self, *, int decimals=0) -> Tensor", py=_S, out=True, body="round(self, decimals=decimals)", doc="round.")
unary("sinc(Tensor self) -> Tensor", kernel={"float": "mt_sinc(a)", "complex64": "a == 0 ? 1 : csinf(a * 3.14159265358979323846f) / (a * 3.14159265358979323846f)",
      "complex128": "a == 0 ? 1 : csin(a * 3.14159265358979323846) / (a * 3.14159265358979323846)"}, dtypes=FLOAT | COMPLEX, promotes="int_to_float",
      names=("special_sinc",), grad="grad * _sinc_slope(self).conj()", jvp="auto", kernel_name="sinc_cpu", doc="sin(pi x) / (pi x).")
composite("_sinc_slope(Tensor self) -> Tensor", hidden=True, body="""
p = self * 3.141592653589793
((p * p.cos() - p.sin()) / (p * self)).masked_fill(self == 0, 0)
""", doc="Derivative of sinc.")

# ---- Bessel and Airy functions -------------------------------------------------------------------
unary("i0(Tensor self) -> Tensor", kernel="mt_i0(a)", dtypes=FLOAT, promotes="int_to_float", names=("special_i0",), kernel_name="i0_vml_cpu",
      grad="grad * special_i1(self)", jvp="auto", doc="Modified Bessel function I0.")
unary("special_i0e(Tensor self) -> Tensor", kernel="mt_i0e(a)", dtypes=FLOAT, promotes="int_to_float", kernel_name="i0e_cpu", node="SpecialI0EBackward0",
      grad="grad * (special_i1e(self) - self.sgn() * result)", jvp="auto", doc="I0 times exp(-|x|).", **_N)
unary("special_i1(Tensor self) -> Tensor", kernel="mt_i1(a)", dtypes=FLOAT, promotes="int_to_float", kernel_name="i1_cpu",
      grad="grad * (i0(self) - _over_self(result, self))", jvp="auto", doc="Modified Bessel function I1.", **_N)
unary("special_i1e(Tensor self) -> Tensor", kernel="mt_i1e(a)", dtypes=FLOAT, promotes="int_to_float", kernel_name="i1e_cpu", node="SpecialI1EBackward0",
      grad="grad * (special_i0e(self) - self.sgn() * result - _over_self(result, self))", jvp="auto", doc="I1 times exp(-|x|).", **_N)
composite("_over_self(Tensor result, Tensor self) -> Tensor", hidden=True, body="(result / self.masked_fill(self == 0, 1)).masked_fill(self == 0, 0.5)",
          doc="I1(x) / x, with a slope of 0 at 0.")
for _name, _arg, _kernel in (
        ("bessel_j0", "self", "bessel_j0"), ("bessel_j1", "self", "bessel_j1"), ("bessel_y0", "self", "bessel_y0"), ("bessel_y1", "self", "bessel_y1"),
        ("modified_bessel_i0", "self", "i0"), ("modified_bessel_i1", "self", "i1"), ("modified_bessel_k0", "self", "modified_k0"),
        ("modified_bessel_k1", "self", "modified_k1"), ("scaled_modified_bessel_k0", "x", "scaled_k0"), ("scaled_modified_bessel_k1", "x", "scaled_k1"),
        ("spherical_bessel_j0", "x", "spherical_j0"), ("airy_ai", "x", "airy_ai")):
    unary(f"special_{_name}(Tensor {_arg}) -> Tensor", kernel=f"mt_{_kernel}(a)", dtypes=REAL, promotes="int_to_float", kernel_name=f"{_name}_cpu",
          doc=f"{_name} of each element.", **_N)

# ---- orthogonal polynomials ----------------------------------------------------------------------
for _name, _kernel in (
        ("chebyshev_polynomial_t", "chebyshev_t(a, b)"), ("chebyshev_polynomial_u", "chebyshev_u(a, b)"), ("chebyshev_polynomial_v", "chebyshev_v(a, b)"),
        ("chebyshev_polynomial_w", "chebyshev_w(a, b)"), ("shifted_chebyshev_polynomial_t", "chebyshev_t(2 * a - 1, b)"),
        ("shifted_chebyshev_polynomial_u", "chebyshev_u(2 * a - 1, b)"), ("shifted_chebyshev_polynomial_v", "chebyshev_v(2 * a - 1, b)"),
        ("shifted_chebyshev_polynomial_w", "chebyshev_w(2 * a - 1, b)"), ("hermite_polynomial_h", "hermite_h(a, b)"),
        ("hermite_polynomial_he", "hermite_he(a, b)"), ("laguerre_polynomial_l", "laguerre(a, b)"), ("legendre_polynomial_p", "legendre(a, b)")):
    binary(f"special_{_name}(Tensor x, Tensor n) -> Tensor", kernel=f"mt_{_kernel}", dtypes=REAL, promotes="int_to_float", kernel_name=f"{_name}_cpu",
           doc=f"{_name} of degree n.", **_N)
    composite(f"special_{_name}.x_scalar(Scalar x, Tensor n) -> Tensor", py=_S, out="x_scalar_out", body=f"special_{_name}(wrapped(x), n)", doc=f"{_name} of degree n.")
    composite(f"special_{_name}.n_scalar(Tensor x, Scalar n) -> Tensor", py=_S, out="n_scalar_out", body=f"special_{_name}(x, wrapped(n))", doc=f"{_name} of degree n.")

# ---- parts of floats -----------------------------------------------------------------------------
op("frexp.Tensor(Tensor self) -> (Tensor mantissa, Tensor exponent)", out="Tensor_out", nondiff=("exponent",), node="FrexpBackward0",
   flags=("OUT_CONTIGUOUS",), dtypes=FLOAT, grad={"self": "grad / exponent.to(self.dtype).exp2()"}, doc="Mantissa in [1/2, 1) and power of two.")
func("_ldexp(Tensor self, Tensor other) -> Tensor", hidden=True, node="LdexpBackward0", doc="x 2^y.",
     grad={"self": "grad * other.exp2().conj()", "other": "grad * (result * 0.6931471805599453).conj()"})
composite("ldexp.Tensor(Tensor self, Tensor other) -> Tensor", inplace=True, out="out", body="_ldexp(self, other)", doc="x 2^y.")
