"""Gradients of the operators on LAPACK, made of operators: they have gradients themselves.

The formulas follow from the differential of each defining equation with the cyclic property of the
trace; M. Giles, "An extended collection of matrix derivative results" (2008), derives most of them.
"""

helper("is_vector_rhs(Tensor A, Tensor B) -> bool")
helper("solve_adjoint(Tensor A, Tensor LU, Tensor pivots, Tensor grad, bool left) -> Tensor")
helper("any_zero(Tensor x) -> bool")
helper("check_phase(Tensor product, str who) -> Tensor")
helper("check_qr_mode(Tensor Q, Tensor R, str mode) -> Tensor")
helper("reflectors_backward(Tensor grad, Tensor input, Tensor tau, Tensor other, bool adjoint) -> (Tensor, Tensor)")
_G = {"hidden": True, "doc": "Gradient."}

composite("_cholesky_backward(Tensor grad, Tensor L, bool upper) -> Tensor", body="""
low = L.mH if upper else L
g = grad.mH if upper else grad
p = (low.mH @ g).tril(0)
q = p + p.mH
off = q.tril(-1) + q.triu(1)
h = linalg_solve_triangular(low, (q + off) * 0.25, upper=False, left=False)
linalg_solve_triangular(low.mH, h, upper=True)
""", **_G)
composite("_cholesky_inverse_backward(Tensor grad, Tensor L, bool upper, Tensor inverse) -> Tensor", body="""
both = inverse @ ((grad + grad.mH) @ inverse)
-(L @ both) if upper else -(both @ L)
""", **_G)
composite("_cholesky_solve_backward(Tensor grad, Tensor result, Tensor L, bool upper) -> Tensor", body="""
half = cholesky_solve(grad, L, upper) @ result.mH
both = half + half.mH
-(L @ both) if upper else -(both @ L)
""", **_G)

# A = P L U: rows of L below, or columns of U beside, the square part are solved for first
composite("_lu_backward(Tensor gL, Tensor gU, Tensor P, Tensor L, Tensor U) -> Tensor", body="""
m = L.size(-2)
n = U.size(-1)
k = L.size(-1)
low = L.narrow(-2, 0, k)
up = U.narrow(-1, 0, k)
gl = gL.narrow(-2, 0, k)
gu = gU.narrow(-1, 0, k)
rest = gL
if m > k:
    rest = linalg_solve_triangular(up.mH, gL.narrow(-2, k, m - k), upper=False, left=False)
    gu = gu - L.narrow(-2, k, m - k).mH @ rest
if n > k:
    rest = linalg_solve_triangular(low.mH, gU.narrow(-1, k, n - k), upper=True, unitriangular=True)
    gl = gl - rest @ U.narrow(-1, k, n - k).mH
inner = (low.mH @ gl).tril(-1) + (gu @ up.mH).triu(0)
square = linalg_solve_triangular(low.mH, linalg_solve_triangular(up.mH, inner, upper=False, left=False), upper=True, unitriangular=True)
if m > k:
    square = cat([square, rest], -2)
if n > k:
    square = cat([square, rest], -1)
P @ square
""", **_G)
composite("_lu_factor_backward(Tensor grad, Tensor LU, Tensor pivots) -> Tensor", body="""
P, L, U = lu_unpack(LU, pivots)
k = L.size(-1)
_lu_backward(grad.narrow(-1, 0, k).tril(-1), grad.narrow(-2, 0, k).triu(0), P, L, U)
""", **_G)
composite("_lu_unpack_backward(Tensor gL, Tensor gU, int m, int n) -> Tensor", body="""
k = gL.size(-1)
r = gL.narrow(-2, 0, k).tril(-1) + gU.narrow(-1, 0, k).triu(0)
if m > k:
    r = cat([r, gL.narrow(-2, k, m - k)], -2)
if n > k:
    r = cat([r, gU.narrow(-1, k, n - k)], -1)
r
""", **_G)
composite("_lu_solve_backward(Tensor grad, Tensor LU, Tensor pivots, Tensor X, bool left, bool adjoint) -> Tensor", body="""
P, L, U = lu_unpack(LU, pivots)
gb = linalg_lu_solve(LU, pivots, grad, left=left, adjoint=not adjoint)
first = gb if left != adjoint else X
second = X if left != adjoint else gb
ga = -(P.mT @ (first @ second.mH if left else first.mH @ second))
(ga @ U.mH).tril(-1) + (L.mH @ ga).triu(0)
""", **_G)

composite("_linalg_solve_backward(Tensor grad, Tensor X, Tensor A, Tensor LU, Tensor pivots, bool left, int B_ndim, bool wants_A) -> (Tensor?, Tensor)", body="""
vector = is_vector_rhs(A, grad) and B_ndim < A.ndim
g = grad
x = X
if vector:
    g = grad.unsqueeze(-1) if left else grad.unsqueeze(-2)
    x = X.unsqueeze(-1) if left else X.unsqueeze(-2)
gb = solve_adjoint(A, LU, pivots, g, left)
ga = None if not wants_A else -(gb @ x.mH) if left else -(x.mH @ gb)
gv = (gb.squeeze(-1) if left else gb.squeeze(-2)) if vector else gb
(ga, gv)
""", **_G)
composite("_solve_triangular_backward(Tensor grad, Tensor A, Tensor X, bool upper, bool left, bool unitriangular) -> (Tensor, Tensor)", body="""
gb = linalg_solve_triangular(A.mH, grad, upper=not upper, left=left, unitriangular=unitriangular)
ga = -(gb @ X.mH) if left else -(X.mH @ gb)
edge = 1 if unitriangular else 0
(ga.triu(edge) if upper else ga.tril(-edge), gb)
""", **_G)
composite("_triangular_solve_backward(Tensor gX, Tensor gM, Tensor A, Tensor X, bool upper, bool transpose, bool unitriangular) -> (Tensor, Tensor)", body="""
a = A.conj() if transpose else A.mH
gb = linalg_solve_triangular(a, gX, upper=upper == transpose, unitriangular=unitriangular)
ga = -(X.conj() @ gb.mT) if transpose else -(gb @ X.mH)
edge = 1 if unitriangular else 0
(gb, (ga.triu(edge) if upper else ga.tril(-edge)) + gM)
""", **_G)
# the adjugate through singular values where a determinant is zero
composite("_linalg_det_backward(Tensor grad, Tensor det, Tensor A, Tensor LU, Tensor pivots) -> Tensor", body="""
r = A
if A.numel() == 0:
    r = zeros_like(A)
if A.numel() != 0 and not any_zero(det):
    one = eye(A.size(-1), dtype=A.dtype, device=A.device)
    r = solve_adjoint(A, LU, pivots, one * (grad * det.conj()).unsqueeze(-1).unsqueeze(-1), True)
if A.numel() != 0 and any_zero(det):
    U, S, Vh = _linalg_svd(A, True)
    alpha = ((linalg_det(U) * linalg_det(Vh)).conj() * grad).unsqueeze(-1)
    r = (U * prod_backward(alpha, S, S.prod(-1, True), S.ndim - 1).unsqueeze(-2)) @ Vh
r
""", **_G)
composite("_linalg_slogdet_backward(Tensor gsign, Tensor glog, Tensor sign, Tensor A, Tensor LU, Tensor pivots) -> Tensor", body="""
turn = gsign * sign.conj()
g = glog + (turn - turn.conj()) * 0.5 if A.is_complex() else glog
one = eye(A.size(-1), dtype=A.dtype, device=A.device)
solve_adjoint(A, LU, pivots, one * g.unsqueeze(-1).unsqueeze(-1), True)
""", **_G)

composite("_linalg_qr_backward(Tensor gQ, Tensor gR, Tensor Q, Tensor R, str mode) -> Tensor", body="""
q = check_qr_mode(Q, R, mode)
m = q.size(-2)
n = R.size(-1)
k = R.size(-2)
up = R.narrow(-1, 0, min(k, n))
gu = gR.narrow(-1, 0, min(k, n))
gq = gQ
beside = gQ
if n > m:
    beside = gR.narrow(-1, m, n - m)
    gq = gQ + (q @ R.narrow(-1, m, n - m)) @ beside.mH
s = (gu @ up.mH - q.mH @ gq).triu(0)
off = s.triu(1)
sym = (s + s.mH + off + off.mH) * 0.5
r = linalg_solve_triangular(up.mH, gq + q @ sym, upper=False, left=False)
if n > m:
    r = cat([r, q @ beside], -1)
r
""", **_G)
composite("_householder_product_backward(Tensor grad, Tensor input, Tensor tau) -> (Tensor, Tensor)", body="""
one = eye(input.size(-2), input.size(-1), dtype=input.dtype, device=input.device).expand(input.shape)
reflectors_backward(grad, input, tau, one, False)
""", **_G)
composite("_ormqr_backward(Tensor grad, Tensor self, Tensor tau, Tensor other, bool left, bool transpose) -> (Tensor, Tensor, Tensor)", body="""
g = grad if left else grad.mH
x = other if left else other.mH
a, t = reflectors_backward(g, self, tau, x, transpose if left else not transpose)
(a, t, ormqr(self, tau, grad, left, not transpose))
""", **_G)

composite("_linalg_eigh_backward(Tensor? gL, Tensor? gV, Tensor L, Tensor V) -> Tensor?", body="""
r = None
if gL is not None:
    r = (V * gL.unsqueeze(-2)) @ V.mH
if gV is not None:
    p = check_phase(V.mH @ gV, "linalg_eigh_backward")
    gap = (L.unsqueeze(-2) - L.unsqueeze(-1)).masked_fill(eye(L.size(-1), dtype=torch.bool, device=L.device), 1)
    q = V @ ((p / gap).tril(-1) + (p / gap).triu(1)) @ V.mH
    r = q if r is None else r + q
r
""", **_G)
composite("_linalg_eig_backward(Tensor? gL, Tensor? gV, Tensor L, Tensor V, bool keeps) -> Tensor?", body="""
r = None
if gL is not None:
    r = gL.unsqueeze(-1) * V.mH
if gV is not None:
    p = check_phase(V.mH @ gV, "linalg_eig_backward")
    q = p - (V.mH @ V) * real(p.diagonal(0, -2, -1)).unsqueeze(-2)
    gap = (L.unsqueeze(-2) - L.unsqueeze(-1)).conj().masked_fill(eye(L.size(-1), dtype=torch.bool, device=L.device), 1)
    s = ((q / gap).tril(-1) + (q / gap).triu(1)) @ V.mH
    r = s if r is None else r + s
if r is not None:
    r = linalg_solve(V.mH, r)
    r = r if keeps else real(r)
r
""", **_G)
composite("_linalg_svd_backward(Tensor? gU, Tensor? gS, Tensor? gVh, Tensor U, Tensor S, Tensor Vh) -> Tensor?", body="""
k = S.size(-1)
m = U.size(-2)
n = Vh.size(-1)
u = U.narrow(-1, 0, k)
vh = Vh.narrow(-2, 0, k)
sq = S * S
gap = (sq.unsqueeze(-2) - sq.unsqueeze(-1)).masked_fill(eye(k, dtype=torch.bool, device=S.device), 1)
inner = None
outer = None
pu = None
if gS is not None:
    outer = (u * gS.unsqueeze(-2)) @ vh
if gU is not None:
    gu = gU.narrow(-1, 0, k)
    p = u.mH @ gu
    pu = p
    e = (p - p.mH) / gap
    t = (e.tril(-1) + e.triu(1)) * S.unsqueeze(-2)
    if U.is_complex():
        t = t + (e - e.tril(-1) - e.triu(1)) / (S * 2).unsqueeze(-2)
    inner = t if inner is None else inner + t
    if m > k:
        z = ((gu - u @ p) / S.unsqueeze(-2)) @ vh
        outer = z if outer is None else outer + z
if gVh is not None:
    gv = gVh.narrow(-2, 0, k)
    w = vh @ gv.mH
    e = (w - w.mH) / gap
    t = S.unsqueeze(-1) * (e.tril(-1) + e.triu(1))
    pu = w if pu is None else pu + w
    inner = t if inner is None else inner + t
    if n > k:
        z = u @ ((gv - w.mH @ vh) / S.unsqueeze(-1))
        outer = z if outer is None else outer + z
if pu is not None:
    pu = check_phase(pu, "svd_backward")
if inner is not None:
    t = u @ inner @ vh
    outer = t if outer is None else outer + t
outer
""", **_G)
composite("_linalg_pinv_backward(Tensor grad, Tensor P, Tensor A) -> Tensor", body="""
ph = P.mH
gh = grad.mH
gp = gh @ P
pg = P @ gh
-(ph @ grad @ ph) + (gp - A @ (P @ gp)) @ ph + ph @ (pg - (pg @ P) @ A)
""", **_G)
composite("_linalg_lstsq_backward(Tensor? gX, Tensor? gR, Tensor A, Tensor B, Tensor X) -> (Tensor?, Tensor?)", body="""
vector = B.ndim < A.ndim
b = B.unsqueeze(-1) if vector else B
x = X.unsqueeze(-1) if vector else X
ga = None
gb = None
if gX is not None:
    g = gX.unsqueeze(-1) if vector else gX
    p = linalg_pinv(A)
    ga = _linalg_pinv_backward(g @ b.mH, p, A)
    gb = p.mH @ g
if gR is not None:
    if gR.numel() != 0:
        r = (A @ x - b) * (gR * 2).unsqueeze(-2)
        ra = r @ x.mH
        rb = -r
        ga = ra if ga is None else ga + ra
        gb = rb if gb is None else gb + rb
if gb is not None:
    gb = gb.squeeze(-1) if vector else gb
(ga, gb)
""", **_G)
