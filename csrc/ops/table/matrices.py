"""Norms, ranks, powers and other functions of matrices."""

_L = ("linalg",)
_TOL = "*, Tensor? atol=None, Tensor? rtol=None, bool hermitian=False"
_TOLF = "*, float? atol=None, float? rtol=None, bool hermitian=False"

# ---- pseudoinverse and rank ----------------------------------------------------------------------
func(f"linalg_pinv.atol_rtol_tensor(Tensor self, {_TOL}) -> Tensor", out="atol_rtol_tensor_out", py=_L, node="LinalgPinvBackward0",
     grad={"self": "_linalg_pinv_backward(grad, result, self)"}, doc="Moore-Penrose inverse.")
composite(f"linalg_pinv.atol_rtol_float(Tensor self, {_TOLF}) -> Tensor", out="atol_rtol_float_out", py=_L, doc="Moore-Penrose inverse.")
composite("linalg_pinv(Tensor self, float rcond, bool hermitian=False) -> Tensor", out="out", py=_L,
          body="linalg_pinv(self, atol=0.0, rtol=rcond, hermitian=hermitian)", doc="Moore-Penrose inverse.")
composite("linalg_pinv.rcond_tensor(Tensor self, Tensor rcond, bool hermitian=False) -> Tensor", out="out_rcond_tensor", py=_L,
          body="linalg_pinv(self, atol=zeros_like(rcond), rtol=rcond, hermitian=hermitian)", doc="Moore-Penrose inverse.")
composite("pinverse(Tensor self, float rcond=1e-15) -> Tensor", body="linalg_pinv(self, rcond, False)", doc="linalg.pinv.")
composite("_pinv_value(Tensor self, Tensor atol, Tensor rtol, bool hermitian) -> Tensor", hidden=True, body="""
r = self
if hermitian:
    L, V = linalg_eigh(self)
    size = L.abs()
    keep = size > maximum(atol.unsqueeze(-1), rtol.unsqueeze(-1) * size.amax([-1], True))
    r = (V * where(keep, L.reciprocal(), zeros_like(L)).unsqueeze(-2)) @ V.mH
else:
    U, S, Vh = linalg_svd(self, False)
    keep = S > maximum(atol.unsqueeze(-1), rtol.unsqueeze(-1) * S.narrow(-1, 0, 1))
    r = (Vh.mH * where(keep, S.reciprocal(), zeros_like(S)).unsqueeze(-2)) @ U.mH
r
""", doc="The value of pinv.")
composite(f"linalg_matrix_rank.atol_rtol_tensor(Tensor input, {_TOL}) -> Tensor", out="atol_rtol_tensor_out", py=_L, doc="How many singular values are large.")
composite(f"linalg_matrix_rank.atol_rtol_float(Tensor self, {_TOLF}) -> Tensor", out="atol_rtol_float_out", py=_L, doc="How many singular values are large.")
composite("linalg_matrix_rank(Tensor self, float tol, bool hermitian=False) -> Tensor", out="out", py=_L,
          body="linalg_matrix_rank(self, atol=tol, rtol=0.0, hermitian=hermitian)", doc="How many singular values are large.")
composite("linalg_matrix_rank.tol_tensor(Tensor input, Tensor tol, bool hermitian=False) -> Tensor", out="out_tol_tensor", py=_L,
          body="linalg_matrix_rank(input, atol=tol, rtol=zeros_like(tol), hermitian=hermitian)", doc="How many singular values are large.")

# ---- norms and condition -------------------------------------------------------------------------
_DIMS = "int[] dim=[-2,-1], bool keepdim=False, *, ScalarType? dtype=None"
composite(f"linalg_matrix_norm(Tensor self, Scalar ord, {_DIMS}) -> Tensor", out="out", py=_L, doc="Norm of matrices.")
composite(f"linalg_matrix_norm.str_ord(Tensor self, str ord=\"fro\", {_DIMS}) -> Tensor", out="str_ord_out", py=_L, doc="Norm of matrices.")
_DIMS = "int[1]? dim=None, bool keepdim=False, *, ScalarType? dtype=None"
composite(f"linalg_norm(Tensor self, Scalar? ord=None, {_DIMS}) -> Tensor", out="out", py=_L, doc="Norm of vectors or matrices.")
composite(f"linalg_norm.ord_str(Tensor self, str ord, {_DIMS}) -> Tensor", out="ord_str_out", py=_L, doc="Norm of vectors or matrices.")
composite("nuclear_norm(Tensor self, bool keepdim=False) -> Tensor", out="out", py=("function",), body="linalg_matrix_norm(self, \"nuc\", [-2, -1], keepdim)",
          doc="Sum of singular values.")
composite("nuclear_norm.dim(Tensor self, int[2] dim, bool keepdim=False) -> Tensor", out="dim_out", py=("function",),
          body="linalg_matrix_norm(self, \"nuc\", dim, keepdim)", doc="Sum of singular values.")
composite("frobenius_norm.dim(Tensor self, int[1] dim, bool keepdim=False) -> Tensor", out="out", py=("function",), doc="Root of the sum of squares.")
composite("linalg_cond(Tensor self, Scalar? p=None) -> Tensor", out="out", py=_L, doc="Condition number.")
composite("linalg_cond.p_str(Tensor self, str p) -> Tensor", out="p_str_out", py=_L, doc="Condition number.")

# ---- products ------------------------------------------------------------------------------------
op("linalg_matrix_exp(Tensor self) -> Tensor", py=_L, dtypes=FLOAT | COMPLEX, flags=("OUT_CONTIGUOUS",),
   grad={"self": "_matrix_exp_backward(grad, self)"}, doc="Exponential of a square matrix.")
composite("matrix_exp(Tensor self) -> Tensor", body="linalg_matrix_exp(self)", doc="linalg.matrix_exp.")
composite("_matrix_exp_backward(Tensor grad, Tensor self) -> Tensor", hidden=True, body="""
n = self.size(-1)
a = self.mH
zero = zeros_like(a)
top = cat([a, grad], -1)
bottom = cat([zero, a], -1)
linalg_matrix_exp(cat([top, bottom], -2)).narrow(-2, 0, n).narrow(-1, n, n)
""", doc="Gradient of matrix_exp: a corner of the exponential of a block matrix.")
composite("linalg_matrix_power(Tensor self, int n) -> Tensor", out=True, py=_L, doc="A power of a square matrix.")
composite("matrix_power(Tensor self, int n) -> Tensor", out=True, body="linalg_matrix_power(self, n)", doc="linalg.matrix_power.")
composite("linalg_matmul(Tensor self, Tensor other) -> Tensor", out=True, py=_L, body="matmul(self, other)", doc="matmul.")
composite("linalg_multi_dot(Tensor[] tensors) -> Tensor", out=True, py=_L, doc="Product of matrices in the cheapest order.")
composite("chain_matmul(Tensor[] matrices) -> Tensor", out=True, py=("function",), doc="linalg.multi_dot.")
op("linalg_cross(Tensor self, Tensor other, *, int dim=-1) -> Tensor", py=_L,
   grad={"self": "linalg_cross(other.conj(), grad, dim=dim)", "other": "linalg_cross(grad, self.conj(), dim=dim)"},
   jvp="linalg_cross(self_t, other, dim=dim) + linalg_cross(self, other_t, dim=dim)", doc="Cross product of vectors of three.")
composite("cross(Tensor self, Tensor other, int? dim=None) -> Tensor", out=True, doc="Cross product along the first dimension of size 3.")
composite("linalg_vecdot(Tensor x, Tensor y, *, int dim=-1) -> Tensor", out=True, py=_L, doc="Dot products along a dimension.")
composite("linalg_vander(Tensor x, *, SymInt? N=None) -> Tensor", py=_L, doc="Powers 0, 1, ... of each element.")
composite("vander(Tensor x, int? N=None, bool increasing=False) -> Tensor", py=("function",), doc="Vandermonde matrix.")
composite("linalg_tensorinv(Tensor self, int ind=2) -> Tensor", out=True, py=_L, doc="Inverse with respect to tensordot.")
composite("linalg_tensorsolve(Tensor self, Tensor other, int[]? dims=None) -> Tensor", out=True, py=_L, doc="Solves a system with respect to tensordot.")
composite("linalg_diagonal(Tensor(a) A, *, int offset=0, int dim1=-2, int dim2=-1) -> Tensor(a)", py=_L, body="A.diagonal(offset, dim1, dim2)",
          doc="diagonal.")
