"""Copies and pointwise operators across the order of memory, against NumPy."""

import numpy as np
import pytest

import mindtorch_v2 as torch

DTYPES = ("uint8", "int16", "float32", "float64", "complex128")
ORDERS = [
    ((70, 45), (1, 0)),
    ((33, 8), (1, 0)),
    ((5, 37, 41), (0, 2, 1)),
    ((37, 5, 41), (2, 1, 0)),
    ((2, 64, 65), (1, 2, 0)),
    ((3, 40, 2, 35), (3, 1, 2, 0)),
    ((2, 3, 40, 9), (0, 2, 3, 1)),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "order"), ORDERS, ids=str)
def test_copies(dtype, shape, order):
    values = (np.arange(np.prod(shape)) % 251).reshape(shape).astype(dtype)
    moved = torch.from_numpy(values.copy()).permute(order)
    expected = values.transpose(order)
    assert np.array_equal(moved.contiguous().numpy(), expected)
    assert np.array_equal((moved + moved).numpy(), expected + expected)
    # into the other order
    back = torch.empty_like(torch.from_numpy(values)).permute(order)
    back.copy_(torch.from_numpy(np.ascontiguousarray(expected)))
    assert np.array_equal(back.numpy(), expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_short_rows(dtype):
    """Rows of two or three elements, cut from wider ones."""
    values = (np.arange(4000) % 199).reshape(-1, 5).astype(dtype)
    table = torch.from_numpy(values.copy())
    left, right = table[:, :2], table[:, 3:]
    assert np.array_equal((left + right).numpy(), values[:, :2] + values[:, 3:])
    table[:, :2] = right
    assert np.array_equal(table.numpy()[:, :2], values[:, 3:])
    assert np.array_equal(table.numpy()[:, 2:], values[:, 2:])
    table[:, 1:4].fill_(7)
    assert (table.numpy()[:, 1:4] == 7).all()
    assert np.array_equal(table.numpy()[:, 4], values[:, 4])


def test_a_matrix_plus_its_transpose():
    values = np.random.default_rng(0).standard_normal((90, 90)).astype(np.float32)
    m = torch.from_numpy(values.copy())
    assert np.array_equal((m.t() + m).numpy(), values.T + values)
    m.add_(m.t().clone())
    assert np.array_equal(m.numpy(), values + values.T)
