"""How a worker process ended, in words."""

import signal


def _error_of_worker(worker):
    """The RuntimeError that says how `worker`, a process that has ended, did so; None if all was
    well."""
    code = worker.exitcode
    if not code:
        return None
    if code > 0:
        return RuntimeError(
            f"DataLoader worker (pid {worker.pid}) exited unexpectedly with exit code {code}. "
            "Details are lost due to multiprocessing. Rerunning with num_workers=0 may give better "
            "error trace."
        )
    text = f"DataLoader worker (pid {worker.pid}) is killed by signal: {signal.strsignal(-code)}. "
    if -code == signal.SIGBUS:
        text += (
            "It is possible that dataloader's workers are out of shared memory. "
            "Please try to raise your shared memory limit."
        )
    return RuntimeError(text)
