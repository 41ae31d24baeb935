"""Indexing: what keys mean, views against copies, order of writes, errors."""

import pytest

import mindtorch_v2 as torch


def grid(*shape, dtype=None):
    n = 1
    for s in shape:
        n *= s
    return torch.tensor(list(range(n)), dtype=dtype).reshape(shape)


def test_basic_keys_are_views():
    x = grid(3, 4, dtype=torch.float32)
    for key in (0, -1, slice(1, None), (slice(None), 2), (0, 1), None, ..., (..., 0), slice(0, 3, 2)):
        y = x[key]
        assert y.untyped_storage() is x.untyped_storage() and y._base is not None
        y.zero_()
    assert x[0].tolist() == [0.0] * 4


def test_index_tensors_make_copies_and_broadcast():
    x = grid(3, 4)
    rows, columns = torch.tensor([[0], [2]]), torch.tensor([1, -1])
    assert x[rows, columns].tolist() == [[1, 3], [9, 11]]
    assert x[rows, columns]._base is None
    assert x[[2, 0]].tolist() == [[8, 9, 10, 11], [0, 1, 2, 3]]
    assert x[torch.tensor([0, 1], dtype=torch.int32)].tolist() == x[:2].tolist()


def test_indexed_dimensions_that_are_no_neighbours_go_to_the_front():
    x = grid(2, 3, 4)
    i = torch.tensor([0, 1])
    assert tuple(x[i, :, i].shape) == (2, 3)
    assert x[i, :, i].tolist() == [[0, 4, 8], [13, 17, 21]]
    assert tuple(x[:, i, i].shape) == (2, 2)


def test_masks_of_every_rank():
    x = grid(2, 3)
    assert x[x > 2].tolist() == [3, 4, 5]
    assert x[torch.tensor([False, True])].tolist() == [[3, 4, 5]]
    assert x[:, torch.tensor([True, False, True])].tolist() == [[0, 2], [3, 5]]
    assert x[True].tolist() == [x.tolist()]
    assert tuple(x[False].shape) == (0, 2, 3)


def test_transposed_and_strided_sources():
    x = grid(4, 6).t()[1::2]
    i = torch.tensor([2, 0])
    assert x[i].tolist() == [x[2].tolist(), x[0].tolist()]
    assert x[:, i].tolist() == [[row[2], row[0]] for row in x.tolist()]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.float16, torch.float64, torch.complex128])
def test_every_element_size(dtype):
    x = grid(5, 3).to(dtype)
    i = torch.tensor([4, 0, 4])
    assert x[i].tolist() == [x[4].tolist(), x[0].tolist(), x[4].tolist()]
    y = x.clone()
    y[i] = x[torch.tensor([1, 2, 3])]
    assert y[4].tolist() == x[3].tolist()  # the last write wins
    y.index_put_((i,), x[:3], accumulate=True)
    assert y[4].tolist() == (x[3] + x[0] + x[2]).tolist()


def test_assignment_broadcasts_and_counts_versions():
    x = torch.zeros(2, 3)
    before = x._version
    x[:, 1] = torch.tensor([1.0, 2.0])
    x[0] = 5
    x[x == 2] = -1.0
    x[[1], [0]] = 7
    assert x.tolist() == [[5, 5, 5], [7, -1, 0]]
    assert x._version >= before + 4


def test_assignment_from_itself():
    x = grid(5)
    x[torch.tensor([1, 2, 3, 4])] = x[:4]
    assert x.tolist() == [0, 0, 1, 2, 3]


def test_scatter_and_gather_are_inverse():
    x = grid(3, 4, dtype=torch.float32)
    index = torch.tensor([[3, 1, 0, 2], [0, 1, 2, 3], [1, 0, 3, 2]])
    assert torch.zeros(3, 4).scatter(1, index, x.gather(1, index)).tolist() == x.tolist()


def test_sums_do_not_depend_on_threads(threads):
    index = torch.tensor([(i * 7) % 13 for i in range(50000)])
    values = torch.tensor([((i * 31) % 1000) / 7 for i in range(50000)])
    got = torch.zeros(13).index_add(0, index, values)
    again = torch.zeros(13).scatter_add(0, index, values)
    assert got.tolist() == again.tolist()
    sums = [0.0] * 13
    for i, v in zip(index.tolist(), values.tolist()):
        sums[i] += v
    assert got.tolist() == pytest.approx(sums, rel=1e-3)


def test_nonzero():
    x = torch.tensor([[0, 1], [2, 0]])
    assert torch.nonzero(x).tolist() == [[0, 1], [1, 0]]
    assert [t.tolist() for t in x.nonzero(as_tuple=True)] == [[0, 1], [1, 0]]
    assert [t.tolist() for t in torch.where(x > 0)] == [[0, 1], [1, 0]]


@pytest.mark.parametrize(
    "key, error, text",
    [
        (5, IndexError, "index 5 is out of bounds for dimension 0 with size 2"),
        ((0, 0, 0), IndexError, "too many indices for tensor of dimension 2"),
        (slice(None, None, -1), ValueError, "step must be greater than zero"),
        ([0, 9], IndexError, "index 9 is out of bounds for dimension 0 with size 2"),
        ("a", TypeError, "new"),
        (1.0, IndexError, "only integers, slices"),
    ],
)
def test_errors(key, error, text):
    with pytest.raises(error, match=text), _quiet():
        grid(2, 3)[key]


def _quiet():
    import warnings

    return warnings.catch_warnings(record=True)


def test_leading_ones_of_a_value_do_not_count():
    """The value of an assignment may have more dimensions than the place, as long as they are 1."""
    mask = torch.tensor([[True, False, True], [False, False, True]])
    for value in (torch.ones(1, 1, 4), torch.ones(1, 3, 4), torch.ones(1, 1, 1, 1)):
        x = torch.zeros(2, 3, 4)
        x[mask] = value
        assert torch.equal(x, mask[..., None].float().expand(2, 3, 4))
    with pytest.raises(RuntimeError, match="shape mismatch: value tensor of shape"):
        torch.zeros(2, 3, 4)[mask] = torch.ones(2, 4)


def test_shapes_are_compared_from_the_end():
    with pytest.raises(RuntimeError, match=r"tensor a \(32\) must match the size of tensor b \(16\) at non-singleton dimension 2"):
        torch.ones(2, 16, 32) + torch.ones(17, 16)
