"""Stubs for type checkers: the operators from the table, below a head that says what the module
`_C` has besides.

Four files: `_VariableFunctions.pyi`, `_TensorBase.pyi` and `_nn.pyi` hold the operators as
functions, methods and neural-network functions; `_C.pyi` joins them; `__init__.pyi` is what
`import mindtorch_v2 as torch` gives. Classes have methods named int, float, bool, dtype and device,
so annotations spell these types with an underscore, as `mindtorch_v2.types` does.
"""

from __future__ import annotations

import re

from .emit_python import NUMBERS_AS_TENSORS, Signature, packets
from .table import Entry

TYPES = {
    "TENSOR": "Tensor", "TENSORS": "Sequence[Tensor]", "INT": "_int", "FLOAT": "_float",
    "BOOL": "_bool", "SCALAR": "Number", "INTS": "_int | _size", "FLOATS": "Sequence[_float]",
    "BOOLS": "Sequence[_bool]", "SCALARS": "Sequence[Number]", "STR": "str", "DTYPE": "_dtype",
    "DEVICE": "Device", "LAYOUT": "_layout", "FORMAT": "memory_format", "GENERATOR": "Generator",
    "STORAGE": "Any",
}  # fmt: skip
RESULTS = {
    "Tensor": "Tensor", "Tensor[]": "tuple[Tensor, ...]", "int": "_int", "bool": "_bool",
    "float": "_float", "Scalar": "Number", "ScalarType": "_dtype",
}  # fmt: skip

HEAD = """\
# Made from the operator table by csrc/gen/emit_stubs.py.
# mypy: disable-error-code="misc, override, overload-overlap, overload-cannot-match"
from builtins import bool as _bool, complex as _complex, float as _float, int as _int
from collections.abc import Callable, Iterator, Sequence
from typing import Any, overload

from mindtorch_v2._C import Generator, Size, memory_format
from mindtorch_v2._C import device as _device, dtype as _dtype, layout as _layout
from mindtorch_v2._tensor import Tensor

Number = _int | _float | _bool
Device = _device | str | _int | None
_size = Size | list[_int] | tuple[_int, ...]
"""

TENSOR = """
class TensorBase:
    data: Tensor
    grad: Tensor | None
    requires_grad: _bool
    def __init__(self, *args: Any, **kwargs: Any) -> None: ...
    def __bool__(self) -> _bool: ...
    def __complex__(self) -> _complex: ...
    def __float__(self) -> _float: ...
    def __index__(self) -> _int: ...
    def __int__(self) -> _int: ...
    def __len__(self) -> _int: ...
    def __iter__(self) -> Iterator[Tensor]: ...
    def __delitem__(self, index: Any) -> None: ...
    def __getitem__(self, index: Any) -> Tensor: ...
    def __setitem__(self, index: Any, value: Tensor | Number) -> None: ...
    def __dlpack__(self, **kwargs: Any) -> Any: ...
    def backward(self, gradient: Tensor | None = ..., retain_graph: _bool | None = ...,
                 create_graph: _bool = ..., inputs: Any = ...) -> None: ...
    def as_subclass(self, cls: type) -> Any: ...
    def cpu(self, memory_format: memory_format = ...) -> Tensor: ...
    def cuda(self, *args: Any, **kwargs: Any) -> Tensor: ...
    def data_ptr(self) -> _int: ...
    def dim(self) -> _int: ...
    def element_size(self) -> _int: ...
    def get_device(self) -> _int: ...
    def is_complex(self) -> _bool: ...
    def is_conj(self) -> _bool: ...
    def is_contiguous(self, memory_format: memory_format = ...) -> _bool: ...
    def is_floating_point(self) -> _bool: ...
    def is_inference(self) -> _bool: ...
    def is_neg(self) -> _bool: ...
    def is_pinned(self, device: Device = ...) -> _bool: ...
    def is_set_to(self, tensor: Tensor) -> _bool: ...
    def is_signed(self) -> _bool: ...
    def item(self) -> Any: ...
    def ndimension(self) -> _int: ...
    def nelement(self) -> _int: ...
    def new(self, *args: Any, **kwargs: Any) -> Tensor: ...
    def new_tensor(self, data: Any, dtype: _dtype | None = ..., device: Device = ...,
                   requires_grad: _bool = ...) -> Tensor: ...
    def numel(self) -> _int: ...
    def numpy(self, *, force: _bool = ...) -> Any: ...
    def pin_memory(self, device: Device = ...) -> Tensor: ...
    def register_hook(self, hook: Callable[..., Any]) -> Any: ...
    def requires_grad_(self, requires_grad: _bool = ...) -> Tensor: ...
    def set_(self, *args: Any, **kwargs: Any) -> Tensor: ...
    @overload
    def size(self) -> Size: ...
    @overload
    def size(self, dim: _int) -> _int: ...
    def storage_offset(self) -> _int: ...
    @overload
    def stride(self) -> tuple[_int, ...]: ...
    @overload
    def stride(self, dim: _int) -> _int: ...
    def to(self, *args: Any, **kwargs: Any) -> Tensor: ...
    def tolist(self) -> Any: ...
    @overload
    def type(self, dtype: None = ..., non_blocking: _bool = ...) -> str: ...
    @overload
    def type(self, dtype: _dtype | str | type, non_blocking: _bool = ...) -> Tensor: ...
    def type_as(self, other: Tensor) -> Tensor: ...
    def untyped_storage(self) -> Any: ...
"""
OPERATORS = (
    "add and floordiv lshift matmul mod mul or pow rshift sub truediv xor iadd iand ifloordiv "
    "ilshift imod imul ior ipow irshift isub itruediv ixor radd rand rfloordiv rlshift rmatmul "
    "rmod rmul ror rpow rrshift rsub rtruediv rxor eq ge gt le lt ne"
).split()
CASTS = "bfloat16 bool byte cdouble cfloat char double float half int long short".split()
PROPERTIES = {
    **dict.fromkeys("H T imag mH mT real".split(), "Tensor"),
    **dict.fromkeys("_version itemsize nbytes ndim output_nr".split(), "_int"),
    **dict.fromkeys(
        "is_cpu is_cuda is_ipu is_leaf is_maia is_meta is_mkldnn is_mps is_mtia is_nested is_quantized is_sparse "
        "is_sparse_csr is_vulkan is_xla is_xpu retains_grad".split(),
        "_bool",
    ),
    "_base": "Tensor | None",
    "device": "_device",
    "dtype": "_dtype",
    "grad_fn": "Any",
    "layout": "_layout",
    "name": "str | None",
    "shape": "Size",
}

MODULE = """\
# Made by csrc/gen/emit_stubs.py.
from builtins import bool as _bool, int as _int
from typing import Any, SupportsIndex, overload

from mindtorch_v2._TensorBase import TensorBase as TensorBase
from mindtorch_v2._tensor import Tensor

class dtype:
    is_complex: _bool
    is_floating_point: _bool
    is_signed: _bool
    itemsize: _int
    def to_complex(self) -> dtype: ...
    def to_real(self) -> dtype: ...

class layout: ...
class memory_format: ...

class device:
    type: str
    index: _int | None
    @overload
    def __init__(self, device: str | _int | device) -> None: ...
    @overload
    def __init__(self, type: str, index: _int) -> None: ...
    def __enter__(self) -> device: ...
    def __exit__(self, *args: Any) -> None: ...

class Size(tuple[_int, ...]):
    @overload
    def __getitem__(self, index: SupportsIndex) -> _int: ...
    @overload
    def __getitem__(self, index: slice) -> Size: ...
    def numel(self) -> _int: ...

class Generator:
    device: Any
    def __init__(self, device: Any = ...) -> None: ...
    def clone_state(self) -> Generator: ...
    def get_state(self) -> Tensor: ...
    def initial_seed(self) -> _int: ...
    def manual_seed(self, seed: _int) -> Generator: ...
    def seed(self) -> _int: ...
    def set_state(self, state: Tensor) -> Generator: ...

def as_tensor(data: Any, dtype: dtype | None = ..., device: Any = ...) -> Tensor: ...
def from_numpy(array: Any) -> Tensor: ...
def frombuffer(buffer: Any, *, dtype: dtype, count: _int = ..., offset: _int = ...,
               requires_grad: _bool = ...) -> Tensor: ...
def get_default_dtype() -> dtype: ...
def get_num_threads() -> _int: ...
def is_grad_enabled() -> _bool: ...
def is_inference_mode_enabled() -> _bool: ...
def set_num_threads(threads: _int) -> None: ...
def tensor(data: Any, *, dtype: dtype | None = ..., device: Any = ..., requires_grad: _bool = ...,
           pin_memory: _bool = ...) -> Tensor: ...
def __getattr__(name: str) -> Any: ...
"""
CONSTANTS = {
    "dtype": "bfloat16 bool cdouble cfloat complex128 complex64 double float float16 float32 float64"
    " half int int16 int32 int64 int8 long short uint16 uint32 uint64 uint8",
    "layout": "jagged sparse_bsc sparse_bsr sparse_coo sparse_csc sparse_csr strided",
    "memory_format": "channels_last channels_last_3d contiguous_format preserve_format",
}

PACKAGE = """\
# Made by csrc/gen/emit_stubs.py.
from builtins import bool as _bool, float as _float
from typing import Any

from ._C import (
    Generator as Generator, Size as Size, as_tensor as as_tensor, device as device,
    dtype as dtype, from_numpy as from_numpy, frombuffer as frombuffer,
    get_default_dtype as get_default_dtype, get_num_threads as get_num_threads,
    is_grad_enabled as is_grad_enabled, is_inference_mode_enabled as is_inference_mode_enabled,
    layout as layout, memory_format as memory_format, set_num_threads as set_num_threads,
    tensor as tensor,
)
from ._tensor import Tensor as Tensor
from ._VariableFunctions import *
from .version import __version__ as __version__
from .autograd import (
    enable_grad as enable_grad, inference_mode as inference_mode, no_grad as no_grad,
    set_grad_enabled as set_grad_enabled,
)
from .random import manual_seed as manual_seed
from .serialization import load as load, save as save
from . import _C as _C

e: _float
inf: _float
nan: _float
pi: _float
newaxis: None
def is_tensor(obj: Any, /) -> _bool: ...
def set_default_dtype(d: dtype, /) -> None: ...
def __getattr__(name: str) -> Any: ...
"""


def spread(s: Signature) -> bool:
    """Whether sizes may also be given as arguments of their own: f(2, 3) for f([2, 3])."""
    positional = [p for p in s.params if not p.kwonly]
    return len(positional) == 1 and positional[0].arg.kind == "INTS"


def function(name: str, s: Signature, method: bool, spread_out: bool = False) -> str:
    """One line for one signature."""
    parts, star = (["self"] if method else []), False
    for p in s.params:
        if spread_out and not p.kwonly:
            parts.append(f"*{p.name}: _int")
            star = True
            continue
        if p.kwonly and not star:
            parts.append("*")
            star = True
        t = "tuple[Tensor, ...]" if p.index == -2 and p.out_count != 1 else TYPES[p.arg.kind]
        if p.arg.is_tensor and name in NUMBERS_AS_TENSORS and p.name != "input":
            t = "Tensor | Number"
        if p.arg.optional or p.default == "None":
            t += " | None"
        spelled = p.name + "_" if p.name in ("from", "lambda") else p.name
        parts.append(f"{spelled}: {t}" + (" = ..." if p.default is not None else ""))
    results = [RESULTS[r.type] for r in s.entry.schema.returns]
    result = "None" if not results else results[0]
    if len(results) > 1:
        result = f"tuple[{', '.join(results)}]"
    return f"def {name}({', '.join(parts)}) -> {result}: ..."


def functions(packet: dict[str, list[Signature]], method: bool, known: set[str]) -> list[str]:
    lines = []
    for name, sigs in sorted(packet.items()):
        current = [s for s in sigs if not s.deprecated]
        if name in known:
            continue
        found = [function(name, s, method) for s in current]
        found += [function(name, s, method, True) for s in current if spread(s)]
        for line in found:
            lines += ["@overload", line] if len(found) > 1 else [line]
    return lines


def tensor_class(packet: dict[str, list[Signature]]) -> str:
    lines = [TENSOR.rstrip("\n")]
    lines += [f"    def __{n}__(self, other: Tensor | Number) -> Tensor: ..." for n in OPERATORS]
    lines += [f"    def __{n}__(self) -> Tensor: ..." for n in ("abs", "invert", "neg", "pos")]
    lines += [
        f"    def {n}(self, memory_format: memory_format = ...) -> Tensor: ..." for n in CASTS
    ]
    for name, t in PROPERTIES.items():
        lines += ["    @property", f"    def {name}(self) -> {t}: ..."]
    known = set(re.findall(r"def (\w+)\(", "\n".join(lines)))
    lines += ["    " + line for line in functions(packet, True, known)]
    return "\n".join(lines) + "\n"


def emit_stubs(entries: list[Entry]) -> dict[str, str]:
    """.pyi texts by file name."""
    table = packets(entries)
    constants = "".join(f"{n}: {t}\n" for t, names in CONSTANTS.items() for n in names.split())
    names = [f"    {n} as {n}," for text in CONSTANTS.values() for n in text.split()]
    return {
        "_VariableFunctions.pyi": HEAD
        + "\n"
        + "\n".join(functions(table["function"], False, set()))
        + "\n",
        "_nn.pyi": HEAD + "\n" + "\n".join(functions(table["nn"], False, set())) + "\n",
        "_TensorBase.pyi": HEAD + tensor_class(table["method"]),
        "_C.pyi": MODULE + constants,
        "__init__.pyi": PACKAGE.replace(
            "\ne: _float\n", "\nfrom ._C import (\n" + "\n".join(names) + "\n)\n\ne: _float\n"
        ),
    }
