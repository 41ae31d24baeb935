"""The random state of the process: seeding, saving, restoring, forking.

All of it belongs to `default_generator`, the generator of the CPU; operators that draw random
numbers use it unless they are given another one.
"""

from ._C import Generator as Generator
from ._C import default_generator

__all__ = [
    "set_rng_state",
    "get_rng_state",
    "manual_seed",
    "seed",
    "initial_seed",
    "fork_rng",
    "thread_safe_generator",
]


def set_rng_state(new_state):
    """Restore a state that `get_rng_state` gave: a uint8 tensor. TypeError or RuntimeError for
    other types or sizes."""
    default_generator.set_state(new_state)


def get_rng_state():
    """The state of the default generator as a 1-d uint8 tensor."""
    return default_generator.get_state()


def manual_seed(seed):
    """Seed the default generator with `seed`, an int in [-2**63, 2**64), and return it.

    Negative seeds count from 2**64 down. ValueError for numbers outside.
    """
    return _manual_seed_impl(seed)


def _manual_seed_impl(seed):
    return default_generator.manual_seed(int(seed))


def seed():
    """Seed the default generator with a number that differs each time; returns it."""
    return default_generator.seed()


def initial_seed():
    """The number that the default generator was seeded with last."""
    return default_generator.initial_seed()


def fork_rng(
    devices=None, enabled=True, _caller="fork_rng", _devices_kw="devices", device_type=None
):
    """A context (and decorator) after which the random state is what it was before.

    `enabled=False` makes it do nothing. `devices` names further devices of `device_type` whose
    state to keep; there are none, so AssertionError unless it is empty or None.
    """
    from contextlib import contextmanager

    return contextmanager(_fork)(devices, enabled, device_type)


def _fork(devices, enabled, device_type):
    if device_type is not None:
        import mindtorch_v2 as torch

        device_type = torch.device(device_type).type
    if not enabled or device_type == "meta":
        yield
        return
    if devices:
        raise AssertionError("Torch not compiled with CUDA enabled")
    state = get_rng_state()
    try:
        yield
    finally:
        set_rng_state(state)


def thread_safe_generator():
    """The generator of this data loading worker if it is a thread, else None: use the default."""
    import sys

    worker = sys.modules.get(f"{__package__}.utils.data._utils.worker")
    info = worker.get_worker_info() if worker is not None else None
    return info.rng.torch_generator if info is not None and info.rng is not None else None
