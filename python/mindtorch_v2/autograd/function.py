"""Operators with a backward written in Python."""

from .. import _C

__all__ = ["Function", "FunctionCtx", "InplaceFunction", "once_differentiable"]


class FunctionCtx:
    """What forward tells the node; `ctx` in forward, setup_context and backward."""

    def save_for_backward(self, *tensors):
        """Keeps tensors (or None) for backward, which finds them in `ctx.saved_tensors`; call it
        once. A later in-place write to one of them raises RuntimeError in backward."""
        self.to_save = tensors

    def save_for_forward(self, *tensors):
        """Keeps tensors for jvp."""
        self.saved_for_forward = tensors

    def mark_dirty(self, *args):
        """Says which inputs forward has written in place; all must be returned."""
        self.dirty_tensors = args

    def mark_non_differentiable(self, *args):
        """Says which outputs carry no gradient."""
        self.non_differentiable = args

    def set_materialize_grads(self, value):
        """False: backward gets None, not zeros, where no gradient arrived."""
        self.materialize_grads = value


class BackwardCFunction(_C._FunctionBase, FunctionCtx):
    """The class of the nodes; each Function has a subclass named after it."""

    def apply(self, *args):
        cls = self._forward_cls
        backward, vjp = cls.backward, cls.vjp
        if vjp is Function.vjp:
            return backward(self, *args)
        if backward is not Function.backward:
            raise RuntimeError(
                "Implementing both 'backward' and 'vjp' for a custom Function is not allowed. You "
                "should only implement one of them."
            )
        return vjp(self, *args)


class FunctionMeta(type):
    """Gives every Function its node class."""

    def __init__(cls, name, bases, attrs):
        super().__init__(name, bases, attrs)
        made = type(name + "Backward", (BackwardCFunction,), {"_forward_cls": cls})
        made.__module__ = "torch.autograd.function"
        cls._backward_cls = made

    @property
    def _has_setup_context(cls):
        return cls.setup_context is not Function.setup_context


class Function(_C._FunctionBase, FunctionCtx, metaclass=FunctionMeta):
    """An operator with its own derivative.

    Subclasses define the static methods forward(ctx, *args), or forward(*args) together with
    setup_context(ctx, inputs, output), and backward(ctx, *grads), which returns one gradient or
    None per argument of forward. Use: `Name.apply(*args)`. Reference: torch.autograd.Function.
    """

    generate_vmap_rule = False

    @staticmethod
    def forward(*args, **kwargs):
        raise NotImplementedError(
            "You must implement the forward function for custom autograd.Function."
        )

    @staticmethod
    def setup_context(ctx, inputs, output):
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx, *grad_outputs):
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom autograd.Function "
            "to use it with backward mode AD."
        )

    vjp = staticmethod(lambda ctx, *grad_outputs: Function.backward(ctx, *grad_outputs))

    @staticmethod
    def jvp(ctx, *grad_inputs):
        raise NotImplementedError(
            "You must implement the jvp function for custom autograd.Function to use it with forward "
            "mode AD."
        )

    @staticmethod
    def vmap(info, in_dims, *args):
        raise NotImplementedError(
            "To use autograd.Function with vmap, you must either override the vmap staticmethod or "
            "set generate_vmap_rule=True."
        )

    @classmethod
    def apply(cls, *args, **kwargs):
        """Runs forward on the arguments and records the node. Returns what forward returned."""
        if cls._has_setup_context:
            from inspect import signature

            bound = signature(cls.forward).bind(*args, **kwargs)
            bound.apply_defaults()
            args, kwargs = bound.args, {}
        if kwargs:
            raise TypeError(f"forward() got an unexpected keyword argument '{next(iter(kwargs))}'")
        if _C._functorch._active():
            from . import _function_vmap

            return _function_vmap.apply(cls, args)
        return super().apply(*args)


class InplaceFunction(Function):
    """A Function with an `inplace` attribute."""

    def __init__(self, inplace=False):
        super().__init__()
        self.inplace = inplace


class _Once(Function):
    """The history of gradients that cannot be differentiated again."""

    @staticmethod
    def forward(ctx, *tensors):
        return tensors

    @staticmethod
    def backward(ctx, *grads):
        raise RuntimeError(
            "trying to differentiate twice a function that was marked with @once_differentiable"
        )


def once_differentiable(fn):
    """Marks a backward that is not differentiable itself: it runs unrecorded, and differentiating
    its results raises RuntimeError."""
    from functools import wraps

    @wraps(fn)
    def wrapper(ctx, *args):
        from . import no_grad

        with no_grad():
            outputs = fn(ctx, *args)
        needed = [a for a in args if isinstance(a, _C.TensorBase) and a.requires_grad]
        if not _C.is_grad_enabled() or not needed:
            return outputs
        single = not isinstance(outputs, tuple)
        results = [outputs] if single else list(outputs)
        where = [i for i, o in enumerate(results) if isinstance(o, _C.TensorBase)]
        made = _Once.apply(*(results[i].detach().requires_grad_() for i in where))
        for i, o in zip(where, made):
            results[i] = o
        return results[0] if single else tuple(results)

    return wrapper
