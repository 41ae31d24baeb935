"""Intel's Math Kernel Library is not part of this build; OpenBLAS multiplies matrices."""

VERBOSE_OFF = 0
VERBOSE_ON = 1


def is_available():
    """False."""
    return False


class verbose:
    """Context manager that would make MKL report its calls; entering it with anything but
    VERBOSE_OFF raises AssertionError, as there is nothing that could report."""

    def __init__(self, enable):
        self.enable = enable

    def __enter__(self):
        if self.enable != VERBOSE_OFF:
            raise AssertionError("Failed to set MKL into verbose mode. Please consider to disable this verbose scope.")
        return self

    def __exit__(self, exc_type, exc_val, exc_tb):
        return False
