"""Elementwise arithmetic."""

binary("add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor",
       kernel="a + alpha * b", dtypes=ALL, bool_kernel="a | (alpha & b)",
       grad={"self": "grad", "other": "grad * alpha.conj()"},
       jvp="self_t + other_t * alpha", cast="promote" if False else "",
       py_sigs=("(Tensor self, Scalar alpha, Tensor other)",),
       doc="Adds `alpha * other` to `self`, elementwise with broadcasting and type promotion.")
binary("sub.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor",
       kernel="a - alpha * b", dtypes=NUMERIC, names=("subtract",),
       grad={"self": "grad", "other": "-(grad * alpha.conj())"},
       jvp="self_t - other_t * alpha",
       doc="Subtracts `alpha * other` from `self`, elementwise.")
binary("rsub.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor",
       kernel="b - alpha * a", dtypes=NUMERIC, inplace=False, out=False,
       grad={"self": "-(grad * alpha.conj())", "other": "grad"}, jvp="other_t - self_t * alpha",
       scalar="Scalar", scalar_out=False,
       doc="Subtracts `alpha * self` from `other`, elementwise.")
binary("mul.Tensor(Tensor self, Tensor other) -> Tensor",
       kernel="a * b", dtypes=ALL, bool_kernel="a & b", names=("multiply",),
       grad={"self": "grad * other.conj()", "other": "grad * self.conj()"},
       jvp="self_t * other + other_t * self",
       doc="Multiplies elementwise with broadcasting and type promotion.")
binary("div.Tensor(Tensor self, Tensor other) -> Tensor",
       kernel={"float": "a / b", "complex": "a / b"}, dtypes=FLOAT | COMPLEX,
       promotes="int_to_float", names=("divide", "true_divide"), kernel_name="div_true_cpu",
       grad={"self": "grad / other.conj()", "other": "-grad * ((self / other) / other).conj()"},
       jvp="(self_t - other_t * result) / other",
       doc="Divides elementwise; integers give the default float dtype.")
unary("neg(Tensor self) -> Tensor", kernel="-a", dtypes=NUMERIC, names=("negative",),
      grad="-grad", jvp="auto", doc="Negates each element.")
unary("reciprocal(Tensor self) -> Tensor", kernel={"float": "1 / a", "complex": "1 / a"},
      dtypes=FLOAT | COMPLEX, promotes="int_to_float",
      grad="-grad * (result * result).conj()", jvp="auto", doc="One over each element.")
unary("relu(Tensor self) -> Tensor", kernel={"int": "a > 0 ? a : 0", "float": "a <= 0 ? 0 : a"}, dtypes=INT | FLOAT,
      grad="threshold_backward(grad, result, 0)", jvp="auto", out=False, kernel_name="relu_cpu",
      doc="max(x, 0); NaN stays.")
binary("threshold_backward(Tensor grad_output, Tensor self, Scalar threshold) -> Tensor",
       kernel="b <= threshold ? 0 : a", dtypes=INT | FLOAT, inplace=False, py=("nn",),
       grad={"grad_output": "threshold_backward(grad, self, threshold)",
             "self": "zeros_like(grad)"},
       doc="Gradient of threshold: passes `grad_output` where `self` is above the threshold.")
unary("isnan(Tensor self) -> Tensor", kernel={"bool": "0", "int": "0", "float": "a != a", "complex": "a != a"}, dtypes=ALL, promotes="bool",
      inplace=False, out=False, doc="True where an element is NaN.")
unary("_conj_physical(Tensor self) -> Tensor", kernel={"all": "a", "complex": "~a"}, dtypes=ALL,
      inplace=False, out=False, py=("function",), grad="grad.conj()", jvp="auto",
      doc="Conjugate as a new tensor.")
