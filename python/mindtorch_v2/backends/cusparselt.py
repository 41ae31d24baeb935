"""cuSPARSELt is not part of this build."""

__all__ = ["version", "is_available", "get_max_alg_id"]


def version():
    """None."""
    return None


def is_available():
    """False."""
    return False


def get_max_alg_id():
    """None."""
    return None
