"""Factorizations, linear systems, eigenvalues and singular values."""

_BLAS = REAL | COMPLEX
_L = ("linalg",)

# ---- Cholesky ------------------------------------------------------------------------------------
op("linalg_cholesky_ex(Tensor self, *, bool upper=False, bool check_errors=False) -> (Tensor L, Tensor info)", out="L", py=_L,
   dtypes=_BLAS, nondiff=("info",), grad={"self": "_cholesky_backward(grad, L, upper)"}, doc="Cholesky factor, and where it failed.")
composite("linalg_cholesky(Tensor self, *, bool upper=False) -> Tensor", out=True, py=_L, doc="Cholesky factor of a positive definite matrix.")
op("cholesky(Tensor self, bool upper=False) -> Tensor", dtypes=_BLAS, grad={"self": "_cholesky_backward(grad, result, upper)"},
   doc="linalg.cholesky under its old name.")
op("cholesky_inverse(Tensor self, bool upper=False) -> Tensor", dtypes=_BLAS,
   grad={"self": "_cholesky_inverse_backward(grad, self, upper, result)"}, doc="Inverse of a matrix from its Cholesky factor.")
op("cholesky_solve(Tensor self, Tensor input2, bool upper=False) -> Tensor", dtypes=_BLAS,
   grad={"self": "cholesky_solve(grad, input2, upper)", "input2": "_cholesky_solve_backward(grad, result, input2, upper)"},
   doc="Solves a system from the Cholesky factor of its matrix.")

# ---- LU, LDL -------------------------------------------------------------------------------------
op("linalg_lu_factor_ex(Tensor A, *, bool pivot=True, bool check_errors=False) -> (Tensor LU, Tensor pivots, Tensor info)", out="out",
   py=_L, dtypes=_BLAS, nondiff=("pivots", "info"), grad={"A": "_lu_factor_backward(grad, LU, pivots)"},
   doc="LU factorization in compact form, and where a pivot is zero.")
composite("linalg_lu_factor(Tensor A, *, bool pivot=True) -> (Tensor LU, Tensor pivots)", out=True, py=_L, doc="LU factorization in compact form.")
composite("_lu_with_info(Tensor self, bool pivot=True, bool check_errors=True) -> (Tensor LU, Tensor pivots, Tensor info)", py=("function",),
          doc="linalg_lu_factor_ex.")
op("lu_unpack(Tensor LU_data, Tensor LU_pivots, bool unpack_data=True, bool unpack_pivots=True) -> (Tensor P, Tensor L, Tensor U)",
   py=("function",), dtypes=_BLAS, flags=("OUT_CONTIGUOUS",), nondiff=("P",), out="out",
   grad={"LU_data": "_lu_unpack_backward(grads.L, grads.U, LU_data.size(-2), LU_data.size(-1))"}, doc="The factors of a compact LU factorization.")
op("linalg_lu(Tensor A, *, bool pivot=True) -> (Tensor P, Tensor L, Tensor U)", py=_L, dtypes=_BLAS, flags=("OUT_CONTIGUOUS",), out="out",
   nondiff=("P",), grad={"A": "_lu_backward(grads.L, grads.U, P, L, U)"}, doc="A = P L U.")
op("linalg_lu_solve(Tensor LU, Tensor pivots, Tensor B, *, bool left=True, bool adjoint=False) -> Tensor", py=_L, dtypes=_BLAS,
   grad={"LU": "_lu_solve_backward(grad, LU, pivots, result, left, adjoint)",
         "B": "linalg_lu_solve(LU, pivots, grad, left=left, adjoint=not adjoint)"}, doc="Solves a system from an LU factorization.")
composite("lu_solve(Tensor self, Tensor LU_data, Tensor LU_pivots) -> Tensor", out=True, doc="linalg.lu_solve, argument order reversed.")
op("linalg_ldl_factor_ex(Tensor self, *, bool hermitian=False, bool check_errors=False) -> (Tensor LD, Tensor pivots, Tensor info)",
   out="out", py=_L, dtypes=_BLAS, nondiff=("pivots", "info"), node="NotImplemented", grad={"self": "@not_implemented"}, doc="LDL factorization in compact form.")
composite("linalg_ldl_factor(Tensor self, *, bool hermitian=False) -> (Tensor LD, Tensor pivots)", out=True, py=_L, doc="LDL factorization in compact form.")
op("linalg_ldl_solve(Tensor LD, Tensor pivots, Tensor B, *, bool hermitian=False) -> Tensor", py=_L, dtypes=_BLAS,
   node="NotImplemented", grad={"LD, B": "@not_implemented"}, doc="Solves a system from an LDL factorization.")

# ---- systems, inverses, determinants -------------------------------------------------------------
op("_linalg_solve_ex(Tensor A, Tensor B, *, bool left=True, bool check_errors=False) -> (Tensor result, Tensor LU, Tensor pivots, Tensor info)",
   out="result", py=("function",), dtypes=_BLAS, nondiff=("LU", "pivots", "info"),
   grad={"A, B": "_linalg_solve_backward(grad, result, A, LU, pivots, left, B.ndim, want['A'])"}, doc="Solution of a system and its factorization.")
composite("linalg_solve_ex(Tensor A, Tensor B, *, bool left=True, bool check_errors=False) -> (Tensor result, Tensor info)", out="out", py=_L,
          doc="Solution of A X = B, and where the matrix is singular.")
composite("linalg_solve(Tensor A, Tensor B, *, bool left=True) -> Tensor", out=True, py=_L, doc="Solution of A X = B, or of X A = B.")
op("linalg_inv_ex(Tensor A, *, bool check_errors=False) -> (Tensor inverse, Tensor info)", out="inverse", py=_L, dtypes=_BLAS, nondiff=("info",),
   grad={"A": "-(inverse.mH @ grad @ inverse.mH)"}, doc="Inverse, and where the matrix is singular.")
composite("linalg_inv(Tensor A) -> Tensor", out=True, py=_L, doc="Inverse of a matrix.")
composite("inverse(Tensor self) -> Tensor", out=True, body="linalg_inv(self)", doc="linalg.inv.")
composite("_tensor_inverse(Tensor A) -> Tensor", hidden=True, doc="linalg.inv as tensorinv calls it.")
op("linalg_solve_triangular(Tensor self, Tensor B, *, bool upper, bool left=True, bool unitriangular=False) -> Tensor", py=_L, dtypes=_BLAS,
   grad={"self, B": "_solve_triangular_backward(grad, self, result, upper, left, unitriangular)"}, doc="Solves a triangular system.")
op("triangular_solve(Tensor self, Tensor A, bool upper=True, bool transpose=False, bool unitriangular=False) -> (Tensor solution, Tensor cloned_coefficient)",
   out="X", dtypes=_BLAS, grad={"self, A": "_triangular_solve_backward(grads.solution, grads.cloned_coefficient, A, solution, upper, transpose, unitriangular)"},
   doc="Solves a triangular system, argument order reversed.")
op("_linalg_det(Tensor A) -> (Tensor result, Tensor LU, Tensor pivots)", out="result", py=("function",), dtypes=_BLAS, nondiff=("LU", "pivots"),
   grad={"A": "_linalg_det_backward(grad, result, A, LU, pivots)"}, doc="Determinant and LU factorization.")
composite("linalg_det(Tensor A) -> Tensor", out=True, py=_L, doc="Determinant.")
composite("det(Tensor self) -> Tensor", body="linalg_det(self)", doc="Determinant.")
op("_linalg_slogdet(Tensor A) -> (Tensor sign, Tensor logabsdet, Tensor LU, Tensor pivots)", out="sign", py=("function",), dtypes=_BLAS,
   nondiff=("LU", "pivots"), grad={"A": "_linalg_slogdet_backward(grads.sign, grads.logabsdet, sign, A, LU, pivots)"},
   doc="Sign and logarithm of the determinant.")
composite("linalg_slogdet(Tensor A) -> (Tensor sign, Tensor logabsdet)", out=True, py=_L, doc="Sign and logarithm of the size of the determinant.")
composite("slogdet(Tensor self) -> (Tensor sign, Tensor logabsdet)", out=True, body="linalg_slogdet(self)", doc="linalg.slogdet.")
composite("logdet(Tensor self) -> Tensor", doc="Logarithm of the determinant.")

# ---- QR and reflectors ---------------------------------------------------------------------------
op("linalg_qr(Tensor A, str mode=\"reduced\") -> (Tensor Q, Tensor R)", out=True, py=_L, dtypes=_BLAS,
   grad={"A": "_linalg_qr_backward(grads.Q, grads.R, Q, R, mode)"}, doc="A = Q R with orthonormal columns in Q.")
composite("qr(Tensor self, bool some=True) -> (Tensor Q, Tensor R)", out="Q", doc="linalg.qr under its old name.")
op("geqrf(Tensor self) -> (Tensor a, Tensor tau)", out="a", dtypes=_BLAS, grad={"self": "@not_implemented"}, doc="QR as LAPACK stores it: reflectors and R.")
op("linalg_householder_product(Tensor input, Tensor tau) -> Tensor", py=_L, dtypes=_BLAS,
   grad={"input, tau": "_householder_product_backward(grad, input, tau)"}, doc="The first columns of a product of Householder reflectors.")
composite("orgqr(Tensor self, Tensor input2) -> Tensor", out=True, body="linalg_householder_product(self, input2)", doc="linalg.householder_product.")
op("ormqr(Tensor self, Tensor input2, Tensor input3, bool left=True, bool transpose=False) -> Tensor", dtypes=_BLAS,
   grad={"self, input2, input3": "_ormqr_backward(grad, self, input2, input3, left, transpose)"}, doc="A product of Householder reflectors times a matrix.")
func("linalg_lstsq(Tensor self, Tensor b, float? rcond=None, *, str? driver=None) -> (Tensor solution, Tensor residuals, Tensor rank, Tensor singular_values)",
     out=True, py=_L, flags=("NO_META", "UNDEFINED_OK"), nondiff=("rank", "singular_values"),
     grad={"self, b": "_linalg_lstsq_backward(grads.solution, grads.residuals, self, b, solution)"}, doc="Least squares solution of A X = B.")

# ---- spectra -------------------------------------------------------------------------------------
op("_linalg_eigh(Tensor A, str UPLO=\"L\", bool compute_v=True) -> (Tensor eigenvalues, Tensor eigenvectors)", out="eigenvalues",
   py=("function",), dtypes=_BLAS, flags=("UNDEFINED_OK",),
   grad={"A": "_linalg_eigh_backward(grads.eigenvalues, grads.eigenvectors, eigenvalues, eigenvectors)"}, doc="Eigenvalues and vectors of a Hermitian matrix.")
composite("linalg_eigh(Tensor self, str UPLO=\"L\") -> (Tensor eigenvalues, Tensor eigenvectors)", py=_L, doc="Eigenvalues and vectors of a Hermitian matrix.")
composite("linalg_eigh.eigvals(Tensor self, str UPLO=\"L\", *, Tensor(a!) eigvals, Tensor(b!) eigvecs) -> (Tensor(a!) eigenvalues, Tensor(b!) eigenvectors)",
          py=_L, doc="linalg.eigh into given tensors.")
composite("linalg_eigvalsh(Tensor self, str UPLO=\"L\") -> Tensor", out=True, py=_L, doc="Eigenvalues of a Hermitian matrix.")
op("linalg_eig(Tensor self) -> (Tensor eigenvalues, Tensor eigenvectors)", out=True, py=_L, dtypes=_BLAS, flags=("UNDEFINED_OK",),
   grad={"self": "_linalg_eig_backward(grads.eigenvalues, grads.eigenvectors, eigenvalues, eigenvectors, self.is_complex())"},
   doc="Eigenvalues and vectors of a square matrix.")
op("_linalg_eigvals(Tensor self) -> Tensor", out=False, py=("function",), dtypes=_BLAS, doc="Eigenvalues of a square matrix.")
composite("linalg_eigvals(Tensor self) -> Tensor", out=True, py=_L, doc="Eigenvalues of a square matrix.")
op("_linalg_svd(Tensor A, bool full_matrices=False, bool compute_uv=True, *, str? driver=None) -> (Tensor U, Tensor S, Tensor Vh)", out="U",
   py=("function",), dtypes=_BLAS, flags=("UNDEFINED_OK",),
   grad={"A": "_linalg_svd_backward(grads.U, grads.S, grads.Vh, U, S, Vh)"}, doc="Singular values and vectors.")
composite("linalg_svd(Tensor A, bool full_matrices=True, *, str? driver=None) -> (Tensor U, Tensor S, Tensor Vh)", out="U", py=_L,
          doc="A = U diag(S) Vh.")
composite("linalg_svdvals(Tensor A, *, str? driver=None) -> Tensor", out=True, py=_L, doc="Singular values, largest first.")
composite("svd(Tensor self, bool some=True, bool compute_uv=True) -> (Tensor U, Tensor S, Tensor V)", out="U", doc="A = U diag(S) V^H.")
