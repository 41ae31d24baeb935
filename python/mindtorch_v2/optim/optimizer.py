"""The base of all optimizers, and what their steps share.

Idea: an optimizer is plain data (`param_groups`, `state`, `defaults`) plus a `step`. A step first
gathers, per group, parallel lists of parameters, gradients and state tensors; then a function of
the same name as the module (`adam`, `sgd`, ...) does the arithmetic. Where the lists are plain
dense float tensors, `adam`, `adamw`, `sgd` and `adagrad` hand them to one multi-tensor operator;
otherwise they work tensor by tensor. Both ways give the same values and the same state.
"""

import functools
from collections import OrderedDict, defaultdict
from itertools import chain
from operator import attrgetter

import mindtorch_v2 as torch

from ..utils._foreach_utils import (
    _get_foreach_kernels_supported_devices,
    _get_fused_kernels_supported_devices,
    _group_tensors_by_device_and_dtype,
)
from ..utils._profiling import profiler_enabled
from ..utils.hooks import RemovableHandle

__all__ = ["Optimizer", "register_optimizer_step_pre_hook", "register_optimizer_step_post_hook"]

_global_optimizer_pre_hooks = OrderedDict()
_global_optimizer_post_hooks = OrderedDict()

_dtype_of = attrgetter("dtype")
_layout_of = attrgetter("layout")
_on_cpu = attrgetter("is_cpu")


class _RequiredParameter:
    """Marks a default that every parameter group has to give."""

    def __repr__(self):
        return "<required parameter>"


required = _RequiredParameter()


def __getattr__(name):
    if name == "ParamsT":  # for annotations only, made when somebody asks
        from collections.abc import Iterable
        from typing import Any

        global ParamsT
        ParamsT = (
            Iterable[torch.Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, torch.Tensor]]
        )
        return ParamsT
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


# ---------------------------------------------------------------- hooks of all optimizers


def register_optimizer_step_pre_hook(hook):
    """Register ``hook(optimizer, args, kwargs)`` to run before every step of every optimizer.

    The hook returns None, or the pair (args, kwargs) to use instead. Returns a handle with
    `remove()`.
    """
    handle = RemovableHandle(_global_optimizer_pre_hooks)
    _global_optimizer_pre_hooks[handle.id] = hook
    return handle


def register_optimizer_step_post_hook(hook):
    """Register ``hook(optimizer, args, kwargs)`` to run after every step of every optimizer;
    returns a handle.
    """
    handle = RemovableHandle(_global_optimizer_post_hooks)
    _global_optimizer_post_hooks[handle.id] = hook
    return handle


# ---------------------------------------------------------------- helpers of the steps


def _use_grad_for_differentiable(func):
    """Run a step with gradients recorded only where the optimizer was made `differentiable`."""

    @functools.wraps(func)
    def stepper(*args, **kwargs):
        before = torch.is_grad_enabled()
        torch.set_grad_enabled(args[0].defaults["differentiable"])
        try:
            return func(*args, **kwargs)
        finally:
            torch.set_grad_enabled(before)

    return stepper


def _without_grad(func):
    """Run a step with gradients off."""

    @functools.wraps(func)
    def stepper(*args, **kwargs):
        before = torch.is_grad_enabled()
        torch.set_grad_enabled(False)
        try:
            return func(*args, **kwargs)
        finally:
            torch.set_grad_enabled(before)

    return stepper


def _evaluate(closure):
    """The loss of `closure`, computed with gradients on; None without a closure."""
    if closure is None:
        return None
    with torch.enable_grad():
        return closure()


def _get_value(x):
    """`x` as a Python number if it is a tensor."""
    return x.item() if isinstance(x, torch.Tensor) else x


def _to_scalar(x):
    """A tensor of one element without its dimensions; other values unchanged."""
    return x.squeeze() if isinstance(x, torch.Tensor) and x.dim() != 0 else x


def _stack_if_compiling(x):
    return x


def _dispatch_sqrt(x):
    if isinstance(x, torch.Tensor):
        return x.sqrt()
    return x**0.5


def _get_scalar_dtype(is_fused=None):
    """The dtype of step counters: float32, or float64 where that is the default dtype (and no fused
    step).
    """
    if is_fused:
        return torch.float32
    return torch.float64 if torch.get_default_dtype() == torch.float64 else torch.float32


def _get_capturable_supported_devices(supports_xla=True):
    devices = ["cuda", "xpu", "hpu", "privateuseone"]
    if supports_xla:
        devices.append("xla")
    return devices


def _refuse_capturable(params, steps, what, supports_xla=True):
    """AssertionError: graphs are captured on accelerators only. `what` names the tensors in the
    message.
    """
    devices = _get_capturable_supported_devices(supports_xla)
    for p, step in zip(params, steps, strict=False):
        assert p.device.type == step.device.type and p.device.type in devices, (
            f"If capturable=True, {what} must be on supported devices: {devices}."
        )


def _default_to_fused_or_foreach(params, differentiable, use_fused=False):
    """Which implementation `params` get when the user asked for none: (fused, foreach), not both
    True.
    """
    if differentiable:
        return False, False
    kinds = _plain_types()
    devices = _get_fused_kernels_supported_devices()
    fused = use_fused and all(
        p is None or (type(p) in kinds and p.device.type in devices and torch.is_floating_point(p))
        for p in params
    )
    devices = _get_foreach_kernels_supported_devices()
    foreach = not fused and all(
        p is None or (type(p) in kinds and p.device.type in devices) for p in params
    )
    return fused, foreach


def _disable_dynamo_if_unsupported(single_tensor_fn=None):
    def wrapper(func):
        return func

    return wrapper


def _device_dtype_check_for_fused(p, cuda_unsupported=False):
    """RuntimeError unless a fused step may run on the parameter `p`."""
    devices = _get_fused_kernels_supported_devices()
    if cuda_unsupported:
        devices.remove("cuda")
    if not (p.device.type in devices and torch.is_floating_point(p)):
        raise RuntimeError(
            "`fused=True` requires all the params to be floating point Tensors of "
            f"supported devices: {devices} but {p.dtype} and {p.device.type}"
        )


def _view_as_real(params, *state_and_grads):
    """Replace, in all lists, the tensors that belong to complex parameters by their real views."""
    for i, p in enumerate(params):
        if torch.is_complex(p):
            params[i] = torch.view_as_real(p)
            for tensors in state_and_grads:
                tensors[i] = torch.view_as_real(tensors[i])


def _set_grad_scaling(optimizer):
    """Mark an optimizer made with ``fused=True``: its step divides by the scale of a gradient
    scaler itself.
    """
    optimizer._step_supports_amp_scaling = True
    optimizer._need_device_dtype_check_for_fused = True


def _check_fused_once(optimizer, group):
    """The device and dtype check of ``fused=True``, on the first parameter of the first step."""
    if group["fused"] and getattr(optimizer, "_need_device_dtype_check_for_fused", False):
        for p in group["params"]:
            if p.grad is not None:
                _device_dtype_check_for_fused(p)
                optimizer._need_device_dtype_check_for_fused = False
                return


_plain = None


def _plain_types():
    global _plain
    if _plain is None:
        _plain = frozenset({torch.Tensor, torch.nn.Parameter})
    return _plain


def _one_call_serves(params, grads):
    """True where a multi-tensor operator gives what the tensor-by-tensor way gives.

    That is: no tensor subclass, all on the CPU, dense gradients, and one dtype, float32 or float64.
    (In narrower types the operator keeps its intermediate values in float32, so it is left to
    ``fused=True``.) Written without a Python loop: this runs over all parameters in every step.
    """
    dtypes = set(map(_dtype_of, params))
    dtypes.update(map(_dtype_of, grads))
    return (
        len(dtypes) == 1
        and dtypes.pop() in (torch.float32, torch.float64)
        and set(map(_layout_of, grads)) == {torch.strided}
        and all(map(_on_cpu, params))
        and _plain_types().issuperset(map(type, params))
    )


def _group_by_dtype(lists):
    """Split parallel lists by the dtype of the first list's tensors: a list of tuples of lists."""
    first = lists[0]
    if len(set(map(_dtype_of, first))) < 2:
        return [lists]
    where = {}
    for i, p in enumerate(first):
        where.setdefault(p.dtype, []).append(i)
    return [tuple([t[i] for i in index] if t else t for t in lists) for index in where.values()]


def _count_up(steps):
    """Add one to every step counter."""
    add_all = getattr(torch, "_foreach_add_", None)
    if add_all is not None:
        add_all(steps, 1)
    else:
        for step in steps:
            step += 1


def _count_back(steps, found_inf):
    """Take a step back where the gradients were infinite, that is where `found_inf` is 1."""
    if found_inf is not None:
        found_inf = found_inf.reshape(())
        for step in steps:
            step -= found_inf


def _tensor_steps(optimizer, **scalar_dtype):
    """Turn step counters of old checkpoints, which are numbers, into tensors."""
    for p_state in optimizer.state.values():
        if isinstance(p_state, dict) and "step" in p_state and not torch.is_tensor(p_state["step"]):
            p_state["step"] = torch.tensor(
                float(p_state["step"]), dtype=_get_scalar_dtype(**scalar_dtype)
            )


def _check_lr(lr):
    """ValueError unless `lr` is a number (or a tensor of one element) >= 0."""
    if isinstance(lr, torch.Tensor) and lr.numel() != 1:
        raise ValueError("Tensor lr must be 1-element")
    if not 0.0 <= lr:  # noqa: SIM300 (the order of the operands is seen in TypeErrors)
        raise ValueError(f"Invalid learning rate: {lr}")


def _check_not_negative(name, value):
    if not value >= 0.0:
        raise ValueError(f"Invalid {name} value: {value}")


def _check_betas(betas):
    for i in (0, 1):
        if not 0.0 <= betas[i] < 1.0:
            raise ValueError(f"Invalid beta parameter at index {i}: {betas[i]}")


class Optimizer:
    """Base class of optimizers.

    `params` is an iterable of tensors, of pairs (name, tensor), or of dictionaries, one per
    parameter group, with the key "params" and options that override `defaults`, the options of the
    optimizer. An iterable without a fixed order (a set) inside a group raises TypeError; an empty
    one ValueError.

    Attributes: `param_groups`, a list of dictionaries of options with the list "params"; `state`, a
    dictionary from parameter to the dictionary of its state; `defaults`.
    """

    def __init__(self, params, defaults):
        self.defaults = defaults
        self._optimizer_step_pre_hooks = OrderedDict()
        self._optimizer_step_post_hooks = OrderedDict()
        self._optimizer_state_dict_pre_hooks = OrderedDict()
        self._optimizer_state_dict_post_hooks = OrderedDict()
        self._optimizer_load_state_dict_pre_hooks = OrderedDict()
        self._optimizer_load_state_dict_post_hooks = OrderedDict()
        self._patch_step_function()

        if isinstance(params, torch.Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or "
                "dicts, but got " + torch.typename(params)
            )
        self.state = defaultdict(dict)
        self.param_groups = []
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)
        # Users of graph capture set this back to False to be warned once.
        self._warned_capturable_if_run_uncaptured = True

    def __getstate__(self):
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state):
        self.__dict__.update(state)
        for name in (
            "_optimizer_step_pre_hooks",
            "_optimizer_step_post_hooks",
            "_optimizer_state_dict_pre_hooks",
            "_optimizer_state_dict_post_hooks",
            "_optimizer_load_state_dict_pre_hooks",
            "_optimizer_load_state_dict_post_hooks",
        ):
            if name not in self.__dict__:
                self.__dict__[name] = OrderedDict()
        self._patch_step_function()
        self.defaults.setdefault("differentiable", False)

    def __repr__(self):
        lines = [self.__class__.__name__ + " ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines.extend(f"    {key}: {group[key]}" for key in sorted(group) if key != "params")
            lines.append("")
        lines[-1] = ")"
        return "\n".join(lines)

    def _cuda_graph_capture_health_check(self):
        """Nothing to check: there are no graphs to capture on the CPU."""

    _accelerator_graph_capture_health_check = _cuda_graph_capture_health_check

    def _optimizer_step_code(self):
        """Runs between a step and its post-hooks; a place for profilers to patch."""

    # ------------------------------------------------------------ the wrapping of step

    @staticmethod
    def profile_hook_step(func):
        """Wrap a step function: hooks before and after, and a profiler range
        ``Optimizer.step#Class.step``.
        """

        @functools.wraps(func)
        def wrapper(*args, **kwargs):
            self = args[0]
            if profiler_enabled():
                from ..autograd.profiler import record_function

                with record_function(f"Optimizer.step#{self.__class__.__name__}.step"):
                    return run(self, args, kwargs)
            return run(self, args, kwargs)

        def run(self, args, kwargs):
            if _global_optimizer_pre_hooks or self._optimizer_step_pre_hooks:
                for hook in chain(
                    _global_optimizer_pre_hooks.values(), self._optimizer_step_pre_hooks.values()
                ):
                    result = hook(self, args, kwargs)
                    if result is None:
                        continue
                    if not isinstance(result, tuple) or len(result) != 2:
                        raise RuntimeError(
                            f"{func} must return None or a tuple of (new_args, new_kwargs), but "
                            f"got {result}."
                        )
                    args, kwargs = result
            out = func(*args, **kwargs)
            self._optimizer_step_code()
            if _global_optimizer_post_hooks or self._optimizer_step_post_hooks:
                for hook in chain(
                    self._optimizer_step_post_hooks.values(), _global_optimizer_post_hooks.values()
                ):
                    hook(self, args, kwargs)
            return out

        return wrapper

    @staticmethod
    def _group_tensors_by_device_and_dtype(tensorlistlist, with_indices=False):
        """See the function of this name."""
        return _group_tensors_by_device_and_dtype(tensorlistlist, with_indices)

    def _patch_step_function(self):
        cls = self.__class__
        self._zero_grad_profile_name = f"Optimizer.zero_grad#{cls.__name__}.zero_grad"
        if not getattr(cls.step, "hooked", None):
            cls.step = self.profile_hook_step(cls.step)
            cls.step.hooked = True

    def register_step_pre_hook(self, hook):
        """Register ``hook(optimizer, args, kwargs)`` to run before each step.

        It returns None, or the pair (args, kwargs) to use instead. Returns a handle with
        `remove()`.
        """
        return _add_hook(self._optimizer_step_pre_hooks, hook)

    def register_step_post_hook(self, hook):
        """Register ``hook(optimizer, args, kwargs)`` to run after each step; returns a handle."""
        return _add_hook(self._optimizer_step_post_hooks, hook)

    def register_state_dict_pre_hook(self, hook, prepend=False):
        """Register ``hook(optimizer)`` to run before `state_dict`; returns a handle."""
        return _add_hook(self._optimizer_state_dict_pre_hooks, hook, prepend)

    def register_state_dict_post_hook(self, hook, prepend=False):
        """Register ``hook(optimizer, state_dict)`` to run on the result of `state_dict`; it may
        return another one.
        """
        return _add_hook(self._optimizer_state_dict_post_hooks, hook, prepend)

    def register_load_state_dict_pre_hook(self, hook, prepend=False):
        """Register ``hook(optimizer, state_dict)`` to run before loading; it may return another
        dictionary to load.
        """
        return _add_hook(self._optimizer_load_state_dict_pre_hooks, hook, prepend)

    def register_load_state_dict_post_hook(self, hook, prepend=False):
        """Register ``hook(optimizer)`` to run after a state has been loaded; returns a handle."""
        return _add_hook(self._optimizer_load_state_dict_post_hooks, hook, prepend)

    # ------------------------------------------------------------ state

    def state_dict(self):
        """The state as ``{"state": {index: {...}}, "param_groups": [{..., "params": [index,
        ...]}]}``.

        Parameters are numbered in the order of the groups. The tensors are the optimizer's own, not
        copies.
        """
        for hook in self._optimizer_state_dict_pre_hooks.values():
            hook(self)
        index = {}
        groups = []
        start = 0
        for group in self.param_groups:
            packed = {key: value for key, value in group.items() if key != "params"}
            # A parameter that stands twice in a group goes by its last place.
            index.update((id(p), i) for i, p in enumerate(group["params"], start))
            start += len(group["params"])
            packed["params"] = [index[id(p)] for p in group["params"]]
            groups.append(packed)
        state = {
            index[id(k)] if isinstance(k, torch.Tensor) else k: v for k, v in self.state.items()
        }
        result = {"state": state, "param_groups": groups}
        for hook in self._optimizer_state_dict_post_hooks.values():
            changed = hook(self, result)
            if changed is not None:
                result = changed
        return result

    @staticmethod
    def _process_value_according_to_param_policy(param, value, param_id, param_groups, key=None):
        """How a loaded state tensor follows its parameter.

        "step" keeps dtype and device, except for a capturable or fused group, where it becomes
        float32 on the parameter's device. Other tensors go to the device, and with a floating point
        parameter to its dtype.
        """
        if key == "step":
            for group in param_groups:
                if param_id in group["params"]:
                    if group.get("fused") or group.get("capturable"):
                        return value.to(dtype=torch.float32, device=param.device)
                    break
            return value
        if param.is_floating_point():
            return value.to(dtype=param.dtype, device=param.device)
        return value.to(device=param.device)

    def _cast_loaded(self, param, value, param_id, param_groups, key=None):
        if isinstance(value, torch.Tensor):
            return Optimizer._process_value_according_to_param_policy(
                param, value, param_id, param_groups, key
            )
        if isinstance(value, dict):
            return {
                k: self._cast_loaded(param, v, param_id, param_groups, k) for k, v in value.items()
            }
        if isinstance(value, (str, bytes)):
            return value
        if hasattr(value, "__iter__"):
            return type(value)(self._cast_loaded(param, v, param_id, param_groups) for v in value)
        return value

    def load_state_dict(self, state_dict):
        """Take over a state made by `state_dict` of an optimizer with equal groups.

        Parameters are matched by their order. Options of the groups are replaced by the saved ones.
        ValueError if the number or the sizes of the groups differ. Tensors that need no cast are
        shared with `state_dict`.
        """
        from copy import deepcopy

        state_dict = state_dict.copy()
        for hook in self._optimizer_load_state_dict_pre_hooks.values():
            changed = hook(self, state_dict)
            if changed is not None:
                state_dict = changed

        groups = self.param_groups
        saved_groups = deepcopy(state_dict["param_groups"])
        if len(groups) != len(saved_groups):
            raise ValueError("loaded state dict has a different number of parameter groups")
        if any(
            len(a["params"]) != len(b["params"]) for a, b in zip(groups, saved_groups, strict=False)
        ):
            raise ValueError(
                "loaded state dict contains a parameter group that doesn't match the size of "
                "optimizer's group"
            )

        params = {}
        for saved, group in zip(saved_groups, groups, strict=False):
            params.update(zip(saved["params"], group["params"], strict=False))
        state = defaultdict(dict)
        for key, value in state_dict["state"].items():
            if key in params:
                param = params[key]
                state[param] = self._cast_loaded(param, value, key, state_dict["param_groups"])
            else:
                state[key] = value
        for saved, group in zip(saved_groups, groups, strict=False):
            if "param_names" in group and "param_names" not in saved:
                saved["param_names"] = group["param_names"]
            saved["params"] = group["params"]
        self.__setstate__({"state": state, "param_groups": saved_groups})

        for hook in self._optimizer_load_state_dict_post_hooks.values():
            hook(self)

    # ------------------------------------------------------------ gradients and groups

    def zero_grad(self, set_to_none=True):
        """Drop the gradients of all parameters, or with ``set_to_none=False`` fill them with zeros
        in place.
        """
        if not hasattr(self, "_zero_grad_profile_name"):
            self._patch_step_function()
        if profiler_enabled():
            from ..autograd.profiler import record_function

            with record_function(self._zero_grad_profile_name):
                self._clear_grads(set_to_none)
        else:
            self._clear_grads(set_to_none)

    def _clear_grads(self, set_to_none):
        for group in self.param_groups:
            if set_to_none:
                for p in group["params"]:
                    p.grad = None
                continue
            for p in group["params"]:
                grad = p.grad
                if grad is None:
                    continue
                if grad.grad_fn is not None:
                    grad.detach_()
                else:
                    grad.requires_grad_(False)
                grad.zero_()

    def step(self, closure=None):
        """One update of all parameters that have a gradient; a `closure` computes the loss anew and
        returns it.
        """
        raise NotImplementedError

    def add_param_group(self, param_group):
        """Add a dictionary with the key "params" and options; options it lacks come from
        `defaults`.

        Raises TypeError for what is no dictionary, no tensor or has no order; ValueError for a
        tensor that is no leaf, a parameter that is in another group, a missing required option, or
        names given to some parameters only.
        """
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        params = param_group["params"]
        if isinstance(params, torch.Tensor):
            params = [params]
        elif isinstance(params, set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but the "
                "ordering of tensors in sets will change between runs. Please use a list instead."
            )
        params = list(params)
        names = [p[0] for p in params if isinstance(p, tuple)]
        if names:
            if len(names) != len(params):
                raise ValueError(
                    "all optimizer params should be with/without names. Some param names are "
                    "missing"
                )
            params = [p[1] for p in params]
        param_group["params"] = params
        if names:
            param_group["param_names"] = names

        may_have_history = self.defaults.get("differentiable", None)
        for p in params:
            if not isinstance(p, torch.Tensor):
                raise TypeError(
                    "optimizer can only optimize Tensors, but one of the params is "
                    + torch.typename(p)
                )
            if not (may_have_history or p.is_leaf or p.retains_grad):
                raise ValueError("can't optimize a non-leaf Tensor")

        for name, default in self.defaults.items():
            if default is required and name not in param_group:
                raise ValueError(
                    "parameter group didn't specify a value of required optimization parameter "
                    f"{name}"
                )
            param_group.setdefault(name, default)

        own = set(map(id, params))
        if len(own) != len(params):
            import warnings

            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; in future, this "
                "will cause an error; see github.com/pytorch/pytorch/issues/40967 for more "
                "information",
                stacklevel=3,
            )
        if self.param_groups and ("param_names" in self.param_groups[0]) != (
            "param_names" in param_group
        ):
            with_or_without = "with" if "param_names" in param_group else "without"
            raise ValueError(
                "all optimizer param groups should be with/without names. "
                f"cannot add param group {with_or_without} names to the optimizer"
            )
        for group in self.param_groups:
            if not own.isdisjoint(map(id, group["params"])):
                raise ValueError("some parameters appear in more than one parameter group")
        self.param_groups.append(param_group)


def _add_hook(hooks, hook, prepend=False):
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    if prepend:
        hooks.move_to_end(handle.id, last=False)
    return handle
