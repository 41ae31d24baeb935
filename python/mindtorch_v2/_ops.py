"""torch.ops: every operator by name. ``torch.ops.aten.add.Tensor(x, y)``.

A packet holds the overloads of a name; calling it takes the first overload that fits. Operators
defined with `torch.library` appear under their namespace.
"""

import sys
import types

from . import _C


class OpOverload(_C._Operator):
    """One operator: callable with the arguments of its schema."""

    def __init__(self, name, overload):
        super().__init__(name, overload)
        self._namespace, self._opname = name.split("::")
        self._overloadname = overload or "default"
        self._name = f"{name}.{overload}" if overload else name
        self.__name__ = f"{self._opname}.{self._overloadname}"
        self.__qualname__ = self._name
        self.__module__ = f"torch._ops.{self._namespace}"
        self._parsed = None
        self.tags = []

    @property
    def _schema(self):
        """The schema as `torch._C.FunctionSchema`."""
        if self._parsed is None:
            from ._schema import FunctionSchema

            self._parsed = FunctionSchema(self._schema_text)
        return self._parsed

    @property
    def overloadpacket(self):
        return getattr(getattr(ops, self._namespace), self._opname)

    _overloadpacket = overloadpacket

    @property
    def namespace(self):
        return self._namespace

    def name(self):
        """'aten::add.Tensor'."""
        return self._name

    @property
    def is_view(self):
        return self._schema._is_view_op()

    @property
    def _nondeterministic_seeded(self):
        return any(a.name == "generator" for a in self._schema.arguments)

    def has_kernel_for_dispatch_key(self, key):
        return _C._dispatch_has_kernel_for_dispatch_key(self._name, key)

    def has_kernel_for_any_dispatch_key(self, keys):
        return _C._dispatch_has_kernel_for_any_dispatch_key(self._name, keys)

    def redispatch(self, keys, /, *args, **kwargs):
        """Runs the operator with exactly these dispatch keys."""
        return self._redispatch(keys.raw_repr(), *args, **kwargs)

    def __repr__(self):
        return f"<OpOverload(op='{self._namespace}.{self._opname}', overload='{self._overloadname}')>"

    def __str__(self):
        return f"{self._namespace}.{self._opname}.{self._overloadname}"

    def __deepcopy__(self, memo):
        return self

    def __reduce__(self):
        name, overload = f"{self._namespace}::{self._opname}", self._overloadname
        return _overload, (name, "" if overload == "default" else overload)


class OpOverloadPacket(_C._Operator):
    """All overloads of a name; each is an attribute."""

    def __init__(self, qualified_name, overloads):
        self._qualified_op_name = qualified_name
        self._namespace, self._opname = qualified_name.split("::")
        self.__name__ = self._opname
        self.__module__ = f"torch._ops.{self._namespace}"
        self._set(overloads)

    def _set(self, overloads):
        for name in self.__dict__.get("_overload_names", ()):
            self.__dict__.pop(name or "default", None)
        self._overload_names = list(overloads)
        super().__init__(self._qualified_op_name, overloads)

    @property
    def op(self):
        return self

    def overloads(self):
        """Names of the overloads."""
        return [name or "default" for name in self._overload_names]

    def __getattr__(self, name):
        overload = "" if name == "default" else name
        if name.startswith("__") or overload not in self.__dict__.get("_overload_names", ()):
            raise AttributeError(
                f"The underlying op of '{self._namespace}.{self._opname}' has no overload name '{name}'"
                if not name.startswith("__")
                else f"'{self}' can't have an overload name beginning with '__' and the underlying op "
                f"{self._qualified_op_name} has no attribute {name} either."
            )
        found = _overload(self._qualified_op_name, overload)
        setattr(self, name, found)
        return found

    def __iter__(self):
        return iter(self.overloads())

    def __dir__(self):
        return sorted({*object.__dir__(self), *self.overloads()})

    def __repr__(self):
        return f"<OpOverloadPacket(op='{self._namespace}.{self._opname}')>"

    def __str__(self):
        return f"{self._namespace}.{self._opname}"

    def __deepcopy__(self, memo):
        return self

    def __reduce__(self):
        return _packet, (self._qualified_op_name,)


_overloads = {}  # (name, overload) -> OpOverload
_names = None  # name -> overloads, in the order of the table


def _overload(name, overload):
    found = _overloads.get((name, overload))
    if found is None:
        found = _overloads[name, overload] = OpOverload(name, overload)
    return found


def _packet(qualified_name):
    namespace, name = qualified_name.split("::")
    return getattr(getattr(ops, namespace), name)


def _table():
    global _names
    if _names is None:
        _names = {}
        for full in _C._dispatch_get_all_op_names():
            name, _, overload = full.partition(".")
            _names.setdefault(name, []).append(overload)
    return _names


def _defined(name, overload):
    """An operator was defined: it appears in its packet."""
    overloads = _table().setdefault(name, [])
    if overload not in overloads:
        overloads.append(overload)
    namespace, opname = name.split("::")
    packet = vars(getattr(ops, namespace)).get(opname)
    if packet is not None:
        packet._set(overloads)


def _undefined(name, overload):
    """A definition was taken back."""
    overloads = _table().get(name, [])
    if overload in overloads:
        overloads.remove(overload)
    namespace, opname = name.split("::")
    home = vars(getattr(ops, namespace))
    if not overloads:
        home.pop(opname, None)
    elif opname in home:
        home[opname]._set(overloads)


class _OpNamespace(types.ModuleType):
    """torch.ops.<name>: the operators of a namespace."""

    def __init__(self, name):
        super().__init__(f"torch.ops.{name}")
        self.name = name
        self._dir = []

    __file__ = "torch.ops"

    def __iter__(self):
        return iter(self._dir)

    def __getattr__(self, opname):
        overloads = _table().get(f"{self.name}::{opname}")
        if not overloads:
            raise AttributeError(f"'_OpNamespace' '{self.name}' object has no attribute '{opname}'")
        packet = OpOverloadPacket(f"{self.name}::{opname}", overloads)
        setattr(self, opname, packet)
        self._dir.append(opname)
        return packet


class _Ops(types.ModuleType):
    """torch.ops: namespaces of operators, made when first named."""

    __file__ = "_ops.py"

    def __init__(self):
        super().__init__("torch.ops")
        self._dir = []
        self.loaded_libraries = set()

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(f"'_Ops' object has no attribute '{name}'")
        namespace = _OpNamespace(name)
        setattr(self, name, namespace)
        self._dir.append(name)
        return namespace

    def __iter__(self):
        return iter(self._dir)


ops = _Ops()
sys.modules[f"{__package__}.ops"] = ops
