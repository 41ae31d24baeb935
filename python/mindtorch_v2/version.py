"""Versions: `package_version` is this library's own, `__version__` starts with the release of the
API that it follows, so that programs which compare it take the right path."""

__all__ = ["__version__", "cuda", "debug", "hip", "rocm", "xpu"]

package_version = "0.1.0"
__version__ = "2.13.0+mindtorch" + package_version
debug = False
cuda = None
hip = None
rocm = None
xpu = None
