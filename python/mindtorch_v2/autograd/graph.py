"""Nodes and edges of the graph as objects, and hooks on what the graph keeps."""

import abc
from collections import namedtuple

from .. import _C
from ..utils._contextlib import _DecoratorContextManager

__all__ = [
    "saved_tensors_hooks",
    "save_on_cpu",
    "disable_saved_tensors_hooks",
    "register_multi_grad_hook",
    "allow_mutation_on_saved_tensors",
    "Node",
    "GradientEdge",
    "get_gradient_edge",
    "increment_version",
]


class Node(abc.ABC):
    """What every `grad_fn` is an instance of: it has name(), metadata, next_functions,
    register_hook(fn) and register_prehook(fn)."""

    @abc.abstractmethod
    def name(self):
        """The node's name."""

    @property
    @abc.abstractmethod
    def next_functions(self):
        """Pairs (node, input number) that this one feeds."""

    @abc.abstractmethod
    def metadata(self):
        """A dict for the user."""

    @abc.abstractmethod
    def register_hook(self, fn):
        """Calls fn(grad_inputs, grad_outputs) after the node ran; returns a handle."""

    @abc.abstractmethod
    def register_prehook(self, fn):
        """Calls fn(grad_outputs) before the node runs; returns a handle."""

    @classmethod
    def __subclasshook__(cls, subclass):
        return issubclass(subclass, _C._Node) if cls is Node else NotImplemented


GradientEdge = namedtuple("GradientEdge", ["node", "output_nr", "ownership_token"], defaults=[None])
GradientEdge.__doc__ = """Where the gradient of a tensor arrives: a node and which of its outputs.

Stands for a tensor as an input or output of `autograd.grad` and `autograd.backward`.
"""


def _node_of(tensor):
    """The node a gradient of `tensor` goes to: its grad_fn, or the accumulator of a leaf."""
    if tensor.requires_grad and tensor.grad_fn is None:
        from . import enable_grad

        with enable_grad():
            return tensor.view_as(tensor).grad_fn.next_functions[0][0]
    node = tensor.grad_fn
    if node is None:
        raise AssertionError("Expected gradient function to be set")
    return node


def get_gradient_edge(tensor):
    """The edge of `tensor`; for a leaf, that of its accumulator.

    Raises RuntimeError for a tensor that needs no gradient. Reference:
    torch.autograd.graph.get_gradient_edge.
    """
    if not tensor.requires_grad:
        raise RuntimeError(
            "It is not possible to get the gradient edge for a Tensor that does not require gradients"
        )
    return GradientEdge(_node_of(tensor), tensor.output_nr)


def increment_version(tensor):
    """Counts one in-place write to a tensor, or to each of an iterable of tensors, as if it had been
    made: for writes that PyTorch cannot see. RuntimeError for what is neither."""
    if isinstance(tensor, _C.TensorBase):
        tensor = (tensor,)
    _C._increment_version(tensor)


class saved_tensors_hooks:
    """Context manager: what is saved for backward inside goes through `pack_hook(tensor) -> object`,
    and through `unpack_hook(object) -> tensor` when backward needs it.

    The innermost pair applies. A pack hook must not write to its argument (RuntimeError); what
    unpack gives must be a tensor (TypeError) with the content of what was packed. Reference:
    torch.autograd.graph.saved_tensors_hooks.
    """

    def __init__(self, pack_hook, unpack_hook):
        self.pack_hook = pack_hook
        self.unpack_hook = unpack_hook

    def __enter__(self):
        _C._autograd._push_saved_tensors_default_hooks(self.pack_hook, self.unpack_hook)

    def __exit__(self, *args):
        _C._autograd._pop_saved_tensors_default_hooks()


class save_on_cpu(saved_tensors_hooks):
    """Context manager: saved tensors are kept as copies in the memory of the CPU and brought back to
    their device for backward. pin_memory: in page-locked memory, where the accelerator
    `device_type` is there."""

    def __init__(self, pin_memory=False, device_type="cuda"):
        def pack(tensor):
            if not pin_memory:
                return (tensor.device, tensor.cpu())
            packed = _C._VariableFunctions.empty(tensor.size(), dtype=tensor.dtype, layout=tensor.layout)
            packed.copy_(tensor)
            return (tensor.device, packed)

        def unpack(packed):
            device, tensor = packed
            return tensor.to(device, non_blocking=pin_memory)

        super().__init__(pack, unpack)


class disable_saved_tensors_hooks(_DecoratorContextManager):
    """Context manager and decorator: saved-tensor hooks raise RuntimeError(error_message) inside, and
    so does entering while some are active."""

    def __init__(self, error_message):
        self.error_message = error_message
        self._before = []

    def __enter__(self):
        self._before.append(_C._autograd._saved_tensors_hooks_get_disabled_error_message())
        try:
            _C._autograd._saved_tensors_hooks_disable(self.error_message)
        except BaseException:
            self._before.pop()
            raise

    def __exit__(self, *args):
        before = self._before.pop()
        if before is None:
            _C._autograd._saved_tensors_hooks_enable()
        else:
            _C._autograd._saved_tensors_hooks_disable(before)

    def clone(self):
        return type(self)(self.error_message)


class _MultiHandle:
    """Removes several hooks at once."""

    def __init__(self, handles):
        self.handles = tuple(handles)

    def remove(self):
        for handle in self.handles:
            handle.remove()

    def __getstate__(self):
        return self.handles

    def __setstate__(self, state):
        self.handles = state

    def __enter__(self):
        return self

    def __exit__(self, type, value, tb):
        self.remove()


def register_multi_grad_hook(tensors, fn, *, mode="all"):
    """Calls `fn` in every backward that reaches `tensors`: with mode "all", fn(list of gradients, None
    where there is none) once those that will come have come; with "any", fn(gradient) for the first.

    Returns a handle with remove(). ValueError for another mode. Reference:
    torch.autograd.graph.register_multi_grad_hook.
    """
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    import threading

    lock = threading.Lock()
    nodes = [_node_of(t) for t in tensors]
    if mode == "any":
        seen = set()

        def first(grad):
            task = _C._current_graph_task_id()
            if task == -1:
                raise RuntimeError("expected this hook to be called inside a backward call")
            with lock:
                if task in seen:
                    return
                seen.add(task)
            fn(grad)

        return _MultiHandle(t.register_hook(first) for t in tensors if t.requires_grad)

    waiting = {}  # task: [gradients, how many have come, how many will]

    def part(at):
        def hook(grad):
            task = _C._current_graph_task_id()
            if task == -1:
                raise RuntimeError("expected this hook to be called inside a backward call")
            with lock:
                state = waiting.get(task)
                if state is None:
                    due = sum(map(_C._will_engine_execute_node, nodes))
                    state = waiting[task] = [[None] * len(tensors), 0, due]
                state[0][at] = grad
                state[1] += 1
                complete = state[1] == state[2]
                if complete:
                    del waiting[task]
            if complete:
                fn(state[0])

        return hook

    return _MultiHandle(t.register_hook(part(i)) for i, t in enumerate(tensors))


class allow_mutation_on_saved_tensors(_DecoratorContextManager):
    """Context manager: tensors that backward needs may be written in place inside; their content is
    copied when they are saved, so backward sees what forward saw.

    Backward must run before the end. Not re-entrant (RuntimeError). Reference:
    torch.autograd.graph.allow_mutation_on_saved_tensors, which copies on the write instead.
    """

    _inside = False

    def __enter__(self):
        if allow_mutation_on_saved_tensors._inside:
            raise RuntimeError("allow_mutation_on_saved_tensors contexts cannot be nested")

        def pack(tensor):
            return (alive, tensor.detach().clone())

        def unpack(packed):
            if not packed[0]:
                raise AssertionError(
                    "Trying to backward outside of the 'allow_mutation_on_saved_tensors' context"
                    "in which the graph was originally recorded."
                )
            return packed[1]

        self._alive = alive = [True]
        self._hooks = saved_tensors_hooks(pack, unpack)
        self._hooks.__enter__()
        allow_mutation_on_saved_tensors._inside = True
        return self

    def __exit__(self, *args):
        self._hooks.__exit__(*args)
        self._alive.clear()
        allow_mutation_on_saved_tensors._inside = False

    def clone(self):
        return type(self)()
