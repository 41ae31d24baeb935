"""Handles of registered hooks, and the wiring of full backward hooks of modules."""

import weakref

__all__ = ["RemovableHandle", "unserializable_hook", "warn_if_has_hooks", "BackwardHook"]


class RemovableHandle:
    """Removes a hook from the dictionary it lives in.

    The dictionary is held weakly, so a handle keeps nothing alive; ids are unique in the process
    and grow, so hooks run in the order of registration. `extra_dict` (a dictionary or a list of
    them) names further dictionaries keyed by the same id, cleaned together with the first. As a
    context manager the handle removes the hook on exit.
    """

    next_id = 0

    def __init__(self, hooks_dict, *, extra_dict=None):
        self.hooks_dict_ref = weakref.ref(hooks_dict)
        self.id = RemovableHandle.next_id
        RemovableHandle.next_id += 1
        if extra_dict is None:
            self.extra_dict_ref = ()
        elif isinstance(extra_dict, dict):
            self.extra_dict_ref = (weakref.ref(extra_dict),)
        elif isinstance(extra_dict, list):
            self.extra_dict_ref = tuple(weakref.ref(d) for d in extra_dict)

    def remove(self):
        """Take the hook out; nothing happens when it is gone already."""
        for ref in (self.hooks_dict_ref, *self.extra_dict_ref):
            hooks = ref()
            if hooks is not None:
                hooks.pop(self.id, None)

    def __getstate__(self):
        hooks = self.hooks_dict_ref()
        return (hooks, self.id, tuple(ref() for ref in self.extra_dict_ref))

    def __setstate__(self, state):
        hooks, self.id = state[:2]
        extra = state[2] if len(state) > 2 and state[2] is not None else ()
        self.hooks_dict_ref = _ref_or_dead(hooks)
        self.extra_dict_ref = tuple(_ref_or_dead(d) for d in extra)
        RemovableHandle.next_id = max(RemovableHandle.next_id, self.id + 1)

    def __enter__(self):
        return self

    def __exit__(self, type, value, tb):
        self.remove()


def _ref_or_dead(hooks):
    if hooks is None:
        from collections import OrderedDict

        hooks = OrderedDict()
    return weakref.ref(hooks)


def unserializable_hook(f):
    """Mark the hook `f`: a tensor that carries it is serialized without the warning about lost
    hooks.
    """
    f.__torch_unserializable__ = True
    return f


def warn_if_has_hooks(tensor):
    """Warn, once per hook of `tensor` that is not marked, that serialization drops it."""
    if not tensor._backward_hooks:
        return
    import warnings

    for hook in tensor._backward_hooks.values():
        if not hasattr(hook, "__torch_unserializable__"):
            warnings.warn(
                f"backward hook {hook!r} on tensor will not be serialized.  If this is expected, "
                "you can decorate the function with @torch.utils.hooks.unserializable_hook to "
                "suppress this warning",
                stacklevel=2,
            )


class BackwardHook:
    """Connects full backward (pre-)hooks of one module call to the autograd graph.

    The inputs and the outputs of the module each pass through one identity node. The node behind
    the outputs receives the gradients of all outputs at once: pre-hooks run there. The node before
    the inputs yields the gradients of all inputs at once: the hooks run there, with the gradients
    of the outputs remembered from the other node. If no input needs a gradient there is no input
    node, and the hooks run at the output node with None for every input gradient.

    `setup_input_hook(args)` and `setup_output_hook(outputs)` return what the module shall use
    instead.
    """

    def __init__(self, module, user_hooks, user_pre_hooks):
        self.module = module
        self.user_hooks = user_hooks
        self.user_pre_hooks = user_pre_hooks
        self.grad_outputs = None
        self.n_inputs = -1
        self.n_outputs = -1
        self.input_tensors_index = None
        self.output_tensors_index = None

    def _pack_with_none(self, indices, values, size):
        packed = [None] * size
        for i, value in zip(indices, values, strict=False):
            packed[i] = value
        return tuple(packed)

    def _unpack_none(self, indices, values):
        return tuple(values[i] for i in indices)

    def _set_user_hook(self, grad_fn):
        def hook(grad_input, _):
            if self.grad_outputs is None:
                # The gradients stop before the outputs: nothing to report for this call.
                return None
            result = self._pack_with_none(self.input_tensors_index, grad_input, self.n_inputs)
            for user_hook in self.user_hooks:
                changed = user_hook(self.module, result, self.grad_outputs)
                if changed is None:
                    continue
                if len(changed) != len(result):
                    raise RuntimeError(
                        "Backward hook returned an invalid number of grad_input, "
                        f"got {len(changed)}, but expected {len(result)}"
                    )
                result = changed
            self.grad_outputs = None
            return self._unpack_none(self.input_tensors_index, result)

        grad_fn.register_hook(hook)

    def _apply_on_tensors(self, fn, args):
        """Send the tensors of `args` through one identity node; `fn` gets the node.

        Returns the new tuple and the positions of its tensors (None when nothing needs a gradient).
        """
        import mindtorch_v2 as torch

        where = [i for i, arg in enumerate(args) if isinstance(arg, torch.Tensor)]
        needs_grad = any(args[i].requires_grad for i in where)
        if not (needs_grad and torch.is_grad_enabled()):
            return args, None
        tensors = [args[i] for i in where]
        if not tensors:
            raise RuntimeError(
                "Cannot set Module backward hook for a Module with no input Tensors."
            )
        new = _identity_function().apply(*tensors)
        if not isinstance(new, tuple):
            new = (new,)
        nodes = [t.grad_fn for t in new if t.grad_fn is not None]
        if not nodes:
            raise RuntimeError(
                "Error while setting up backward hooks. Please open an issue with a code sample "
                "to reproduce this."
            )
        fn(nodes[0])
        out = list(args)
        for i, t in zip(where, new, strict=False):
            out[i] = t
        if type(args) is tuple:
            out = tuple(out)
        else:  # a named tuple
            out = type(args)(*out)
        return out, where

    def setup_input_hook(self, args):
        def keep(grad_fn):
            self._set_user_hook(grad_fn)

        result, where = self._apply_on_tensors(keep, args)
        self.n_inputs = len(args)
        self.input_tensors_index = where
        return result

    def setup_output_hook(self, args):
        def attach(grad_fn):
            def hook(grad_output):
                self.grad_outputs = self._pack_with_none(
                    self.output_tensors_index, grad_output, self.n_outputs
                )
                if self.user_pre_hooks:
                    expected = len(self.grad_outputs)
                    for user_pre_hook in self.user_pre_hooks:
                        changed = user_pre_hook(self.module, self.grad_outputs)
                        if changed is None:
                            continue
                        if len(changed) != expected:
                            raise RuntimeError(
                                "Backward pre hook returned an invalid number of grad_output, "
                                f"got {len(changed)}, but expected {expected}"
                            )
                        self.grad_outputs = changed
                # The gradients of this node are final here; read them before the input-less case
                # drops them.
                passed_on = self.grad_outputs
                if self.input_tensors_index is None:
                    self._run_without_input_node()
                if self.user_pre_hooks:
                    return self._unpack_none(self.output_tensors_index, passed_on)
                return None

            grad_fn.register_prehook(hook)

        is_tuple = True
        if not isinstance(args, tuple):
            args, is_tuple = (args,), False
        result, where = self._apply_on_tensors(attach, args)
        self.n_outputs = len(args)
        self.output_tensors_index = where
        return result if is_tuple else result[0]

    def _run_without_input_node(self):
        import warnings

        warnings.warn(
            "Full backward hook is firing when gradients are computed with respect to module "
            "outputs since no inputs require gradients. See "
            "https://docs.pytorch.org/docs/main/generated/torch.nn.Module.html"
            "#torch.nn.Module.register_full_backward_hook "
            "for more details.",
            stacklevel=6,
        )
        grad_inputs = self._pack_with_none([], [], self.n_inputs)
        for user_hook in self.user_hooks:
            changed = user_hook(self.module, grad_inputs, self.grad_outputs)
            if changed is not None and not (
                isinstance(changed, tuple) and all(g is None for g in changed)
            ):
                raise RuntimeError(
                    "Backward hook for Modules where no input requires gradient should "
                    "always return None or None for all gradients."
                )
        self.grad_outputs = None


_identity = None


def _identity_function():
    """The autograd function that hands its inputs on; made on first use, as autograd is not needed
    before.
    """
    global _identity
    if _identity is None:
        import mindtorch_v2 as torch

        class BackwardHookFunction(torch.autograd.Function):
            @staticmethod
            def forward(ctx, *args):
                ctx.mark_non_differentiable(*[arg for arg in args if not arg.requires_grad])
                return args if len(args) > 1 else args[0]

            @staticmethod
            def backward(ctx, *grads):
                return grads

        _identity = BackwardHookFunction
    return _identity
