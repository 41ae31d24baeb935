"""Matrix products."""

_MATH = INT | FLOAT | COMPLEX
op("mm(Tensor self, Tensor mat2) -> Tensor", dtypes=_MATH, cast="lower", flags=("OUT_CONTIGUOUS", "SAME_DTYPE_OUT"),
   grad={"self": "grad.mm(mat2.t().conj())", "mat2": "self.t().conj().mm(grad)"}, jvp="self_t.mm(mat2) + self.mm(mat2_t)",
   doc="Matrix product of [n, k] and [k, m].")
op("bmm(Tensor self, Tensor mat2) -> Tensor", dtypes=_MATH, cast="lower", flags=("OUT_CONTIGUOUS", "SAME_DTYPE_OUT"),
   grad={"self": "grad.bmm(mat2.transpose(1, 2).conj())", "mat2": "self.transpose(1, 2).conj().bmm(grad)"}, jvp="self_t.bmm(mat2) + self.bmm(mat2_t)",
   doc="Batch of matrix products of [b, n, k] and [b, k, m].")
op("addmm(Tensor self, Tensor mat1, Tensor mat2, *, Scalar beta=1, Scalar alpha=1) -> Tensor", dtypes=_MATH, cast="lower", inplace=True, flags=("OUT_CONTIGUOUS", "SAME_DTYPE_OUT"),
   py_sigs=("(Tensor self, Scalar beta, Scalar alpha, Tensor mat1, Tensor mat2)", "(Tensor self, Scalar beta, Tensor mat1, Tensor mat2)") if False else (),
   grad={"self": "grad * beta.conj()", "mat1": "grad.mm(mat2.t().conj()) * alpha.conj()", "mat2": "mat1.t().conj().mm(grad) * alpha.conj()"},
   jvp="self_t * beta + (mat1_t.mm(mat2) + mat1.mm(mat2_t)) * alpha", doc="beta * self + alpha * mat1 @ mat2.")
op("baddbmm(Tensor self, Tensor batch1, Tensor batch2, *, Scalar beta=1, Scalar alpha=1) -> Tensor", dtypes=_MATH, cast="lower", inplace=True, flags=("OUT_CONTIGUOUS", "SAME_DTYPE_OUT"),
   grad={"self": "grad * beta.conj()", "batch1": "grad.bmm(batch2.transpose(1, 2).conj()) * alpha.conj()", "batch2": "batch1.transpose(1, 2).conj().bmm(grad) * alpha.conj()"},
   jvp="self_t * beta + (batch1_t.bmm(batch2) + batch1.bmm(batch2_t)) * alpha", doc="beta * self + alpha * batch1 @ batch2.")
op("mv(Tensor self, Tensor vec) -> Tensor", dtypes=_MATH, cast="lower", flags=("OUT_CONTIGUOUS", "SAME_DTYPE_OUT"),
   grad={"self": "grad.outer(vec.conj())", "vec": "self.conj().t().mv(grad)"}, jvp="self_t.mv(vec) + self.mv(vec_t)", doc="Matrix times vector.")
op("addmv(Tensor self, Tensor mat, Tensor vec, *, Scalar beta=1, Scalar alpha=1) -> Tensor", dtypes=_MATH, inplace=True, flags=("OUT_CONTIGUOUS", "SAME_DTYPE_OUT"),
   grad={"self": "grad * beta.conj()", "mat": "grad.outer(vec.conj()) * alpha.conj()", "vec": "mat.t().conj().mv(grad) * alpha.conj()"}, doc="beta * self + alpha * mat @ vec.")
op("dot(Tensor self, Tensor tensor) -> Tensor", dtypes=_MATH, flags=("SAME_DTYPE_OUT",),
   grad={"self": "grad * tensor.conj()", "tensor": "grad * self.conj()"}, jvp="self_t.dot(tensor) + self.dot(tensor_t)", doc="Inner product of two vectors.")
op("vdot(Tensor self, Tensor other) -> Tensor", dtypes=_MATH, flags=("SAME_DTYPE_OUT",),
   grad={"self": "grad.conj() * other", "other": "grad * self"}, doc="Inner product, self conjugated.")
composite("outer(Tensor self, Tensor vec2) -> Tensor", names=("ger",), out=True, doc="Products of all pairs.")
composite("matmul(Tensor self, Tensor other) -> Tensor", names=("__matmul__",), out=True, doc="Matrix product with broadcasting, by the numbers of dimensions.")
composite("__rmatmul__(Tensor self, Tensor other) -> Tensor", flags=("SILENT",), py=("method",), body="matmul(other, self)", doc="other @ self")
composite("linear(Tensor input, Tensor weight, Tensor? bias=None) -> Tensor", py=("nn",), doc="input @ weight.T + bias.")
func("addr(Tensor self, Tensor vec1, Tensor vec2, *, Scalar beta=1, Scalar alpha=1) -> Tensor", inplace=True, out=True,
     grad={"self": "grad * beta.conj()", "vec1": "grad.mv(vec2.conj()) * alpha.conj()", "vec2": "grad.t().mv(vec1.conj()) * alpha.conj()"}, doc="beta * self + alpha * outer(vec1, vec2).")
func("addbmm(Tensor self, Tensor batch1, Tensor batch2, *, Scalar beta=1, Scalar alpha=1) -> Tensor", inplace=True, out=True,
     grad={"self": "grad * beta.conj()",
           "batch1": "matmul(grad.unsqueeze(0), batch2.transpose(1, 2).conj()) * alpha.conj()",
           "batch2": "matmul(batch1.transpose(1, 2).conj(), grad.unsqueeze(0)) * alpha.conj()"}, doc="beta * self + alpha * sum of batch1 @ batch2.")
composite("inner(Tensor self, Tensor other) -> Tensor", out=True, body="self * other if self.dim() == 0 or other.dim() == 0 else tensordot(self, other, [-1], [-1])",
          doc="Sum of products over the last dimensions.")
composite("tensordot(Tensor self, Tensor other, int[] dims_self, int[] dims_other) -> Tensor", py=("function",), out=True, doc="Sum of products over the given dimensions.")
