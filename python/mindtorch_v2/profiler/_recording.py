"""One recording: a session of the recorder and how it was asked for.

Everything is read from the recorder's memory when somebody asks; until then a stopped session costs
nothing but its records.
"""

import os
from bisect import bisect_right
from contextlib import suppress

from .. import _C
from ..autograd.profiler_util import (
    MEMORY_EVENT_NAME,
    EventList,
    FunctionEvent,
    FunctionEventAvg,
    _filter_name,
)

_p = _C._profiler

_STRUCTURE = frozenset(["traceEvents", "displayTimeUnit", "baseTimeNanoseconds"])


class Recording(_p.Session):
    """A session that knows what it was asked for. `Recording.begin` makes one."""

    @classmethod
    def begin(cls, record_shapes, profile_memory, with_stack, with_flops, overload_names):
        """Records from now on. RuntimeError while another session records."""
        flags = _p.SHAPES if record_shapes or with_flops else 0
        flags |= _p.MEMORY if profile_memory else 0
        flags |= _p.STACKS if with_stack else 0
        self = _p.start(flags, cls)
        self.record_shapes = record_shapes
        self.profile_memory = profile_memory
        self.with_stack = with_stack
        self.with_flops = with_flops
        self.overload_names = overload_names
        self._cached = {}
        self._texts = {}
        self.running = True
        return self

    def stop(self):
        super().stop()
        self.running = False

    # ------------------------------------------------------------ reading

    @property
    def info(self):
        """Counts, times (ns), threads and steps."""
        if "info" not in self._cached:
            self._cached["info"] = self._info()
        return self._cached["info"]

    @property
    def names(self):
        """[(name, overload name)] by name index."""
        if "names" not in self._cached:
            self._cached["names"] = self._names()
        return self._cached["names"]

    def step_at(self, time):
        """The step of the program at `time` ns after the start; 0 before the first."""
        steps = self.info["steps"]
        at = bisect_right(steps, time, key=lambda step: step[0])
        return steps[at - 1][1] if at else 0

    def frames(self, stack):
        """The frames of a stack id as texts "file(line): function", innermost first."""
        found = self._texts.get(stack)
        if found is None:
            found = [
                f"{_short_path(file)}({line}): {name}" for file, line, name in self._frames(stack)
            ]
            self._texts[stack] = found
        return list(found)

    def _new_list(self, items):
        return EventList(items, profile_memory=self.profile_memory, with_flops=self.with_flops)

    def _hidden(self):
        return {i for i, (name, _) in enumerate(self.names) if _filter_name(name)}

    def _lone_memory(self):
        """Blocks taken or given back outside of any event, as events."""
        if not self.profile_memory:
            return []
        id, clock, out = self.info["nevents"], self.info["start_clock"], []
        for time, _, nbytes, _, event, thread in self.allocs():
            id += 1
            if event >= 0:
                continue
            made = FunctionEvent(
                id=id,
                name=MEMORY_EVENT_NAME,
                overload_name="",
                thread=thread,
                start_us=time / 1000,
                end_us=time / 1000,
                fwd_thread=0,
                input_shapes=[],
                stack=[],
                cpu_memory_usage=nbytes,
                flops=0,
                kwinputs={},
                concrete_inputs=[],
                structured_input_shapes=[],
                structured_input_strides=[],
                input_dtypes=[],
            )
            made.__dict__.update(
                trace_name=None,
                kind="memory",
                step=self.step_at(time),
                start_ns=clock + time,
                end_ns=clock + time,
                duration_ns=0,
                correlation_id=id,
            )
            out.append(made)
        return out

    def events(self):
        """A new EventList of FunctionEvents in order of their beginnings."""
        events = self._events(FunctionEvent)
        hidden = self._hidden()
        if hidden:
            field = self.column("name")
            events = [event for event in events if field[event._index] not in hidden]
        lone = self._lone_memory()
        if lone:
            events += lone
            events.sort(key=lambda event: event.time_range.start)
        events = self._new_list(events)
        events._tree_built = True
        return events

    def _stack_classes(self, n):
        """One uint32 per stack id: equal where the innermost n frames are."""
        from array import array

        classes, known = array("I", [0]), {(): 0}
        for stack in range(1, self.nstacks() + 1):
            key = tuple(self.frames(stack)[:n])
            classes.append(known.setdefault(key, len(known)))
        return classes.tobytes()

    def averages(self, shapes=False, stack_n=0, overload=False):
        """What events().key_averages(...) gives, without making the events."""
        by = _p.BY_SHAPES if shapes else 0
        by |= _p.BY_OVERLOAD if overload and self.overload_names else 0
        classes = self._stack_classes(stack_n) if stack_n > 0 and self.with_stack else None
        hidden = self._hidden()
        field = self.column("name") if hidden else None
        out = [
            FunctionEventAvg._of_row(self, row, shapes, stack_n, overload)
            for row in self._averages(by, classes)
            if not hidden or field[row[8]] not in hidden
        ]
        lone = self._lone_memory()
        if lone:
            out += self._new_list(lone).key_averages(shapes, stack_n, overload)
        return self._new_list(out)

    # ------------------------------------------------------------ writing

    def _stack_texts(self):
        import json

        stacks, lists = [], []
        for stack in range(1, self.nstacks() + 1):
            frames = self.frames(stack)
            stacks.append(json.dumps("".join(f"{frame};" for frame in frames)))
            lists.append(json.dumps(frames))
        return stacks, lists

    def _keyword_texts(self):
        import json

        texts = []
        for keywords in self.all_keywords():
            members = ""
            for key, value in keywords.items():
                plain = isinstance(value, (str, int, float, bool))
                strings = isinstance(value, list) and all(isinstance(v, str) for v in value)
                if plain or strings:
                    members += f", {json.dumps(str(key))}: {_json(value)}"
            texts.append(members)
        return texts

    def export(self, path, trace_id, metadata, runtime_events=True, flow_name="fwdbwd"):
        """Writes the Chrome trace to `path`, compressed where it ends in ".gz".

        `metadata` maps keys to JSON texts. The file appears whole or not at all; OSError where it
        cannot be written."""
        import json

        head = {
            "schemaVersion": "1",
            "deviceProperties": "[]",
            "trace_id": json.dumps(trace_id),
        }
        for flag in ("with_stack", "profile_memory", "record_shapes", "with_flops"):
            if getattr(self, flag):
                head[flag] = "1"
        head.update((key, text) for key, text in metadata.items() if key not in _STRUCTURE)
        head["host_name"] = json.dumps(os.uname().nodename)
        head["traceName"] = json.dumps(os.fspath(path))
        tail = "".join(
            f',\n{{"ph": "M", "name": {json.dumps(key)}, "pid": {self.info["pid"]}, "tid": 0,'
            f' "args": {{"value": {text}}}}}'
            for key, text in metadata.items()
        )
        stacks, lists = self._stack_texts() if self.with_stack else (None, None)
        keywords = self._keyword_texts() or None

        def write(target):
            members = "".join(f"{json.dumps(key)}: {text},\n" for key, text in head.items())
            self._export(target, members, tail, runtime_events, flow_name, stacks, lists, keywords)

        _write_whole(os.fspath(path), write)


def _json(value):
    """Valid JSON of a plain value: numbers that JSON lacks become texts."""
    import json

    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return json.dumps(str(value))
    return json.dumps(value)


def _write_whole(path, write):
    """Calls write(file descriptor or function) for a file beside `path` that then takes its place;
    what is no ordinary file (a pipe, a terminal) is written directly."""
    path = str(path)
    direct = os.path.exists(path) and not os.path.isfile(path)
    if os.path.isdir(path):
        raise IsADirectoryError(21, "Is a directory", path)
    temporary = path if direct else f"{path}.{os.getpid()}.tmp"
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    except OSError as error:
        raise type(error)(error.errno, error.strerror, path) from None
    try:
        try:
            if path.endswith(".gz"):
                import gzip

                name = os.path.basename(path)[:-3]
                with (
                    os.fdopen(fd, "wb", closefd=False) as file,
                    gzip.GzipFile(name, "wb", compresslevel=6, fileobj=file) as packed,
                ):
                    write(packed.write)
            else:
                write(fd)
        finally:
            os.close(fd)
        if not direct:
            os.replace(temporary, path)
    except BaseException:
        if not direct:
            with suppress(OSError):
                os.unlink(temporary)
        raise


_prefixes = None


def _short_path(file):
    """A path without the folder it was imported from."""
    global _prefixes
    if _prefixes is None:
        import sys

        folders = {os.path.join(os.path.abspath(folder), "") for folder in sys.path if folder}
        _prefixes = tuple(sorted(folders, key=len, reverse=True))
    for prefix in _prefixes:
        if file.startswith(prefix):
            return file[len(prefix) :]
    return file
