"""Switches of MIOpen, which is not part of this build: they keep what is set."""

import contextlib

from . import _checked_bool, _flag, _with_flags
from . import __dict__ as _backends

_state = {"immediate": False}


def set_flags(_immediate=None):
    """Sets the switch unless None; returns what it was, in a tuple."""
    before = (_state["immediate"],)
    if _immediate is not None:
        _state["immediate"] = _checked_bool(_immediate, "set_immediate_miopen")
    return before


@contextlib.contextmanager
def flags(immediate=False):
    """Another switch inside a `with`."""
    free = _backends["__allow_nonbracketed_mutation"]
    with free():
        before = set_flags(immediate)
    try:
        yield
    finally:
        with free():
            set_flags(*before)


_with_flags(__name__, _flag(_state, "immediate", "torch.backends.miopen", "set_immediate_miopen"))
