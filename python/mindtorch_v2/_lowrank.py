"""Singular values of large matrices through random projections.

N. Halko, P. Martinsson, J. Tropp, "Finding structure with randomness" (2009), algorithms 4.4 and 5.1.
"""

from . import _C

_VF = _C._VariableFunctions

__all__ = ["pca_lowrank", "svd_lowrank"]


def get_approximate_basis(A, q, niter=2, M=None):
    """Q of shape (..., m, q) with orthonormal columns that nearly span the range of A - M.

    A: (..., m, n); q: columns; niter: subspace iterations, each of which brings Q closer.
    """

    def times(matrix, mean, other):
        product = _VF.matmul(matrix, other)
        return product if mean is None else product - _VF.matmul(mean, other)

    dtype = A.dtype if A.dtype.is_floating_point or A.dtype.is_complex else _C.get_default_dtype()
    around = None if M is None else M.mH
    _qr = _C._linalg.linalg_qr
    Q = _qr(times(A, M, _VF.randn(A.shape[-1], q, dtype=dtype, device=A.device))).Q
    for _ in range(niter or 0):
        Q = _qr(times(A.mH, around, Q)).Q
        Q = _qr(times(A, M, Q)).Q
    return Q


def svd_lowrank(A, q=6, niter=2, M=None):
    """(U, S, V) with A - M close to U diag(S) V^H: shapes (..., m, q), (..., q), (..., n, q).

    A: (..., m, n); q: a little more than the rank that is looked for (6); M: subtracted from A,
    broadcast to its shape. Draws from the default generator. Reference: torch.svd_lowrank.
    """
    given = (A,) if M is None else (A, M)
    if _C._has_torch_function(given):
        return _C._handle_torch_function(svd_lowrank, given, (A,), dict(q=q, niter=niter, M=M))
    q = 6 if q is None else q
    if M is not None:
        M = _VF.broadcast_to(M, A.shape)
    flip = A.shape[-2] < A.shape[-1]
    if flip:
        A, M = A.mH, None if M is None else M.mH
    Q = get_approximate_basis(A, q, niter, M)
    B = _VF.matmul(Q.mH, A)
    if M is not None:
        B = B - _VF.matmul(Q.mH, M)
    U, S, Vh = _C._linalg.linalg_svd(B, full_matrices=False)
    U, V = _VF.matmul(Q, U), Vh.mH
    return (V, S, U) if flip else (U, S, V)


def pca_lowrank(A, q=None, center=True, niter=2):
    """(U, S, V) of svd_lowrank for the rows of A: the columns of V are principal directions.

    A: (..., m, n), m samples of n features; center: subtract the mean sample. q: at most 6 by
    default. Raises ValueError for q or niter out of range. Reference: torch.pca_lowrank.
    """
    if _C._has_torch_function_unary(A):
        return _C._handle_torch_function(pca_lowrank, (A,), (A,), dict(q=q, center=center, niter=niter))
    m, n = A.shape[-2:]
    if q is None:
        q = min(6, m, n)
    elif not 0 <= q <= min(m, n):
        raise ValueError(f"q(={q}) must be non-negative integer and not greater than min(m, n)={min(m, n)}")
    if not niter >= 0:
        raise ValueError(f"niter(={niter}) must be non-negative integer")
    return svd_lowrank(A - A.mean(dim=(-2,), keepdim=True) if center else A, q, niter=niter, M=None)
