"""The base class of all layers: a tree of modules that hold parameters and buffers.

A module keeps its parameters, buffers and child modules in three dictionaries of its own, and
attribute access looks into them: `__setattr__` files a value by its type, `__getattr__` finds it
again. Everything else walks those dictionaries. The invariant is that a name lives in at most one
place: one of the three dictionaries or the instance's ``__dict__``.
"""

import warnings
from collections import OrderedDict, namedtuple

import mindtorch_v2 as torch

from ...utils.hooks import BackwardHook, RemovableHandle
from ..parameter import Buffer, Parameter, is_lazy

__all__ = [
    "register_module_forward_pre_hook",
    "register_module_forward_hook",
    "register_module_full_backward_pre_hook",
    "register_module_backward_hook",
    "register_module_full_backward_hook",
    "register_module_buffer_registration_hook",
    "register_module_module_registration_hook",
    "register_module_parameter_registration_hook",
    "Module",
]

Tensor = torch.Tensor
_set = object.__setattr__
_EXTRA_STATE_KEY_SUFFIX = "_extra_state"


class _IncompatibleKeys(namedtuple("IncompatibleKeys", ["missing_keys", "unexpected_keys"])):
    """What `Module.load_state_dict` returns: two lists of keys."""

    __slots__ = ()

    def __repr__(self):
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return super().__repr__()

    __str__ = __repr__


def _addindent(s_, numSpaces):
    """``s_`` with every line but the first indented by ``numSpaces`` spaces."""
    return s_.replace("\n", "\n" + " " * numSpaces)


# ---------------------------------------------------------------------- hooks for all modules

_global_backward_pre_hooks = OrderedDict()
_global_backward_hooks = OrderedDict()
_global_is_full_backward_hook = None
_global_forward_pre_hooks = OrderedDict()
_global_forward_hooks = OrderedDict()
_global_forward_hooks_always_called = OrderedDict()
_global_forward_hooks_with_kwargs = OrderedDict()
_global_buffer_registration_hooks = OrderedDict()
_global_module_registration_hooks = OrderedDict()
_global_parameter_registration_hooks = OrderedDict()


def _has_any_global_hook():
    return (
        _global_backward_pre_hooks
        or _global_backward_hooks
        or _global_forward_pre_hooks
        or _global_forward_hooks
        or _global_forward_hooks_always_called
        or _global_forward_hooks_with_kwargs
    )


def _add_hook(hooks, hook, extra_dict=None, flags=(), prepend=False):
    """File ``hook`` in ``hooks`` and its id in every dictionary of ``flags``; return its handle."""
    handle = RemovableHandle(hooks, extra_dict=extra_dict)
    hooks[handle.id] = hook
    for flag in flags:
        flag[handle.id] = True
    if prepend:
        hooks.move_to_end(handle.id, last=False)
    return handle


def register_module_buffer_registration_hook(hook):
    """Have ``hook(module, name, buffer)`` called whenever any module registers a buffer.

    A result other than None is registered instead. Returns a handle with ``remove()``.
    """
    return _add_hook(_global_buffer_registration_hooks, hook)


def register_module_module_registration_hook(hook):
    """Have ``hook(module, name, submodule)`` called whenever any module registers a child.

    A result other than None is registered instead. Returns a handle with ``remove()``.
    """
    return _add_hook(_global_module_registration_hooks, hook)


def register_module_parameter_registration_hook(hook):
    """Have ``hook(module, name, param)`` called whenever any module registers a parameter.

    A result other than None is registered instead. Returns a handle with ``remove()``.
    """
    return _add_hook(_global_parameter_registration_hooks, hook)


def register_module_forward_pre_hook(hook):
    """Have ``hook(module, args)`` called before the forward of every module.

    A result other than None replaces the arguments (a single value is taken for a 1-tuple).
    Hooks for all modules run before those of one module. Returns a handle with ``remove()``.
    """
    return _add_hook(_global_forward_pre_hooks, hook)


def register_module_forward_hook(hook, *, with_kwargs=False, always_call=False):
    """Have ``hook(module, args, output)`` called after the forward of every module.

    A result other than None replaces the output. With ``with_kwargs`` the hook gets
    ``(module, args, kwargs, output)``; with ``always_call`` it also runs if forward raised.
    Returns a handle with ``remove()``.
    """
    flags = (_global_forward_hooks_with_kwargs,) if with_kwargs else ()
    if always_call:
        flags += (_global_forward_hooks_always_called,)
    return _add_hook(
        _global_forward_hooks, hook, extra_dict=_global_forward_hooks_always_called, flags=flags
    )


def register_module_backward_hook(hook):
    """Have ``hook(module, grad_input, grad_output)`` called at the last node of every module.

    Its gradients are those of that one node only; `register_module_full_backward_hook` gives those
    of the module. RuntimeError if a full backward hook is registered already.
    """
    return _register_global_backward(hook, False, "Cannot use both regular backward hooks and full")


def register_module_full_backward_pre_hook(hook):
    """Have ``hook(module, grad_output)`` called before the gradients of every module are computed.

    A result other than None takes the place of ``grad_output``.
    """
    return _add_hook(_global_backward_pre_hooks, hook)


def register_module_full_backward_hook(hook):
    """Have ``hook(module, grad_input, grad_output)`` called when a module's gradients are known.

    A result other than None takes the place of ``grad_input``. RuntimeError if a hook of the old
    kind (`register_module_backward_hook`) is registered already.
    """
    return _register_global_backward(hook, True, "Cannot use both regular backward hooks and full")


def _register_global_backward(hook, full, complaint):
    global _global_is_full_backward_hook
    if _global_is_full_backward_hook is (not full):
        raise RuntimeError(
            f"{complaint} backward hooks as a global Module hook. Please use only one of them."
        )
    _global_is_full_backward_hook = full
    return _add_hook(_global_backward_hooks, hook)


class _WrappedHook:
    """A hook that gets its module as first argument and knows the module only weakly."""

    def __init__(self, hook, module=None):
        self.hook = hook
        for name in ("__module__", "__name__", "__qualname__", "__doc__"):
            if hasattr(hook, name):
                setattr(self, name, getattr(hook, name))
        self.with_module = module is not None
        if module is not None:
            import weakref

            self.module = weakref.ref(module)

    def __call__(self, *args, **kwargs):
        if not self.with_module:
            return self.hook(*args, **kwargs)
        module = self.module()
        if module is None:
            raise RuntimeError("You are trying to call the hook of a dead Module!")
        return self.hook(module, *args, **kwargs)

    def __getstate__(self):
        state = {"hook": self.hook, "with_module": self.with_module}
        if self.with_module:
            state["module"] = self.module()
        return state

    def __setstate__(self, state):
        self.hook = state["hook"]
        self.with_module = state["with_module"]
        if self.with_module:
            import weakref

            if state["module"] is None:
                raise RuntimeError("You are trying to revive the hook of a dead Module!")
            self.module = weakref.ref(state["module"])


# -------------------------------------------------------------------------------- conversions


def _conversion_flags():
    """(put new Parameters in place of the old ones?, swap tensors?), as set in ``__future__``."""
    try:
        future = torch.__future__
    except AttributeError:
        return False, False
    return (
        future.get_overwrite_module_params_on_conversion(),
        future.get_swap_module_params_on_conversion(),
    )


def _same_kind(a, b):
    """Whether ``a.data = b`` is possible: one layout, and both have values or neither (meta)."""
    return a.is_meta == b.is_meta and a.layout == b.layout


def _swap(a, b):
    from ...utils import swap_tensors

    swap_tensors(a, b)


def _forward_unimplemented(self, *input):
    """What the module computes; every subclass gives its own.

    Call the module itself rather than this method: only then are its hooks run.
    """
    raise NotImplementedError(
        f'Module [{type(self).__name__}] is missing the required "forward" function'
    )


def _hook_dicts():
    return {
        "_backward_pre_hooks": OrderedDict(),
        "_backward_hooks": OrderedDict(),
        "_is_full_backward_hook": None,
        "_forward_hooks": OrderedDict(),
        "_forward_hooks_with_kwargs": OrderedDict(),
        "_forward_hooks_always_called": OrderedDict(),
        "_forward_pre_hooks": OrderedDict(),
        "_forward_pre_hooks_with_kwargs": OrderedDict(),
        "_state_dict_hooks": OrderedDict(),
        "_state_dict_pre_hooks": OrderedDict(),
        "_load_state_dict_pre_hooks": OrderedDict(),
        "_load_state_dict_post_hooks": OrderedDict(),
    }


# Helpers stand outside of the class: subclasses may use any name that PyTorch leaves free.


def _check_name(module, what, name, own):
    """TypeError or KeyError unless ``name`` is free, or in use in the dictionary ``own``."""
    if not isinstance(name, str):
        raise TypeError(f"{what} name should be a string. Got {torch.typename(name)}")
    if "." in name:
        raise KeyError(f'{what} name can\'t contain "."')
    if name == "":
        raise KeyError(f'{what} name can\'t be empty string ""')
    if name not in own and hasattr(module, name):
        raise KeyError(f"attribute '{name}' already exists")


def _child_to_register(module, name, child):
    """``child``, or what the hooks for all modules put in its place."""
    for hook in _global_module_registration_hooks.values():
        new = hook(module, name, child)
        if new is not None:
            child = new
    return child


def _forget(module, name, *places):
    """Remove ``name`` wherever it is, before it is registered as something else."""
    for place in places:
        place.pop(name, None)
    module._non_persistent_buffers_set.discard(name)


def _owner(module, target):
    """The module that holds the member at the dotted path ``target``, and the member's name."""
    path, _, name = target.rpartition(".")
    owner = module.get_submodule(path)
    if not hasattr(owner, name):
        raise AttributeError(f"{owner._get_name()} has no attribute `{name}`")
    return owner, name


def _call_hooked(module, args, kwargs):
    """`Module.__call__` with all hooks, those of all modules and the module's own."""
    done = set()  # ids of the always_call hooks that have run
    result = None
    try:
        args, kwargs = _run_forward_pre_hooks(module, args, kwargs)
        full, plain = module._get_backward_hooks()
        pre = module._get_backward_pre_hooks()
        backward = BackwardHook(module, full, pre) if full or pre else None
        if backward is not None:
            args = backward.setup_input_hook(args)
        result = module.forward(*args, **kwargs)
        for key, hook, with_kwargs, always in _forward_hook_items(module):
            if always:
                done.add(key)
            new = hook(module, args, kwargs, result) if with_kwargs else hook(module, args, result)
            if new is not None:
                result = new
        if backward is not None:
            if not isinstance(result, (Tensor, tuple)):
                warnings.warn(
                    "For backward hooks to be called, module output should be a Tensor or a "
                    f"tuple of Tensors but received {type(result)}",
                    stacklevel=3,
                )
            else:
                result = backward.setup_output_hook(result)
        if plain:
            _hang_plain_backward_hooks(module, plain, args, result)
        return result
    except Exception:
        for key, hook, with_kwargs, always in _forward_hook_items(module):
            if not always or key in done:
                continue
            try:
                new = (
                    hook(module, args, kwargs, result)
                    if with_kwargs
                    else hook(module, args, result)
                )
                if new is not None:
                    result = new
            except Exception as e:
                warnings.warn(
                    "module forward hook with ``always_call=True`` raised an exception "
                    "that was silenced as another error was raised in forward: " + str(e),
                    stacklevel=3,
                )
        raise


def _run_forward_pre_hooks(module, args, kwargs):
    with_kwargs = module._forward_pre_hooks_with_kwargs
    for key, hook in (*_global_forward_pre_hooks.items(), *module._forward_pre_hooks.items()):
        if key in with_kwargs:
            new = hook(module, args, kwargs)
            if new is None:
                continue
            if not (isinstance(new, tuple) and len(new) == 2):
                raise RuntimeError(
                    "forward pre-hook must return None or a tuple "
                    f"of (new_args, new_kwargs), but got {new}."
                )
            args, kwargs = new
        else:
            new = hook(module, args)
            if new is not None:
                args = new if isinstance(new, tuple) else (new,)
    return args, kwargs


def _forward_hook_items(module):
    """List of (id, hook, with_kwargs, always_call): first those of all modules, then ours."""
    places = (
        (
            _global_forward_hooks,
            _global_forward_hooks_with_kwargs,
            _global_forward_hooks_always_called,
        ),
        (
            module._forward_hooks,
            module._forward_hooks_with_kwargs,
            module._forward_hooks_always_called,
        ),
    )
    return [
        (key, hook, key in with_kwargs, key in always)
        for hooks, with_kwargs, always in places
        for key, hook in hooks.items()
    ]


def _hang_plain_backward_hooks(module, hooks, args, result):
    var = result
    while not isinstance(var, Tensor):
        if isinstance(var, dict):
            var = next(v for v in var.values() if isinstance(v, Tensor))
        else:
            var = var[0]
    node = var.grad_fn
    if node is not None:
        for hook in hooks:
            node.register_hook(_WrappedHook(hook, module))
        module._maybe_warn_non_full_backward_hook(args, result, node)


def _choose_backward_kind(module, full):
    if module._is_full_backward_hook is (not full):
        raise RuntimeError(
            "Cannot use both regular backward hooks and full backward hooks on a "
            "single Module. Please use only one of them."
        )
    module._is_full_backward_hook = full


def _load_member(module, name, key, param, given, assign, swap):
    """Set the member ``param`` from ``given``; a text that says why if that is not possible."""
    if not isinstance(given, Tensor) and not hasattr(type(given), "__torch_function__"):
        return (
            f'While copying the parameter named "{key}", '
            "expected torch.Tensor or Tensor-like object from checkpoint but "
            f"received {type(given)}"
        )
    if not is_lazy(param):
        if param.dim() == 0 and given.dim() == 1:
            # states from before there were 0-dimensional tensors
            given = given[0]
        if given.shape != param.shape:
            return (
                f"size mismatch for {key}: copying a param with shape {given.shape} from "
                f"checkpoint, the shape in current model is {param.shape}."
            )
    if param.is_meta and not given.is_meta and not assign:
        warnings.warn(
            f"for {key}: copying from a non-meta parameter in the checkpoint to a meta "
            "parameter in the current model, which is a no-op. (Did you mean to "
            "pass `assign=True` to assign items in the state dictionary to their "
            "corresponding key in the module instead of copying them in place?)",
            stacklevel=2,
        )
    try:
        with torch.no_grad():
            if swap:
                new = param.module_load(given, assign=assign)
                if new is given or new is param:
                    raise RuntimeError(
                        "module_load returned one of module or other, please .detach() the "
                        "result if returning one of the inputs in module_load"
                    )
                if isinstance(param, Parameter):
                    if not isinstance(new, Parameter):
                        new = Parameter(new, requires_grad=param.requires_grad)
                    else:
                        new.requires_grad_(param.requires_grad)
                _swap(param, new)
            elif assign:
                if isinstance(param, Parameter):
                    if not isinstance(given, Parameter):
                        given = Parameter(given, requires_grad=param.requires_grad)
                    else:
                        given.requires_grad_(param.requires_grad)
                setattr(module, name, given)
            else:
                param.copy_(given)
    except Exception as ex:
        action = "swapping" if swap else "copying"
        return (
            f'While {action} the parameter named "{key}", '
            f"whose dimensions in the model are {param.size()} and "
            f"whose dimensions in the checkpoint are {given.size()}, "
            f"an exception occurred : {ex.args}."
        )
    return None


class Module:
    """Base class of every layer and model.

    A subclass calls ``super().__init__()`` first, assigns parameters (`Parameter`), buffers
    (`Buffer` or `register_buffer`) and child modules as attributes, and defines ``forward``.

    Attributes:
        training (bool): True in training mode, False in evaluation mode; see `train` and `eval`.
        call_super_init (bool): class attribute; whether ``__init__`` passes on to the next class
            of the method resolution order, with all its arguments.
        _version (int): class attribute; number kept with the module's ``state_dict``, for
            `_load_from_state_dict` to recognise older ones.
    """

    dump_patches: bool = False
    _version: int = 1
    call_super_init: bool = False
    training: bool

    def __init__(self, *args, **kwargs) -> None:
        if not self.call_super_init:
            if kwargs:
                raise TypeError(
                    f"{type(self).__name__}.__init__() got an unexpected keyword argument "
                    f"'{next(iter(kwargs))}'"
                )
            if args:
                raise TypeError(
                    f"{type(self).__name__}.__init__() takes 1 positional argument but "
                    f"{len(args) + 1} were given"
                )
        # past __setattr__, which would ask the dictionaries that are being made here
        d = self.__dict__
        d["training"] = True
        d["_parameters"] = {}
        d["_buffers"] = {}
        d["_non_persistent_buffers_set"] = set()
        d.update(_hook_dicts())
        d["_modules"] = {}
        if self.call_super_init:
            super().__init__(*args, **kwargs)

    forward = _forward_unimplemented

    # ------------------------------------------------------------------------ registration

    def register_buffer(self, name, tensor, persistent=True) -> None:
        """Add a tensor that is part of the module's state but no parameter, such as a running mean.

        Args:
            name (str): attribute name, without dots.
            tensor (Tensor or None): None leaves the buffer out of ``state_dict`` and ``buffers``.
            persistent (bool): whether it belongs to ``state_dict``.

        Raises:
            TypeError, KeyError: on a wrong type, or a name that is taken or malformed.
        """
        if "_buffers" not in self.__dict__:
            raise AttributeError("cannot assign buffer before Module.__init__() call")
        _check_name(self, "buffer", name, self._buffers)
        if tensor is not None and not (
            isinstance(tensor, Tensor) or hasattr(type(tensor), "__torch_function__")
        ):
            raise TypeError(
                f"cannot assign '{torch.typename(tensor)}' object to buffer '{name}' "
                "(torch Tensor or None required)"
            )
        for hook in _global_buffer_registration_hooks.values():
            new = hook(self, name, tensor)
            if new is not None:
                tensor = new
        self._buffers[name] = tensor
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def register_parameter(self, name, param) -> None:
        """Add a parameter under an attribute name without dots.

        ``param`` is a `Parameter` or None; None is left out of ``parameters()`` and
        ``state_dict``. TypeError, KeyError or ValueError (for the result of an operation)
        otherwise.
        """
        if "_parameters" not in self.__dict__:
            raise AttributeError("cannot assign parameter before Module.__init__() call")
        _check_name(self, "parameter", name, self._parameters)
        if param is None:
            self._parameters[name] = None
            return
        if not isinstance(param, Parameter):
            raise TypeError(
                f"cannot assign '{torch.typename(param)}' object to parameter '{name}' "
                "(torch.nn.Parameter or None required)"
            )
        if param.grad_fn:
            raise ValueError(
                f"Cannot assign non-leaf Tensor to parameter '{name}'. Model "
                f"parameters must be created explicitly. To express '{name}' "
                "as a function of another Tensor, compute the value in "
                "the forward() method."
            )
        for hook in _global_parameter_registration_hooks.values():
            new = hook(self, name, param)
            if new is not None:
                param = new
        self._parameters[name] = param

    def add_module(self, name, module) -> None:
        """Add a child module (or None) under an attribute name without dots."""
        if not isinstance(module, Module) and module is not None:
            raise TypeError(f"{torch.typename(module)} is not a Module subclass")
        if not isinstance(name, str):
            raise TypeError(f"module name should be a string. Got {torch.typename(name)}")
        if hasattr(self, name) and name not in self._modules:
            raise KeyError(f"attribute '{name}' already exists")
        if "." in name:
            raise KeyError(f'module name can\'t contain ".", got: {name}')
        if name == "":
            raise KeyError('module name can\'t be empty string ""')
        self._modules[name] = _child_to_register(self, name, module)

    def register_module(self, name, module) -> None:
        """The same as `add_module`."""
        self.add_module(name, module)

    # ------------------------------------------------------------------------- attributes

    def __getattr__(self, name):
        # asked only after the ordinary places; hot, since layers read their parameters through it
        d = self.__dict__
        if "_parameters" in d:
            held = d["_parameters"]
            if name in held:
                return held[name]
        if "_buffers" in d:
            held = d["_buffers"]
            if name in held:
                return held[name]
        if "_modules" in d:
            held = d["_modules"]
            if name in held:
                return held[name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __setattr__(self, name, value):
        d = self.__dict__
        params = d.get("_parameters")
        if isinstance(value, Tensor):
            if isinstance(value, Parameter):
                if params is None:
                    raise AttributeError("cannot assign parameters before Module.__init__() call")
                _forget(self, name, d, self._buffers, self._modules)
                self.register_parameter(name, value)
                return
        elif isinstance(value, Module):
            modules = d.get("_modules")
            if modules is None:
                raise AttributeError("cannot assign module before Module.__init__() call")
            if name not in params:
                _forget(self, name, d, self._buffers)
                modules[name] = _child_to_register(self, name, value)
                return
        elif params is None:
            _set(self, name, value)
            return
        if params is not None:
            if name in params:
                if value is not None:
                    raise TypeError(
                        f"cannot assign '{torch.typename(value)}' as parameter '{name}' "
                        "(torch.nn.Parameter or None expected)"
                    )
                self.register_parameter(name, value)
                return
            modules = d["_modules"]
            if name in modules:
                if value is not None:
                    raise TypeError(
                        f"cannot assign '{torch.typename(value)}' as child module '{name}' "
                        "(torch.nn.Module or None expected)"
                    )
                modules[name] = _child_to_register(self, name, value)
                return
        buffers = d.get("_buffers")
        if buffers is not None and name in buffers:
            if value is not None and not isinstance(value, Tensor):
                raise TypeError(
                    f"cannot assign '{torch.typename(value)}' as buffer '{name}' "
                    "(torch.nn.Buffer, torch.Tensor or None expected)"
                )
            if isinstance(value, Buffer):
                persistent = value.persistent
            else:
                persistent = name not in self._non_persistent_buffers_set
            self.register_buffer(name, value, persistent)
        elif isinstance(value, Tensor) and isinstance(value, Buffer):
            self.register_buffer(name, value, value.persistent)
        else:
            _set(self, name, value)

    def __delattr__(self, name):
        if name in self._parameters:
            del self._parameters[name]
        elif name in self._buffers:
            del self._buffers[name]
            self._non_persistent_buffers_set.discard(name)
        elif name in self._modules:
            del self._modules[name]
        else:
            object.__delattr__(self, name)

    def __dir__(self):
        names = dir(type(self)) + [
            n for d in (self.__dict__, self._parameters, self._modules, self._buffers) for n in d
        ]
        return sorted(n for n in names if not n[0].isdigit())

    def __getstate__(self):
        return self.__dict__.copy()

    def __setstate__(self, state):
        # modules pickled by earlier versions lack some of the dictionaries
        d = self.__dict__
        d.update(state)
        d.setdefault("_non_persistent_buffers_set", set())
        for name, empty in _hook_dicts().items():
            d.setdefault(name, empty)

    # ----------------------------------------------------------------------- looking up

    def get_submodule(self, target) -> "Module":
        """The module at the dotted path ``target`` below this one; ``""`` is this module.

        Raises:
            AttributeError: if the path leads nowhere or to something that is no module.
        """
        found = self
        for part in () if target == "" else target.split("."):
            if not hasattr(found, part):
                raise AttributeError(f"{found._get_name()} has no attribute `{part}`")
            found = getattr(found, part)
            if not isinstance(found, Module):
                raise AttributeError(f"`{part}` is not an nn.Module")
        return found

    def set_submodule(self, target, module, strict=False) -> None:
        """Put ``module`` at the dotted path ``target``, whose parent must exist.

        With ``strict`` there has to be a module at that place already.

        Raises:
            ValueError: if the path is empty, or ``module`` is no module.
            AttributeError: if the path leads nowhere or to something that is no module.
        """
        if target == "":
            raise ValueError("Cannot set the submodule without a target name!")
        *path, name = target.split(".")
        if not isinstance(module, Module):
            raise ValueError(f"`module` is not an nn.Module, found {type(module)}")
        parent = self if not path else self.get_submodule(".".join(path))
        if strict and not hasattr(parent, name):
            raise AttributeError(f"{parent._get_name()} has no attribute `{name}`")
        if hasattr(parent, name) and not isinstance(getattr(parent, name), Module):
            raise AttributeError(f"`{name}` is not an nn.Module")
        setattr(parent, name, module)

    def get_parameter(self, target) -> Parameter:
        """The parameter at the dotted path ``target``; AttributeError if it is none."""
        owner, name = _owner(self, target)
        found = getattr(owner, name)
        if not isinstance(found, Parameter):
            raise AttributeError(f"`{name}` is not an nn.Parameter")
        return found

    def get_buffer(self, target) -> Tensor:
        """The buffer at the dotted path ``target``; AttributeError if it is none."""
        owner, name = _owner(self, target)
        found = getattr(owner, name)
        if name not in owner._buffers:
            raise AttributeError(f"`{name}` is not a buffer")
        return found

    # ---------------------------------------------------------------------- enumerating

    def _named_members(self, get_members_fn, prefix="", recurse=True, remove_duplicate=True):
        """(name, member) for the pairs that ``get_members_fn(module)`` gives, over all modules."""
        seen = set()
        modules = (
            self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate)
            if recurse
            else [(prefix, self)]
        )
        for path, module in modules:
            for name, member in get_members_fn(module):
                if member is None or member in seen:
                    continue
                if remove_duplicate:
                    seen.add(member)
                yield path + ("." if path else "") + name, member

    def named_parameters(self, prefix="", recurse=True, remove_duplicate=True):
        """Iterate over (name, parameter), of this module and, with ``recurse``, of all below.

        ``prefix`` is put before the names; a parameter that is used in several places comes once,
        unless ``remove_duplicate`` is False.
        """
        yield from self._named_members(
            lambda m: m._parameters.items(), prefix, recurse, remove_duplicate
        )

    def parameters(self, recurse=True):
        """Iterate over the parameters, each once; see `named_parameters`."""
        for _, param in self.named_parameters(recurse=recurse):
            yield param

    def named_buffers(self, prefix="", recurse=True, remove_duplicate=True):
        """Iterate over (name, buffer); the arguments are those of `named_parameters`."""
        yield from self._named_members(
            lambda m: m._buffers.items(), prefix, recurse, remove_duplicate
        )

    def buffers(self, recurse=True):
        """Iterate over the buffers, each once; see `named_buffers`."""
        for _, buf in self.named_buffers(recurse=recurse):
            yield buf

    def named_children(self):
        """Iterate over (name, module) of the direct children, each module once."""
        seen = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self):
        """Iterate over the direct children, each once."""
        for _, module in self.named_children():
            yield module

    def named_modules(self, memo=None, prefix="", remove_duplicate=True):
        """Iterate over (path, module) of this module and all below, parents first.

        Args:
            memo (set of Module): modules to leave out; those met are added.
            prefix (str): path of this module.
            remove_duplicate (bool): whether a module in several places comes once.
        """
        if memo is None:
            memo = set()
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                path = prefix + ("." if prefix else "") + name
                yield from module.named_modules(memo, path, remove_duplicate)

    def modules(self, remove_duplicate=True):
        """Iterate over this module and all below; see `named_modules`."""
        for _, module in self.named_modules(remove_duplicate=remove_duplicate):
            yield module

    # ---------------------------------------------------------------------- conversions

    def _apply(self, fn, recurse=True):
        """Replace every parameter, its gradient and every buffer ``t`` by ``fn(t)``.

        A parameter stays the same object where its data can be exchanged, so that optimizers keep
        their hold on it; otherwise (to or from the meta device) a new one takes its place.
        """
        if recurse:
            for module in self.children():
                module._apply(fn)
        overwrite, swap = _conversion_flags()
        for name, param in self._parameters.items():
            if param is None:
                continue
            with torch.no_grad():
                new = fn(param)
            in_place = not overwrite and _same_kind(param, new)
            grad = param.grad
            if swap:
                try:
                    if grad is not None:
                        # the gradient would keep the parameter's old identity alive
                        param.grad = None
                    _swap(param, Parameter(new, requires_grad=param.requires_grad))
                except Exception as e:
                    if grad is not None:
                        param.grad = grad
                    raise RuntimeError(f"_apply(): Couldn't swap {self._get_name()}.{name}") from e
                out = param
            elif in_place:
                param.data = new
                out = param
            else:
                out = Parameter(new, param.requires_grad)
                self._parameters[name] = out
            if grad is None:
                continue
            with torch.no_grad():
                new_grad = fn(grad)
            if swap:
                new_grad.requires_grad_(grad.requires_grad)
                try:
                    _swap(grad, new_grad)
                except Exception as e:
                    raise RuntimeError(
                        f"_apply(): Couldn't swap {self._get_name()}.{name}.grad"
                    ) from e
                out.grad = grad
            elif not overwrite and _same_kind(grad, new_grad) and out is param:
                grad.data = new_grad
            else:
                out.grad = new_grad.requires_grad_(grad.requires_grad)
        for name, buf in self._buffers.items():
            if buf is not None:
                self._buffers[name] = fn(buf)
        return self

    def apply(self, fn):
        """Call ``fn(module)`` on every module below and then on this one; returns this module."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def to(self, *args, **kwargs):
        """Move or cast parameters and buffers, in place; returns this module.

        Forms: ``to(device=None, dtype=None, non_blocking=False)``, ``to(dtype)``, ``to(tensor)``
        (its device and dtype), ``to(memory_format=...)`` (of 4- and 5-dimensional ones). ``dtype``
        must be floating point or complex, and integer members keep theirs.

        Raises:
            TypeError: for an integer dtype.
            NotImplementedError: when leaving the meta device, where there are no values to copy.
        """
        device, dtype, non_blocking, memory_format = torch._C._nn._parse_to(*args, **kwargs)
        if dtype is not None:
            if not (dtype.is_floating_point or dtype.is_complex):
                raise TypeError(
                    "nn.Module.to only accepts floating point or complex "
                    f"dtypes, but got desired dtype={dtype}"
                )
            if dtype.is_complex:
                warnings.warn(
                    "Complex modules are a new feature under active development whose design may "
                    "change, and some modules might not work as expected when using complex "
                    "tensors as parameters or buffers.",
                    stacklevel=2,
                )

        def convert(t):
            new_dtype = dtype if t.is_floating_point() or t.is_complex() else None
            try:
                if memory_format is not None and t.dim() in (4, 5):
                    return t.to(device, new_dtype, non_blocking, memory_format=memory_format)
                return t.to(device, new_dtype, non_blocking)
            except NotImplementedError as e:
                if str(e) == "Cannot copy out of meta tensor; no data!":
                    raise NotImplementedError(
                        f"{e} Please use torch.nn.Module.to_empty() instead of "
                        "torch.nn.Module.to() when moving module from meta to a different device."
                    ) from None
                raise

        return self._apply(convert)

    def to_empty(self, *, device, recurse=True):
        """Give every parameter and buffer fresh memory on ``device``, values unspecified."""
        return self._apply(lambda t: torch.empty_like(t, device=device), recurse=recurse)

    def cpu(self):
        """Move everything to the CPU, in place."""
        return self._apply(lambda t: t.cpu())

    def cuda(self, device=None):
        """Move everything to a CUDA device; raises where there is none."""
        return self._apply(lambda t: t.cuda(device))

    def xpu(self, device=None):
        """Move everything to an XPU device; raises where there is none."""
        return self._apply(lambda t: t.xpu(device))

    def ipu(self, device=None):
        """Move everything to an IPU device; raises where there is none."""
        return self._apply(lambda t: t.ipu(device))

    def mtia(self, device=None):
        """Move everything to an MTIA device; raises where there is none."""
        return self._apply(lambda t: t.mtia(device))

    def type(self, dst_type):
        """Cast every parameter and buffer, integer ones too, to ``dst_type``, in place."""
        return self._apply(lambda t: t.type(dst_type))

    def float(self):
        """Cast the floating point parameters and buffers to float32, in place."""
        return self._apply(lambda t: t.float() if t.is_floating_point() else t)

    def double(self):
        """Cast the floating point parameters and buffers to float64, in place."""
        return self._apply(lambda t: t.double() if t.is_floating_point() else t)

    def half(self):
        """Cast the floating point parameters and buffers to float16, in place."""
        return self._apply(lambda t: t.half() if t.is_floating_point() else t)

    def bfloat16(self):
        """Cast the floating point parameters and buffers to bfloat16, in place."""
        return self._apply(lambda t: t.bfloat16() if t.is_floating_point() else t)

    def share_memory(self):
        """Move parameters and buffers to shared memory; see ``Tensor.share_memory_``."""
        return self._apply(lambda t: t.share_memory_())

    def train(self, mode=True):
        """Set training mode (``mode`` True) or evaluation mode on this module and all below.

        Only some layers behave differently, such as dropout and batch normalisation.
        """
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self):
        """Set evaluation mode: ``train(False)``."""
        return self.train(False)

    def requires_grad_(self, requires_grad=True):
        """Set whether autograd records operations on the parameters; returns this module."""
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none=True) -> None:
        """Drop the gradients of all parameters, or set them to zero if not ``set_to_none``."""
        if getattr(self, "_is_replica", False):
            warnings.warn(
                "Calling .zero_grad() from a module created with nn.DataParallel() has no effect. "
                "The parameters are copied (in a differentiable manner) from the original module. "
                "This means they are not leaf nodes in autograd and so don't accumulate gradients. "
                "If you need gradients in your forward method, "
                "consider using autograd.grad instead.",
                stacklevel=2,
            )
        for p in self.parameters():
            grad = p.grad
            if grad is None:
                continue
            if set_to_none:
                p.grad = None
            else:
                if grad.grad_fn is not None:
                    grad.detach_()
                else:
                    grad.requires_grad_(False)
                grad.zero_()

    # ------------------------------------------------------------------------- calling

    def __call__(self, *args, **kwargs):
        d = self.__dict__
        try:
            plain = not (
                d["_backward_hooks"]
                or d["_backward_pre_hooks"]
                or d["_forward_hooks"]
                or d["_forward_pre_hooks"]
                or _global_forward_hooks
                or _global_forward_pre_hooks
                or _global_backward_hooks
                or _global_backward_pre_hooks
            )
        except KeyError as e:
            self.__getattr__(e.args[0])  # says what a module without __init__ lacks
            plain = False
        if plain:
            return self.forward(*args, **kwargs)
        return _call_hooked(self, args, kwargs)

    _wrapped_call_impl = __call__
    _call_impl = __call__

    def _get_backward_hooks(self):
        """(full backward hooks, those of the old kind), each a list, hooks of all modules first."""
        full, plain = [], []
        if _global_is_full_backward_hook is True:
            full += _global_backward_hooks.values()
        elif _global_is_full_backward_hook is False:
            plain += _global_backward_hooks.values()
        if self._is_full_backward_hook is True:
            full += self._backward_hooks.values()
        elif self._is_full_backward_hook is False:
            plain += self._backward_hooks.values()
        return full, plain

    def _get_backward_pre_hooks(self):
        return [*_global_backward_pre_hooks.values(), *self._backward_pre_hooks.values()]

    def _maybe_warn_non_full_backward_hook(self, inputs, result, grad_fn) -> None:
        results = result if isinstance(result, tuple) else (result,)
        if not all(isinstance(r, Tensor) for r in results):
            why = (
                "Using non-full backward hooks on a Module that does not return a "
                "single Tensor or a tuple of Tensors is deprecated and will be removed "
                "in future versions. This hook will be missing some of the grad_output."
            )
        elif not all(isinstance(i, Tensor) for i in inputs):
            why = (
                "Using non-full backward hooks on a Module that does not take as input a "
                "single Tensor or a tuple of Tensors is deprecated and will be removed "
                "in future versions. This hook will be missing some of the grad_input."
            )
        elif len({r.grad_fn for r in results if r.grad_fn is not None}) != 1:
            why = (
                "Using a non-full backward hook when outputs are generated by different autograd "
                "Nodes is deprecated and will be removed in future versions. This hook will be "
                "missing some grad_output."
            )
        else:
            given = {i.grad_fn for i in inputs if i.grad_fn is not None}
            if given == {n[0] for n in grad_fn.next_functions}:
                # one node, fed by nothing but the inputs: its gradients are those of the module
                return
            why = (
                "Using a non-full backward hook when the forward contains multiple autograd Nodes "
                "is deprecated and will be removed in future versions. This hook will be missing "
                "some grad_input."
            )
        warnings.warn(
            why + " Please use register_full_backward_hook to get the documented behavior.",
            FutureWarning,
            stacklevel=2,
        )

    # --------------------------------------------------------------------------- hooks

    def register_forward_pre_hook(self, hook, *, prepend=False, with_kwargs=False):
        """Have ``hook(module, args)`` called before each forward; returns its handle.

        A result other than None replaces the positional arguments (a single value is taken for a
        1-tuple). With ``with_kwargs`` the hook is called as ``hook(module, args, kwargs)`` and
        returns None or both anew. With ``prepend`` it comes before the module's other hooks.
        """
        flag = self._forward_pre_hooks_with_kwargs
        return _add_hook(
            self._forward_pre_hooks, hook, flag, (flag,) if with_kwargs else (), prepend
        )

    def register_forward_hook(self, hook, *, prepend=False, with_kwargs=False, always_call=False):
        """Have ``hook(module, args, output)`` called after each forward; returns its handle.

        A result other than None replaces the output. With ``with_kwargs`` the hook is called as
        ``hook(module, args, kwargs, output)``; with ``always_call`` it also runs (once, with output
        None if there is none yet) when forward or a hook raised; with ``prepend`` it comes before
        the module's other hooks.
        """
        flags = [self._forward_hooks_with_kwargs] if with_kwargs else []
        if always_call:
            flags.append(self._forward_hooks_always_called)
        extra = [self._forward_hooks_with_kwargs, self._forward_hooks_always_called]
        return _add_hook(self._forward_hooks, hook, extra, flags, prepend)

    def register_full_backward_pre_hook(self, hook, prepend=False):
        """Have ``hook(module, grad_output)`` called before the module's gradients are computed.

        ``grad_output`` is a tuple with None for results that are no tensors. A result other than
        None takes its place. Returns a handle with ``remove()``.
        """
        return _add_hook(self._backward_pre_hooks, hook, prepend=prepend)

    def register_backward_hook(self, hook):
        """Have ``hook(module, grad_input, grad_output)`` called at the module's last graph node.

        The gradients are those of that node alone; `register_full_backward_hook` is the one that
        gives those of the module. RuntimeError if the module has a full backward hook.
        """
        _choose_backward_kind(self, False)
        return _add_hook(self._backward_hooks, hook)

    def register_full_backward_hook(self, hook, prepend=False):
        """Have ``hook(module, grad_input, grad_output)`` called when the gradients are known.

        Both are tuples, with None for what is no tensor; keyword arguments do not appear. A result
        other than None takes the place of ``grad_input``. Returns a handle with ``remove()``.
        RuntimeError if the module has a backward hook of the old kind.
        """
        _choose_backward_kind(self, True)
        return _add_hook(self._backward_hooks, hook, prepend=prepend)

    # ---------------------------------------------------------------------- state dicts

    def get_extra_state(self):
        """Whatever else the ``state_dict`` shall keep; goes together with `set_extra_state`."""
        raise RuntimeError(
            "Reached a code path in Module.get_extra_state() that should never be called."
        )

    def set_extra_state(self, state) -> None:
        """Take back what `get_extra_state` gave when the state was saved."""
        raise RuntimeError(
            "Reached a code path in Module.set_extra_state() that should never be called."
        )

    def _register_state_dict_hook(self, hook):
        """`register_state_dict_post_hook`, but a result of the hook replaces the dictionary."""
        if getattr(hook, "_from_public_api", False):
            raise RuntimeError(
                "Cannot register the same function as the state dict post hook that was "
                "previously registered via register_state_dict_post_hook"
            )
        return _add_hook(self._state_dict_hooks, hook)

    def register_state_dict_post_hook(self, hook):
        """Have ``hook(module, state_dict, prefix, local_metadata)`` called after `state_dict`.

        It may change the dictionary in place and must return None.
        """
        # bound methods carry no attributes of their own; they are told by registration below
        hook._from_public_api = True
        return _add_hook(self._state_dict_hooks, hook)

    def register_state_dict_pre_hook(self, hook):
        """Have ``hook(module, prefix, keep_vars)`` called before `state_dict` does its work."""
        return _add_hook(self._state_dict_pre_hooks, hook)

    def _save_to_state_dict(self, destination, prefix, keep_vars) -> None:
        """Put this module's own parameters, buffers and extra state in ``destination``."""
        for name, param in self._parameters.items():
            if param is not None:
                destination[prefix + name] = param if keep_vars else param.detach()
        for name, buf in self._buffers.items():
            if buf is not None and name not in self._non_persistent_buffers_set:
                destination[prefix + name] = buf if keep_vars else buf.detach()
        if type(self).get_extra_state is not Module.get_extra_state:
            destination[prefix + _EXTRA_STATE_KEY_SUFFIX] = self.get_extra_state()

    def state_dict(self, *args, destination=None, prefix="", keep_vars=False):
        """Ordered dictionary of all parameters and persistent buffers, by dotted name.

        Args:
            destination (dict): filled and returned instead of a new one.
            prefix (str): put before every name.
            keep_vars (bool): hand out the parameters themselves instead of detached tensors (which
                share their memory).

        The dictionary carries the modules' version numbers in its attribute ``_metadata``.
        """
        if args:
            warnings.warn(
                "Positional args are being deprecated, use kwargs instead. Refer to "
                "https://pytorch.org/docs/main/generated/torch.nn.Module.html#torch.nn.Module.state_dict"
                " for details.",
                FutureWarning,
                stacklevel=2,
            )
            destination = args[0] if destination is None else destination
            prefix = args[1] if len(args) > 1 and prefix == "" else prefix
            keep_vars = args[2] if len(args) > 2 and keep_vars is False else keep_vars
        if destination is None:
            destination = OrderedDict()
            destination._metadata = OrderedDict()
        local_metadata = {"version": self._version}
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = local_metadata
        for hook in self._state_dict_pre_hooks.values():
            hook(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(
                    destination=destination, prefix=prefix + name + ".", keep_vars=keep_vars
                )
        for hook in self._state_dict_hooks.values():
            new = hook(self, destination, prefix, local_metadata)
            if new is None:
                continue
            if getattr(hook, "_from_public_api", False):
                raise RuntimeError("state_dict post-hook must return None")
            destination = new
        return destination

    def _register_load_state_dict_pre_hook(self, hook, with_module=False):
        """`register_load_state_dict_pre_hook`, with or without the module as first argument."""
        return _add_hook(
            self._load_state_dict_pre_hooks, _WrappedHook(hook, self if with_module else None)
        )

    def register_load_state_dict_pre_hook(self, hook):
        """Have a hook called before this module takes its state from a dictionary.

        Called as ``hook(module, state_dict, prefix, local_metadata, strict, missing_keys,
        unexpected_keys, error_msgs)``; it may change the last four and the dictionary in place.
        """
        return self._register_load_state_dict_pre_hook(hook, with_module=True)

    def register_load_state_dict_post_hook(self, hook):
        """Have ``hook(module, incompatible_keys)`` called once this module's state is loaded.

        It may change the two lists of ``incompatible_keys`` in place, even to silence a strict
        load, and must return None.
        """
        return _add_hook(self._load_state_dict_post_hooks, hook)

    def _load_from_state_dict(
        self,
        state_dict,
        prefix,
        local_metadata,
        strict,
        missing_keys,
        unexpected_keys,
        error_msgs,
    ) -> None:
        """Take this module's own members (not those of children) from ``state_dict``.

        Subclasses extend it to convert older states: ``local_metadata.get("version")`` is the
        version the state was saved with. Problems go to the three lists; nothing is raised.
        """
        for hook in self._load_state_dict_pre_hooks.values():
            hook(
                state_dict,
                prefix,
                local_metadata,
                strict,
                missing_keys,
                unexpected_keys,
                error_msgs,
            )
        members = {n: p for n, p in self._parameters.items() if p is not None}
        for name, buf in self._buffers.items():
            if buf is not None and name not in self._non_persistent_buffers_set:
                members[name] = buf
        assign = local_metadata.get("assign_to_params_buffers", False)
        swap = _conversion_flags()[1]
        for name, param in members.items():
            key = prefix + name
            if key in state_dict:
                problem = _load_member(self, name, key, param, state_dict[key], assign, swap)
                if problem is not None:
                    error_msgs.append(problem)
            elif strict:
                missing_keys.append(key)
        extra_key = prefix + _EXTRA_STATE_KEY_SUFFIX
        takes_extra = type(self).set_extra_state is not Module.set_extra_state
        if takes_extra and extra_key in state_dict:
            self.set_extra_state(state_dict[extra_key])
        elif takes_extra and strict:
            missing_keys.append(extra_key)
        if not strict:
            return
        for key in state_dict:
            if not key.startswith(prefix) or (key == extra_key and takes_extra):
                continue
            head, dot, _ = key[len(prefix) :].partition(".")
            if head not in (self._modules if dot else members):
                unexpected_keys.append(key)

    def load_state_dict(self, state_dict, strict=True, assign=False):
        """Copy parameters and buffers from a dictionary that `state_dict` gave.

        Args:
            state_dict (Mapping): tensors by dotted name.
            strict (bool): whether its names have to be exactly those of this module.
            assign (bool): let the module take the given tensors themselves, with their dtype and
                device; only ``requires_grad`` stays as it was. For models on the meta device.

        Returns:
            A named tuple of the lists ``missing_keys`` and ``unexpected_keys``.

        Raises:
            TypeError: if ``state_dict`` is no mapping.
            RuntimeError: for wrong shapes, and, if ``strict``, for missing or unexpected names.
        """
        from collections.abc import Mapping

        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        missing, unexpected, errors = [], [], []
        metadata = getattr(state_dict, "_metadata", None)
        state_dict = OrderedDict(state_dict)
        if metadata is not None:
            state_dict._metadata = metadata

        def load(module, local, prefix):
            info = {} if metadata is None else metadata.get(prefix[:-1], {})
            if assign:
                info["assign_to_params_buffers"] = assign
            module._load_from_state_dict(local, prefix, info, True, missing, unexpected, errors)
            children = {n: c for n, c in module._modules.items() if c is not None}
            if children:
                # one pass hands every child the keys below its own prefix
                parts = {n: {} for n in children}
                cut = len(prefix)
                for key, value in local.items():
                    if key.startswith(prefix):
                        head, dot, _ = key[cut:].partition(".")
                        if dot and head in parts:
                            parts[head][key] = value
                for name, child in children.items():
                    load(child, parts[name], prefix + name + ".")
            result = _IncompatibleKeys(missing, unexpected)
            for hook in module._load_state_dict_post_hooks.values():
                if hook(module, result) is not None:
                    raise AssertionError(
                        "Hooks registered with ``register_load_state_dict_post_hook`` are not "
                        "expected to return new values, if incompatible_keys need to be modified, "
                        "it should be done inplace."
                    )

        load(self, state_dict, "")
        if strict:
            for keys, what in ((unexpected, "Unexpected"), (missing, "Missing")):
                if keys:
                    names = ", ".join(f'"{k}"' for k in keys)
                    errors.insert(0, f"{what} key(s) in state_dict: {names}. ")
        if errors:
            raise RuntimeError(
                "Error(s) in loading state_dict for {}:\n\t{}".format(
                    type(self).__name__, "\n\t".join(errors)
                )
            )
        return _IncompatibleKeys(missing, unexpected)

    # ------------------------------------------------------------------------- printing

    def _get_name(self):
        return type(self).__name__

    def extra_repr(self) -> str:
        """What stands between the parentheses of the printed module, besides its children."""
        return ""

    def __repr__(self):
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        children = [
            f"({name}): {_addindent(repr(module), 2)}" for name, module in self._modules.items()
        ]
        name = self._get_name()
        if not children and len(lines) <= 1:
            return f"{name}({extra})"
        return f"{name}(\n  " + "\n  ".join(lines + children) + "\n)"
