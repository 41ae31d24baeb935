"""Randomised singular values, principal components, and the old names of linear algebra."""

import pytest

import mindtorch_v2 as torch


@pytest.mark.parametrize("shape", [(20, 9), (9, 20), (2, 12, 12)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_matrices_of_low_rank_are_found(shape, dtype):
    rank = 3
    a = torch.randn(*shape[:-1], rank, dtype=dtype) @ torch.randn(*shape[:-2], rank, shape[-1], dtype=dtype)
    u, s, v = torch.svd_lowrank(a, q=5)
    assert u.shape == (*shape[:-1], 5) and s.shape == (*shape[:-2], 5) and v.shape == (*shape[:-2], shape[-1], 5)
    assert torch.allclose((u * s.unsqueeze(-2)) @ v.mH, a)
    assert torch.allclose(s[..., :rank], torch.linalg.svdvals(a)[..., :rank])
    mean = a.mean(-2, keepdim=True)
    u, s, v = torch.svd_lowrank(a, q=5, M=mean)
    assert torch.allclose((u * s.unsqueeze(-2)) @ v.mH, a - mean)


def test_principal_components():
    a = torch.randn(30, 4, dtype=torch.float64) * torch.tensor([5.0, 1.0, 0.1, 0.01], dtype=torch.float64) + 3
    u, s, v = torch.pca_lowrank(a, q=4)
    assert torch.allclose(s, torch.linalg.svdvals(a - a.mean(0)))
    assert torch.allclose(v[0, 0].abs(), torch.ones((), dtype=torch.float64), atol=1e-2)
    with pytest.raises(ValueError, match=r"q\(=5\) must be non-negative integer and not greater than min\(m, n\)=4"):
        torch.pca_lowrank(a, q=5)
    with pytest.raises(ValueError, match=r"niter\(=-1\) must be non-negative integer"):
        torch.pca_lowrank(a, niter=-1)


def test_lu():
    a = torch.randn(3, 3)
    with pytest.warns(UserWarning, match="torch.lu is deprecated in favor of torch.linalg.lu_factor"):
        lu, pivots = torch.lu(a)
    with pytest.warns(UserWarning):
        same, _, info = a.lu(get_infos=True)
    assert torch.equal(lu, same) and info == 0 and torch.equal(lu, torch.linalg.lu_factor(a).LU)


@pytest.mark.parametrize("name", ["solve", "lstsq", "eig", "symeig"])
def test_removed_names_say_what_took_their_place(name):
    a = torch.eye(2)
    more = (a,) if name in ("solve", "lstsq") else ()
    for f in (getattr(torch, name), getattr(torch.Tensor, name)):
        with pytest.raises(RuntimeError, match="deprecated since version 1.9 and is now removed"):
            f(a, *more)
    with pytest.raises(RuntimeError, match="torch.linalg.matrix_rank"):
        torch.matrix_rank(a)
