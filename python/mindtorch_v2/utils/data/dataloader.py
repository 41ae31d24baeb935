"""The loader: batches of a dataset's items, in this process or from worker processes.

With workers, the invariant is: tasks are numbered as they are handed out, `_send_idx` is the next
number, and batches are yielded in that order (unless ``in_order=False``). `_task_info` holds the
tasks not yet yielded: (worker,) while it is out, (worker, batch) once the batch has come before its
turn. At most ``prefetch_factor`` tasks per worker are out, so memory is bounded.
"""

import itertools
import os
from types import GenericAlias

import mindtorch_v2 as torch

from .._profiling import profiler_enabled
from . import _utils
from .dataset import IterableDataset
from .sampler import BatchSampler, RandomSampler, Sampler, SequentialSampler

__all__ = ["DataLoader", "get_worker_info", "default_collate", "default_convert"]

default_collate = _utils.collate.default_collate
default_convert = _utils.collate.default_convert
get_worker_info = _utils.worker.get_worker_info


class _DatasetKind:
    Map = 0
    Iterable = 1

    @staticmethod
    def create_fetcher(kind, dataset, auto_collation, collate_fn, drop_last):
        fetch = _utils.fetch
        cls = (
            fetch._MapDatasetFetcher if kind == _DatasetKind.Map else fetch._IterableDatasetFetcher
        )
        return cls(dataset, auto_collation, collate_fn, drop_last)


class _InfiniteConstantSampler(Sampler):
    """None for ever: the sampler of a stream."""

    def __iter__(self):
        return itertools.repeat(None)


_PROTECTED = frozenset(
    ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers")
)


class DataLoader:
    """Iterates over a dataset in batches; every ``iter()`` is a new pass.

    `dataset` has items by index or is an `IterableDataset`. The indices come from `sampler`, by
    default in order or with `shuffle` at random, in batches of `batch_size` (None: single items,
    not collated), the last shorter one left out with `drop_last`; or from `batch_sampler`, lists of
    indices. `collate_fn` makes a batch of a list of items.

    `num_workers` > 0 loads in that many processes, each with up to `prefetch_factor` (default 2)
    batches ahead. `worker_init_fn(id)` runs at their start; `timeout` (seconds, 0: none) bounds the
    wait for a batch; `persistent_workers` keeps them for the next pass; `multiprocessing_context`
    is a context or the name of a start method; with ``in_order=False`` batches come as they are
    ready. An exception in a worker is raised here with its type and its traceback in the text.
    Worker `i` is seeded with a base seed plus `i`, the base seed drawn from `generator` at each
    ``iter()``.

    `pin_memory` has no effect without an accelerator. Options that exclude each other or are out
    of range raise ValueError.
    """

    __class_getitem__ = classmethod(GenericAlias)

    _iterator = None
    __initialized = False

    def __init__(
        self,
        dataset,
        batch_size=1,
        shuffle=None,
        sampler=None,
        batch_sampler=None,
        num_workers=0,
        collate_fn=None,
        pin_memory=False,
        drop_last=False,
        timeout=0,
        worker_init_fn=None,
        multiprocessing_context=None,
        generator=None,
        *,
        prefetch_factor=None,
        persistent_workers=False,
        pin_memory_device="",
        in_order=True,
    ):
        if num_workers < 0:
            raise ValueError(
                "num_workers option should be non-negative; use num_workers=0 to disable "
                "multiprocessing."
            )
        if timeout < 0:
            raise ValueError("timeout option should be non-negative")
        if num_workers == 0 and prefetch_factor is not None:
            raise ValueError(
                "prefetch_factor option could only be specified in multiprocessing.let num_workers "
                "> 0 to enable multiprocessing, otherwise set prefetch_factor to None."
            )
        if num_workers > 0 and prefetch_factor is None:
            prefetch_factor = 2
        elif prefetch_factor is not None and prefetch_factor < 0:
            raise ValueError("prefetch_factor option should be non-negative")
        if persistent_workers and num_workers == 0:
            raise ValueError("persistent_workers option needs num_workers > 0")

        self.dataset = dataset
        self.num_workers = num_workers
        self.prefetch_factor = prefetch_factor
        self.pin_memory = pin_memory
        self.pin_memory_device = pin_memory_device
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = multiprocessing_context
        self.in_order = in_order

        if isinstance(dataset, IterableDataset):
            self._dataset_kind = _DatasetKind.Iterable
            for name, value in (
                ("shuffle", shuffle or None),
                ("sampler", sampler),
                ("batch_sampler", batch_sampler),
            ):
                if value is not None:
                    raise ValueError(
                        f"DataLoader with IterableDataset: expected unspecified {name} option, "
                        f"but got {name}={value}"
                    )
        else:
            shuffle = bool(shuffle)
            self._dataset_kind = _DatasetKind.Map
        if sampler is not None and shuffle:
            raise ValueError("sampler option is mutually exclusive with shuffle")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError(
                    "batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, "
                    "and drop_last"
                )
            batch_size = None
            drop_last = False
        elif batch_size is None and drop_last:
            raise ValueError(
                "batch_size=None option disables auto-batching and is mutually exclusive with "
                "drop_last"
            )

        if sampler is None:
            if self._dataset_kind == _DatasetKind.Iterable:
                sampler = _InfiniteConstantSampler()
            elif shuffle:
                sampler = RandomSampler(dataset, generator=generator)
            else:
                sampler = SequentialSampler(dataset)
        if batch_size is not None and batch_sampler is None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)

        self.batch_size = batch_size
        self.drop_last = drop_last
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self.generator = generator
        if collate_fn is None:
            collate_fn = default_collate if self._auto_collation else default_convert
        self.collate_fn = collate_fn
        self.persistent_workers = persistent_workers
        self.__initialized = True
        self._IterableDataset_len_called = None
        self._iterator = None
        self.check_worker_number_rationality()

    @property
    def multiprocessing_context(self):
        """The context that starts the workers; None: the default one of `multiprocessing`."""
        return self.__multiprocessing_context

    @multiprocessing_context.setter
    def multiprocessing_context(self, multiprocessing_context):
        if multiprocessing_context is not None:
            if self.num_workers <= 0:
                raise ValueError(
                    "multiprocessing_context can only be used with multi-process loading "
                    f"(num_workers > 0), but got num_workers={self.num_workers}"
                )
            import multiprocessing

            if isinstance(multiprocessing_context, str):
                methods = multiprocessing.get_all_start_methods()
                if multiprocessing_context not in methods:
                    raise ValueError(
                        "multiprocessing_context option should specify a valid start method in "
                        f"{methods!r}, but got multiprocessing_context={multiprocessing_context!r}"
                    )
                multiprocessing_context = multiprocessing.get_context(multiprocessing_context)
            if not isinstance(multiprocessing_context, multiprocessing.context.BaseContext):
                raise TypeError(
                    "multiprocessing_context option should be a valid context object or a string "
                    "specifying the start method, but got "
                    f"multiprocessing_context={multiprocessing_context}"
                )
        self.__multiprocessing_context = multiprocessing_context

    def __setattr__(self, attr, val):
        if self.__initialized and attr in _PROTECTED:
            raise ValueError(
                f"{attr} attribute should not be set after {self.__class__.__name__} is initialized"
            )
        super().__setattr__(attr, val)

    def _get_iterator(self):
        if self.num_workers == 0:
            return _SingleProcessDataLoaderIter(self)
        self.check_worker_number_rationality()
        return _MultiProcessingDataLoaderIter(self)

    def __iter__(self):
        if self.persistent_workers and self.num_workers > 0:
            if self._iterator is None:
                self._iterator = self._get_iterator()
            else:
                self._iterator._reset(self)
            return self._iterator
        return self._get_iterator()

    @property
    def _auto_collation(self):
        return self.batch_sampler is not None

    @property
    def _index_sampler(self):
        """What each fetch takes one element of: lists of indices, or single ones."""
        return self.batch_sampler if self._auto_collation else self.sampler

    def __len__(self):
        """The number of batches. For a stream a guess from its own length, checked in passing."""
        if self._dataset_kind != _DatasetKind.Iterable:
            return len(self._index_sampler)
        length = self._IterableDataset_len_called = len(self.dataset)
        if self.batch_size is None:
            return length
        if self.drop_last:
            return length // self.batch_size
        return -(-length // self.batch_size)

    def check_worker_number_rationality(self):
        """Warn where there are more workers than processors that this process may use."""
        if not self.num_workers:
            return
        if hasattr(os, "sched_getaffinity"):
            most, note = len(os.sched_getaffinity(0)), ""
        else:
            most, note = os.cpu_count(), " (`cpuset` is not taken into account)"
        if most is None:
            advice = (
                "DataLoader is not able to compute a suggested max number of worker in current "
                "system."
            )
        elif self.num_workers > most:
            advice = (
                f"Our suggested max number of worker in current system is {most}{note}, which is "
                "smaller than what this DataLoader is going to create."
            )
        else:
            return
        import warnings

        warnings.warn(
            f"This DataLoader will create {self.num_workers} worker processes in total. {advice} "
            "Please be aware that excessive worker creation might get DataLoader running slow or "
            "even freeze, lower the worker number to avoid potential slowness/freeze if necessary.",
            stacklevel=2,
        )


def _warn(text):
    import warnings

    warnings.warn(text, stacklevel=4)


class _BaseDataLoaderIter:
    """One pass over a loader."""

    def __init__(self, loader):
        self._dataset = loader.dataset
        self._shared_seed = None
        self._dataset_kind = loader._dataset_kind
        self._IterableDataset_len_called = loader._IterableDataset_len_called
        self._auto_collation = loader._auto_collation
        self._drop_last = loader.drop_last
        self._index_sampler = loader._index_sampler
        self._num_workers = loader.num_workers
        if loader.pin_memory_device:
            _warn(
                "pin_memory_device is deprecated, the current accelerator will be used as the "
                f"device,ignore pin_memory_device='{loader.pin_memory_device}'."
            )
        if loader.pin_memory:
            _warn(
                "'pin_memory' argument is set as true but no accelerator is found, then device "
                "pinned memory won't be used."
            )
        self._pin_memory = False
        self._pin_memory_device = None
        self._timeout = loader.timeout
        self._collate_fn = loader.collate_fn
        self._sampler_iter = iter(self._index_sampler)
        self._base_seed = (
            torch.empty((), dtype=torch.int64).random_(generator=loader.generator).item()
        )
        self._persistent_workers = loader.persistent_workers
        self._num_yielded = 0
        self._profile_name = f"enumerate(DataLoader)#{self.__class__.__name__}.__next__"

    def __iter__(self):
        return self

    def _reset(self, loader, first_iter=False):
        self._sampler_iter = iter(self._index_sampler)
        self._num_yielded = 0
        self._IterableDataset_len_called = loader._IterableDataset_len_called

    def _next_index(self):
        return next(self._sampler_iter)

    def _next_data(self):
        raise NotImplementedError

    def __next__(self):
        if profiler_enabled():
            from ...autograd.profiler import record_function

            with record_function(self._profile_name):
                data = self._next_data()
        else:
            data = self._next_data()
        self._num_yielded += 1
        if (
            self._dataset_kind == _DatasetKind.Iterable
            and self._IterableDataset_len_called is not None
            and self._num_yielded > self._IterableDataset_len_called
        ):
            self._warn_of_length()
        return data

    def _warn_of_length(self):
        text = (
            f"Length of IterableDataset {self._dataset} was reported to be "
            f"{self._IterableDataset_len_called}(when accessing len(dataloader)), but "
            f"{self._num_yielded} samples have been fetched. "
        )
        if self._num_workers > 0:
            text += (
                "For multiprocessing data-loading, this could be caused by not properly "
                "configuring the IterableDataset replica at each worker. Please see "
                "https://pytorch.org/docs/stable/data.html#torch.utils.data.IterableDataset for "
                "examples."
            )
        _warn(text)

    def __len__(self):
        return len(self._index_sampler)

    def __getstate__(self):
        # The samplers' iterators hold random state and places that no copy could share.
        raise NotImplementedError("{} cannot be pickled", self.__class__.__name__)


class _SingleProcessDataLoaderIter(_BaseDataLoaderIter):
    """A pass that loads in this process."""

    def __init__(self, loader):
        super().__init__(loader)
        if self._timeout != 0:
            raise AssertionError("_SingleProcessDataLoaderIter requires timeout == 0")
        if self._num_workers != 0:
            raise AssertionError("_SingleProcessDataLoaderIter requires num_workers == 0")
        self._dataset_fetcher = _DatasetKind.create_fetcher(
            self._dataset_kind,
            self._dataset,
            self._auto_collation,
            self._collate_fn,
            self._drop_last,
        )

    def _next_data(self):
        return self._dataset_fetcher.fetch(self._next_index())


_live_iterators = None


def _shut_down_at_exit(iterator):
    """See to it that the workers of `iterator` end before `multiprocessing` ends the processes."""
    global _live_iterators
    if _live_iterators is None:
        import atexit
        from weakref import WeakSet

        _live_iterators = WeakSet()
        atexit.register(_shut_down_all)
    _live_iterators.add(iterator)


def _shut_down_all():
    for iterator in list(_live_iterators):
        iterator._shutdown_workers()
    _utils._set_python_exit_flag()


class _MultiProcessingDataLoaderIter(_BaseDataLoaderIter):
    """A pass, or with persistent workers several, that loads in worker processes.

    Each worker has a channel, for tasks and for what they give. The wait for data watches the
    channels and the processes, so a death is noticed at once. Shutdown: hang up on all workers,
    wait for them a while, terminate who is left. It happens at the end of the pass, when the
    iterator goes, and at the interpreter's exit.
    """

    def __init__(self, loader):
        super().__init__(loader)
        if self._num_workers <= 0:
            raise AssertionError(
                "num_workers must be greater than 0 for MultiProcessingDataLoaderIter"
            )
        if loader.prefetch_factor <= 0:
            raise AssertionError(
                "prefetch_factor must be greater than 0 for MultiProcessingDataLoaderIter"
            )
        # Our module, not the standard one: it teaches the pickler tensors.
        import selectors

        from ... import multiprocessing

        self._prefetch_factor = loader.prefetch_factor
        self._in_order = loader.in_order
        context = loader.multiprocessing_context or multiprocessing.get_context()
        self._worker_init_fn = loader.worker_init_fn
        self._shutdown = False
        self._channels = []
        self._workers = []
        self._selector = selectors.DefaultSelector()
        self._workers_status = [True] * self._num_workers
        self._owner = os.getpid()
        _shut_down_at_exit(self)
        self._load_numpy()
        for i in range(self._num_workers):
            self._start_worker(context, i)
        self._reset(loader, first_iter=True)

    @staticmethod
    def _load_numpy():
        """Workers seed NumPy: loaded here, before a fork, it is loaded once."""
        from contextlib import suppress

        with suppress(ModuleNotFoundError):
            import numpy  # noqa: F401

    def _start_worker(self, context, i):
        import selectors

        from ...multiprocessing._channel import Channel

        ours, its = context.Pipe(duplex=True)
        worker = context.Process(
            target=_utils.worker._worker_loop,
            args=(
                self._dataset_kind,
                self._dataset,
                its,
                self._auto_collation,
                self._collate_fn,
                self._drop_last,
                self._base_seed,
                self._worker_init_fn,
                i,
                self._num_workers,
            ),
        )
        worker.daemon = True
        # Until start() has returned the worker is not among those to be shut down: joining a
        # process that was never started is an error.
        worker.start()
        its.close()
        channel = Channel(ours)
        self._channels.append(channel)
        self._workers.append(worker)
        self._selector.register(channel, selectors.EVENT_READ, i)
        self._selector.register(worker.sentinel, selectors.EVENT_READ, None)

    def _reset(self, loader, first_iter=False):
        super()._reset(loader, first_iter)
        self._send_idx = 0
        self._rcvd_idx = 0
        self._task_info = {}
        self._tasks_outstanding = 0
        self._workers_status = [True] * self._num_workers  # has the worker still data to give
        self._workers_num_tasks = [0] * self._num_workers
        self._next_worker = 0
        if not first_iter:
            for channel in self._channels:
                channel.send(self._message(_utils.worker._ResumeIteration(self._shared_seed)))
            waiting = self._num_workers
            while waiting > 0:
                # Batches of the pass before may still arrive: they are dropped.
                number, data = self._get_data()
                if isinstance(number, _utils.worker._ResumeIteration):
                    if data is not None:
                        raise AssertionError(
                            "Expected return_data to be None when resuming iteration"
                        )
                    waiting -= 1
        for _ in range(self._prefetch_factor * self._num_workers):
            self._try_put_index()

    # ------------------------------------------------------------ receiving

    def _try_get_data(self, timeout=_utils.MP_STATUS_CHECK_INTERVAL):
        """(True, what came), or (False, None) after `timeout` seconds. RuntimeError if a worker
        that should be there is gone.
        """
        import time

        end = time.monotonic() + timeout
        while True:
            ready = self._selector.select(max(0, end - time.monotonic()))
            if not ready:
                self._check_workers()
                return False, None
            for key, _ in ready:
                if key.data is None:  # a process has ended; its channel may still hold data
                    self._selector.unregister(key.fileobj)
                    continue
                try:
                    return True, self._channels[key.data].recv()
                except (EOFError, ConnectionError) as error:
                    self._selector.unregister(key.fileobj)
                    self._workers[key.data].join(timeout=_utils.MP_STATUS_CHECK_INTERVAL)
                    self._check_workers(error)
                except OSError:
                    if not self._out_of_files():
                        raise
                    raise RuntimeError(
                        "Too many open files. Communication with the workers is no longer "
                        "possible. Please increase the limit using `ulimit -n` in the shell or "
                        "change the sharing strategy by calling "
                        "`torch.multiprocessing.set_sharing_strategy('file_system')` at the "
                        "beginning of your code"
                    ) from None

    def _check_workers(self, error=None):
        """RuntimeError if a worker has ended without being told, caused by how, or by `error`."""
        failed = [
            i
            for i, worker in enumerate(self._workers)
            if self._workers_status[i] and not worker.is_alive()
        ]
        if not failed:
            return
        for i in failed:
            self._mark_worker_as_unavailable(i)
        pids = ", ".join(str(self._workers[i].pid) for i in failed)
        how = _utils.signal_handling._error_of_worker(self._workers[failed[0]])
        raise RuntimeError(f"DataLoader worker (pid(s) {pids}) exited unexpectedly") from (
            how or error
        )

    @staticmethod
    def _out_of_files():
        """True when this process cannot open ten more files."""
        import errno

        fds = []
        try:
            while len(fds) < 10:
                fds.append(os.open(os.devnull, os.O_RDONLY))
        except OSError as error:
            return error.errno == errno.EMFILE
        finally:
            for fd in fds:
                os.close(fd)
        return False

    def _get_data(self):
        if self._timeout > 0:
            success, data = self._try_get_data(self._timeout)
            if not success:
                raise RuntimeError(f"DataLoader timed out after {self._timeout} seconds")
            return data
        while True:
            success, data = self._try_get_data()
            if success:
                return data

    def _next_data(self):
        while True:
            self._skip_tasks_of_ended_workers()
            if self._rcvd_idx >= self._send_idx:
                if not self._persistent_workers:
                    self._shutdown_workers()
                raise StopIteration

            info = self._task_info[self._rcvd_idx]
            if len(info) == 2:  # it has come before its turn
                worker, data = self._task_info.pop(self._rcvd_idx)
                self._rcvd_idx += 1
                return self._process_data(data, worker)

            if self._shutdown or self._tasks_outstanding <= 0:
                raise AssertionError(
                    "Invalid iterator state: shutdown or no outstanding tasks when fetching next "
                    "data"
                )
            number, data = self._get_data()
            self._tasks_outstanding -= 1
            if isinstance(data, _utils.worker._IterableDatasetStopIteration):
                del self._task_info[number]
                if self._persistent_workers:
                    self._workers_status[data.worker_id] = False
                else:
                    self._mark_worker_as_unavailable(data.worker_id)
                self._try_put_index()
                continue
            if number == self._rcvd_idx:
                worker = self._task_info.pop(number)[0]
                self._rcvd_idx += 1
                return self._process_data(data, worker)
            if self._in_order:
                self._task_info[number] += (data,)
                continue
            worker = self._task_info.pop(number)[0]
            return self._process_data(data, worker)

    def _skip_tasks_of_ended_workers(self):
        """Go past numbers that will not be answered: the worker's stream has ended, or, out of
        order, the batch has been yielded."""
        while self._rcvd_idx < self._send_idx:
            info = self._task_info.get(self._rcvd_idx)
            if info is not None:
                if len(info) == 2 or self._workers_status[info[0]]:
                    return
                del self._task_info[self._rcvd_idx]
                self._tasks_outstanding -= 1
            self._rcvd_idx += 1

    def _process_data(self, data, worker_idx):
        from ..._utils import ExceptionWrapper

        self._workers_num_tasks[worker_idx] -= 1
        self._try_put_index()
        if isinstance(data, ExceptionWrapper):
            data.reraise()
        return data

    # ------------------------------------------------------------ sending

    @staticmethod
    def _message(task):
        from ...multiprocessing._channel import Message

        return Message(task)

    def _try_put_index(self):
        """Hand out the next task, if there is one and a worker to take it."""
        if self._tasks_outstanding >= self._prefetch_factor * self._num_workers:
            raise AssertionError("Number of outstanding tasks exceeded maximum allowed tasks")
        try:
            index = self._next_index()
        except StopIteration:
            return
        for _ in range(self._num_workers):
            worker = self._next_worker
            self._next_worker = (worker + 1) % self._num_workers
            if self._workers_status[worker] and (
                self._in_order or self._workers_num_tasks[worker] < self._prefetch_factor
            ):
                break
        else:
            return
        self._channels[worker].send(self._message((self._send_idx, index)))
        self._task_info[self._send_idx] = (worker,)
        self._workers_num_tasks[worker] += 1
        self._tasks_outstanding += 1
        self._send_idx += 1

    # ------------------------------------------------------------ ending

    def _mark_worker_as_unavailable(self, worker_id):
        """Tell a worker to end, and expect nothing from it any more."""
        if not self._workers_status[worker_id]:
            raise AssertionError("Worker status inconsistent when marking worker as unavailable")
        self._channels[worker_id].send(self._message(None))
        self._workers_status[worker_id] = False

    def _shutdown_workers(self):
        if _utils is None or _utils.python_exit_status is None or _utils.python_exit_status:
            return  # too late: `multiprocessing` has ended, or is about to end, the workers itself
        if self._shutdown or self._owner != os.getpid():  # a fork has a copy of the iterator
            return
        import time

        self._shutdown = True
        try:
            for channel in self._channels:
                channel.hang_up()
            end = time.monotonic() + _utils.MP_STATUS_CHECK_INTERVAL
            for worker in self._workers:
                worker.join(timeout=max(0, end - time.monotonic()))
            self._selector.close()
            for channel in self._channels:
                channel.close()
        finally:
            for worker in self._workers:
                if worker.is_alive():
                    worker.terminate()

    def __del__(self):
        if "_shutdown" in self.__dict__:
            self._shutdown_workers()
