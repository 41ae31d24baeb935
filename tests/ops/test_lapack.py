"""Factorizations, systems and spectra: what they satisfy, their gradients, their errors, and SciPy's
values on ill-conditioned matrices."""

import pytest

import mindtorch_v2 as torch

L = torch.linalg
DTYPES = [torch.float64, torch.complex128]


def matrix(*shape, dtype=torch.float64, seed=0):
    torch.manual_seed(seed)
    return torch.randn(*shape, dtype=dtype)


def positive(n, dtype=torch.float64, batch=()):
    a = matrix(*batch, n, n, dtype=dtype)
    return a @ a.mH + torch.eye(n, dtype=dtype)


def close(a, b, tol=1e-10):
    return torch.allclose(a, b, rtol=tol, atol=tol)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batch", [(), (3,), (2, 0), (2, 2)])
def test_factors_multiply_to_the_matrix(dtype, batch):
    a, p = matrix(*batch, 4, 4, dtype=dtype), positive(4, dtype, batch)
    low = L.cholesky(p)
    assert close(low @ low.mH, p) and close(low, low.tril())
    up = L.cholesky(p, upper=True)
    assert close(up.mH @ up, p)
    P, l, u = L.lu(a)
    assert close(P @ l @ u, a)
    q, r = L.qr(a)
    assert close(q @ r, a) and close(r, r.triu())
    u, s, vh = L.svd(a)
    assert close((u * s.unsqueeze(-2)) @ vh, a)
    w, v = L.eigh(p)
    assert close((v * w.unsqueeze(-2)) @ v.mH, p)
    w, v = L.eig(a)
    assert close((v * w.unsqueeze(-2)) @ L.inv(v), a.to(torch.complex128))
    assert close(L.inv(a) @ a, torch.eye(4, dtype=dtype).expand(a.shape))
    assert close(L.det(a), L.eigvals(a).prod(-1) if dtype.is_complex else torch.real(L.eigvals(a).prod(-1)))


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (0, 3), (3, 0)])
def test_rectangles(shape):
    a = matrix(*shape)
    for mode in ("reduced", "complete"):
        q, r = L.qr(a, mode)
        assert close(q @ r, a)
    for full in (True, False):
        u, s, vh = L.svd(a, full_matrices=full)
        k = min(shape)
        assert close((u[:, :k] * s) @ vh[:k], a)
    P, l, u = L.lu(a)
    assert close(P @ l @ u, a)
    assert L.pinv(a).shape == shape[::-1]
    assert close(a @ L.pinv(a) @ a, a)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("left", [True, False])
def test_systems(dtype, left):
    a, b = matrix(3, 4, 4, dtype=dtype), matrix(4, 4, dtype=dtype, seed=1)
    x = L.solve(a, b, left=left)
    assert close(a @ x if left else x @ a, b.expand(3, 4, 4))
    lu, pivots = L.lu_factor(a)
    for adjoint in (False, True):
        x = L.lu_solve(lu, pivots, b.expand(3, 4, 4), left=left, adjoint=adjoint)
        m = a.mH if adjoint else a
        assert close(m @ x if left else x @ m, b.expand(3, 4, 4))
    t = a.triu()
    x = L.solve_triangular(t, b, upper=True, left=left)
    assert close(t @ x if left else x @ t, b.expand(3, 4, 4), 1e-6)
    v = matrix(4, dtype=dtype, seed=2)
    assert close(a[0] @ L.solve(a[0], v), v)
    ld, pivots = L.ldl_factor(positive(4, dtype), hermitian=True)
    assert close(positive(4, dtype) @ L.ldl_solve(ld, pivots, b, hermitian=True), b)


def test_least_squares_agrees_with_the_normal_equations():
    a, b = matrix(6, 3), matrix(6, 2, seed=1)
    for driver in (None, "gels", "gelsy", "gelsd", "gelss"):
        got = L.lstsq(a, b, driver=driver)
        assert close(a.mT @ (a @ got.solution - b), torch.zeros(3, 2, dtype=a.dtype))
        if driver in ("gels", "gelsd", "gelss"):
            assert close(got.residuals, ((a @ got.solution - b) ** 2).sum(0))
        if driver != "gels":
            assert got.rank.item() == 3


GRADIENTS = {
    "cholesky": lambda a: L.cholesky(a @ a.mH + torch.eye(3, dtype=a.dtype)),
    "cholesky_inverse": lambda a: torch.cholesky_inverse(L.cholesky(a @ a.mH + torch.eye(3, dtype=a.dtype))),
    "cholesky_solve": lambda a: torch.cholesky_solve(a, L.cholesky(a @ a.mH + torch.eye(3, dtype=a.dtype))),
    "inv": L.inv,
    "solve": lambda a: L.solve(a, a.mH + 1, left=False),
    "solve_triangular": lambda a: L.solve_triangular(a, a.mH, upper=True, unitriangular=True),
    "lu": lambda a: L.lu(a)[1:],
    "lu_solve": lambda a: L.lu_solve(*L.lu_factor(a), a.mH, adjoint=True),
    "det": L.det,
    "slogdet": lambda a: L.slogdet(a)[1],
    "qr": L.qr,
    "eigvalsh": lambda a: L.eigvalsh(a + a.mH),
    "svdvals": L.svdvals,
    "svd": lambda a: [x.abs() for x in L.svd(a)],
    "eig": lambda a: L.eigvals(a).abs(),
    "pinv": L.pinv,
    "lstsq": lambda a: L.lstsq(a, a.mH).solution,
    "householder_product": lambda a: L.householder_product(a, a[0]),
    "ormqr": lambda a: torch.ormqr(a, a[0], a.mH, left=False, transpose=True),
    "matrix_exp": L.matrix_exp,
    "matrix_power": lambda a: L.matrix_power(a, -3),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", sorted(GRADIENTS))
def test_gradients(name, dtype):
    a = matrix(3, 3, dtype=dtype, seed=3).requires_grad_(True)
    assert torch.autograd.gradcheck(GRADIENTS[name], (a,))
    assert torch.autograd.gradgradcheck(GRADIENTS[name], (a,), atol=1e-4)


@pytest.mark.parametrize("shape", [(5, 3), (3, 5)])
@pytest.mark.parametrize("name", ["lu", "qr", "svd", "pinv"])
def test_gradients_of_rectangles(name, shape):
    a = matrix(*shape, dtype=torch.complex128, seed=4).requires_grad_(True)
    f = {**GRADIENTS, "svd": lambda a: [x.abs() for x in L.svd(a, full_matrices=False)]}[name]
    assert torch.autograd.gradcheck(f, (a,))
    assert torch.autograd.gradgradcheck(f, (a,), atol=1e-4)


def test_the_determinant_of_a_singular_matrix_has_a_gradient():
    a = torch.tensor([[1.0, 2.0], [2.0, 4.0]], dtype=torch.float64, requires_grad=True)
    L.det(a).backward()
    assert close(a.grad, torch.tensor([[4.0, -2.0], [-2.0, 1.0]], dtype=torch.float64))


def test_a_loss_that_depends_on_the_phase_has_no_gradient():
    a = matrix(3, 3, dtype=torch.complex128).requires_grad_(True)
    with pytest.raises(RuntimeError, match="linalg_eigh_backward: The eigenvectors in the complex case"):
        torch.real(L.eigh(a).eigenvectors).sum().backward()


@pytest.mark.parametrize(
    "call, text",
    [
        (lambda: L.cholesky(torch.zeros(2, 2)), "linalg.cholesky: The factorization could not be completed because the "
         "input is not positive-definite (the leading minor of order 1 is not positive-definite)."),
        (lambda: L.inv(torch.zeros(3, 2, 2)), "linalg.inv: (Batch element 0): The diagonal element 1 is zero, the "
         "inversion could not be completed because the input matrix is singular."),
        (lambda: L.solve(torch.zeros(2, 2), torch.eye(2)), "torch.linalg.solve: The solver failed because the input "
         "matrix is singular."),
        (lambda: L.tensorinv(torch.ones(2, 3, 6)), "inv: The diagonal element 2 is zero, the inversion could not be "
         "completed because the input matrix is singular."),
    ],
)  # fmt: skip
def test_singular_matrices(call, text):
    with pytest.raises(L.LinAlgError) as error:
        call()
    assert str(error.value) == text and isinstance(error.value, RuntimeError)


@pytest.mark.parametrize(
    "call, text",
    [
        (lambda: L.inv(torch.ones(3, 2)), "linalg.inv: A must be batches of square matrices, but they are 3 by 2 matrices"),
        (lambda: L.inv(torch.ones(3)), "linalg.inv: The input tensor A must have at least 2 dimensions."),
        (lambda: L.inv(torch.ones(2, 2, dtype=torch.int32)), "linalg.inv: Expected a floating point or complex tensor as "
         "input. Got Int"),
        (lambda: L.solve(torch.eye(2), torch.ones(3, 3)), "linalg.solve: Incompatible shapes of A and B for the equation "
         "AX = B (2x2 and 3x3)"),
        (lambda: L.eigh(torch.eye(2), UPLO="x"), "Expected UPLO argument to be 'L' or 'U', but got x"),
        (lambda: L.matrix_norm(torch.eye(2), ord=3), "linalg.matrix_norm: Order 3 not supported."),
        (lambda: L.multi_dot([torch.eye(2), torch.ones(3)]), "multi_dot(): tensors 0 and 1 with shapes [2, 2] and [3] "
         "cannot be multiplied"),
    ],
)  # fmt: skip
def test_wrong_arguments(call, text):
    with pytest.raises(RuntimeError) as error:
        call()
    assert str(error.value) == text


def test_named_results_and_graph_names():
    a = positive(3).requires_grad_(True)
    assert L.eigh(a)._fields if hasattr(L.eigh(a), "_fields") else L.eigh(a).eigenvalues.shape == (3,)
    names = {
        "LinalgCholeskyExBackward0": L.cholesky(a), "LinalgInvExBackward0": L.inv(a), "LinalgSvdBackward0": L.svd(a).S,
        "LinalgEighBackward0": L.eigh(a).eigenvectors, "LinalgDetBackward0": L.det(a), "LinalgQrBackward0": L.qr(a).Q,
        "LinalgSolveExBackward0": L.solve(a, a), "LinalgPinvBackward0": L.pinv(a),
        "LinalgMatrixExpBackward0": torch.matrix_exp(a),
    }  # fmt: skip
    for name, value in names.items():
        assert type(value.grad_fn).__name__ == name


def test_results_do_not_depend_on_the_number_of_threads():
    a = matrix(40, 30, 30)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = [L.inv(a), L.svdvals(a), L.eigh(a).eigenvectors, L.qr(a).R]
        torch.set_num_threads(4)
        many = [L.inv(a), L.svdvals(a), L.eigh(a).eigenvectors, L.qr(a).R]
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(x, y) for x, y in zip(one, many, strict=True))


def hilbert(n):
    i = torch.arange(n, dtype=torch.float64)
    return 1 / (i.unsqueeze(0) + i.unsqueeze(1) + 1)


def test_ill_conditioned_matrices_against_scipy():
    scipy = pytest.importorskip("scipy.linalg")
    np = pytest.importorskip("numpy")
    a = hilbert(10)
    n = a.numpy()
    assert np.allclose(L.svdvals(a).numpy(), scipy.svdvals(n), rtol=1e-12, atol=1e-16)
    assert np.allclose(L.eigvalsh(a).numpy(), scipy.eigvalsh(n), rtol=1e-12, atol=1e-15)
    assert np.isclose(L.det(hilbert(6)).item(), scipy.det(hilbert(6).numpy()), rtol=1e-10)
    assert np.isclose(L.cond(hilbert(8)).item(), np.linalg.cond(hilbert(8).numpy()), rtol=1e-6)
    b = a @ torch.ones(10, dtype=torch.float64)
    x = L.solve(a, b)
    assert L.vector_norm(a @ x - b).item() < 1e-14  # backward stable, whatever the condition
    assert np.allclose(L.pinv(a, rtol=1e-8).numpy(), np.linalg.pinv(n, rcond=1e-8), rtol=1e-4, atol=1e-2)
    for scale in (0.01, 1.0, 30.0):
        m = matrix(6, 6, seed=5) * scale
        want = scipy.expm(m.numpy())
        assert np.allclose(L.matrix_exp(m).numpy(), want, rtol=1e-9, atol=1e-12 * np.abs(want).max())
    assert int(L.matrix_rank(a, rtol=1e-8)) == int(np.linalg.matrix_rank(n, tol=scipy.svdvals(n)[0] * 1e-8))


def test_functions_of_matrices():
    a, b = matrix(3, 3), matrix(3, 3, seed=1)
    assert close(L.multi_dot([a[0], a, b, b[1]]), a[0] @ a @ b @ b[1])
    assert close(L.matrix_power(a, 5), a @ a @ a @ a @ a)
    assert close(L.matrix_power(a, -2), L.inv(a) @ L.inv(a))
    assert close(L.cross(a, b)[0], torch.stack([a[0, 1] * b[0, 2] - a[0, 2] * b[0, 1],
                                                a[0, 2] * b[0, 0] - a[0, 0] * b[0, 2],
                                                a[0, 0] * b[0, 1] - a[0, 1] * b[0, 0]]))  # fmt: skip
    assert L.vander(torch.tensor([2, 3])).tolist() == [[1, 2], [1, 3]]
    assert torch.vander(torch.tensor([2, 3]), 3).tolist() == [[4, 2, 1], [9, 3, 1]]
    t = matrix(2, 3, 6)
    x = L.tensorsolve(t, torch.ones(2, 3, dtype=torch.float64))
    assert close((t.reshape(6, 6) @ x).reshape(2, 3), torch.ones(2, 3, dtype=torch.float64))
    assert L.tensorinv(t).shape == (6, 2, 3)
    for p, want in ((1, a.abs().sum(0).max()), (float("inf"), a.abs().sum(1).max()), ("fro", (a * a).sum().sqrt()),
                    ("nuc", L.svdvals(a).sum()), (2, L.svdvals(a)[0]), (-2, L.svdvals(a)[-1])):  # fmt: skip
        assert close(L.matrix_norm(a, p), want)
        assert close(L.norm(a, p), want)


def test_given_results_are_written():
    a = positive(3)
    q, r = torch.empty(0, dtype=a.dtype), torch.empty(3, 3, dtype=a.dtype)
    got = L.qr(a, out=(q, r))
    assert got[0] is q and got[1] is r and close(q @ r, a)
    w, v = torch.empty(0, dtype=a.dtype), torch.empty(0, dtype=a.dtype)
    L.eigh(a, out=(w, v))
    assert close((v * w) @ v.mT, a)
    assert L.cholesky(a.to("meta")).shape == (3, 3)
