"""Names of types for annotations, as torch.types has them."""

import builtins as _builtins
import os as _os
import typing as _typing

from . import Size, Tensor, device, dtype, layout

_int, _float, _bool = _builtins.int, _builtins.float, _builtins.bool
_dtype, _device, _layout = dtype, device, layout
_size = _typing.Union[Size, _typing.List[_int], _typing.Tuple[_int, ...]]
_complex = _builtins.complex
_TensorOrTensors = _typing.Union[Tensor, _typing.Sequence[Tensor]]

Number = _typing.Union[_int, _float, _bool]
Device = _typing.Optional[_typing.Union[device, str, _int]]
FileLike = _typing.Union[str, _os.PathLike, _typing.IO[bytes]]

__all__ = ["Device", "FileLike", "Number", "Storage"]


def __getattr__(name):
    if name == "Storage":
        from .storage import UntypedStorage

        return UntypedStorage
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
