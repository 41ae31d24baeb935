"""assert_close and its like.

Two inputs are first taken apart: mappings and sequences into their items, in order, with the path to
each. What differs in structure fails here, before any value is looked at. Then the pairs that are
left are compared one after another; the first that differs is reported with its path.
"""

import cmath
import collections.abc
import sys
import warnings

import mindtorch_v2 as torch

# rtol, atol. Wide enough for one operation in the dtype; whatever is not listed is compared exactly.
_TOLERANCES = {
    torch.float16: (1e-3, 1e-5),
    torch.bfloat16: (1.6e-2, 1e-5),
    torch.float32: (1.3e-6, 1e-5),
    torch.float64: (1e-7, 1e-7),
    torch.complex64: (1.3e-6, 1e-5),
    torch.complex128: (1e-7, 1e-7),
}
_PYTHON_DTYPES = {bool: torch.bool, int: torch.int64, float: torch.float64, complex: torch.complex128}


class _Mismatch(Exception):
    """What differs. `kind`: the exception that the caller sees; `path`: keys to the item."""

    def __init__(self, text, path=(), kind=AssertionError):
        super().__init__(text)
        self.kind, self.path = kind, path

    def to_error(self, msg):
        text = str(self)
        if callable(msg):
            text = msg(text)
        elif msg is not None:
            text = msg
        elif self.path:
            where = "".join(f"[{key!r}]" for key in self.path)
            text = f"{text}\n\nThe failure occurred for item {where}"
        return self.kind(text)


class _Options:
    def __init__(
        self, rtol, atol, equal_nan, check_device, check_dtype, check_layout, check_stride
    ):
        if (rtol is None) != (atol is None):
            missing = "rtol" if rtol is None else "atol"
            raise ValueError(
                "Both 'rtol' and 'atol' must be either specified or omitted, "
                f"but got no {missing}."
            )
        self.given = None if rtol is None else (rtol, atol)
        self.equal_nan = equal_nan
        self.check_device, self.check_dtype = check_device, check_dtype
        self.check_layout, self.check_stride = check_layout, check_stride

    def tolerances(self, *dtypes):
        if self.given is not None:
            return self.given
        each = [_TOLERANCES.get(dtype, (0.0, 0.0)) for dtype in dtypes]
        return max(r for r, _ in each), max(a for _, a in each)


# ---- taking apart -------------------------------------------------------------------------------


def _numpy():
    return sys.modules.get("numpy")  # where nobody has imported it, nothing is of its types


def _is_a(value, python, numpy):
    np = _numpy()
    return isinstance(value, python) or (np is not None and isinstance(value, getattr(np, numpy)))


def _is_tensor_like(value):
    return isinstance(value, torch.Tensor) or _is_a(value, (), "ndarray")


def _take_apart(actual, expected, path, allow_subclasses):
    """The pairs to compare, as (comparison, actual, expected, path)."""
    if actual is None or expected is None:
        return [(_compare_none, actual, expected, path)]
    if _is_a(actual, bool, "bool_") and _is_a(expected, bool, "bool_"):
        return [(_compare_booleans, bool(actual), bool(expected), path)]
    number = (int, float, complex)
    if _is_a(actual, number, "number") and _is_a(expected, number, "number"):
        return [(_compare_numbers, actual, expected, path)]
    kinds = type(actual), type(expected)
    related = kinds[0] is kinds[1] or (
        allow_subclasses and (isinstance(actual, kinds[1]) or isinstance(expected, kinds[0]))
    )
    if related and _is_tensor_like(actual) and _is_tensor_like(expected):
        tensors = (torch.as_tensor(x) for x in (actual, expected))
        return [(_compare_tensors, *tensors, path)]
    if all(isinstance(x, collections.abc.Mapping) for x in (actual, expected)):
        return _take_mappings_apart(actual, expected, path, allow_subclasses)
    if all(
        isinstance(x, collections.abc.Sequence) and not isinstance(x, str)
        for x in (actual, expected)
    ):
        if len(actual) != len(expected):
            raise _Mismatch(
                f"The length of the sequences mismatch: {len(actual)} != {len(expected)}", path
            )
        pairs = []
        for i, items in enumerate(zip(actual, expected)):
            pairs += _take_apart(*items, (*path, i), allow_subclasses)
        return pairs
    raise _Mismatch(
        f"No comparison pair was able to handle inputs of type {kinds[0]} and {kinds[1]}.",
        path,
        TypeError,
    )


def _take_mappings_apart(actual, expected, path, allow_subclasses):
    missing, additional = set(expected) - set(actual), set(actual) - set(expected)
    if missing or additional:
        raise _Mismatch(
            "The keys of the mappings do not match:\n"
            f"Missing keys in the actual mapping: {sorted(missing, key=str)}\n"
            f"Additional keys in the actual mapping: {sorted(additional, key=str)}",
            path,
        )
    try:
        keys = sorted(actual)
    except TypeError:  # keys without an order
        keys = list(actual)
    pairs = []
    for key in keys:
        pairs += _take_apart(actual[key], expected[key], (*path, key), allow_subclasses)
    return pairs


# ---- comparing ----------------------------------------------------------------------------------


def _compare_none(actual, expected, options):
    if actual is not expected:
        raise _Mismatch(f"None mismatch: {actual} is not {expected}")


def _compare_booleans(actual, expected, options):
    if actual is not expected:
        raise _Mismatch(f"Booleans mismatch: {actual} is not {expected}")


def _compare_numbers(actual, expected, options):
    actual, expected = (x if type(x) in _PYTHON_DTYPES else x.item() for x in (actual, expected))
    kinds = type(actual), type(expected)
    if options.check_dtype and kinds[0] is not kinds[1]:
        raise _Mismatch(f"The (d)types do not match: {kinds[0]} != {kinds[1]}.")
    rtol, atol = options.tolerances(*(_PYTHON_DTYPES[kind] for kind in kinds))
    if not _numbers_are_close(actual, expected, rtol, atol, options.equal_nan):
        raise _Mismatch(_scalar_report(actual, expected, rtol, atol))


def _numbers_are_close(actual, expected, rtol, atol, equal_nan):
    if actual == expected:
        return True
    if cmath.isnan(actual) or cmath.isnan(expected):
        return equal_nan and cmath.isnan(actual) and cmath.isnan(expected)
    if cmath.isinf(actual) or cmath.isinf(expected):
        return False
    return abs(actual - expected) <= atol + rtol * abs(expected)


def _allowed(tolerance, exact):
    return "" if exact else f" (up to {tolerance} allowed)"


def _head(what, exact):
    return f"{what} are not {'equal' if exact else 'close'}!\n\n"


def _scalar_report(actual, expected, rtol, atol):
    exact = rtol == 0 and atol == 0
    absolute = abs(actual - expected)
    relative = float("inf") if expected == 0 else absolute / abs(expected)
    return (
        _head("Scalars", exact) + f"Expected {expected} but got {actual}.\n"
        f"Absolute difference: {absolute}{_allowed(atol, exact)}\n"
        f"Relative difference: {relative}{_allowed(rtol, exact)}"
    )


def _compare_tensors(actual, expected, options):
    def same(name, a, b):
        if a != b:
            raise _Mismatch(f"The values for attribute '{name}' do not match: {a} != {b}.")

    same("shape", actual.shape, expected.shape)
    if options.check_layout:
        same("layout", actual.layout, expected.layout)
    if options.check_device:
        same("device", actual.device, expected.device)
    if options.check_dtype:
        same("dtype", actual.dtype, expected.dtype)
    if options.check_stride:
        same("stride()", actual.stride(), expected.stride())
    if actual.is_meta or expected.is_meta:
        return  # there are no values
    rtol, atol = options.tolerances(actual.dtype, expected.dtype)
    actual, expected = actual.detach(), expected.detach()
    if actual.dtype != expected.dtype:
        dtype = torch.promote_types(actual.dtype, expected.dtype)
        actual, expected = actual.to(dtype), expected.to(dtype)
    close = torch.isclose(actual, expected, rtol=rtol, atol=atol, equal_nan=options.equal_nan)
    if not close.all():
        raise _Mismatch(_tensor_report(actual, expected, close, rtol, atol))


def _tensor_report(actual, expected, close, rtol, atol):
    if actual.dim() == 0:
        return _scalar_report(actual.item(), expected.item(), rtol, atol)
    exact = rtol == 0 and atol == 0
    if not actual.dtype.is_floating_point and not actual.dtype.is_complex:
        actual, expected = actual.to(torch.int64), expected.to(torch.int64)
    shape, total = actual.shape, actual.numel()
    wrong = total - int(close.sum())
    close, actual, expected = close.flatten(), actual.flatten(), expected.flatten()
    absolute = (actual - expected).abs()
    relative = absolute / expected.abs()

    def greatest(differences):
        """The greatest of what is not close, and its index."""
        differences = differences.masked_fill(close, 0)
        at = int(differences.argmax())
        index, rest = [], at
        for size in reversed(shape):
            index.insert(0, rest % size)
            rest //= size
        return f"{differences[at].item()} at index {tuple(index)}"

    return (
        _head("Tensor-likes", exact)
        + f"Mismatched elements: {wrong} / {total} ({wrong / total:.1%})\n"
        f"Greatest absolute difference: {greatest(absolute)}{_allowed(atol, exact)}\n"
        f"Greatest relative difference: {greatest(relative)}{_allowed(rtol, exact)}"
    )


def _assert_close(actual, expected, allow_subclasses, options, msg):
    try:
        for compare, a, b, path in _take_apart(actual, expected, (), allow_subclasses):
            try:
                compare(a, b, options)
            except _Mismatch as mismatch:
                mismatch.path = path
                raise
    except _Mismatch as mismatch:
        error = mismatch.to_error(msg)
    else:
        return
    raise error


def assert_close(
    actual,
    expected,
    *,
    allow_subclasses=True,
    rtol=None,
    atol=None,
    equal_nan=False,
    check_device=True,
    check_dtype=True,
    check_layout=True,
    check_stride=False,
    msg=None,
):
    """Asserts that `actual` and `expected` are close: |actual - expected| <= atol + rtol |expected|.

    Args:
        actual, expected: Tensors or NumPy arrays of one shape, Python or NumPy numbers, bools, None,
            and sequences and mappings of these.
        allow_subclasses (bool): Whether one input may be of a class derived from the other's.
        rtol, atol (float): Relative and absolute tolerance, both or none. By default those of the
            dtype (the wider of two): float16 1e-3 and 1e-5, bfloat16 1.6e-2 and 1e-5, float32 and
            complex64 1.3e-6 and 1e-5, float64 and complex128 1e-7 and 1e-7, others 0.
        equal_nan (bool): Whether two NaN are equal.
        check_device, check_dtype, check_layout, check_stride (bool): What else has to be equal.
            Without check_dtype values are promoted to a common dtype.
        msg (str or callable): The text of the error, or a function of the text that makes it.

    Raises:
        AssertionError: They are not close; the text has the count of elements that differ, and the
            greatest absolute and relative difference with their indices.
        ValueError: Only one of rtol and atol is given.
        TypeError: Inputs that cannot be compared with each other.

    Reference behaviour: torch.testing.assert_close.
    """
    __tracebackhide__ = True
    options = _Options(rtol, atol, equal_nan, check_device, check_dtype, check_layout, check_stride)
    _assert_close(actual, expected, allow_subclasses, options, msg)


def assert_allclose(actual, expected, rtol=None, atol=None, equal_nan=True, msg=""):
    """The older form of assert_close: dtype and device may differ, the inputs may be anything that
    becomes a tensor. By default float16 has rtol 1e-3 and atol 1e-3, bfloat16 1e-2 and 1e-2,
    float32 1e-4 and 1e-5, float64 1e-5 and 1e-8. Errors as assert_close. Deprecated.
    """
    warnings.warn(
        "`torch.testing.assert_allclose()` is deprecated since 1.12 and will be removed in a future "
        "release. Please use `torch.testing.assert_close()` instead.",
        FutureWarning,
        stacklevel=2,
    )
    if not isinstance(actual, torch.Tensor):
        actual = torch.tensor(actual)
    if not isinstance(expected, torch.Tensor):
        expected = torch.tensor(expected, dtype=actual.dtype)
    if rtol is None and atol is None:
        wide = {
            torch.float16: (1e-3, 1e-3),
            torch.bfloat16: (1e-2, 1e-2),
            torch.float32: (1e-4, 1e-5),
            torch.float64: (1e-5, 1e-8),
        }
        both = [wide.get(x.dtype, (0.0, 0.0)) for x in (actual, expected)]
        rtol, atol = max(r for r, _ in both), max(a for _, a in both)
    options = _Options(rtol, atol, equal_nan, True, False, True, False)
    _assert_close(actual, expected, True, options, msg or None)
