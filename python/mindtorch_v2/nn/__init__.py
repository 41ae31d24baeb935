"""Layers, losses and the tools to build networks from them.

Everything of the layer library is an attribute of this package; its parts are imported when they
are first used.
"""

from ._lazy import LAYERS as _LAYERS
from ._lazy import attach as _attach

__getattr__, __dir__, __all__ = _attach(
    globals(),
    {
        "parameter": "Parameter UninitializedParameter Buffer UninitializedBuffer",
        **{f"modules.{file}": layers for file, layers in _LAYERS.items()},
        "parallel": "DataParallel",
        "utils.init": "skip_init",
    },
    ("functional", "grad", "init", "modules", "parallel", "parameter", "utils"),
)
