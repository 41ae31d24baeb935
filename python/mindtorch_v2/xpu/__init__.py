"""torch.xpu in a build without XPU: questions are answered, everything else is refused."""

from .. import _absent_device

globals().update(_absent_device.functions("XPU"))
globals().update(_absent_device.dummies("XPU", ["Event", "MemPool", "Stream", "XPUGraph"]))
device, device_of = _absent_device.device_context("XPU", "xpu")
default_generators = ()
