"""Events of a profile, their averages and the table.

Reference behaviour: PyTorch 2.13's `torch.autograd.profiler_util`. Events that were recorded are
views of the recorder's memory (`_C._profiler.Event`): an attribute is computed when it is first
asked for. Times are microseconds, memory is bytes.
"""

from collections import defaultdict, namedtuple
from enum import Enum
from operator import attrgetter

from .. import _C

__all__ = [
    "EventList",
    "FormattedTimesMixin",
    "Interval",
    "Kernel",
    "FunctionEvent",
    "FunctionEventAvg",
    "StringTable",
    "MemRecordsAcc",
]

MEMORY_EVENT_NAME = "[memory]"
OUT_OF_MEMORY_EVENT_NAME = "[OutOfMemory]"

_p = _C._profiler


class DeviceType(str, Enum):
    """Kinds of devices. A member prints like PyTorch's and equals its name as a string."""

    def __new__(cls, number, name):
        member = str.__new__(cls, name)
        member._value_ = number
        return member

    CPU = 0, "CPU"
    CUDA = 1, "CUDA"
    MKLDNN = 2, "MKLDNN"
    OPENGL = 3, "OPENGL"
    OPENCL = 4, "OPENCL"
    IDEEP = 5, "IDEEP"
    HIP = 6, "HIP"
    FPGA = 7, "FPGA"
    MAIA = 8, "MAIA"
    XLA = 9, "XLA"
    Vulkan = 10, "Vulkan"
    Metal = 11, "Metal"
    XPU = 12, "XPU"
    MPS = 13, "MPS"
    Meta = 14, "Meta"
    HPU = 15, "HPU"
    VE = 16, "VE"
    Lazy = 17, "Lazy"
    IPU = 18, "IPU"
    MTIA = 19, "MTIA"
    PrivateUse1 = 20, "PrivateUse1"

    def __str__(self):
        return f"DeviceType.{self.name}"

    def __repr__(self):
        return f"<DeviceType.{self.name}: {self.value}>"

    __format__ = object.__format__


# ---------------------------------------------------------------- formats


def _format_time(time_us, time_unit=None):
    """`time_us` microseconds as text in "s", "ms" or "us"; without a unit, in the largest in which
    the figure is at least one."""
    if time_unit is None:
        time_unit = "s" if time_us >= 1e6 else "ms" if time_us >= 1e3 else "us"
    scale = {"s": 1e6, "ms": 1e3, "us": 1.0}.get(time_unit)
    if scale is None:
        raise ValueError(f"time_unit must be 's', 'ms' or 'us', got {time_unit!r}")
    return f"{time_us / scale:.3f}{time_unit}"


def _format_time_share(time_us, total_time_us):
    """A share in percent; of nothing, only nothing can be taken."""
    if total_time_us == 0:
        if time_us != 0:
            raise AssertionError(f"Expected time_us == 0 but got {time_us}")
        return "NaN"
    return f"{time_us * 100.0 / total_time_us:.2f}%"


def _format_memory(nbytes):
    for unit, power in (("GB", 30), ("MB", 20), ("KB", 10)):
        if abs(nbytes) >= 1 << power:
            return f"{nbytes / (1 << power):.2f} {unit}"
    return f"{nbytes} B"


def _attr_formatter(name):
    return property(lambda self: _format_time(getattr(self, name)))


def _rewrite_name(name, with_wildcard=False):
    if with_wildcard and name.startswith("ProfilerStep#"):
        return "ProfilerStep*"
    return name


_HIDDEN_NAMES = frozenset(
    [
        MEMORY_EVENT_NAME,
        OUT_OF_MEMORY_EVENT_NAME,
        "profiler::_record_function_enter",
        "profiler::_record_function_enter_new",
        "profiler::_record_function_exit",
        "aten::is_leaf",
        "aten::output_nr",
        "aten::_version",
    ]
)


def _filter_name(name):
    """Whether events of this name are left out of events()."""
    return name in _HIDDEN_NAMES


def _filter_stack_entry(entry):
    return True


def _deprecated_alias(name, new, text):
    def get(self):
        import warnings

        warnings.warn(text, FutureWarning, stacklevel=2)
        return getattr(self, new)

    get.__name__ = name
    return property(get)


class FormattedTimesMixin:
    """Times as text, for whatever has cpu_time_total, device_time_total and count."""

    cpu_time_str = _attr_formatter("cpu_time")
    device_time_str = _attr_formatter("device_time")
    cpu_time_total_str = _attr_formatter("cpu_time_total")
    device_time_total_str = _attr_formatter("device_time_total")
    self_cpu_time_total_str = _attr_formatter("self_cpu_time_total")
    self_device_time_total_str = _attr_formatter("self_device_time_total")

    @property
    def cpu_time(self):
        """Microseconds per call."""
        return 0.0 if self.count == 0 else 1.0 * self.cpu_time_total / self.count

    @property
    def device_time(self):
        return 0.0 if self.count == 0 else 1.0 * self.device_time_total / self.count

    cuda_time = _deprecated_alias(
        "cuda_time", "device_time", "`cuda_time` is deprecated, please use `device_time` instead."
    )


class Interval:
    """A stretch of time in microseconds."""

    def __init__(self, start, end):
        self.start = start
        self.end = end

    def elapsed_us(self):
        return self.end - self.start


Kernel = namedtuple("Kernel", ["name", "device", "duration"])


# ---------------------------------------------------------------- events

# ORDER EVENT FIELDS: what _C._profiler.Session.event returns.
(
    _NAME,
    _BEGIN,
    _END,
    _KERNEL_BEGIN,
    _KERNEL_END,
    _SELF,
    _SEQUENCE,
    _THREAD,
    _TID,
    _FORWARD_THREAD,
    _KIND,
    _FLAGS,
    _FORWARD,
    _MEMORY,
    _SELF_MEMORY,
    _KERNEL_NAME,
    _FLOPS,
) = range(17)


def _nested(dims):
    """PyTorch's flat shapes: a list of tensors has none."""
    return [] if dims and isinstance(dims[0], list) else dims


def _make_fields():
    """Attribute -> function(recording, fields, event)."""

    def name(r, f, e):
        return _rewrite_name(r.names[f[_NAME]][0], with_wildcard=True)

    def inputs(position, convert=None):
        def get(r, f, e):
            found = r.inputs(e._index)
            if found is None:
                return []
            return [convert(x) for x in found[position]] if convert else found[position]

        return get

    def is_async(r, f, e):
        return f[_KIND] == _p.SCOPE and f[_FLAGS] & (_p.ASYNC | _p.UNFINISHED) != 0

    constants = {
        "node_id": -1,
        "use_device": None,
        "device_memory_usage": 0,
        "is_remote": False,
        "device_type": DeviceType.CPU,
        "is_legacy": False,
        "is_python_function": False,
        "total_device_percent": -1,
        "_metadata_json": "",
        "flow_start": False,
        "flow_id": 0,
        "flow_type": 0,
        "linked_correlation_id": 0,
        "event_metadata": None,
        "python_id": -1,
        "python_parent_id": -1,
        "python_module_id": -1,
        "self_cpu_percent": -1,
        "total_cpu_percent": -1,
        "count": 1,
    }
    fields = {key: (lambda r, f, e, value=value: value) for key, value in constants.items()}
    fields.update(
        id=lambda r, f, e: e._index + 1,
        external_id=lambda r, f, e: e._index + 1,
        name=name,
        overload_name=lambda r, f, e: r.names[f[_NAME]][1] if r.overload_names else "",
        trace_name=lambda r, f, e: r.names[f[_NAME]][0],
        time_range=lambda r, f, e: Interval(f[_BEGIN] / 1000, f[_END] / 1000),
        thread=lambda r, f, e: f[_THREAD],
        fwd_thread=lambda r, f, e: f[_FORWARD_THREAD],
        kernels=lambda r, f, e: [],
        cpu_children=lambda r, f, e: e._children(),
        cpu_parent=lambda r, f, e: e._parent(),
        input_shapes=inputs(0, _nested),
        structured_input_shapes=inputs(0),
        structured_input_strides=inputs(1),
        input_dtypes=inputs(2),
        concrete_inputs=inputs(3),
        kwinputs=lambda r, f, e: r.keywords(e._index),
        stack=lambda r, f, e: r.frames(r.stack(e._index)),
        scope=lambda r, f, e: 7 if f[_KIND] == _p.SCOPE else 1 if f[_KIND] == _p.NODE else 0,
        cpu_memory_usage=lambda r, f, e: f[_MEMORY],
        is_async=is_async,
        sequence_nr=lambda r, f, e: f[_SEQUENCE],
        device_index=lambda r, f, e: r.info["pid"],
        device_resource_id=lambda r, f, e: f[_TID],
        flops=lambda r, f, e: f[_FLOPS] if r.with_flops else 0,
        is_user_annotation=lambda r, f, e: f[_KIND] == _p.SCOPE,
        activity_type=lambda r, f, e: "user_annotation" if f[_KIND] == _p.SCOPE else "cpu_op",
    )
    return fields


_FIELDS = _make_fields()


def _extra_fields():
    """The further keys of `event[...]`."""

    def memory(which):
        def get(r, f, e):
            at = r.allocated_at
            before, after = at(f[_BEGIN]), at(f[_END])
            return {"before": before, "after": after, "delta": after - before}[which]

        return get

    return {
        "kind": lambda r, f, e: "scope" if f[_KIND] == _p.SCOPE else "op",
        "step": lambda r, f, e: r.step_at(f[_BEGIN]),
        "start_ns": lambda r, f, e: r.info["start_clock"] + f[_BEGIN],
        "end_ns": lambda r, f, e: r.info["start_clock"] + f[_END],
        "duration_ns": lambda r, f, e: f[_END] - f[_BEGIN],
        "correlation_id": lambda r, f, e: e._index + 1,
        "thread_id": lambda r, f, e: f[_TID],
        "cpu_memory_allocated_before": memory("before"),
        "cpu_memory_allocated_after": memory("after"),
        "cpu_memory_allocated_delta": memory("delta"),
    }


_EXTRA = _extra_fields()


class FunctionEvent(_p.Event, FormattedTimesMixin):
    """One operator, backward node or user scope.

    Recorded events also answer to `event[key]` and `key in event` for their attributes and for
    "kind" ("op" or "scope"), "step", "start_ns", "end_ns" (CLOCK_MONOTONIC), "duration_ns",
    "correlation_id", "thread_id" and, with profile_memory, "cpu_memory_allocated_before",
    "..._after" and "..._delta" (bytes of the whole process).
    """

    def __init__(
        self,
        id,
        name,
        thread,
        start_us,
        end_us,
        overload_name=None,
        fwd_thread=None,
        input_shapes=None,
        stack=None,
        scope=0,
        use_device=None,
        cpu_memory_usage=0,
        device_memory_usage=0,
        is_async=False,
        is_remote=False,
        sequence_nr=-1,
        node_id=-1,
        device_type=DeviceType.CPU,
        device_index=0,
        device_resource_id=None,
        is_legacy=False,
        flops=None,
        trace_name=None,
        concrete_inputs=None,
        kwinputs=None,
        is_user_annotation=False,
        is_python_function=False,
        activity_type=None,
        metadata_json=None,
        flow_id=None,
        flow_type=None,
        flow_start=None,
        external_id=0,
        linked_correlation_id=0,
        extra_meta=None,
        structured_input_shapes=None,
        structured_input_strides=None,
        input_dtypes=None,
        python_id=-1,
        python_parent_id=-1,
        python_module_id=-1,
    ):
        given = dict(locals())
        for key in ("self", "__class__", "start_us", "end_us", "metadata_json", "extra_meta"):
            given.pop(key, None)
        given.update(
            time_range=Interval(start_us, end_us),
            trace_name=name if trace_name is None else trace_name,
            device_resource_id=thread if device_resource_id is None else device_resource_id,
            kernels=[],
            count=1,
            cpu_children=[],
            cpu_parent=None,
            self_cpu_percent=-1,
            total_cpu_percent=-1,
            total_device_percent=-1,
            _metadata_json=metadata_json,
            event_metadata=extra_meta,
        )
        self.__dict__.update(given)

    def __getattr__(self, name):
        make = _FIELDS.get(name)
        session = self._session
        if make is None or session is None:
            raise AttributeError(f"'FunctionEvent' object has no attribute '{name}'")
        value = make(session, session.event(self._index), self)
        self.__dict__[name] = value
        return value

    def __getitem__(self, key):
        if key in _EXTRA and self._session is not None:
            return _EXTRA[key](self._session, self._session.event(self._index), self)
        if isinstance(key, str) and key in self:
            return getattr(self, key)
        raise KeyError(key)

    def __contains__(self, key):
        if self._session is not None and (key in _EXTRA or key in _FIELDS):
            if isinstance(key, str) and key.startswith("cpu_memory_allocated"):
                return self._session.profile_memory
            if key in ("input_shapes", "stack"):
                return bool(getattr(self, key))
            return True
        return key in self.__dict__

    def get(self, key, default=None):
        """`event[key]`, or `default` where there is none."""
        try:
            return self[key]
        except KeyError:
            return default

    def append_kernel(self, name, device, duration):
        if self.device_type != DeviceType.CPU:
            raise AssertionError("Expected device_type to be CPU")
        self.kernels.append(Kernel(name, device, duration))

    def append_cpu_child(self, child):
        """Adds a child; both must be events of the CPU."""
        for event in (self, child):
            if not isinstance(event, FunctionEvent):
                raise AssertionError("Expected a FunctionEvent")
            if event.device_type != DeviceType.CPU:
                raise AssertionError("Expected device_type to be CPU")
        self.cpu_children.append(child)

    def set_cpu_parent(self, parent):
        for event in (self, parent):
            if not isinstance(event, FunctionEvent):
                raise AssertionError("Expected a FunctionEvent")
            if event.device_type != DeviceType.CPU:
                raise AssertionError("Expected device_type to be CPU")
        self.cpu_parent = parent

    @property
    def cpu_time_total(self):
        if self.device_type != DeviceType.CPU:
            return 0
        return self.time_range.elapsed_us()

    @property
    def self_cpu_time_total(self):
        """Microseconds not spent in children; 0 for asynchronous events."""
        if self.is_async or self.device_type != DeviceType.CPU:
            return 0
        if self._session is not None:
            own = self._session.event(self._index)[_SELF] / 1000
            return min(own, self.cpu_time_total)  # which was rounded on its own
        return self.cpu_time_total - sum(child.cpu_time_total for child in self.cpu_children)

    @property
    def self_cpu_memory_usage(self):
        """Bytes allocated minus freed outside of children; 0 for asynchronous events."""
        if self.is_async or self.device_type != DeviceType.CPU:
            return 0
        if self._session is not None:
            return self._session.event(self._index)[_SELF_MEMORY]
        return self.cpu_memory_usage - sum(child.cpu_memory_usage for child in self.cpu_children)

    @property
    def device_time_total(self):
        return 0 if self.device_type == DeviceType.CPU else self.time_range.elapsed_us()

    @property
    def self_device_time_total(self):
        return self.device_time_total

    @property
    def self_device_memory_usage(self):
        if self.is_async or self.device_type != DeviceType.CPU:
            return 0
        return self.device_memory_usage - sum(c.device_memory_usage for c in self.cpu_children)

    cuda_time_total = _deprecated_alias(
        "cuda_time_total",
        "device_time_total",
        "`cuda_time_total` is deprecated. Use `device_time_total` instead.",
    )
    self_cuda_time_total = _deprecated_alias(
        "self_cuda_time_total",
        "self_device_time_total",
        "`self_cuda_time_total` is deprecated. Use `self_device_time_total` instead.",
    )
    self_cuda_memory_usage = _deprecated_alias(
        "self_cuda_memory_usage",
        "self_device_memory_usage",
        "`self_cuda_memory_usage` is deprecated. Use `self_device_memory_usage` instead.",
    )
    metadata_json = _deprecated_alias(
        "metadata_json",
        "_metadata_json",
        "`metadata_json` is deprecated. Use `event_metadata` instead.",
    )

    @property
    def key(self):
        return self.name

    def __repr__(self):
        device = self.use_device
        return (
            f"<FunctionEvent id={self.id} name={self.name} overload_name={self.overload_name}"
            f" device_type={self.device_type} node_id={self.node_id} cpu_time={self.cpu_time_str}"
            f" start_us={self.time_range.start} end_us={self.time_range.end}"
            f" cpu_children={[child.id for child in self.cpu_children]}"
            f" {device}_time={self.device_time_str} name={self.name} thread={self.thread}"
            f" input_shapes={self.input_shapes} cpu_memory_usage={self.cpu_memory_usage}"
            f" {device}_memory_usage={self.device_memory_usage} is_async={self.is_async}"
            f" is_remote={self.is_remote} seq_nr={self.sequence_nr} is_legacy={self.is_legacy}>"
        )


class FunctionEventAvg(FormattedTimesMixin):
    """What events of one key sum up to."""

    def __init__(self):
        self.key = None
        self.count = 0
        self.node_id = 0
        self.is_async = False
        self.is_remote = False
        self.use_device = None
        self.cpu_time_total = 0
        self.device_time_total = 0
        self.self_cpu_time_total = 0
        self.self_device_time_total = 0
        self.input_shapes = None
        self.overload_name = None
        self.stack = None
        self.scope = None
        self.cpu_memory_usage = 0
        self.device_memory_usage = 0
        self.self_cpu_memory_usage = 0
        self.self_device_memory_usage = 0
        self.cpu_children = None
        self.cpu_parent = None
        self.device_type = DeviceType.CPU
        self.is_legacy = False
        self.flops = 0
        self.is_user_annotation = False

    @classmethod
    def _of_row(cls, recording, row, shapes, stack_n, overload):
        """A row of Session.averages; what is costly to make is made on access."""
        count, total, self_time, memory, self_memory, _, _, flops, first, is_async = row
        self = cls.__new__(cls)
        f = recording.event(first)
        name, overload_name = recording.names[f[_NAME]]
        scope = f[_KIND] == _p.SCOPE
        self.__dict__.update(
            key=_rewrite_name(name, with_wildcard=True),
            count=count,
            node_id=-1,
            is_async=is_async,
            is_remote=False,
            use_device=None,
            cpu_time_total=total / 1000,
            device_time_total=0,
            self_cpu_time_total=0 if is_async else self_time / 1000,
            self_device_time_total=0,
            input_shapes="",
            overload_name=overload_name if overload and recording.overload_names else "",
            stack=[],
            scope=7 if scope else 1 if f[_KIND] == _p.NODE else 0,
            cpu_memory_usage=memory,
            device_memory_usage=0,
            self_cpu_memory_usage=0 if is_async else self_memory,
            self_device_memory_usage=0,
            device_type=DeviceType.CPU,
            is_legacy=False,
            flops=flops if recording.with_flops else 0,
            is_user_annotation=scope,
            _first=(recording, first),
        )
        if shapes:
            found = recording.inputs(first)
            self.input_shapes = str([_nested(d) for d in found[0]] if found else [])
        if stack_n:
            self.stack = recording.frames(recording.stack(first))[:stack_n]
        return self

    def __getattr__(self, name):
        if name in ("cpu_children", "cpu_parent") and "_first" in self.__dict__:
            recording, first = self._first
            event = next(e for e in recording._events(FunctionEvent) if e._index == first)
            self.cpu_children = event.cpu_children
            self.cpu_parent = event.cpu_parent
            return self.__dict__[name]
        raise AttributeError(f"'FunctionEventAvg' object has no attribute '{name}'")

    def add(self, other):
        """Adds an event or another average of the same key (AssertionError otherwise)."""
        if self.key is None:
            for name in (
                "key",
                "node_id",
                "is_async",
                "is_remote",
                "cpu_parent",
                "cpu_children",
                "overload_name",
                "input_shapes",
                "stack",
                "scope",
                "device_type",
                "is_legacy",
                "use_device",
                "is_user_annotation",
            ):
                setattr(self, name, getattr(other, name))
        if not isinstance(other, (FunctionEvent, FunctionEventAvg)):
            raise AssertionError(
                f"Expected FunctionEvent or FunctionEventAvg, got {type(other).__name__}"
            )
        if other.key != self.key:
            raise AssertionError(f"Expected keys to match, but got {other.key} vs {self.key}")
        self.cpu_time_total += other.cpu_time_total
        self.device_time_total += other.device_time_total
        self.self_cpu_time_total += other.self_cpu_time_total
        self.self_device_time_total += other.self_device_time_total
        self.cpu_memory_usage += other.cpu_memory_usage
        self.device_memory_usage += other.device_memory_usage
        self.self_cpu_memory_usage += other.self_cpu_memory_usage
        self.self_device_memory_usage += other.self_device_memory_usage
        self.count += other.count
        if self.flops is None:
            self.flops = other.flops
        elif other.flops is not None:
            self.flops += other.flops
        return self

    def __iadd__(self, other):
        return self.add(other)

    def __repr__(self):
        device = self.use_device or "cuda"
        return (
            f"<FunctionEventAvg key={self.key} self_cpu_time={self.self_cpu_time_total_str}"
            f" cpu_time={self.cpu_time_str}  self_{device}_time={self.self_device_time_total_str}"
            f" {device}_time={self.device_time_str} input_shapes={self.input_shapes}"
            f" cpu_memory_usage={self.cpu_memory_usage}"
            f" {device}_memory_usage={self.device_memory_usage}>"
        )


class StringTable(defaultdict):
    """Texts by themselves; empty ones give "??"."""

    def __missing__(self, key):
        self[key] = key if len(key) > 0 else "??"
        return self[key]


class MemRecordsAcc:
    """Finds memory records in an interval of time: records have start_ns()."""

    def __init__(self, mem_records):
        self._mem_records = mem_records
        order = sorted(range(len(mem_records)), key=lambda i: mem_records[i][0].start_ns())
        self._indices = order
        self._start_nses = [mem_records[i][0].start_ns() for i in order]

    def in_interval(self, start_us, end_us):
        """Records with start_us <= time <= end_us, in order of time."""
        from bisect import bisect_left, bisect_right

        first = bisect_left(self._start_nses, start_us * 1000)
        last = bisect_right(self._start_nses, end_us * 1000)
        for i in range(first, last):
            yield self._mem_records[self._indices[i]]


# ---------------------------------------------------------------- lists of events


class EventList(list):
    """A list of events or averages that prints itself as a table."""

    def __init__(self, *args, **kwargs):
        self._use_device = kwargs.pop("use_device", None)
        self._profile_memory = kwargs.pop("profile_memory", False)
        self._with_flops = kwargs.pop("with_flops", False)
        super().__init__(*args, **kwargs)
        self._tree_built = False

    def __str__(self):
        return self.table()

    # ------------------------------------------------------------ the tree

    def _build_tree(self):
        self._populate_cpu_children()
        self._remove_dup_nodes()
        self._set_backward_stacktraces()
        self._tree_built = True

    def _populate_cpu_children(self):
        """Finds parents by nesting, per thread and node; for events that were not recorded."""
        by_thread = defaultdict(list)
        for event in self:
            if event._session is not None:
                continue  # knows its place
            if not event.is_async and event.device_type == DeviceType.CPU:
                by_thread[event.thread, event.node_id].append(event)
        for events in by_thread.values():
            events.sort(key=lambda e: (e.time_range.start, -e.time_range.end))
            open_events = []
            for event in events:
                span = event.time_range
                while open_events:
                    parent = open_events[-1]
                    if span.start < parent.time_range.end and span.end <= parent.time_range.end:
                        parent.append_cpu_child(event)
                        if event.cpu_parent is not None:
                            raise AssertionError(
                                f"There is already a CPU parent event for {event.key}"
                            )
                        event.set_cpu_parent(parent)
                        break
                    open_events.pop()
                open_events.append(event)

    def _remove_dup_nodes(self):
        """Drops events that are the only child of a parent of their own name."""
        gone = set()
        for event in self:
            parent = event.cpu_parent if event._session is None else None
            while (
                parent is not None
                and parent.name == event.name
                and len(parent.cpu_children) == 1
                and event not in gone
            ):
                parent.cpu_children = event.cpu_children
                parent.kernels = event.kernels
                for child in event.cpu_children:
                    child.cpu_parent = parent
                gone.add(event)
        if gone:
            self[:] = [event for event in self if event not in gone]

    def _set_backward_stacktraces(self):
        """Backward events get the stack of the operator that made their node."""
        forward = {}
        for event in self:
            if event._session is None and event.sequence_nr >= 0 and not event.fwd_thread:
                forward[event.sequence_nr, event.thread] = event
        for event in self:
            if event._session is None and event.sequence_nr >= 0 and event.fwd_thread:
                made_by = forward.get((event.sequence_nr, event.fwd_thread))
                event.stack = made_by.stack if made_by is not None else []

    # ------------------------------------------------------------ sums

    @property
    def self_cpu_time_total(self):
        """Microseconds of all events, each without its children."""
        return sum(event.self_cpu_time_total for event in self)

    def key_averages(
        self, group_by_input_shapes=False, group_by_stack_n=0, group_by_overload_name=False
    ):
        """An EventList of one FunctionEventAvg per name, and per input shapes, innermost
        `group_by_stack_n` frames and overload name where asked for, in order of appearance."""
        rows = {}
        for event in self:
            key = [
                event.key,
                event.node_id,
                event.device_type,
                event.is_legacy,
                event.is_user_annotation,
            ]
            if group_by_overload_name:
                key.append(event.overload_name)
            if group_by_input_shapes:
                key.append(str(event.input_shapes))
            if group_by_stack_n > 0:
                key.append(tuple((event.stack or [])[:group_by_stack_n]))
            key = tuple(key)
            row = rows.get(key)
            if row is None:
                row = rows[key] = FunctionEventAvg()
            row.add(event)
        averages = EventList(
            rows.values(),
            use_device=self._use_device,
            profile_memory=self._profile_memory,
            with_flops=self._with_flops,
        )
        for row in averages:
            row.stack = (row.stack or [])[:group_by_stack_n]
            row.input_shapes = str(row.input_shapes) if group_by_input_shapes else ""
            if not group_by_overload_name:
                row.overload_name = ""
        return averages

    def total_average(self):
        """One FunctionEventAvg, with key "Total", of all events."""
        total = FunctionEventAvg()
        for event in self:
            total.add(event)
            total.key = None  # the next event may have another
        total.key = "Total"
        return total

    # ------------------------------------------------------------ out

    def table(
        self,
        sort_by=None,
        row_limit=100,
        max_src_column_width=75,
        max_name_column_width=55,
        max_shapes_column_width=80,
        header=None,
        top_level_events_only=False,
        time_unit=None,
    ):
        """The events as a table.

        `sort_by` is any attribute of the events, largest first (AttributeError for others; None
        keeps the order); `row_limit` -1 is no limit; `time_unit` is "s", "ms" or "us", None chooses
        per figure.
        """
        from ..profiler._table import build_table

        return build_table(
            self,
            sort_by=sort_by,
            row_limit=row_limit,
            max_src_column_width=max_src_column_width,
            max_name_column_width=max_name_column_width,
            max_shapes_column_width=max_shapes_column_width,
            header=header,
            profile_memory=self._profile_memory,
            with_flops=self._with_flops,
            top_level_events_only=top_level_events_only,
            time_unit=time_unit,
        )

    def export_chrome_trace(self, path):
        """Writes the events as JSON for chrome://tracing: a list of complete events; for averages
        an object whose events lie end to end. OSError where the file cannot be written."""
        import json

        if any(isinstance(event, FunctionEventAvg) for event in self):
            at, out = 0.0, []
            for row in self:
                args = {
                    "count": row.count,
                    "self_cpu_time_total_us": row.self_cpu_time_total,
                    "cpu_time_total_us": row.cpu_time_total,
                    "cpu_time_avg_us": row.cpu_time,
                    "cpu_memory_usage": row.cpu_memory_usage,
                    "input_shapes": row.input_shapes,
                }
                out.append(_complete(row.key, at, row.cpu_time_total, 0, args))
                at += row.cpu_time_total
            out = {"traceEvents": out, "displayTimeUnit": "ms"}
        else:
            out = [
                _complete(
                    event.trace_name,
                    event.time_range.start,
                    event.time_range.elapsed_us(),
                    f"{event.thread}" if event.is_remote else event.thread,
                    {"Node ID": event.node_id} if event.is_remote else {},
                )
                for event in self
                if event.trace_name is not None
            ]
        with open(path, "w", encoding="utf-8") as file:
            json.dump(out, file)

    def supported_export_stacks_metrics(self):
        return [
            "self_cpu_time_total",
            "self_cuda_time_total",
            "self_xpu_time_total",
            "self_privateuse1_time_total",
        ]

    def export_stacks(self, path, metric):
        """Writes one line per event with a stack and a positive `metric`: frames, outermost first,
        joined by ";", then whole microseconds. ValueError for other metrics."""
        if metric not in self.supported_export_stacks_metrics():
            raise ValueError(
                "metric should be one of: " + str(self.supported_export_stacks_metrics())
            )
        clean = str.maketrans(" ;\t\n", "____")
        for device in ("cuda", "xpu", "privateuse1"):
            metric = metric.replace(device, "device")
        value_of = attrgetter(metric)
        with open(path, "w", encoding="utf-8") as file:
            for event in self:
                if event.stack and len(event.stack) > 0:
                    value = int(value_of(event))
                    if value > 0:
                        frames = ";".join(entry.translate(clean) for entry in reversed(event.stack))
                        file.write(f"{frames} {value}\n")


def _complete(name, start, duration, thread, args):
    return {
        "name": name,
        "ph": "X",
        "ts": start,
        "dur": duration,
        "tid": thread,
        "pid": "CPU functions",
        "args": args,
    }
