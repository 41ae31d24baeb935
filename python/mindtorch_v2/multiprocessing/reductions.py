"""How tensors and storages cross process borders: what is pickled is a way to reach the memory.

Invariant: a storage reached twice is one storage. `shared_cache` maps what identifies the memory
(the inode of its descriptor, or its name) to a weak reference to the storage that maps it here.
"""

import os
import threading
from multiprocessing.reduction import DupFd, ForkingPickler
from multiprocessing.util import register_after_fork

import mindtorch_v2 as torch


class StorageWeakRef:
    """A weak reference to a storage, which does not mind which Python object stands for it."""

    __slots__ = ["cdata", "_free_weak_ref"]

    def __init__(self, storage):
        self.cdata = storage._weak_ref()
        self._free_weak_ref = torch.UntypedStorage._free_weak_ref  # for the end of the interpreter

    @classmethod
    def from_weakref(cls, cdata):
        """Take over a weak reference made by `_weak_ref`."""
        instance = cls.__new__(cls)
        instance.cdata = cdata
        instance._free_weak_ref = torch.UntypedStorage._free_weak_ref
        return instance

    def expired(self):
        """True when the storage is gone."""
        return torch.UntypedStorage._expired(self.cdata)

    def __del__(self):
        self._free_weak_ref(self.cdata)

    def __hash__(self):
        return self.cdata

    def __eq__(self, other):
        return self is other or self.cdata == other.cdata


class SharedCache(dict):
    """Weak references to storages by what identifies their memory; dead ones go in time."""

    def __init__(self):
        self.limit = 128
        self._after_fork()
        register_after_fork(self, SharedCache._after_fork)

    def _after_fork(self):
        self.lock = threading.Lock()

    def get(self, key):
        with self.lock:
            return dict.get(self, key)

    def __setitem__(self, key, storage_ref):
        with self.lock:
            dict.__setitem__(self, key, storage_ref)
            if len(self) > self.limit:
                self.free_dead_references()

    def free_dead_references(self):
        """Drop the dead; looks again when twice as many are alive."""
        alive = 0
        for key, ref in list(self.items()):
            if ref.expired():
                del self[key]
            else:
                alive += 1
        self.limit = max(128, 2 * alive)


shared_cache = SharedCache()


def storage_from_cache(cls, key):
    """The living storage of `key`, or None."""
    ref = shared_cache.get(key)
    return None if ref is None else torch.UntypedStorage._new_with_weak_ptr(ref.cdata)


def fd_id(fd):
    """What two descriptors of the same memory have in common."""
    stat = os.fstat(fd)
    return (stat.st_ino, stat.st_dev)


# ---------------------------------------------------------------- storages


def rebuild_storage_fd(cls, df, size):
    """The storage of `size` bytes behind the descriptor that `df` hands over."""
    fd = df.detach()
    try:
        key = fd_id(fd)
        storage = storage_from_cache(cls, key)
        if storage is None:
            storage = cls._new_shared_fd_cpu(fd, size)
            shared_cache[key] = StorageWeakRef(storage)
        return storage
    finally:
        os.close(fd)


def rebuild_storage_filename(cls, manager, handle, size, dtype=None):
    """The storage of `size` bytes of the name `handle`; the sender holds one count of it for us."""
    storage = storage_from_cache(cls, handle)
    if storage is None:
        storage = torch.UntypedStorage._new_shared_filename_cpu(manager, handle, size)
        shared_cache[handle] = StorageWeakRef(storage)
    return storage._shared_decref()


def rebuild_storage_empty(cls):
    """A storage without bytes: there is no memory to share."""
    return cls()


def rebuild_typed_storage(storage, dtype):
    """A typed view of an untyped storage."""
    return torch.storage.TypedStorage(wrap_storage=storage, dtype=dtype, _internal=True)


def reduce_storage(storage):
    """How the pickler sends an untyped storage; it is in shared memory afterwards."""
    from . import get_sharing_strategy

    if storage.device.type == "meta":
        raise RuntimeError("Cannot pickle meta storage; try pickling a meta tensor instead")
    if storage.size() == 0:
        return (rebuild_storage_empty, (type(storage),))
    if get_sharing_strategy() == "file_system":
        metadata = storage._share_filename_cpu_()
        key = metadata[1]
        rebuild = rebuild_storage_filename
        storage._shared_incref()  # held for the receiver, who may come when we are gone
    else:
        fd, size = storage._share_fd_cpu_()
        metadata = (DupFd(fd), size)
        key = fd_id(fd)
        rebuild = rebuild_storage_fd
    shared_cache[key] = StorageWeakRef(storage)
    return (rebuild, (type(storage), *metadata))


def reduce_typed_storage(storage):
    """How the pickler sends a `TypedStorage`."""
    return (rebuild_typed_storage, (storage._untyped_storage, storage.dtype))


# ---------------------------------------------------------------- tensors


def rebuild_tensor(cls, storage, metadata):
    """A tensor of class `cls` over a typed storage, from offset, size, stride and requires_grad."""
    offset, size, stride, requires_grad = metadata
    tensor = torch._utils._rebuild_tensor(storage, offset, size, stride)
    if cls is torch.nn.Parameter:
        return torch.nn.Parameter(tensor, requires_grad=requires_grad)
    tensor.requires_grad = requires_grad
    return tensor


def rebuild_meta_tensor(cls, size, stride, offset, dtype, storage_size_bytes, requires_grad):
    """A tensor of class `cls` on the meta device."""
    untyped = torch.UntypedStorage(storage_size_bytes, device="meta")
    metadata = (offset, size, stride, requires_grad)
    return rebuild_tensor(cls, rebuild_typed_storage(untyped, dtype), metadata)


def reduce_tensor(tensor):
    """How the pickler sends a tensor. RuntimeError for one whose history would be lost."""
    if tensor.requires_grad and not tensor.is_leaf:
        raise RuntimeError(
            "Cowardly refusing to serialize non-leaf tensor which requires_grad, since autograd "
            "does not support crossing process boundaries.  If you just want to transfer the "
            "data, call detach() on the tensor before serializing (e.g., putting it on the queue)."
        )
    from ..utils.hooks import warn_if_has_hooks

    warn_if_has_hooks(tensor)
    if tensor.layout is not torch.strided:
        return reduce_sparse_tensor(tensor)
    if tensor.device.type == "meta":
        return (
            rebuild_meta_tensor,
            (
                type(tensor),
                tensor.size(),
                tensor.stride(),
                tensor.storage_offset(),
                tensor.dtype,
                tensor.untyped_storage().size(),
                tensor.requires_grad,
            ),
        )
    # Views with lazy conjugation or negation have no way through a storage.
    if tensor.is_conj() or tensor.is_neg():
        plain = tensor.detach().resolve_conj().resolve_neg().requires_grad_(tensor.requires_grad)
        return reduce_tensor(plain)
    storage = rebuild_typed_storage(tensor.untyped_storage(), tensor.dtype)
    metadata = (tensor.storage_offset(), tensor.size(), tensor.stride(), tensor.requires_grad)
    return (rebuild_tensor, (type(tensor), storage, metadata))


def rebuild_sparse_coo_tensor(
    rebuild_indices_func,
    rebuild_indices_args,
    rebuild_values_func,
    rebuild_values_args,
    shape,
    is_coalesced,
):
    """A sparse COO tensor from the pieces of its indices and values."""
    indices = rebuild_indices_func(*rebuild_indices_args)
    values = rebuild_values_func(*rebuild_values_args)
    return torch.sparse_coo_tensor(indices, values, shape, is_coalesced=is_coalesced)


def rebuild_sparse_compressed_tensor(
    rebuild_compressed_indices_func,
    rebuild_compressed_indices_args,
    rebuild_plain_indices_func,
    rebuild_plain_indices_args,
    rebuild_values_func,
    rebuild_values_args,
    shape,
    layout,
):
    """A compressed sparse tensor from the pieces of its indices and values."""
    compressed = rebuild_compressed_indices_func(*rebuild_compressed_indices_args)
    plain = rebuild_plain_indices_func(*rebuild_plain_indices_args)
    values = rebuild_values_func(*rebuild_values_args)
    return torch.sparse_compressed_tensor(compressed, plain, values, shape, layout=layout)


def reduce_sparse_tensor(sparse):
    """How the pickler sends a sparse tensor: its parts are dense tensors."""
    if sparse.layout is torch.sparse_coo:
        parts = (sparse._indices(), sparse._values())
        rebuild, rest = rebuild_sparse_coo_tensor, (sparse.shape, sparse.is_coalesced())
    elif sparse.layout in (torch.sparse_csr, torch.sparse_bsr):
        parts = (sparse.crow_indices(), sparse.col_indices(), sparse.values())
        rebuild, rest = rebuild_sparse_compressed_tensor, (sparse.shape, sparse.layout)
    elif sparse.layout in (torch.sparse_csc, torch.sparse_bsc):
        parts = (sparse.ccol_indices(), sparse.row_indices(), sparse.values())
        rebuild, rest = rebuild_sparse_compressed_tensor, (sparse.shape, sparse.layout)
    else:
        raise NotImplementedError(sparse.layout)
    pieces = [piece for part in parts for piece in reduce_tensor(part)]
    return (rebuild, (*pieces, *rest))


def init_reductions():
    """Teach the pickler of `multiprocessing`."""
    ForkingPickler.register(torch.Tensor, reduce_tensor)
    ForkingPickler.register(torch.nn.Parameter, reduce_tensor)
    ForkingPickler.register(torch.UntypedStorage, reduce_storage)
    ForkingPickler.register(torch.storage.TypedStorage, reduce_typed_storage)
