"""Metal is not part of this build."""

__all__ = ["is_built", "is_available", "is_macos13_or_newer", "is_macos_or_newer"]


def is_built():
    """False."""
    return False


def is_available():
    """False."""
    return False


def is_macos_or_newer(major, minor):
    """Raises RuntimeError: there is no Metal to ask."""
    raise RuntimeError("Cannot execute isOnMacOSorNewer() without MPS backend.")


def is_macos13_or_newer(minor=0):
    """Raises RuntimeError: there is no Metal to ask."""
    return is_macos_or_newer(13, minor)
