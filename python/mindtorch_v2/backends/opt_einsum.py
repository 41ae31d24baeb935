"""Whether torch.einsum asks the package opt_einsum for the order of contractions."""

import contextlib

from . import _Flag, _with_flags
from . import __dict__ as _backends

_state = {"enabled": None, "strategy": None, "asked": False, "module": None}


def get_opt_einsum():
    """The package opt_einsum, or None where it is not installed."""
    if not _state["asked"]:
        _state["asked"] = True
        try:
            import opt_einsum

            _state["module"] = opt_einsum
        except ImportError:
            pass
        _state["enabled"] = _state["module"] is not None
        _state["strategy"] = "auto" if _state["module"] is not None else None
    return _state["module"]


def is_available():
    """Whether the package opt_einsum is installed."""
    return get_opt_einsum() is not None


def _get(name):
    get_opt_einsum()  # the first question decides what the switches are at first
    return _state[name]


def _set_enabled(value):
    if not is_available() and value:
        raise ValueError(
            f"opt_einsum is not available, so setting `enabled` to {value} will not reap the benefits of calculating an "
            "optimal path for einsum. torch.einsum will fall back to contracting from left to right. To enable this "
            "optimal path calculation, please install opt-einsum."
        )
    _state["enabled"] = value


def _set_strategy(value):
    if not is_available():
        raise ValueError(
            f"opt_einsum is not available, so setting `strategy` to {value} will not be meaningful. torch.einsum will "
            "bypass path calculation and simply contract from left to right. Please install opt_einsum or unset "
            "`strategy`."
        )
    if not _get("enabled"):
        raise ValueError(
            f"opt_einsum is not enabled, so setting a `strategy` to {value} will not be meaningful. torch.einsum will "
            "bypass path calculation and simply contract from left to right. Please set `enabled` to `True` as well or "
            "unset `strategy`."
        )
    if value not in ("auto", "greedy", "optimal"):
        raise ValueError(
            f"`strategy` must be one of the following: [auto, greedy, optimal] but is {value}"
        )
    _state["strategy"] = value


def set_flags(_enabled=None, _strategy=None):
    """Sets the switches that are not None; returns what both were."""
    before = (_get("enabled"), None if not is_available() else _get("strategy"))
    if _enabled is not None:
        _set_enabled(_enabled)
    if _strategy is not None:
        _set_strategy(_strategy)
    return before


@contextlib.contextmanager
def flags(enabled=None, strategy=None):
    """Other switches inside a `with`."""
    free = _backends["__allow_nonbracketed_mutation"]
    with free():
        before = set_flags(enabled, strategy)
    try:
        yield
    finally:
        with free():
            set_flags(*before)


# assignments are not checked; set_flags() and flags() check
_with_flags(
    __name__,
    _Flag("enabled", lambda: _get("enabled"), lambda value: _state.update(enabled=value)),
    _Flag("strategy", lambda: _get("strategy"), lambda value: _state.update(strategy=value)),
)
