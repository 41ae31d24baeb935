"""Elementwise arithmetic, comparison and logic."""

binary("add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor",
       kernel="a + alpha * b", dtypes=EVERY, bool_kernel="a | (alpha & b)", check="mt_check_alpha",
       grad={"self": "grad", "other": "grad * alpha.conj()"},
       jvp="self_t + other_t * alpha",
       py_sigs=("(Tensor self, Scalar alpha, Tensor other)",),
       doc="Adds `alpha * other` to `self`, elementwise with broadcasting and type promotion.")
binary("sub.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor",
       kernel="a - alpha * b", dtypes=EVERY, bool_kernel="a ^ b", names=("subtract",), check="mt_check_alpha",
       grad={"self": "grad", "other": "-(grad * alpha.conj())"},
       jvp="self_t - other_t * alpha",
       doc="Subtracts `alpha * other` from `self`, elementwise.")
binary("rsub.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor",
       kernel="b - alpha * a", dtypes=ALL, bool_kernel="a ^ b", inplace=False, out=False, check="mt_check_alpha",
       grad={"self": "-(grad * alpha.conj())", "other": "grad"}, jvp="other_t - self_t * alpha",
       scalar="Scalar", scalar_out=False,
       doc="Subtracts `alpha * self` from `other`, elementwise.")
binary("mul.Tensor(Tensor self, Tensor other) -> Tensor",
       kernel="a * b", dtypes=EVERY, bool_kernel="a & b", names=("multiply",),
       grad={"self": "grad * other.conj()", "other": "grad * self.conj()"},
       jvp="self_t * other + other_t * self",
       doc="Multiplies elementwise with broadcasting and type promotion.")
binary("div.Tensor(Tensor self, Tensor other) -> Tensor",
       kernel="a / b", dtypes=FLOAT | COMPLEX,
       promotes="int_to_float", names=("divide", "true_divide"), kernel_name="div_true_cpu",
       grad={"self": "grad / other.conj()", "other": "-grad * ((self / other) / other).conj()"},
       jvp="(self_t - other_t * result) / other",
       doc="Divides elementwise; integers give the default float dtype.")
binary("floor_divide(Tensor self, Tensor other) -> Tensor", kernel="mt_floordiv(a, b)", dtypes=INT | UINT | FLOAT,
       check="mt_check_divisor", kernel_name="div_floor_cpu", scalar="Scalar", scalar_out=False,
       doc="Divides elementwise and rounds down.")
binary("fmod.Tensor(Tensor self, Tensor other) -> Tensor", kernel="mt_fmod(a, b)", dtypes=INT | FLOAT,
       check="mt_check_divisor", scalar=True, node="FmodBackward1", scalar_node="FmodBackward0",
       grad={"self": "grad", "other": "-grad * self.div(other, rounding_mode='trunc')"},
       jvp="self_t - other_t * self.div(other, rounding_mode='trunc')" if False else None,
       doc="Remainder with the sign of the dividend.")
binary("remainder.Tensor(Tensor self, Tensor other) -> Tensor", kernel="mt_remainder(a, b)", dtypes=INT | FLOAT,
       check="mt_check_divisor", scalar=True, node="RemainderBackward1", scalar_node="RemainderBackward0",
       grad={"self": "grad", "other": "-grad * self.div(other, rounding_mode='floor')"},
       doc="Remainder with the sign of the divisor.")
binary("_div_trunc(Tensor self, Tensor other) -> Tensor", kernel="mt_truncdiv(a, b)", dtypes=INT | FLOAT,
       check="mt_check_divisor", kernel_name="div_trunc_cpu", hidden=True, inplace=False, out=False, node="DivBackward2",
       grad={"self": "zeros_like(grad)", "other": "zeros_like(grad)"}, doc="Division rounded towards zero.")
binary("_div_floor(Tensor self, Tensor other) -> Tensor", kernel="mt_floordiv(a, b)", dtypes=INT | UINT | FLOAT,
       check="mt_check_divisor", kernel_name="div_floor_cpu", hidden=True, inplace=False, out=False, node="DivBackward2",
       grad={"self": "zeros_like(grad)", "other": "zeros_like(grad)"}, doc="Division rounded down.")
composite("div.Tensor_mode(Tensor self, Tensor other, *, str? rounding_mode) -> Tensor", names=("divide",),
          inplace=True, out="out_mode", doc="Division, rounded towards zero ('trunc') or down ('floor').")
composite("rdiv(Tensor self, Tensor other) -> Tensor", py=(), body="other / self", doc="other / self")
composite("__rdiv__.Tensor(Tensor self, Tensor other) -> Tensor", flags=("SILENT",), py=("method",), names=("__rtruediv__",), body="self.reciprocal() * other",
          doc="other / self")
composite("__rdiv__(Tensor self, Scalar other) -> Tensor", flags=("SILENT",), py=("method",), names=("__rtruediv__",), body="self.reciprocal() * other",
          doc="other / self")
composite("__rsub__(Tensor self, Scalar other) -> Tensor", flags=("SILENT",), py=("method",), body="rsub(self, other)", doc="other - self")
composite("__rfloordiv__(Tensor self, Scalar other) -> Tensor", flags=("SILENT",), py=("method",), body="floor_divide(wrap_number(other), self)", doc="other // self")
helper("wrap_number(Scalar value) -> Tensor")
composite("__rmod__(Tensor self, Scalar other) -> Tensor", flags=("SILENT",), py=("method",), body="remainder(wrap_number(other), self)", doc="other % self")
composite("__rpow__(Tensor self, Scalar other) -> Tensor", flags=("SILENT",), py=("method",), body="pow(wrap_number(other), self)", doc="other ** self")
unary("neg(Tensor self) -> Tensor", kernel="-a", dtypes=NUMERIC, names=("negative",),
      grad="-grad", jvp="auto", doc="Negates each element.")
unary("abs(Tensor self) -> Tensor", kernel={"int": "a < 0 ? -a : a", "float": "mt_abs(a)", "complex64": "cabsf(a)", "complex128": "cabs(a)"},
      dtypes=NUMERIC, promotes="complex_to_float", names=("absolute",), inplace=False,
      grad="grad * self.sgn()", doc="Absolute value; of complex numbers the modulus.")
composite("abs_(Tensor(a!) self) -> Tensor(a!)", py=("function", "method"), names=("absolute_",), doc="abs in place.")
unary("sgn(Tensor self) -> Tensor", kernel={"bool": "a", "int": "a > 0 ? 1 : a < 0 ? -1 : 0", "float": "a > 0 ? 1 : a < 0 ? -1 : a",
      "complex64": "a == 0 ? 0 : a / cabsf(a)", "complex128": "a == 0 ? 0 : a / cabs(a)"}, dtypes=ALL,
      grad="sgn_backward(self, grad, result)", doc="Sign; of complex numbers the direction.")
helper("sgn_backward(Tensor self, Tensor grad, Tensor result) -> Tensor")
unary("sign(Tensor self) -> Tensor", kernel={"bool": "a", "int": "a > 0 ? 1 : a < 0 ? -1 : 0", "float": "a > 0 ? 1 : a < 0 ? -1 : a"},
      dtypes=ORDERED, grad="zeros_like(grad)", jvp="zeros_like(self_t)", doc="-1, 0 or 1.")
unary("signbit(Tensor self) -> Tensor", kernel={"bool": "0", "int": "a < 0", "float": "mt_copysign((T)1, a) < 0"}, dtypes=ORDERED,
      promotes="bool", inplace=False, doc="Whether the sign bit is set.")
unary("reciprocal(Tensor self) -> Tensor", kernel="1 / a",
      dtypes=FLOAT | COMPLEX, promotes="int_to_float",
      grad="-grad * (result * result).conj()", jvp="auto", doc="One over each element.")
unary("isnan(Tensor self) -> Tensor", kernel={"bool": "0", "int": "0", "float": "a != a", "complex": "a != a"}, dtypes=ALL, promotes="bool",
      inplace=False, out=False, doc="True where an element is NaN.")
unary("isinf(Tensor self) -> Tensor", kernel={"bool": "0", "int": "0", "float": "mt_abs(a) == (T)__builtin_inf()",
      "complex": "(__real__ a - __real__ a != 0 && __real__ a == __real__ a) || (__imag__ a - __imag__ a != 0 && __imag__ a == __imag__ a)"},
      dtypes=ALL, promotes="bool", inplace=False, out=False, doc="True where an element is infinite.")
unary("isfinite(Tensor self) -> Tensor", kernel={"bool": "1", "int": "1", "float": "a - a == 0",
      "complex": "(__real__ a - __real__ a == 0) && (__imag__ a - __imag__ a == 0)"},
      dtypes=ALL, promotes="bool", inplace=False, out=False, doc="True where an element is finite.")
unary("isposinf(Tensor self) -> Tensor", kernel={"bool": "0", "int": "0", "float": "a == (T)__builtin_inf()"}, dtypes=ORDERED, promotes="bool",
      inplace=False, doc="True where an element is +inf.")
unary("isneginf(Tensor self) -> Tensor", kernel={"bool": "0", "int": "0", "float": "a == -(T)__builtin_inf()"}, dtypes=ORDERED, promotes="bool",
      inplace=False, doc="True where an element is -inf.")
unary("_conj_physical(Tensor self) -> Tensor", kernel={"all": "a", "complex": "~a"}, dtypes=ALL,
      inplace=False, out=False, py=("function",), grad="grad.conj()", jvp="auto",
      doc="Conjugate as a new tensor.")
composite("positive(Tensor(a) self) -> Tensor(a)", doc="The tensor itself; bool tensors raise.")

# ---- rounding ----------------------------------------------------------------------------------
for name, kern in (("floor", "mt_floor(a)"), ("ceil", "mt_ceil(a)"), ("trunc", "mt_trunc(a)")):
    unary(f"{name}(Tensor self) -> Tensor", kernel={"int": "a", "float": kern}, dtypes=INT | FLOAT,
          names=("fix",) if name == "trunc" else (),
          grad="zeros_like(grad)", jvp="zeros_like(self_t)", doc=f"{name} of each element.")
unary("round(Tensor self) -> Tensor", kernel={"int": "a", "float": "mt_nearest(a)"}, dtypes=INT | FLOAT,
      grad="zeros_like(grad)", jvp="zeros_like(self_t)", doc="Nearest integer, halves to even.")
unary("round.decimals(Tensor self, *, int decimals) -> Tensor",
      kernel={"int": "a", "float": "decimals_f >= 0 ? mt_nearest(a * (T)__builtin_pow(10, decimals_f)) / (T)__builtin_pow(10, decimals_f)"
              " : mt_nearest(a / (T)__builtin_pow(10, -decimals_f)) * (T)__builtin_pow(10, -decimals_f)"}, dtypes=INT | FLOAT,
      grad="zeros_like(grad)", node="RoundBackward1", out="decimals_out", doc="Rounded to a number of decimals.")
unary("frac(Tensor self) -> Tensor", kernel="a - mt_trunc(a)", dtypes=FLOAT, grad="grad", jvp="auto", doc="Fractional part.")

# ---- powers ------------------------------------------------------------------------------------
binary("pow.Tensor_Tensor(Tensor self, Tensor exponent) -> Tensor",
       kernel={"bool": "b ? a : 1", "int": "mt_ipow(a, b)", "float": "mt_pow(a, b)", "complex64": "b == 0 ? 1 : b == 2 ? a * a : b == 3 ? a * a * a : b == 0.5f ? csqrtf(a) : b == -1 ? 1 / a : cpowf(a, b)", "complex128": "b == 0 ? 1 : b == 2 ? a * a : b == 3 ? a * a * a : b == 0.5 ? csqrt(a) : b == -1 ? 1 / a : cpow(a, b)"},
       dtypes=ALL, out="Tensor_Tensor_out", inplace=False, node="PowBackward1",
       grad={"self": "_pow_backward_self(grad, self, exponent)", "exponent": "_pow_backward_exponent(grad, self, exponent, result)"},
       doc="self ** exponent.")
binary("pow.Tensor_Scalar(Tensor self, Scalar exponent) -> Tensor", inputs=("self", "exponent"),
       kernel={"bool": "b ? a : 1", "int": "mt_ipow(a, b)", "float": "b == 2 ? a * a : b == 3 ? a * a * a : b == (T)0.5 ? mt_sqrt(a) : mt_pow(a, b)",
               "complex64": "b == 0 ? 1 : b == 2 ? a * a : b == 3 ? a * a * a : b == 0.5f ? csqrtf(a) : b == -1 ? 1 / a : cpowf(a, b)", "complex128": "b == 0 ? 1 : b == 2 ? a * a : b == 3 ? a * a * a : b == 0.5 ? csqrt(a) : b == -1 ? 1 / a : cpow(a, b)"},
       dtypes=ALL, out="Tensor_Scalar_out", inplace=False, node="PowBackward0", check="mt_check_exponent",
       grad={"self": "_pow_backward(grad, self, exponent)"}, jvp="auto", doc="self ** exponent.")
binary("pow.Scalar(Scalar self, Tensor exponent) -> Tensor", inputs=("self", "exponent"),
       kernel={"bool": "b ? a : 1", "int": "mt_ipow(a, b)", "float": "mt_pow(a, b)", "complex64": "cpowf(a, b)", "complex128": "cpow(a, b)"},
       dtypes=ALL, out="Scalar_out", inplace=False, py=("function",), node="PowBackward2",
       grad={"exponent": "_pow_backward_exponent(grad, wrap_number(self), exponent, result)"}, doc="self ** exponent.")
composite("pow_.Scalar(Tensor(a!) self, Scalar exponent) -> Tensor(a!)", py=("method",), doc="pow in place.")
composite("pow_.Tensor(Tensor(a!) self, Tensor exponent) -> Tensor(a!)", py=("method",), doc="pow in place.")
composite("_pow_backward(Tensor grad, Tensor self, Scalar exponent) -> Tensor", py=(),
          body="zeros_like(grad) if exponent == 0 else grad * (self.pow(exponent - 1) * exponent).conj()", doc="Gradient of pow by its base.")
composite("_pow_backward_self(Tensor grad, Tensor self, Tensor exponent) -> Tensor", py=(),
          body="where(exponent == 0, zeros_like(grad), grad * (exponent * self.pow(exponent - 1)).conj())", doc="Gradient of pow by its base.")
composite("_pow_backward_exponent(Tensor grad, Tensor self, Tensor exponent, Tensor result) -> Tensor", py=(),
          body="where((self == 0) & (exponent == exponent if exponent.is_complex() else exponent >= 0), zeros_like(grad), grad * (result * self.log()).conj())",
          doc="Gradient of pow by its exponent.")
composite("square(Tensor self) -> Tensor", body="pow(self, 2)", inplace=True, out=True, doc="Each element times itself.")
composite("float_power.Tensor_Tensor(Tensor self, Tensor exponent) -> Tensor", out="Tensor_Tensor_out", doc="pow in float64 or complex128.")
composite("float_power.Tensor_Scalar(Tensor self, Scalar exponent) -> Tensor", out="Tensor_Scalar_out", doc="pow in float64 or complex128.")
composite("float_power.Scalar(Scalar self, Tensor exponent) -> Tensor", out="Scalar_out", py=("function",), doc="pow in float64 or complex128.")
composite("float_power_.Scalar(Tensor(a!) self, Scalar exponent) -> Tensor(a!)", py=("method",), doc="float_power in place, of float64 and complex128 tensors.")
composite("float_power_.Tensor(Tensor(a!) self, Tensor exponent) -> Tensor(a!)", py=("method",), doc="float_power in place, of float64 and complex128 tensors.")
unary("sqrt(Tensor self) -> Tensor", kernel={"float": "mt_sqrt(a)", **libm("sqrt")}, dtypes=FLOAT | COMPLEX, promotes="int_to_float",
      grad="grad / (2 * result.conj())", jvp="auto", doc="Square root.")
unary("rsqrt(Tensor self) -> Tensor", kernel={"float": "mt_rsqrt(a)", "complex64": "1 / csqrtf(a)", "complex128": "1 / csqrt(a)"}, dtypes=FLOAT | COMPLEX,
      promotes="int_to_float", grad="-0.5 * grad * result.pow(3).conj()", jvp="auto", doc="One over the square root.")
binary("hypot(Tensor self, Tensor other) -> Tensor", kernel="mt_hypot(a, b)", dtypes=FLOAT,
       grad={"self": "grad * (self / result)", "other": "grad * (other / result)"}, jvp="self_t * (self / result) + other_t * (other / result)",
       doc="sqrt(self**2 + other**2).")
binary("atan2(Tensor self, Tensor other) -> Tensor", kernel="mt_atan2(a, b)", dtypes=FLOAT, promotes="int_to_float", names=("arctan2",),
       grad={"self": "grad * other * (self * self + other * other).reciprocal()", "other": "grad * -self * (self * self + other * other).reciprocal()"},
       doc="Angle of the point (other, self), in radians.")
binary("copysign.Tensor(Tensor self, Tensor other) -> Tensor", kernel="mt_copysign(a, b)", dtypes=FLOAT, promotes="int_to_float",
       scalar="Scalar", scalar_node="CopysignBackward1", out="out",
       grad={"self": "_copysign_backward(grad, self, result)", "other": "zeros_like(grad)"}, doc="self with the sign of other.")
composite("_copysign_backward(Tensor grad, Tensor self, Tensor result) -> Tensor", py=(),
          body="where(self == 0, zeros_like(grad), grad * (result / self))", doc="Gradient of copysign.")

# ---- extremes ----------------------------------------------------------------------------------
binary("maximum(Tensor self, Tensor other) -> Tensor", kernel={"bool": "a | b", "int": "a > b ? a : b", "float": "mt_maximum(a, b)"},
       dtypes=ORDERED, inplace=False,
       grad={"self": "_extreme_backward(grad, self, other, True)", "other": "_extreme_backward(grad, other, self, True)"},
       doc="The larger of two; NaN wins.")
binary("minimum(Tensor self, Tensor other) -> Tensor", kernel={"bool": "a & b", "int": "a < b ? a : b", "float": "mt_minimum(a, b)"},
       dtypes=ORDERED, inplace=False,
       grad={"self": "_extreme_backward(grad, self, other, False)", "other": "_extreme_backward(grad, other, self, False)"},
       doc="The smaller of two; NaN wins.")
composite("_extreme_backward(Tensor grad, Tensor self, Tensor other, bool largest) -> Tensor", py=(),
          body="where(self == other, grad / 2, where(self >= other if largest else self <= other, grad, zeros_like(grad)))",
          doc="Gradient of maximum and minimum: ties share.")
binary("fmax(Tensor self, Tensor other) -> Tensor", kernel={"bool": "a | b", "int": "a > b ? a : b", "float": "a != a || b > a ? b : a"},
       dtypes=ORDERED, inplace=False,
       grad={"self": "where((self >= other).logical_or(other.isnan()), grad, zeros_like(grad))",
             "other": "where((self >= other).logical_or(other.isnan()), zeros_like(grad), grad)"}, doc="The larger of two; NaN loses.")
binary("fmin(Tensor self, Tensor other) -> Tensor", kernel={"bool": "a & b", "int": "a < b ? a : b", "float": "a != a || b < a ? b : a"},
       dtypes=ORDERED, inplace=False,
       grad={"self": "where((self <= other).logical_or(other.isnan()), grad, zeros_like(grad))",
             "other": "where((self <= other).logical_or(other.isnan()), zeros_like(grad), grad)"}, doc="The smaller of two; NaN loses.")
unary("clamp(Tensor self, Scalar? min=None, Scalar? max=None) -> Tensor", names=("clip",), promote_with=("self", "min", "max"),
      kernel={"int": "max_f == max_f && (min_f == min_f && a < min ? min : a) > max ? max : min_f == min_f && a < min ? min : a",
              "float": "(a < min ? min : a) > max ? max : a < min ? min : a"},
      dtypes=INT | FLOAT, check="mt_check_clamp",
      grad={"self": "_clamp_backward(grad, self, min, max)"}, jvp="auto", doc="Limits elements to [min, max].")
composite("_clamp_backward(Tensor grad, Tensor self, Scalar? min, Scalar? max) -> Tensor", py=(), body="""
t = where(self < min, zeros_like(grad), grad) if min is not None else grad
where(self > max, zeros_like(grad), t) if max is not None else t
""", doc="Gradient of clamp.")
composite("clamp_min(Tensor self, Scalar min) -> Tensor", body="clamp(self, min, None)", inplace=True, out=True, doc="Limits elements from below.")
composite("clamp_max(Tensor self, Scalar max) -> Tensor", body="clamp(self, None, max)", inplace=True, out=True, doc="Limits elements from above.")
_BELOW = "where(self < min, zeros_like(grad), grad)"
_ABOVE = "where(self > max, zeros_like(grad), grad)"
func("clamp_min.Tensor(Tensor self, Tensor min) -> Tensor", body="maximum(self, min)", inplace=True, out="Tensor_out", node="ClampMinBackward1",
     grad={"self": _BELOW, "min": "where(self < min, grad, zeros_like(grad))"}, doc="Limits elements from below.")
func("clamp_max.Tensor(Tensor self, Tensor max) -> Tensor", body="minimum(self, max)", inplace=True, out="Tensor_out", node="ClampMaxBackward1",
     grad={"self": _ABOVE, "max": "where(self > max, grad, zeros_like(grad))"}, doc="Limits elements from above.")
helper("check_bounds(Tensor self, Tensor? min, Tensor? max) -> Tensor")
func("clamp.Tensor(Tensor self, Tensor? min=None, Tensor? max=None) -> Tensor", names=("clip",), inplace=True, out="Tensor_out", node="ClampBackward0", body="""
x = check_bounds(self, min, max)
t = maximum(x, min) if min is not None else x
minimum(t, max) if max is not None else t
""", grad={"self": "_clamp_slope(grad, self, min, max)", "min": "_clamp_low_slope(grad, self, min, max)", "max": "_clamp_high_slope(grad, self, min, max)"},
     doc="Limits elements to [min, max].")
composite("_clamp_slope(Tensor grad, Tensor self, Tensor? min, Tensor? max) -> Tensor", hidden=True, body="""
t = where(self < min, zeros_like(grad), grad) if min is not None else grad
where(self > max, zeros_like(grad), t) if max is not None else t
""", doc="Gradient of clamp by its input.")
composite("_clamp_low_slope(Tensor grad, Tensor self, Tensor? min, Tensor? max) -> Tensor", hidden=True, body="""
t = where(self < min, grad, zeros_like(grad)) if min is not None else zeros_like(grad)
where(min < max, t, zeros_like(grad)) if min is not None and max is not None else t
""", doc="Gradient of clamp by the lower bound.")
composite("_clamp_high_slope(Tensor grad, Tensor self, Tensor? min, Tensor? max) -> Tensor", hidden=True, body="""
t = where(self > max, grad, zeros_like(grad)) if max is not None else zeros_like(grad)
where(max < min, grad, t) if min is not None and max is not None else t
""", doc="Gradient of clamp by the upper bound.")

# ---- comparison --------------------------------------------------------------------------------
for name, c, alias in (("eq", "==", ()), ("ne", "!=", ("not_equal",)), ("lt", "<", ("less",)), ("le", "<=", ("less_equal",)),
                       ("gt", ">", ("greater",)), ("ge", ">=", ("greater_equal",))):
    binary(f"{name}.Tensor(Tensor self, Tensor other) -> Tensor", kernel=f"a {c} b",
           dtypes=EVERY if name in ("eq", "ne") else ORDERED | UINT, promotes="bool", names=alias, out="Tensor_out",
           scalar="Scalar", doc=f"self {c} other, elementwise.", kernel_name=f"{name}_cpu")
for name, c in (("logical_and", "&&"), ("logical_or", "||"), ("logical_xor", "!=")):
    binary(f"{name}(Tensor self, Tensor other) -> Tensor",
           kernel=f"(a != 0) {c} (b != 0)", dtypes=ALL, promotes="bool", doc=f"{name} of truth values.")
unary("logical_not(Tensor self) -> Tensor", kernel="a == 0", dtypes=ALL, promotes="bool", doc="True where an element is zero.")
for name, c in (("bitwise_and", "&"), ("bitwise_or", "|"), ("bitwise_xor", "^")):
    binary(f"{name}.Tensor(Tensor self, Tensor other) -> Tensor", kernel=f"a {c} b", dtypes=BOOL | INT, out="Tensor_out",
           scalar="Scalar", doc=f"{name}, elementwise.")
unary("bitwise_not(Tensor self) -> Tensor", kernel={"bool": "a == 0", "int": "~a"}, dtypes=BOOL | INT, doc="Inverts bits; of bool, not.")
binary("bitwise_left_shift.Tensor(Tensor self, Tensor other) -> Tensor", kernel="mt_lshift(a, b)", dtypes=INT, kernel_name="lshift_cpu",
       out="Tensor_out", doc="self << other.")
binary("bitwise_right_shift.Tensor(Tensor self, Tensor other) -> Tensor", kernel="mt_rshift(a, b)", dtypes=INT, kernel_name="rshift_cpu",
       out="Tensor_out", doc="self >> other.")
binary("gcd(Tensor self, Tensor other) -> Tensor", kernel="mt_gcd(a, b)", dtypes=INT, doc="Greatest common divisor.")
ternary("where.self(Tensor condition, Tensor self, Tensor other) -> Tensor", kernel="a != 0 ? b : c", dtypes=ALL, promote_with=("self", "other"),
        inplace=False, out="self_out", grad={"self": "where(condition, grad, zeros_like(grad))", "other": "where(condition, zeros_like(grad), grad)"},
        jvp="where(condition, self_t, other_t)", doc="self where condition holds, else other.")
for _sig, _a, _b in (("ScalarSelf(Tensor condition, Scalar self, Tensor other)", "wrap_number(self)", "other"),
                     ("ScalarOther(Tensor condition, Tensor self, Scalar other)", "self", "wrap_number(other)"),
                     ("Scalar(Tensor condition, Scalar self, Scalar other)", "wrap_number(self)", "wrap_number(other)")):
    composite(f"where.{_sig} -> Tensor", py=("function", "method") if "Tensor self" in _sig else ("function",), body=f"where(condition, {_a}, {_b})", doc="self where condition holds, else other.")

# ---- fused -------------------------------------------------------------------------------------
ternary("addcmul(Tensor self, Tensor tensor1, Tensor tensor2, *, Scalar value=1) -> Tensor", kernel="a + value * b * c", dtypes=NUMERIC,
        kernel_name="addcmul_cpu_out",
        grad={"self": "grad", "tensor1": "grad * (tensor2 * value).conj()", "tensor2": "grad * (tensor1 * value).conj()"},
        jvp="self_t + tensor1_t * tensor2 * value + tensor2_t * tensor1 * value", doc="self + value * tensor1 * tensor2.")
ternary("addcdiv(Tensor self, Tensor tensor1, Tensor tensor2, *, Scalar value=1) -> Tensor", kernel="a + value * b / c", dtypes=FLOAT | COMPLEX,
        kernel_name="addcdiv_cpu_out",
        grad={"self": "grad", "tensor1": "grad * (value / tensor2).conj()", "tensor2": "-grad * (value * tensor1 / (tensor2 * tensor2)).conj()"},
        doc="self + value * tensor1 / tensor2.")
ternary("lerp.Tensor(Tensor self, Tensor end, Tensor weight) -> Tensor", kernel={"float": "mt_abs(c) < (T)0.5 ? a + c * (b - a) : b - (b - a) * (1 - c)",
        "complex64": "cabsf(c) < 0.5f ? a + c * (b - a) : b - (b - a) * (1 - c)", "complex128": "cabs(c) < 0.5 ? a + c * (b - a) : b - (b - a) * (1 - c)"},
        dtypes=FLOAT | COMPLEX, out="Tensor_out", node="LerpBackward1",
        grad={"self": "grad * (1 - weight).conj()", "end": "grad * weight.conj()", "weight": "grad * (end - self).conj()"},
        jvp="self_t * (1 - weight) + end_t * weight + weight_t * (end - self)", doc="self + weight * (end - self).")
ternary("lerp.Scalar(Tensor self, Tensor end, Scalar weight) -> Tensor", inputs=("self", "end"), kernel={"float": "mt_abs(weight) < (T)0.5 ? a + weight * (b - a) : b - (b - a) * (1 - weight)",
        "complex64": "cabsf(weight) < 0.5f ? a + weight * (b - a) : b - (b - a) * (1 - weight)", "complex128": "cabs(weight) < 0.5 ? a + weight * (b - a) : b - (b - a) * (1 - weight)"},
        dtypes=FLOAT | COMPLEX, out="Scalar_out", node="LerpBackward0",
        grad={"self": "grad * (1 - weight).conj()" if False else "grad - grad * weight.conj()", "end": "grad * weight.conj()"},
        doc="self + weight * (end - self).")
binary("xlogy.Tensor(Tensor self, Tensor other) -> Tensor", kernel="mt_xlogy(a, b)", dtypes=FLOAT, promotes="int_to_float", out="OutTensor",
       grad={"self": "grad * where((self == 0).logical_and(other <= 0), zeros_like(grad), other.log())", "other": "grad * self / other"}, doc="self * log(other), 0 where self is 0.")
