"""The layers, one file per family; all of them are attributes of this package as well."""

from .._lazy import LAYERS as _LAYERS
from .._lazy import attach as _attach

__getattr__, __dir__, __all__ = _attach(globals(), _LAYERS, (*_LAYERS, "lazy", "utils"))
