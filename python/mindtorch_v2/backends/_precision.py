"""How float32 products may be computed, as the switches of torch.backends and
torch.set_float32_matmul_precision say.

The CPU kernels of this build always compute float32 in float32, which every setting allows; the
switches keep what programs set and answer as PyTorch does, also where the older switches
(allow_tf32, float32_matmul_precision) and the newer ones (fp32_precision) contradict each other.
"""

_OPS = {"generic": ("all",), "cuda": ("all", "conv", "rnn", "matmul"), "mkldnn": ("all", "conv", "rnn", "matmul")}
_ALLOWED = {
    "generic": ("none", "ieee", "tf32", "bf16"),
    "cuda": ("none", "ieee", "tf32"),
    "mkldnn": ("none", "ieee", "tf32", "bf16"),
}
_set = {}
_WEAK = {("cuda", "conv"): "tf32", ("cuda", "rnn"): "tf32"}  # where nothing was set, here or above
_legacy = {"matmul": "highest", "cudnn_tf32": True}
_SEE = "See also: https://pytorch.org/docs/main/notes/cuda.html#tensorfloat-32-tf32-on-ampere-and-later-devices"


def _check(backend, op):
    if op not in ("all", "conv", "rnn", "matmul"):
        raise RuntimeError(f"Unknown op: {op}")
    if backend not in _OPS:
        raise RuntimeError(f"Unknown backend: {backend}")
    if op not in _OPS[backend]:
        raise RuntimeError(
            f"Invalid (backend, op) pair: ({list(_OPS).index(backend)}, {('all', 'conv', 'rnn', 'matmul').index(op)})"
        )


def get(backend, op):
    """The precision in force: "none" takes what the level above says, where the backend has it."""
    _check(backend, op)
    for key in ((backend, op), (backend, "all"), ("generic", "all")):
        found = _set.get(key, "none")
        if found != "none":
            return found if found in _ALLOWED[backend] else "none"
    return "none" if (backend, op) in _set else _WEAK.get((backend, op), "none")


def put(backend, op, precision):
    """Sets a precision; RuntimeError for words that are none or that the backend does not have."""
    _check(backend, op)
    if precision not in _ALLOWED["generic"]:
        raise RuntimeError(f"Unknown precision: {precision}")
    if precision not in _ALLOWED[backend]:
        raise RuntimeError(f"backend '{backend}' does not support precision '{precision}'")
    _set[backend, op] = precision


def get_matmul():
    """torch.get_float32_matmul_precision"""
    word = _legacy["matmul"]
    cuda, cpu = get("cuda", "matmul"), get("mkldnn", "matmul")
    wrong = {
        "highest": cuda == "tf32" or cpu in ("tf32", "bf16"),
        "high": cpu == "bf16",
        "medium": cpu == "tf32",
    }[word]
    if wrong:
        raise RuntimeError(
            "PyTorch is checking the matmul precision without a specific backend name,Current status indicate that you "
            "have used mix of the legacy and new APIs to set the matmul precision. We suggest only using the new API for "
            f"matmul precision. {_SEE}"
        )
    return word


def set_matmul(word):
    """torch.set_float32_matmul_precision"""
    if word not in ("highest", "high", "medium"):
        import warnings

        warnings.warn(
            f"{word} is not one of 'highest', 'high', or 'medium'; the current"
            "setFloat32MatmulPrecision call has no effect.",
            stacklevel=3,
        )
        return
    _legacy["matmul"] = word
    put("cuda", "matmul", "ieee" if word == "highest" else "tf32")
    put("mkldnn", "matmul", {"highest": "ieee", "high": "tf32", "medium": "bf16"}[word])


def get_cublas_tf32():
    """torch.backends.cuda.matmul.allow_tf32"""
    allowed = _legacy["matmul"] != "highest"
    if allowed != (get("cuda", "matmul") == "tf32"):
        raise RuntimeError(
            "PyTorch is checking whether allow_tf32_new is enabled for cuBlas matmul,Current status indicate that you "
            "have used mix of the legacy and new APIs to set the TF32 status for cublas matmul. We suggest only using the "
            f"new API to set the TF32 flag. {_SEE}"
        )
    return allowed


def set_cublas_tf32(value):
    _legacy["matmul"] = "high" if value else "highest"
    put("cuda", "matmul", "tf32" if value else "ieee")


def get_cudnn_tf32():
    """torch.backends.cudnn.allow_tf32"""
    conv, rnn = (get("cuda", op) == "tf32" for op in ("conv", "rnn"))
    if not conv == rnn == _legacy["cudnn_tf32"]:
        raise RuntimeError(
            "PyTorch is checking whether allow_tf32 is enabled for cuDNN without a specific operator name,but the current "
            "flag(s) indicate that cuDNN conv and cuDNN RNN have different TF32 flags.This combination indicates that you "
            "have used a mix of the legacy and new APIs to set the TF32 flags. We suggest only using the new API to set "
            f"the TF32 flag(s). {_SEE}"
        )
    return conv


def set_cudnn_tf32(value):
    _legacy["cudnn_tf32"] = value
    for op in ("conv", "rnn"):
        put("cuda", op, "tf32" if value else "none")
