"""Events, averages and tables of real programs; record_function."""

import gc
import os
import threading
import weakref

import pytest

import mindtorch_v2 as torch
from mindtorch_v2.autograd import profiler as autograd_profiler
from mindtorch_v2.autograd.profiler_util import EventList, FunctionEvent, FunctionEventAvg
from mindtorch_v2.profiler import (
    DeviceType,
    _ExperimentalConfig,
    kineto_available,
    profile,
    record_function,
    supported_activities,
)


def work(scope="scope"):
    x = torch.tensor([[1.0, 2.0, 3.0]])
    with record_function(scope):
        return (x * 2 + x).sum()


def by_name(prof, name):
    return [event for event in prof.events() if event.name == name]


# ---------------------------------------------------------------- events


def test_events_of_a_program():
    with profile() as prof:
        work()
    events = prof.events()
    assert [event.name for event in events] == ["scope", "aten::mul", "aten::add", "aten::sum"]
    scope, mul, add, total = events
    assert isinstance(events, EventList) and isinstance(events, list)
    assert prof.events() is events
    assert scope.is_user_annotation and scope.scope == 7 and not mul.is_user_annotation
    assert scope.cpu_parent is None and scope.cpu_children == [mul, add, total]
    assert mul.cpu_parent is scope and mul.cpu_children == []
    assert [event.id for event in events] == [1, 2, 3, 4]
    for event in events:
        assert event.time_range.start < event.time_range.end
        assert event.thread == events[0].thread and event.device_type == DeviceType.CPU
        assert 0 <= event.self_cpu_time_total <= event.cpu_time_total
    inside = sum(child.cpu_time_total for child in scope.cpu_children)
    assert scope.self_cpu_time_total == pytest.approx(scope.cpu_time_total - inside, abs=0.01)
    assert mul.time_range.end <= add.time_range.start
    assert weakref.ref(mul)() is mul


def test_events_have_every_attribute():
    with profile(record_shapes=True) as prof:
        work()
    made_up = FunctionEvent(1, "name", 1, 0.0, 1.0)
    for event in prof.events():
        for name in vars(made_up):
            getattr(event, name)
        event.name = "other"  # attributes may be set
        assert event.name == "other" and event.key == "other"
        with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
            event.nonsense  # noqa: B018
        for alias in ("cuda_time_total", "self_cuda_time_total", "cuda_time", "metadata_json"):
            with pytest.warns(FutureWarning):
                getattr(event, alias)
    assert "<FunctionEvent id=1 name=name" in repr(made_up)


def test_events_answer_to_keys():
    with profile(record_shapes=True, profile_memory=True, with_stack=True) as prof:
        work()
    assert {event["kind"] for event in prof.events()} == {"scope", "op", "memory"}
    scope, mul, *_ = [event for event in prof.events() if event["kind"] != "memory"]
    assert scope["kind"] == "scope" and mul["kind"] == "op"
    assert mul["name"] == "aten::mul" and mul["step"] == 0
    assert mul["duration_ns"] == mul["end_ns"] - mul["start_ns"] > 0
    assert mul["start_ns"] >= scope["start_ns"] > 0
    assert mul["correlation_id"] == mul.id == mul.external_id
    assert mul["input_shapes"][0] == [1, 3] and "test_events.py" in mul["stack"][0]
    assert mul["cpu_memory_allocated_delta"] == (
        mul["cpu_memory_allocated_after"] - mul["cpu_memory_allocated_before"]
    )
    assert "stack" in mul and "nonsense" not in mul and mul.get("nonsense", 3) == 3
    with pytest.raises(KeyError):
        mul["nonsense"]
    with profile() as prof:
        work()
    event = prof.events()[1]
    assert "stack" not in event and "input_shapes" not in event
    assert "cpu_memory_allocated_delta" not in event


def test_shapes_types_and_values():
    with profile(record_shapes=True) as prof:
        x = torch.tensor([[1.0, 2.0, 3.0]])
        x.add(x, alpha=2)
        x.sum(1)
    (add,) = by_name(prof, "aten::add")
    assert add.input_shapes == [[1, 3], [1, 3], []]
    assert add.structured_input_strides == [[3, 1], [3, 1], []]
    assert add.input_dtypes == ["float", "float", "Scalar"]
    assert add.concrete_inputs == [None, None, 2]
    (total,) = by_name(prof, "aten::sum")
    assert total.input_shapes[0] == [1, 3] and [1] in total.concrete_inputs


def test_backward_events():
    with profile() as prof:
        w = torch.tensor([1.0, 2.0], requires_grad=True)
        (w * w).sum().backward()
    names = [event.name for event in prof.events()]
    for node in ("SumBackward0", "MulBackward0", "torch::autograd::AccumulateGrad"):
        outer = f"autograd::engine::evaluate_function: {node}"
        assert names.index(node) == names.index(outer) + 1
        (inner,) = by_name(prof, node)
        assert inner.cpu_parent.name == outer
    (forward,) = [event for event in by_name(prof, "aten::mul") if event.sequence_nr >= 0]
    (backward,) = by_name(prof, "MulBackward0")
    assert backward.sequence_nr == forward.sequence_nr
    assert backward.fwd_thread == forward.thread and forward.fwd_thread == 0
    assert backward.scope == 1


def test_memory():
    with profile(profile_memory=True) as prof:
        x = torch.tensor([float(i) for i in range(1000)])
        with record_function("scope"):
            y = x + x
            del y
        z = x * x
        del x
    (add,) = by_name(prof, "aten::add")
    (scope,) = by_name(prof, "scope")
    (mul,) = by_name(prof, "aten::mul")
    assert add.cpu_memory_usage == add.self_cpu_memory_usage == mul.cpu_memory_usage >= 4000
    assert scope.cpu_memory_usage == 0
    assert scope.self_cpu_memory_usage == -add.cpu_memory_usage
    outside = by_name(prof, "[memory]")
    assert any(event.cpu_memory_usage == -mul.cpu_memory_usage for event in outside)
    rows = {row.key: row for row in prof.key_averages()}
    assert rows["aten::add"].self_cpu_memory_usage == add.self_cpu_memory_usage
    assert rows["[memory]"].count == len(outside)
    assert "Self CPU Mem" in prof.key_averages().table()
    del z


def test_stacks(tmp_path):
    def inner():
        return torch.tensor([1.0]) + 1

    def outer():
        return inner()

    with profile(with_stack=True) as prof:
        outer()
        inner()
        w = torch.tensor([1.0], requires_grad=True)
        (w * w).backward()
    first, second = by_name(prof, "aten::add")[:2]
    assert [frame.split(": ")[-1] for frame in first.stack[:2]] == ["inner", "outer"]
    assert first.stack[0].split("(")[0].endswith("test_events.py")
    assert [frame.split(": ")[-1] for frame in second.stack[:2]] == ["inner", "test_stacks"]
    (forward,) = [event for event in by_name(prof, "aten::mul") if event.sequence_nr >= 0]
    assert by_name(prof, "MulBackward0")[0].stack == forward.stack
    rows = [row for row in prof.key_averages(group_by_stack_n=2) if row.key == "aten::add"]
    assert [len(row.stack) for row in rows[:2]] == [2, 2] and rows[0].stack != rows[1].stack
    assert len(
        [row for row in prof.key_averages(group_by_stack_n=1) if row.key == "aten::add"]
    ) < len(rows)
    assert "Source Location" in prof.key_averages(group_by_stack_n=2).table()

    path = tmp_path / "stacks.txt"
    for event in prof.events():
        event.time_range.end += 1000  # so that every event has some time of its own
    prof.profiler.function_events.export_stacks(str(path), "self_cpu_time_total")
    for line in path.read_text().splitlines():
        frames, value = line.rsplit(" ", 1)
        assert int(value) > 0 and " " not in frames and "test_stacks" in frames
    with pytest.raises(ValueError, match="metric should be one of"):
        prof.export_stacks(str(path), "nonsense")
    with profile() as prof:
        pass
    with pytest.raises(AssertionError, match="requires with_stack=True"):
        prof.export_stacks(str(path))


def test_flops():
    with profile(with_flops=True) as prof:
        x = torch.tensor([[1.0, 2.0, 3.0]] * 2)
        x * x
        x + 1
        x.sum()
    flops = {event.name: event.flops for event in prof.events() if event.flops}
    assert flops == {"aten::mul": 6, "aten::add": 6}
    assert {row.key: row.flops for row in prof.key_averages() if row.flops} == flops
    assert "Total FLOPs" in prof.key_averages().table()
    with profile() as prof:
        x * x
    assert [event.flops for event in prof.events()] == [0]


def test_threads_and_their_numbers():
    numbers = {}

    def run(name):
        work(name)
        numbers[name] = torch._C._profiler.thread_number()

    with profile() as prof:
        threads = [threading.Thread(target=run, args=(f"t{i}",)) for i in range(3)]
        for thread in threads:
            thread.start()
        run("main")
        for thread in threads:
            thread.join()
    assert len(set(numbers.values())) == 4
    for name, number in numbers.items():
        (scope,) = by_name(prof, name)
        assert scope.thread == number
        assert [child.name for child in scope.cpu_children] == [
            "aten::mul",
            "aten::add",
            "aten::sum",
        ]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_fork_inside():
    with profile() as prof:
        work("before")
        child = os.fork()
        if child == 0:
            well = not torch._C._profiler.recording()
            work("child")
            os._exit(0 if well else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        work("after")
    assert [event.name for event in prof.events() if event.is_user_annotation] == [
        "before",
        "after",
    ]


def test_results_outlive_the_profiler_and_go_away():
    with profile() as prof:
        work()
    events = prof.events()
    del prof
    gc.collect()
    assert [event.name for event in events][0] == "scope"
    alone = events[2]
    events = None
    gc.collect()
    assert alone.cpu_parent.name == "scope"
    gone = weakref.ref(alone)
    alone = None
    gc.collect()
    assert gone() is None


def test_columns():
    with profile() as prof:
        work()
    recording = prof.profiler.kineto_results
    begins = recording.column("begin")
    assert begins.tolist() == [
        event["start_ns"] - recording.info["start_clock"] for event in prof.events()
    ]
    assert recording.column("parent").tolist() == [-1, 0, 0, 0]
    assert memoryview(begins).readonly
    with pytest.raises(KeyError):
        recording.column("nonsense")
    with pytest.raises(IndexError):
        recording.event(4)


# ---------------------------------------------------------------- averages, tables


def test_key_averages_equal_the_averages_of_events():
    with profile(record_shapes=True, with_stack=True, profile_memory=True, with_flops=True) as prof:
        for i in range(5):
            work(f"scope {i % 2}")
        torch.tensor([1.0]) + 1
    for arguments in ({}, {"group_by_input_shape": True}, {"group_by_stack_n": 3}):
        ours = prof.key_averages(**arguments)
        arguments = {k.replace("shape", "shapes"): v for k, v in arguments.items()}
        slow = prof.events().key_averages(**arguments)
        assert len(ours) == len(slow)
        rows = {(row.key, row.input_shapes, tuple(row.stack)): row for row in slow}
        for row in ours:
            other = rows[row.key, row.input_shapes, tuple(row.stack)]
            for name in ("count", "flops", "cpu_memory_usage", "self_cpu_memory_usage",
                         "is_user_annotation", "is_async", "scope", "overload_name"):  # fmt: skip
                assert getattr(row, name) == getattr(other, name), name
            assert row.cpu_time_total == pytest.approx(other.cpu_time_total)
            assert row.self_cpu_time_total == pytest.approx(other.self_cpu_time_total)
            assert [c.name for c in row.cpu_children] == [c.name for c in other.cpu_children]


def test_table():
    with profile() as prof:
        for _ in range(3):
            work()
    table = prof.key_averages().table(sort_by="cpu_time_total", row_limit=2)
    assert "Self CPU time total:" in table and "# of Calls" in table
    assert "Count: 12 calls" in table and "Total: 4 rows" in table
    assert table.index("scope") < len(table) and table.count("aten::") == 1
    assert str(prof.key_averages()) == prof.key_averages().table()
    with pytest.raises(AttributeError):
        prof.key_averages().table(sort_by="nonsense")
    with pytest.raises(ValueError):
        prof.key_averages().table(time_unit="min")
    assert EventList([]).table() == ""


def test_average_sums():
    with profile() as prof:
        work()
    rows = prof.key_averages()
    with pytest.raises(AssertionError, match="Expected keys to match, but got"):
        rows[0].add(rows[1])
    with pytest.raises(TypeError):
        rows[0]["key"]
    total = prof.events().total_average()
    assert total.key == "Total" and total.count == 4
    whole = sum(row.self_cpu_time_total for row in rows)
    assert prof.profiler.self_cpu_time_total == pytest.approx(whole)
    assert isinstance(rows[0], FunctionEventAvg)
    assert rows[0].device_type == "CPU" and str(rows[0].device_type) == "DeviceType.CPU"


def test_averages_can_be_exported(tmp_path):
    import json

    with profile() as prof:
        work()
    path = tmp_path / "averages.json"
    prof.key_averages().export_chrome_trace(str(path))
    rows = json.loads(path.read_text())["traceEvents"]
    assert {row["name"]: row["args"]["count"] for row in rows} == {
        row.key: row.count for row in prof.key_averages()
    }
    prof.events().export_chrome_trace(str(path))
    events = json.loads(path.read_text())
    assert [event["name"] for event in events] == [event.name for event in prof.events()]


def test_overload_names():
    config = _ExperimentalConfig(capture_overload_names=True)
    x = torch.tensor([1.0])
    with profile(experimental_config=config) as prof:
        x + x
        x.sum()
        x.sum(0)
    assert [event.overload_name for event in prof.events()] == ["Tensor", "", "dim_IntList"]
    rows = prof.key_averages(group_by_overload_name=True)
    assert [(row.key, row.overload_name) for row in rows] == [
        ("aten::add", "Tensor"), ("aten::sum", ""), ("aten::sum", "dim_IntList")]  # fmt: skip
    assert [row.count for row in prof.key_averages()] == [1, 2]
    assert "Overload Name" in rows.table() and "Overload Name" not in prof.key_averages().table()


def test_trace_only(tmp_path):
    config = _ExperimentalConfig(trace_only=True)
    with profile(experimental_config=config) as prof:
        work()
    for call in (prof.events, prof.key_averages):
        with pytest.raises(RuntimeError, match="not available when trace_only=True"):
            call()
    prof.export_chrome_trace(str(tmp_path / "t.json"))
    with (
        pytest.warns(UserWarning, match="trace_only=True is incompatible with with_stack=True"),
        profile(experimental_config=config, with_stack=True) as prof,
    ):
        work()
    assert len(prof.events()) == 4


def test_unbuilt_arguments_say_so():
    with pytest.raises(NotImplementedError, match="execution_trace_observer"):
        profile(execution_trace_observer=object())
    with pytest.raises(NotImplementedError, match="record_python_gc_info"):
        _ExperimentalConfig(record_python_gc_info=True)


def test_what_is_there():
    assert kineto_available() and len(supported_activities()) == 1
    assert torch.profiler.profile is profile


# ---------------------------------------------------------------- record_function


def test_record_function_as_decorator():
    @record_function("decorated")
    def double(x, times=2):
        """Doc."""
        return double(x, times - 1) + x if times else x

    assert double.__name__ == "double" and double.__doc__ == "Doc."
    with profile() as prof:
        double(torch.tensor([1.0]))
    scopes = by_name(prof, "decorated")
    assert len(scopes) == 3 and scopes[2].cpu_parent is scopes[1]


@pytest.mark.parametrize("recording", [False, True])
def test_record_function_misuse(recording):
    def misuse():
        with pytest.raises(
            RuntimeError, match="Expected a value of type 'str' for argument 'name'"
        ):
            record_function(3).__enter__()
        with pytest.raises(RuntimeError, match="for argument 'args' but instead found type 'int'"):
            record_function("name", 3).__enter__()
        with pytest.raises(AssertionError, match="Expected record to be set"):
            record_function("name").__exit__(None, None, None)
        with pytest.raises(TypeError):
            record_function()
        with pytest.raises(TypeError):
            record_function("a", "b", "c")
        with pytest.raises(TypeError):
            record_function("a")(1, 2)
        scope = record_function("twice")
        scope.__enter__()
        scope.__exit__(None, None, None)
        scope.__exit__(None, None, None)

    if not recording:
        return misuse()
    with profile() as prof:
        misuse()
    assert [event.name for event in prof.events()] == ["twice"]


def test_record_function_object():
    scope = record_function("name", args="values")
    assert scope.name == "name" and scope.args == "values" and scope.run_callbacks_on_exit
    with scope as entered:
        assert entered is scope

    class Mine(record_function):
        def __init__(self, name):
            self.note = name

    with profile(record_shapes=True) as prof:
        with Mine("mine") as mine:
            assert mine.note == "mine"
        with scope:
            pass
        type(scope).__enter__(scope)
        type(scope).__exit__(scope, None, None, None)
    assert [event.name for event in prof.events()] == ["mine", "name", "name"]
    assert prof.events()[1].input_shapes == [[]]


def test_scopes_of_exceptions_end():
    with profile() as prof:
        with pytest.raises(KeyError), record_function("raises"):
            raise KeyError
        work()
    raised, scope = [event for event in prof.events() if event.is_user_annotation]
    assert raised.time_range.end <= scope.time_range.start


def test_scope_open_at_the_end_is_asynchronous():
    scope = record_function("open")
    with profile() as prof:
        scope.__enter__()
        work()
    scope.__exit__(None, None, None)
    (event,) = by_name(prof, "open")
    assert event.is_async and event.self_cpu_time_total == 0 and event.cpu_time_total > 0
    assert by_name(prof, "scope")[0].cpu_parent is None
    assert "open" in prof.key_averages().table()


def test_scope_that_lasts_until_a_future_is_done():
    class Future:
        def then(self, function):
            self.function = function
            return self

        def value(self):
            return 3

    future = Future()
    with profile() as prof:
        with record_function("lasting") as scope:
            assert scope._call_end_callbacks_on_future(future) is future
            with pytest.raises(RuntimeError, match="can only be called once"):
                scope._call_end_callbacks_on_future(future)
        work()
        assert future.function(future) == 3
    lasting, inner = [event for event in prof.events() if event.is_user_annotation]
    assert inner.cpu_parent is lasting


def test_made_up_names_do_not_pile_up():
    def names():
        with profile() as prof:
            for i in range(2000):
                with record_function(f"made up {os.getpid()} {i}"):
                    pass
        return len(prof.events())

    assert names() == names() == 2000


# ---------------------------------------------------------------- autograd.profiler.profile


def test_autograd_profile():
    prof = autograd_profiler.profile(record_shapes=True)
    assert repr(prof) == str(prof) == "<unfinished torch.autograd.profile>"
    assert len(prof.function_events) == 0 and prof.table() == ""
    with prof:
        work()
    assert "aten::mul" in str(prof) and len(prof.function_events) == 4
    assert prof.total_average().count == 4 and len(prof.trace_id) == 32
    with pytest.raises(RuntimeError, match="not reentrant"), prof:
        pass
    with autograd_profiler.profile(enabled=False) as nothing:
        assert nothing is None
    with pytest.raises(AssertionError, match="Device-only events supported only with Kineto"):
        autograd_profiler.profile(use_cpu=False)
    with (
        pytest.warns(FutureWarning, match="`use_cuda` will be deprecated"),
        pytest.warns(UserWarning, match="CUDA is not available"),
    ):
        autograd_profiler.profile(use_cuda=True)
