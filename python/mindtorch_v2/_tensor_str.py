"""How tensors print, character for character as in PyTorch.

A tensor is reduced to the elements that are shown, these become nested lists of Python numbers,
and one _Format decides for all of them alike: plain or scientific, digits, width.
"""

from math import inf, isfinite
from sys import modules

from . import _C

__all__ = ["set_printoptions", "get_printoptions", "printoptions"]


class _PrinterOptions:
    """What set_printoptions sets."""

    def __init__(self):
        self.precision = 4
        self.threshold = 1000
        self.edgeitems = 3
        self.linewidth = 80
        self.sci_mode = None


PRINT_OPTS = _PrinterOptions()
_PACKAGE = __name__.split(".")[0]

_PROFILES = {
    "default": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 80},
    "full": {"precision": 4, "threshold": inf, "edgeitems": 3, "linewidth": 80},
}


def set_printoptions(
    precision=None, threshold=None, edgeitems=None, linewidth=None, profile=None, sci_mode=None
):
    """Sets how tensors print.

    Args:
        precision: digits after the point (4).
        threshold: number of elements above which the middle of every long dimension is left out
            (1000).
        edgeitems: elements shown at both ends of such a dimension (3).
        linewidth: characters per line (80).
        profile: "default", "short" or "full" sets the four above, before they are.
        sci_mode: True or False for scientific notation always or never, None to let the values
            decide (which is also what leaving it out does).
    """
    if profile is not None:
        for name, value in _PROFILES.get(profile, {}).items():
            setattr(PRINT_OPTS, name, value)
    given = {
        "precision": precision,
        "threshold": threshold,
        "edgeitems": edgeitems,
        "linewidth": linewidth,
    }
    for name, value in given.items():
        if value is not None:
            setattr(PRINT_OPTS, name, value)
    PRINT_OPTS.sci_mode = sci_mode


def get_printoptions():
    """The options as a dict of set_printoptions' arguments."""
    return dict(vars(PRINT_OPTS))


class printoptions:
    """Context manager: set_printoptions(**kwargs) for the time of its block."""

    def __init__(self, **kwargs):
        self._kwargs = kwargs

    def __enter__(self):
        self._before = get_printoptions()
        set_printoptions(**self._kwargs)

    def __exit__(self, exc_type, exc_value, traceback):
        set_printoptions(**self._before)


class _Format:
    """How numbers of one kind are written: `width` characters each, at least."""

    def __init__(self, values, floating):
        self.floating = floating
        self.int_mode = True
        self.sci_mode = False
        self.width = 1
        if not floating:
            self.width = max((len(str(v)) for v in values), default=1)
            return
        values = [v for v in values if v != 0 and isfinite(v)]
        if not values:
            return
        sizes = [abs(v) for v in values]
        low, high = min(sizes), max(sizes)
        self.int_mode = all(v.is_integer() for v in values)
        # The same values decide whether they are integers and how far apart they are.
        self.sci_mode = high / low > 1000.0 or high > 1.0e8
        if not self.int_mode:
            self.sci_mode = self.sci_mode or low < 1.0e-4
        if PRINT_OPTS.sci_mode is not None:
            self.sci_mode = PRINT_OPTS.sci_mode
        self.width = max(1, max(len(self._text(v)) for v in values))

    def _text(self, value):
        if self.sci_mode:
            return f"{value:.{PRINT_OPTS.precision}e}"
        if self.int_mode:
            return f"{value:.0f}" + ("." if isfinite(value) else "")
        return f"{value:.{PRINT_OPTS.precision}f}"

    def __call__(self, value):
        text = self._text(value) if self.floating else str(value)
        return text.rjust(self.width)


class _ComplexFormat:
    """Real and imaginary parts have formats of their own."""

    def __init__(self, values):
        self.real = _Format([v.real for v in values], True)
        self.imag = _Format([v.imag for v in values], True)
        self.width = self.real.width + self.imag.width + 1

    def __call__(self, value):
        imag = self.imag(value.imag).lstrip() + "j"
        sign = "" if imag[0] in "+-" else "+"
        return self.real(value.real) + sign + imag


def _flat(nested, depth):
    """The numbers in lists of lists, `depth` levels deep."""
    if depth == 0:
        return [nested]
    while depth > 1:
        nested = [x for part in nested for x in part]
        depth -= 1
    return nested


def _edges(tensor):
    """The tensor without the middle of its long dimensions."""
    import mindtorch_v2 as torch

    edge = PRINT_OPTS.edgeitems
    for dim, size in enumerate(tensor.shape):
        if size > 2 * edge:
            ends = (tensor.narrow(dim, 0, edge), tensor.narrow(dim, size - edge, edge))
            tensor = torch.cat(ends, dim)
    return tensor


def _vector(items, cut, indent, write):
    """One line, or several where they are too many; a cut vector has "..." in its middle."""
    edge = PRINT_OPTS.edgeitems
    per_line = max(1, int((PRINT_OPTS.linewidth - indent) // (write.width + 2)))
    texts = [write(item) for item in items]
    if cut:
        texts = [*texts[:edge], " ...", *texts[edge:]] if edge else ["..."]
    lines = [", ".join(texts[i : i + per_line]) for i in range(0, len(texts), per_line)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"


def _nested(items, shape, summarize, indent, write):
    """The brackets of a tensor of this shape, whose shown elements are `items`."""
    if not shape:
        return write(items)
    edge = PRINT_OPTS.edgeitems
    cut = summarize and shape[0] > 2 * edge
    if len(shape) == 1:
        return _vector(items, cut or (summarize and not edge), indent, write)
    parts = [_nested(item, shape[1:], summarize, indent + 1, write) for item in items]
    if cut:
        parts[edge:edge] = ["..."]
    return "[" + ("," + "\n" * (len(shape) - 1) + " " * (indent + 1)).join(parts) + "]"


def _tensor_str(tensor, indent):
    """The elements in brackets; `indent` is how far in the first line starts."""
    if tensor.numel() == 0:
        return "[]"
    summarize = tensor.numel() > PRINT_OPTS.threshold
    shape = tuple(tensor.shape)
    shown = _edges(tensor) if summarize else tensor
    items = shown.tolist()
    dtype = tensor.dtype
    values = _flat(items, len(shape))
    if dtype.is_complex:
        write = _ComplexFormat(values)
    else:
        write = _Format(values, dtype.is_floating_point)
    return _nested(items, shape, summarize, indent, write)


def _add_suffixes(text, suffixes, indent, force_newline=False):
    """Appends ", suffix" for each, on a new line where the line would be too long, and ")"."""
    out = [text]
    length = len(text) - text.rfind("\n") + 1
    for suffix in suffixes:
        if force_newline or length + len(suffix) + 2 > PRINT_OPTS.linewidth:
            out.append(",\n" + " " * indent + suffix)
            length = indent + len(suffix)
            force_newline = False
        else:
            out.append(", " + suffix)
            length += len(suffix) + 2
    return "".join(out) + ")"


def _has_plain_dtype(tensor):
    """Whether the elements as printed tell the dtype."""
    import mindtorch_v2 as torch

    default = torch.get_default_dtype()
    default_complex = torch.complex128 if default is torch.float64 else torch.complex64
    return tensor.dtype in (default, default_complex, torch.int64, torch.bool)


def _autograd_suffix(tensor):
    try:
        grad_fn = tensor.grad_fn
    except RuntimeError:
        # The history of a view cannot be told when its base was changed behind its back.
        return ["grad_fn=<Invalid>"]
    if grad_fn is not None:
        return [f"grad_fn=<{type(grad_fn).__name__}>"]
    return ["requires_grad=True"] if tensor.requires_grad else []


def _unpack_dual(tensor):
    """(primal, tangent), the tangent None outside of forward mode."""
    forward_ad = modules.get(f"{_PACKAGE}.autograd.forward_ad")
    if forward_ad is None or forward_ad._current_level < 0:
        return tensor, None
    return forward_ad.unpack_dual(tensor)


def _wrapper_str(tensor, contents):
    """Tensors that stand for others inside vmap and grad show what they stand for; None: it is
    no such tensor."""
    functorch = getattr(_C, "_functorch", None)
    if functorch is None or not functorch.is_functorch_wrapped_tensor(tensor):
        return None
    level = functorch.maybe_get_level(tensor)
    if functorch.is_batchedtensor(tensor):
        head = f"BatchedTensor(lvl={level}, bdim={functorch.maybe_get_bdim(tensor)}, value="
    elif functorch.is_gradtrackingtensor(tensor):
        head = f"GradTrackingTensor(lvl={level}, value="
    else:
        return None
    inner = contents if contents is not None else repr(functorch.get_unwrapped(tensor))
    return head + "\n    " + inner.replace("\n", "\n    ") + "\n)"


def _str(self, *, tensor_contents=None):
    """repr(tensor). `tensor_contents` stands for the elements where it is given."""
    import mindtorch_v2 as torch

    with torch.no_grad():
        wrapped = _wrapper_str(self, tensor_contents)
        if wrapped is not None:
            return wrapped
        tensor, tangent = _unpack_dual(self)
        cls = type(self)
        Parameter = getattr(modules.get(f"{_PACKAGE}.nn.parameter"), "Parameter", torch.Tensor)
        plain = cls is torch.Tensor or cls is Parameter
        prefix = "tensor(" if plain else f"{cls.__name__}("
        indent = len(prefix)
        suffixes = []
        is_meta = tensor.device.type == "meta"
        if tensor.device.type != "cpu":
            suffixes.append(f"device='{tensor.device}'")
        shape = tuple(tensor.shape)
        if is_meta or tensor.numel() == 0:
            if is_meta or len(shape) != 1:
                suffixes.append(f"size={shape}")
            # Without elements to see, only the default dtype goes without saying.
            if tensor.dtype != torch.get_default_dtype():
                suffixes.append(f"dtype={tensor.dtype}")
        else:
            if not PRINT_OPTS.edgeitems:
                suffixes.append(f"size={shape}")
            if not _has_plain_dtype(tensor):
                suffixes.append(f"dtype={tensor.dtype}")
        if tensor_contents is not None:
            text = tensor_contents
        elif is_meta:
            text = "..."
        else:
            text = _tensor_str(tensor.detach(), indent)
        suffixes += _autograd_suffix(self)
        if tangent is not None:
            suffixes.append(f"tangent={tangent}")
        text = _add_suffixes(prefix + text, suffixes, indent)
        if not plain and Parameter is not torch.Tensor and isinstance(self, Parameter):
            text = f"Parameter({text})"
        return text
