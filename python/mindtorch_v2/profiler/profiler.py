"""The profiler: when to record, and what to do with a recording.

Reference behaviour: PyTorch 2.13's `torch.profiler`: the state machine, the order of its actions
and callbacks, and its warnings. Where PyTorch raises AssertionError the errors here also derive
from ValueError or RuntimeError, so either may be caught.
"""

from enum import Enum
from functools import partial

from .. import _C
from ..autograd import profiler as _autograd

__all__ = [
    "ProfilerAction",
    "ProfilerActivity",
    "profile",
    "schedule",
    "supported_activities",
    "tensorboard_trace_handler",
]


class _ScheduleError(AssertionError, ValueError):
    """A schedule whose numbers make no sense."""


class _TypeError(TypeError, ValueError):
    """An argument of a wrong kind."""


class _ActivityError(AssertionError, ValueError):
    """No activities that could be recorded."""


class _NotStarted(AssertionError, RuntimeError):
    """Asked for what exists only after start()."""


class ProfilerAction(Enum):
    """What a schedule asks for in one step."""

    NONE = 0
    WARMUP = 1
    RECORD = 2
    RECORD_AND_SAVE = 3
    DEVICE_STOPPED = 4


class ProfilerActivity(Enum):
    """Kinds of devices whose activity can be recorded; here: CPU."""

    CPU = 0
    CUDA = 2
    HPU = 3
    MTIA = 4
    PrivateUse1 = 5
    XPU = 1

    def __str__(self):
        return f"ProfilerActivity.{self.name}"

    def __int__(self):
        return self.value

    __index__ = __int__


class RecordScope(Enum):
    """Kinds of events, as FunctionEvent.scope numbers them."""

    FUNCTION = 0
    BACKWARD_FUNCTION = 1
    TORCHSCRIPT_FUNCTION = 2
    KERNEL_FUNCTION_DTYPE = 3
    CUSTOM_CLASS = 4
    BUILD_FEATURE = 5
    LITE_INTERPRETER = 6
    USER_SCOPE = 7
    STATIC_RUNTIME_OP = 8
    STATIC_RUNTIME_MODEL = 9

    def __int__(self):
        return self.value


class _ExperimentalConfig:
    """Switches of a recording.

    On a CPU these matter: `trace_only` (no events(), only the exported trace),
    `capture_overload_names`, `runtime_events` (slices of kernels in the trace and flows to them)
    and `forward_backward_category` ("fwdbwd", or "forward_backward" as TensorBoard's plugin wants
    it). All threads are always recorded, and stacks need no `verbose`. NotImplementedError for
    `record_python_gc_info` and `expose_kineto_event_metadata`.
    """

    def __init__(
        self,
        profiler_metrics=(),
        profiler_measure_per_kernel=False,
        verbose=False,
        performance_events=(),
        enable_cuda_sync_events=False,
        adjust_profiler_step=False,
        disable_external_correlation=False,
        profile_all_threads=False,
        capture_overload_names=False,
        record_python_gc_info=False,
        expose_kineto_event_metadata=False,
        custom_profiler_config="",
        adjust_timestamps=False,
        trace_only=False,
        runtime_events=True,
        forward_backward_category="fwdbwd",
    ):
        for name, value in (
            ("record_python_gc_info", record_python_gc_info),
            ("expose_kineto_event_metadata", expose_kineto_event_metadata),
        ):
            if value:
                raise NotImplementedError(f"_ExperimentalConfig({name}=True) is not built")
        if forward_backward_category not in ("fwdbwd", "forward_backward"):
            raise ValueError(
                "forward_backward_category must be 'fwdbwd' or 'forward_backward', got"
                f" {forward_backward_category!r}"
            )
        self.profiler_metrics = list(profiler_metrics)
        self.profiler_measure_per_kernel = profiler_measure_per_kernel
        self.verbose = verbose
        self.performance_events = list(performance_events)
        self.enable_cuda_sync_events = enable_cuda_sync_events
        self.adjust_profiler_step = adjust_profiler_step
        self.disable_external_correlation = disable_external_correlation
        self.profile_all_threads = profile_all_threads
        self.capture_overload_names = capture_overload_names
        self.record_python_gc_info = record_python_gc_info
        self.expose_kineto_event_metadata = expose_kineto_event_metadata
        self.custom_profiler_config = custom_profiler_config
        self.adjust_timestamps = adjust_timestamps
        self.trace_only = bool(trace_only)
        self.runtime_events = bool(runtime_events)
        self.forward_backward_category = forward_backward_category


def supported_activities():
    """The activities that can be recorded: {ProfilerActivity.CPU}."""
    return {ProfilerActivity.CPU}


def _warn(text, category=UserWarning, stacklevel=3):
    import warnings

    warnings.warn(text, category, stacklevel=stacklevel)


def _check_activities(activities):
    """(set of activities, {activity: names of event types}) of the argument of the profilers."""
    if activities is None:
        return supported_activities(), {}
    chosen, filters = [], {}

    def take(item):
        if isinstance(item, dict):
            for activity, names in item.items():
                take(activity)
                if names:
                    filters[activity] = set(names)
        elif isinstance(item, ProfilerActivity):
            if item in chosen:
                raise ValueError(f"Activity {item} specified more than once")
            chosen.append(item)

    for item in [activities] if isinstance(activities, dict) else activities:
        take(item)
    if not chosen:
        raise _ActivityError("No valid profiler activities found")
    if filters:
        raise NotImplementedError("activities with filters of event types are not built")
    return set(chosen), filters


class _KinetoProfile:
    """One recording at a time, started and stopped by hand.

    Parameters (keyword-only): activities, record_shapes, profile_memory, with_stack, with_flops,
    with_modules (TorchScript only, so without effect), experimental_config, acc_events (keep
    events of earlier recordings, listed after the newer), custom_trace_id_callback,
    post_processing_timeout_s (nothing here takes long). execution_trace_observer raises
    NotImplementedError.
    """

    def __init__(
        self,
        *,
        activities=None,
        record_shapes=False,
        profile_memory=False,
        with_stack=False,
        with_flops=False,
        with_modules=False,
        experimental_config=None,
        execution_trace_observer=None,
        acc_events=False,
        custom_trace_id_callback=None,
        post_processing_timeout_s=None,
    ):
        if execution_trace_observer is not None:
            raise NotImplementedError("profile(execution_trace_observer=...) is not built")
        self.activities, self.activity_filters = _check_activities(activities)
        self.record_shapes = record_shapes
        self.with_flops = with_flops
        self.profile_memory = profile_memory
        self.with_stack = with_stack
        self.with_modules = with_modules
        self.experimental_config = experimental_config
        self.execution_trace_observer = None
        self.acc_events = acc_events
        self.custom_trace_id_callback = custom_trace_id_callback
        self.post_processing_timeout_s = post_processing_timeout_s
        self.profiler = None
        self.has_cudagraphs = False
        self.mem_tl = None
        self.use_device = None
        self.preset_metadata = {}
        self._metadata = {}

    def _started(self, before):
        if self.profiler is None:
            raise _NotStarted(f"Profiler must be initialized before {before}")
        return self.profiler

    # ------------------------------------------------------------ control

    def start(self):
        self.prepare_trace()
        self.start_trace()

    def stop(self):
        self.stop_trace()

    def prepare_trace(self):
        """Makes ready to record; a new trace id is drawn."""
        if self.profiler is None or not self.acc_events:
            if self.profiler is not None:
                _warn_events_are_cleared()
            if ProfilerActivity.CUDA in self.activities:
                _warn("CUDA is not available, disabling CUDA profiling", stacklevel=5)
            if ProfilerActivity.CPU not in self.activities:
                raise _ActivityError("No activities specified for the profiler")
            self.profiler = _autograd.profile(
                record_shapes=self.record_shapes,
                with_flops=self.with_flops,
                profile_memory=self.profile_memory,
                with_stack=self.with_stack,
                with_modules=self.with_modules,
                use_kineto=True,
                experimental_config=self.experimental_config,
                acc_events=self.acc_events,
                custom_trace_id_callback=self.custom_trace_id_callback,
                post_processing_timeout_s=self.post_processing_timeout_s,
            )
        self.profiler._prepare_trace()

    def start_trace(self):
        """Records from now on. RuntimeError while another profiler records."""
        self._started("starting trace")._start_trace()

    def stop_trace(self):
        self._started("stopping trace").__exit__(None, None, None)

    def toggle_collection_dynamic(self, enable, activities):
        """Suspends (`enable` False) or resumes recording of `activities`, an iterable of
        ProfilerActivity. Without effect before start()."""
        if self.profiler is not None:
            self.profiler.toggle_collection_dynamic(enable, activities)

    # ------------------------------------------------------------ results

    def events(self):
        """An EventList of FunctionEvents in order of time; empty while recording.
        AssertionError before start()."""
        return self._started("accessing events").function_events

    def key_averages(
        self, group_by_input_shape=False, group_by_stack_n=0, group_by_overload_name=False
    ):
        """An EventList of one FunctionEventAvg per name, and per what else is asked for; print its
        table(). AssertionError before start()."""
        return self._started("getting key averages").key_averages(
            group_by_input_shape, group_by_stack_n, group_by_overload_name
        )

    def export_chrome_trace(self, path, use_python_export=False):
        """Writes the trace as JSON to `path` (compressed where it ends in ".gz"), as often as you
        like. AssertionError before start(), RuntimeError while recording, OSError where the file
        cannot be written; then there is no file."""
        profiler = self._started("exporting chrome trace")
        recordings = profiler._finished()
        if not recordings:
            raise RuntimeError("there is no finished recording to export")
        config = profiler.experimental_config
        recordings[0].export(
            path,
            profiler.trace_id,
            self._all_metadata(),
            config.runtime_events,
            config.forward_backward_category,
        )

    def export_stacks(self, path, metric="self_cpu_time_total"):
        """Writes stacks for flame graphs; `metric` is "self_cpu_time_total" or
        "self_cuda_time_total". AssertionError before start() and without with_stack."""
        return self._started("exporting stacks").export_stacks(path, metric)

    # ------------------------------------------------------------ metadata

    def add_metadata(self, key, value):
        """Puts a text into the trace under `key`."""
        import json

        if not isinstance(value, str):
            raise AttributeError(f"'{type(value).__name__}' object has no attribute 'replace'")
        self._metadata[str(key)] = json.dumps(value)

    def add_metadata_json(self, key, value):
        """Puts a value, given as JSON text, into the trace. ValueError for what is not JSON."""
        self._metadata[str(key)] = _checked_json(value)

    def preset_metadata_json(self, key, value):
        """Like add_metadata_json, for every trace from now on."""
        self.preset_metadata[str(key)] = _checked_json(value)

    def _all_metadata(self):
        flags = {"with_modules": "1"} if self.with_modules else {}
        return {**flags, **self.preset_metadata, **self._metadata}


def _checked_json(value):
    import json

    try:
        json.loads(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"metadata must be JSON, got {value!r}: {error}") from None
    return value


_events_cleared_warned = False


def _warn_events_are_cleared():
    global _events_cleared_warned
    if not _events_cleared_warned:
        _events_cleared_warned = True
        _warn(
            "Warning: Profiler clears events at the end of each cycle. Only events from the current"
            " cycle will be reported. To keep events across cycles, set acc_events=True.",
            stacklevel=6,
        )


# ---------------------------------------------------------------- schedules


def schedule(*, wait, warmup, active, repeat=0, skip_first=0, skip_first_wait=0):
    """A function from the step number to the ProfilerAction of that step.

    After `skip_first` steps come cycles of `wait` steps of NONE, `warmup` of WARMUP and `active` of
    RECORD, the last of them RECORD_AND_SAVE; `repeat` cycles, 0 for no end. `skip_first_wait` not 0
    leaves the first cycle's wait out. All are non-negative integers, `active` is positive:
    AssertionError (a ValueError, too) otherwise, TypeError for what is no number.
    """
    given = {
        "wait": wait,
        "warmup": warmup,
        "active": active,
        "repeat": repeat,
        "skip_first": skip_first,
        "skip_first_wait": skip_first_wait,
    }
    for name, value in given.items():
        if not isinstance(value, (int, float)):
            raise _TypeError(
                f"schedule() wants integers, got {name}={value!r} of type {type(value).__name__}"
            )
        if value != int(value) if value == value and abs(value) != float("inf") else True:
            raise _ScheduleError(f"schedule() wants integers, got {name}={value!r}")
    if any(value < 0 for value in given.values()) or active == 0:
        last = f", skip_first_wait={skip_first_wait} (need >= 0)" if skip_first_wait < 0 else ""
        raise _ScheduleError(
            f"Invalid profiler schedule arguments. Got wait={wait} (need >= 0), warmup={warmup}"
            f" (need >= 0), active={active} (need > 0), repeat={repeat} (need >= 0),"
            f" skip_first={skip_first} (need >= 0){last}."
        )
    if warmup == 0:
        _warn("Profiler won't be using warmup, this can skew profiler results")

    def schedule_fn(step):
        if step < 0:
            raise _ScheduleError(f"Step must be non-negative. Got {step}.")
        if step < skip_first:
            return ProfilerAction.NONE
        step -= skip_first
        if skip_first_wait != 0:
            step += wait
        cycle = wait + warmup + active
        if repeat > 0 and step / cycle >= repeat:
            return ProfilerAction.NONE
        at = step % cycle
        if at < wait:
            return ProfilerAction.NONE
        if at < wait + warmup:
            return ProfilerAction.WARMUP
        return ProfilerAction.RECORD if at < cycle - 1 else ProfilerAction.RECORD_AND_SAVE

    return schedule_fn


def _default_schedule_fn(step):
    return ProfilerAction.RECORD


def tensorboard_trace_handler(dir_name, worker_name=None, use_gzip=False, use_python_export=False):
    """For `on_trace_ready`: writes `{worker_name}.{time in ns}.pt.trace.json[.gz]` into `dir_name`,
    which is made if need be (RuntimeError where it cannot be). The worker's name is host_pid unless
    given."""
    import os
    import time

    def handler_fn(prof):
        if not os.path.isdir(dir_name):
            try:
                os.makedirs(dir_name, exist_ok=True)
            except OSError as error:
                raise RuntimeError("Can't create directory: " + str(dir_name)) from error
        worker = worker_name or f"{os.uname().nodename}_{os.getpid()}"
        file = f"{worker}.{time.time_ns()}.pt.trace.json" + (".gz" if use_gzip else "")
        prof.export_chrome_trace(os.path.join(dir_name, file), use_python_export=use_python_export)

    return handler_fn


# ---------------------------------------------------------------- profile


def _unreachable(before, after):
    raise AssertionError(f"A schedule went from {before} to {after}")


def _wrong(before, after):
    return partial(_warn, f"Incorrect schedule: {before} followed by {after}", stacklevel=5)


def _actions():
    """The state machine: (action before, action now or None for the end) -> methods of profile, or
    functions, in order. start_trace prepares where nothing did, after RECORD followed by WARMUP."""
    none, warmup, record, save, stopped = ProfilerAction
    prepare, start, stop, ready = "prepare_trace", "start_trace", "stop_trace", "_trace_ready"
    return {
        (none, none): [],
        (none, warmup): [prepare],
        (none, record): [prepare, start],
        (none, save): [prepare, start],
        (none, stopped): [partial(_unreachable, "NONE", "DEVICE_STOPPED")],
        (warmup, none): [_wrong("WARMUP", "NONE"), start, stop],
        (warmup, warmup): [],
        (warmup, record): [start],
        (warmup, save): [start],
        (warmup, stopped): [start, stop, ready],
        (record, none): [_wrong("RECORD", "NONE"), stop],
        (record, warmup): [_wrong("RECORD", "WARMUP"), stop],
        (record, record): [],
        (record, save): [],
        (record, stopped): [stop, ready],
        (save, none): [stop, ready],
        (save, warmup): [stop, ready, prepare],
        (save, record): [stop, ready, prepare, start],
        (save, save): [stop, ready, prepare, start],
        (save, stopped): [partial(_unreachable, "RECORD_AND_SAVE", "DEVICE_STOPPED")],
        (stopped, none): [],
        (stopped, warmup): [prepare],
        (stopped, record): [prepare, start],
        (stopped, save): [prepare, start],
        (stopped, stopped): [],
        (warmup, None): [start, stop],
        (record, None): [stop, ready],
        (save, None): [stop, ready],
        (stopped, None): [],
    }


_ACTIONS = _actions()


class profile(_KinetoProfile):
    """Records what the program does, in the steps that a schedule chooses.

        with profile(schedule=schedule(wait=1, warmup=1, active=3, repeat=1),
                     on_trace_ready=tensorboard_trace_handler("log")) as prof:
            for batch in loader:
                train(batch)
                prof.step()
        print(prof.key_averages().table(sort_by="self_cpu_time_total", row_limit=10))

    `schedule` maps a step number to a ProfilerAction (TypeError, a ValueError too, for what cannot
    be called); without one everything is recorded. `on_trace_ready` is called with the profiler
    when a recording is complete; its exceptions propagate. For the other parameters (all
    keyword-only) see _KinetoProfile. Only one profiler can record at a time: RuntimeError for a
    second one.
    """

    def __init__(
        self,
        *,
        activities=None,
        schedule=None,
        on_trace_ready=None,
        record_shapes=False,
        profile_memory=False,
        with_stack=False,
        with_flops=False,
        with_modules=False,
        experimental_config=None,
        execution_trace_observer=None,
        acc_events=False,
        use_cuda=None,
        custom_trace_id_callback=None,
        post_processing_timeout_s=None,
    ):
        activities, _ = _check_activities(activities)
        if use_cuda is not None:
            _warn("`use_cuda` is deprecated, use `activities` argument instead", FutureWarning)
            if use_cuda:
                activities.add(ProfilerActivity.CUDA)
            else:
                activities.discard(ProfilerActivity.CUDA)
        super().__init__(
            activities=activities,
            record_shapes=record_shapes,
            profile_memory=profile_memory,
            with_stack=with_stack,
            with_flops=with_flops,
            with_modules=with_modules,
            experimental_config=experimental_config,
            execution_trace_observer=execution_trace_observer,
            acc_events=acc_events,
            custom_trace_id_callback=custom_trace_id_callback,
            post_processing_timeout_s=post_processing_timeout_s,
        )
        if schedule is None:
            schedule = _default_schedule_fn
            self.record_steps = False
        else:
            if not callable(schedule):
                raise _TypeError(f"'{type(schedule).__name__}' object is not callable")
            self.record_steps = True
        self.schedule = schedule
        self.on_trace_ready = on_trace_ready
        self.step_num = 0
        self.current_action = self._next_action()
        self.step_rec_fn = None

    @property
    def action_map(self):
        """(action before, action now or None for the end) -> what is done, in order."""
        return {key: [self._bound(do) for do in doing] for key, doing in _ACTIONS.items()}

    def _bound(self, action):
        return getattr(self, action) if isinstance(action, str) else action

    def _next_action(self):
        action = self.schedule(self.step_num)
        if action is ProfilerAction.DEVICE_STOPPED:
            raise ValueError(
                "ProfilerAction.DEVICE_STOPPED is set internally by the profiler and must not be"
                " returned by a user-provided schedule"
            )
        return action

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, exc_type, exc_val, exc_tb):
        self.stop()

    def start(self):
        """Goes to the action of the current step."""
        self._transit_action(ProfilerAction.NONE, self.current_action)
        self._open_step()

    def stop(self):
        """Ends the recording, and calls on_trace_ready where one was under way."""
        self._close_step()
        self._transit_action(self.current_action, None)

    def step(self):
        """The next step of the program begins."""
        self._close_step()
        before = self.current_action
        self.step_num += 1
        self.current_action = self._next_action()
        self._transit_action(before, self.current_action)
        self._open_step()

    def _open_step(self):
        recording = self.profiler._recording if self.profiler is not None else None
        if recording is not None and recording.running:
            recording.step(self.step_num)
        if self.record_steps:
            self.step_rec_fn = _C._profiler.record_function(f"ProfilerStep#{self.step_num}")
            self.step_rec_fn.__enter__()

    def _close_step(self):
        if self.step_rec_fn is not None:
            self.step_rec_fn.__exit__(None, None, None)
            self.step_rec_fn = None

    def _transit_action(self, before, now):
        for action in _ACTIONS.get((before, now), ()):
            self._bound(action)()

    def _trace_ready(self):
        if self.on_trace_ready:
            self.on_trace_ready(self)

    def set_custom_trace_id_callback(self, callback):
        """`callback()` gives the id of the next trace."""
        self.custom_trace_id_callback = callback
        if self.profiler is not None:
            self.profiler.custom_trace_id_callback = callback

    def get_trace_id(self):
        """The id of the current trace; None before there is one."""
        return None if self.profiler is None else self.profiler.trace_id
