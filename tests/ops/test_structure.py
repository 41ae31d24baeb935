"""Diagonals, scattered views, combinations of tensors, einsum, sizes in place, limits of types."""

import math

import pytest

import mindtorch_v2 as torch


def test_diagonals():
    v = torch.tensor([1.0, 2.0])
    assert torch.diag(v, 1).tolist() == [[0, 1, 0], [0, 0, 2], [0, 0, 0]]
    assert torch.diag(torch.arange(6).reshape(2, 3)).tolist() == [0, 4]
    assert torch.diag_embed(v, dim1=0, dim2=1).tolist() == [[1, 0], [0, 2]]
    assert torch.diagflat(torch.ones(1, 2), -1).shape == (3, 3)
    x = torch.arange(6.0).reshape(2, 3).requires_grad_()
    x.trace().backward()
    assert x.grad.tolist() == [[1, 0, 0], [0, 1, 0]]
    with pytest.raises(RuntimeError, match="trace: expected a matrix, but got tensor with dim 1"):
        v.trace()


def test_scattered_views_and_their_gradients():
    x, s = torch.zeros(2, 2, requires_grad=True), torch.ones(2, requires_grad=True)
    y = x.select_scatter(s, 0, 1)
    assert y.tolist() == [[0, 0], [1, 1]]
    (y * torch.arange(4.0).reshape(2, 2)).sum().backward()
    assert x.grad.tolist() == [[0, 1], [0, 0]] and s.grad.tolist() == [2, 3]
    assert torch.slice_scatter(torch.zeros(4), torch.ones(2), 0, 1, 4, 2).tolist() == [0, 1, 0, 1]
    assert torch.diagonal_scatter(torch.zeros(2, 2), torch.ones(2)).tolist() == [[1, 0], [0, 1]]
    with pytest.raises(RuntimeError, match=r"src size = \[3\], slice size = \[2\]"):
        torch.zeros(2, 2).select_scatter(torch.ones(3), 0, 0)


def test_combinations_of_tensors():
    a, b = torch.tensor([1, 2]), torch.tensor([3, 4, 5])
    assert torch.cartesian_prod(a, b).tolist() == [[1, 3], [1, 4], [1, 5], [2, 3], [2, 4], [2, 5]]
    assert torch.combinations(b).tolist() == [[3, 4], [3, 5], [4, 5]]
    assert torch.combinations(a, 2, True).tolist() == [[1, 1], [1, 2], [2, 2]]
    assert torch.block_diag(a, b.reshape(3, 1)).tolist() == [[1, 2, 0], [0, 0, 3], [0, 0, 4], [0, 0, 5]]
    x, y = torch.meshgrid(a, b, indexing="xy")
    assert x.tolist() == [[1, 2]] * 3 and y.tolist() == [[3, 3], [4, 4], [5, 5]]
    assert torch.column_stack((a, a)).tolist() == [[1, 1], [2, 2]]
    assert [t.shape for t in torch.atleast_2d(a, torch.tensor(1))] == [(1, 2), (1, 1)]
    assert torch.kron(torch.eye(2), torch.ones(1, 2)).tolist() == [[1, 1, 0, 0], [0, 0, 1, 1]]
    assert torch.rot90(torch.arange(4).reshape(2, 2)).tolist() == [[1, 3], [0, 2]]
    assert torch.repeat_interleave(a, torch.tensor([2, 1])).tolist() == [1, 1, 2]
    assert b.repeat_interleave(2).tolist() == [3, 3, 4, 4, 5, 5]
    assert torch.tril_indices(2, 2).tolist() == [[0, 1, 1], [0, 0, 1]]
    assert torch.broadcast_shapes((2, 1), 3) == (2, 3)


@pytest.mark.parametrize(
    "equation, shape",
    [("ij,jk->ik", (2, 4)), ("ij,jk", (2, 4)), ("Ij,jB", (4, 2)), ("...j,jk", (2, 4)), ("ij,kl->ijkl", (2, 3, 3, 4)), ("ij,jk->", ())],
)
def test_einsum_shapes(equation, shape):
    assert torch.einsum(equation, torch.ones(2, 3), torch.ones(3, 4)).shape == shape


def test_einsum_values_and_gradients():
    a, b = torch.arange(6.0).reshape(2, 3).requires_grad_(), torch.arange(12.0).reshape(3, 4)
    made = torch.einsum("ij,jk->ik", a, b)
    assert torch.equal(made, a @ b)
    made.sum().backward()
    assert torch.equal(a.grad, b.sum(1).expand(2, 3))
    assert torch.einsum("ii->i", torch.arange(4).reshape(2, 2)).tolist() == [0, 3]
    assert torch.einsum("ij->", b.detach()).item() == 66
    assert torch.equal(torch.einsum(a.detach(), [0, 1], b, [1, 2], [2, 0]), (a.detach() @ b).t())
    chain = torch.einsum("ab,bc,cd->ad", a.detach(), b, torch.eye(4))
    assert torch.equal(chain, a.detach() @ b)


@pytest.mark.parametrize(
    "equation, text",
    [
        ("i", "number of subscripts in the equation (1) does not match the number of dimensions (2) for operand 0"),
        ("ij,jk", "fewer operands were provided than specified in the equation"),
        ("i.j", "found '.' for operand 0 that is not part of any ellipsis"),
        ("ij->k", "output subscript k does not appear in the equation for any input operand"),
        ("ij->ii", "output subscript i appears more than once in the output"),
        ("ii", "subscript i is repeated for operand 0 but the sizes don't match, 3 != 2"),
        ("i1", "invalid subscript given at index 1 in the equation string"),
    ],
)
def test_einsum_refuses(equation, text):
    with pytest.raises(RuntimeError) as error:
        torch.einsum(equation, torch.ones(2, 3))
    assert text in str(error.value)


def test_unique_slices():
    x = torch.tensor([[3, 1], [1, 2], [3, 1]])
    values, inverse, counts = torch.unique(x, dim=0, return_inverse=True, return_counts=True)
    assert values.tolist() == [[1, 2], [3, 1]] and inverse.tolist() == [1, 0, 1] and counts.tolist() == [1, 2]
    assert x.unique().tolist() == [1, 2, 3]
    assert torch.unique_consecutive(x, dim=0).shape == (3, 2)
    with pytest.raises(RuntimeError, match="There are 0 sized dimensions"):
        torch.unique(torch.zeros(2, 0), dim=0)


def test_sizes_in_place_and_bytes():
    x = torch.arange(4.0)
    assert x.resize_(2, 2).tolist() == [[0, 1], [2, 3]] and x.resize_as_(torch.ones(1)).tolist() == [0.0]
    with torch.no_grad(), pytest.raises(RuntimeError, match="cannot resize variables that require grad"):
        torch.ones(2, requires_grad=True).resize_(1)
    assert torch.tensor([1.0]).view(torch.int32).item() == 0x3F800000
    assert torch.ones(3, 2).view(torch.complex64).tolist() == [[1 + 1j]] * 3
    with pytest.raises(RuntimeError, match=r"self.size\(-1\) must be divisible by 2 to view Float as Double"):
        torch.ones(3).view(torch.float64)
    assert torch.ones(2).apply_(lambda v: v + 1).tolist() == [2, 2]
    assert torch.zeros(2).map_(torch.tensor([1.0, 2.0]), lambda a, b: a - b).tolist() == [-1, -2]


def test_parts_of_numbers():
    z = torch.tensor([3 + 4j])
    z.imag = 1
    assert z.tolist() == [3 + 1j] and z.real.tolist() == [3]
    assert torch.complex(torch.ones(1), torch.zeros(1)).dtype is torch.complex64
    assert torch.polar(torch.tensor(2.0), torch.tensor(math.pi / 2)).item() == pytest.approx(2j, abs=1e-6)
    assert torch.tensor([1j, -1]).angle().tolist() == pytest.approx([math.pi / 2, math.pi])
    m, e = torch.frexp(torch.tensor([6.0]))
    assert (m.item(), e.item(), e.dtype) == (0.75, 3, torch.int32)
    assert torch.nan_to_num(torch.tensor([math.nan, -math.inf]), neginf=1).tolist() == [0, 1]
    assert torch.where(torch.tensor([True, False]), 1.5, torch.zeros(2)).tolist() == [1.5, 0]
    assert torch.where(torch.tensor([True, False]), 1, 2.0).tolist() == [1, 2]
    assert torch.ones(2).where(torch.tensor([True, False]), torch.zeros(2)).tolist() == [1, 0]
    assert torch.ones(2).where(torch.tensor([True, False]), 3).tolist() == [1, 3]
    assert torch.trapezoid(torch.tensor([1.0, 2.0, 3.0])).item() == 4
    assert torch.lcm(torch.tensor(4), torch.tensor(6)).item() == 12


def test_limits_and_promotion():
    f = torch.finfo(torch.float32)
    assert (f.bits, f.eps, f.max, f.tiny, f.dtype) == (32, 2**-23, 3.4028234663852886e38, 2**-126, "float32")
    assert f == torch.finfo() and f.min == -f.max
    assert repr(torch.iinfo(torch.int8)) == "iinfo(min=-128, max=127, dtype=int8)"
    with pytest.raises(TypeError, match="requires a floating point input type"):
        torch.finfo(torch.int8)
    with pytest.raises(TypeError, match="torch.bool is not supported by torch.iinfo"):
        torch.iinfo(torch.bool)
    assert torch.result_type(torch.ones(1, dtype=torch.int8), 1.5) is torch.float32
    assert torch.promote_types(torch.int8, torch.float16) is torch.float16
    assert not torch.can_cast(torch.float32, torch.int64)
    assert repr(torch.ones(1).max(0)) == "torch.return_types.max(\nvalues=tensor(1.),\nindices=tensor(0))"
