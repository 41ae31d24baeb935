"""NNPACK is not part of this build; the switch keeps what is set."""

import contextlib

__all__ = ["is_available", "flags", "set_flags"]

_enabled_now = True


def is_available():
    """False."""
    return False


def set_flags(_enabled):
    """Sets the switch; returns what it was, in a tuple."""
    global _enabled_now
    before = (_enabled_now,)
    _enabled_now = _enabled
    return before


@contextlib.contextmanager
def flags(enabled=False):
    """Another switch inside a `with`."""
    before = set_flags(enabled)
    try:
        yield
    finally:
        set_flags(*before)
