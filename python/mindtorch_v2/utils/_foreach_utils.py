"""What the users of multi-tensor operators share: grouping, and where the operators run."""


def _get_foreach_kernels_supported_devices():
    """Devices on which multi-tensor operators are chosen by default; the CPU is not among them."""
    return ["cuda", "xpu", "mtia", "privateuseone"]


def _get_fused_kernels_supported_devices():
    """Devices that have fused optimizer steps."""
    return ["mps", "cuda", "xpu", "hpu", "cpu", "mtia", "privateuseone"]


def _group_tensors_by_device_and_dtype(tensorlistlist, with_indices=False):
    """Split parallel lists of tensors by device and dtype of the first list.

    Returns a dictionary {(device, dtype): (lists, indices)}; an empty list or None in the other
    lists stays what it is. `indices`, the places in the given lists, is empty unless
    `with_indices`. RuntimeError for lists of different lengths.
    """
    if not tensorlistlist or not tensorlistlist[0]:
        raise RuntimeError("Expected the first list of tensors not to be empty")
    first = tensorlistlist[0]
    if any(len(tensors) not in (0, len(first)) for tensors in tensorlistlist):
        raise RuntimeError("Tensors must be in parallel lists of the same length")
    groups = {}
    for i, tensor in enumerate(first):
        key = (tensor.device, tensor.dtype)
        if key not in groups:
            groups[key] = ([[] for _ in tensorlistlist], [])
        lists, indices = groups[key]
        for into, tensors in zip(lists, tensorlistlist, strict=True):
            if tensors:
                into.append(tensors[i])
        if with_indices:
            indices.append(i)
    return groups


def _device_has_foreach_support(device):
    return device.type in (*_get_foreach_kernels_supported_devices(), "cpu")


def _has_foreach_support(tensors, device):
    """True if all `tensors` (or None) are plain ones on a device with multi-tensor operators."""
    import mindtorch_v2 as torch

    plain = (torch.Tensor, torch.nn.Parameter)
    return _device_has_foreach_support(device) and all(
        t is None or type(t) in plain for t in tensors
    )
