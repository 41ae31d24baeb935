"""Errors of devices. The core raises none of them on a CPU; programs name them to catch them."""


class AcceleratorError(RuntimeError):
    """An error that an accelerator reported."""

    __module__ = __package__


class OutOfMemoryError(RuntimeError):
    """A device's memory does not suffice."""

    __module__ = __package__
