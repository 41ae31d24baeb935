"""A two-way channel for objects with tensors, over a pair of connected sockets.

A message is the pickled object, preceded by the number of descriptors of shared memory that follow
it on the same socket. So a tensor costs one system call more, where the picklers of
`multiprocessing` connect to a server for each descriptor. With the strategy "file_system" there are
no descriptors: names stand in the pickle.
"""

import contextlib
import io
import os
import pickle
import select
import socket
import struct
import threading
from multiprocessing.reduction import ForkingPickler, recvfds, sendfds

import mindtorch_v2 as torch

from .reductions import (
    StorageWeakRef,
    fd_id,
    rebuild_storage_fd,
    reduce_storage,
    shared_cache,
)

_COUNT = struct.Struct("<I")
_FDS_PER_CALL = 64  # the kernel's limit is 253
_SMALL = 1 << 16  # bytes that a socket takes whenever it says that it is writable

_arriving = threading.local()


class ArrivedFd:
    """Stands in a pickle for descriptor number `index` of the message."""

    def __init__(self, index):
        self.index = index

    def detach(self):
        """Take the descriptor; the caller closes it."""
        fd, _arriving.fds[self.index] = _arriving.fds[self.index], None
        return fd


class Message:
    """A pickled object: its bytes, the descriptors to go with it, the storages that own these."""

    __slots__ = ("data", "fds", "storages")

    def __init__(self, obj):
        self.fds, self.storages = [], []
        buffer = io.BytesIO()
        buffer.write(bytes(_COUNT.size))
        pickler = ForkingPickler(buffer, pickle.HIGHEST_PROTOCOL)
        pickler.dispatch_table[torch.UntypedStorage] = self._reduce  # a table of its own
        pickler.dump(obj)
        self.data = buffer.getbuffer()
        _COUNT.pack_into(self.data, 0, len(self.fds))

    def _reduce(self, storage):
        from . import get_sharing_strategy

        if get_sharing_strategy() != "file_descriptor" or storage.size() == 0:
            return reduce_storage(storage)
        if storage.device.type == "meta":
            return reduce_storage(storage)
        fd, size = storage._share_fd_cpu_()
        shared_cache[fd_id(fd)] = StorageWeakRef(storage)
        self.storages.append(storage)
        self.fds.append(fd)
        return (rebuild_storage_fd, (type(storage), ArrivedFd(len(self.fds) - 1), size))


class Channel:
    """One end, for a `multiprocessing` connection that is a socket.

    One thread may send and one may receive. Sending returns at once: what the socket does not take
    now, a thread writes in order, as fast as the other side reads. `hang_up` ends the channel for
    both sides, also where other processes have inherited the socket.
    """

    def __init__(self, connection):
        self.connection = connection
        self._socket = socket.socket(fileno=os.dup(connection.fileno()))
        self._poll = select.poll()
        self._lock = threading.Lock()
        self._pending = 0  # messages that the thread has not written yet
        self._thread = None

    def fileno(self):
        """What to wait for with `select` and its kin."""
        return self.connection.fileno()

    def _state(self, events, timeout=0):
        self._poll.register(self._socket, events)
        found = self._poll.poll(timeout * 1000)
        return found[0][1] if found else 0

    # ------------------------------------------------------------ sending

    def send(self, message):
        """Send a `Message`; nothing happens when the other side is gone."""
        with self._lock:
            direct = (
                self._pending == 0
                and message.data.nbytes <= _SMALL
                and bool(self._state(select.POLLOUT))
            )
            if not direct:
                self._pending += 1
        if direct:
            self._write(message)
            return
        if self._thread is None:
            import queue

            self._queue = queue.SimpleQueue()
            self._thread = threading.Thread(target=self._run, name="Channel", daemon=True)
            self._thread.start()
        self._queue.put(message)

    def flush(self, timeout=None):
        """Wait until all is written, at most `timeout` seconds; True if it is. Nothing can be sent
        any more."""
        if self._thread is None:
            return True
        self._queue.put(None)
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _write(self, message):
        try:
            self.connection.send_bytes(message.data)
            for i in range(0, len(message.fds), _FDS_PER_CALL):
                sendfds(self._socket, message.fds[i : i + _FDS_PER_CALL])
        except OSError:
            pass

    def _run(self):
        while (message := self._queue.get()) is not None:
            self._write(message)
            del message  # and with it the storages
            with self._lock:
                self._pending -= 1

    # ------------------------------------------------------------ receiving

    def wait(self, timeout):
        """True when there is something to receive, or the channel has ended; False after `timeout`
        seconds."""
        return bool(self._state(select.POLLIN, timeout))

    def ended(self):
        """True when the other side has hung up or is gone, whatever is left to receive."""
        return bool(self._state(0) & (select.POLLHUP | select.POLLERR))

    def recv(self):
        """The next object; waits for it. EOFError when the other side is gone, OSError when it went
        in the middle of a message."""
        data = self.connection.recv_bytes()
        (count,) = _COUNT.unpack_from(data)
        fds = []
        try:
            while len(fds) < count:
                fds += recvfds(self._socket, min(count - len(fds), _FDS_PER_CALL))
            _arriving.fds = fds
            return pickle.loads(memoryview(data)[_COUNT.size :])
        finally:
            for fd in fds:
                if fd is not None:  # pickle.loads did not come to it
                    os.close(fd)
            _arriving.fds = None

    # ------------------------------------------------------------ ending

    def hang_up(self):
        """End the channel: the other side sees it at once."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self):
        """Close this end's descriptors."""
        self._socket.close()
        self.connection.close()
