"""torch.testing: what is close, what the reports say, and random inputs."""

import math

import numpy as np
import pytest

import mindtorch_v2 as torch
from mindtorch_v2.testing import assert_allclose, assert_close, make_tensor

T = torch.tensor
NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    "actual, expected",
    [
        (T([1.0, 2.0]), T([1.0, 2.0 + 1e-6])),
        (T([1.0 + 1e-3], dtype=torch.bfloat16), T([1.0], dtype=torch.bfloat16)),
        (T([INF, -INF]), T([INF, -INF])),
        (torch.empty(0), torch.empty(0)),
        (1.0, 1.0 + 1e-9),
        (True, np.bool_(True)),
        (np.float64(1), 1.0),
        (np.ones(2), np.ones(2)),
        (None, None),
        ([T(1.0), {"a": (1, 2.0)}], [T(1.0), {"a": (1, 2.0)}]),
        (torch.ones(2, device="meta"), torch.zeros(2, device="meta")),
        (torch.nn.Parameter(T([1.0])), T([1.0])),
    ],
)
def test_close(actual, expected):
    assert_close(actual, expected)


@pytest.mark.parametrize(
    "actual, expected, text",
    [
        (T([1.0, 2.0]), T([1.0, 3.0]), "Mismatched elements: 1 / 2 (50.0%)\nGreatest absolute diff"),
        (T([1, 2]), T([1, 3]), "Tensor-likes are not equal!"),
        (T([NAN]), T([NAN]), "Greatest absolute difference: nan at index (0,)"),
        (T([[0.0, 1.0]]), T([[0.0, 9.0]]), "8.0 at index (0, 1) (up to 1e-05 allowed)"),
        (1.0, 2.0, "Scalars are not close!\n\nExpected 2.0 but got 1.0.\nAbsolute difference: 1.0"),
        (T(1.0), T(2.0), "Scalars are not close!"),
        (1, 2.0, "(d)types do not match: <class 'int'> != <class 'float'>"),
        (True, False, "Booleans mismatch: True is not False"),
        (None, 1, "None mismatch: None is not 1"),
        (T([1.0]), T([1.0, 1.0]), "'shape' do not match: torch.Size([1]) != torch.Size([2])"),
        (T([1.0]), T([1]), "'dtype' do not match: torch.float32 != torch.int64"),
        (T([1.0]), torch.ones(1, device="meta"), "'device' do not match: cpu != meta"),
        ([1], [1, 2], "The length of the sequences mismatch: 1 != 2"),
        ({"a": 1}, {"b": 1}, "Missing keys in the actual mapping: ['b']\nAdditional keys in the act"),
        ([0, {"k": [1, 5]}], [0, {"k": [1, 6]}], "The failure occurred for item [1]['k'][1]"),
    ],
)
def test_not_close(actual, expected, text):
    with pytest.raises(AssertionError) as caught:
        assert_close(actual, expected)
    assert text in str(caught.value)


def test_options():
    assert_close(T([NAN, 1.0]), T([NAN, 1.0]), equal_nan=True)
    assert_close(T([1.0]), T([1.2]), rtol=0.5, atol=0)
    assert_close(T([1]), T([1.0]), check_dtype=False)
    with pytest.raises(AssertionError, match=r"'stride\(\)' do not match: \(1, 2\) != \(2, 1\)"):
        assert_close(torch.ones(2, 2).t(), torch.ones(2, 2), check_stride=True)
    with pytest.raises(ValueError, match="must be either specified or omitted, but got no atol"):
        assert_close(1.0, 1.0, rtol=1.0)
    with pytest.raises(AssertionError, match="^mine$"):
        assert_close(1.0, 2.0, msg="mine")
    with pytest.raises(AssertionError, match="^so: Scalars"):
        assert_close(1.0, 2.0, msg=lambda text: "so: " + text)


@pytest.mark.parametrize("pair", [("a", "a"), (T([1.0]), [1.0]), ({1}, {1}), (T(1.0), 1.0)])
def test_what_cannot_be_compared(pair):
    with pytest.raises(TypeError, match="No comparison pair was able to handle inputs of type"):
        assert_close(*pair)


def test_structure_is_looked_at_before_values():
    with pytest.raises(AssertionError, match="length of the sequences"):
        assert_close([1.0, [1]], [2.0, [1, 2]])


def test_the_older_form():
    with pytest.warns(FutureWarning, match="assert_allclose"):
        assert_allclose(T([1.0, NAN]), np.array([1.0 + 1e-5, NAN]))
    with pytest.warns(FutureWarning), pytest.raises(AssertionError):
        assert_allclose(T([1.0]), T([1.1]))


DTYPES = (
    "bool uint8 int8 int16 int32 int64 float16 bfloat16 float32 float64 complex64 complex128".split()
)


@pytest.mark.parametrize("name", DTYPES)
def test_random_inputs(name):
    dtype = getattr(torch, name)
    made = make_tensor((50, 4), dtype=dtype, device="cpu")
    assert made.dtype == dtype and made.shape == (50, 4) and made.is_contiguous()
    parts = torch.view_as_real(made) if dtype.is_complex else made.to(torch.float64)
    low, high = (0, 1) if name == "bool" else (0 if name == "uint8" else -9, 9)
    assert parts.min() >= low and parts.max() <= high and len(set(parts.flatten().tolist())) > 1
    apart = make_tensor(3, 4, dtype=dtype, device="cpu", noncontiguous=True)
    assert apart.shape == (3, 4) and apart.stride() == (8, 2)
    if name != "bool":
        assert (make_tensor(99, dtype=dtype, device="cpu", low=0, high=2, exclude_zero=True) != 0).all()


def test_bounds_of_random_inputs():
    made = make_tensor(100, dtype=torch.int64, device="cpu", low=1.5, high=3.2)
    assert set(made.tolist()) == {2, 3}
    assert make_tensor(3, dtype=torch.float32, device="cpu", requires_grad=True).requires_grad
    for options, text in [
        (dict(low=3, high=1), "`low` must be less than `high`, but got 3 >= 1"),
        (dict(low=NAN), "cannot be NaN"),
    ]:
        with pytest.raises(ValueError, match=text):
            make_tensor(2, dtype=torch.float32, device="cpu", **options)
    with pytest.raises(ValueError, match="only supports"):
        make_tensor(2, dtype=torch.uint8, device="cpu", low=300, high=500)
    with pytest.raises(ValueError, match="mutually exclusive"):
        make_tensor(
            2, dtype=torch.float32, device="cpu", noncontiguous=True,
            memory_format=torch.contiguous_format,
        )  # fmt: skip
    with pytest.raises(ValueError, match="not supported for boolean and integral"):
        make_tensor(2, dtype=torch.int8, device="cpu", requires_grad=True)
