"""A pool of processes whose queues carry tensors."""

import multiprocessing.pool
import multiprocessing.util as util

from .queue import SimpleQueue


def clean_worker(*args, **kwargs):
    """Work as the standard worker does, then collect what tensors it left."""
    import gc

    multiprocessing.pool.worker(*args, **kwargs)
    # Shared memory is counted: a storage in a cycle would outlive the worker's exit handlers.
    gc.collect()


class Pool(multiprocessing.pool.Pool):
    """A `multiprocessing.Pool` that passes tensors through shared memory."""

    def _setup_queues(self):
        self._inqueue = SimpleQueue(ctx=self._ctx)
        self._outqueue = SimpleQueue(ctx=self._ctx)
        self._quick_put = self._inqueue._writer.send
        self._quick_get = self._outqueue._reader.recv

    def _repopulate_pool(self):
        for _ in range(self._processes - len(self._pool)):
            args = (self._inqueue, self._outqueue, self._initializer, self._initargs)
            if hasattr(self, "_wrap_exception"):
                args += (self._maxtasksperchild, self._wrap_exception)
            else:
                args += (self._maxtasksperchild,)
            worker = self._ctx.Process(target=clean_worker, args=args)
            self._pool.append(worker)
            worker.name = worker.name.replace("Process", "PoolWorker")
            worker.daemon = True
            worker.start()
            util.debug("added worker")
