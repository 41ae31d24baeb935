"""The switch of the fused forward of nn.MultiheadAttention and nn.TransformerEncoderLayer."""

_is_fastpath_enabled = True


def get_fastpath_enabled():
    """Whether the fused forward may be used."""
    return _is_fastpath_enabled


def set_fastpath_enabled(value):
    """Allows or forbids the fused forward."""
    global _is_fastpath_enabled
    _is_fastpath_enabled = value
