"""The parts of the loader: collation, fetching, workers, and the watch over workers."""

import sys

# Seconds between two looks whether the other side is alive, where nothing arrives.
MP_STATUS_CHECK_INTERVAL = 5.0
IS_WINDOWS = sys.platform == "win32"

# True once the interpreter shuts down: then worker processes and queues are torn down by
# `multiprocessing` itself, and touching them could hang.
python_exit_status = False


def _set_python_exit_flag():
    global python_exit_status
    python_exit_status = True


from . import collate, fetch, pin_memory, signal_handling, worker  # noqa: E402, F401
