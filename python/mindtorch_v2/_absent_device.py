"""What a device module answers where its device is not part of the build (torch.cuda, torch.xpu).

Questions have answers (there is no device; nothing is allocated); seeds are accepted, as programs
set them before they look for a device; everything that needs the device raises AssertionError.
"""

from __future__ import annotations

import collections

ZERO = """
    memory_allocated max_memory_allocated memory_reserved max_memory_reserved memory_cached
    max_memory_cached
""".split()
NEEDS_DEVICE = """
    current_stream default_stream get_device_capability get_device_name get_device_properties
    get_per_process_memory_fraction get_rng_state mem_get_info synchronize
""".split()


def functions(label):
    """The functions that CUDA and XPU have in common; `label` is the name in messages."""

    def init():
        """Raises AssertionError: the device is not part of this build."""
        raise AssertionError(f"Torch not compiled with {label} enabled")

    def is_available() -> bool:
        """False: no such device is part of this build."""
        return False

    def is_initialized():
        """False."""
        return False

    def device_count() -> int:
        """0."""
        return 0

    def is_bf16_supported(including_emulation: bool = True) -> bool:
        """False."""
        return False

    def is_tf32_supported() -> bool:
        """False."""
        return False

    def get_arch_list() -> list[str]:
        """An empty list."""
        return []

    def get_gencode_flags() -> str:
        """An empty string."""
        return ""

    def empty_cache() -> None:
        """Nothing is cached: does nothing."""

    def manual_seed(seed: int) -> None:
        """Takes a seed; there is no generator that it could reach. ValueError or TypeError for what
        is not a number."""
        int(seed)

    def manual_seed_all(seed: int) -> None:
        """As manual_seed."""
        int(seed)

    def seed() -> None:
        """Does nothing: there is no generator."""

    def seed_all() -> None:
        """Does nothing: there is no generator."""

    def initial_seed() -> int:
        """Raises AssertionError: the device is not part of this build."""
        init()

    def current_device() -> int:
        """Raises AssertionError: the device is not part of this build."""
        init()

    def get_rng_state_all():
        """An empty list: there is no device."""
        return []

    def set_rng_state_all(new_states) -> None:
        """Raises AssertionError where `new_states` has an entry: there is no device for it."""
        for _ in new_states:
            init()

    def set_rng_state(new_state, device=None) -> None:
        """Raises AssertionError: the device is not part of this build."""
        init()

    def memory_stats(device=None):
        """An empty OrderedDict: nothing is allocated."""
        return collections.OrderedDict()

    def memory_stats_as_nested_dict(device=None):
        """An empty dict: nothing is allocated."""
        return {}

    found = {name: value for name, value in locals().items() if callable(value)}

    def zero(name):
        def answer(device=None) -> int:
            return 0

        answer.__doc__ = "0: nothing is allocated."
        return named(answer, name)

    def needs(name):
        def refuse(device=None):
            init()

        refuse.__doc__ = "Raises AssertionError: the device is not part of this build."
        return named(refuse, name)

    def named(function, name):
        function.__name__ = function.__qualname__ = name
        return function

    found.update((name, zero(name)) for name in ZERO)
    found.update((name, needs(name)) for name in NEEDS_DEVICE)
    return found


def device_context(label, name):
    """The classes `device` and `device_of`: they can be made, and entered where the index is -1 or
    None (no device is chosen then)."""

    def index_of(device):
        if device is None:
            return -1
        if isinstance(device, bool) or not isinstance(device, int):
            import mindtorch_v2 as torch

            device = torch.device(device)
            if device.type != name:
                raise ValueError(f"Expected a {name} device, but got: {device}")
            device = -1 if device.index is None else device.index
        return device

    class device:
        """Chooses the device for a block; without one in the build only -1 or None works.

        Raises RuntimeError on entry for any other index.
        """

        def __init__(self, device):
            self.idx = index_of(device)
            self.prev_idx = -1

        def __enter__(self):
            if self.idx >= 0:
                raise RuntimeError(f"PyTorch was compiled without {label} support")

        def __exit__(self, kind, value, traceback):
            return False

    class device_of(device):
        """Chooses the device of a tensor; a tensor elsewhere changes nothing."""

        def __init__(self, obj):
            super().__init__(obj.get_device() if obj.device.type == name else -1)

    return device, device_of


def dummies(label, names):
    """Classes of the device that exist by name and cannot be made."""

    def make(name):
        def __new__(cls, *args, **kwargs):
            raise RuntimeError(f"Tried to instantiate dummy base class {name}")

        return type(name, (), {"__new__": __new__, "__doc__": f"Needs {label}: cannot be made."})

    return {name: make(name) for name in names}
