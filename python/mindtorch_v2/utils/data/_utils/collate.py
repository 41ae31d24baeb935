"""Collation: from a list of items to one batch of the items' structure.

`collate` walks the structure and finds the function of a leaf's type in a map; the default map
makes tensors of tensors, NumPy arrays and scalars, and numbers, and leaves strings as lists.
"""

import copy
import sys
from collections.abc import Mapping, MutableMapping, MutableSequence, Sequence

import mindtorch_v2 as torch

default_collate_err_msg_format = (
    "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found {}"
)

# Letters of NumPy dtypes that tensors cannot hold: strings and objects.
_NO_TENSOR = "SaUO"


def rebuilt_mapping(like, new, mutable):
    """The dictionary `new` in the type of the mapping `like`, or as it is where that fails."""
    try:
        if mutable:
            # A copy keeps what a constructor would ask for; the keys are the same.
            clone = copy.copy(like)
            clone.update(new)
            return clone
        return type(like)(new)
    except TypeError:
        return new


def rebuilt_sequence(like, new, mutable):
    """The list `new` in the type of the sequence `like`, or as it is where that fails."""
    try:
        if mutable:
            clone = copy.copy(like)
            for i, value in enumerate(new):
                clone[i] = value
            return clone
        return type(like)(new)
    except TypeError:
        return new


# ---------------------------------------------------------------- converting single items


def default_convert(data):
    """`data` with NumPy arrays and scalars turned into tensors; containers are walked."""
    kind = type(data)
    if isinstance(data, torch.Tensor):
        return data
    if kind.__module__ == "numpy" and kind.__name__ not in ("str_", "bytes_"):
        if kind.__name__ == "ndarray" and data.dtype.kind in _NO_TENSOR:
            return data
        return torch.as_tensor(data)
    if isinstance(data, Mapping):
        return rebuilt_mapping(
            data,
            {key: default_convert(value) for key, value in data.items()},
            isinstance(data, MutableMapping),
        )
    if isinstance(data, tuple):
        if hasattr(data, "_fields"):
            return kind(*(default_convert(value) for value in data))
        return [default_convert(value) for value in data]
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        converted = [default_convert(value) for value in data]
        return rebuilt_sequence(data, converted, isinstance(data, MutableSequence))
    return data


# ---------------------------------------------------------------- collating lists of items


def collate(batch, *, collate_fn_map=None):
    """One batch from the list of items `batch`.

    `collate_fn_map` maps types, or tuples of types, to functions ``f(batch, *, collate_fn_map)``;
    the exact type of the first item is looked up first, then its bases in the map's order.
    Mappings, named tuples and sequences of equal length are collated entry by entry. TypeError for
    other items, RuntimeError for sequences of different lengths.
    """
    elem = batch[0]
    kind = type(elem)
    if collate_fn_map is not None:
        if collate_fn_map is _fn_map and "numpy" in sys.modules:
            _know_numpy()
        if kind in collate_fn_map:
            return collate_fn_map[kind](batch, collate_fn_map=collate_fn_map)
        for types in collate_fn_map:
            if isinstance(elem, types):
                return collate_fn_map[types](batch, collate_fn_map=collate_fn_map)

    if isinstance(elem, Mapping):
        collated = {
            key: collate([item[key] for item in batch], collate_fn_map=collate_fn_map)
            for key in elem
        }
        return rebuilt_mapping(elem, collated, isinstance(elem, MutableMapping))
    if isinstance(elem, tuple) and hasattr(elem, "_fields"):
        columns = zip(*batch, strict=False)
        return kind(*(collate(column, collate_fn_map=collate_fn_map) for column in columns))
    if isinstance(elem, Sequence):
        if not all(len(item) == len(elem) for item in batch):
            raise RuntimeError("each element in list of batch should be of equal size")
        columns = zip(*batch, strict=True)
        collated = [collate(column, collate_fn_map=collate_fn_map) for column in columns]
        if isinstance(elem, tuple):
            return collated
        return rebuilt_sequence(elem, collated, isinstance(elem, MutableSequence))
    raise TypeError(default_collate_err_msg_format.format(kind))


def collate_tensor_fn(batch, *, collate_fn_map=None):
    """The stack of tensors of one shape; in a loader worker it is made in shared memory at once."""
    elem = batch[0]
    if getattr(elem, "is_nested", False):
        raise RuntimeError(
            "Batches of nested tensors are not currently supported by the default collate_fn; "
            "please provide a custom collate_fn to handle them appropriately."
        )
    if elem.layout is not torch.strided:
        raise RuntimeError(
            "Batches of sparse tensors are not currently supported by the default collate_fn; "
            "please provide a custom collate_fn to handle them appropriately."
        )
    from .worker import get_worker_info

    if get_worker_info() is None or elem.device.type != "cpu":
        return torch.stack(batch, 0)
    shape = (len(batch), *elem.shape)
    out = elem.new_empty(0)
    nbytes = len(batch) * elem.numel() * elem.element_size()
    if nbytes > 0:
        out.set_(torch.UntypedStorage._new_shared(nbytes), 0, shape)
    return torch.stack(batch, 0, out=out)


def collate_numpy_array_fn(batch, *, collate_fn_map=None):
    """The stack of arrays of one shape, as a tensor. TypeError for strings and objects."""
    elem = batch[0]
    if elem.dtype.kind in _NO_TENSOR:
        raise TypeError(default_collate_err_msg_format.format(elem.dtype))
    return collate([torch.as_tensor(item) for item in batch], collate_fn_map=collate_fn_map)


def collate_numpy_scalar_fn(batch, *, collate_fn_map=None):
    """A 1-d tensor."""
    return torch.as_tensor(batch)


def collate_float_fn(batch, *, collate_fn_map=None):
    """A 1-d tensor of dtype float64."""
    return torch.tensor(batch, dtype=torch.float64)


def collate_int_fn(batch, *, collate_fn_map=None):
    """A 1-d tensor of dtype int64, or bool."""
    return torch.tensor(batch)


def collate_str_fn(batch, *, collate_fn_map=None):
    """The strings as they are."""
    return batch


_fn_map = {}
_knows_numpy = False


def _know_numpy():
    """Add NumPy's types to the default map; called when NumPy is loaded, never loads it."""
    global _knows_numpy
    if not _knows_numpy:
        np = sys.modules["numpy"]
        _fn_map[np.ndarray] = collate_numpy_array_fn
        _fn_map[(np.bool_, np.number, np.object_)] = collate_numpy_scalar_fn
        _knows_numpy = True


def _default_map():
    if not _fn_map:
        _fn_map[torch.Tensor] = collate_tensor_fn
        if "numpy" in sys.modules:
            _know_numpy()
        _fn_map.update(
            {
                float: collate_float_fn,
                int: collate_int_fn,
                str: collate_str_fn,
                bytes: collate_str_fn,
            }
        )
    elif "numpy" in sys.modules:
        _know_numpy()
    return _fn_map


def __getattr__(name):
    if name == "default_collate_fn_map":  # made when somebody looks, so that NumPy is seen
        return _default_map()
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


def default_collate(batch):
    """One batch from a list of items: tensors are stacked on a new first dimension.

    Arrays, NumPy scalars, ints and floats become tensors first; strings and bytes stay lists; of
    mappings, sequences, tuples and named tuples each entry is collated.
    """
    return collate(batch, collate_fn_map=_default_map())
