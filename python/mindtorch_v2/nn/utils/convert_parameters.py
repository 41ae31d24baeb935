"""Parameters as one vector, and back."""

import mindtorch_v2 as torch


def _check_param_device(param, old_param_device):
    """Device number (-1 for the CPU); TypeError if it is another than that of those before."""
    here = param.get_device() if param.is_cuda else -1
    if old_param_device is not None and here != old_param_device:
        raise TypeError(
            "Found two parameters on different devices, this is currently not supported."
        )
    return here


def parameters_to_vector(parameters):
    """All parameters, flattened and joined into one vector (n,); differentiable."""
    device = None
    flat = []
    for param in parameters:
        device = _check_param_device(param, device)
        flat.append(param.view(-1))
    return torch.cat(flat)


def vector_to_parameters(vec, parameters) -> None:
    """Let the parameters be views of the parts of ``vec``, as `parameters_to_vector` has them.

    TypeError if ``vec`` is no tensor, RuntimeError if it is too short.
    """
    if not isinstance(vec, torch.Tensor):
        raise TypeError(f"expected torch.Tensor, but got: {torch.typename(vec)}")
    device = None
    at = 0
    for param in parameters:
        device = _check_param_device(param, device)
        n = param.numel()
        param.data = vec[at : at + n].view_as(param).data
        at += n
