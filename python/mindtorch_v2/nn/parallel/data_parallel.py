"""A module copied to several devices, each of which computes a part of the batch."""

from ..modules.module import Module

__all__ = ["DataParallel"]


class DataParallel(Module):
    """Wraps ``module`` as the child of that name, so that its state's names start with "module.".

    The arguments besides ``module`` choose among devices that share the batch. As in PyTorch,
    without such devices (with the CPU alone) they do not matter, and calls are passed on to the
    module.
    """

    def __init__(self, module, device_ids=None, output_device=None, dim: int = 0) -> None:
        super().__init__()
        self.module = module
        self.device_ids = []

    def forward(self, *inputs, **kwargs):
        return self.module(*inputs, **kwargs)
