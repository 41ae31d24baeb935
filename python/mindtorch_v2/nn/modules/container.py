"""Modules that hold other modules or parameters, as sequences and dictionaries do."""

import operator
import warnings
from collections import OrderedDict, abc

import mindtorch_v2 as torch

from ..parameter import Parameter
from .module import Module, _addindent

__all__ = ["Container", "Sequential", "ModuleList", "ModuleDict", "ParameterList", "ParameterDict"]


class Container(Module):
    """A plain `Module` with the keyword arguments as children; deprecated."""

    def __new__(cls, *args, **kwargs):
        warnings.warn(cls.__deprecated__, FutureWarning, stacklevel=2)
        return super().__new__(cls)

    __deprecated__ = (
        "`nn.Container` is deprecated. "
        "All of its functionality is now implemented in `nn.Module`. Subclass that instead."
    )

    def __init__(self, **kwargs) -> None:
        super().__init__()
        for key, value in kwargs.items():
            self.add_module(key, value)


def _index(idx, length):
    """``idx`` as a position in a sequence of ``length``, counted from the start."""
    idx = operator.index(idx)
    if not -length <= idx < length:
        raise IndexError(f"index {idx} is out of range")
    return idx % length


def _named_by_position(modules):
    return OrderedDict((str(i), m) for i, m in enumerate(modules))


def _shift_up(modules, index):
    """Make room at ``index`` among children that are named by their positions."""
    for i in range(len(modules), index, -1):
        modules[str(i)] = modules[str(i - 1)]


def _repeated(modules, times):
    if not isinstance(times, int):
        raise TypeError(f"unsupported operand type(s) for *: {type(modules)} and {type(times)}")
    if times <= 0:
        raise ValueError(f"Non-positive multiplication factor {times} for {type(modules)}")
    return list(modules) * times


class Sequential(Module):
    """Modules that are called one after the other, each with the result of the one before.

    Takes modules, or one ordered dictionary of modules by name. It can be indexed, sliced, added
    to, repeated (``*``) and changed like a list.
    """

    _modules: dict

    def __init__(self, *args):
        super().__init__()
        if len(args) == 1 and isinstance(args[0], OrderedDict):
            items = args[0].items()
        else:
            items = ((str(i), m) for i, m in enumerate(args))
        for name, module in items:
            self.add_module(name, module)

    def _get_item_by_idx(self, iterator, idx):
        """The item at ``idx``, which may count from the end."""
        return list(iterator)[_index(idx, len(self))]

    def __getitem__(self, idx):
        if isinstance(idx, slice):
            return type(self)(OrderedDict(list(self._modules.items())[idx]))
        return self._get_item_by_idx(self._modules.values(), idx)

    def __setitem__(self, idx, module):
        setattr(self, self._get_item_by_idx(self._modules.keys(), idx), module)

    def __delitem__(self, idx):
        if isinstance(idx, slice):
            for key in list(self._modules)[idx]:
                delattr(self, key)
        else:
            delattr(self, self._get_item_by_idx(self._modules.keys(), idx))
        # what is left is numbered anew, which also drops the names it may have had
        self._modules = _named_by_position(self._modules.values())

    def __len__(self):
        return len(self._modules)

    def __iter__(self):
        return iter(self._modules.values())

    def __dir__(self):
        return [k for k in super().__dir__() if not k.isdigit()]

    def __add__(self, other):
        if not isinstance(other, Sequential):
            raise ValueError(
                "add operator supports only objects "
                f"of Sequential class, but {type(other)} is given."
            )
        return Sequential().extend(self).extend(other)

    def __iadd__(self, other):
        if not isinstance(other, Sequential):
            raise ValueError(
                "add operator supports only objects "
                f"of Sequential class, but {type(other)} is given."
            )
        return self.extend(list(other))

    def __mul__(self, other):
        return Sequential(*_repeated(self, other))

    def __rmul__(self, other):
        return self * other

    def __imul__(self, other):
        return self.extend(_repeated(self, other)[len(self) :])

    def forward(self, input):
        for module in self._modules.values():
            input = module(input)
        return input

    def append(self, module):
        """Add ``module`` at the end; returns this container."""
        self.add_module(str(len(self)), module)
        return self

    def insert(self, index, module):
        """Put ``module`` before position ``index``; returns this container."""
        if not isinstance(module, Module):
            raise AssertionError(f"module should be of type: {Module}")
        n = len(self)
        if not -n <= index <= n:
            raise IndexError(f"Index out of range: {index}")
        if index < 0:
            index += n
        _shift_up(self._modules, index)
        self._modules[str(index)] = module
        return self

    def extend(self, sequential):
        """Add every module of an iterable at the end; returns this container."""
        for module in list(sequential):
            self.append(module)
        return self

    def pop(self, key):
        """Take out and return the module at ``key``, an index or a slice."""
        found = self[key]
        del self[key]
        return found


class ModuleList(Module):
    """A list of modules, all of them children of this one."""

    _modules: dict

    def __init__(self, modules=None):
        super().__init__()
        if modules is not None:
            self += modules

    def _get_abs_string_index(self, idx):
        """Name of the item at ``idx``, which may count from the end."""
        return str(_index(idx, len(self)))

    def __getitem__(self, idx):
        if isinstance(idx, slice):
            return self.__class__(list(self._modules.values())[idx])
        return self._modules[self._get_abs_string_index(idx)]

    def __setitem__(self, idx, module):
        setattr(self, self._get_abs_string_index(idx), module)

    def __delitem__(self, idx):
        if isinstance(idx, slice):
            for i in range(len(self._modules))[idx]:
                delattr(self, str(i))
        else:
            delattr(self, self._get_abs_string_index(idx))
        self._modules = _named_by_position(self._modules.values())

    def __len__(self):
        return len(self._modules)

    def __iter__(self):
        return iter(self._modules.values())

    def __iadd__(self, modules):
        return self.extend(modules)

    def __add__(self, other):
        out = self.__class__()
        for modules in (self, other):
            for module in modules:
                out.append(module)
        return out

    def __repr__(self):
        """Runs of children that print alike stand in one line, as ``(0-5): 6 x Layer()``."""
        texts = [repr(m) for m in self]
        if not texts:
            return self._get_name() + "()"
        lines = []
        start = 0
        for i in range(1, len(texts) + 1):
            if i < len(texts) and texts[i] == texts[start]:
                continue
            if i - start == 1:
                line = f"({start}): {texts[start]}"
            else:
                line = f"({start}-{i - 1}): {i - start} x {texts[start]}"
            lines.append(_addindent(line, 2))
            start = i
        return self._get_name() + "(\n  " + "\n  ".join(lines) + "\n)"

    def __dir__(self):
        return [k for k in super().__dir__() if not k.isdigit()]

    def insert(self, index, module):
        """Put ``module`` before position ``index``."""
        _shift_up(self._modules, index)
        self._modules[str(index)] = module

    def append(self, module):
        """Add ``module`` at the end; returns this list."""
        self.add_module(str(len(self)), module)
        return self

    def pop(self, key):
        """Take out and return the module at ``key``, an index or a slice."""
        found = self[key]
        del self[key]
        return found

    def extend(self, modules):
        """Add every module of an iterable at the end; returns this list."""
        if not isinstance(modules, abc.Iterable):
            raise TypeError(
                "ModuleList.extend should be called with an "
                "iterable, but got " + type(modules).__name__
            )
        offset = len(self)
        for i, module in enumerate(modules):
            self.add_module(str(offset + i), module)
        return self


class ModuleDict(Module):
    """A dictionary of modules by name, all of them children of this one, in order of insertion."""

    _modules: dict

    def __init__(self, modules=None):
        super().__init__()
        if modules is not None:
            self.update(modules)

    def __getitem__(self, key):
        return self._modules[key]

    def __setitem__(self, key, module):
        self.add_module(key, module)

    def __delitem__(self, key):
        del self._modules[key]

    def __len__(self):
        return len(self._modules)

    def __iter__(self):
        return iter(self._modules)

    def __contains__(self, key):
        return key in self._modules

    def clear(self):
        """Remove all modules."""
        self._modules.clear()

    def pop(self, key):
        """Take out and return the module named ``key``."""
        found = self[key]
        del self[key]
        return found

    def keys(self):
        """The names."""
        return self._modules.keys()

    def items(self):
        """The pairs (name, module)."""
        return self._modules.items()

    def values(self):
        """The modules."""
        return self._modules.values()

    def update(self, modules):
        """Add modules from a mapping or an iterable of pairs, replacing those of the same name.

        TypeError or ValueError if ``modules`` is neither.
        """
        for key, module in _pairs(modules, "ModuleDict", (ModuleDict, abc.Mapping)):
            self[key] = module


def _pairs(given, kind, mappings, caller=None):
    """Iterate over the (key, value) pairs of one of ``mappings`` or of an iterable of pairs."""
    if not isinstance(given, abc.Iterable):
        raise TypeError(
            f"{caller or kind}.update should be called with an "
            "iterable of key/value pairs, but got " + type(given).__name__
        )
    if isinstance(given, mappings):
        yield from given.items()
        return
    for i, pair in enumerate(given):
        if not isinstance(pair, abc.Iterable):
            raise TypeError(
                f"{kind} update sequence element #{i} should be Iterable; is" + type(pair).__name__
            )
        if not len(pair) == 2:
            raise ValueError(
                f"{kind} update sequence element #{i} has length {len(pair)}; 2 is required"
            )
        yield pair


def _describe(value, dtype):
    """What is printed of an item: its kind and, for a tensor, ``dtype(value)`` and its shape."""
    if not isinstance(value, torch.Tensor):
        return "Object of type: " + type(value).__name__
    kind = "Parameter" if isinstance(value, Parameter) else "Tensor"
    shape = "x".join(str(n) for n in value.size())
    device = "" if value.device.type == "cpu" else f" ({value.device})"
    return f"{kind} containing: [{dtype(value)} of size {shape}{device}]"


def _as_member(value):
    """Tensors become parameters; anything else stays what it is."""
    if isinstance(value, torch.Tensor) and not isinstance(value, Parameter):
        return Parameter(value)
    return value


class ParameterList(Module):
    """A list of parameters. Tensors become parameters; other objects are kept as attributes."""

    def __init__(self, values=None):
        super().__init__()
        self._size = 0
        if values is not None:
            self += values

    def _get_abs_string_index(self, idx):
        """Name of the item at ``idx``, which may count from the end."""
        return str(_index(idx, len(self)))

    def __getitem__(self, idx):
        if isinstance(idx, slice):
            out = type(self)()
            for i in range(len(self))[idx]:
                out.append(self[i])
            return out
        return getattr(self, self._get_abs_string_index(idx))

    def __setitem__(self, idx, param):
        setattr(self, self._get_abs_string_index(idx), _as_member(param))

    def __len__(self):
        return self._size

    def __iter__(self):
        return iter(self[i] for i in range(len(self)))

    def __iadd__(self, parameters):
        return self.extend(parameters)

    def __dir__(self):
        return [k for k in super().__dir__() if not k.isdigit()]

    def append(self, value):
        """Add ``value`` at the end; returns this list."""
        at = len(self)
        self._size += 1
        self[at] = value
        return self

    def extend(self, values):
        """Add every item of an iterable at the end; returns this list."""
        if not isinstance(values, abc.Iterable) or isinstance(values, torch.Tensor):
            raise TypeError(
                "ParameterList.extend should be called with an "
                "iterable, but got " + type(values).__name__
            )
        for value in values:
            self.append(value)
        return self

    def extra_repr(self):
        return "\n".join(f"  ({i}): {_describe(p, lambda t: t.dtype)}" for i, p in enumerate(self))

    def __call__(self, *args, **kwargs):
        raise RuntimeError("ParameterList should not be called.")


class ParameterDict(Module):
    """A dictionary of parameters by name, in order of insertion.

    Tensors become parameters; other objects are kept as they are.
    """

    def __init__(self, parameters=None):
        super().__init__()
        self._keys = {}
        if parameters is not None:
            self.update(parameters)

    def _key_to_attr(self, key):
        if not isinstance(key, str):
            raise TypeError(
                "Index given to ParameterDict cannot be used as a key as it is "
                f"not a string (type is '{type(key).__name__}'). Open an issue on "
                "github if you need non-string keys."
            )
        # names that are methods of this class or of Module would not work as plain attributes
        return key

    def __getitem__(self, key):
        return getattr(self, self._key_to_attr(key))

    def __setitem__(self, key, value):
        # the dictionary is what all methods go by; the attribute makes the value a parameter
        attr = self._key_to_attr(key)
        self._keys[key] = None
        setattr(self, attr, _as_member(value))

    def __delitem__(self, key):
        del self._keys[key]
        delattr(self, self._key_to_attr(key))

    def __len__(self):
        return len(self._keys)

    def __iter__(self):
        return iter(self._keys)

    def __reversed__(self):
        return reversed(list(self._keys))

    def __contains__(self, key):
        return key in self._keys

    def copy(self):
        """A new dictionary with the same parameters."""
        return ParameterDict(OrderedDict((k, self[k]) for k in self._keys))

    def setdefault(self, key, default=None):
        """The value of ``key``, which is set to ``default`` if it is not there."""
        if key not in self:
            self[key] = default
        return self[key]

    def clear(self):
        """Remove all items."""
        for key in list(self._keys):
            del self[key]

    def pop(self, key):
        """Take out and return the value of ``key``."""
        value = self[key]
        del self[key]
        return value

    def popitem(self):
        """Take out and return the last (key, value)."""
        key, _ = self._keys.popitem()
        # the key has to be there for its value to be removed
        self._keys[key] = None
        value = self.pop(key)
        return key, value

    def get(self, key, default=None):
        """The value of ``key``, or ``default`` if it is not there."""
        return self[key] if key in self._keys else default

    def fromkeys(self, keys, default=None):
        """A new dictionary with ``default`` for every key."""
        return ParameterDict((key, default) for key in keys)

    def keys(self):
        """The keys."""
        return self._keys.keys()

    def items(self):
        """The pairs (key, value)."""
        return ((key, self[key]) for key in self._keys)

    def values(self):
        """The values."""
        return (self[key] for key in self._keys)

    def update(self, parameters):
        """Add items from a mapping (sorted by key unless ordered) or an iterable of pairs.

        TypeError or ValueError if ``parameters`` is neither.
        """
        if isinstance(parameters, abc.Mapping) and not isinstance(parameters, OrderedDict):
            parameters = sorted(parameters.items())
        # the plural is PyTorch's
        pairs = _pairs(parameters, "ParameterDict", (OrderedDict, ParameterDict), "ParametersDict")
        for key, value in pairs:
            self[key] = value

    def extra_repr(self):
        return "\n".join(f"  ({k}): {_describe(v, torch.typename)}" for k, v in self.items())

    def __call__(self, input):
        raise RuntimeError("ParameterDict should not be called.")

    def __or__(self, other):
        out = self.copy()
        out.update(other)
        return out

    def __ror__(self, other):
        out = other.copy()
        out.update(self)
        return out

    def __ior__(self, other):
        self.update(other)
        return self
