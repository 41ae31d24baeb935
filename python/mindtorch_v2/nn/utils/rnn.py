"""Batches of sequences of different lengths, padded or packed.

A packed batch holds the elements of all sequences step by step: first those of step 0 of every
sequence, the longest sequence first, then those of step 1 of the sequences that have one, and so
on. T is the length of the longest sequence, B the number of sequences, * any further dimensions.
"""

from collections import namedtuple

import mindtorch_v2 as torch

__all__ = [
    "PackedSequence",
    "invert_permutation",
    "pack_padded_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpad_sequence",
    "pack_sequence",
    "unpack_sequence",
]

Tensor = torch.Tensor

PackedSequence_ = namedtuple(
    "PackedSequence_", ["data", "batch_sizes", "sorted_indices", "unsorted_indices"]
)
PackedSequence_.__annotations__ = {
    "data": Tensor,
    "batch_sizes": Tensor,
    "sorted_indices": Tensor,
    "unsorted_indices": Tensor,
}


def bind(optional, fn):
    """``fn(optional)``, or None for None."""
    return None if optional is None else fn(optional)


class PackedSequence(PackedSequence_):
    """A packed batch, made by `pack_padded_sequence` and the like.

    Attributes:
        data (Tensor): (sum of lengths, *), the elements step by step.
        batch_sizes (Tensor): (T,) int64 on the CPU, number of sequences with an element at each
            step.
        sorted_indices (Tensor or None): (B,), the order the sequences were brought into.
        unsorted_indices (Tensor or None): (B,), the way back.
    """

    def __new__(cls, data, batch_sizes=None, sorted_indices=None, unsorted_indices=None):
        return super().__new__(
            cls,
            *_packed_sequence_init_args(data, batch_sizes, sorted_indices, unsorted_indices),
        )

    def pin_memory(self):
        """The same batch in page-locked memory."""
        return type(self)(
            self.data.pin_memory(),
            self.batch_sizes,
            bind(self.sorted_indices, lambda t: t.pin_memory()),
            bind(self.unsorted_indices, lambda t: t.pin_memory()),
        )

    def to(self, *args, **kwargs):
        """The batch with ``data.to(*args, **kwargs)``; itself if nothing has to be done."""
        data = self.data.to(*args, **kwargs)
        if data is self.data:
            return self
        # the indices follow to the device, but keep their dtype
        kwargs = {k: v for k, v in kwargs.items() if k not in ("device", "dtype")}
        return type(self)(
            data,
            self.batch_sizes,
            bind(self.sorted_indices, lambda t: t.to(data.device, **kwargs)),
            bind(self.unsorted_indices, lambda t: t.to(data.device, **kwargs)),
        )

    def _on(self, kind, args, kwargs):
        if not args and not kwargs:
            return self.to(kind)
        probe = torch.tensor((), dtype=self.data.dtype, device=self.data.device).to(*args, **kwargs)
        if probe.device.type == kind:
            return self.to(*args, **kwargs)
        kwargs["device"] = kind
        return self.to(*args, **kwargs)

    def cuda(self, *args, **kwargs):
        """The batch on a CUDA device; raises where there is none."""
        return self._on("cuda", args, kwargs)

    def cpu(self, *args, **kwargs):
        """The batch on the CPU."""
        return self._on("cpu", args, kwargs)

    def double(self):
        """The batch with float64 data."""
        return self.to(dtype=torch.double)

    def float(self):
        """The batch with float32 data."""
        return self.to(dtype=torch.float)

    def half(self):
        """The batch with float16 data."""
        return self.to(dtype=torch.half)

    def long(self):
        """The batch with int64 data."""
        return self.to(dtype=torch.long)

    def int(self):
        """The batch with int32 data."""
        return self.to(dtype=torch.int)

    def short(self):
        """The batch with int16 data."""
        return self.to(dtype=torch.short)

    def char(self):
        """The batch with int8 data."""
        return self.to(dtype=torch.int8)

    def byte(self):
        """The batch with uint8 data."""
        return self.to(dtype=torch.uint8)

    @property
    def is_cuda(self):
        """Whether the data are on a CUDA device."""
        return self.data.is_cuda

    def is_pinned(self):
        """Whether the data are in page-locked memory."""
        return self.data.is_pinned()


def _packed_sequence_init_args(data, batch_sizes=None, sorted_indices=None, unsorted_indices=None):
    if unsorted_indices is None:
        unsorted_indices = invert_permutation(sorted_indices)
    if batch_sizes is not None:
        if batch_sizes.device.type != "cpu":
            raise ValueError(
                "batch_sizes should always be on CPU. "
                "Instances of PackedSequence should never be created manually. "
                "They should be instantiated by functions like pack_sequence "
                "and pack_padded_sequences in nn.utils.rnn. "
                "https://pytorch.org/docs/stable/nn.html#torch.nn.utils.rnn.pack_sequence"
            )
        return data, batch_sizes, sorted_indices, unsorted_indices
    # the only argument may be the pair (data, batch_sizes)
    if not (isinstance(data, (list, tuple)) and len(data) == 2):
        raise AssertionError("Expected data to be a list or tuple of length 2")
    return data[0], data[1], sorted_indices, unsorted_indices


def _packed_sequence_init(data, batch_sizes=None, sorted_indices=None, unsorted_indices=None):
    return PackedSequence(
        *_packed_sequence_init_args(data, batch_sizes, sorted_indices, unsorted_indices)
    )


def invert_permutation(permutation):
    """The permutation (B,) that undoes ``permutation``; None for None."""
    if permutation is None:
        return None
    out = torch.empty_like(permutation, memory_format=torch.contiguous_format)
    places = torch.arange(0, permutation.numel(), device=permutation.device)
    out.scatter_(0, permutation, places)
    return out


def pack_padded_sequence(input, lengths, batch_first=False, enforce_sorted=True):
    """Pack a padded batch.

    Args:
        input: (T, B, *), or (B, T, *) with ``batch_first``.
        lengths: list or int64 CPU tensor (B,) of lengths, each at least 1.
        enforce_sorted: the lengths are in decreasing order; RuntimeError if they are not. Otherwise
            the sequences are sorted here, and results that are unpacked later are sorted back.
    """
    if isinstance(lengths, Tensor):
        lengths = lengths.to(dtype=torch.int64)
    else:
        lengths = torch.as_tensor(lengths, dtype=torch.int64, device="cpu")
    if enforce_sorted:
        sorted_indices = None
    else:
        lengths, sorted_indices = torch.sort(lengths, descending=True)
        sorted_indices = sorted_indices.to(input.device)
        input = input.index_select(0 if batch_first else 1, sorted_indices)
    data, batch_sizes = torch._pack_padded_sequence(input, lengths, batch_first)
    return _packed_sequence_init(data, batch_sizes, sorted_indices, None)


def pad_packed_sequence(sequence, batch_first=False, padding_value=0.0, total_length=None):
    """Undo `pack_padded_sequence`: the padded batch, and the lengths as int64 tensor (B,).

    ``total_length`` is the length to pad to, by default T; ValueError if it is less.
    """
    longest = sequence.batch_sizes.size(0)
    if total_length is not None:
        if total_length < longest:
            raise ValueError(
                "Expected total_length to be at least the length of the longest sequence in "
                f"input, but got total_length={total_length} and max sequence length being "
                f"{longest}"
            )
        longest = total_length
    padded, lengths = torch._pad_packed_sequence(
        sequence.data, sequence.batch_sizes, batch_first, padding_value, longest
    )
    order = sequence.unsorted_indices
    if order is not None:
        return padded.index_select(0 if batch_first else 1, order), lengths[order.cpu()]
    return padded, lengths


def pad_sequence(sequences, batch_first=False, padding_value=0.0, padding_side="right"):
    """Stack sequences (L, *) into (T, B, *), or (B, T, *) with ``batch_first``.

    ``padding_side`` "right" or "left" says where the shorter ones get ``padding_value``.
    """
    if isinstance(sequences, Tensor):
        sequences = sequences.unbind(0)
    elif not hasattr(sequences, "__iter__"):
        raise RuntimeError(
            "pad_sequence: Expected iterable for input sequences, but got arg of type: "
            f"{type(sequences)}"
        )
    else:
        # the operator takes a sequence
        sequences = tuple(sequences)
    return torch._C._nn.pad_sequence(sequences, batch_first, padding_value, padding_side)


def unpad_sequence(padded_sequences, lengths, batch_first=False):
    """Undo `pad_sequence` (padding at the right): list of sequences of the given lengths."""
    if not batch_first:
        padded_sequences = padded_sequences.transpose(0, 1)
    steps = torch.arange(padded_sequences.shape[1], device=lengths.device)
    return [seq[steps < length] for seq, length in zip(padded_sequences, lengths, strict=True)]


def pack_sequence(sequences, enforce_sorted=True):
    """Pack a list of sequences (L, *); ``enforce_sorted`` as for `pack_padded_sequence`."""
    lengths = torch.as_tensor([v.size(0) for v in sequences])
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences):
    """Undo `pack_sequence`: the list of sequences."""
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
