"""Runs one scenario with PyTorch and with mindtorch_v2 and compares everything it reports.

A scenario is a function of the library. It builds its own tensors from plain numbers, so nothing of
one library reaches the other, and returns (or yields) whatever shall be equal: tensors, containers,
numbers, strings, exceptions. Warnings belong to the report.
"""

import math
import warnings
from collections.abc import Mapping


class Outcome:
    """What a call gave: its value, or the type and text of its exception, and its warnings."""

    def __init__(self, function, *args, **kwargs):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                self.value, self.error = function(*args, **kwargs), None
            except Exception as error:
                self.value, self.error = None, error
        self.warnings = [(w.category.__name__, str(w.message).split(" (Triggered internally at")[0]) for w in caught]


def plain(value, lib):
    """`value` in terms that do not depend on the library."""
    if isinstance(value, Outcome):
        return ("outcome", plain(value.value, lib), plain(value.error, lib), value.warnings)
    if isinstance(value, BaseException):
        return (type(value).__name__, spoken(str(value), lib))
    if isinstance(value, lib.Tensor):
        dense = value.detach()
        layout = str(dense.layout).split(".")[-1]
        if layout != "strided":
            dense = dense.to_dense()
        if dense.is_complex():
            dense = lib.view_as_real(dense.resolve_conj())
        name = str(value.dtype).split(".")[-1]
        if dense.dtype in (lib.bfloat16, lib.float16):
            dense = dense.float()
        return ("tensor", name, layout, tuple(value.shape), dense.tolist())
    if isinstance(value, lib.dtype):
        return str(value).split(".")[-1]
    if isinstance(value, Mapping):
        return {
            k if isinstance(k, (str, int, tuple)) else "a parameter": plain(v, lib)
            for k, v in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [type(value).__name__, *(plain(v, lib) for v in value)]
    if value is None or isinstance(value, (bool, int, float, complex)):
        return value
    if isinstance(value, str):
        return spoken(value, lib)
    return type(value).__name__


def spoken(text, lib):
    return text.replace(lib.__name__ + ".", "torch.")


def assert_close(ours, theirs, rtol, atol, where="result"):
    """Equal structure, numbers within the tolerance, everything else equal."""
    if isinstance(theirs, dict):
        assert isinstance(ours, dict) and set(ours) == set(theirs), f"{where}: {ours} / {theirs}"
        for key in theirs:
            assert_close(ours[key], theirs[key], rtol, atol, f"{where}[{key!r}]")
    elif isinstance(theirs, (list, tuple)):
        assert isinstance(ours, (list, tuple)), f"{where}: {ours} / {theirs}"
        assert len(ours) == len(theirs), f"{where}: {ours} / {theirs}"
        for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            assert_close(a, b, rtol, atol, f"{where}[{i}]")
    elif isinstance(theirs, float) and isinstance(ours, (int, float)):
        assert (
            ours == theirs
            or math.isclose(ours, theirs, rel_tol=rtol, abs_tol=atol)
            or (math.isnan(ours) and math.isnan(theirs))
        ), f"{where}: {ours} / {theirs}"
    else:
        assert type(ours) is type(theirs) and ours == theirs, f"{where}: {ours!r} / {theirs!r}"


def compare(scenario, ours, theirs, *args, rtol=1e-5, atol=1e-6):
    """Run `scenario(lib, *args)` with both libraries and compare the reports."""
    reports = []
    for lib in (ours, theirs):
        lib.manual_seed(0)
        result = scenario(lib, *args)
        if hasattr(result, "__next__"):
            result = list(result)
        reports.append(plain(result, lib))
    assert_close(*reports, rtol, atol)
