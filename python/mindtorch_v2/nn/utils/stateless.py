"""Calling a module with other tensors in place of its parameters and buffers."""

from contextlib import contextmanager

import mindtorch_v2 as torch

__all__ = ["functional_call"]

_ABSENT = object()


def _swap_tensor(module, name, tensor):
    """Put ``tensor`` (or `_ABSENT`) at the dotted ``name`` and return what was there."""
    path, _, last = name.rpartition(".")
    owner = module.get_submodule(path)
    if tensor is not None and tensor is not _ABSENT and not isinstance(tensor, torch.Tensor):
        raise TypeError(f"{tensor} is not an instance of torch.Tensor")
    for members in (owner._parameters, owner._buffers):
        if last in members:
            old = members[last]
            if tensor is _ABSENT:
                del members[last]
            else:
                members[last] = tensor
            return old
    old = getattr(owner, last, _ABSENT)
    if tensor is _ABSENT:
        delattr(owner, last)
    else:
        setattr(owner, last, tensor)
    return old


def _all_names(module):
    """name -> tensor for all parameters and buffers, under every name they have."""
    members = dict(module.named_parameters(remove_duplicate=False))
    members.update(module.named_buffers(remove_duplicate=False))
    return members


def _untie_named_tensors_map(module, parameters_and_buffers):
    """The given tensors, also under the other names of the members that they replace.

    ValueError if two names of one member are given different tensors.
    """
    keys = parameters_and_buffers.keys()
    groups = {}
    for name, tensor in _all_names(module).items():
        groups.setdefault(id(tensor), set()).add(name)
    out = dict(parameters_and_buffers)
    for names in groups.values():
        given = sorted(names & keys)
        if not given:
            continue
        value = parameters_and_buffers[given[0]]
        if any(parameters_and_buffers[n] is not value for n in given[1:]):
            raise ValueError(
                f"functional_call got multiple values for keys {given}, "
                "which are tied. Consider using tie_weights=False"
            )
        for name in sorted(names):
            out[name] = value
    return out


@contextmanager
def _reparametrize_module(
    module, parameters_and_buffers, tie_weights=False, strict=False, stack_weights=False
):
    """Let the module hold the given tensors for the time of a ``with`` statement.

    Afterwards the dictionary has what the module held then, in case it replaced any. With
    ``stack_weights`` the tensors are put back in reverse order.
    """
    given = parameters_and_buffers
    if tie_weights:
        given = _untie_named_tensors_map(module, given)
    if strict:
        have = _all_names(module).keys()
        problems = []
        for what, keys in (
            ("Unexpected", given.keys() - have),
            ("Missing", have - given.keys()),
        ):
            if keys:
                names = ", ".join(repr(k) for k in sorted(keys))
                problems.append(f"{what} key(s): {names}.")
        if problems:
            raise RuntimeError(
                "Error(s) in reparametrizing for {}:\n\t{}".format(
                    module._get_name(), "\n\t".join(problems)
                )
            )
    old = {}
    try:
        for name, tensor in given.items():
            old[name] = _swap_tensor(module, name, tensor)
        yield
    finally:
        names = list(old)
        if stack_weights:
            names.reverse()
        last = {name: _swap_tensor(module, name, old[name]) for name in names}
        parameters_and_buffers.update({k: last[k] for k in parameters_and_buffers if k in last})


def functional_call(
    module, parameters_and_buffers, args=None, kwargs=None, *, tie_weights=True, strict=False
):
    """The former place of ``mindtorch_v2.func.functional_call``; deprecated."""
    import warnings

    warnings.warn(
        "`torch.nn.utils.stateless.functional_call` is deprecated as of PyTorch 2.0 "
        "and will be removed in a future version of PyTorch. "
        "Please use `torch.func.functional_call` instead which is a drop-in replacement.",
        FutureWarning,
        stacklevel=2,
    )
    return _functional_call(
        module, parameters_and_buffers, args, kwargs, tie_weights=tie_weights, strict=strict
    )


def _functional_call(
    module, parameters_and_buffers, args=None, kwargs=None, *, tie_weights=True, strict=False
):
    """``module(*args, **kwargs)`` with other tensors in place of its members.

    Args:
        parameters_and_buffers (dict): tensors by dotted name; the module keeps its own for the
            others. What the call assigns to these names is found there afterwards.
        args: positional arguments; anything but a tuple is taken for the only one.
        kwargs (dict): keyword arguments.
        tie_weights: replace a member under all the names it has; ValueError if different tensors
            are given for them.
        strict: RuntimeError unless all names of the module are given, and no others.
    """
    if args is None:
        args = ()
    elif not isinstance(args, tuple):
        args = (args,)
    with _reparametrize_module(
        module, parameters_and_buffers, tie_weights=tie_weights, strict=strict
    ):
        return module(*args, **(kwargs or {}))
