"""Switches of CUDA libraries, which are not part of this build: they keep what is set, and decide
which ways scaled_dot_product_attention may take (`torch.nn.attention.sdpa_kernel`)."""

import contextlib
import enum

from .. import _C
from . import _checked_bool, _precision

__all__ = [
    "is_built", "cuFFTPlanCache", "cuFFTPlanCacheManager", "cuBLASModule", "preferred_linalg_library",
    "preferred_blas_library", "preferred_rocm_fa_library", "cufft_plan_cache", "matmul", "enable_cudnn_sdp",
    "cudnn_sdp_enabled", "enable_flash_sdp", "flash_sdp_enabled", "enable_mem_efficient_sdp",
    "mem_efficient_sdp_enabled", "math_sdp_enabled", "enable_math_sdp", "allow_fp16_bf16_reduction_math_sdp",
    "fp16_bf16_reduction_math_sdp_allowed", "is_flash_attention_available", "is_ck_sdpa_available", "sdp_kernel",
]  # fmt: skip


def is_built():
    """False: CUDA is not part of this build."""
    return False


# ---- attention ------------------------------------------------------------------------------

_MATH, _FLASH, _EFFICIENT, _CUDNN = range(4)  # torch.nn.attention.SDPBackend
_sdp = {"reduction": False}


def flash_sdp_enabled():
    """Whether flash attention may be used."""
    return _C._get_sdp_enabled(_FLASH)


def enable_flash_sdp(enabled):
    """Allows or forbids flash attention."""
    _C._set_sdp_enabled(_FLASH, _checked_bool(enabled, "set_sdp_use_math"))


def mem_efficient_sdp_enabled():
    """Whether memory efficient attention may be used."""
    return _C._get_sdp_enabled(_EFFICIENT)


def enable_mem_efficient_sdp(enabled):
    """Allows or forbids memory efficient attention."""
    _C._set_sdp_enabled(_EFFICIENT, _checked_bool(enabled, "set_sdp_use_math"))


def math_sdp_enabled():
    """Whether attention made of single operators may be used."""
    return _C._get_sdp_enabled(_MATH)


def enable_math_sdp(enabled):
    """Allows or forbids attention made of single operators."""
    _C._set_sdp_enabled(_MATH, _checked_bool(enabled, "set_sdp_use_math"))


def cudnn_sdp_enabled():
    """Whether cuDNN's attention may be used."""
    return _C._get_sdp_enabled(_CUDNN)


def enable_cudnn_sdp(enabled):
    """Allows or forbids cuDNN's attention."""
    _C._set_sdp_enabled(_CUDNN, _checked_bool(enabled, "set_sdp_use_cudnn"))


def allow_fp16_bf16_reduction_math_sdp(enabled):
    """Whether attention of halves may sum in halves."""
    _sdp["reduction"] = _checked_bool(enabled, "set_sdp_use_math")


def fp16_bf16_reduction_math_sdp_allowed():
    """What allow_fp16_bf16_reduction_math_sdp said."""
    return _sdp["reduction"]


def is_flash_attention_available():
    """False: it is a CUDA library."""
    return False


def is_ck_sdpa_available():
    """False: it is a ROCm library."""
    return False


@contextlib.contextmanager
def sdp_kernel(enable_flash=True, enable_math=True, enable_mem_efficient=True, enable_cudnn=True):
    """Other switches for attention inside a `with`."""
    wanted = {_FLASH: enable_flash, _MATH: enable_math, _EFFICIENT: enable_mem_efficient, _CUDNN: enable_cudnn}
    before = {way: _C._get_sdp_enabled(way) for way in wanted}
    try:
        for way, enabled in wanted.items():
            _C._set_sdp_enabled(way, enabled)
        yield {}
    finally:
        for way, enabled in before.items():
            _C._set_sdp_enabled(way, enabled)


# ---- products -------------------------------------------------------------------------------


class cuBLASModule:
    """`torch.backends.cuda.matmul`: allow_tf32, fp32_precision and the switches of sums in halves."""

    _REDUCED = ("allow_fp16_reduced_precision_reduction", "allow_bf16_reduced_precision_reduction")

    def __init__(self):
        self.__dict__["_state"] = {
            "allow_fp16_reduced_precision_reduction": (True, True),
            "allow_bf16_reduced_precision_reduction": (True, True),
            "allow_fp16_accumulation": False,
        }

    def __getattr__(self, name):
        if name == "allow_tf32":
            return _precision.get_cublas_tf32()
        if name == "fp32_precision":
            return _precision.get("cuda", "matmul")
        if name in self._REDUCED:
            return self._state[name][0]
        if name.endswith("_split_k") and name[: -len("_split_k")] in self._REDUCED:
            return self._state[name[: -len("_split_k")]][1]
        if name == "allow_fp16_accumulation":
            return self._state[name]
        raise AttributeError("Unknown attribute " + name)

    def __setattr__(self, name, value):
        if name == "allow_tf32":
            _precision.set_cublas_tf32(_checked_bool(value, "set_allow_tf32_cublas"))
        elif name == "fp32_precision":
            _precision.put("cuda", "matmul", value)
        elif name in self._REDUCED:
            pair = (value, True) if isinstance(value, bool) else value
            if not isinstance(pair, (tuple, list)) or not all(isinstance(v, bool) for v in pair):
                raise TypeError(f"{name} expects a bool or a tuple/list of bools, but got {type(value)}")
            pair = tuple(pair) + (True,) * (2 - len(pair))
            if pair[0] and not pair[1]:
                raise RuntimeError("allow_splitk=False is not supported when reduced precision reductions are enabled")
            self._state[name] = pair
        elif name == "allow_fp16_accumulation":
            self._state[name] = _checked_bool(value, "set_allow_fp16_accumulation_cublas")
        else:
            raise AttributeError("Unknown attribute " + name)


matmul = cuBLASModule()


# ---- libraries ------------------------------------------------------------------------------


def _choice(name, members):
    """An enumeration with PyTorch's repr: <_LinalgBackend.Default: 0>."""
    return enum.IntEnum(name, members, module=__name__)


_LinalgBackend = _choice("_LinalgBackend", {"Default": 0, "Cusolver": 1, "Magma": 2})
_BlasBackend = _choice("_BlasBackend", {"Default": 0, "Cublas": 1, "Cublaslt": 2, "Ck": 3})
_ROCmFABackend = _choice("_ROCmFABackend", {"Default": 0, "AOTriton": 1, "Ck": 2})
_LinalgBackends = {"default": _LinalgBackend.Default, "cusolver": _LinalgBackend.Cusolver, "magma": _LinalgBackend.Magma}
_BlasBackends = {
    "default": _BlasBackend.Default, "cublas": _BlasBackend.Cublas, "hipblas": _BlasBackend.Cublas,
    "cublaslt": _BlasBackend.Cublaslt, "hipblaslt": _BlasBackend.Cublaslt, "ck": _BlasBackend.Ck,
}  # fmt: skip
_ROCmFABackends = {"default": _ROCmFABackend.Default, "aotriton": _ROCmFABackend.AOTriton, "ck": _ROCmFABackend.Ck}
_preferred = {"linalg": _LinalgBackend.Default, "blas": _BlasBackend.Cublas, "fa": _ROCmFABackend.Default}


def _prefer(kind, backend, table, cls):
    if backend is None:
        return _preferred[kind]
    if isinstance(backend, str):
        if backend not in table:
            raise RuntimeError(f"Unknown input value. Choose from: {', '.join(table)}.")
        backend = table[backend]
    elif not isinstance(backend, cls):
        raise RuntimeError("Unknown input value type.")
    if kind != "fa" and type(backend) is cls and int(backend) and (cls is _LinalgBackend or int(backend) > 1):
        label = {"Magma": "MAGMA", "Cusolver": "cuSOLVER", "Cublaslt": "cuBLASLt", "Ck": "CK"}[backend.name]
        raise RuntimeError(f"Cannot set preferred backend to {label} if PyTorch has not been compiled with {label}.")
    _preferred[kind] = backend
    return backend


def preferred_linalg_library(backend=None):
    """Which library the CUDA linear algebra would use; asks without `backend`, else sets."""
    return _prefer("linalg", backend, _LinalgBackends, _LinalgBackend)


def preferred_blas_library(backend=None):
    """Which library CUDA products would use; asks without `backend`, else sets."""
    return _prefer("blas", backend, _BlasBackends, _BlasBackend)


def preferred_rocm_fa_library(backend=None):
    """Which library ROCm attention would use; asks without `backend`, else sets."""
    return _prefer("fa", backend, _ROCmFABackends, _ROCmFABackend)


class cuFFTPlanCache:
    """The plans that cuFFT keeps for a device; asking raises, as there is no device."""

    def __init__(self, device_index):
        self.device_index = device_index

    def _missing(self, *value):
        raise RuntimeError(
            f"cufft_plan_cache: expected 0 <= device index < 0, but got device with index {self.device_index}"
        )

    size = property(_missing)
    max_size = property(_missing, _missing)
    clear = _missing


class cuFFTPlanCacheManager:
    """`torch.backends.cuda.cufft_plan_cache`: index it with a device."""

    def __getitem__(self, device):
        index = device if isinstance(device, int) else _C.device(device).index or 0
        raise RuntimeError(f"cufft_plan_cache: expected 0 <= device index < 0, but got device with index {index}")

    def _missing(self, *value):
        raise AssertionError("Torch not compiled with CUDA enabled")

    size = property(_missing)
    max_size = property(_missing, _missing)
    clear = _missing


cufft_plan_cache = cuFFTPlanCacheManager()
