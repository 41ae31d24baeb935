"""Looking for NaN in backward."""

import warnings

from .. import _C

__all__ = ["detect_anomaly", "set_detect_anomaly"]


class set_detect_anomaly:
    """Switches anomaly mode at once; as a context manager, until its end.

    mode: bool. check_nan: raise RuntimeError, naming the node, when a gradient has a NaN.
    Reference: torch.autograd.set_detect_anomaly.
    """

    def __init__(self, mode, check_nan=True):
        self.prev = _C.is_anomaly_enabled()
        self.prev_check_nan = _C.is_anomaly_check_nan_enabled()
        _C.set_anomaly_enabled(mode, check_nan)

    def __enter__(self):
        pass

    def __exit__(self, *args):
        _C.set_anomaly_enabled(self.prev, self.prev_check_nan)


class detect_anomaly:
    """Anomaly mode as a context manager; see `set_detect_anomaly`. Warns that it costs time."""

    def __init__(self, check_nan=True):
        self.prev = _C.is_anomaly_enabled()
        self.check_nan = check_nan
        self.prev_check_nan = _C.is_anomaly_check_nan_enabled()
        warnings.warn(
            "Anomaly Detection has been enabled. This mode will increase the runtime and should only "
            "be enabled for debugging.",
            stacklevel=2,
        )

    def __enter__(self):
        _C.set_anomaly_enabled(True, self.check_nan)

    def __exit__(self, *args):
        _C.set_anomaly_enabled(self.prev, self.prev_check_nan)


def _stack():
    """The Python stack of the operator that is being recorded, as a list of texts."""
    import sys
    import traceback

    return traceback.format_stack(sys._getframe(1))


def _report(node):
    """Warns that `node` failed in backward: where it was recorded, and while which nodes."""
    name, metadata = node.name(), node.metadata
    if "traceback_" not in metadata:
        text = (
            f"Error detected in {name}. No forward pass information available. Enable detect anomaly "
            "during forward pass for more information."
        )
    else:
        stack = "".join(metadata["traceback_"])
        text = f"Error detected in {name}. Traceback of forward call that caused the error:\n{stack}"
    while metadata.get("parent_") is not None:
        parent = metadata["parent_"]
        metadata = parent.metadata
        if "traceback_" not in metadata:
            text += f"\n\nPrevious calculation was induced by {parent.name()}. No forward pass information available."
            break
        stack = "".join(metadata["traceback_"])
        text += (
            f"\n\nPrevious calculation was induced by {parent.name()}. Traceback of forward call that "
            f"induced the previous calculation:\n{stack}"
        )
    warnings.warn(text, stacklevel=2)
