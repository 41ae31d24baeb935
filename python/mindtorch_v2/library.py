"""New operators and kernels at run time: `Library`, `custom_op` and the functions around them.

An operator defined here is a record like those of the table: it dispatches on the same keys, shows
up in `torch.ops`, and takes kernels for backends, autograd and the alias keys in PyTorch's order.
Reference behaviour: torch.library.
"""

from . import _C, _ops
from ._dispatch import _dispatch_key_for_device, _dispatch_key_parse
from ._schema import FunctionSchema

__all__ = [
    "Library", "define", "fallthrough_kernel", "impl", "register_kernel", "register_autograd", "register_fake",
    "impl_abstract", "register_autocast", "register_torch_dispatch", "register_vmap", "get_ctx", "get_kernel",
    "custom_op", "CustomOpDef", "infer_schema", "opcheck",
]  # fmt: skip

_RESERVED = frozenset({"prim"})
_INPUT_KINDS = {"DEF": "TORCH_LIBRARY", "FRAGMENT": "TORCH_LIBRARY_FRAGMENT", "IMPL": "TORCH_LIBRARY_IMPL"}
_owners = {"aten": "the table of operators"}  # namespace -> who opened it with DEF
_defined = {}  # (name, overload) -> where
_pending = {}  # (name, overload) -> kernels that wait for the definition


def fallthrough_kernel():
    """Given as kernel: the key is passed over."""
    raise NotImplementedError("fallthrough_kernel() should never be called.")


def _caller(depth=2):
    import sys

    frame = sys._getframe(depth)
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def _split(qualname):
    """'ns::name.overload' -> ('ns::name', 'overload')"""
    name, _, overload = qualname.partition(".")
    return name, "" if overload == "default" else overload


class Library:
    """Definitions and kernels of one namespace; all of them go when the object does.

    Args:
        ns: the namespace.
        kind: "DEF" (opens the namespace), "FRAGMENT" (adds to one), "IMPL" (kernels only).
        dispatch_key: default for `impl`.

    Raises:
        ValueError: unknown kind, reserved namespace. RuntimeError: the namespace was opened before.
    """

    def __init__(self, ns, kind, dispatch_key=""):
        if kind not in _INPUT_KINDS:
            raise ValueError(f"Unsupported kind: {kind}")
        if ns in _RESERVED and kind in ("DEF", "FRAGMENT"):
            raise ValueError(f"{ns} is a reserved namespace. Please try creating a library with another name.")
        self.ns, self.kind, self.dispatch_key = ns, kind, dispatch_key
        self._definitions, self._impls = [], []
        here = _caller()
        if kind == "DEF":
            if ns in _owners:
                raise RuntimeError(
                    "Only a single TORCH_LIBRARY can be used to register the namespace "
                    f"{ns}; please put all of your definitions in a single TORCH_LIBRARY block.  If you were trying "
                    "to specify implementations, consider using TORCH_LIBRARY_IMPL (which can be duplicated).  If you "
                    "really intended to define operators for a single namespace in a distributed way, you can use "
                    "TORCH_LIBRARY_FRAGMENT to explicitly indicate this.  Previous registration of TORCH_LIBRARY was "
                    f"registered at {_owners[ns]}; latest registration was registered at {here}"
                )
            _owners[ns] = here
        self._here = here

    def __repr__(self):
        return f"Library(kind={self.kind}, ns={self.ns}, dispatch_key={self.dispatch_key})>"

    def define(self, schema, alias_analysis="", *, tags=(), _counts_writes=False):
        """Defines an operator: ``define("name.overload(Tensor x, int k=2) -> Tensor")``.

        _counts_writes: arguments that are written count as written beside what the kernel's own
        operators count (`custom_op`). Returns the name. Raises RuntimeError for a schema that does not parse or a name that was
        defined before.
        """
        if alias_analysis not in ("", "FROM_SCHEMA", "CONSERVATIVE"):
            raise RuntimeError(f"Invalid alias_analysis type {alias_analysis}")
        if self.kind == "IMPL":
            raise RuntimeError("a Library of kind IMPL defines no operators")
        parsed = FunctionSchema(schema if "::" in schema.split("(")[0] else f"{self.ns}::{schema}")
        if not parsed.name.startswith(f"{self.ns}::"):
            raise RuntimeError(
                f"Explicitly provided namespace ({parsed.name.split('::')[0]}) in schema string does not match "
                f"namespace of enclosing Library ({self.ns})"
            )
        key = parsed.name, parsed.overload_name
        if _C._has_operator(*key) and (key in _defined or key not in _removed):
            raise RuntimeError(
                f"Tried to register an operator ({parsed}) with the same name and overload name multiple times. Each "
                "overload's schema should only be registered with a single call to def(). Duplicate registration: "
                f"registered at {self._here}. Original registration: registered at {_defined.get(key, 'the table')}"
            )
        arguments = []
        for a in parsed.arguments:
            kind, flags = a._number()
            entry = [a.name, kind, flags, a.N or -1]
            if a.has_default_value():
                entry.append(a.default_value)
            arguments.append(tuple(entry))
        results = []
        for r in parsed.returns:
            if r._base == "Tensor":
                results.append(1 if r._list else 0)
            elif not r._list and r._base in ("int", "SymInt", "float", "SymFloat", "bool", "SymBool", "Scalar"):
                results.append(2)
            else:
                raise NotImplementedError(f"{parsed.name}: a result of type {r.type} is not supported")
        _C._define_operator(*key, str(parsed), arguments, results, _counts_writes)
        _defined[key] = self._here
        _removed.discard(key)
        self._definitions.append(key)
        _ops._overloads.pop(key, None)
        _ops._defined(*key)
        for kernel in _pending.pop(key, ()):
            _C._impl_operator(*key, *kernel)
        dot = f".{key[1]}" if key[1] else ""
        return parsed.name.split("::")[1] + dot

    def impl(self, op_name, fn, dispatch_key="", *, with_keyset=False, allow_override=False):
        """Registers a kernel.

        Args:
            op_name: name, with overload, or an OpOverload.
            fn: takes the operator's arguments (after a DispatchKeySet, with_keyset), or
                `fallthrough_kernel`.
            dispatch_key: "CPU", "Meta", "Autograd", "CompositeImplicitAutograd", ...

        Raises:
            TypeError: fn cannot be called. RuntimeError: unknown key.
        """
        if not callable(fn):
            raise TypeError(f"Input function is required to be a callable but found type {type(fn)}")
        key = dispatch_key or self.dispatch_key or "CompositeImplicitAutograd"
        number = _dispatch_key_parse(key).value if isinstance(key, str) else key.value
        if isinstance(op_name, _ops.OpOverload):
            op_name = op_name.name()
        if not isinstance(op_name, str):
            raise RuntimeError("impl should be passed either a name or an OpOverload object as the first argument")
        full = op_name if "::" in op_name else f"{self.ns}::{op_name}"
        if full.split("::")[0] != self.ns:
            raise RuntimeError(f"{full} is not of the namespace {self.ns} of this Library")
        name, overload = _split(full)
        kernel = (number, None if fn is fallthrough_kernel else fn, bool(with_keyset))
        if not _C._has_operator(name, overload):
            _pending.setdefault((name, overload), []).append(kernel)
        else:
            _C._impl_operator(name, overload, *kernel)
        self._impls.append((name, overload, number))

    def _destroy(self):
        for name, overload, number in self._impls:
            if _C._has_operator(name, overload):
                _C._impl_operator(name, overload, number)
            _pending.pop((name, overload), None)
        self._impls = []
        for key in self._definitions:
            _defined.pop(key, None)
            _removed.add(key)
            _ops._overloads.pop(key, None)
            _ops._undefined(*key)
        self._definitions = []
        if self.kind == "DEF" and _owners.get(self.ns) == self._here:
            del _owners[self.ns]

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._destroy()


_removed = set()
_kept = []  # libraries of the functions below, which live for ever


def _fragment(qualname):
    library = Library(qualname.split("::")[0], "FRAGMENT")
    _kept.append(library)
    return library


def _qualified(qualname):
    if not isinstance(qualname, str) or "::" not in qualname:
        raise ValueError(
            f"Expected `qualname` to be of the form \"namespace::name\", but got {qualname!r}. The qualname passed to "
            "torch.library.custom_op must consist of a namespace and a name, e.g. aten::sin"
        )
    return qualname


def define(qualname, schema=None, *, lib=None, tags=()):
    """Defines an operator: ``define("ns::name", "(Tensor x) -> Tensor")``.

    lib: the Library it goes with; without one it stays. With a Library as first argument, decorates
    a function that becomes the CompositeImplicitAutograd kernel.
    """
    if isinstance(qualname, Library):
        library = qualname

        def decorate(function):
            name = library.define(schema, tags=tags)
            library.impl(name, function)
            return function

        return decorate
    if not isinstance(qualname, str):
        raise ValueError(f"define(qualname, schema): expected qualname to be instance of str, got {type(qualname)}")
    namespace, _, name = _qualified(qualname).partition("::")
    import re

    if not re.fullmatch(r"\(.*\) -> .*", schema, re.S):
        raise ValueError(
            f'define(qualname, schema, ...): expected schema to look like e.g. "(Tensor x) -> Tensor" but got "{schema}"'
        )
    (lib or _fragment(qualname)).define(name + schema, tags=tags)


def _keys_of(types):
    """Dispatch keys of device types: "cpu", "meta"; "default" is every backend."""
    names = (types,) if isinstance(types, str) else tuple(types)
    if any(n == "default" for n in names):
        return ["CompositeExplicitAutograd"]
    out = []
    for n in names:
        try:
            out.append(_dispatch_key_for_device(n))
        except KeyError:
            raise RuntimeError(f"unknown device type {n!r}") from None
    return out


def impl(qualname, types=None, func=None, *, lib=None, **old):
    """Registers a kernel for device types: ``impl("ns::name", "cpu", fn)``; decorates without fn.

    types: "cpu", "meta", a sequence of them, or "default" for all. ``impl(library, name,
    dispatch_key)`` is the form that takes a dispatch key.
    """
    if isinstance(qualname, Library):
        library, name, key = qualname, types, func or old.get("dispatch_key", "")

        def decorate_for_key(function):
            library.impl(name, function, key)
            return function

        return decorate_for_key

    def register(function):
        library = lib or _fragment(_qualified(qualname))
        for key in _keys_of(types):
            library.impl(qualname, function, key)

    if func is not None:
        register(func)
        return None

    def decorate(function):
        register(function)
        return function

    return decorate


def _overload_of(op):
    """(OpOverload, CustomOpDef or None) of what the register functions take."""
    if isinstance(op, CustomOpDef):
        return op._opoverload, op
    if isinstance(op, _ops.OpOverload):
        return op, _custom.get(op.name())
    if not isinstance(op, str):
        raise ValueError(f"expected an operator or its name, got {type(op)}")
    name, overload = _split(_qualified(op))
    if not _C._has_operator(name, overload):
        raise RuntimeError(f"operator {op} does not exist")
    return _ops._overload(name, overload), _custom.get(op)


def register_kernel(op, device_types, func=None, /, *, lib=None):
    """Registers a kernel of an operator for device types (None: all); decorates without func."""
    overload, custom = _overload_of(op)
    if custom is not None:
        return custom.register_kernel(device_types, func)
    return impl(overload.name(), "default" if device_types is None else device_types, func, lib=lib)


def register_fake(op, func=None, /, *, lib=None, _stacklevel=1, allow_override=False):
    """Registers what the operator does to shapes: the kernel for the meta device."""
    overload, custom = _overload_of(op)
    if custom is not None and func is not None:
        return custom.register_fake(func)
    if custom is not None:
        return custom.register_fake

    def register(function):
        (lib or _fragment(overload.name())).impl(overload, function, "Meta")
        return function

    return register if func is None else register(func)


impl_abstract = register_fake


# ---- autograd -------------------------------------------------------------------------------


def _flat(values):
    """Lists of tensors spread out; with the lengths to put them together again (None: no list)."""
    from ._tensor import Tensor

    out, lengths = [], []
    for value in values:
        if isinstance(value, (list, tuple)) and value and all(isinstance(v, Tensor) or v is None for v in value):
            out += value
            lengths.append(len(value))
        else:
            out.append(value)
            lengths.append(None)
    return out, lengths


def _nested(values, lengths):
    values, out = iter(values), []
    for n in lengths:
        out.append(next(values) if n is None else [next(values) for _ in range(n)])
    return out


def _make_autograd(overload, backward=None, setup_context=None):
    """The Autograd kernel: an autograd.Function around the kernels below."""
    from .autograd import Function

    below = _C._dispatch_keyset_full_after("AutogradOther")
    keyword_only = any(a.kwarg_only for a in overload._schema.arguments)

    def forward(ctx, call, *flat):
        args = _nested(flat, call["arguments"])
        with _C._AutoDispatchBelowAutograd():
            result = overload.redispatch(call["keys"] & below, *args, **call["kwargs"])
        several = isinstance(result, tuple)
        outputs, call["results"] = _flat(result if several else (result,))
        if setup_context is not None:
            given = {"keyword_only_inputs": call["kwargs"]} if keyword_only else {}
            setup_context(ctx=ctx, inputs=tuple(args), output=result, **given)
        ctx._call = call
        call["several"] = several
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def backward_of(ctx, *grads):
        if backward is None:
            raise RuntimeError(
                f"Trying to backward through {overload} but no autograd formula was registered. Please use "
                "register_autograd to add one."
            )
        call = ctx._call
        result = backward(ctx, *_nested(grads, call["results"]))
        result = result if isinstance(result, tuple) else (result,)
        lengths = call["arguments"]
        if len(result) != len(lengths):
            result = result[: len(lengths)] + (None,) * (len(lengths) - len(result)) if len(result) < len(lengths) else result
        flat = []
        for grad, n in zip(result, lengths):
            if n is None:
                flat.append(grad)
            else:
                flat += [None] * n if grad is None else list(grad)
        return (None, *flat, *result[len(lengths) :])

    name = f"GeneratedBackwardFor_{overload._namespace}_{overload._opname}_{overload._overloadname}"
    generated = type(
        name, (Function,), {"forward": staticmethod(forward), "backward": staticmethod(backward_of)}
    )

    def kernel(keys, *args, **kwargs):
        from ._tensor import Tensor

        flat, lengths = _flat(args)
        if _C.is_grad_enabled() and any(isinstance(t, Tensor) and t.requires_grad for t in flat):
            call = {"keys": keys, "arguments": lengths, "kwargs": kwargs}
            outputs = generated.apply(call, *flat)
            outputs = outputs if isinstance(outputs, tuple) else (outputs,)
            result = _nested(outputs, call["results"])
            return tuple(result) if call["several"] else result[0]
        with _C._AutoDispatchBelowAutograd():
            return overload.redispatch(keys & below, *args, **kwargs)

    return kernel


def register_autograd(op, backward, /, *, setup_context=None, lib=None):
    """Registers a derivative.

    Args:
        backward: ``backward(ctx, *grads)``, one gradient per argument, None for what has none.
        setup_context: ``setup_context(ctx, inputs, output)`` saves what backward needs.
    """
    overload, custom = _overload_of(op)
    if custom is not None:
        custom.register_autograd(backward, setup_context=setup_context)
        return
    if overload._schema.is_mutable:
        raise RuntimeError(
            f"Cannot register autograd formula for non-functional operator {overload} with schema {overload._schema}. "
            "Please create a functional operator and register an autograd formula for that."
        )
    (lib or _fragment(overload.name())).impl(
        overload, _make_autograd(overload, backward, setup_context), "Autograd", with_keyset=True
    )


# ---- custom_op ------------------------------------------------------------------------------

_custom = {}  # qualified name -> CustomOpDef


def custom_op(name, fn=None, /, *, mutates_args, device_types=None, schema=None, tags=None):
    """Makes an operator of a Python function that is opaque to everything above it.

    Args:
        name: "namespace::name".
        mutates_args: names of the arguments that the function writes, or "unknown".
        device_types: what the function is for; None: every device.
        schema: "(Tensor x) -> Tensor"; inferred from the annotations where it is left out.

    Returns a `CustomOpDef`, which is called like the function. Decorates without fn.
    """

    def make(function):
        text = infer_schema(function, mutates_args=mutates_args) if schema is None else schema
        namespace, _, opname = _qualified(name).partition("::")
        made = CustomOpDef(namespace, opname, text, function)
        if schema is not None:
            found = {a.name for a in made._opoverload._schema.arguments if a.is_write}
            if mutates_args != "unknown" and found != set(mutates_args):
                raise ValueError(
                    f"Attempted to create a custom op with `mutates_args={mutates_args}` and `schema={schema}. The "
                    f"schema suggests that the op mutates {found}which is different from what was provided to us in "
                    "`mutates_args`. Please make these consistent."
                )
        made.register_kernel(device_types)(function)
        return made

    return make if fn is None else make(fn)


class CustomOpDef:
    """An operator made by `custom_op`."""

    def __init__(self, namespace, name, schema, fn):
        self._namespace, self._name, self._schema, self._init_fn = namespace, name, schema, fn
        self._qualname = f"{namespace}::{name}"
        self._fake = None
        self._kernels, self._disabled = set(), set()  # device types with a kernel; what set_kernel_enabled took away
        previous = _custom.pop(self._qualname, None)
        if previous is not None:
            previous._lib._destroy()
        self._lib = Library(namespace, "FRAGMENT")
        self._lib.define(name + schema, _counts_writes=True)
        _custom[self._qualname] = self
        self._opoverload = _ops._overload(self._qualname, "")
        self.__name__ = name
        self.__doc__ = getattr(fn, "__doc__", None)
        self._lib.impl(name, self._run_fake, "Meta")
        if not self._opoverload._schema.is_mutable:
            self._lib.impl(name, _make_autograd(self._opoverload), "Autograd", with_keyset=True)

    def __repr__(self):
        return f"<CustomOpDef({self._qualname})>"

    def __call__(self, *args, **kwargs):
        return self._opoverload(*args, **kwargs)

    def _run_fake(self, *args, **kwargs):
        if self._fake is None:
            if all(r._base != "Tensor" for r in self._opoverload._schema.returns):
                return None
            raise RuntimeError(
                f"There was no fake impl registered for {self}. This is necessary for torch.compile/export/fx tracing "
                f"to work. Please use `{self._name}.register_fake` to add an fake impl."
            )
        from . import _library_rules

        with _library_rules.fake_kernel(self):
            return self._fake(*args, **kwargs)

    def register_kernel(self, device_types, fn=None, /):
        """Registers the implementation for device types (None: all); decorates without fn."""

        def register(function):
            self._kernels.update((device_types,) if isinstance(device_types, str) else device_types or ())

            def checked(*args, **kwargs):
                if self._disabled and _device_of(args, kwargs) in self._disabled:
                    return self._init_fn(*args, **kwargs)
                result = function(*args, **kwargs)
                _check_aliases(self._name, function, args, kwargs, result)
                return result

            for key in ["CompositeExplicitAutograd"] if device_types is None else _keys_of(device_types):
                self._lib.impl(self._name, checked, key)
            return function

        return register if fn is None else register(fn)

    def register_fake(self, fn, /):
        """Registers what the operator does to shapes."""
        self._fake = fn
        return fn

    def register_autograd(self, backward, /, *, setup_context=None):
        """Registers a derivative; see `torch.library.register_autograd`."""
        overload = self._opoverload
        if overload._schema.is_mutable:
            raise RuntimeError(
                f"Cannot register autograd formula for non-functional operator {self} with schema {overload._schema}. "
                "Please create a functional operator and register an autograd formula for that."
            )
        self._lib.impl(self._name, _make_autograd(overload, backward, setup_context), "Autograd", with_keyset=True)

    def register_vmap(self, func=None):
        """Registers what the operator does under vmap; see `torch.library.register_vmap`."""
        return register_vmap(self, func, lib=self._lib)

    def register_autocast(self, device_type, cast_inputs):
        """Registers a cast of the inputs under autocast; see `torch.library.register_autocast`."""
        return register_autocast(self, device_type, cast_inputs, lib=self._lib)

    def register_torch_dispatch(self, torch_dispatch_class, fn=None, /):
        """Registers a rule for a class or mode; see `torch.library.register_torch_dispatch`."""
        return register_torch_dispatch(self, torch_dispatch_class, fn)

    def set_kernel_enabled(self, device_type, enabled=True):
        """Context manager: the kernel of a device type is used (or not, then the function that the
        operator was made of runs instead); what was set before holds again afterwards."""
        from . import _library_rules

        return _library_rules.kernel_enabled(self, device_type, enabled)


def _device_of(args, kwargs):
    return next((t.device.type for t in _tensors((args, kwargs))), None)


def register_vmap(op, func=None, /, *, lib=None):
    """Registers what an operator does under `torch.vmap`; decorates without func.

    func: ``func(info, in_dims, *args, **kwargs)``, with info.batch_size and info.randomness, in_dims
    the dimension of the batch in each positional argument (None: no batch), and the arguments with
    it. Returns (results, out_dims).
    """
    from . import _library_rules

    overload, _ = _overload_of(op)

    def register(function):
        library = lib or _fragment(overload.name())
        library.impl(overload, _library_rules.make_vmap(overload, function), _library_rules.VMAP_KEY)

    return register if func is None else register(func)


def register_autocast(op, device_type, cast_inputs, /, *, lib=None):
    """Casts the floating point inputs of an operator to a dtype while autocast is on.

    device_type: "cpu" or "cuda"; ValueError for others. cast_inputs: the dtype.
    """
    from . import _library_rules

    if not isinstance(device_type, str):
        raise ValueError(f"device_type must be str, got {type(device_type)}")
    if device_type not in ("cpu", "cuda"):
        raise ValueError(f"Unknown device type: {device_type}")
    overload, _ = _overload_of(op)
    kernel = _library_rules.make_autocast(overload, device_type, cast_inputs)
    (lib or _fragment(overload.name())).impl(overload, kernel, f"Autocast{device_type.upper()}")
    return kernel


def register_torch_dispatch(op, torch_dispatch_class, func=None, /, *, lib=None):
    """Registers what happens to an operator below a class with `__torch_dispatch__`, a tensor
    subclass or a mode; decorates without func.

    func: ``func(mode, func, types, args, kwargs)``, mode None for a subclass; it runs in place of the
    class's own method.
    """
    overload, custom = _overload_of(op)
    if custom is None and overload.namespace == "aten":
        raise NotImplementedError("register_torch_dispatch: only operators of torch.library are supported")

    def register(function):
        rules = vars(overload).setdefault("_torch_dispatch_rules", {})
        rules[torch_dispatch_class] = function
        return function

    return register if func is None else register(func)


def get_ctx():
    """What a fake kernel asks for sizes that depend on data: None outside of one.

    There are no fake tensors with such sizes: RuntimeError inside a fake kernel.
    """
    from . import _library_rules

    return _library_rules.context()


def get_kernel(op, dispatch_key):
    """The kernel that a dispatch key leads to, an object with ``call_boxed(keys, *args, **kwargs)``.

    ValueError for an unknown key, RuntimeError where the operator has no kernel for it.
    """
    from . import _library_rules

    overload, _ = _overload_of(op)
    return _library_rules.Kernel(overload, dispatch_key)


def _tensors(value):
    from ._tensor import Tensor
    from .utils._pytree import tree_iter

    return [t for t in tree_iter(value) if isinstance(t, Tensor)]


def _check_aliases(name, function, args, kwargs, result):
    """Raises RuntimeError where a result is an input or shares memory with one."""
    seen = {t.untyped_storage().data_ptr() for t in _tensors((args, kwargs)) if t.numel()}
    for t in _tensors(result):
        pointer = t.untyped_storage().data_ptr()
        if t.numel() and pointer in seen:
            import inspect

            raise RuntimeError(
                f"{name} (with implementation in {inspect.getmodule(function)}): The output of this custom operator "
                "(1) must not also be an input to this custom operator and (2) may not alias any inputs to this custom "
                "operator or other returns. The most common way to trigger this error is if we have y = custom_op(x) "
                "and y and x are the same Tensor. Please instead return a clone of the offending output tensor(s) (e.g. "
                "return x.clone()) or refactor the custom operator to not return y."
            )
        seen.add(pointer)


# ---- infer_schema ---------------------------------------------------------------------------


def _supported_types():
    """annotation -> schema type"""
    import collections.abc
    import typing

    from ._tensor import Tensor

    out = {}

    def with_forms(kind, text, optional=True, lists=True, optional_elements=False):
        out[kind] = text
        if optional:
            out[typing.Optional[kind]] = f"{text}?"
        makers = (typing.Sequence, typing.List, collections.abc.Sequence, list)
        for make in makers if lists else ():
            out[make[kind]] = f"{text}[]"
            if optional_elements:
                out[make[typing.Optional[kind]]] = f"{text}?[]"
            elif optional:
                out[typing.Optional[make[kind]]] = f"{text}[]?"

    with_forms(Tensor, "Tensor", optional_elements=True)
    for kind, text in ((int, "SymInt"), (float, "float"), (bool, "bool")):
        with_forms(kind, text)
    with_forms(str, "str", lists=False)
    with_forms(typing.Union[int, float, bool], "Scalar")
    with_forms(_C.dtype, "ScalarType", lists=False)
    with_forms(_C.device, "Device", lists=False)
    return out


def _schema_default(value):
    if value is None or isinstance(value, (bool, int, float)):
        return str(value)
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, _C.dtype):
        return str(value).split(".")[-1]
    if isinstance(value, _C.device):
        return f'"{value}"'
    return None


def infer_schema(prototype_function, /, *, mutates_args, op_name=None):
    """The schema of a function, from its annotations: "(Tensor x, *, SymInt k=3) -> Tensor".

    mutates_args: names of arguments that are written, or "unknown" (every tensor). Raises ValueError
    where an annotation is missing or not supported.
    """
    import inspect

    try:
        signature = inspect.signature(prototype_function, eval_str=True)
    except NameError as error:
        raise ValueError(f"Unsupported type annotation. It is not a type: {error}") from None

    def fail(what):
        raise ValueError(f"infer_schema(func): {what} Got func with signature {signature})")

    types = _supported_types()
    unknown = mutates_args == "unknown"
    params, star, seen, written = [], False, set(), 0
    for name, p in signature.parameters.items():
        if p.kind not in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY):
            fail("We do not support positional-only args, varargs, or varkwargs.")
        if p.kind is p.KEYWORD_ONLY and not star:
            params.append("*")
            star = True
        if p.annotation is p.empty:
            fail(f"Parameter {name} must have a type annotation.")
        text = _type_text(p.annotation, types)
        if text is None:
            fail(f"Parameter {name} has unsupported type {p.annotation}. The valid types are: {types.keys()}.")
        seen.add(name)
        if unknown and text.startswith("Tensor") or not unknown and name in mutates_args:
            if not text.startswith("Tensor"):
                fail(f"Parameter {name} is in mutable_args but only Tensors or collections of Tensors can be mutated")
            text = f"Tensor(a{written}!){text[len('Tensor'):]}"
        written += 1
        if p.default is not p.empty:
            default = _schema_default(p.default)
            if default is None:
                fail(
                    f"Parameter {name} has an unsupported default value type {type(p.default)}. Please file an issue on "
                    "GitHub so we can prioritize this."
                )
            params.append(f"{text} {name}={default}")
        else:
            params.append(f"{text} {name}")
    if not unknown:
        missing = set(mutates_args) - seen
        if missing:
            fail(
                f"{missing} in mutates_args were not found in the custom op's signature. mutates_args should contain the "
                "names of all args that the custom op mutates, or just the string 'unknown' if you don't know."
            )
    annotation = signature.return_annotation
    if annotation is signature.empty:
        fail("No return type annotation was provided. Please add one.")
    results = _result_types(annotation, types)
    if results is None:
        fail(f"Return has unsupported type {annotation}.")
    return f"{op_name or ''}({', '.join(params)}) -> {results}"


def _type_text(annotation, types):
    try:
        return types.get(annotation)
    except TypeError:  # not hashable: no type
        return None


def _result_types(annotation, types):
    import typing

    if annotation is None:
        return "()"
    allowed = ("Tensor", "Tensor[]", "SymInt", "float", "bool", "Scalar")
    if _type_text(annotation, types) in allowed:
        return types[annotation]
    if typing.get_origin(annotation) is tuple:
        parts = [_type_text(a, types) for a in typing.get_args(annotation)]
        if all(p in allowed for p in parts):
            return parts[0] if len(parts) == 1 else f"({', '.join(parts)})"
    return None


# ---- opcheck --------------------------------------------------------------------------------


def _check_schema(overload, args, kwargs):
    """What the operator writes and shares agrees with its schema."""
    from .utils._pytree import tree_map

    copies = tree_map(lambda t: t.detach().clone() if hasattr(t, "detach") else t, (args, kwargs))
    before = tree_map(lambda t: t.clone() if hasattr(t, "detach") else t, copies)
    result = overload(*copies[0], **copies[1])
    schema = overload._schema
    for i, a in enumerate(schema.arguments):
        now, old = (c[0][i] if i < len(c[0]) else c[1].get(a.name) for c in (copies, before))
        for x, y in zip(_tensors(now), _tensors(old)):
            if not a.is_write and not bool((x == y).logical_or((x != x).logical_and(y != y)).all()):
                raise AssertionError(
                    f"Argument {a.name} is not defined as mutable but was mutated"
                )
    outputs = result if isinstance(result, tuple) else (result,)
    shared = {t.untyped_storage().data_ptr(): a.name for a, v in zip(schema.arguments, copies[0]) for t in _tensors(v)}
    for returned, value in zip(schema.returns, outputs):
        for t in _tensors(value):
            if returned.alias_info is None and t.numel() and t.untyped_storage().data_ptr() in shared:
                raise AssertionError(
                    f"Argument {shared[t.untyped_storage().data_ptr()]} is not defined to alias output but was aliasing"
                )


def _check_autograd(overload, args, kwargs):
    """Where gradients are wanted, autograd is registered at an autograd key."""
    if not any(t.requires_grad for t in _tensors((args, kwargs))):
        return
    has = overload.has_kernel_for_dispatch_key
    if not (has("Autograd") or has("AutogradCPU") or has("CompositeImplicitAutograd")):
        result = overload(*args, **kwargs)
        if any(t.requires_grad for t in _tensors(result)):
            raise AssertionError(
                f"autograd_registration_check: the operator {overload} produced a tensor that requires grad, but no "
                "autograd kernel was registered; please use torch.library.register_autograd"
            )


def _check_fake(overload, args, kwargs):
    """The kernel for the meta device gives the same shapes and dtypes as the real one."""
    from ._tensor import Tensor
    from .utils._pytree import tree_map

    fake_args, fake_kwargs = tree_map(
        lambda t: t.detach().to("meta") if isinstance(t, Tensor) else t, (args, kwargs)
    )
    with _C._AutoDispatchBelowAutograd():
        fake = overload(*fake_args, **fake_kwargs)
        real = overload(*tree_map(lambda t: t.detach().clone() if isinstance(t, Tensor) else t, args), **kwargs)
    for f, r in zip(_tensors(fake), _tensors(real), strict=True):
        if f.shape != r.shape or f.dtype != r.dtype:
            raise AssertionError(
                f"{overload}: the fake kernel gave {tuple(f.shape)} {f.dtype}, the real one {tuple(r.shape)} {r.dtype}"
            )


_CHECKS = {
    "test_schema": _check_schema,
    "test_autograd_registration": _check_autograd,
    "test_faketensor": _check_fake,
}


def opcheck(op, args, kwargs=None, *, test_utils=tuple(_CHECKS), raise_exception=True, rtol=None, atol=None):
    """Checks that an operator was registered as its schema says.

    Args:
        op: OpOverload, packet or CustomOpDef.
        test_utils: names of checks: test_schema, test_autograd_registration, test_faketensor.
        raise_exception: an OpCheckError for the first failure; else failures are in the result.

    Returns {name of check: "SUCCESS" or the exception}.
    """
    if isinstance(op, CustomOpDef):
        op = op._opoverload
    if isinstance(op, _ops.OpOverloadPacket):
        op = op.default
    names = (test_utils,) if isinstance(test_utils, str) else tuple(test_utils)
    results = {}
    for name in names:
        if name not in _CHECKS:
            raise NotImplementedError(f"opcheck: {name} is not supported")
        try:
            _CHECKS[name](op, tuple(args), kwargs or {})
            results[name] = "SUCCESS"
        except Exception as error:
            if raise_exception:
                raise OpCheckError(f"opcheck(op, ...): {name} failed with {error} (scroll up for stack trace)") from error
            results[name] = error
    return results


class OpCheckError(Exception):
    """A check of `opcheck` failed."""
