"""Recurrent layers and single steps of them.

Shapes: T steps, N samples (left out where there is no batch), ``input_size`` I, ``hidden_size`` H,
D = 2 if ``bidirectional`` else 1, L = ``num_layers``. Parameters of layer k are ``weight_ih_lk``,
``weight_hh_lk``, ``bias_ih_lk`` and ``bias_hh_lk``, with ``_reverse`` appended for the other
direction; those of the gates of one kind lie below each other. All are uniform in +-1/sqrt(H) at
first.
"""

import math
import warnings
import weakref

import mindtorch_v2 as torch

from .. import init
from ..parameter import Parameter
from ..utils.rnn import PackedSequence
from .module import Module

__all__ = ["RNNBase", "RNN", "LSTM", "GRU", "RNNCellBase", "RNNCell", "LSTMCell", "GRUCell"]

Tensor = torch.Tensor

# mode -> number of gates, operator
_MODES = {
    "LSTM": (4, "lstm"),
    "GRU": (3, "gru"),
    "RNN_TANH": (1, "rnn_tanh"),
    "RNN_RELU": (1, "rnn_relu"),
}


def _apply_permutation(tensor: Tensor, permutation: Tensor, dim: int = 1) -> Tensor:
    return tensor.index_select(dim, permutation)


def apply_permutation(tensor: Tensor, permutation: Tensor, dim: int = 1) -> Tensor:
    """``tensor.index_select(dim, permutation)``, which is to be used instead; deprecated."""
    warnings.warn(
        "`apply_permutation` is deprecated, please use "
        "`tensor.index_select(dim, permutation)` instead",
        FutureWarning,
        stacklevel=2,
    )
    return _apply_permutation(tensor, permutation, dim)


class RNNBase(Module):
    """What the recurrent layers share; ``mode`` names the kind."""

    __constants__ = [
        "mode",
        "input_size",
        "hidden_size",
        "num_layers",
        "bias",
        "batch_first",
        "dropout",
        "bidirectional",
        "proj_size",
    ]
    __jit_unused_properties__ = ["all_weights"]
    mode: str
    input_size: int
    hidden_size: int
    num_layers: int
    bias: bool
    batch_first: bool
    dropout: float
    bidirectional: bool
    proj_size: int

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device=None,
        dtype=None,
    ) -> None:
        super().__init__()
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        self._flat_weight_refs = []
        directions = 2 if bidirectional else 1
        _check_sizes(self, dropout)
        if mode not in _MODES:
            raise ValueError("Unrecognized RNN mode: " + mode)
        rows = _MODES[mode][0] * hidden_size
        out = proj_size or hidden_size
        place = {"device": device, "dtype": dtype}
        self._flat_weights_names = []
        self._all_weights = []
        for layer in range(num_layers):
            for direction in range(directions):
                inp = input_size if layer == 0 else out * directions
                suffix = f"_l{layer}" + ("_reverse" if direction else "")
                shapes = {"weight_ih": (rows, inp), "weight_hh": (rows, out)}
                if bias:
                    shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
                if proj_size > 0:
                    shapes["weight_hr"] = (proj_size, hidden_size)
                for name, shape in shapes.items():
                    setattr(self, name + suffix, Parameter(torch.empty(shape, **place)))
                names = [name + suffix for name in shapes]
                self._flat_weights_names += names
                self._all_weights.append(names)
        self._init_flat_weights()
        self.reset_parameters()

    def _init_flat_weights(self) -> None:
        """Gather the parameters in the order in which the operators take them."""
        self._flat_weights = [getattr(self, n, None) for n in self._flat_weights_names]
        self._flat_weight_refs = [None if w is None else weakref.ref(w) for w in self._flat_weights]
        self.flatten_parameters()

    def __setattr__(self, attr, value):
        d = self.__dict__
        names = d.get("_flat_weights_names")
        if names is not None and attr in names and "_flat_weights" in d:
            d["_flat_weights"][names.index(attr)] = value
        super().__setattr__(attr, value)

    def flatten_parameters(self) -> None:
        """Does nothing: on a CPU the parameters need not lie in one block."""

    def _apply(self, fn, recurse=True):
        self._flat_weight_refs = []
        out = super()._apply(fn, recurse)
        self._init_flat_weights()
        return out

    def reset_parameters(self) -> None:
        """Draw all parameters anew."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def check_input(self, input: Tensor, batch_sizes: Tensor | None) -> None:
        """ValueError or RuntimeError if dtype or shape of ``input`` are not those expected."""
        dtype = self._flat_weights[0].dtype
        if input.dtype != dtype and not torch.is_autocast_enabled():
            raise ValueError(
                f"RNN input dtype ({input.dtype}) does not match weight dtype ({dtype}). "
                f"Convert input: input.to({dtype}), or convert model: model.to({input.dtype})"
            )
        dims = 2 if batch_sizes is not None else 3
        if input.dim() != dims:
            raise RuntimeError(f"input must have {dims} dimensions, got {input.dim()}")
        if self.input_size != input.size(-1):
            raise RuntimeError(
                "input.size(-1) must be equal to input_size. "
                f"Expected {self.input_size}, got {input.size(-1)}"
            )

    def _hidden_shape(self, input, batch_sizes, size):
        if batch_sizes is not None:
            samples = int(batch_sizes[0])
        else:
            samples = input.size(0) if self.batch_first else input.size(1)
        return (self.num_layers * (2 if self.bidirectional else 1), samples, size)

    def get_expected_hidden_size(
        self, input: Tensor, batch_sizes: Tensor | None
    ) -> tuple[int, int, int]:
        """Shape of the hidden state for this input."""
        return RNNBase._hidden_shape(self, input, batch_sizes, self.proj_size or self.hidden_size)

    def check_hidden_size(
        self,
        hx: Tensor,
        expected_hidden_size: tuple[int, int, int],
        msg: str = "Expected hidden size {}, got {}",
    ) -> None:
        """RuntimeError if the shape of ``hx`` is not the expected one."""
        if hx.size() != expected_hidden_size:
            raise RuntimeError(msg.format(expected_hidden_size, list(hx.size())))

    def _weights_have_changed(self):
        """Whether a parameter has been replaced since they were gathered."""
        for ref, name in zip(self._flat_weight_refs, self._flat_weights_names, strict=False):
            weight = getattr(self, name, None)
            if weight is not None and ref is not None and ref() is not weight:
                return True
        return False

    def check_forward_args(self, input: Tensor, hidden: Tensor, batch_sizes: Tensor | None):
        """`check_input` and `check_hidden_size`."""
        self.check_input(input, batch_sizes)
        self.check_hidden_size(hidden, self.get_expected_hidden_size(input, batch_sizes))

    def permute_hidden(self, hx: Tensor, permutation: Tensor | None):
        """``hx`` with its samples in the order of ``permutation``."""
        return hx if permutation is None else _apply_permutation(hx, permutation)

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if self.proj_size != 0:
            text += f", proj_size={self.proj_size}"
        if self.num_layers != 1:
            text += f", num_layers={self.num_layers}"
        if self.bias is not True:
            text += f", bias={self.bias}"
        if self.batch_first is not False:
            text += f", batch_first={self.batch_first}"
        if self.dropout != 0:
            text += f", dropout={self.dropout}"
        if self.bidirectional is not False:
            text += f", bidirectional={self.bidirectional}"
        return text

    def _update_flat_weights(self) -> None:
        if self._weights_have_changed():
            self._init_flat_weights()

    def __getstate__(self):
        # weak references can neither be copied nor pickled
        self._update_flat_weights()
        state = self.__dict__.copy()
        state.pop("_flat_weight_refs", None)
        return state

    def __setstate__(self, d):
        super().__setstate__(d)
        if "all_weights" in d:
            self._all_weights = d["all_weights"]
        self.__dict__.setdefault("proj_size", 0)
        if not isinstance(self._all_weights[0][0], str):
            # before parameters were kept by name
            raise NotImplementedError(
                "recurrent layers pickled by versions that kept their weights in lists"
            )
        self._flat_weights_names = [n for names in self._all_weights for n in names]
        self._flat_weights = [getattr(self, n, None) for n in self._flat_weights_names]
        self._flat_weight_refs = [None if w is None else weakref.ref(w) for w in self._flat_weights]

    @property
    def all_weights(self) -> list:
        """The parameters, one list per layer and direction."""
        return [[getattr(self, n) for n in names] for names in self._all_weights]


def _check_sizes(layer, dropout):
    from numbers import Number

    if not isinstance(dropout, Number) or not 0 <= dropout <= 1 or isinstance(dropout, bool):
        raise ValueError(
            "dropout should be a number in range [0, 1] "
            "representing the probability of an element being zeroed"
        )
    if dropout > 0 and layer.num_layers == 1:
        warnings.warn(
            "dropout option adds dropout after all but last "
            "recurrent layer, so non-zero dropout expects "
            f"num_layers greater than 1, but got dropout={dropout} and "
            f"num_layers={layer.num_layers}",
            stacklevel=4,
        )
    for name, kind in (
        ("bias", bool),
        ("batch_first", bool),
        ("input_size", int),
        ("hidden_size", int),
    ):
        value = getattr(layer, name)
        if not isinstance(value, kind):
            raise TypeError(
                f"{name} should be of type {kind.__name__}, got: {type(value).__name__}"
            )
        if kind is int and value <= 0:
            raise ValueError(f"{name} must be greater than zero")
    if layer.num_layers <= 0:
        raise ValueError("num_layers must be greater than zero")
    if layer.proj_size < 0:
        raise ValueError("proj_size should be a positive integer or zero to disable projections")
    if layer.proj_size >= layer.hidden_size:
        raise ValueError("proj_size has to be smaller than hidden_size")


def _zeros(layer, size, input, batch_sizes):
    shape = RNNBase._hidden_shape(layer, input, batch_sizes, size)
    return torch.zeros(shape, dtype=input.dtype, device=input.device)


def _run(layer, input, hx, name):
    """The forward of all kinds: brings the arguments into the operator's form and back.

    The hidden state is a tensor, or for LSTM a pair.
    """
    layer._update_flat_weights()
    lstm = layer.mode == "LSTM"
    packed = isinstance(input, PackedSequence)
    batched = True
    sorted_indices = unsorted_indices = batch_sizes = None
    if packed:
        input, batch_sizes, sorted_indices, unsorted_indices = input
    else:
        if input.dim() not in (2, 3):
            raise ValueError(
                f"{name}: Expected input to be 2D or 3D, got {input.dim()}D"
                f"{' tensor' if name == 'RNN' else ''} instead"
            )
        batched = input.dim() == 3
        batch_dim = 0 if layer.batch_first else 1
        if not batched:
            input = input.unsqueeze(batch_dim)
    if hx is None:
        hx = _zeros(layer, layer.proj_size or layer.hidden_size, input, batch_sizes)
        if lstm:
            hx = (hx, _zeros(layer, layer.hidden_size, input, batch_sizes))
    else:
        if not packed:
            hx = _batched_hidden(hx, batched, lstm)
        # each sequence finds its own state again
        hx = layer.permute_hidden(hx, sorted_indices)
    if not (packed and lstm):
        # the operator itself finds what does not fit in a packed batch
        layer.check_forward_args(input, hx, batch_sizes)
    op = getattr(torch, _MODES[layer.mode][1])
    common = (
        layer._flat_weights,
        layer.bias,
        layer.num_layers,
        layer.dropout,
        layer.training,
        layer.bidirectional,
    )
    if packed:
        result = op(input, batch_sizes, hx, *common)
    else:
        result = op(input, hx, *common, layer.batch_first)
    output, hidden = result[0], result[1:] if lstm else result[1]
    if packed:
        output = PackedSequence(output, batch_sizes, sorted_indices, unsorted_indices)
        return output, layer.permute_hidden(hidden, unsorted_indices)
    if not batched:
        output = output.squeeze(batch_dim)
        hidden = tuple(h.squeeze(1) for h in hidden) if lstm else hidden.squeeze(1)
    return output, layer.permute_hidden(hidden, unsorted_indices)


def _batched_hidden(hx, batched, lstm):
    """``hx`` with a dimension for samples; RuntimeError on a wrong number of dimensions."""
    want = 3 if batched else 2
    kind = "batched" if batched else "unbatched"
    parts = hx if lstm else (hx,)
    if any(h.dim() != want for h in parts):
        if lstm:
            raise RuntimeError(
                f"For {kind} {want}-D input, hx and cx should also be {want}-D but got "
                f"({hx[0].dim()}-D, {hx[1].dim()}-D) tensors"
            )
        raise RuntimeError(
            f"For {kind} {want}-D input, hx should also be {want}-D but got {hx.dim()}-D tensor"
        )
    if batched:
        return hx
    return tuple(h.unsqueeze(1) for h in hx) if lstm else hx.unsqueeze(1)


_ARGUMENTS = """

    Args:
        input_size, hidden_size (int): I and H.
        num_layers (int): L; each layer but the first takes the output of the one before.
        bias (bool): whether there are biases.
        batch_first (bool): input and output are (N, T, ...) instead of (T, N, ...).
        dropout (float): probability of dropout between layers.
        bidirectional (bool): run in both directions and join the outputs.
        device, dtype: of the parameters.
    """


class RNN(RNNBase):
    __doc__ = (
        """Elman network: ``h' = tanh(W_ih x + b_ih + W_hh h + b_hh)`` at each step.

    ``forward(input, hx=None)``: input (T, N, I) or a `PackedSequence`, hx (D * L, N, H), zeros by
    default; returns the outputs (T, N, D * H) and the last state (D * L, N, H). The argument
    ``nonlinearity`` (after ``num_layers``) is "tanh" or "relu"."""
        + _ARGUMENTS
    )

    def __init__(self, *args, **kwargs):
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        if len(args) > 3:
            self.nonlinearity = args[3]
            args = args[:3] + args[4:]
        else:
            self.nonlinearity = kwargs.pop("nonlinearity", "tanh")
        if self.nonlinearity == "tanh":
            mode = "RNN_TANH"
        elif self.nonlinearity == "relu":
            mode = "RNN_RELU"
        else:
            raise ValueError(
                f"Unknown nonlinearity '{self.nonlinearity}'. Select from 'tanh' or 'relu'."
            )
        super().__init__(mode, *args, **kwargs)

    def forward(self, input, hx=None):
        return _run(self, input, hx, "RNN")


class LSTM(RNNBase):
    __doc__ = (
        """Long short-term memory. Hochreiter & Schmidhuber, 1997.

    With gates i, f, o and candidate g, in the order i, f, g, o:
    ``c' = f * c + i * g``, ``h' = o * tanh(c')``.

    ``forward(input, hx=None)``: input (T, N, I) or a `PackedSequence`, hx the pair of (D * L, N, H)
    tensors (h, c), zeros by default; returns the outputs (T, N, D * H) and the last pair. With the
    argument ``proj_size`` P (after ``bidirectional``) h is projected to P < H features by
    ``weight_hr_lk``. Sak et al., 2014."""
        + _ARGUMENTS
    )

    def __init__(self, *args, **kwargs):
        super().__init__("LSTM", *args, **kwargs)

    def get_expected_cell_size(
        self, input: Tensor, batch_sizes: Tensor | None
    ) -> tuple[int, int, int]:
        """Shape of the cell state for this input."""
        return RNNBase._hidden_shape(self, input, batch_sizes, self.hidden_size)

    def check_forward_args(self, input, hidden, batch_sizes):
        """RuntimeError if the shapes of the arguments are not those expected."""
        self.check_input(input, batch_sizes)
        self.check_hidden_size(
            hidden[0],
            self.get_expected_hidden_size(input, batch_sizes),
            "Expected hidden[0] size {}, got {}",
        )
        self.check_hidden_size(
            hidden[1],
            self.get_expected_cell_size(input, batch_sizes),
            "Expected hidden[1] size {}, got {}",
        )

    def permute_hidden(self, hx, permutation):
        """Both states with their samples in the order of ``permutation``."""
        if permutation is None:
            return hx
        return _apply_permutation(hx[0], permutation), _apply_permutation(hx[1], permutation)

    def forward(self, input, hx=None):
        return _run(self, input, hx, "LSTM")


class GRU(RNNBase):
    __doc__ = (
        """Gated recurrent unit. Cho et al., 2014.

    With gates r, z and candidate n, in that order: ``n = tanh(W_in x + b_in + r * (W_hn h +
    b_hn))``, ``h' = (1 - z) * n + z * h``.

    ``forward(input, hx=None)``: input (T, N, I) or a `PackedSequence`, hx (D * L, N, H), zeros by
    default; returns the outputs (T, N, D * H) and the last state (D * L, N, H)."""
        + _ARGUMENTS
    )

    def __init__(self, *args, **kwargs):
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        super().__init__("GRU", *args, **kwargs)

    def forward(self, input, hx=None):
        return _run(self, input, hx, "GRU")


class RNNCellBase(Module):
    """What the single steps share: parameters for ``num_chunks`` gates."""

    __constants__ = ["input_size", "hidden_size", "bias"]
    input_size: int
    hidden_size: int
    bias: bool
    weight_ih: Tensor
    weight_hh: Tensor

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool,
        num_chunks: int,
        device=None,
        dtype=None,
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        rows = num_chunks * hidden_size
        for name, shape in (
            ("weight_ih", (rows, input_size)),
            ("weight_hh", (rows, hidden_size)),
            ("bias_ih", (rows,)),
            ("bias_hh", (rows,)),
        ):
            if bias or name.startswith("weight"):
                empty = torch.empty(shape, device=device, dtype=dtype)
                setattr(self, name, Parameter(empty))
            else:
                self.register_parameter(name, None)
        self.reset_parameters()

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if "bias" in self.__dict__ and self.bias is not True:
            text += f", bias={self.bias}"
        if "nonlinearity" in self.__dict__ and self.nonlinearity != "tanh":
            text += f", nonlinearity={self.nonlinearity}"
        return text

    def reset_parameters(self) -> None:
        """Draw all parameters anew."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)


def _check_step(name, input, hidden):
    """ValueError unless input and hidden states (named in the text) are vectors or matrices."""
    if input.dim() not in (1, 2):
        raise ValueError(f"{name}: Expected input to be 1D or 2D, got {input.dim()}D instead")
    for what, h in hidden:
        if h.dim() not in (1, 2):
            raise ValueError(f"{name}: Expected {what} to be 1D or 2D, got {h.dim()}D instead")


def _start(layer, input):
    shape = (input.size(0), layer.hidden_size)
    return torch.zeros(shape, dtype=input.dtype, device=input.device)


def _weights(layer):
    return layer.weight_ih, layer.weight_hh, layer.bias_ih, layer.bias_hh


class RNNCell(RNNCellBase):
    """One step of `RNN`: input (N, I) or (I,), state (N, H) or (H,), zeros by default.

    ``nonlinearity`` is "tanh" or "relu"; RuntimeError on a call with another one.
    """

    __constants__ = ["input_size", "hidden_size", "bias", "nonlinearity"]
    nonlinearity: str

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device=None,
        dtype=None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        _check_step("RNNCell", input, () if hx is None else (("hidden", hx),))
        batched = input.dim() == 2
        if not batched:
            input = input.unsqueeze(0)
        if hx is None:
            hx = _start(self, input)
        elif not batched:
            hx = hx.unsqueeze(0)
        if self.nonlinearity == "tanh":
            out = torch.rnn_tanh_cell(input, hx, *_weights(self))
        elif self.nonlinearity == "relu":
            out = torch.rnn_relu_cell(input, hx, *_weights(self))
        else:
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        return out if batched else out.squeeze(0)


class LSTMCell(RNNCellBase):
    """One step of `LSTM`: input (N, I) or (I,), states (h, c), each (N, H) or (H,), and so back."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device=None, dtype=None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input: Tensor, hx=None):
        named = () if hx is None else tuple((f"hx[{i}]", h) for i, h in enumerate(hx))
        _check_step("LSTMCell", input, named)
        batched = input.dim() == 2
        if not batched:
            input = input.unsqueeze(0)
        if hx is None:
            zeros = _start(self, input)
            hx = (zeros, zeros)
        elif not batched:
            hx = (hx[0].unsqueeze(0), hx[1].unsqueeze(0))
        h, c = torch.lstm_cell(input, hx, *_weights(self))
        return (h, c) if batched else (h.squeeze(0), c.squeeze(0))


class GRUCell(RNNCellBase):
    """One step of `GRU`: input (N, I) or (I,), state (N, H) or (H,), zeros by default."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device=None, dtype=None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        _check_step("GRUCell", input, () if hx is None else (("hidden", hx),))
        batched = input.dim() == 2
        if not batched:
            input = input.unsqueeze(0)
        if hx is None:
            hx = _start(self, input)
        elif not batched:
            hx = hx.unsqueeze(0)
        out = torch.gru_cell(input, hx, *_weights(self))
        return out if batched else out.squeeze(0)
