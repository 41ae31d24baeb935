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
    ("attention", "functional", "grad", "init", "modules", "parallel", "parameter", "utils"),
)


def factory_kwargs(kwargs):
    """Those of `kwargs` that a factory such as `torch.empty` takes: device, dtype, memory_format,
    together with what lies in ``kwargs["factory_kwargs"]``.

    Raises:
        TypeError: others among them, or one that is in both places.
    """
    if kwargs is None:
        return {}
    simple = {"device", "dtype", "memory_format"}
    others = kwargs.keys() - simple - {"factory_kwargs"}
    if others:
        raise TypeError(f"unexpected kwargs {others}")
    found = dict(kwargs.get("factory_kwargs", {}))
    for name in simple & kwargs.keys():
        if name in found:
            raise TypeError(f"{name} specified twice, in **kwargs and in factory_kwargs")
        found[name] = kwargs[name]
    return found
