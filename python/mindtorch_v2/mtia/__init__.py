"""torch.mtia in a build without MTIA."""


def is_available() -> bool:
    """False: MTIA is not part of this build."""
    return False


def is_initialized() -> bool:
    """False."""
    return False


def device_count() -> int:
    """0."""
    return 0


def manual_seed(seed: int) -> None:
    """Takes a seed; there is no generator that it could reach."""
    int(seed)


def manual_seed_all(seed: int) -> None:
    """As manual_seed."""
    int(seed)
