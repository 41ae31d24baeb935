"""Elementwise mathematical functions and activations."""

_F = FLOAT | COMPLEX
for name, alias, kern, grad in (
    ("exp", (), "mt_exp(a)", "grad * result.conj()"),
    ("log", (), "mt_log(a)", "grad / self.conj()"),
    ("sin", (), "mt_sin(a)", "grad * self.cos().conj()"),
    ("cos", (), "mt_cos(a)", "-grad * self.sin().conj()"),
    ("tan", (), "mt_tan(a)", "grad * (1 + result.pow(2)).conj()"),
    ("asin", ("arcsin",), "mt_asin(a)", "grad * (1 - self * self).rsqrt().conj()"),
    ("acos", ("arccos",), "mt_acos(a)", "-grad * (1 - self * self).rsqrt().conj()"),
    ("atan", ("arctan",), "mt_atan(a)", "grad / (self * self + 1).conj()"),
    ("sinh", (), "mt_sinh(a)", "grad * self.cosh().conj()"),
    ("cosh", (), "mt_cosh(a)", "grad * self.sinh().conj()"),
    ("tanh", (), "mt_tanh(a)", "grad * (1 - result * result).conj()"),
    ("asinh", ("arcsinh",), "mt_asinh(a)", "grad * (self.pow(2) + 1).rsqrt().conj()"),
    ("acosh", ("arccosh",), "mt_acosh(a)", "grad * ((self - 1).rsqrt() * (self + 1).rsqrt()).conj()"),
    ("atanh", ("arctanh",), "mt_atanh(a)", "grad / (1 - self.pow(2)).conj()"),
):
    unary(f"{name}(Tensor self) -> Tensor", kernel={"float": kern, **libm(name)}, dtypes=_F, promotes="int_to_float", names=alias,
          grad=grad, jvp="auto", kernel_name=f"{name}_vml_cpu", doc=f"{name} of each element.")
unary("exp2(Tensor self) -> Tensor", kernel={"float": "mt_exp2(a)", "complex64": "cpowf(2, a)", "complex128": "cpow(2, a)"}, dtypes=_F, promotes="int_to_float",
      grad="grad * result.conj() * 0.6931471805599453", jvp="auto", names=("special_exp2",), doc="2 ** x.")
unary("expm1(Tensor self) -> Tensor", kernel={"float": "mt_expm1(a)", "complex64": "cexpf(a) - 1", "complex128": "cexp(a) - 1"}, dtypes=_F, promotes="int_to_float",
      grad="grad * (result.conj() + 1)", jvp="auto", doc="exp(x) - 1, accurate near 0.")
unary("log2(Tensor self) -> Tensor", kernel={"float": "mt_log2(a)", "complex64": "clogf(a) / 0.69314718055994530942f", "complex128": "clog(a) / 0.69314718055994530942"},
      dtypes=_F, promotes="int_to_float", grad="grad / (self.conj() * 0.6931471805599453)", jvp="auto", doc="Logarithm to base 2.")
unary("log10(Tensor self) -> Tensor", kernel={"float": "mt_log10(a)", "complex64": "clogf(a) / 2.30258509299404568402f", "complex128": "clog(a) / 2.30258509299404568402"},
      dtypes=_F, promotes="int_to_float", grad="grad / (self.conj() * 2.302585092994046)", jvp="auto", doc="Logarithm to base 10.")
unary("log1p(Tensor self) -> Tensor", kernel={"float": "mt_log1p(a)", "complex64": "clogf(1 + a)", "complex128": "clog(1 + a)"}, dtypes=_F, promotes="int_to_float",
      grad="grad / (self + 1).conj()", jvp="auto", node="Log1PBackward0", doc="log(1 + x), accurate near 0.")
unary("sigmoid(Tensor self) -> Tensor", kernel={"float": "mt_sigmoid(a)", "complex64": "1 / (1 + cexpf(-a))", "complex128": "1 / (1 + cexp(-a))"}, dtypes=_F,
      promotes="int_to_float", grad="sigmoid_backward(grad, result)", jvp="auto", names=("special_expit",), doc="1 / (1 + exp(-x)).")
binary("sigmoid_backward(Tensor grad_output, Tensor output) -> Tensor", kernel={"float": "a * (1 - b) * b", "complex": "a * ~((1 - b) * b)"}, dtypes=_F, inplace=False, py=("nn",),
       out="grad_input", grad={"grad_output": "sigmoid_backward(grad, output.conj())", "output": "grad.conj() * grad_output * (-2 * output.conj() + 1)"},
       doc="Gradient of sigmoid.")
binary("tanh_backward(Tensor grad_output, Tensor output) -> Tensor", kernel={"float": "a * (1 - b * b)", "complex": "a * ~(1 - b * b)"}, dtypes=_F, inplace=False, py=("nn",),
       out="grad_input", grad={"grad_output": "tanh_backward(grad, output.conj())", "output": "grad.conj() * (-2 * output.conj() * grad_output)"}, doc="Gradient of tanh.")
unary("erf(Tensor self) -> Tensor", kernel="mt_erf(a)", dtypes=FLOAT, promotes="int_to_float", names=("special_erf",),
      grad="1.1283791670955126 * (-(self * self)).exp() * grad", jvp="auto", doc="Error function.")
unary("erfc(Tensor self) -> Tensor", kernel="mt_erfc(a)", dtypes=FLOAT, promotes="int_to_float", names=("special_erfc",),
      grad="-1.1283791670955126 * (-(self * self)).exp() * grad", jvp="auto", doc="1 - erf(x).")
unary("erfinv(Tensor self) -> Tensor", kernel="mt_erfinv(a)", dtypes=FLOAT, promotes="int_to_float", names=("special_erfinv",),
      grad="0.8862269254527579 * (result * result).exp() * grad", jvp="auto", doc="Inverse of erf.")
unary("lgamma(Tensor self) -> Tensor", kernel={"float64": "lgamma(a)", "float": "lgammaf(a)"}, dtypes=FLOAT, promotes="int_to_float", grad="grad * digamma(self)", jvp="auto",
      doc="Logarithm of the absolute value of the gamma function.")

# ---- activations -------------------------------------------------------------------------------
unary("relu(Tensor self) -> Tensor", kernel={"int": "a > 0 ? a : 0", "float": "a <= 0 ? 0 : a"}, dtypes=INT | FLOAT,
      grad="threshold_backward(grad, result, 0)", jvp="auto", out=False, kernel_name="relu_cpu", doc="max(x, 0); NaN stays.")
unary("threshold(Tensor self, Scalar threshold, Scalar value) -> Tensor", kernel="a <= threshold ? value : a", dtypes=INT | FLOAT, py=("function", "nn"),
      grad={"self": "threshold_backward(grad, self, threshold)"}, jvp="auto", kernel_name="threshold_cpu", doc="x where x > threshold, else value.")
binary("threshold_backward(Tensor grad_output, Tensor self, Scalar threshold) -> Tensor", kernel="b <= threshold ? 0 : a", dtypes=INT | FLOAT, inplace=False,
       py=("nn",), out="grad_input", kernel_name="threshold_cpu",
       grad={"grad_output": "threshold_backward(grad, self, threshold)", "self": "zeros_like(grad)"}, doc="Gradient of threshold.")
unary("silu(Tensor self) -> Tensor", kernel={"float": "mt_silu(a)", "complex64": "a / (1 + cexpf(-a))", "complex128": "a / (1 + cexp(-a))"}, dtypes=_F, py=("nn",),
      grad="silu_backward(grad, self)", jvp="auto", doc="x * sigmoid(x).")
binary("silu_backward(Tensor grad_output, Tensor self) -> Tensor", kernel={"float": "a * mt_sigmoid(b) * (1 + b * (1 - mt_sigmoid(b)))",
       "complex64": "a * ~((1 / (1 + cexpf(-b))) * (1 + b * (1 - 1 / (1 + cexpf(-b)))))", "complex128": "a * ~((1 / (1 + cexp(-b))) * (1 + b * (1 - 1 / (1 + cexp(-b)))))"},
       dtypes=_F, inplace=False, py=("nn",), out="grad_input",
       grad={"grad_output": "silu_backward(grad, self)", "self": "grad.conj() * grad_output * silu_second(self)" if False else "_silu_double(grad, grad_output, self)"},
       doc="Gradient of silu.")
composite("_silu_double(Tensor grad, Tensor grad_output, Tensor self) -> Tensor", py=(), body="""
s = self.sigmoid()
d = s * (1 - s)
grad * grad_output.conj() * (2 * d + self * d * (1 - 2 * s)).conj()
""", doc="Second derivative of silu.")
unary("mish(Tensor self) -> Tensor", kernel="mt_mish(a)", dtypes=FLOAT, py=("nn",), grad="_mish_gradient(grad, self)", doc="x * tanh(softplus(x)).")
composite("_mish_gradient(Tensor grad, Tensor self) -> Tensor", py=(), body="""
t = softplus(self).tanh()
grad * (t + self * self.sigmoid() * (1 - t * t))
""", doc="Gradient of mish.")
unary("gelu(Tensor self, *, str approximate='none') -> Tensor", kernel="approximate_i ? mt_gelu_tanh(a) : mt_gelu(a)", dtypes=FLOAT, py=("nn",), check="mt_check_approximate", kernel_name="GeluKernelImpl",
      grad={"self": "gelu_backward(grad, self, approximate=approximate)"}, jvp="auto", doc="x * Phi(x), or its tanh approximation.")
binary("gelu_backward(Tensor grad_output, Tensor self, *, str approximate='none') -> Tensor",
       kernel={"float": "a * (approximate_i ? mt_gelu_tanh_slope(b) : mt_gelu_slope(b))"}, dtypes=FLOAT, inplace=False, py=("nn",), out="grad_input",
       kernel_name="GeluBackwardKernelImpl",
       grad={"grad_output": "gelu_backward(grad, self, approximate=approximate)", "self": "_gelu_double(grad, grad_output, self, approximate)"}, doc="Gradient of gelu.")
composite("_gelu_double(Tensor grad, Tensor grad_output, Tensor self, str approximate) -> Tensor", py=(), body="""
u = 0.7978845608028654 * (self + 0.044715 * self.pow(3))
du = 0.7978845608028654 * (1 + 0.134145 * self * self)
ddu = 0.2140656727754097 * self
th = u.tanh()
ds = 1 - th * th
approx = ds * du + 0.5 * self * (ds * ddu - 2 * th * ds * du * du)
exact = (-0.5 * self * self).exp() * 0.3989422804014327 * (2 - self * self)
grad * grad_output * (exact if approximate == 'none' else approx)
""", doc="Second derivative of gelu.")
unary("softplus(Tensor self, Scalar beta=1, Scalar threshold=20) -> Tensor", kernel="a * beta > threshold ? a : mt_log1p_exp(a * beta) / beta", dtypes=FLOAT, py=("nn",), inplace=False,
      grad={"self": "softplus_backward(grad, self, beta, threshold)"}, jvp="auto", doc="log(1 + exp(beta * x)) / beta; linear above threshold.")
binary("softplus_backward(Tensor grad_output, Tensor self, Scalar beta, Scalar threshold) -> Tensor", kernel="b * beta > threshold ? a : a * mt_sigmoid(b * beta)", dtypes=FLOAT,
       inplace=False, py=("nn",), out="grad_input",
       grad={"grad_output": "softplus_backward(grad, self, beta, threshold)", "self": "_softplus_double(grad * grad_output, self, beta, threshold)"}, doc="Gradient of softplus.")
composite("_softplus_double(Tensor grad, Tensor self, Scalar beta, Scalar threshold) -> Tensor", py=(), body="""
s = (self * beta).sigmoid()
where((self * beta) > threshold, zeros_like(grad), grad * s * (1 - s) * beta)
""", doc="Second derivative of softplus.")
unary("leaky_relu(Tensor self, Scalar negative_slope=0.01) -> Tensor", kernel="a > 0 ? a : a * negative_slope", dtypes=FLOAT, py=("nn",),
      grad={"self": "leaky_relu_backward(grad, self, negative_slope, False)"}, jvp="auto", doc="x above 0, slope * x below.")
binary("leaky_relu_backward(Tensor grad_output, Tensor self, Scalar negative_slope, bool self_is_result) -> Tensor", kernel="b > 0 ? a : a * negative_slope", dtypes=FLOAT,
       inplace=False, py=("nn",), out="grad_input", grad={"grad_output": "leaky_relu_backward(grad, self, negative_slope, False)", "self": "zeros_like(grad)"}, doc="Gradient of leaky_relu.")
unary("elu(Tensor self, Scalar alpha=1, Scalar scale=1, Scalar input_scale=1) -> Tensor", kernel="a <= 0 ? mt_expm1(a * input_scale) * alpha * scale : a * scale", dtypes=FLOAT, py=("nn",),
      grad={"self": "elu_gradient(grad, self, alpha, scale, input_scale)"}, doc="scale * x above 0, alpha * (exp(x) - 1) below.")
binary("elu_gradient(Tensor grad_output, Tensor self, Scalar alpha, Scalar scale, Scalar input_scale) -> Tensor",
       kernel="b <= 0 ? a * input_scale * alpha * scale * mt_exp(b * input_scale) : a * scale", dtypes=FLOAT, inplace=False, out=False, hidden=True,
       grad={"grad_output": "elu_gradient(grad, self, alpha, scale, input_scale)",
             "self": "grad * grad_output * elu_curve(self, alpha, scale, input_scale)"}, doc="Gradient of elu.")
unary("elu_curve(Tensor self, Scalar alpha, Scalar scale, Scalar input_scale) -> Tensor", kernel="a <= 0 ? input_scale * input_scale * alpha * scale * mt_exp(a * input_scale) : 0",
      dtypes=FLOAT, inplace=False, out=False, hidden=True, doc="Second derivative of elu.")
composite("selu(Tensor self) -> Tensor", body="elu(self, 1.6732632423543772, 1.0507009873554805)", inplace=True, inplace_py=("function",), doc="Self-normalising elu (Klambauer et al., 2017).")
composite("celu(Tensor self, Scalar alpha=1.0) -> Tensor", py=("function",), doc="Continuously differentiable elu.")
composite("celu_(Tensor(a!) self, Scalar alpha=1.0) -> Tensor(a!)", py=("function",), doc="celu in place.")
unary("hardtanh(Tensor self, Scalar min_val=-1, Scalar max_val=1) -> Tensor", kernel="a < min_val ? min_val : a > max_val ? max_val : a", dtypes=INT | FLOAT, py=("nn",),
      grad={"self": "hardtanh_backward(grad, self, min_val, max_val)"}, jvp="auto", doc="Limits to [min_val, max_val].")
binary("hardtanh_backward(Tensor grad_output, Tensor self, Scalar min_val, Scalar max_val) -> Tensor", kernel="b <= min_val || b >= max_val ? 0 : a", dtypes=FLOAT, inplace=False,
       py=("nn",), out="grad_input", grad={"grad_output": "hardtanh_backward(grad, self, min_val, max_val)", "self": "zeros_like(grad)"}, doc="Gradient of hardtanh.")
composite("relu6(Tensor self) -> Tensor", py=("nn",), body="hardtanh(self, 0, 6)", inplace=True, doc="min(max(x, 0), 6).")
unary("hardsigmoid(Tensor self) -> Tensor", kernel="a <= -3 ? 0 : a >= 3 ? 1 : (a + 3) / 6", dtypes=FLOAT, py=("nn",), grad="hardsigmoid_backward(grad, self)", jvp="auto",
      doc="Piecewise linear sigmoid.")
binary("hardsigmoid_backward(Tensor grad_output, Tensor self) -> Tensor", kernel="b > -3 && b < 3 ? a / 6 : 0", dtypes=FLOAT, inplace=False, py=("nn",), out="grad_input",
       grad={"grad_output": "hardsigmoid_backward(grad, self)", "self": "zeros_like(grad)"}, doc="Gradient of hardsigmoid.")
unary("hardswish(Tensor self) -> Tensor", kernel="a <= -3 ? 0 : a >= 3 ? a : a * (a + 3) / 6", dtypes=FLOAT, py=("nn",), grad="hardswish_backward(grad, self)", jvp="auto",
      doc="x * hardsigmoid(x).")
binary("hardswish_backward(Tensor grad_output, Tensor self) -> Tensor", kernel="b <= -3 ? 0 : b < 3 ? a * (b / 3 + (T)0.5) : a", dtypes=FLOAT, inplace=False, out=False, py=("nn",),
       grad={"grad_output": "hardswish_backward(grad, self)", "self": "where((self > -3).logical_and(self < 3), grad * grad_output / 3, zeros_like(grad))"}, doc="Gradient of hardswish.")
unary("log_sigmoid(Tensor self) -> Tensor", kernel="mt_log_sigmoid(a)", dtypes=FLOAT, py=("nn",), inplace=False, node="LogSigmoidBackward0",
      grad="grad * (-self).sigmoid()", jvp="auto", doc="log(sigmoid(x)).")
unary("softshrink(Tensor self, Scalar lambd=0.5) -> Tensor", kernel="a > lambd ? a - lambd : a < -lambd ? a + lambd : a != a ? a : 0", dtypes=FLOAT, py=("nn",), check="mt_check_lambda", inplace=False,
      grad={"self": "softshrink_backward(grad, self, lambd)"}, jvp="auto", doc="Shrinks towards 0 by lambd.")
binary("softshrink_backward(Tensor grad_output, Tensor self, Scalar lambd) -> Tensor", kernel="b >= -lambd && b <= lambd ? 0 : a", dtypes=FLOAT, inplace=False, py=("nn",), out="grad_input",
       grad={"grad_output": "softshrink_backward(grad, self, lambd)", "self": "zeros_like(grad)"}, doc="Gradient of softshrink.")
unary("hardshrink(Tensor self, Scalar lambd=0.5) -> Tensor", kernel="a >= -lambd && a <= lambd ? 0 : a", dtypes=FLOAT, inplace=False,
      grad={"self": "hardshrink_backward(grad, self, lambd)"}, jvp="auto", doc="0 within [-lambd, lambd].")
binary("hardshrink_backward(Tensor grad_output, Tensor self, Scalar lambd) -> Tensor", kernel="b >= -lambd && b <= lambd ? 0 : a", dtypes=FLOAT, inplace=False, py=("function",), out="grad_input",
       grad={"grad_output": "hardshrink_backward(grad, self, lambd)", "self": "zeros_like(grad)"}, doc="Gradient of hardshrink.")
