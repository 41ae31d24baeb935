"""Starting several processes that run one function, and learning how they end."""

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import pickle
import signal
import sys
import time

__all__ = [
    "ProcessContext",
    "ProcessException",
    "ProcessExitedException",
    "ProcessRaisedException",
    "spawn",
    "SpawnContext",
    "start_processes",
]

ENV_VAR_PARALLEL_START = "TORCH_MP_PARALLEL_START"


class ProcessException(Exception):
    """A process failed: `error_index` is its place among those started, `error_pid` its id."""

    __slots__ = ["error_index", "error_pid"]

    def __init__(self, msg, error_index, error_pid):
        super().__init__(msg)
        self.msg = msg
        self.error_index = error_index
        self.error_pid = error_pid

    def __reduce__(self):
        return type(self), (self.msg, self.error_index, self.error_pid)


class ProcessRaisedException(ProcessException):
    """A process ended with an exception; the text holds its traceback."""


class ProcessExitedException(ProcessException):
    """A process ended by a signal (`signal_name`) or with another `exit_code` than 0."""

    __slots__ = ["exit_code"]

    def __init__(self, msg, error_index, error_pid, exit_code, signal_name=None):
        super().__init__(msg, error_index, error_pid)
        self.exit_code = exit_code
        self.signal_name = signal_name

    def __reduce__(self):
        args = (self.msg, self.error_index, self.error_pid, self.exit_code, self.signal_name)
        return type(self), args


def _prctl_pr_set_pdeathsig(signum):
    """Ask the kernel to send this process `signum` when its parent dies. On Linux only."""
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    pr_set_pdeathsig = 1
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(pr_set_pdeathsig, int(signum), 0, 0, 0) != 0:
        raise RuntimeError(os.strerror(ctypes.get_errno()))


def _wrap(fn, i, args, error_file):
    """What a started process runs: `fn`, with an exception written to `error_file`."""
    _prctl_pr_set_pdeathsig(signal.SIGINT)
    try:
        fn(i, *args)
    except KeyboardInterrupt:
        pass  # the parent was told, or is gone
    except Exception:
        import traceback

        with open(error_file, "wb") as file:
            pickle.dump(traceback.format_exc(), file)
        sys.exit(1)


class ProcessContext:
    """The processes of one `start_processes`."""

    def __init__(self, processes, error_files):
        self.error_files = error_files
        self.processes = processes
        self.sentinels = {process.sentinel: index for index, process in enumerate(processes)}

    def pids(self):
        """The ids of the processes, in their order."""
        return [int(process.pid) for process in self.processes]

    def _join_procs_with_timeout(self, timeout):
        end = time.monotonic() + timeout
        for process in self.processes:
            process.join(max(0, end - time.monotonic()))

    def join(self, timeout=None, grace_period=None):
        """Wait until a process ends, at most `timeout` seconds; True when all have ended.

        When one has failed the others are terminated, with `grace_period` seconds to end by
        themselves and as many again until they are killed, and the failure of the first is raised
        as ProcessRaisedException or ProcessExitedException.
        """
        if not self.sentinels:
            return True
        ready = multiprocessing.connection.wait(self.sentinels.keys(), timeout=timeout)
        failed = None
        for sentinel in ready:
            index = self.sentinels.pop(sentinel)
            process = self.processes[index]
            process.join()
            if process.exitcode != 0 and failed is None:
                failed = index
        if failed is None:
            return not self.sentinels
        self._stop_others(grace_period)
        self._raise_failure(failed)

    def _stop_others(self, grace_period):
        if grace_period is not None:
            self._join_procs_with_timeout(grace_period)
        for process in self.processes:
            if process.is_alive():
                process.terminate()
        self._join_procs_with_timeout(30 if grace_period is None else grace_period)
        for process in self.processes:
            if process.is_alive():
                process.kill()
            process.join()

    def _raise_failure(self, index):
        process = self.processes[index]
        try:
            with open(self.error_files[index], "rb") as file:
                trace = pickle.load(file)
        except (OSError, EOFError):
            trace = None
        finally:
            self._remove_error_files()
        if trace is not None:
            text = f"\n\n-- Process {index} terminated with the following error:\n{trace}"
            raise ProcessRaisedException(text, index, process.pid)
        code = process.exitcode
        if code < 0:
            try:
                name = signal.Signals(-code).name
            except ValueError:
                name = f"<Unknown signal {-code}>"
            text = f"process {index} terminated with signal {name}"
            raise ProcessExitedException(text, index, process.pid, code, name)
        text = f"process {index} terminated with exit code {code}"
        raise ProcessExitedException(text, index, process.pid, code)

    def _remove_error_files(self):
        for name in self.error_files:
            with contextlib.suppress(OSError):
                os.unlink(name)

    def __del__(self):
        if not self.sentinels:
            self._remove_error_files()


class SpawnContext(ProcessContext):
    """The former name of `ProcessContext`; warns."""

    def __init__(self, processes, error_files):
        import warnings

        warnings.warn("SpawnContext is renamed to ProcessContext since 1.4 release.", stacklevel=2)
        super().__init__(processes, error_files)


def start_processes(fn, args=(), nprocs=1, join=True, daemon=False, start_method="spawn"):
    """Run ``fn(i, *args)`` in `nprocs` processes, made by `start_method` ("spawn", "fork", ...).

    With `join` wait for all and return None, raising what `ProcessContext.join` raises; else return
    the `ProcessContext`.
    """
    import tempfile

    mp = multiprocessing.get_context(start_method)
    processes, error_files = [], []
    for i in range(nprocs):
        # A process that fails writes the file, which stays empty otherwise.
        handle, name = tempfile.mkstemp(prefix="mindtorch-errorfile-", suffix=".pickle")
        os.close(handle)
        process = mp.Process(target=_wrap, args=(fn, i, args, name), daemon=daemon)
        process.start()
        error_files.append(name)
        processes.append(process)
    context = ProcessContext(processes, error_files)
    if not join:
        return context
    while not context.join():
        pass
    return None


def spawn(fn, args=(), nprocs=1, join=True, daemon=False, start_method="spawn"):
    """`start_processes` with the start method "spawn"; `fn` and `args` must be picklable.

    Another `start_method` is ignored with a FutureWarning.
    """
    if start_method != "spawn":
        import warnings

        warnings.warn(
            f"This method only supports start_method=spawn (got: {start_method}).\n"
            "To use a different start_method use:\n\t\t torch.multiprocessing.start_processes(...)",
            FutureWarning,
            stacklevel=2,
        )
    return start_processes(fn, args, nprocs, join, daemon, start_method="spawn")
