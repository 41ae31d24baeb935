"""OpenMP is not part of this build; kernels run on the library's own threads."""


def is_available():
    """False."""
    return False
