"""Running a module on several devices of one machine."""

from .data_parallel import DataParallel

__all__ = ["DataParallel"]
