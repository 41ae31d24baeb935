"""Whether a profiler records, asked cheaply by Python code that has ranges of its own."""

_enabled = None


def profiler_enabled():
    """True while a profiler records. The first call finds out where the core says so."""
    global _enabled
    if _enabled is None:
        import mindtorch_v2 as torch

        _enabled = getattr(torch._C, "_profiler_enabled", None) or torch.autograd._profiler_enabled
    return _enabled()
