"""The profiler of the autograd package: `profile` for one recording, `record_function` for scopes.

Reference behaviour: PyTorch 2.13's `torch.autograd.profiler`.
"""

from .. import _C
from .profiler_util import EventList, FunctionEvent, MemRecordsAcc

__all__ = ["profile", "record_function", "EventList", "FunctionEvent", "MemRecordsAcc"]

record_function = _C._profiler.record_function


def kineto_available():
    """Whether traces of the superset layout can be recorded: always."""
    return True


def _decorate(scope, function):
    """What a record_function used as a decorator returns: every call is a scope of its own."""
    from functools import wraps

    name, args, kind = scope.name, scope.args, type(scope)

    @wraps(function)
    def named(*positional, **keywords):
        with kind(name, args):
            return function(*positional, **keywords)

    return named


def _end_with_future(scope, future):
    """See record_function._call_end_callbacks_on_future."""
    if not scope.run_callbacks_on_exit:
        raise RuntimeError("_call_end_callbacks_on_future can only be called once.")
    scope.run_callbacks_on_exit = False

    def end(done):
        scope._end()
        return done.value()

    return future.then(end)


def _is_profiler_enabled():
    return _C._profiler.recording()


class profile:
    """Records operators, backward nodes and scopes of every thread between entering and leaving.

    `record_shapes` keeps dims, strides, types and numbers of the arguments, `profile_memory` the
    blocks of the allocator, `with_stack` the Python stack of every event; `with_flops` implies
    record_shapes. With enabled=False entering gives None and nothing happens. Not re-entrant
    (RuntimeError). Results are there after leaving; before that they are empty.
    """

    def __init__(
        self,
        enabled=True,
        *,
        use_cuda=False,
        use_device=None,
        record_shapes=False,
        with_flops=False,
        profile_memory=False,
        with_stack=False,
        with_modules=False,
        use_kineto=False,
        use_cpu=True,
        experimental_config=None,
        acc_events=False,
        custom_trace_id_callback=None,
        post_processing_timeout_s=None,
        activity_filters=None,
    ):
        self.enabled = enabled
        if not enabled:
            return
        self.use_cuda = use_cuda
        if use_cuda:
            _warn(
                "The attribute `use_cuda` will be deprecated soon, please use"
                " ``use_device = 'cuda'`` instead.",
                FutureWarning,
            )
            use_device = "cuda"
        if use_device is not None:
            if use_device == "cuda":
                _warn("CUDA is not available, disabling CUDA profiling")
                self.use_cuda = False
            else:
                _warn(f"The {use_device} is not a valid device option.")
        self.use_device = None
        self.entered = False
        self.record_shapes = record_shapes or with_flops
        self.with_flops = with_flops
        self.profile_memory = profile_memory
        self.with_stack = with_stack
        self.with_modules = with_modules
        self.use_cpu = use_cpu
        self.acc_events = acc_events
        if experimental_config is None:
            from ..profiler.profiler import _ExperimentalConfig

            experimental_config = _ExperimentalConfig()
        self.experimental_config = experimental_config
        self.custom_trace_id_callback = custom_trace_id_callback
        self.post_processing_timeout_s = post_processing_timeout_s
        self.activity_filters = activity_filters or {}
        self.trace_id = ""
        self.kineto_results = None
        self.profiling_start_time_ns = 0
        self.profiling_end_time_ns = 0
        if not use_cpu and not use_kineto:
            raise AssertionError("Device-only events supported only with Kineto (use_kineto=True)")
        if not use_cpu:
            raise AssertionError("No activities specified for the profiler")
        if with_stack and experimental_config.trace_only:
            _warn(
                "trace_only=True is incompatible with with_stack=True (stack traces require event"
                " post-processing). Disabling trace_only."
            )
            self._trace_only = False
        else:
            self._trace_only = experimental_config.trace_only
        self._prepared = False
        self._recording = None
        self._events = None
        self._older = []  # recordings before this one, newest first; with acc_events

    # ------------------------------------------------------------ control

    def __enter__(self):
        if not self.enabled:
            return None
        if self.entered:
            raise RuntimeError("Profiler context manager is not reentrant")
        self._prepare_trace()
        self._start_trace()
        return self

    def create_trace_id(self):
        """32 upper-case hexadecimal digits, or what the user's callback gives."""
        if self.custom_trace_id_callback:
            return self.custom_trace_id_callback()
        from uuid import uuid4

        return uuid4().hex.upper()

    def _prepare_trace(self):
        self.entered = True
        self.trace_id = self.create_trace_id()
        _C._profiler.prepare()
        self._prepared = True

    def _start_trace(self):
        if not self._prepared:
            self._prepare_trace()
        self.entered = True
        from ..profiler._recording import Recording

        recording = Recording.begin(
            record_shapes=self.record_shapes,
            profile_memory=self.profile_memory,
            with_stack=self.with_stack,
            with_flops=self.with_flops,
            overload_names=self.experimental_config.capture_overload_names,
        )
        if self._recording is not None and self.acc_events:
            self._older.insert(0, self._recording)
        self._recording = recording
        self._events = None

    def __exit__(self, exc_type, exc_value, traceback):
        if not self.enabled:
            return None
        self._prepared = False
        if self._recording is not None and self._recording.running:
            self._recording.stop()
            self.kineto_results = self._recording
        return False

    def toggle_collection_dynamic(self, enabled, activities):
        """Suspends or resumes recording where `activities` hold the CPU."""
        from ..profiler.profiler import ProfilerActivity

        recording = self._recording
        if recording is not None and recording.running and ProfilerActivity.CPU in set(activities):
            recording.pause(not enabled)

    # ------------------------------------------------------------ results

    def _finished(self):
        """The stopped recordings, newest first."""
        if not self.enabled or self._recording is None or self._recording.running:
            return []
        return [self._recording, *self._older]

    def _refuse_trace_only(self):
        if self._trace_only:
            raise RuntimeError(
                "events() is not available when trace_only=True in ExperimentalConfig. Use"
                " export_chrome_trace() instead."
            )

    @property
    def function_events(self):
        """An EventList; with acc_events those of earlier recordings follow."""
        self._refuse_trace_only()
        recordings = self._finished()
        if not recordings:
            return EventList(profile_memory=self.profile_memory, with_flops=self.with_flops)
        if self._events is None:
            self._events = recordings[0].events()
            for recording in recordings[1:]:
                self._events += recording.events()
        return self._events

    def key_averages(
        self, group_by_input_shape=False, group_by_stack_n=0, group_by_overload_name=False
    ):
        """See EventList.key_averages."""
        self._refuse_trace_only()
        recordings = self._finished()
        if len(recordings) == 1:
            return recordings[0].averages(
                group_by_input_shape, group_by_stack_n, group_by_overload_name
            )
        return self.function_events.key_averages(
            group_by_input_shape, group_by_stack_n, group_by_overload_name
        )

    def total_average(self):
        """One FunctionEventAvg of all events."""
        return self.function_events.total_average()

    @property
    def self_cpu_time_total(self):
        """Microseconds spent in events."""
        recordings = self._finished()
        if len(recordings) == 1:
            return sum(row.self_cpu_time_total for row in recordings[0].averages())
        return self.function_events.self_cpu_time_total

    def table(
        self,
        sort_by=None,
        row_limit=100,
        max_src_column_width=75,
        max_name_column_width=55,
        max_shapes_column_width=80,
        header=None,
        top_level_events_only=False,
    ):
        """See EventList.table."""
        return self.function_events.table(
            sort_by=sort_by,
            row_limit=row_limit,
            max_src_column_width=max_src_column_width,
            max_name_column_width=max_name_column_width,
            max_shapes_column_width=max_shapes_column_width,
            header=header,
            top_level_events_only=top_level_events_only,
        )

    def export_chrome_trace(self, path, metadata=None, use_python_export=False):
        """Writes the newest recording as a Chrome trace; `metadata` maps keys to JSON texts.
        RuntimeError before there is one, OSError where the file cannot be written."""
        recordings = self._finished()
        if not recordings:
            raise RuntimeError("there is no finished recording to export")
        recordings[0].export(path, self.trace_id, metadata or {})

    def export_stacks(self, path, metric="self_cpu_time_total"):
        """See EventList.export_stacks; AssertionError without with_stack."""
        if not self.with_stack:
            raise AssertionError("export_stacks() requires with_stack=True")
        return self.function_events.export_stacks(path, metric)

    def __repr__(self):
        if not self.enabled or not self._finished():
            return "<unfinished torch.autograd.profile>"
        return repr(self.function_events)

    def __str__(self):
        if not self.enabled or not self._finished():
            return "<unfinished torch.autograd.profile>"
        return str(self.function_events)


def _warn(text, category=UserWarning):
    import warnings

    warnings.warn(text, category, stacklevel=3)
