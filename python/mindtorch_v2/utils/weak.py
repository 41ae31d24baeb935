"""Dictionaries with keys that are held weakly and compared by identity, as tensors need."""

import weakref
from collections.abc import MutableMapping
from weakref import ref

from .._tensor import Tensor

__all__ = ["TensorWeakRef", "WeakIdRef", "WeakIdKeyDictionary", "WeakTensorKeyDictionary"]

WeakRef = ref


class WeakIdRef(weakref.ref):
    """A weak reference that is equal to others of the same object, and hashed by its identity."""

    __slots__ = ["_id"]

    def __init__(self, key, callback=None):
        self._id = id(key)
        super().__init__(key, callback)

    def __hash__(self):
        return self._id

    def __eq__(self, other):
        mine, theirs = self(), other()
        if mine is not None and theirs is not None:
            return mine is theirs
        return self is other

    def __repr__(self):
        return f"WeakRef({self()!r})"


class WeakIdKeyDictionary(MutableMapping):
    """A dict whose entries go when their key does.

    dict: what to start from, a mapping or pairs. ref_type: the class of references.
    """

    def __init__(self, dict=None, ref_type=WeakIdRef):
        self.data = {}
        self.ref_type = ref_type

        def remove(gone, selfref=ref(self)):
            me = selfref()
            if me is not None:
                me.data.pop(gone, None)

        self._remove = remove
        if dict is not None:
            self.update(dict)

    def __getitem__(self, key):
        return self.data[self.ref_type(key)]

    def __setitem__(self, key, value):
        self.data[self.ref_type(key, self._remove)] = value

    def __delitem__(self, key):
        del self.data[self.ref_type(key)]

    def __len__(self):
        return sum(1 for _ in self)

    def __iter__(self):
        for reference in list(self.data):
            key = reference()
            if key is not None:
                yield key

    def __contains__(self, key):
        try:
            return self.ref_type(key) in self.data
        except TypeError:  # cannot be held weakly
            return False

    def __repr__(self):
        return f"<{self.__class__.__name__} at {id(self):#x}>"

    def keyrefs(self):
        """The weak references."""
        return list(self.data)

    def copy(self):
        """A dictionary of the same kind and content."""
        return WeakIdKeyDictionary(list(self.items()), self.ref_type)

    __copy__ = copy

    def __deepcopy__(self, memo):
        from copy import deepcopy

        made = self.__class__()
        for key, value in self.items():
            made[key] = deepcopy(value, memo)
        return made

    def __or__(self, other):
        made = self.copy()
        made.update(other)
        return made

    def __ior__(self, other):
        self.update(other)
        return self

    def __ror__(self, other):
        made = WeakIdKeyDictionary(ref_type=self.ref_type)
        made.update(other)
        made.update(self)
        return made

    def __eq__(self, other):
        if not isinstance(other, MutableMapping):
            return NotImplemented
        mine, theirs = ({id(k): v for k, v in d.items()} for d in (self, other))
        return mine == theirs


WeakTensorKeyDictionary = WeakIdKeyDictionary


class TensorWeakRef:
    """A weak reference to a tensor; called, it gives the tensor or None."""

    def __init__(self, tensor):
        if not isinstance(tensor, Tensor):
            raise AssertionError(f"expected torch.Tensor, got {type(tensor)}.")
        self.ref = weakref.ref(tensor)

    def __call__(self):
        return self.ref()
