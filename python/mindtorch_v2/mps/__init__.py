"""torch.mps in a build without MPS."""


def is_available() -> bool:
    """False: MPS is not part of this build."""
    return False


def device_count() -> int:
    """0."""
    return 0
