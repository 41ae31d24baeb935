"""The standard `multiprocessing`, with tensors that travel between processes in shared memory.

A tensor sent through a queue or pipe is moved to shared memory where it is not there yet; the other
process maps the same bytes. Importing this module teaches the standard pickler of `multiprocessing`
how, so its own queues and pools work as well.
"""

import multiprocessing
import sys
from multiprocessing import *  # noqa: F403

from .reductions import init_reductions
from .spawn import ENV_VAR_PARALLEL_START as ENV_VAR_PARALLEL_START
from .spawn import ProcessContext as ProcessContext
from .spawn import ProcessExitedException as ProcessExitedException
from .spawn import ProcessRaisedException as ProcessRaisedException
from .spawn import SpawnContext as SpawnContext
from .spawn import _prctl_pr_set_pdeathsig as _prctl_pr_set_pdeathsig
from .spawn import spawn as spawn
from .spawn import start_processes as start_processes

__all__ = ["set_sharing_strategy", "get_sharing_strategy", "get_all_sharing_strategies"]
__all__ += multiprocessing.__all__

# What `import *` leaves out, and programs use all the same.
from multiprocessing import connection, context, process  # noqa: E402, F401
from multiprocessing import reducer as reducer  # noqa: E402

if sys.platform in ("darwin", "win32"):
    _sharing_strategy = "file_system"
    _all_sharing_strategies = {"file_system"}
else:
    _sharing_strategy = "file_descriptor"
    _all_sharing_strategies = {"file_descriptor", "file_system"}


def set_sharing_strategy(new_strategy):
    """Choose how shared memory is passed on from now on.

    "file_descriptor" hands over descriptors and leaves nothing behind when processes die, at the
    price of one open file per storage; "file_system" hands over names. AssertionError for others.
    """
    global _sharing_strategy
    assert new_strategy in _all_sharing_strategies, (
        f"invalid sharing strategy {new_strategy!r}, expected one of {_all_sharing_strategies}"
    )
    _sharing_strategy = new_strategy


def get_sharing_strategy():
    """The name of the strategy in use."""
    return _sharing_strategy


def get_all_sharing_strategies():
    """The set of names that this system supports."""
    return _all_sharing_strategies


init_reductions()
