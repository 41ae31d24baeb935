"""Moving what a loader yields to pinned memory."""

from collections.abc import Mapping, MutableMapping, MutableSequence, Sequence

import mindtorch_v2 as torch


def pin_memory(data, device=None):
    """`data` with all its tensors pinned, and whatever else has a method `pin_memory`; containers
    keep their types where these can be made again."""
    if isinstance(data, torch.Tensor):
        return data.pin_memory() if device is None else data.pin_memory(device)
    if hasattr(data, "pin_memory"):
        return data.pin_memory()
    if isinstance(data, (str, bytes)):
        return data
    from .collate import rebuilt_mapping, rebuilt_sequence

    if isinstance(data, Mapping):
        pinned = {key: pin_memory(value, device) for key, value in data.items()}
        return rebuilt_mapping(data, pinned, isinstance(data, MutableMapping))
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*(pin_memory(value, device) for value in data))
    if isinstance(data, Sequence):
        pinned = [pin_memory(value, device) for value in data]
        return rebuilt_sequence(data, pinned, isinstance(data, MutableSequence))
    return data
