"""More elementwise functions: parts of numbers, angles, steps, neighbours."""

# ---- complex numbers -----------------------------------------------------------------------------
func("complex(Tensor real, Tensor imag) -> Tensor", py=("function",), out=True, grad={"real": "real(grad)", "imag": "imag(grad)"},
     doc="Complex numbers of their parts.")
func("polar(Tensor abs, Tensor angle) -> Tensor", py=("function",), out=True,
     grad={"abs": "real(grad.conj() * sgn(result))", "angle": "-imag(grad.conj() * result)"}, doc="Complex numbers of modulus and angle (radians).")
unary("_angle(Tensor self) -> Tensor", kernel={"complex64": "cargf(a)", "complex128": "carg(a)"}, dtypes=COMPLEX, promotes="complex_to_float",
      hidden=True, inplace=False, out=False, node="AngleBackward0", grad="_angle_backward(grad, self)", doc="Angle of complex numbers.")
unary("_angle_real(Tensor self) -> Tensor", kernel="a != a ? a : mt_copysign((T)1, a) < 0 && a != 0 ? (T)3.14159265358979323846 : 0", dtypes=FLOAT,
      promotes="int_to_float", hidden=True, inplace=False, out=False, node="AngleBackward0", grad="zeros_like(grad)", doc="Angle of real numbers.")
composite("_angle_backward(Tensor grad, Tensor self) -> Tensor", hidden=True,
          body="where(self == 0, zeros_like(self), complex(-imag(self), real(self)) * (grad / (self.abs() * self.abs())))", doc="Gradient of angle.")
composite("angle(Tensor self) -> Tensor", body="_angle(self) if self.is_complex() else _angle_real(self)", out=True,
          doc="Angle in the complex plane, in radians.")
composite("isreal(Tensor self) -> Tensor", body="imag(self) == 0 if self.is_complex() else ones_like(self, dtype=torch.bool)", doc="True where the imaginary part is zero.")

# ---- angles, steps -------------------------------------------------------------------------------
unary("rad2deg(Tensor self) -> Tensor", kernel="a * (T)57.29577951308232087680", dtypes=FLOAT, promotes="int_to_float",
      grad="grad * 57.29577951308232087680", jvp="auto", node="Rad2DegBackward0", doc="Radians as degrees.")
unary("deg2rad(Tensor self) -> Tensor", kernel="a * (T)0.01745329251994329577", dtypes=FLOAT, promotes="int_to_float",
      grad="grad * 0.01745329251994329577", jvp="auto", node="Deg2RadBackward0", doc="Degrees as radians.")
binary("heaviside(Tensor self, Tensor values) -> Tensor", kernel="a == 0 ? b : a > 0", dtypes=ORDERED, check="mt_check_one_dtype",
       doc="0 below zero, 1 above, `values` at zero.")
composite("_nan_values(Tensor self, Scalar number, Scalar posinf, Scalar neginf) -> Tensor", hidden=True,
          body="where(self.isnan(), wrap_number(number), where(self.isposinf(), wrap_number(posinf), where(self.isneginf(), wrap_number(neginf), self)))",
          doc="Numbers in place of those that are not finite.")
func("nan_to_num(Tensor self, float? nan=None, float? posinf=None, float? neginf=None) -> Tensor", grad={"self": "grad * self.isfinite()"},
     jvp="self_t * self.isfinite()", out=True, doc="Finite numbers in place of NaN (0) and infinities (the dtype's extremes).")
composite("nan_to_num_(Tensor(a!) self, float? nan=None, float? posinf=None, float? neginf=None) -> Tensor(a!)",
          body="copy_(self, nan_to_num(self, nan, posinf, neginf))", py=("function", "method"), doc="nan_to_num in place.")

# ---- exponents, neighbours, divisors -------------------------------------------------------------
_LAE = "a == b && a - a != 0 ? a : mt_maximum(a, b) + "
binary("logaddexp(Tensor self, Tensor other) -> Tensor", kernel=_LAE + "mt_log1p(mt_exp(-mt_abs(a - b)))", dtypes=FLOAT, inplace=False,
       grad={"self": "grad / (1 + exp(other - self)).conj()", "other": "grad / (1 + exp(self - other)).conj()"},
       jvp="self_t / (1 + exp(other - self)) + other_t / (1 + exp(self - other))", doc="log(exp(self) + exp(other)).")
binary("logaddexp2(Tensor self, Tensor other) -> Tensor", kernel=_LAE + "mt_log1p(mt_exp2(-mt_abs(a - b))) * (T)1.44269504088896340736", dtypes=FLOAT,
       inplace=False, grad={"self": "grad / (1 + exp2(other - self))", "other": "grad / (1 + exp2(self - other))"},
       jvp="self_t / (1 + exp2(other - self)) + other_t / (1 + exp2(self - other))", doc="log2(2**self + 2**other).")
binary("nextafter(Tensor self, Tensor other) -> Tensor", kernel={"float32": "nextafterf(a, b)", "float64": "nextafter(a, b)"}, dtypes=REAL,
       grad={"self": "grad * (self != other)", "other": "zeros_like(grad)"}, doc="The next representable number towards other.")
binary("lcm(Tensor self, Tensor other) -> Tensor", kernel="mt_lcm(a, b)", dtypes=INT, doc="Least common multiple.")

# ---- fills ---------------------------------------------------------------------------------------
composite("fill.Scalar(Tensor self, Scalar value) -> Tensor", py=("function",), body="self.clone().fill_(value)", doc="A copy with every element set.")
composite("fill.Tensor(Tensor self, Tensor value) -> Tensor", py=("function",), body="self.clone().fill_(value)", doc="A copy with every element set.")
func("fill_.Tensor(Tensor(a!) self, Tensor value) -> Tensor(a!)", grad={"self": "zeros_like(grad)", "value": "grad.sum()"}, node="FillBackward1",
     doc="Sets every element to the value of a 0-dim tensor.")
func("fill_diagonal_(Tensor(a!) self, Scalar fill_value, bool wrap=False) -> Tensor(a!)", py=("method",),
     grad={"self": "grad.clone().fill_diagonal_(0, wrap)"}, node="FillDiagonalBackward0", doc="Sets the main diagonal.")

# ---- integrals along a dimension -----------------------------------------------------------------
for _name in ("trapezoid", "trapz"):
    composite(f"{_name}.x(Tensor y, Tensor x, *, int dim=-1) -> Tensor", py=("function",), impl="trapezoid_x", doc="Integral by the trapezoidal rule.")
    composite(f"{_name}.dx(Tensor y, *, {'float dx=1.' if _name == 'trapz' else 'Scalar dx=1'}, int dim=-1) -> Tensor", py=("function",),
              impl=f"{_name}_dx", doc="Integral by the trapezoidal rule.")
composite("cumulative_trapezoid.x(Tensor y, Tensor x, *, int dim=-1) -> Tensor", py=("function",), doc="Running integral by the trapezoidal rule.")
composite("cumulative_trapezoid.dx(Tensor y, *, Scalar dx=1, int dim=-1) -> Tensor", py=("function",), doc="Running integral by the trapezoidal rule.")
