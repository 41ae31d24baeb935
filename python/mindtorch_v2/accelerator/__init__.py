"""torch.accelerator where none is: the CPU is no accelerator."""


def is_available() -> bool:
    """False: this build has the CPU only."""
    return False


def device_count() -> int:
    """0."""
    return 0


def current_accelerator(check_available=False):
    """None: this build has no accelerator."""
    return None


def _refuse(name):
    def refuse(*args, **kwargs):
        raise RuntimeError("Cannot access accelerator device when none is available.")

    refuse.__name__ = refuse.__qualname__ = name
    refuse.__doc__ = "Raises RuntimeError: there is no accelerator."
    return refuse


for _name in """
    current_device_idx current_device_index current_stream empty_cache empty_host_cache
    get_device_capability get_memory_info max_memory_allocated max_memory_reserved memory_allocated
    memory_reserved memory_stats reset_accumulated_memory_stats reset_peak_memory_stats
    set_device_idx set_device_index set_stream synchronize
""".split():
    globals()[_name] = _refuse(_name)
