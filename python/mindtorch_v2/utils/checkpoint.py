"""Checkpointing: run a part of a model without keeping what its backward pass needs, and run it again
when the backward pass comes (Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016).

Note: the two variants

`use_reentrant=True` runs the part as one node of the graph, with gradients off, and inside the
node's backward runs it again with gradients on and calls backward once more. It needs inputs that
require gradients and does not know which gradients are wanted.

`use_reentrant=False` records the part as usual, but hooks on saved tensors put an empty holder in the
place of each. The first holder that a backward pass opens has the whole part run again; its saved
tensors, in the same order, fill the holders that are still alive. The run stops when the last one is
filled. Each backward pass ("graph task") recomputes for itself, so one graph may be walked more than
once. Inputs are kept by a node of their own, so that outer hooks, also those of an outer checkpoint,
see them as saved tensors.
"""

import contextlib
import weakref

import mindtorch_v2 as torch

__all__ = [
    "checkpoint",
    "checkpoint_sequential",
    "CheckpointError",
    "CheckpointFunction",
    "check_backward_validity",
    "detach_variable",
    "get_device_states",
    "set_device_states",
    "noop_context_fn",
    "set_checkpoint_early_stop",
    "DefaultDeviceType",
    "GraphExecGroup",
]


class CheckpointError(RuntimeError):
    """The part did not do the same when it was run again."""


class DefaultDeviceType:
    """The device whose random state is kept beside that of the CPU: there is none."""

    _default_device_type = None

    @staticmethod
    def set_device_type(device="cuda"):
        """Set the name of the device type."""
        DefaultDeviceType._default_device_type = device

    @staticmethod
    def get_device_type():
        """The name of the device type."""
        return DefaultDeviceType._default_device_type or "cpu"


def detach_variable(inputs):
    """The tuple `inputs` with its tensors cut off from their history, as leaves that require gradients
    where the inputs do. RuntimeError for what is no tuple."""
    if not isinstance(inputs, tuple):
        raise RuntimeError(
            "Only tuple of tensors is supported. Got Unsupported input type: " + type(inputs).__name__
        )
    out = []
    for value in inputs:
        if isinstance(value, torch.Tensor):
            detached = value.detach()
            detached.requires_grad = value.requires_grad
            value = detached
        out.append(value)
    return tuple(out)


def check_backward_validity(inputs):
    """Warn if no tensor among `inputs` requires a gradient."""
    if not any(value.requires_grad for value in inputs if isinstance(value, torch.Tensor)):
        import warnings

        warnings.warn(
            "None of the inputs have requires_grad=True. Gradients will be None", stacklevel=2
        )


def get_device_states(*args):
    """Devices other than the CPU among the tensors in `args`, and their random states: none."""
    return [], []


def set_device_states(devices, states, *, device_type=None):
    """Restore what `get_device_states` gave."""


def noop_context_fn():
    """Two contexts that do nothing, for the first and the second run."""
    return contextlib.nullcontext(), contextlib.nullcontext()


class _Surroundings:
    """The random and autocast state of the first run, for the second one to run in."""

    def __init__(self, preserve_rng_state):
        self.rng_state = torch.get_rng_state() if preserve_rng_state else None
        self.autocast = {
            "enabled": torch.is_autocast_enabled("cpu"),
            "dtype": torch.get_autocast_dtype("cpu"),
            "cache_enabled": torch.is_autocast_cache_enabled(),
        }

    @contextlib.contextmanager
    def restored(self):
        with (
            torch.random.fork_rng(devices=[], enabled=self.rng_state is not None),
            torch.amp.autocast("cpu", **self.autocast),
        ):
            if self.rng_state is not None:
                torch.set_rng_state(self.rng_state)
            yield


# ---------------------------------------------------------------- reentrant


def __getattr__(name):
    if name == "CheckpointFunction":  # needs autograd, which may come after this module
        return _checkpoint_function()
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


_function = None


def _checkpoint_function():
    """The autograd function of the reentrant variant, made on first use."""
    global _function
    if _function is not None:
        return _function

    class CheckpointFunction(torch.autograd.Function):
        """apply(run_function, preserve_rng_state, *args): one node for all of `run_function`."""

        @staticmethod
        def forward(ctx, run_function, preserve_rng_state, *args):
            check_backward_validity(args)
            ctx.run_function = run_function
            ctx.surroundings = _Surroundings(preserve_rng_state)
            ctx.where = [i for i, arg in enumerate(args) if isinstance(arg, torch.Tensor)]
            ctx.others = [None if isinstance(arg, torch.Tensor) else arg for arg in args]
            ctx.save_for_backward(*(args[i] for i in ctx.where))
            with torch.no_grad():
                return run_function(*args)

        @staticmethod
        def backward(ctx, *grads):
            valid = getattr(torch.autograd, "_is_checkpoint_valid", None)
            if valid is not None and not valid():
                raise RuntimeError(
                    "When use_reentrant=True, torch.utils.checkpoint is incompatible with .grad() "
                    "or passing an `inputs` parameter to .backward(). To resolve this error, you can "
                    "either set use_reentrant=False, or call .backward() without passing the "
                    "`inputs` argument."
                )
            args = list(ctx.others)
            for i, tensor in zip(ctx.where, ctx.saved_tensors, strict=True):
                args[i] = tensor
            args = detach_variable(tuple(args))
            with ctx.surroundings.restored(), torch.enable_grad():
                outputs = ctx.run_function(*args)
            if isinstance(outputs, torch.Tensor):
                outputs = (outputs,)
            pairs = [
                (out, grad)
                for out, grad in zip(outputs, grads, strict=False)
                if isinstance(out, torch.Tensor) and out.requires_grad
            ]
            if not pairs:
                raise RuntimeError(
                    "none of output has requires_grad=True, this checkpoint() is not necessary"
                )
            torch.autograd.backward(*([list(column) for column in zip(*pairs, strict=True)]))
            of_args = (arg.grad if isinstance(arg, torch.Tensor) else None for arg in args)
            return (None, None, *of_args)

    CheckpointFunction.__qualname__ = "CheckpointFunction"
    _function = CheckpointFunction
    return _function


# ---------------------------------------------------------------- not reentrant

_early_stop_override = None


@contextlib.contextmanager
def set_checkpoint_early_stop(enable):
    """Inside, checkpoints stop their second run as soon as they have what they need (True), or run
    to the end (False), whatever their own `early_stop` says."""
    global _early_stop_override
    before, _early_stop_override = _early_stop_override, enable
    try:
        yield
    finally:
        _early_stop_override = before


class GraphExecGroup:
    """Backward calls inside one `with` share what checkpoints recompute. Not nestable."""

    _current = None

    def __enter__(self):
        if GraphExecGroup._current is not None:
            raise RuntimeError(
                "GraphExecGroup contexts cannot be nested. "
                f"Already inside group {GraphExecGroup._current}"
            )
        GraphExecGroup._current = self
        return self

    def __exit__(self, *args):
        GraphExecGroup._current = None

    @classmethod
    def _get_current_group(cls):
        return cls._current


class _StopRecomputationError(Exception):
    """Ends a second run that has filled all holders."""


class _Handle:
    """The key of a recomputed tensor; when it goes, the tensor goes."""


class _Holder:
    """Stands for a saved tensor; `handles` has its handle by graph task, None once taken."""

    def __init__(self):
        self.handles = {}


_save_inputs = None


def _inputs_node(*inputs):
    """A node that has saved the tensors among `inputs`, or None while gradients are off."""
    global _save_inputs
    if _save_inputs is None:

        class SaveInputs(torch.autograd.Function):
            @staticmethod
            def forward(ctx, dummy, *inputs):
                ctx.where = [i for i, x in enumerate(inputs) if isinstance(x, torch.Tensor)]
                ctx.others = [None if isinstance(x, torch.Tensor) else x for x in inputs]
                ctx.save_for_backward(*(inputs[i] for i in ctx.where))
                return torch.empty((0,))

            @staticmethod
            def backward(ctx, *grads):
                raise AssertionError("the node that keeps the inputs is never walked")

        _save_inputs = SaveInputs
    return _save_inputs.apply(torch.empty((0,), requires_grad=True), *inputs).grad_fn


def _inputs_of(node):
    inputs = list(node.others)
    for i, tensor in zip(node.where, node.saved_tensors, strict=True):
        inputs[i] = tensor
    return inputs


def _metadata(tensor):
    return {"shape": tensor.shape, "dtype": tensor.dtype, "device": tensor.device}


class _Frame:
    """One checkpointed call: its holders in the order of saving, and what has been recomputed."""

    def __init__(self, run_again, early_stop, metadata):
        self.run_again = run_again
        self.early_stop = early_stop
        self.metadata = metadata  # what of a saved tensor must be the same; None: nothing
        self.inputs_node = None
        self.holders = []  # weak references
        self.seen = []  # metadata by holder
        self.recomputed = {}  # by graph task: {handle: tensor}, weak in the handles
        self.counts = {}  # by graph task: how many tensors the second run has saved
        self.done = set()  # graph tasks whose second run is over

    # ---- first run

    def pack(self, tensor):
        """Keep a holder instead of the tensor."""
        holder = _Holder()
        self.holders.append(weakref.ref(holder))
        if self.metadata is not None:
            with torch.no_grad():
                self.seen.append(self.metadata(tensor))
        return holder

    def unpack(self, holder):
        """The tensor that belongs into `holder`, from a second run."""
        group = GraphExecGroup._get_current_group()
        task = group if group is not None else torch._C._current_graph_task_id()
        if task == -1:  # somebody looks at a saved tensor, no backward pass runs
            task = object()
        if task not in self.done:
            self._recompute(task)
        if task not in holder.handles:
            raise RuntimeError(
                "Something went unexpectedly wrong in activation checkpoint. "
                "Please report this bug by filing an issue to PyTorch."
            )
        handle = holder.handles[task]
        if handle is None:
            words = ""
            if group is not None:
                words = (
                    "Performing two backward calls that overlap (i.e. require the same saved "
                    "activation in order to compute gradients) is not allowed while under the "
                    "torch.utils.checkpoint.GraphExecGroup context. "
                )
            raise CheckpointError(
                "torch.utils.checkpoint: Unpack is being triggered for a tensor that was already "
                f"unpacked once. {words}If you are calling ctx.saved_tensors in backward, make sure "
                "to do so only once. Otherwise please open an issue with details on your use case."
            )
        tensor = self.recomputed[task][handle]
        holder.handles[task] = None
        return tensor

    # ---- second run

    def _recompute(self, task):
        inputs = _inputs_of(self.inputs_node)
        self.recomputed[task] = weakref.WeakKeyDictionary()
        self.counts[task] = 0
        ref = weakref.ref(self)

        def pack(tensor):
            frame = ref()
            tensor = tensor.detach() if tensor.requires_grad else tensor
            frame._fill(task, tensor)
            return tensor

        with contextlib.suppress(_StopRecomputationError):
            with (
                torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor),
                torch.enable_grad(),
            ):
                self.run_again(*inputs)
        self.done.add(task)
        self._check(task)

    def _fill(self, task, tensor):
        place = self.counts[task]
        self.counts[task] += 1
        if place >= len(self.holders):
            raise CheckpointError(
                "torch.utils.checkpoint: trying to save more tensors during recomputation than "
                "during the original forward pass.\n"
            )
        holder = self.holders[place]()
        if holder is not None:  # else nobody needs it any more
            handle = _Handle()
            holder.handles[task] = handle
            self.recomputed[task][handle] = tensor
        if self.early_stop and self.counts[task] == len(self.holders):
            raise _StopRecomputationError

    def _check(self, task):
        """CheckpointError if the second run saved other tensors than the first one."""
        if self.counts[task] != len(self.holders):
            raise CheckpointError(
                "torch.utils.checkpoint: A different number of tensors was saved during the "
                "original forward and recomputation.\n"
                f"Number of tensors saved during forward: {len(self.holders)}\n"
                f"Number of tensors saved during recomputation: {self.counts[task]}."
            )
        if self.metadata is None:
            return
        differences = ""
        for i, ref in enumerate(self.holders):
            holder = ref()
            if holder is None or holder.handles.get(task) is None:
                continue
            now = self.metadata(self.recomputed[task][holder.handles[task]])
            if now != self.seen[i]:
                differences += (
                    f"tensor at position {i}:\nsaved metadata: {self.seen[i]}\n"
                    f"recomputed metadata: {now}\n"
                )
        if differences:
            raise CheckpointError(
                "torch.utils.checkpoint: Recomputed values for the following tensors have different "
                f"metadata than during the forward pass.\n{differences}."
            )


_METADATA = {"default": _metadata, "none": None}


def _without_reentry(
    function, preserve_rng_state, context_fn, determinism_check, early_stop, args, kwargs
):
    if determinism_check not in _METADATA:
        raise ValueError(
            f"determinism_check should be one of {list(_METADATA)}, but got {determinism_check}"
        )
    if _early_stop_override is not None:
        early_stop = _early_stop_override
    first, second = context_fn()
    surroundings = _Surroundings(preserve_rng_state)

    def run_again(kwargs, *args):
        with surroundings.restored(), second:
            function(*args, **kwargs)

    frame = _Frame(run_again, early_stop, _METADATA[determinism_check])
    frame.inputs_node = _inputs_node(kwargs, *args)
    if frame.inputs_node is None:  # gradients are off: nothing will be saved
        return function(*args, **kwargs)
    completed = False
    with torch.autograd.graph.saved_tensors_hooks(frame.pack, frame.unpack), first:
        result = function(*args, **kwargs)
        completed = True
    if not completed:
        raise RuntimeError(
            "torch.utils.checkpoint: the forward context provided by context_fn suppressed an "
            "exception raised during the checkpointed forward. This is not supported because "
            "checkpoint cannot return a value for a failed forward."
        )
    return result


# ---------------------------------------------------------------- for users


def _reentrant_by_default(what, when):
    import warnings

    warnings.warn(
        f"{what}: the use_reentrant parameter should be passed explicitly. {when} "
        "use_reentrant=False is recommended, but if you need to preserve the current default "
        "behavior, you can pass use_reentrant=True. Refer to docs for more details on the "
        "differences between the two variants.",
        stacklevel=3,
    )
    return True


def checkpoint(
    function,
    *args,
    use_reentrant=None,
    context_fn=noop_context_fn,
    determinism_check="default",
    debug=False,
    early_stop=True,
    **kwargs,
):
    """``function(*args)`` that keeps only its inputs for the backward pass and runs again then.

    `use_reentrant` chooses one of two variants (None: True, with a warning); see the module. The
    random state of the first run is used for the second one unless ``preserve_rng_state=False`` is
    given. Without reentry further keyword arguments go to `function`; `context_fn` returns two
    contexts, for the first and the second run; `determinism_check` "none" leaves shapes, dtypes and
    devices of recomputed tensors unchecked; `early_stop` ends the second run when all that is needed
    is there. With reentry these raise ValueError. CheckpointError, in the backward pass, if the
    second run differs. `debug` is not available: NotImplementedError.
    """
    if use_reentrant is None:
        use_reentrant = _reentrant_by_default(
            "torch.utils.checkpoint",
            "Starting in PyTorch 2.9, calling checkpoint without use_reentrant will raise an "
            "exception.",
        )
    preserve = kwargs.pop("preserve_rng_state", True)
    if kwargs and use_reentrant:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    if use_reentrant:
        if context_fn is not noop_context_fn or debug is not False:
            raise ValueError(
                "Passing `context_fn` or `debug` is only supported when use_reentrant=False."
            )
        return _checkpoint_function().apply(function, preserve, *args)
    if debug:
        if context_fn is not noop_context_fn:
            raise ValueError("debug=True is incompatible with non-default context_fn")
        raise NotImplementedError("checkpoint: debug=True is not available")
    return _without_reentry(
        function, preserve, context_fn, determinism_check, early_stop, args, kwargs
    )


def checkpoint_sequential(functions, segments, input, use_reentrant=None, **kwargs):
    """Run the modules or functions of `functions` (a Sequential or a list) one after the other on
    `input`, in `segments` parts of equal length (the last takes the rest), each but the last under
    `checkpoint`. `use_reentrant` and `preserve_rng_state` as there."""
    if use_reentrant is None:
        use_reentrant = _reentrant_by_default(
            "torch.utils.checkpoint.checkpoint_sequential",
            "In version 2.9 we will raise an exception if use_reentrant is not passed.",
        )
    preserve = kwargs.pop("preserve_rng_state", True)
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    if isinstance(functions, torch.nn.Sequential):
        functions = list(functions.children())

    def part(start, end):
        def run(value):
            for function in functions[start:end]:
                value = function(value)
            return value

        return run

    length = len(functions) // segments
    last = 0
    for last in range(length, length * segments, length):
        input = checkpoint(
            part(last - length, last),
            input,
            use_reentrant=use_reentrant,
            preserve_rng_state=preserve,
        )
    return part(last, len(functions))(input)
