"""PyTorch's API on a small, fast C core: ``import mindtorch_v2 as torch``.

What a program touches at start is here at once; submodules (`nn`, `optim`, `utils`, ...) load on
first use, and NumPy and the BLAS library only when something needs them.
"""

from .version import __version__ as __version__
from . import _C
from ._C import *  # noqa: F403
from ._C import device, dtype, layout, memory_format, Size  # noqa: F401
from ._tensor import Tensor

# operators: torch.add and the like
globals().update({k: v for k, v in vars(_C._VariableFunctions).items() if not k.startswith("__")})

from ._functions import *  # noqa: E402, F403
from .functional import *  # noqa: E402, F403
from ._type_info import finfo as finfo, iinfo as iinfo  # noqa: E402
from ._transforms import *  # noqa: E402, F403
from .autograd import (  # noqa: E402
    enable_grad as enable_grad,
    inference_mode as inference_mode,
    no_grad as no_grad,
    set_grad_enabled as set_grad_enabled,
)

from math import e, inf, nan, pi  # noqa: E402, F401
newaxis = None


def _find_blas():
    """Tells the core where the BLAS library lies; it is opened when first needed."""
    import os
    import sys

    for folder in sys.path:
        lib = os.path.join(folder, "scipy_openblas32", "lib")
        for name in ("libscipy_openblas.so", "libscipy_openblas.dylib"):
            path = os.path.join(lib, name)
            if os.path.exists(path):
                _C._set_blas_library(path)
                return


_find_blas()

_SUBMODULES = frozenset(
    "autograd nn optim utils multiprocessing profiler serialization storage random overrides library "
    "linalg fft special func types testing amp backends cpu cuda jit futures distributions _tensor_str "
    "return_types __config__ masked signal functional hub _utils onnx sparse xpu mps mtia accelerator compiler".split()
)
_LAZY = {
    **dict.fromkeys(
        "FloatTensor DoubleTensor HalfTensor BFloat16Tensor LongTensor IntTensor ShortTensor CharTensor "
        "ByteTensor BoolTensor".split(), "_legacy_types"
    ),
    **dict.fromkeys("solve lstsq eig symeig matrix_rank".split(), "_linalg_utils"),
    **dict.fromkeys(("svd_lowrank", "pca_lowrank"), "_lowrank"),
    "from_dlpack": "utils.dlpack",
    "to_dlpack": "utils.dlpack",
    "save": "serialization",
    "load": "serialization",
    "set_printoptions": "_tensor_str",
    "get_printoptions": "_tensor_str",
    "printoptions": "_tensor_str",
    "UntypedStorage": "storage",
    "TypedStorage": "storage",
    "set_rng_state": "random",
    "get_rng_state": "random",
    "manual_seed": "random",
    "seed": "random",
    "initial_seed": "random",
    "default_generator": "random",
    "ops": "_ops",
    "vmap": "func",
    "autocast": "amp",
    **dict.fromkeys(
        "set_float32_matmul_precision get_float32_matmul_precision use_deterministic_algorithms "
        "are_deterministic_algorithms_enabled is_deterministic_algorithms_warn_only_enabled "
        "set_deterministic_debug_mode get_deterministic_debug_mode set_warn_always is_warn_always_enabled "
        "set_num_interop_threads get_num_interop_threads compiled_with_cxx11_abi get_file_path".split(), "_switches"
    ),
    **dict.fromkeys(("DispatchKey", "DispatchKeySet", "ExcludeDispatchKeyGuard"), "_dispatch"),
    **dict.fromkeys(("FunctionSchema", "Argument"), "_schema"),
    "AcceleratorError": "_errors",
    "OutOfMemoryError": "_errors",
}


def __getattr__(name):
    import importlib

    if name in _LAZY:
        try:
            value = getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
        except ModuleNotFoundError:
            raise AttributeError(f"module '{__name__}' has no attribute '{name}'") from None
        globals()[name] = value
        return value
    if name.endswith("Storage") and not name.startswith("_"):
        from . import storage

        return getattr(storage, name)
    if name in _SUBMODULES:
        try:
            return importlib.import_module(f"{__name__}.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"{__name__}.{name}":
                raise
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


def __dir__():
    return sorted({*globals(), *_SUBMODULES, *_LAZY})


