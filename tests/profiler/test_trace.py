"""The exported trace: layout, correlation, nesting, validity, files."""

import gzip
import json
import os
import threading

import pytest

import mindtorch_v2 as torch
from mindtorch_v2.profiler import (
    _ExperimentalConfig,
    profile,
    record_function,
    schedule,
    tensorboard_trace_handler,
)


def train_step():
    weight = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    with record_function("forward"):
        loss = (weight * weight + weight).sum()
    with record_function("backward"):
        loss.backward()


def export(prof, path):
    prof.export_chrome_trace(str(path))
    with open(path, encoding="utf-8") as file:
        return json.load(file)


@pytest.fixture
def trace(tmp_path):
    with profile(record_shapes=True, profile_memory=True, with_stack=True) as prof:
        train_step()
    return export(prof, tmp_path / "trace.json")


def of(trace, **wanted):
    return [
        event
        for event in trace["traceEvents"]
        if all(event.get(key) == value for key, value in wanted.items())
    ]


def test_top_level(trace):
    assert trace["schemaVersion"] == 1
    assert trace["displayTimeUnit"] == "ms"
    assert trace["baseTimeNanoseconds"] % 1_000_000_000 == 0
    assert trace["record_shapes"] == trace["profile_memory"] == trace["with_stack"] == 1
    assert len(trace["trace_id"]) == 32
    assert trace["host_name"] == os.uname().nodename
    assert trace["traceName"].endswith("trace.json")


def test_first_event_is_a_complete_event(trace):
    first = trace["traceEvents"][0]
    assert first["ph"] == "X" and first["pid"] == os.getpid()


def test_export_chrome_trace_includes_metadata_events(trace):
    names = {event["name"]: event for event in of(trace, ph="M")}
    assert {"process_name", "process_labels", "process_sort_index", "thread_name"} <= set(names)
    assert names["process_name"]["args"]["name"] == "python"
    tids = {event["tid"] for event in of(trace, ph="X") if isinstance(event["tid"], int)}
    named = {event["tid"] for event in of(trace, ph="M", name="thread_name")}
    assert tids == named
    phases = [event["ph"] for event in trace["traceEvents"]]
    assert set(phases[phases.index("M") :]) == {"M"}


def test_export_chrome_trace_includes_runtime_correlated_events(trace):
    ops = {event["args"]["correlation_id"]: event for event in of(trace, cat="cpu_op")}
    runtime = of(trace, cat="runtime")
    assert len(runtime) >= 4
    assert len({event["args"]["correlation_id"] for event in runtime}) == len(runtime)
    for kernel in runtime:
        op = ops[kernel["args"]["correlation_id"]]
        assert kernel["args"]["op_name"] == op["name"]
        assert kernel["args"]["External id"] == op["args"]["External id"]
        assert op["args"]["runtime_name"] == kernel["name"]
        assert op["args"]["runtime_tid"] == kernel["tid"] != op["tid"]
        assert op["ts"] <= kernel["ts"]
        assert kernel["ts"] + kernel["dur"] <= op["ts"] + op["dur"] + 0.001
        assert kernel["dur"] < op["dur"]
    starts = {event["id"]: event for event in of(trace, ph="s", cat="op")}
    ends = {event["id"]: event for event in of(trace, ph="f", cat="op")}
    assert set(starts) == set(ends) == {event["args"]["correlation_id"] for event in runtime}
    for event in runtime:
        flow = ends[event["args"]["correlation_id"]]
        assert (flow["tid"], flow["ts"], flow["bp"]) == (event["tid"], event["ts"], "e")
        assert starts[flow["id"]]["args"]["correlation_id"] == flow["id"]


def test_runtime_events_can_be_left_out(tmp_path):
    config = _ExperimentalConfig(runtime_events=False, forward_backward_category="forward_backward")
    with profile(experimental_config=config) as prof:
        train_step()
    trace = export(prof, tmp_path / "t.json")
    assert not of(trace, cat="runtime") and not of(trace, cat="op")
    assert of(trace, cat="cpu_op") and of(trace, cat="forward_backward")
    with pytest.raises(ValueError, match="forward_backward_category"):
        _ExperimentalConfig(forward_backward_category='"')


def test_forward_and_backward_are_joined(trace):
    starts = {event["id"]: event for event in of(trace, ph="s", cat="fwdbwd")}
    ends = {event["id"]: event for event in of(trace, ph="f", cat="fwdbwd")}
    assert set(starts) == set(ends)
    slices = {(event["tid"], event["ts"]): event for event in of(trace, cat="cpu_op")}
    pairs = set()
    for id, end in ends.items():
        backward = slices[end["tid"], end["ts"]]
        forward = slices[starts[id]["tid"], starts[id]["ts"]]
        assert backward["args"]["Sequence number"] == forward["args"]["Sequence number"]
        assert backward["args"]["Fwd thread id"] >= 1 and forward["args"]["Fwd thread id"] == 0
        pairs.add((forward["name"], backward["name"]))
    assert {("aten::mul", "MulBackward0"), ("aten::add", "AddBackward0"),
            ("aten::sum", "SumBackward0")} == pairs  # fmt: skip


def test_arguments_of_operators(trace):
    mul = of(trace, cat="cpu_op", name="aten::mul")[0]["args"]
    assert mul["Input Dims"][:2] == [[3], [3]] and mul["Input Strides"][:2] == [[1], [1]]
    assert mul["Input type"][:2] == ["float", "float"]
    assert mul["input_shapes"] == mul["Input Dims"]
    assert len(mul["Concrete Inputs"]) == len(mul["Input Dims"])
    assert mul["Ev Idx"] + 1 == mul["External id"]
    assert mul["device_type"] == "CPU" and mul["step"] == 0
    assert mul["cpu_memory_allocated_delta"] == (
        mul["cpu_memory_allocated_after"] - mul["cpu_memory_allocated_before"]
    )
    assert mul["Call stack"] == "".join(f"{frame};" for frame in mul["stack"])
    assert "train_step" in mul["stack"][0] and "test_trace.py" in mul["stack"][0]


def test_memory_instants(trace):
    instants = of(trace, ph="i", name="[memory]")
    assert instants and all(event["cat"] == "cpu_instant_event" for event in instants)
    live, sizes = {}, []
    for event in instants:
        args = event["args"]
        live[args["Addr"]] = live.get(args["Addr"], 0) + args["Bytes"]
        sizes.append(args["Total Allocated"])
    assert all(size >= 0 for size in sizes)
    steps = [b - a for a, b in zip(sizes, sizes[1:], strict=False)]
    assert steps == [event["args"]["Bytes"] for event in instants[1:]]


def assert_nested(trace):
    """On every track slices lie inside each other or apart."""
    tracks = {}
    for event in of(trace, ph="X"):
        if isinstance(event["tid"], int):
            span = (round(event["ts"] * 1000), round((event["ts"] + event["dur"]) * 1000))
            tracks.setdefault((event["pid"], event["tid"]), []).append(span)
    for spans in tracks.values():
        open_ends = []
        for start, end in sorted(spans, key=lambda span: (span[0], -span[1])):
            while open_ends and open_ends[-1] <= start:
                open_ends.pop()
            assert not open_ends or end <= open_ends[-1]
            open_ends.append(end)
    return tracks


def test_slices_nest_strictly(tmp_path):
    with profile(with_stack=True) as prof:
        a, b = record_function("a"), record_function("b")
        a.__enter__()
        b.__enter__()
        train_step()
        a.__exit__(None, None, None)
        b.__exit__(None, None, None)
        other = record_function("elsewhere")
        other.__enter__()
        train_step()
        thread = threading.Thread(target=other.__exit__, args=(None, None, None))
        thread.start()
        thread.join()
        train_step()
    trace = export(prof, tmp_path / "t.json")
    tracks = assert_nested(trace)
    assert all(0 < tid < 2**32 for _, tid in tracks)
    assert {"a", "b", "elsewhere"} <= {e["name"] for e in of(trace, cat="user_annotation")}


def test_threads_have_tracks(tmp_path):
    go, done = threading.Event(), threading.Event()

    def other():
        go.wait()
        train_step()
        done.set()

    thread = threading.Thread(target=other)
    thread.start()  # before the profiler
    with profile() as prof:
        train_step()
        go.set()
        done.wait()
        thread.join()
    trace = export(prof, tmp_path / "t.json")
    assert_nested(trace)
    tids = {event["tid"] for event in of(trace, cat="cpu_op")}
    assert len(tids) == 2 and os.getpid() in tids
    assert {event.thread for event in prof.events()} == {
        event.fwd_thread for event in prof.events() if event.name == "MulBackward0"
    }


ODD = [
    'quote " backslash \\ slash /',
    "line\nbreak\ttab\r\x00\x1f\x7f",
    "é ü 漢字 🔥",
    "\ud800 lone surrogate",
    "",
    "x" * 20000,
    "</script>{}[],:",
]


def test_json_is_valid_whatever_the_names(tmp_path):
    with profile() as prof:
        for name in ODD:
            with record_function(name):
                pass
    for name in ODD:
        prof.add_metadata(name, name)
    prof.add_metadata_json("list", '[1, {"a": null}]')
    trace = export(prof, tmp_path / "odd.json")
    assert [event["name"] for event in of(trace, cat="user_annotation")] == ODD
    assert [event.name for event in prof.events()] == ODD
    assert all(trace[name] == name for name in ODD)
    assert trace["list"] == [1, {"a": None}]


def test_metadata(tmp_path):
    prof = profile()
    prof.preset_metadata_json("preset", "[1]")
    with prof:
        prof.add_metadata("inside", "a")
        train_step()
    prof.add_metadata("traceEvents", "no")
    trace = export(prof, tmp_path / "t.json")
    assert trace["preset"] == [1] and trace["inside"] == "a"
    assert isinstance(trace["traceEvents"], list)
    assert of(trace, ph="M", name="inside")[0]["args"] == {"value": "a"}
    for wrong in ("{", "nonsense", None):
        with pytest.raises(ValueError, match="metadata must be JSON"):
            prof.add_metadata_json("key", wrong)
    with pytest.raises(AttributeError):
        prof.add_metadata("key", 1)


def test_export_twice_and_compressed(tmp_path):
    with profile() as prof:
        train_step()
    plain = export(prof, tmp_path / "a.json")
    again = export(prof, tmp_path / "a.json")
    assert plain == again
    prof.export_chrome_trace(str(tmp_path / "a.json.gz"), use_python_export=True)
    with gzip.open(tmp_path / "a.json.gz") as file:
        packed = json.load(file)
    assert packed["traceEvents"] == plain["traceEvents"]
    assert sorted(os.listdir(tmp_path)) == ["a.json", "a.json.gz"]


def test_export_errors_raise_and_leave_nothing(tmp_path):
    with profile() as prof:
        train_step()
    with pytest.raises(FileNotFoundError):
        prof.export_chrome_trace(str(tmp_path / "missing" / "t.json"))
    with pytest.raises(IsADirectoryError):
        prof.export_chrome_trace(str(tmp_path))
    if os.path.exists("/dev/full"):
        with pytest.raises(OSError):
            prof.export_chrome_trace("/dev/full")
    assert os.listdir(tmp_path) == []


def test_tensorboard_trace_handler(tmp_path):
    folder = tmp_path / "log" / "deeper"
    with profile(
        schedule=schedule(wait=0, warmup=1, active=1, repeat=2),
        on_trace_ready=tensorboard_trace_handler(str(folder), use_gzip=True),
    ) as prof:
        for _ in range(4):
            train_step()
            prof.step()
    files = sorted(os.listdir(folder))
    assert len(files) == 2
    for file in files:
        assert file.startswith(f"{os.uname().nodename}_{os.getpid()}.")
        assert file.endswith(".pt.trace.json.gz")
        with gzip.open(folder / file) as opened:
            trace = json.load(opened)
        assert [e["name"] for e in of(trace, cat="user_annotation")][0].startswith("ProfilerStep#")
    tensorboard_trace_handler(str(folder), worker_name="me")(prof)
    assert any(
        name.startswith("me.") and name.endswith(".pt.trace.json") for name in os.listdir(folder)
    )
    (tmp_path / "file").write_text("")
    with pytest.raises(RuntimeError, match="Can't create directory"):
        tensorboard_trace_handler(str(tmp_path / "file"))(prof)


def test_many_events_are_all_there(tmp_path):
    with profile() as prof:
        x = torch.tensor([1.0])
        for _ in range(30_000):
            x + x
    trace = export(prof, tmp_path / "many.json")
    assert len(of(trace, cat="cpu_op")) == len(of(trace, cat="runtime")) == 30_000
    assert_nested(trace)


def test_keyword_inputs_are_arguments(tmp_path):
    fast = torch._C._profiler._RecordFunctionFast
    x = torch.tensor([[1.0, 2.0]])
    values = {"k": 'v"', "n": 3, "f": float("nan"), "b": True, "l": ["a", "b"], "t": x}
    with profile(record_shapes=True) as prof, fast("fast", [x, 1, [2, 3], "s"], values):
        pass
    (event,) = of(export(prof, tmp_path / "t.json"), name="fast")
    args = event["args"]
    assert event["cat"] == "cpu_op"
    assert (args["k"], args["n"], args["b"], args["l"]) == ('v"', 3, True, ["a", "b"])
    assert args["f"] == "nan" and "t" not in args
    assert args["Input Dims"] == [[1, 2], [], [], []]
    assert args["Input type"] == ["float", "Scalar", "ScalarList", ""]
    assert args["Concrete Inputs"] == ["", "1", "[2, 3]", ""]
