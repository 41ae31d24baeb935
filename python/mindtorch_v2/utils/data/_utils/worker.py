"""What runs in a worker process of the loader.

A worker has a channel of its own: (number, indices) comes in, is fetched and collated, and (number,
batch) goes out. None means: end; so does the loader hanging up. Exceptions travel as
`ExceptionWrapper`, also those of pickling, so that every task is answered.
"""

import os

_worker_info = None


class WorkerInfo:
    """What `get_worker_info` gives in a worker: `id` (from 0), `num_workers`, `seed` (of the random
    state of this worker), `dataset` (its copy), `rng` (generators, in a thread only, else None) and
    `worker_method`. Cannot be changed."""

    __slots__ = ("id", "num_workers", "seed", "dataset", "rng", "worker_method")

    def __init__(self, id, num_workers, seed, dataset, rng=None, worker_method="multiprocessing"):
        values = (id, num_workers, seed, dataset, rng, worker_method)
        for name, value in zip(self.__slots__, values, strict=True):
            object.__setattr__(self, name, value)

    def __setattr__(self, name, value):
        from dataclasses import FrozenInstanceError

        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name):
        from dataclasses import FrozenInstanceError

        raise FrozenInstanceError(f"cannot delete field {name!r}")

    def __repr__(self):
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__slots__)
        return f"{type(self).__name__}({fields})"

    def __eq__(self, other):
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    def __hash__(self):
        return hash(tuple(getattr(self, name) for name in self.__slots__))

    def __reduce__(self):
        return type(self), tuple(getattr(self, name) for name in self.__slots__)


def get_worker_info():
    """The `WorkerInfo` of this process if it is a worker of a loader, else None."""
    return _worker_info


class _IterableDatasetStopIteration:
    """Sent by a worker whose stream has ended."""

    def __init__(self, worker_id):
        self.worker_id = worker_id


class _ResumeIteration:
    """Sent to a persistent worker for another pass, with the seed of it; sent back when ready."""

    def __init__(self, seed=None):
        self.seed = seed


class ManagerWatchdog:
    """Tells whether the process that started this one is still there."""

    def __init__(self):
        self.manager_pid = os.getppid()
        self.manager_dead = False

    def is_alive(self):
        """False once the parent has ended: orphans get another one."""
        if not self.manager_dead:
            self.manager_dead = os.getppid() != self.manager_pid
        return not self.manager_dead


def _generate_state(base_seed, worker_id):
    """Four 32-bit numbers for NumPy's generator, mixed by `numpy.random.SeedSequence`."""
    import numpy as np

    mask = 0xFFFFFFFF
    entropy = [worker_id, base_seed & mask, base_seed >> 32 & mask, 0]
    return [int(word) for word in np.random.SeedSequence(entropy).generate_state(4)]


def _seed_all(base_seed, worker_id):
    """Seed Python, the core and NumPy for this worker; returns the worker's seed."""
    import random

    import mindtorch_v2 as torch

    seed = base_seed + worker_id
    random.seed(seed)
    torch.manual_seed(seed)
    try:
        import numpy as np
    except ModuleNotFoundError:
        pass
    else:
        np.random.seed(_generate_state(base_seed, worker_id))
    return seed


def _worker_loop(
    dataset_kind,
    dataset,
    connection,
    auto_collation,
    collate_fn,
    drop_last,
    base_seed,
    init_fn,
    worker_id,
    num_workers,
):
    """The main function of a worker process."""
    try:
        import mindtorch_v2 as torch

        from ...._utils import ExceptionWrapper
        from ....multiprocessing._channel import Channel
        from ..dataloader import _DatasetKind
        from . import MP_STATUS_CHECK_INTERVAL

        # The workers are the parallelism: one thread each. Also fresh after a fork.
        torch.set_num_threads(1)
        seed = _seed_all(base_seed, worker_id)
        global _worker_info
        _worker_info = WorkerInfo(id=worker_id, num_workers=num_workers, seed=seed, dataset=dataset)
        where = f"in DataLoader worker process {worker_id}"
        failure = None
        if init_fn is not None:
            try:
                init_fn(worker_id)
            except Exception:
                failure = ExceptionWrapper(where=where)  # goes out instead of every batch

        def make_fetcher():
            return _DatasetKind.create_fetcher(
                dataset_kind, dataset, auto_collation, collate_fn, drop_last
            )

        channel, watchdog = Channel(connection), ManagerWatchdog()
        iterable = dataset_kind == _DatasetKind.Iterable
        _serve(channel, watchdog, failure, make_fetcher, where, worker_id, iterable)
        # Unless nobody reads any more, all must be out before the process ends.
        while watchdog.is_alive() and not channel.ended():
            if channel.flush(timeout=MP_STATUS_CHECK_INTERVAL):
                break
    except KeyboardInterrupt:
        pass  # the main process shows it


def _message(answer, where):
    """The message of `answer`, (number, data); of the exception if its data cannot be sent."""
    from ...._utils import ExceptionWrapper
    from ....multiprocessing._channel import Message

    try:
        return Message(answer)
    except Exception:
        return Message((answer[0], ExceptionWrapper(where=where)))


def _serve(channel, watchdog, failure, make_fetcher, where, worker_id, iterable):
    from ...._utils import ExceptionWrapper
    from . import MP_STATUS_CHECK_INTERVAL

    ended = False  # the stream of an iterable dataset, in this pass
    fetcher = None  # made at the first task of each pass, so that its failure answers a task
    while watchdog.is_alive():
        if not channel.wait(MP_STATUS_CHECK_INTERVAL):
            continue
        if channel.ended():
            return
        try:
            task = channel.recv()
        except (EOFError, ConnectionError):
            return
        if task is None:
            return
        if isinstance(task, _ResumeIteration):
            channel.send(_message((task, None), where))
            ended = False
            fetcher = None
            continue
        if ended:
            continue  # tasks that were on their way
        number, index = task
        if failure is not None:
            data = failure
        else:
            try:
                if fetcher is None:
                    fetcher = make_fetcher()
                data = fetcher.fetch(index)
            except Exception as error:
                if isinstance(error, StopIteration) and iterable:
                    data = _IterableDatasetStopIteration(worker_id)
                    ended = True
                else:
                    data = ExceptionWrapper(where=where)
        channel.send(_message((number, data), where))
        del data, index, task  # let go of shared memory before waiting
