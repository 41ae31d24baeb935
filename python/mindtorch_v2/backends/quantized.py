"""Engines of quantized operators; none is part of this build."""

from . import _Flag, _with_flags

_ENGINES = ("none",)


def _set_engine(value):
    if value not in _ENGINES:
        raise RuntimeError(f"{value} is not a valid value for quantized engine")


_with_flags(
    __name__,
    _Flag("engine", lambda: "none", _set_engine),
    _Flag("supported_engines", lambda: list(_ENGINES)),
)
