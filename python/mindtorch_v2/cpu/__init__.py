"""torch.cpu: the CPU with the interface of a device module. It has one device and one stream, and
work is done when the call returns, so there is nothing to wait for."""


class Stream:
    """The CPU's stream: nothing to order."""

    def __init__(self, priority=-1):
        pass

    def wait_stream(self, stream):
        """Returns at once: there is nothing to wait for."""

    def record_event(self):
        """Returns at once."""

    def wait_event(self, event):
        """Returns at once."""


class Event:
    """A mark in a stream; reached as soon as it is made."""

    def query(self):
        """True."""
        return True

    def record(self, stream=None):
        """Does nothing."""

    def synchronize(self):
        """Returns at once."""

    def wait(self, stream=None):
        """Returns at once."""


_current = Stream()


class StreamContext:
    """Makes a stream the current one for a block."""

    def __init__(self, stream):
        self.stream = stream

    def __enter__(self):
        global _current
        if self.stream is not None:
            self._before, _current = _current, self.stream

    def __exit__(self, kind, value, traceback):
        global _current
        if self.stream is not None:
            _current = self._before


def is_available() -> bool:
    """True."""
    return True


def is_initialized() -> bool:
    """True."""
    return True


def device_count() -> int:
    """1."""
    return 1


def current_device() -> str:
    """"cpu"."""
    return "cpu"


def set_device(device) -> None:
    """Does nothing: there is one device."""


def synchronize(device=None) -> None:
    """Returns at once: work is done when a call returns."""


def current_stream(device=None) -> Stream:
    """The stream in force."""
    return _current


def stream(stream) -> StreamContext:
    """A StreamContext."""
    return StreamContext(stream)
