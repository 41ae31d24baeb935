"""Tools for tests: comparison with tolerances that depend on the dtype, and random inputs."""

from ._comparison import assert_allclose, assert_close
from ._creation import make_tensor

__all__ = ["assert_allclose", "assert_close", "make_tensor"]
